#!/usr/bin/env python3
"""A disk that fails at the nth call: faults.py --weir build/release/weir --shim build/release/tests/libfault_shim.so [--all]

A job on the embedded log (CREATE STREAM, a table that counts, keyed rows, pull queries) is run with one write, sync or truncation of
its files failing, at each in turn (--all) or at some, chosen by --seed: once with EIO or ENOSPC or half of what was to be written,
or from then on until the disk is well again. Each time: no crash, no hang; what failed says what and where, or was survived; and
once the disk is well the table is what this program computes from the rows: nothing is lost, nothing counted twice."""
import argparse
import collections
import errno
import http.client
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from patience import patience

o = argparse.ArgumentParser(description=__doc__)
o.add_argument('--weir', required=True)
o.add_argument('--shim', required=True)
o.add_argument('--all', action='store_true')
o.add_argument('--seed', type=int, default=int(time.time()))
o.add_argument('--only', help='cases whose name contains this')
o = o.parse_args()
WEIR, SHIM = os.path.abspath(o.weir), os.path.abspath(o.shim)
SLOW = patience(30)  # seconds until something is said to hang
SOURCE = "CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON', partitions=2);"
TABLE = 'CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k;'
ROWS = [('k%d' % (i * 7 % 11), i) for i in range(60)]
KINDS = {'EIO once': (errno.EIO, False), 'ENOSPC once': (errno.ENOSPC, False), 'half once': (0, False),
         'EIO for a while': (errno.EIO, True), 'ENOSPC for a while': (errno.ENOSPC, True)}


def lines(rows):
    return ''.join('%s:{"v":%d}\n' % row for row in rows).encode()


def oracle(rows):
    n, total = collections.Counter(), collections.Counter()
    for k, v in rows:
        n[k] += 1
        total[k] += v
    return sorted([k, n[k], total[k]] for k in n)


class Disk:
    """What the shim is told, and tells."""

    def __init__(self, path):
        self.path = path
        with open(path, 'wb') as f:
            f.write(bytes(20))

    def words(self):
        with open(self.path, 'rb') as f:
            return struct.unpack('5I', f.read())

    def fail(self, after, code, lasts):
        """The call that comes after so many more, and all others from there on if it lasts. Those seen are counted from now on."""
        with open(self.path, 'r+b', buffering=0) as f:
            f.write(struct.pack('5I', 0, after, 2 ** 32 - 1 if lasts else after, code, 0))

    def heal(self):
        with open(self.path, 'r+b', buffering=0) as f:
            f.seek(4)
            f.write(struct.pack('2I', 0, 0))

    calls = property(lambda self: self.words()[0])
    failed = property(lambda self: self.words()[4])


def ended(p, out, err):
    """The end of a process that a fault met: well, or with a word about what and where."""
    assert p.returncode in (0, 1), 'status %d\n%s' % (p.returncode, err)
    assert p.returncode == 0 or explains(err), 'no word of what failed and where:\n%s' % err


def explains(text):
    return re.search(r'storage|runtime', text) and 'weir-data' in text and re.search(r'cannot [a-z]+', text)


