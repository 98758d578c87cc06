#!/usr/bin/env python3
"""kill -9 of the server under load: crash_server.py --weir build/release/weir --rounds 50

Rows come by two streams to /inserts-stream and by INSERT VALUES to /ksql, pull and push queries read, now and then a statement adds
a query. The process is killed at a random moment. After each restart, what the source holds must be every acknowledged row once,
each row that was sent and not acknowledged once at most, and nothing else; all persistent queries that were acknowledged go on,
and what they made equals what this program computes from the source's rows."""
import argparse
import collections
import http.client
import json
import os
import random
import signal
import socket
import tempfile
import threading
import time

import server_lib
from patience import patience

o = argparse.ArgumentParser(description=__doc__)
o.add_argument('--weir', required=True)
o.add_argument('--rounds', type=int, default=4)
o.add_argument('--seed', type=int, default=int(time.time()))
o = o.parse_args()
server_lib.WEIR = os.path.abspath(o.weir)
print('seed %d' % o.seed)
R = random.Random(o.seed)
KEYS = 50
JOB = """CREATE STREAM s (k STRING KEY, v BIGINT) WITH (kafka_topic='s', value_format='JSON', partitions=4);
CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k;
CREATE STREAM d AS SELECT k, v * 2 AS w FROM s;"""


class Load:
    """Rows (v is unique) until the server is gone."""

    def __init__(self, server):
        self.server = server
        self.lock = threading.Lock()
        self.next = 0
        self.sent, self.acknowledged = {}, set()
        self.created = 0       # tables x0, x1 ... that were acknowledged
        self.asked = 0         # ... or asked for
        self.stops = False
        self.threads = []

    def begin(self, server):
        self.server = server
        self.stops = False
        self.threads = [threading.Thread(target=self.guarded, args=(f,)) for f in
                        (self.stream, self.stream, self.statements, self.pull, self.push)]
        for t in self.threads:
            t.start()

    def end(self):
        self.stops = True
        for t in self.threads:
            t.join(server_lib.SLOW)
            assert not t.is_alive(), 'a client hangs'

    def guarded(self, f):
        while not self.stops:
            try:
                f()
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)

    def row(self):
        with self.lock:
            v = self.next
            self.next += 1
            self.sent[v] = 'k%d' % (v * 7919 % KEYS)
            return v, self.sent[v]

    def stream(self):
        """Up to 64 rows under way."""
        c = socket.create_connection(('127.0.0.1', self.server.port), timeout=server_lib.SLOW)
        try:
            c.sendall(b'POST /inserts-stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"target":"S"}\n\r\n')
            buffer, order, acknowledged = b'', [], 0
            while not self.stops:
                if len(order) - acknowledged < 64:
                    v, k = self.row()
                    order.append(v)
                    line = b'{"K":"%s","V":%d}\n' % (k.encode(), v)
                    c.sendall(b'%x\r\n%s\r\n' % (len(line), line))
                    if random.random() < 0.9:
                        continue
                more = c.recv(65536)
                if not more:
                    return
                buffer += more
                *lines, buffer = buffer.split(b'\n')
                for line in lines:
                    if line.startswith(b'{"status":"ok","seq":'):
                        seq = json.loads(line)['seq']
                        assert seq == acknowledged, (seq, acknowledged)
                        with self.lock:
                            self.acknowledged.add(order[seq])
                        acknowledged += 1
                    else:
                        assert b'"error"' not in line, line
        finally:
            c.close()

    def ask(self, c, path, body):
        c.request('POST', path, json.dumps(body))
        r = c.getresponse()
        return r.status, r.read()

    def statements(self):
        c = http.client.HTTPConnection('127.0.0.1', self.server.port, timeout=server_lib.SLOW)
        while not self.stops:
            v, k = self.row()
            status, got = self.ask(c, '/ksql', {'ksql': "INSERT INTO s (k, v) VALUES ('%s', %d);" % (k, v)})
            if status == 200:
                with self.lock:
                    self.acknowledged.add(v)
            else:
                assert b'stopping' in got, got
            if R.random() < 0.02 and self.asked < 8 and self.asked == self.created:
                self.asked += 1
                status, got = self.ask(c, '/ksql', {'ksql': 'CREATE TABLE x%d AS SELECT k, MAX(v) AS top FROM s GROUP BY k;' % self.created})
                assert status == 200, got
                self.created = self.asked

    def pull(self):
        c = http.client.HTTPConnection('127.0.0.1', self.server.port, timeout=server_lib.SLOW)
        counts = {}
        while not self.stops:
            status, got = self.ask(c, '/query', {'ksql': 'SELECT k, n FROM t;'})
            assert status == 200, got
            for x in json.loads(got):
                if 'row' in x:
                    k, n = x['row']['columns']
                    assert n >= counts.get(k, 0), '%s went back from %d to %d' % (k, counts[k], n)
                    counts[k] = n

    def push(self):
        c = http.client.HTTPConnection('127.0.0.1', self.server.port, timeout=server_lib.SLOW)
        c.request('POST', '/query-stream', json.dumps({'sql': 'SELECT * FROM t EMIT CHANGES;'}))
        r = c.getresponse()
        while not self.stops and r.read1(65536):
            pass


