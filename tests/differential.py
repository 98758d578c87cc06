#!/usr/bin/env python3
"""Random queries over random data, on weir and on SQLite: differential.py --weir WEIR [--count N] [--seed S].

A batch is one random topic and some 50 queries over it: filters and expressions over the stream, tables (groups, tumbling,
hopping and session windows, HAVING), tables over tables, and the latest row of each key. weir runs those
that are tables as persistent queries and then answers each with a SELECT; SQLite gets the same rows in a table and the same
question in its own words. Expressions are made as a pair of texts, since the two do not mean the same by each: a comparison
with null is false in weir, a SUM of nothing is 0, a row with a null in its group belongs to no group. Numbers stay where
neither wraps, and doubles are quarters, so that sums are exact in any order.

What differs is shown with the seed of its batch, which makes the same batch again."""
import argparse
import collections
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from patience import patience

BATCH = 50
COLUMNS = {'k': 's', 'id': 'i', 'a': 'i', 'b': 'i', 'd': 'd', 's': 's', 'f': 'b', 'ts': 'i'}
DAY = 86400000

Query = collections.namedtuple('Query', 'kind create select oracle')


class Pair(collections.namedtuple('Pair', 'weir sqlite')):
    """An expression in both dialects."""


class Expressions:
    """kinds: i (whole numbers), d (doubles), s (texts), b (true and false); bound: what |i| and |d| cannot exceed."""

    def __init__(self, rng, columns=('a', 'b', 'd', 's', 'f', 'k')):
        self.r, self.columns = rng, columns

    def column(self, kind):
        return self.r.choice([c for c in self.columns if COLUMNS[c] == kind])

    def make(self, kind, depth):
        return getattr(self, kind)(depth)

    def fill(self, weir, *parts, sqlite=None):
        return Pair(weir.format(*(p.weir for p in parts)), (sqlite or weir).format(*(p.sqlite for p in parts)))

    def literal(self, text):
        return Pair(text, text)

    def i(self, depth):
        pick = self.r.randrange(10) if depth > 0 else self.r.randrange(2)
        if pick == 0:
            return self.literal(str(self.r.choice([0, 1, 2, 3, 7, 10, 100])))
        if pick == 1:
            c = self.column('i')
            return self.literal(c)
        if pick == 2:
            return self.fill('({0} %s {1})' % self.r.choice('+-'), self.i(depth - 1), self.i(depth - 1))
        if pick == 3:
            return self.fill('({0} * %d)' % self.r.choice([2, 3, 5]), self.i(depth - 1))
        if pick == 4:
            return self.fill('({0} %s {1})' % self.r.choice('/%'), self.i(depth - 1), self.i(depth - 1))
        if pick == 5:
            return self.fill('ABS({0})', self.i(depth - 1))
        if pick == 6:
            return self.fill('LEN({0})', self.s(depth - 1), sqlite='LENGTH({0})')
        if pick == 7:
            return self.fill('CASE WHEN {0} THEN {1} ELSE {2} END', self.b(depth - 1), self.i(depth - 1), self.i(depth - 1))
        if pick == 8:
            return self.fill('COALESCE({0}, {1})', self.i(depth - 1), self.i(depth - 1))
        return self.fill('INSTR({0}, {1})', self.s(depth - 1), self.literal("'%s'" % self.r.choice(['a', 'b', 'ab', 'x'])),
                         sqlite='IFNULL(INSTR({0}, {1}), 0)')

    def d(self, depth):
        pick = self.r.randrange(6) if depth > 0 else 0
        if pick == 0:
            return self.literal('d')
        if pick == 1:
            return self.fill('({0} %s {1})' % self.r.choice('+-'), self.d(depth - 1), self.i(depth - 1))
        if pick == 2:
            return self.fill('({0} * %s)' % self.r.choice(['2', '4', '3']), self.d(depth - 1))
        if pick == 3:
            return self.fill('CAST({0} AS DOUBLE)', self.i(depth - 1), sqlite='CAST({0} AS REAL)')
        if pick == 4:
            return self.fill('CASE WHEN {0} THEN {1} END', self.b(depth - 1), self.d(depth - 1))
        return self.fill('COALESCE({0}, {1})', self.d(depth - 1), self.d(depth - 1))

    def s(self, depth):
        pick = self.r.randrange(11) if depth > 0 else self.r.randrange(2)
        if pick == 0:
            return self.literal("'%s'" % self.r.choice(['', 'a', 'B', 'ab', "it''s", 'x y']))
        if pick == 1:
            return self.literal(self.column('s'))
        if pick == 2:
            return self.case(self.s(depth - 1))
        if pick == 3:
            return self.fill('TRIM({0})', self.s(depth - 1))
        if pick == 4:
            return self.substring(self.s(depth - 1))
        if pick == 5:
            return self.fill('REPLACE({0}, \'%s\', \'%s\')' % (self.r.choice(['a', 'b', 'ab']), self.r.choice(['', 'z', 'aa'])),
                             self.s(depth - 1))
        if pick == 6:
            return self.fill('({0} + {1})', self.s(depth - 1), self.s(depth - 1), sqlite='({0} || {1})')
        if pick == 7:
            return self.fill('CONCAT({0}, {1})', self.s(depth - 1), self.s(depth - 1),
                             sqlite="(IFNULL({0}, '') || IFNULL({1}, ''))")
        if pick == 8:
            return self.fill('CAST({0} AS STRING)', self.i(depth - 1), sqlite='CAST({0} AS TEXT)')
        if pick == 9:
            return self.fill('CASE WHEN {0} THEN {1} WHEN {2} THEN {3} END', self.b(depth - 1), self.s(depth - 1),
                             self.b(depth - 1), self.s(depth - 1))
        return self.fill('NULLIF({0}, {1})', self.s(depth - 1), self.s(depth - 1))

    def case(self, of):
        name = self.r.choice(['UCASE', 'LCASE'])
        return self.fill(name + '({0})', of, sqlite={'UCASE': 'UPPER', 'LCASE': 'LOWER'}[name] + '({0})')

    def substring(self, of):
        where = self.r.randint(1, 3)
        if self.r.random() < 0.5:
            return self.fill('SUBSTRING({0}, %d)' % where, of, sqlite='SUBSTR({0}, %d)' % where)
        count = self.r.randint(1, 3)
        return self.fill('SUBSTRING({0}, %d, %d)' % (where, count), of, sqlite='SUBSTR({0}, %d, %d)' % (where, count))

    def b(self, depth):
        """Never null: weir's comparisons are not, and the column f is asked about by comparing."""
        pick = self.r.randrange(10) if depth > 0 else self.r.randrange(3)
        if pick < 3:
            kind = self.r.choice('iids')
            compare = self.r.choice(['=', '<>', '<', '<=', '>', '>='])
            return self.fill('({0} %s {1})' % compare, self.make(kind, depth - 1), self.make(kind, depth - 1),
                             sqlite='IFNULL(({0} %s {1}), 0)' % compare)
        if pick in (3, 4):
            return self.fill('({0} %s {1})' % self.r.choice(['AND', 'OR']), self.b(depth - 1), self.b(depth - 1))
        if pick == 5:
            return self.fill('(NOT {0})', self.b(depth - 1))
        if pick == 6:
            return self.fill('({0} IS %sNULL)' % self.r.choice(['', 'NOT ']), self.make(self.r.choice('ids'), depth - 1))
        if pick == 7:
            return self.among(self.i(depth - 1))
        if pick == 8:
            low, high = self.r.randint(-9, 5), self.r.randint(-3, 40)
            return self.fill('({0} BETWEEN %d AND %d)' % (low, high), self.i(depth - 1),
                             sqlite='IFNULL(({0} BETWEEN %d AND %d), 0)' % (low, high))
        pattern = self.r.choice(['a%', '%b', '%a%', '_b%', '%', 'ab', '__'])
        return self.fill("(COALESCE({0}, 'ab') LIKE '%s')" % pattern, self.s(depth - 1))

    def among(self, of):
        values = ', '.join(str(self.r.randint(-5, 9)) for _ in range(self.r.randint(2, 4)))
        return self.fill('({0} IN (%s))' % values, of, sqlite='IFNULL(({0} IN (%s)), 0)' % values)


