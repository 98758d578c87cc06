#!/usr/bin/env python3
"""A backlog gives the same answer however it is worked through: many partitions of very different length, one exchange or
two, a chain of queries, GRACE 0 or little, any number of threads and rows a batch. replay.py --weir build/release/weir

Which rows are late is a matter of the input alone: a row is late when, in its own partition, a row came before that closes
its window. So a batch computation says what must come out."""
import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

from patience import patience

# One exchange; two (a join by another column in between); and a stream of its own before the exchange.
JOB = """
CREATE STREAM events (k STRING KEY, a INT, b INT, t BIGINT)
  WITH (kafka_topic='events', value_format='JSON', partitions={partitions}, timestamp='t');
CREATE TABLE names (a INT PRIMARY KEY, name STRING) WITH (kafka_topic='names', value_format='DELIMITED', partitions=3);
CREATE TABLE one WITH (kafka_topic='one', value_format='JSON') AS
  SELECT b, AS_VALUE(b) AS bb, COUNT(*) AS n, WINDOWSTART AS ws FROM events GROUP BY b, TUMBLING({size}ms, GRACE {grace}ms) EMIT {emit};
CREATE TABLE two WITH (kafka_topic='two', value_format='JSON') AS
  SELECT b, AS_VALUE(b) AS bb, COUNT(*) AS n, WINDOWSTART AS ws FROM events LEFT JOIN names ON events.a = names.a
  GROUP BY b, TUMBLING({size}ms, GRACE {grace}ms) EMIT {emit};
CREATE STREAM copied WITH (kafka_topic='copied', value_format='JSON', timestamp='t') AS SELECT * FROM events;
CREATE TABLE chained WITH (kafka_topic='chained', value_format='JSON') AS
  SELECT b, AS_VALUE(b) AS bb, COUNT(*) AS n, WINDOWSTART AS ws FROM copied GROUP BY b, TUMBLING({size}ms, GRACE {grace}ms) EMIT {emit};
"""


def backlog(rnd, partitions, disorder):
    """Records by key; a key is a partition's own by being its only one there, as far as the hash spreads them."""
    rows = []
    for k in range(partitions * 3):
        at, count = 0, int(rnd.paretovariate(0.7) * 20) % 4000
        pace = rnd.choice([1, 10, 300])
        for _ in range(count):
            at += rnd.randrange(pace * 2)
            rows.append((k, max(0, at - (rnd.randrange(disorder + 1) if rnd.random() < 0.3 else 0))))
    by_key = collections.defaultdict(list)
    for k, t in rows:
        by_key[k].append((k, rnd.randrange(7), rnd.randrange(9), t))
    return by_key


def run(o, seed):
    rnd = random.Random(seed)
    size, grace = rnd.choice([100, 1000]), rnd.choice([0, 0, 5, 50])
    disorder = rnd.choice([0, 0, grace, 200])
    partitions, threads = rnd.choice([2, 4, 9]), rnd.choice([1, 2, 4])
    home = tempfile.mkdtemp(prefix='weir-replay-')
    common = ['--data', os.path.join(home, 'data')]
    by_key = backlog(rnd, partitions, disorder)
    chosen = [rows for rows in by_key.values() if rows]
    while chosen:
        rows = rnd.choice(chosen)
        some = rows[:rnd.choice([100, 1000, 4000])]
        del rows[:len(some)]
        chosen = [r for r in chosen if r]
        lines = ''.join('k%d:{"a":%d,"b":%d,"t":%d}\n' % r for r in some)
        subprocess.run([o.weir, 'produce', *common, '--partitions', str(partitions), '--key-separator', ':', 'events'],
                       input=lines.encode(), check=True, stderr=subprocess.DEVNULL)
    script = os.path.join(home, 'job.sql')
    with open(script, 'w') as f:
        f.write(JOB.format(partitions=partitions, size=size, grace=grace, emit=rnd.choice(['CHANGES', 'FINAL'])))
    subprocess.run([o.weir, 'run', *common, '--quiet', '--until-end', '--threads', str(threads),
                    '--set', 'auto.offset.reset=earliest', script], check=True, timeout=patience(120))

    def consume(topic):
        out = subprocess.run([o.weir, 'consume', *common, '--from-beginning', '--until-end', '--output', 'json', topic],
                             stdout=subprocess.PIPE, check=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    wanted, time = collections.Counter(), collections.defaultdict(int)
    final = 'EMIT FINAL' in open(script).read()
    for r in consume('events'):
        v = json.loads(r['value'])
        time[r['partition']] = max(time[r['partition']], v['t'])
        start = v['t'] // size * size
        if start + size > time[r['partition']] - grace:
            wanted[v['b'], start] += 1
    if final:  # at the end all upstreams are idle, and the time is the greatest of all
        end = max(time.values(), default=0)
        wanted = collections.Counter({k: n for k, n in wanted.items() if k[1] + size <= end - grace})
    wrong = []
    for table in ['one', 'two', 'chained']:
        found = {}
        for r in consume(table):
            v = json.loads(r['value'])
            if final and (v['BB'], v['WS']) in found:
                wrong.append('%s: window %d of %d came twice' % (table, v['WS'], v['BB']))
            found[v['BB'], v['WS']] = v['N']
        for key in sorted(set(found) | set(wanted)):
            if found.get(key) != wanted.get(key):
                wrong.append('%s: %s has %s, a batch gives %s' % (table, key, found.get(key), wanted.get(key)))
    what = 'seed %d: %d partitions, %d threads, size %d, grace %d, disorder %d%s' % (
        seed, partitions, threads, size, grace, disorder, ', final' if final else '')
    print('%s: %s' % (what, '%d differences' % len(wrong) if wrong else 'as it should be (%d windows)' % len(wanted)))
    for line in wrong[:5]:
        print('  ' + line)
    shutil.rmtree(home)
    return not wrong


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('--weir', required=True)
parser.add_argument('--count', type=int, default=6)
parser.add_argument('--seed', type=int, default=1)
o = parser.parse_args()
o.weir = os.path.abspath(o.weir)
passed = sum(run(o, o.seed + i) for i in range(o.count))
print('%d passed, %d failed' % (passed, o.count - passed))
sys.exit(passed < o.count)
