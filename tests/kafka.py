#!/usr/bin/env python3
"""What users do on a Kafka broker: kafka.py WEIR [--calm | --outages] [TEST...], with the broker's address in WEIR_TEST_BROKER.
--outages: only what kills and stops a broker, that of WEIR_TEST_OUTAGE_BROKER where others use the first; --calm: the rest."""
import collections
import errno
import http.client
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

from patience import SANITIZED, patience
from program import WEIR, Folder, contains, equal, run_tests, test

FLAGS = {x for x in sys.argv[2:] if x.startswith('--')}
BROKER = ('--outages' in FLAGS and os.environ.get('WEIR_TEST_OUTAGE_BROKER') or os.environ.get('WEIR_TEST_BROKER') or
          sys.exit('kafka.py: WEIR_TEST_BROKER does not name a broker'))
OUTAGES = []


def outage(f):
    """What nobody else may use the broker beside."""
    OUTAGES.append(f)
    return test(f)


class Home(Folder):
    """A data directory, a service and a prefix of topics that nobody else has."""

    def __init__(self, name):
        super().__init__('weir-kafka-')
        self.name = 'test-%s-%d-%d' % (name.replace('_', '-'), os.getpid(), time.time())
        self.common = ['--kafka', BROKER, '--service', self.name, '--data', os.path.join(self.path, 'data'),
                       '-D', 'p=' + self.name + '-']

    def topic(self, name):
        return self.name + '-' + name

    def fails(self, command, *arguments, common=None, stdin=''):
        """What it says as it ends with status 1."""
        p = subprocess.run([WEIR, command, *(self.common if common is None else common), *arguments], cwd=self.path,
                           input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(180))
        err = p.stderr.decode(errors='replace')
        assert p.returncode == 1, 'status %d: %s' % (p.returncode, err)
        return err

    def weir(self, command, *arguments, status=0, stdin=''):
        p = subprocess.run([WEIR, command, *self.common, *arguments], cwd=self.path, input=stdin.encode(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(180))
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


class Running:
    """A weir that goes on until it is stopped; its messages are in `log`."""

    def __init__(self, log, arguments):
        self.log = log
        with open(log, 'wb') as messages:
            self.process = subprocess.Popen([WEIR, *arguments], stdout=subprocess.PIPE, stderr=messages)

    def messages(self):
        with open(self.log) as f:
            return f.read()

    def wait_until(self, holds, what, seconds=120):
        seconds = patience(seconds)
        end = time.time() + seconds
        while not holds():
            assert self.process.poll() is None, 'it ended: ' + self.messages()
            assert time.time() < end, '%s: not within %d s\n%s' % (what, seconds, self.messages())
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        equal(self.process.wait(patience(self.STOPS_S)), 0)
        self.process.stdout.close()


class Engine(Running):
    """A job at work, on its own."""
    STOPS_S = 60

    def __init__(self, h, sql, *options):
        path = os.path.join(h.path, 'job.sql')
        with open(path, 'w') as f:
            f.write(sql)
        super().__init__(os.path.join(h.path, 'messages'), ['run', *h.common, '--set', 'auto.offset.reset=earliest', '--announce-ready',
                                                            *options, path])
        assert self.process.stdout.readline().startswith(b'READY'), self.messages()


def broker(what):
    """kill, again, pause, resume"""
    subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)), 'broker.sh'), what], check=True, timeout=120,
                   stdout=subprocess.DEVNULL, env=dict(os.environ, WEIR_TEST_BROKER_PORT=BROKER.split(':')[1]))


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
def what_is_dropped_without_an_engine_goes_when_one_starts(h):
    h.weir('produce', h.topic('s'), '--partitions', '2', '--key-separator', ':', stdin='a:{"v":1}\nb:{"v":2}\n')
    h.run("CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='JSON');\n"
          "CREATE TABLE kept WITH (kafka_topic='${p}kept') AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;\n"
          "CREATE TABLE gone WITH (kafka_topic='${p}gone') AS SELECT v, COUNT(*) AS n FROM s GROUP BY v;\n", '--set',
          'repartition.in.memory=false')
    tasks = os.path.join(h.path, 'data', 'tasks')
    internal = lambda: [t for t in h.weir('query', '--output', 'csv', 'SHOW ALL TOPICS;').split() if h.name in t]
    left = lambda: sorted([d for d in os.listdir(tasks) if 'GONE' in d] + [t for t in internal() if 'GONE' in t])
    h.weir('query', 'DROP TABLE gone;')
    equal(len(left()), 3)   # an environment, its changelog, a repartition topic
    h.run("CREATE STREAM IF NOT EXISTS s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='JSON');")
    equal(left(), [])
    assert any('KEPT' in d for d in os.listdir(tasks)) and any('KEPT' in t for t in internal()), (os.listdir(tasks), internal())


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
        equal(engine.wait(patience(60)), 0)
        engine.stdout.close()