class Home:
    def __init__(self, template=None):
        self.path = tempfile.mkdtemp(prefix='weir-faults-')
        self.started = []
        self.disk = Disk(os.path.join(self.path, 'control'))
        if template is not None:
            shutil.copytree(os.path.join(template.path, 'weir-data'), os.path.join(self.path, 'weir-data'))
        self.file('rows', lines(ROWS))
        self.file('source.sql', SOURCE.encode())
        self.file('job.sql', (SOURCE + '\n' + TABLE).encode())

    def file(self, name, content):
        with open(os.path.join(self.path, name), 'wb') as f:
            f.write(content)

    def start(self, *arguments, faulty=False):
        env = dict(os.environ)
        if faulty:
            env.update(LD_PRELOAD=SHIM, FAULT_CONTROL=self.disk.path, FAULT_DIR=self.path)
        self.started.append(subprocess.Popen([WEIR, *arguments], cwd=self.path, env=env, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return self.started[-1]

    def weir(self, *arguments):
        p = self.start(*arguments)
        out, err = p.communicate(timeout=SLOW)
        assert p.returncode == 0, 'without a fault, weir %s: status %d\n%s' % (arguments, p.returncode, err.decode())
        return out.decode()

    def run(self, name):
        return self.weir(*RUN, name)

    def table(self):
        out = self.weir('query', '--output', 'json', 'SELECT k, n, total FROM t;')
        return sorted(list(json.loads(line).values()) for line in out.splitlines())

    def last_words(self):
        """Of processes that are still there: none should be."""
        for p in self.started:
            if p.poll() is None:
                p.kill()
                print('it still ran: %s\n%s' % (' '.join(p.args[1:]), p.communicate()[1].decode()[-2000:]))

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


RUN = ('run', '--quiet', '--set', 'auto.offset.reset=earliest', '--until-end')
PRODUCE = ('produce', 's', '--key-separator', ':')


def faulty(h, arguments, lasts):
    """A process with a fault under way. A disk that stays ill is healed once it was met, and a while has passed."""
    p = h.start(*arguments, faulty=True)
    if lasts:
        end = time.time() + SLOW
        while p.poll() is None and h.disk.failed == 0 and time.time() < end:
            time.sleep(0.001)
        time.sleep(0.1)
        h.disk.heal()
    out, err = (x.decode() for x in p.communicate(timeout=SLOW))
    ended(p, out, err)
    return p.returncode, out, err


# ---- what is run; each is given a home prepared without faults, and leaves one where the job can be finished ----

def create(h, lasts):
    """The data directory, the stream and the table."""
    faulty(h, (*RUN, 'job.sql'), lasts)
    h.run('job.sql')
    h.weir(*PRODUCE, 'rows')


def produce(h, lasts):
    status, out, err = faulty(h, (*PRODUCE, 'rows'), lasts)
    taken = len(ROWS)
    if status != 0:
        told = re.search(r'the first (\d+) lines are in the topic', err)
        taken = int(told.group(1)) if told else 0
    h.file('rest', lines(ROWS[taken:]))
    h.weir(*PRODUCE, 'rest')


def compute(h, lasts):
    faulty(h, (*RUN, 'job.sql'), lasts)


class Server:
    def __init__(self, h):
        self.process = h.start('server', '--listen', '127.0.0.1:0', '--announce-ready', '--set', 'auto.offset.reset=earliest', faulty=True)
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(':', 1)[1]) if line.startswith('LISTENING ') else None

    def ask(self, path, sql):
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=SLOW)
        c.request('POST', path, json.dumps({'ksql': sql}))
        r = c.getresponse()
        got = json.loads(r.read())
        c.close()
        return r.status, got

    def rows(self, table='t'):
        status, got = self.ask('/query', 'SELECT k, n, total FROM %s;' % table)
        return sorted(x['row']['columns'] for x in got if 'row' in x) if status == 200 else None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = (x.decode() for x in self.process.communicate(timeout=SLOW))
        ended(self.process, out, err)
        return err


SERVER_ROWS = ROWS[:8]
SERVER_STATEMENTS = [SOURCE, TABLE] + ["INSERT INTO s (k, v) VALUES ('%s', %d);" % row for row in SERVER_ROWS]


def serve(h, lasts):
    """One process for all: what fails is tried again there, and nothing is started anew."""
    s = Server(h)
    if s.port is None:
        out, err = (x.decode() for x in s.process.communicate(timeout=SLOW))
        ended(s.process, out, err)
        h.disk.heal()
        s = Server(h)
    for sql in SERVER_STATEMENTS:
        end = time.time() + SLOW
        while True:
            status, got = s.ask('/ksql', sql)
            if status == 200:
                break
            message = got['message']
            if 'exists' in message:     # it was made, though what came after failed
                break
            assert explains('storage: ' + message), message
            assert time.time() < end, message
            if h.disk.failed > 0 and lasts:
                time.sleep(0.05)
                h.disk.heal()
    end = time.time() + patience(10)
    while s.rows() != oracle(SERVER_ROWS):
        if h.disk.failed > 0:       # met by a statement, or by the query's own commits since
            h.disk.heal()
        queries = json.dumps(s.ask('/ksql', 'SHOW QUERIES EXTENDED;')[1])
        assert time.time() < end, 'it has %s\n%s\n%s' % (s.rows(), queries, s.stop())
        time.sleep(0.01)
    h.messages = s.stop()