def rows(server, sql):
    return [x['row']['columns'] for x in server.pull(sql) if 'row' in x]


def check(server, load):
    found = collections.Counter((k, v) for k, v in rows(server, 'SELECT k, v FROM s;'))
    wrong = [x for x, n in found.items() if n != 1 or load.sent.get(x[1]) != x[0]]
    assert not wrong, 'not sent, or more than once: %s' % wrong[:5]
    held = {v for _, v in found}
    lost = load.acknowledged - held
    assert not lost, 'acknowledged and lost: %s' % sorted(lost)[:5]
    for v in set(load.sent) - held:  # which was cut off on its way, and will not come any more
        del load.sent[v]
    groups = collections.defaultdict(list)
    for k, v in found:
        groups[k].append(v)
    wanted = {'SELECT k, n, total FROM t;': sorted([k, len(g), sum(g)] for k, g in groups.items()),
              'SELECT k, w FROM d;': sorted([k, v * 2] for k, v in found)}
    names = {x['name'] for x in server.ksql('SHOW TABLES;')[0]['tables']}
    for i in range(load.asked):
        if 'X%d' % i in names:
            wanted['SELECT k, top FROM x%d;' % i] = sorted([k, max(g)] for k, g in groups.items())
        else:
            assert i >= load.created, 'table x%d was acknowledged, and is lost' % i
            load.asked = i
    load.created = load.asked
    for sql, answer in wanted.items():
        end = time.time() + server_lib.SLOW
        while sorted(rows(server, sql)) != answer and time.time() < end:
            time.sleep(0.02)
        got = sorted(rows(server, sql))
        if got != answer:
            differ = [x for x in zip(got, answer) if x[0] != x[1]][:3]
            raise AssertionError('%s: %d rows, not %d; first differences %s' % (sql, len(got), len(answer), differ))
    return len(found)


def main():
    path = tempfile.mkdtemp(prefix='weir-crash-server-')
    server = server_lib.Server(path=path)
    server.ksql(JOB)
    load = Load(server)
    for n in range(o.rounds):
        load.begin(server)
        time.sleep(patience(R.choice((R.uniform(0, 0.05), R.uniform(0.05, 1.0)))))
        os.kill(server.process.pid, signal.SIGKILL)
        assert server.process.wait() == -signal.SIGKILL, server.process.stderr.read().decode()
        load.end()
        server.process.stdout.close()
        server.process.stderr.close()
        if R.random() < 0.3:  # and once more while it starts
            p = server_lib.subprocess.Popen([server_lib.WEIR, 'server', '--listen', '127.0.0.1:0', '--data', path + '/d'],
                                            stdout=server_lib.subprocess.DEVNULL, stderr=server_lib.subprocess.DEVNULL)
            time.sleep(patience(R.uniform(0, 0.1)))
            p.kill()
            p.wait()
        server = server_lib.Server(path=path)
        held = check(server, load)
        print('round %d: %d rows, %d acknowledged, %d tables added' % (n + 1, held, len(load.acknowledged), load.created), flush=True)
    server.stop()
    print('%d rounds, nothing lost, nothing doubled' % o.rounds)


main()
