"""What the tests here share: weir on the broker in WEIR_TEST_BROKER with a registry, and the official client beside it."""
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from confluent_kafka import Consumer, Producer, TopicPartition

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from patience import patience

BROKER = os.environ.get('WEIR_TEST_BROKER') or sys.exit('WEIR_TEST_BROKER does not name a broker')
WEIR = os.path.abspath(sys.argv[1])
SLOW = patience(60)  # seconds until something is given up
TESTS = []


def test(*arguments):
    """test(A, B) makes two tests of the function, which gets A, or B, as well."""
    def add(f):
        for a in arguments or (None,):
            TESTS.append(('%s%s' % (f.__name__, '' if a is None else '_' + a), f, [] if a is None else [a]))
        return f
    return add


def equal(got, wanted):
    assert got == wanted, 'got\n%s\nwanted\n%s' % (got, wanted)


class Home:
    """A data directory, a service and a prefix of topics that nobody else has."""
    count = 0

    def __init__(self, registry, *more):
        Home.count += 1
        self.path = tempfile.mkdtemp(prefix='weir-registry-')
        self.name = 'registry-%d-%d-%d' % (os.getpid(), int(time.time()), Home.count)
        self.registry = registry
        self.common = ['--kafka', BROKER, '--service', self.name, '--data', self.path + '/data', '--schema-registry', registry,
                       '--set', 'auto.offset.reset=earliest', '-D', 'p=' + self.name + '-', *more]
        self.engine = None

    def close(self):
        self.stop()
        shutil.rmtree(self.path, ignore_errors=True)

    def topic(self, name):
        return self.name + '-' + name

    def script(self, sql):
        path = os.path.join(self.path, 'job.sql')
        with open(path, 'w') as f:
            f.write(sql)
        return path

    def weir(self, command, *arguments, status=0):
        p = subprocess.run([WEIR, command, *self.common, *arguments], cwd=self.path, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SLOW * 2)
        out, err = p.stdout.decode(), p.stderr.decode(errors='replace')
        assert p.returncode == status, 'status %d, not %d: %s %s\n%s%s' % (p.returncode, status, command, arguments, out, err)
        return out + err if status else out

    def run(self, sql, status=0):
        """Until all input there is has been read."""
        return self.weir('run', '--until-end', self.script(sql), status=status)

    def start(self, sql):
        self.engine = subprocess.Popen([WEIR, 'run', *self.common, '--announce-ready', self.script(sql)], cwd=self.path,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.path + '/said', 'w'))
        line = self.engine.stdout.readline()
        while line and not line.startswith(b'READY'):
            line = self.engine.stdout.readline()
        assert line, 'the engine did not start: ' + open(self.path + '/said').read()

    def stop(self):
        if self.engine is None:
            return
        self.engine.send_signal(signal.SIGTERM)
        status = self.engine.wait(SLOW)
        self.engine.stdout.close()
        self.engine = None
        equal(status, 0)

    def rows(self, sql):
        out = self.weir('query', '--output', 'json', sql)
        return [json.loads(line) for line in out.splitlines()]

    def await_rows(self, sql, wanted):
        end = time.time() + SLOW
        got = self.rows(sql)
        while got != wanted and time.time() < end:
            time.sleep(0.1)
            got = self.rows(sql)
        equal(got, wanted)

    def produce(self, topic, records):
        """(key, value) as bytes or None."""
        producer = Producer({'bootstrap.servers': BROKER, 'linger.ms': 0})
        for record in records:
            key, value, *at = record
            producer.produce(self.topic(topic), key=key, value=value, **({'timestamp': at[0]} if at else {}))
        assert producer.flush(SLOW) == 0

    def records(self, topic):
        """[(key, value)] as bytes, to the present end, of all partitions."""
        consumer = Consumer({'bootstrap.servers': BROKER, 'group.id': self.name + '-reader', 'auto.offset.reset': 'earliest',
                             'enable.partition.eof': True, 'isolation.level': 'read_committed', 'enable.auto.commit': False})
        partitions = consumer.list_topics(self.topic(topic), timeout=SLOW).topics[self.topic(topic)].partitions
        consumer.assign([TopicPartition(self.topic(topic), p, 0) for p in partitions])
        found, ended, end = [], set(), time.time() + SLOW
        while len(ended) < len(partitions) and time.time() < end:
            message = consumer.poll(1)
            if message is None:
                continue
            if message.error():
                ended.add(message.partition())
            else:
                found.append((message.key(), message.value()))
        consumer.close()
        assert len(ended) == len(partitions), 'the end of %s was not reached' % topic
        return found

    def last(self, topic):
        """The last value of each key."""
        return dict(self.records(topic))


def shown(value):
    """Bytes as weir's JSON has them."""
    return base64.b64encode(value).decode()


def main(make):
    """make(): a Home."""
    passed = failed = 0
    for name, f, arguments in TESTS:
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        began = time.time()
        home = make()
        try:
            f(home, *arguments)
            home.close()
            passed += 1
            print('%s: %.1f s' % (name, time.time() - began), flush=True)
        except Exception:
            failed += 1
            print('%s failed' % name)
            traceback.print_exc(file=sys.stdout)
            if os.path.exists(home.path + '/said'):
                print(open(home.path + '/said').read()[-3000:])
            sys.stdout.flush()
            if home.engine:
                home.engine.kill()
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(1 if failed else 0)
