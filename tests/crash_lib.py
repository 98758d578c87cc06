"""What crash_local.py and crash_kafka.py share: kill -9 a running job at random moments while records come in, start the
same script again, and at the end compare what it wrote with a batch computation of what is in its input topic.

The job counts and sums per key with every change emitted, so each key's counts must be exactly 1, 2, ... N: a lost record,
a doubled one or one out of order shows. A second table groups by another column and goes through an exchange; others
count in windows, hopping ones and sessions. Two tables that change all the time are joined by key and by a foreign key: in the
end each holds what a join of the last rows gives. A stream meets a table that does not change, and the stream of the changes."""
import argparse
import collections
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from patience import patience

JOB = """
CREATE STREAM events (k STRING KEY, v INT) WITH (kafka_topic='{p}events', value_format='JSON', partitions=2);
CREATE TABLE counts WITH (kafka_topic='{p}counts', value_format='JSON') AS
  SELECT k, COUNT(*) AS n, SUM(v) AS total FROM events GROUP BY k;
CREATE TABLE by_value WITH (kafka_topic='{p}by_value', value_format='JSON') AS
  SELECT v, COUNT(*) AS n FROM events GROUP BY v;
CREATE TABLE in_windows WITH (kafka_topic='{p}in_windows', value_format='JSON') AS
  SELECT k, COUNT(*) AS n, WINDOWSTART AS ws FROM events GROUP BY k, TUMBLING(1s, GRACE 1d);
CREATE TABLE in_hops WITH (kafka_topic='{p}in_hops', value_format='JSON') AS
  SELECT k, COUNT(*) AS n, WINDOWSTART AS ws FROM events GROUP BY k, HOPPING(3s, 1s, GRACE 1d);
SET 'repartition.in.memory'='false';
CREATE TABLE in_sessions WITH (kafka_topic='{p}in_sessions', value_format='JSON') AS
  SELECT v, AS_VALUE(v) AS vv, COUNT(*) AS n FROM events GROUP BY v, SESSION(20ms, GRACE 1d);
UNSET 'repartition.in.memory';
CREATE TABLE names (v INT PRIMARY KEY, name STRING) WITH (kafka_topic='{p}names', key_format='KAFKA', value_format='JSON', partitions=2);
{inserts}CREATE TABLE people (id STRING PRIMARY KEY, city STRING, age INT) WITH (kafka_topic='{p}people', value_format='JSON', partitions=2);
CREATE TABLE cities (city STRING PRIMARY KEY, area INT) WITH (kafka_topic='{p}cities', value_format='JSON', partitions=2);
CREATE TABLE jobs (id STRING PRIMARY KEY, job INT) WITH (kafka_topic='{p}jobs', value_format='JSON', partitions=2);
CREATE STREAM moves (id STRING KEY, city STRING, age INT) WITH (kafka_topic='{p}people', value_format='JSON', partitions=2);
CREATE STREAM work (id STRING KEY, job INT) WITH (kafka_topic='{p}jobs', value_format='JSON', partitions=2);
CREATE STREAM named WITH (kafka_topic='{p}named', value_format='JSON') AS
  SELECT events.v AS v, k, name FROM events JOIN names ON events.v = names.v;
CREATE TABLE both WITH (kafka_topic='{p}both', value_format='JSON') AS
  SELECT people.id AS id, city, age, job FROM people LEFT JOIN jobs ON people.id = jobs.id;
CREATE TABLE living WITH (kafka_topic='{p}living', value_format='JSON') AS
  SELECT people.id AS id, age, people.city AS c, area FROM people JOIN cities ON people.city = cities.city;
CREATE STREAM met WITH (kafka_topic='{p}met', value_format='JSON') AS
  SELECT moves.id AS id, age, job FROM moves JOIN work WITHIN 1 DAY GRACE PERIOD 1 DAY ON moves.id = work.id;
"""
READY_S, END_S = patience(120), patience(300)


