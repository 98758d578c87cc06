"""What crash_local.py and crash_kafka.py share: kill -9 a running job at random moments while records come in, start the
same script again, and at the end compare what it wrote with a batch computation of what is in its input topic.

The job counts and sums per key with every change emitted, so each key's counts must be exactly 1, 2, ... N: a lost record,
a doubled one or one out of order shows. A second table groups by another column and goes through an exchange; a third
counts in windows."""
import argparse
import collections
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

JOB = """
CREATE STREAM events (k STRING KEY, v INT) WITH (kafka_topic='{p}events', value_format='JSON', partitions=2);
CREATE TABLE counts WITH (kafka_topic='{p}counts', value_format='JSON') AS
  SELECT k, COUNT(*) AS n, SUM(v) AS total FROM events GROUP BY k;
CREATE TABLE by_value WITH (kafka_topic='{p}by_value', value_format='JSON') AS
  SELECT v, COUNT(*) AS n FROM events GROUP BY v;
CREATE TABLE in_windows WITH (kafka_topic='{p}in_windows', value_format='JSON') AS
  SELECT k, COUNT(*) AS n, WINDOWSTART AS ws FROM events GROUP BY k, TUMBLING(1s, GRACE 1d);
"""
READY_S, END_S = 120, 300


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
            f.write(JOB.format(p=prefix))
        self.acknowledged = 0
        self.stopping = threading.Event()
        self.trouble = None
        self.log = open(os.path.join(self.home, 'stderr'), 'ab')

    def common(self):
        return ['--data', os.path.join(self.home, 'data')] + self.where

    def start(self, *more):
        return subprocess.Popen([self.weir, 'run', *self.common(), '--quiet', '--set', 'emit=every-change',
                                 '--set', 'auto.offset.reset=earliest', '--announce-ready', *more, self.script],
                                stdout=subprocess.PIPE, stderr=self.log)

    # ---- load ----

    def produce(self, lines):
        """True when acknowledged. The producer is killed now and then as well."""
        p = subprocess.Popen([self.weir, 'produce', *self.common(), '--partitions', '2', '--key-separator', ':',
                              self.prefix + 'events'], stdin=subprocess.PIPE, stderr=self.log)
        kill = threading.Timer(self.random.uniform(0.001, 0.05), p.kill) if self.random.random() < 0.05 else None
        if kill:
            kill.start()
        try:
            p.communicate(''.join(lines).encode())
        except BrokenPipeError:
            pass
        if kill:
            kill.cancel()
        if p.returncode == 0:
            self.acknowledged += len(lines)
        elif p.returncode != -signal.SIGKILL:
            raise RuntimeError('weir produce ended with %d' % p.returncode)

    def load(self):
        try:
            while not self.stopping.is_set():
                count = self.random.choice([1, 10, 100, 1000])
                self.produce(['k%d:{"v":%d}\n' % (self.random.randrange(self.keys), self.random.randrange(10))
                              for _ in range(count)])
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
        time.sleep(self.random.uniform(0, 0.5 if after_ready else 0.1))
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
        return len(events), wrong

    def run(self):
        began = time.time()
        self.produce(['k0:{"v":0}\n'])
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
