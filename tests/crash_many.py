#!/usr/bin/env python3
"""kill -9 of a job with many keys, whose state is in sorted runs and their merges: crash_many.py --weir build/release/weir --rounds 20

The input is there from the start, in one partition: so there is one state, with many runs. The job is killed at random moments
and goes on where it was. In the end each group must have what a batch computation gives it."""
import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from patience import patience

JOB = """
CREATE STREAM events (id BIGINT, v BIGINT) WITH (kafka_topic='events', value_format='DELIMITED', partitions=1);
CREATE TABLE groups AS SELECT id, COUNT(*) AS n, SUM(v) AS total FROM events GROUP BY id;
"""
END_S = patience(300)


def main():
    o = argparse.ArgumentParser(description=__doc__)
    o.add_argument('--weir', required=True, help='the binary')
    o.add_argument('--rounds', type=int, default=8, help='how often it is killed')
    o.add_argument('--records', type=int, default=1500000)
    o.add_argument('--seed', type=int, default=int(time.time()), help='of the random moments and keys')
    o = o.parse_args()
    print('seed %d' % o.seed)
    drawn = random.Random(o.seed)
    home = tempfile.mkdtemp(prefix='weir-crash-')
    data, script = os.path.join(home, 'data'), os.path.join(home, 'job.sql')
    with open(script, 'w') as f:
        f.write(JOB)

    n, total, lines = collections.Counter(), collections.Counter(), []
    for i in range(o.records):
        key, v = drawn.randrange(o.records * 2 // 3), drawn.randrange(1000)
        n[key] += 1
        total[key] += v
        lines.append('%d,%d\n' % (key, v))
    subprocess.run([o.weir, 'produce', '--data', data, '--partitions', '1', 'events'], input=''.join(lines).encode(), check=True)

    def start(*more):
        return subprocess.Popen([o.weir, 'run', '--data', data, '--quiet', '--threads', str(drawn.choice((1, 2))), '--announce-ready',
                                 '--set', 'auto.offset.reset=earliest', '--set', 'commit.interval.ms=%d' % drawn.choice((5, 20, 100)),
                                 *more, script], stdout=subprocess.PIPE)

    for _ in range(o.rounds):
        p = start()
        if not p.stdout.readline().startswith(b'READY'):
            sys.exit('weir run did not become ready: status %s' % p.wait())
        time.sleep(patience(drawn.uniform(0, 0.3)))
        p.kill()
        p.communicate()
    p = start('--until-end')
    p.communicate(timeout=END_S)
    if p.returncode != 0:
        sys.exit('the last run ended with %d' % p.returncode)

    rows = subprocess.run([o.weir, 'query', '--data', data, '--output', 'csv', 'SELECT id, n, total FROM groups;'], stdout=subprocess.PIPE,
                          check=True, timeout=END_S).stdout.decode().splitlines()[1:]
    wanted = {'%d,%d,%d' % (key, n[key], total[key]) for key in n}
    wrong = sorted(wanted ^ set(rows))
    if len(rows) != len(wanted) or wrong:
        print('%d groups, %d are right; these differ: %s' % (len(rows), len(wanted), wrong[:20]))
        print('data is in ' + home)
    else:
        print('%d kills, %d records, %d groups: nothing lost, nothing doubled' % (o.rounds, o.records, len(rows)))
        shutil.rmtree(home)
    print('0 passed, 1 failed' if wrong else '1 passed, 0 failed')
    sys.exit(1 if wrong else 0)


main()