@test
def another_instance_takes_over(h):
    """Two processes of one service, each with a data directory of its own: the partitions of the one that is killed go to the
    other, whose state comes from the changelog. Counts are 1, 2, 3 ... for each key, whoever made them."""
    path = os.path.join(h.path, 'job.sql')
    with open(path, 'w') as f:
        f.write("CREATE STREAM s (k STRING KEY, g INT) WITH (kafka_topic='${p}s', value_format='JSON', partitions=4);\n"
                "CREATE TABLE t WITH (kafka_topic='${p}t') AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;\n"
                "CREATE TABLE u WITH (kafka_topic='${p}u', value_format='JSON') AS SELECT g, COUNT(*) AS n FROM s GROUP BY g;\n")
    common = ['--kafka', BROKER, '--service', h.name, '-D', 'p=' + h.name + '-', '--set', 'emit=every-change',
              '-X', 'session.timeout.ms=6000',
              '--set', 'auto.offset.reset=earliest']
    sent = 0

    def start(name, *more):
        return subprocess.Popen([WEIR, 'run', *common, '--data', os.path.join(h.path, name), '--quiet', *more, path],
                                stdout=subprocess.PIPE)

    def feed(count):
        h.weir('produce', h.topic('s'), '--partitions', '4', '--key-separator', ':',
               stdin=''.join('k%d:{"g":%d}\n' % (i % 20, i % 7) for i in range(count)))
        return count

    def wait_for(records):
        until = time.time() + patience(120)
        while len(h.records('t')) < records or len(h.records('u')) < records:
            assert time.time() < until, '%d of %d' % (len(h.records('t')), records)

    sent += feed(400)
    first = start('data', '--announce-ready')
    assert first.stdout.readline().startswith(b'READY')
    second = start('other')
    try:
        for _ in range(5):
            sent += feed(200)
        wait_for(sent)
        first.kill()
        first.wait()
        sent += feed(400)
        wait_for(sent)
        first = start('data')
        sent += feed(400)
        wait_for(sent)
        second.kill()
        second.wait()
        sent += feed(400)
        wait_for(sent)
    finally:
        for p in (first, second):
            p.kill()
            p.wait()
            p.stdout.close()
    counts = collections.defaultdict(list)
    for r in h.records('t'):
        counts[r['key']].append(json.loads(r['value'])['N'])
    for key, numbers in counts.items():
        equal(numbers, list(range(1, len(numbers) + 1)))
    equal(sum(map(len, counts.values())), sent)
    reached = collections.Counter(json.loads(r['value'])['N'] for r in h.records('u'))
    equal(sum(reached.values()), sent)
    equal(sorted(n for n in reached if reached[n] == 7)[0], 1)