class First:
    """EARLIEST_BY_OFFSET and LATEST_BY_OFFSET: of the non-null values, by id."""
    last = False

    def __init__(self):
        self.at = self.value = None

    def step(self, at, value):
        if value is not None and (self.at is None or (at > self.at) == self.last):
            self.at, self.value = at, value

    def finalize(self):
        return self.value


class Last(First):
    last = True


class Top:
    """TOPK as JSON."""
    distinct = False

    def __init__(self):
        self.values, self.k = [], 0

    def step(self, value, k):
        self.k = k
        if value is not None and not (self.distinct and value in self.values):
            self.values.append(value)

    def finalize(self):
        return json.dumps(sorted(self.values, reverse=True)[:self.k])


class TopDistinct(Top):
    distinct = True


class Batch:
    def __init__(self, seed, count, weir):
        self.seed, self.count, self.weir = seed, count, os.path.abspath(weir)
        self.r = random.Random(seed)
        self.partitions = self.r.choice([1, 1, 3])
        self.rows = [self.row(i) for i in range(self.r.choice([0, 1, 30, 200, 200, 600]))]
        self.queries = [self.query(n) for n in range(count)]

    def row(self, n):
        r = self.r
        maybe = lambda v: None if r.random() < 0.15 else v
        return {'k': maybe(r.choice(['ann', 'bob', 'cy', 'Di', 'e f'])), 'id': n, 'a': maybe(r.randint(-20, 20)),
                'b': maybe(r.choice([r.randint(-5, 5), r.randint(-4000000, 4000000)])), 'd': maybe(r.randint(-400, 400) / 4),
                's': maybe(r.choice(['', 'a', 'b', 'ab', 'ba', 'B', ' a b ', 'xyz', "it's"])),
                'f': maybe(r.random() < 0.5), 'ts': r.choice([n * 700, r.randrange(600000), 1 * DAY + r.randrange(5000)])}

    # ---- queries ----

    def aggregates(self, e, table=False, session=False):
        r, out = self.r, []
        for _ in range(r.randint(1, 4)):
            x, d, s = e.i(1), e.d(1), e.s(1)
            choices = [Pair('COUNT(*)', 'COUNT(*)'), e.fill('COUNT({0})', r.choice([x, d, s])),
                       e.fill('SUM({0})', x, sqlite='IFNULL(SUM({0}), 0)'), e.fill('SUM({0})', d, sqlite='IFNULL(SUM({0}), 0)'),
                       e.fill('AVG({0})', d, sqlite='IFNULL(AVG({0}), 0)'), e.fill('AVG({0})', x, sqlite='IFNULL(AVG({0}), 0)')]
            if not table:
                choices += [e.fill('%s({0})' % r.choice(['MIN', 'MAX']), r.choice([x, d, s])),
                            e.fill('COUNT_DISTINCT({0})', r.choice([x, s]), sqlite='COUNT(DISTINCT {0})'),
                            e.fill('TOPK({0}, 3)', x, sqlite='top({0}, 3)'),
                            e.fill('TOPKDISTINCT({0}, 3)', x, sqlite='top_distinct({0}, 3)')]
                if self.partitions == 1 and not session:
                    choices += [e.fill('EARLIEST_BY_OFFSET({0})', r.choice([x, s]), sqlite='first_of(id, {0})'),
                                e.fill('LATEST_BY_OFFSET({0})', r.choice([x, d]), sqlite='last_of(id, {0})')]
            out.append(r.choice(choices))
        return out

    def query(self, n):
        kinds = ['once', 'once', 'group', 'group', 'group_once', 'tumble', 'tumble', 'hop', 'session', 'stream', 'of_table', 'latest']
        return getattr(self, self.r.choice(kinds))(n, Expressions(self.r))

    def not_bare(self, item):
        return Pair('TRIM(k)', 'TRIM(k)') if item.weir == 'k' else item  # a key may not be selected twice

    def where(self, e):
        return e.b(2) if self.r.random() < 0.6 else Pair('true', '1')

    def rows_of(self, e):
        items, where = [e.make(self.r.choice('iidssb'), 3) for _ in range(self.r.randint(1, 4))], self.where(e)
        items = [self.not_bare(p) for p in items]
        names = ['c%d' % i for i in range(len(items))]
        weir = 'SELECT k, id, %s FROM src WHERE %s' % (', '.join('%s AS %s' % (p.weir, c) for p, c in zip(items, names)), where.weir)
        sqlite = 'SELECT k, id, %s FROM src WHERE %s' % (', '.join(p.sqlite for p in items), where.sqlite)
        return weir, sqlite

    def once(self, n, e):
        weir, sqlite = self.rows_of(e)
        return Query('once', None, weir, sqlite)

    def stream(self, n, e):
        weir, sqlite = self.rows_of(e)
        return Query('stream', 'CREATE STREAM q%d AS %s' % (n, weir), 'SELECT * FROM q%d' % n, sqlite)

    def grouped(self, e, window='', bounds='', source='src', where=None, session=False):
        """The two SELECTs of a GROUP BY of one or two expressions."""
        r = self.r
        by = [r.choice([Pair('a', 'a'), Pair('s', 's'), Pair('k', 'k'), e.i(2), e.s(2)]) for _ in range(r.choice([1, 1, 2]))]
        if len(set(p.weir for p in by)) < len(by) or any(not any(c in p.weir.replace('CASE', '') for c in 'abdskf') for p in by):
            by = [Pair('a', 'a')]
        if any("'" in p.weir and not set(p.weir) & set('(') for p in by) or any(p.weir.isdigit() for p in by):
            by = [Pair('s', 's')]
        aggs = self.aggregates(e, session=session)
        where = where or self.where(e)
        having = r.choice([None, None, 'COUNT(*) > 1', 'COUNT(*) <= 3', 'SUM(a) > 0'])
        weir = 'SELECT %s, %s FROM %s WHERE %s GROUP BY %s%s%s' % (
            ', '.join('%s AS g%d' % (p.weir, i) for i, p in enumerate(by)),
            ', '.join('%s AS c%d' % (p.weir, i) for i, p in enumerate(aggs)),
            source, where.weir, ', '.join(p.weir for p in by), window, ' HAVING ' + having if having else '')
        keep = ' AND '.join('(%s) IS NOT NULL' % p.sqlite for p in by)
        sqlite = 'SELECT %s, %s%s FROM %s WHERE %s AND %s GROUP BY %s%s%s' % (
            ', '.join(p.sqlite for p in by), bounds + ', ' if bounds else '', ', '.join(p.sqlite for p in aggs),
            '{source}', where.sqlite, keep, ', '.join('(%s)' % p.sqlite for p in by), ', ' + bounds.split(', ')[0] if bounds else '',
            ' HAVING ' + having.replace('SUM(a)', 'IFNULL(SUM(a), 0)') if having else '')
        return weir, sqlite, len(by)

    def table(self, n, kind, weir, sqlite):
        return Query(kind, "CREATE TABLE q%d WITH (key_format='JSON', value_format='JSON') AS %s" % (n, weir),
                     'SELECT * FROM q%d' % n, sqlite)

    def group(self, n, e):
        weir, sqlite, _ = self.grouped(e)
        return self.table(n, 'group', weir, sqlite.replace('{source}', 'src'))

    def group_once(self, n, e):
        weir, sqlite, _ = self.grouped(e)
        return Query('group_once', None, weir, sqlite.replace('{source}', 'src'))

    def tumble(self, n, e):
        size = self.r.choice([1, 5, 10, 60])
        weir, sqlite, _ = self.grouped(e, ', TUMBLING(%ds, GRACE 3650d)' % size,
                                       'ts / {0} * {0}, ts / {0} * {0} + {0}'.format(size * 1000))
        return self.table(n, 'tumble', weir, sqlite.replace('{source}', 'src'))

    def hop(self, n, e):
        advance = self.r.choice([1, 5, 10])
        size = advance * self.r.choice([2, 3])
        weir, sqlite, _ = self.grouped(e, ', HOPPING(%ds, %ds, GRACE 3650d)' % (size, advance), 'ws, ws + %d' % (size * 1000))
        steps = ' UNION ALL '.join('SELECT %d AS back' % i for i in range(size // advance))
        source = '(SELECT *, (ts / {0} - back) * {0} AS ws FROM src, ({1}) WHERE (ts / {0} - back) >= 0)'.format(advance * 1000, steps)
        return self.table(n, 'hop', weir, sqlite.replace('{source}', source))

    def session(self, n, e):
        gap = self.r.choice([1, 3, 10])
        by, aggs, where = self.r.choice(['a', 's', 'k']), self.aggregates(e, session=True), self.where(e)
        weir = 'SELECT %s, %s FROM src WHERE %s GROUP BY %s, SESSION(%ds, GRACE 3650d)' % (
            by, ', '.join('%s AS c%d' % (p.weir, i) for i, p in enumerate(aggs)), where.weir, by, gap)
        sqlite = '''SELECT {by}, MIN(ts), MAX(ts), {aggs} FROM (
            SELECT *, SUM(begins) OVER (PARTITION BY {by} ORDER BY ts, id) AS session FROM (
              SELECT *, ts - LAG(ts, 1, -999999999) OVER (PARTITION BY {by} ORDER BY ts, id) > {gap} AS begins FROM src
              WHERE {by} IS NOT NULL AND {where})) GROUP BY {by}, session'''.format(
            by=by, aggs=', '.join(p.sqlite for p in aggs), gap=gap * 1000, where=where.sqlite)
        return self.table(n, 'session', weir, sqlite)

    def of_table(self, n, e):
        """A count per count: the second table takes back what the first one said before."""
        by, outer = self.r.choice(['a', 's', 'k']), self.r.choice(['SUM(t)', 'COUNT(*)', 'AVG(t)', 'COUNT(t)'])
        where = self.where(e)
        inner = 'SELECT %s, COUNT(*) AS n, SUM(b) AS t FROM src WHERE %s GROUP BY %s'
        having = self.r.choice(['', ' HAVING COUNT(*) > 2', ' HAVING COUNT(*) < 5'])
        weir = ("CREATE TABLE p%d WITH (key_format='JSON', value_format='JSON') AS " % n + inner % (by, where.weir, by) + having +
                ";\nCREATE TABLE q%d WITH (key_format='JSON', value_format='JSON') AS SELECT n, %s AS x, COUNT(*) AS y FROM p%d GROUP BY n" %
                (n, outer, n))
        sqlite = 'SELECT n, IFNULL(%s, 0), COUNT(*) FROM (%s AND %s IS NOT NULL GROUP BY %s%s) GROUP BY n' % (
            outer, ('SELECT %s, COUNT(*) AS n, IFNULL(SUM(b), 0) AS t FROM src WHERE %s' % (by, where.sqlite)), by, by, having)
        return Query('of_table', weir, 'SELECT * FROM q%d WHERE y > 0' % n, sqlite)

    def latest(self, n, e):
        """The last row of each key, filtered, or grouped again."""
        where = self.where(e)
        last = '(SELECT * FROM src WHERE id IN (SELECT MAX(id) FROM src WHERE k IS NOT NULL GROUP BY k))'
        if self.r.random() < 0.5:
            item = self.not_bare(e.make(self.r.choice('ids'), 2))
            weir = 'SELECT k, %s AS x, id FROM last WHERE %s' % (item.weir, where.weir)
            sqlite = 'SELECT k, %s, id FROM %s WHERE %s' % (item.sqlite, last, where.sqlite)
        else:
            by, aggs = self.r.choice(['f', 's', 'a']), self.aggregates(e, table=True)
            weir = 'SELECT %s, COUNT(*) AS n, %s FROM last WHERE %s GROUP BY %s' % (
                by, ', '.join('%s AS c%d' % (p.weir, i) for i, p in enumerate(aggs)), where.weir, by)
            sqlite = 'SELECT %s, COUNT(*), %s FROM %s WHERE %s AND %s IS NOT NULL GROUP BY %s' % (
                by, ', '.join(p.sqlite for p in aggs), last, where.sqlite, by, by)
            return Query('latest', self.table(n, '', weir, '').create, 'SELECT * FROM q%d WHERE n > 0' % n, sqlite)
        return self.table(n, 'latest', weir, sqlite)

    # ---- both answers ----

    def script(self):
        columns = "(k STRING {}KEY, id BIGINT, a BIGINT, b BIGINT, d DOUBLE, s STRING, f BOOLEAN, ts BIGINT) WITH (kafka_topic='src', " \
                  "value_format='JSON', timestamp='ts', partitions=%d);\n" % self.partitions
        return ('CREATE STREAM src ' + columns.format('') + 'CREATE TABLE last ' + columns.format('PRIMARY ') +
                ''.join(q.create + ';\n' for q in self.queries if q.create))

    def answers(self, home):
        def weir(*arguments, stdin=b''):
            p = subprocess.run([self.weir, *arguments], cwd=home, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               timeout=patience(300))
            if p.returncode != 0:
                raise RuntimeError('weir %s ended with %d:\n%s' % (arguments[0], p.returncode, p.stderr.decode(errors='replace')))
            return p.stdout

        weir('produce', '--partitions', str(self.partitions), '--key-separator', '|', 'src', stdin=self.lines())
        with open(os.path.join(home, 'job.sql'), 'w') as f:
            f.write(self.script())
        weir('run', '--quiet', '--set', 'auto.offset.reset=earliest', '--until-end', 'job.sql')
        with open(os.path.join(home, 'ask.sql'), 'w') as f:
            f.write(''.join("SELECT '%d' AS marker FROM src LIMIT 1;\n%s;\n" % (n, q.select) for n, q in enumerate(self.queries)))
        out = weir('run', '--quiet', '--output', 'json', '--until-end', 'ask.sql')
        answers, rows = {}, None
        for line in out.decode().splitlines():
            row = json.loads(line)
            if 'MARKER' in row:
                rows = answers.setdefault(int(row['MARKER']), [])
            else:
                rows.append(list(row.values()))
        return answers

    def lines(self):
        return ''.join(('' if row['k'] is None else row['k'] + '|') + json.dumps({c: v for c, v in row.items() if c != 'k'}) + '\n'
                       for row in self.rows).encode()

    def oracle(self):
        db = sqlite3.connect(':memory:')
        db.execute('PRAGMA case_sensitive_like = ON')
        for name, arguments, made in (('first_of', 2, First), ('last_of', 2, Last), ('top', 2, Top), ('top_distinct', 2, TopDistinct)):
            db.create_aggregate(name, arguments, made)
        db.execute('CREATE TABLE src (k TEXT, id INTEGER, a INTEGER, b INTEGER, d REAL, s TEXT, f INTEGER, ts INTEGER)')
        db.executemany('INSERT INTO src VALUES (:k, :id, :a, :b, :d, :s, :f, :ts)', self.rows)
        return {n: db.execute(q.oracle).fetchall() for n, q in enumerate(self.queries)}


def plain(row):
    """Values that compare alike: true is 1, a list is its text."""
    return tuple(json.dumps(v) if isinstance(v, list) else int(v) if isinstance(v, bool) else v for v in row)


def run(batch):
    """The differences, as text."""
    home, wrong = tempfile.mkdtemp(prefix='weir-differential-'), []
    try:
        got, wanted = batch.answers(home), batch.oracle()
        for n, q in enumerate(batch.queries):
            ours, theirs = (collections.Counter(map(plain, rows)) for rows in (got.get(n, []), wanted[n]))
            if ours != theirs:
                wrong.append('seed %d, query %d (%s)\n  weir    %s\n  SQLite  %s\n  only weir    %s\n  only SQLite  %s' % (
                    batch.seed, n, q.kind, q.create or q.select, q.oracle, list((ours - theirs).items())[:4],
                    list((theirs - ours).items())[:4]))
    except (RuntimeError, subprocess.TimeoutExpired, sqlite3.Error) as e:
        wrong.append('seed %d: %s' % (batch.seed, e))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return wrong


def main():
    o = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    o.add_argument('--weir', required=True, help='the binary')
    o.add_argument('--count', type=int, default=1000, help='how many queries')
    o.add_argument('--seed', type=int, default=int(time.time()), help='of the first batch; the next have the numbers behind it')
    o = o.parse_args()
    wrong, asked, seed = [], 0, o.seed
    while asked < o.count:
        batch = Batch(seed, min(BATCH, o.count - asked), o.weir)
        wrong += run(batch)
        asked += batch.count
        seed += 1
    for text in wrong[:20]:
        print(text)
    print('%d queries, seeds %d to %d: %d differences' % (asked, o.seed, seed - 1, len(wrong)))
    sys.exit(1 if wrong else 0)


main()
