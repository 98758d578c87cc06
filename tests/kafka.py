#!/usr/bin/env python3
"""What users do on a Kafka broker: kafka.py WEIR, with the broker's address in WEIR_TEST_BROKER."""
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

WEIR = os.path.abspath(sys.argv[1])
BROKER = os.environ.get('WEIR_TEST_BROKER') or sys.exit('kafka.py: WEIR_TEST_BROKER does not name a broker')
TESTS = []


def test(f):
    TESTS.append(f)
    return f


class Home:
    """A data directory, a service and a prefix of topics that nobody else has."""

    def __init__(self, name):
        self.path = tempfile.mkdtemp(prefix='weir-kafka-')
        self.name = 'test-%s-%d-%d' % (name.replace('_', '-'), os.getpid(), time.time())
        self.common = ['--kafka', BROKER, '--service', self.name, '--data', os.path.join(self.path, 'data'),
                       '-D', 'p=' + self.name + '-']

    def topic(self, name):
        return self.name + '-' + name

    def weir(self, command, *arguments, status=0, stdin=''):
        p = subprocess.run([WEIR, command, *self.common, *arguments], cwd=self.path, input=stdin.encode(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180)
        out, err = p.stdout.decode(), p.stderr.decode(errors='replace')
        assert p.returncode == status, 'status %d, not %d: %s %s\n%s%s' % (p.returncode, status, command, arguments, out, err)
        return out

    def run(self, sql, *arguments):
        path = os.path.join(self.path, 'job.sql')
        with open(path, 'w') as f:
            f.write(sql)
        return self.weir('run', '--set', 'auto.offset.reset=earliest', '--until-end', *arguments, path)

    def records(self, topic):
        out = self.weir('consume', '--from-beginning', '--until-end', '--output', 'json', self.topic(topic))
        return [json.loads(line) for line in out.splitlines()]


def equal(got, wanted):
    assert got == wanted, 'got\n%s\nwanted\n%s' % (got, wanted)


@test
def produce_and_consume(h):
    h.weir('produce', h.topic('t'), '--partitions', '2', '--key-separator', ':', stdin='a:1\nb:2\nnokey\na:3\n')
    records = h.records('t')
    equal(sorted((r['key'] or '', r['value']) for r in records), [('', 'nokey'), ('a', '1'), ('a', '3'), ('b', '2')])
    equal(h.weir('consume', '--until-end', h.topic('t')), '')


@test
def filter_and_project(h):
    h.weir('produce', h.topic('s'), '--key-separator', ':', stdin=''.join('k%d:{"v":%d}\n' % (i % 3, i) for i in range(1000)))
    h.run("CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='JSON');\n"
          "CREATE STREAM big WITH (kafka_topic='${p}big') AS SELECT k, v * 2 AS w FROM s WHERE v >= 990;")
    equal([(r['key'], r['value']) for r in h.records('big')], [('k%d' % (i % 3), '{"W":%d}' % (2 * i)) for i in range(990, 1000)])


@test
def aggregate_behind_an_exchange(h):
    numbers = random.Random(1)
    rows = [('k%d' % numbers.randrange(50), 'g%d' % numbers.randrange(9), numbers.randrange(100)) for _ in range(5000)]
    h.weir('produce', h.topic('s'), '--partitions', '4', '--key-separator', ':',
           stdin=''.join('%s:{"g":"%s","v":%d}\n' % row for row in rows))
    h.run("CREATE STREAM s (k STRING KEY, g STRING, v INT) WITH (kafka_topic='${p}s', value_format='JSON');\n"
          "CREATE TABLE t WITH (kafka_topic='${p}t') AS SELECT g, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY g;")
    expected = {}
    for _, g, v in rows:
        n, total = expected.get(g, (0, 0))
        expected[g] = (n + 1, total + v)
    last = {r['key']: json.loads(r['value']) for r in h.records('t')}
    equal({g: (v['N'], v['TOTAL']) for g, v in last.items()}, expected)
    out = h.weir('query', '--output', 'csv', 'SELECT g, n FROM t ORDER BY g;')
    equal(out, 'G,N\n' + ''.join('%s,%d\n' % (g, expected[g][0]) for g in sorted(expected)))


@test
def until_end_sees_what_was_just_committed(h):
    """A commit returns before its markers are in the partitions: the end that a later stage waits for must not be taken
    in between."""
    for i in range(5):
        h.weir('produce', h.topic('s%d' % i), '--partitions', '4', '--key-separator', ':',
               stdin=''.join('k%d:{"g":"g%d"}\n' % (n % 50, n % 9) for n in range(2000)))
        h.run("CREATE STREAM s%d (k STRING KEY, g STRING) WITH (kafka_topic='${p}s%d', value_format='JSON');\n"
              "CREATE TABLE t%d WITH (kafka_topic='${p}t%d') AS SELECT g, COUNT(*) AS n FROM s%d GROUP BY g;" % (i, i, i, i, i),
              '--threads', '1')
        last = {r['key']: json.loads(r['value'])['N'] for r in h.records('t%d' % i)}
        equal(sum(last.values()), 2000)


@test
def going_on_after_a_stop(h):
    job = ("CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='JSON');\n"
           "CREATE TABLE t WITH (kafka_topic='${p}t') AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;")
    for i in range(3):
        h.weir('produce', h.topic('s'), '--key-separator', ':', stdin='a:{"v":1}\nb:{"v":1}\na:{"v":1}\n')
        h.run(job, '--set', 'emit=every-change')
    counts = collections.defaultdict(list)
    for r in h.records('t'):
        counts[r['key']].append(json.loads(r['value'])['N'])
    equal(dict(counts), {'a': [1, 2, 3, 4, 5, 6], 'b': [1, 2, 3]})


@test
def state_that_is_lost_comes_back(h):
    """The changelog is the truth: without the data directory the counts go on all the same."""
    job = ("CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='JSON');\n"
           "CREATE TABLE t WITH (kafka_topic='${p}t') AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;")
    h.weir('produce', h.topic('s'), '--key-separator', ':', stdin='a:{"v":1}\n' * 10)
    h.run(job)
    shutil.rmtree(os.path.join(h.path, 'data'))
    h.weir('produce', h.topic('s'), '--key-separator', ':', stdin='a:{"v":1}\n' * 5)
    h.run(job)
    equal(json.loads(h.records('t')[-1]['value']), {'N': 15})


@test
def a_running_engine_answers_and_stops(h):
    path = os.path.join(h.path, 'job.sql')
    with open(path, 'w') as f:
        f.write("CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='JSON', partitions=1);\n"
                "CREATE TABLE t WITH (kafka_topic='${p}t') AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;")
    engine = subprocess.Popen([WEIR, 'run', *h.common, '--quiet', '--announce-ready', path], stdout=subprocess.PIPE)
    try:
        assert engine.stdout.readline().startswith(b'READY')
        h.weir('produce', h.topic('s'), '--key-separator', ':', stdin='a:{"v":1}\na:{"v":1}\n')
        for _ in range(100):
            out = h.weir('query', '--output', 'csv', "SELECT n FROM t WHERE k = 'a';")
            if out == 'N\n2\n':
                break
            time.sleep(0.1)
        equal(out, 'N\n2\n')
    finally:
        engine.send_signal(signal.SIGTERM)
        equal(engine.wait(60), 0)
        engine.stdout.close()


def main():
    passed = failed = 0
    only = sys.argv[2:]
    for t in TESTS:
        if only and t.__name__ not in only:
            continue
        h = Home(t.__name__)
        began = time.time()
        try:
            t(h)
            passed += 1
            print('%s: %.1f s' % (t.__name__, time.time() - began), flush=True)
        except Exception:
            failed += 1
            print('%s failed' % t.__name__)
            traceback.print_exc(file=sys.stdout)
        finally:
            shutil.rmtree(h.path, ignore_errors=True)
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed else 0)


main()