@test
def results_larger_than_a_topic_takes(h):
    """A result too large for its topic is a bad row; state too large for its changelog stops the query and says so."""
    h.weir('produce', h.topic('s'), '--key-separator', ':',
           stdin='a:{"v":"x"}\nb:{"v":"%s"}\nc:{"v":"y"}\n' % ('z' * 600000))
    h.run("CREATE STREAM s (k STRING KEY, v STRING) WITH (kafka_topic='${p}s', value_format='JSON');\n"
          "CREATE STREAM t WITH (kafka_topic='${p}t') AS SELECT k, v + v AS w FROM s;\n")
    equal([r['key'] for r in h.records('t')], ['a', 'c'])
    h.weir('produce', h.topic('r'), '--key-separator', ':', stdin='a:{"v":"%s"}\n' % ('z' * 600000) * 60)
    path = os.path.join(h.path, 'job.sql')
    with open(path, 'w') as f:
        f.write("CREATE STREAM r (k STRING KEY, v STRING) WITH (kafka_topic='${p}r', value_format='JSON');\n"
                "CREATE TABLE u WITH (kafka_topic='${p}u') AS SELECT k, COUNT(*) AS n, COLLECT_LIST(v) AS vs FROM r GROUP BY k;\n")
    p = subprocess.run([WEIR, 'run', *h.common, '--set', 'auto.offset.reset=earliest', '--until-end', path],
                       stderr=subprocess.PIPE, timeout=patience(60))
    assert p.returncode == 1 and b'changelog' in p.stderr, p.stderr


COUNTING = ("CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='JSON');\n"
            "CREATE TABLE t WITH (kafka_topic='${p}t') AS SELECT v, COUNT(*) AS n FROM s GROUP BY v;")
MANY = 100000 if SANITIZED else 300000
LONG = 4  # so many times that, where the work must go on while something happens to the broker


def feed_many(h, times=1):
    h.weir('produce', h.topic('s'), '--partitions', '4', '--key-separator', ':',
           stdin=''.join('k%d:{"v":%d}\n' % (i % 50, i % 7) for i in range(MANY)) * times)


def has_output(h):
    return h.weir('consume', '--from-beginning', '--until-end', h.topic('t')) != ''


def wait_for_counts(h, engine, fed):
    wanted = ''.join('%d,%d\n' % (v, sum(i % 7 == v for i in range(MANY)) * fed) for v in range(7))
    engine.wait_until(lambda: h.weir('query', '--output', 'csv', 'SELECT v, n FROM t ORDER BY v;') == 'V,N\n' + wanted, 'the counts')


@test
def a_broker_that_is_absent(h):
    common = ['--kafka', '127.0.0.1:9', '--data', os.path.join(h.path, 'data')]
    contains(h.fails('query', 'SHOW STREAMS;', common=common), 'no broker answers at 127.0.0.1:9', 'Connection refused', 'check --kafka')
    common[1] = 'no.such.host.invalid:9092'
    contains(h.fails('query', 'SHOW STREAMS;', common=common), 'no.such.host.invalid', 'resolve', 'check --kafka')


@test
def a_broker_that_refuses(h):
    host, port = BROKER.split(':')
    sasl = ['--kafka', '%s:%d' % (host, int(port) + 2), '-X', 'security.protocol=SASL_PLAINTEXT', '-X', 'sasl.mechanisms=PLAIN']
    common = h.common + sasl
    wrong = common + ['-X', 'sasl.username=weir', '-X', 'sasl.password=wrong']
    contains(h.fails('query', 'SHOW STREAMS;', common=wrong), 'Authentication failed', 'check --kafka and the -X properties')
    contains(h.fails('query', 'SHOW STREAMS;', common=h.common + ['-X', 'security.protocol=SSL']), 'no broker answers', 'SSL')
    stranger = common + ['-X', 'sasl.username=stranger', '-X', 'sasl.password=secret']
    contains(h.fails('query', 'SHOW STREAMS;', common=stranger), h.name, 'authorization failed', "the broker's ACLs", '-X')
    h.common = common + ['-X', 'sasl.username=weir', '-X', 'sasl.password=secret']
    h.weir('produce', h.topic('s'), '--key-separator', ':', stdin='a:{"v":1}\n')
    h.run(COUNTING)
    equal(h.weir('query', '--output', 'csv', 'SELECT v, n FROM t;'), 'V,N\n1,1\n')