def options(what):
    o = argparse.ArgumentParser(description=what)
    o.add_argument('--weir', required=True, help='the binary')
    o.add_argument('--rounds', type=int, default=20, help='how often it is killed')
    o.add_argument('--seed', type=int, default=int(time.time()), help='of the random moments')
    o.add_argument('--keys', type=int, default=40)
    o.add_argument('--keep', action='store_true', help='leave the data directory behind')
    return o


class Crash:
    def __init__(self, o, where, prefix):
        self.weir, self.where, self.prefix = os.path.abspath(o.weir), where, prefix
        self.random = random.Random(o.seed)
        self.rounds, self.keys = o.rounds, o.keys
        self.home = tempfile.mkdtemp(prefix='weir-crash-')
        self.keep = o.keep
        self.script = os.path.join(self.home, 'job.sql')
        with open(self.script, 'w') as f:
            f.write(JOB.format(p=prefix, inserts=''.join("INSERT INTO names (ROWTIME, v, name) VALUES (0, %d, 'n%d');\n" % (i, i) for i in range(10))))
        self.acknowledged = self.table_rows = 0
        self.stopping = threading.Event()
        self.trouble = None
        self.log = open(os.path.join(self.home, 'stderr'), 'ab')

    def common(self):
        return ['--data', os.path.join(self.home, 'data')] + self.where

    def start(self, *more):
        return subprocess.Popen([self.weir, 'run', *self.common(), '--quiet', '--threads', str(self.random.choice((1, 2))), '--set', 'emit=every-change',
                                 '--set', 'auto.offset.reset=earliest', '--announce-ready', *more, self.script],
                                stdout=subprocess.PIPE, stderr=self.log)

    # ---- load ----

    def produce(self, lines, topic='events', may_kill=True):
        """The producer is killed now and then as well."""
        p = subprocess.Popen([self.weir, 'produce', *self.common(), '--partitions', '2', '--key-separator', ':',
                              '--null', '-', self.prefix + topic], stdin=subprocess.PIPE, stderr=self.log)
        kill = threading.Timer(self.random.uniform(0.001, 0.05), p.kill) if may_kill and self.random.random() < 0.05 else None
        if kill:
            kill.start()
        try:
            p.communicate(''.join(lines).encode())
        except BrokenPipeError:
            pass
        if kill:
            kill.cancel()
        if p.returncode == 0:
            self.acknowledged += len(lines) if topic == 'events' else 0
        elif p.returncode != -signal.SIGKILL:
            raise RuntimeError('weir produce ended with %d' % p.returncode)

    def load_tables(self):
        """The numbers say which row it was: a join of any two rows shows."""
        number = itertools.count(self.table_rows)
        people = ['p%d:{"city":"c%d","age":%d}\n' % (self.random.randrange(30), self.random.randrange(12), next(number))
                  if self.random.random() < 0.8 else 'p%d:-\n' % self.random.randrange(30) for _ in range(self.random.choice([1, 5, 20]))]
        jobs = ['p%d:{"job":%d}\n' % (self.random.randrange(30), next(number)) for _ in range(self.random.choice([1, 3]))]
        cities = ['c%d:{"area":%d}\n' % (self.random.randrange(12), next(number))
                  if self.random.random() < 0.8 else 'c%d:-\n' % self.random.randrange(12) for _ in range(self.random.choice([0, 1, 3]))]
        self.table_rows = next(number)
        for topic, lines in [('people', people), ('jobs', jobs), ('cities', cities)]:
            if lines:
                self.produce(lines, topic)

    def load(self):
        try:
            while not self.stopping.is_set():
                count = self.random.choice([1, 10, 100, 1000])
                self.produce(['k%d:{"v":%d}\n' % (self.random.randrange(self.keys), self.random.randrange(10))
                              for _ in range(count)])
                self.load_tables()
                time.sleep(self.random.uniform(0, 0.02))
        except Exception as e:
            self.trouble = e

    # ---- rounds ----

    def one_round(self):
        p = self.start()
        after_ready = self.random.random() < 0.8
        if after_ready:
            guard = threading.Timer(READY_S, p.kill)
            guard.start()
            line = p.stdout.readline()
            guard.cancel()
            if not line.startswith(b'READY'):
                raise RuntimeError('weir run did not become ready: status %s (see %s/stderr)' % (p.wait(), self.home))
        time.sleep(patience(self.random.uniform(0, 0.5 if after_ready else 0.1)))
        if p.poll() is not None:
            raise RuntimeError('weir run ended by itself: status %d (see %s/stderr)' % (p.returncode, self.home))
        p.kill()
        p.wait()
        p.stdout.close()

    def finish(self):
        p = self.start('--until-end')
        try:
            p.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            p.kill()
            raise RuntimeError('the last run did not come to its end in %d s' % END_S)
        if p.returncode != 0:
            raise RuntimeError('the last run ended with %d (see %s/stderr)' % (p.returncode, self.home))

    # ---- comparison ----

    def consume(self, topic):
        out = subprocess.run([self.weir, 'consume', *self.common(), '--from-beginning', '--until-end', '--output', 'json',
                              self.prefix + topic], stdout=subprocess.PIPE, stderr=self.log, check=True, timeout=END_S).stdout
        return [json.loads(line) for line in out.splitlines()]

    def compare(self):
        wrong = []
        events = self.consume('events')
        if len(events) < self.acknowledged:
            wrong.append('%d records were acknowledged, %d are in the topic' % (self.acknowledged, len(events)))
        expected, by_value, windows = {}, collections.Counter(), collections.Counter()
        for e in events:
            n, total = expected.get(e['key'], (0, 0))
            v = json.loads(e['value'])['v']
            expected[e['key']] = (n + 1, total + v)
            by_value[v] += 1
            windows[e['key'], e['timestamp'] // 1000 * 1000] += 1

        seen = {}
        for r in self.consume('counts'):
            value = json.loads(r['value'])
            before = seen.get(r['key'], (0, 0))
            if value['N'] != before[0] + 1:
                wrong.append('key %s: after count %d came %d (partition %d, offset %d)' %
                             (r['key'], before[0], value['N'], r['partition'], r['offset']))
            seen[r['key']] = (value['N'], value['TOTAL'])
        for key in sorted(set(expected) | set(seen)):
            if expected.get(key) != seen.get(key):
                wrong.append('key %s: %s, a batch gives %s' % (key, seen.get(key), expected.get(key)))

        # Keys of these are binary, so a sequence is told from its values: for each count, how many groups reached it.
        reached = collections.Counter(json.loads(r['value'])['N'] for r in self.consume('by_value'))
        wanted = collections.Counter(i for n in by_value.values() for i in range(1, n + 1))
        if reached != wanted:
            wrong.append('the exchanged table has %d rows, %d are right; counts that differ: %s' %
                         (sum(reached.values()), sum(wanted.values()), sorted((reached - wanted) + (wanted - reached))[:10]))
        reached = collections.Counter((lambda v: (v['WS'], v['N']))(json.loads(r['value'])) for r in self.consume('in_windows'))
        wanted = collections.Counter((w, i) for (_, w), n in windows.items() for i in range(1, n + 1))
        if reached != wanted:
            wrong.append('the windowed table has %d rows, %d are right' % (sum(reached.values()), sum(wanted.values())))
        self.compare_windows(events, wrong)
        self.compare_joins(events, wrong)
        return len(events), wrong

    def differ(self, what, found, wanted, wrong):
        both = (found - wanted) + (wanted - found)
        if both:
            wrong.append('%s: %d rows, %d are right; these differ: %s' %
                         (what, sum(found.values()), sum(wanted.values()), sorted(map(str, both))[:6]))

    def compare_windows(self, events, wrong):
        hops, by_value = collections.Counter(), collections.defaultdict(list)
        for e in events:
            second = e['timestamp'] // 1000 * 1000
            for start in (second - 2000, second - 1000, second):
                hops[e['key'], start] += 1
            by_value[json.loads(e['value'])['v']].append(e['timestamp'])
        found = collections.Counter((lambda v: (v['WS'], v['N']))(json.loads(r['value'])) for r in self.consume('in_hops'))
        self.differ('hopping windows', found,
                    collections.Counter((w, i) for (_, w), n in hops.items() for i in range(1, n + 1)), wrong)
        sessions = collections.Counter()
        for v, times in by_value.items():
            times.sort()
            start = 0
            for i in range(1, len(times) + 1):
                if i == len(times) or times[i] - times[i - 1] > 20:
                    sessions[v, i - start] += 1
                    start = i
        last = {}
        for r in self.consume('in_sessions'):
            last[json.dumps(r['key'])] = r['value']
        self.differ('sessions', collections.Counter((v['VV'], v['N']) for v in map(json.loads, filter(None, last.values()))),
                    sessions, wrong)

    def last_rows(self, topic):
        """What a table of the topic holds in the end."""
        rows = {}
        for r in self.consume(topic):
            if r['value'] is None:
                rows.pop(r['key'], None)
            else:
                rows[r['key']] = json.loads(r['value'])
        return rows

    def compare_joins(self, events, wrong):
        people, jobs, cities = (self.last_rows(t) for t in ('people', 'jobs', 'cities'))
        self.differ('stream-table join', collections.Counter((v['K'], v['NAME']) for v in
                    (json.loads(r['value']) for r in self.consume('named'))),
                    collections.Counter((e['key'], 'n%d' % json.loads(e['value'])['v']) for e in events), wrong)
        self.differ('table-table join', collections.Counter((k, v['CITY'], v['AGE'], v['JOB']) for k, v in self.last_rows('both').items()),
                    collections.Counter((k, v['city'], v['age'], jobs.get(k, {}).get('job')) for k, v in people.items()), wrong)
        self.differ('foreign-key join', collections.Counter((k, v['AGE'], v['C'], v['AREA']) for k, v in self.last_rows('living').items()),
                    collections.Counter((k, v['age'], v['city'], cities[v['city']]['area']) for k, v in people.items()
                                        if v['city'] in cities), wrong)
        ages, works = collections.defaultdict(list), collections.defaultdict(list)
        for rows, topic, column in [(ages, 'people', 'age'), (works, 'jobs', 'job')]:
            for r in self.consume(topic):
                if r['value']:
                    rows[r['key']].append(json.loads(r['value'])[column])
        self.differ('stream-stream join', collections.Counter((v['AGE'], v['JOB']) for v in
                    (json.loads(r['value']) for r in self.consume('met'))),
                    collections.Counter((a, j) for k in ages for a in ages[k] for j in works[k]), wrong)

    def run(self):
        began = time.time()
        self.produce(['k0:{"v":0}\n'], may_kill=False)
        for topic in ['people', 'jobs', 'cities']:
            self.produce(['x:-\n'], topic, may_kill=False)
        loader = threading.Thread(target=self.load)
        loader.start()
        try:
            for i in range(self.rounds):
                self.one_round()
                if self.trouble:
                    raise self.trouble
                if (i + 1) % 10 == 0:
                    print('%d rounds, %d records, %d s' % (i + 1, self.acknowledged, time.time() - began), flush=True)
        finally:
            self.stopping.set()
            loader.join()
        self.finish()
        events, wrong = self.compare()
        for line in wrong[:20]:
            print(line)
        print('%d kills, %d records: %s' % (self.rounds, events, '%d differences' % len(wrong) if wrong else 'nothing lost, nothing doubled'))
        return not wrong

    def close(self, passed):
        self.log.close()
        if passed and not self.keep:
            shutil.rmtree(self.home, ignore_errors=True)
        else:
            print('data and messages are in ' + self.home)


def main(crash):
    passed = False
    try:
        passed = crash.run()
    except (RuntimeError, subprocess.SubprocessError) as e:
        print(e)
        crash.log.flush()
        with open(os.path.join(crash.home, 'stderr'), 'rb') as f:
            sys.stdout.write(f.read()[-2000:].decode(errors='replace'))
    crash.close(passed)
    print('1 passed, 0 failed' if passed else '0 passed, 1 failed')
    sys.exit(0 if passed else 1)