def late_start(h):
    """A fault that meets a query's start, its statement being written down already: the statement says so, and so does the server; the
    query starts by itself once the disk is well."""
    s, waited = Server(h), None
    s.ask('/ksql', SOURCE)
    s.ask('/ksql', "INSERT INTO s (k, v) VALUES ('a', 1);")
    for n in range(1, 100):
        h.disk.fail(n, errno.ENOSPC, False)
        status, got = s.ask('/ksql', TABLE.replace('TABLE t', 'TABLE t%d' % n))
        is_met = h.disk.failed > 0
        h.disk.heal()
        told = got['message'] if status != 200 else got[0]['commandStatus']['message']
        if not is_met or 'waits and tries again' in told:
            waited = n if is_met else None
            break
    assert waited is not None, 'no start was met: ' + told
    assert 'No space left on device' in told and 'weir-data' in told, told
    queries = s.ask('/ksql', 'SHOW QUERIES;')[1][0]['queries']
    id = [q['id'] for q in queries if 'T%d' % waited in q['sinks']][0]
    end = time.time() + SLOW
    while ['a', 1, 1] not in (s.rows('t%d' % waited) or []):
        assert time.time() < end, 'it did not start: ' + json.dumps(s.ask('/ksql', 'EXPLAIN %s;' % id)[1])
        time.sleep(0.02)
    said = s.stop()
    assert 'query %s waits and tries again: storage' % id in said and 'query %s goes on' % id in said, said


def half_way(h):
    """Each call of a commit fails, its last among them, after which LMDB begins no transaction any more: the very next commits, reads and
    the query go on in the same process, beside a look-up that is kept, and count what was acknowledged."""
    s, taken = Server(h), 0
    counted = lambda: [x['row']['columns'] for x in s.ask('/query', "SELECT n FROM t WHERE k = 'a';")[1] if 'row' in x]
    for sql in SOURCE, TABLE:
        assert s.ask('/ksql', sql)[0] == 200
    for n in range(1, 12):
        for code in errno.EIO, errno.ENOSPC, 0:
            h.disk.fail(n, code, False)
            status, got = s.ask('/ksql', "INSERT INTO s (k, v) VALUES ('a', 1);")
            h.disk.heal()
            assert status == 200 or explains('storage: ' + got['message']), got
            taken += status == 200
            end = time.time() + 10
            while counted() != [[taken]][:taken]:
                assert time.time() < end, '%d taken: %s, %s\n%s' % (taken, s.ask('/query', "SELECT n FROM t WHERE k = 'a';"), s.rows(), json.dumps(s.ask('/ksql', 'SHOW QUERIES EXTENDED;')[1]))
                time.sleep(0.01)
    assert 0 < taken < 33, taken
    s.stop()


class Case:
    def __init__(self, work, prepare, rows=ROWS):
        self.work, self.prepare, self.rows = work, prepare, rows
        self.template = Home()
        prepare(self.template)
        h = Home(self.template) if os.path.exists(os.path.join(self.template.path, 'weir-data')) else Home()
        h.disk.fail(0, 0, False)
        work(h, False)
        self.calls = h.disk.calls
        self.finish(h)
        h.remove()

    def finish(self, h):
        if self.rows is ROWS:
            h.run('job.sql')
            h.run('job.sql')    # what is done is not done again
        got = h.table()
        assert got == oracle(self.rows), 'the table is %s, not %s' % (got, oracle(self.rows))

    def fault(self, at, kind):
        code, lasts = KINDS[kind]
        h = Home(self.template) if os.path.exists(os.path.join(self.template.path, 'weir-data')) else Home()
        h.disk.fail(at, code, lasts)
        try:
            self.work(h, lasts)
            met = h.disk.failed > 0
            self.finish(h)
            h.remove()
            return met
        except Exception as e:
            print('FAILED  %s, call %d of %d: %s (%s)\n%s: %s' % (self.work.__name__, at, self.calls, kind, h.path, type(e).__name__, e))
            h.last_words()
            return None


def prepared(*steps):
    return lambda h: [step(h) for step in steps]


def main():
    source, rows = lambda h: h.run('source.sql'), lambda h: h.weir(*PRODUCE, 'rows')
    cases = [Case(create, prepared()), Case(produce, prepared(source)), Case(compute, prepared(source, rows)),
             Case(serve, prepared(), SERVER_ROWS)]
    every = [(c, at, kind) for c in cases for at in range(1, c.calls + 1) for kind in KINDS]
    chosen = [x for x in every if o.only is None or o.only in x[0].work.__name__]
    if not o.all:
        print('seed %d' % o.seed)
        chosen = random.Random(o.seed).sample(chosen, min(24, len(chosen)))
    print(', '.join('%s: %d calls' % (c.work.__name__, c.calls) for c in cases))
    results = [c.fault(at, kind) for c, at, kind in chosen]
    for c in cases:
        c.template.remove()
    for work in late_start, half_way:
        h = Home()
        try:
            work(h)
            h.remove()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            h.last_words()
            results.append(None)
    print('%d faults met, %d not come to, %d failed' % (results.count(True), results.count(False), results.count(None)))
    sys.exit(1 if None in results else 0)


main()