@test
def outputs_larger_than_the_broker_takes(h):
    h.weir('produce', h.topic('s'), '--key-separator', ':', stdin='a:{"t":"%s"}\nb:{"t":"yy"}\n' % ('x' * 900000))
    h.run("CREATE STREAM s (k STRING KEY, t STRING) WITH (kafka_topic='${p}s', value_format='JSON');\n"
          "CREATE STREAM twice WITH (kafka_topic='${p}twice') AS SELECT k, CONCAT(t, t) AS tt FROM s;")
    equal([r['key'] for r in h.records('twice')], ['b'])
    contains(h.weir('query', '--output', 'json', "SELECT reason FROM weir_processing_log WHERE kind = 'output';"),
             'larger than its topic takes')
    contains(h.fails('produce', h.topic('s'), stdin='x' * 100000000 + '\n'), h.topic('s'), 'large', 'the first 0 lines are in the topic')


# Little at a time, so that there is still work, and something to commit, when the broker goes.
SLOWLY = ('-X', 'fetch.message.max.bytes=1000')


@outage
def a_broker_killed_under_load(h):
    feed_many(h, LONG)
    engine = Engine(h, COUNTING, *SLOWLY)
    try:
        engine.wait_until(lambda: has_output(h), 'output')
        broker('kill')
        try:
            engine.wait_until(lambda: 'waits and tries again' in engine.messages(), 'a message')
        finally:
            broker('again')
        contains(engine.messages(), 'broker', 'Kafka at ' + BROKER)
        wait_for_counts(h, engine, LONG)
        feed_many(h)
        wait_for_counts(h, engine, LONG + 1)
    finally:
        engine.stop()


@outage
def a_broker_paused_under_load(h):
    feed_many(h, LONG)
    engine = Engine(h, COUNTING, '-X', 'socket.timeout.ms=2000', *SLOWLY)
    try:
        engine.wait_until(lambda: has_output(h), 'output')
        broker('pause')
        try:
            engine.wait_until(lambda: 'waits and tries again' in engine.messages(), 'a message')
        finally:
            broker('resume')
        wait_for_counts(h, engine, LONG)
        feed_many(h)
        wait_for_counts(h, engine, LONG + 1)
    finally:
        engine.stop()


class Server(Running):
    """Answers while its broker does not."""
    STOPS_S = 90

    def __init__(self, h, *options):
        super().__init__(os.path.join(h.path, 'server-messages'),
                         ['server', *h.common, '--set', 'auto.offset.reset=earliest', '--listen', '127.0.0.1:0', '--announce-ready', *options])
        line = self.process.stdout.readline().decode()
        assert line.startswith('LISTENING '), self.messages()
        self.port = int(line.rsplit(':', 1)[1])

    def ask(self, path, sql):
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=patience(60))
        c.request('POST', path, json.dumps({'ksql': sql, 'sessionVariables': {'p': ''}}))
        r = c.getresponse()
        got = json.loads(r.read())
        c.close()
        return r.status, got

    def ksql(self, sql):
        status, got = self.ask('/ksql', sql)
        assert status == 200, got
        return got


def queries_of(server):
    return server.ksql('SHOW QUERIES EXTENDED;')[0]['queryDescriptions']


@test
def rows_inserted_together(h):
    """One commit for many; a row too large for the topic fails alone."""
    server = Server(h)
    try:
        server.ksql("CREATE STREAM s (k STRING KEY, v STRING) WITH (kafka_topic='%s', value_format='JSON', partitions=2);" % h.topic('s'))
        rows = ['{"k":"k%d","v":"%s"}' % (i % 7, 'x' * 1048400 if i == 20 else i) for i in range(20000)]
        c = http.client.HTTPConnection('127.0.0.1', server.port, timeout=patience(60))
        c.request('POST', '/inserts-stream', '\n'.join(['{"target":"s"}', *rows]))
        acks = [json.loads(line) for line in c.getresponse().read().splitlines()]
        c.close()
        equal([(x['status'], x['seq']) for x in acks], [('error' if i == 20 else 'ok', i) for i in range(20000)])
        contains(acks[20]['message'], 'too large', h.topic('s'))
        got = [(r['key'], json.loads(r['value'])['V']) for r in h.records('s')]
        for k in range(7):
            equal([v for key, v in got if key == 'k%d' % k], [str(i) for i in range(k, 20000, 7) if i != 20])
    finally:
        server.stop()


def an_outage_is_told(h, leaves, returns):
    """Within seconds: on stderr, by SHOW QUERIES and DESCRIBE, which do not wait for the broker themselves."""
    feed_many(h, LONG)
    server = Server(h, *SLOWLY)
    counted = lambda: sorted(x['row']['columns'] for x in server.ask('/query', 'SELECT v, n FROM t;')[1] if 'row' in x)
    try:
        server.ksql(COUNTING.replace('${p}', h.name + '-'))
        server.wait_until(lambda: counted() != [], 'the first rows', 60)
        broker(leaves)
        began = time.time()
        try:
            server.wait_until(lambda: 'waits and tries again' in server.messages(), 'a message', 15)
            told = time.time()
            contains(server.messages(), 'query CTAS_T', 'no answer from Kafka at ' + BROKER)
            query = queries_of(server)[0]
            assert query['queryErrors'] and 'no answer from Kafka' in query['queryErrors'][0]['errorMessage'], query
            contains(json.dumps(server.ksql('DESCRIBE t EXTENDED;')), 'no answer from Kafka')
            shown = time.time()
            assert shown - told < patience(12), 'asking took %.1f s' % (shown - told)
            print('    told after %.1f s, shown within %.1f s' % (told - began, shown - told))
        finally:
            broker(returns)
        server.wait_until(lambda: 'goes on' in server.messages().split('waits and tries again')[-1], 'that it goes on', 120)
        server.wait_until(lambda: counted() == [[v, sum(i % 7 == v for i in range(MANY)) * LONG] for v in range(7)], 'the counts', 120)
    finally:
        server.stop()


@outage
def a_commit_that_a_paused_broker_keeps_waiting(h):
    an_outage_is_told(h, 'pause', 'resume')


@outage
def a_commit_that_a_dead_broker_keeps_waiting(h):
    an_outage_is_told(h, 'kill', 'again')


def a_stop_without_the_broker(h, kind, leaves, returns):
    """In the midst of work: it tells what it waits for, ends within its time, and what it had begun is done again, once."""
    feed_many(h, LONG)
    engine = kind(h, *([COUNTING] if kind is Engine else []), *SLOWLY)
    try:
        if kind is Server:
            engine.ksql(COUNTING.replace('${p}', h.name + '-'))
        engine.wait_until(lambda: has_output(h), 'output')
        broker(leaves)
        time.sleep(1)
        began = time.time()
        engine.process.send_signal(signal.SIGTERM)
        status = engine.process.wait(patience(30))
        took = time.time() - began
    finally:
        engine.process.kill()
        engine.process.wait()
        engine.process.stdout.close()
        broker(returns)
    print('    status %d after %.1f s' % (status, took))
    assert took < patience(14), 'it took %.1f s\n%s' % (took, engine.messages())
    equal(status, 1 if 'stopped, though' in engine.messages() else 0)
    if took > 3:
        contains(engine.messages(), 'stopping: the queries have not ended yet, which takes Kafka at ' + BROKER)
    engine = Engine(h, COUNTING)
    try:
        wait_for_counts(h, engine, LONG)
    finally:
        engine.stop()


@outage
def a_stop_without_a_paused_broker(h):
    a_stop_without_the_broker(h, Engine, 'pause', 'resume')


@outage
def a_stop_without_a_dead_broker(h):
    a_stop_without_the_broker(h, Server, 'kill', 'again')


@test
def a_disk_that_fails_under_state(h):
    """Each write of a commit to a task's environment, its last among them: the changelog has it, and the query goes on by itself."""
    control, data = os.path.join(h.path, 'control'), os.path.join(h.path, 'data')

    def tell(*words):   # the shim: calls seen, the first and the last to fail, how, calls failed
        with open(control, 'r+b' if os.path.exists(control) else 'wb', buffering=0) as f:
            f.write(struct.pack('5I', *words))

    def failed():
        with open(control, 'rb') as f:
            return struct.unpack('5I', f.read())[4]
    tell(0, 0, 0, 0, 0)
    feed_many(h)
    shim = {'LD_PRELOAD': os.path.join(os.path.dirname(WEIR), 'tests', 'libfault_shim.so'), 'FAULT_CONTROL': control, 'FAULT_DIR': data}
    os.environ.update(shim)
    try:
        engine = Engine(h, COUNTING, *SLOWLY)
    finally:
        for name in shim:
            del os.environ[name]
    try:
        engine.wait_until(lambda: has_output(h), 'output')
        for n in range(1, 4):
            tell(0, n, n, errno.EIO, 0)
            feed_many(h)  # what came before may have been taken in already
            engine.wait_until(failed, 'a call that failed', 20)
        tell(0, 0, 0, 0, 0)
        wait_for_counts(h, engine, 4)
        contains(engine.messages(), 'cannot commit state', data, 'goes on')
        assert 'has stopped' not in engine.messages(), engine.messages()
    finally:
        engine.stop()


@test
def topics_that_do_not_exist(h):
    contains(h.fails('consume', h.topic('none'), '--from-beginning', '--until-end'), 'there is no topic', h.topic('none'))


def delete_topic(name):
    """As a stranger does: another service, which does not know of the query."""
    other = Home('stranger')
    try:
        other.weir('query', "CREATE STREAM x (v INT) WITH (kafka_topic='%s', value_format='JSON'); DROP STREAM x DELETE TOPIC;" % name)
    finally:
        shutil.rmtree(other.path, ignore_errors=True)


@test
def a_topic_deleted_under_a_query(h):
    """Its query ends or waits, with a word that names the topic; the others go on."""
    for name in 's', 'o':
        h.weir('produce', h.topic(name), '--key-separator', ':', stdin='a:{"v":1}\n')
    server = Server(h)
    try:
        server.ksql(COUNTING.replace('${p}', h.name + '-'))
        server.ksql("CREATE STREAM other (k STRING KEY, v INT) WITH (kafka_topic='%s', value_format='JSON');"
                    "CREATE TABLE u WITH (kafka_topic='%s') AS SELECT v, COUNT(*) AS n FROM other GROUP BY v;" % (h.topic('o'), h.topic('u')))
        counted = lambda t: [x['row']['columns'][1] for x in server.ask('/query', 'SELECT v, n FROM %s;' % t)[1] if 'row' in x]
        server.wait_until(lambda: counted('t') == [1] and counted('u') == [1], 'the first rows', 60)
        delete_topic(h.topic('s'))
        errors = lambda: {q['sinks'][0]: ' '.join(e['errorMessage'] for e in q['queryErrors']) for q in queries_of(server)}
        server.wait_until(lambda: h.topic('s') in errors()['T'], 'an error that names the topic', 60)
        h.weir('produce', h.topic('o'), '--key-separator', ':', stdin='a:{"v":1}\n')
        server.wait_until(lambda: counted('u') == [2], 'the other query', 60)
        print('    %s' % errors()['T'])
    finally:
        server.stop()


run_tests(lambda t: Home(t.__name__), lambda t: ('--calm' if t in OUTAGES else '--outages') not in FLAGS)
