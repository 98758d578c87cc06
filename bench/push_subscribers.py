#!/usr/bin/env python3
"""Many push queries over HTTP/1.1 beside inserts: push_subscribers.py WEIR [--subscribers 1000] [--over stream|table] [--rows 200]
[--where] [--kafka HOST:PORT] [--http2]. Starts a server, opens the subscribers, tells its memory (RSS) and CPU while they are idle,
then from the moment a row is inserted until all of them have it, row after row, then for all rows of one burst.
--where: each subscriber has a predicate of its own; --http2: 100 subscribers a connection, by prior knowledge."""
import argparse, json, os, selectors, shutil, socket, struct, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'tests'))
from http2_lib import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, WINDOW, frame, headers

FORMS = {'stream': "CREATE STREAM s (k VARCHAR KEY, v INT, t VARCHAR) WITH (kafka_topic='%s', value_format='JSON', partitions=1);",
         'table': "CREATE TABLE s (k VARCHAR PRIMARY KEY, v INT, t VARCHAR) WITH (kafka_topic='%s', value_format='JSON', partitions=1);"}


class Process:
    """The server, as /proc shows it."""

    def __init__(self, arguments):
        self.path = tempfile.mkdtemp(prefix='weir-push-')
        self.p = subprocess.Popen(arguments + ['--data', self.path], stdout=subprocess.PIPE)
        line = self.p.stdout.readline().decode()
        assert line.startswith('LISTENING '), line
        self.port = int(line.rsplit(':', 1)[1])

    def status(self, name):
        with open('/proc/%d/status' % self.p.pid) as f:
            return int(next(x for x in f if x.startswith(name + ':')).split()[1])

    def cpu(self):
        with open('/proc/%d/stat' % self.p.pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def stop(self):
        self.p.terminate()
        self.p.wait()
        shutil.rmtree(self.path, ignore_errors=True)


def post(port, path, body, reads=True):
    c = socket.create_connection(('127.0.0.1', port))
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    c.sendall(b'POST %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n' % (path.encode(), len(data)) + data)
    got = b''
    while reads and (more := c.recv(65536)):
        got += more
    if not reads:
        return c
    c.close()
    assert b' 200 ' in got.split(b'\r\n')[0], got
    return got


class Http2:
    """The bytes of DATA frames, of all streams together."""

    def __init__(self, port, bodies):
        self.c = socket.create_connection(('127.0.0.1', port))
        self.c.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack('>HI', 4, 1 << 30)) + frame(WINDOW, 0, 0, struct.pack('>I', 1 << 30)))
        for i, body in enumerate(bodies):
            stream = 2 * i + 1
            self.c.sendall(frame(HEADERS, END_HEADERS, stream, headers(b'POST', b'/query-stream')) + frame(DATA, END_STREAM, stream, body))
        self.buffer = b''

    def text(self, data):
        self.buffer += data
        got, at = [], 0
        while len(self.buffer) - at >= 9:
            size = int.from_bytes(self.buffer[at:at + 3], 'big')
            if len(self.buffer) - at < 9 + size:
                break
            kind, flags = self.buffer[at + 3], self.buffer[at + 4]
            if kind == DATA:
                got.append(self.buffer[at + 9:at + 9 + size])
            elif kind == SETTINGS and not flags & 1:
                self.c.sendall(frame(SETTINGS, 1, 0))
            at += 9 + size
        self.buffer = self.buffer[at:]
        return b''.join(got)


def subscribe(o, port):
    """-> sockets, and what makes text of their bytes"""
    bodies = []
    for i in range(o.subscribers):
        where = 'WHERE v >= 0 AND v <> -%d ' % (i + 2) if o.where else ''
        bodies.append(json.dumps({'sql': 'SELECT k, v FROM s %sEMIT CHANGES;' % where}).encode())
    if not o.http2:
        return [(post(port, '/query-stream', body, False), lambda data: data) for body in bodies]
    connections = [Http2(port, bodies[i:i + 100]) for i in range(0, len(bodies), 100)]
    return [(c.c, c.text) for c in connections]


def wait_for(selector, mark, wanted, seconds=120):
    """Reads from all until the mark has come so often; -> seconds"""
    began, seen = time.monotonic(), 0
    while seen < wanted:
        for key, _ in selector.select(1):
            data = key.fileobj.recv(1 << 18)
            assert data, 'a subscriber was closed'
            seen += key.data(data).count(mark)
        assert time.monotonic() - began < seconds, '%d of %d have come' % (seen, wanted)
    return time.monotonic() - began


def main():
    a = argparse.ArgumentParser()
    a.add_argument('weir')
    a.add_argument('--subscribers', type=int, default=1000)
    a.add_argument('--over', choices=sorted(FORMS), default='stream')
    a.add_argument('--rows', type=int, default=200)
    a.add_argument('--idle', type=float, default=10)
    a.add_argument('--where', action='store_true')
    a.add_argument('--http2', action='store_true')
    a.add_argument('--kafka')
    o = a.parse_args()
    kafka = ['--kafka', o.kafka, '--service', 'push-%d' % os.getpid()] if o.kafka else []
    s = Process([o.weir, 'server', '--listen', '127.0.0.1:0', '--announce-ready'] + kafka)
    try:
        post(s.port, '/ksql', {'ksql': FORMS[o.over] % ('push-%d' % os.getpid())})
        empty, before, began = s.status('VmRSS'), s.cpu(), time.monotonic()
        selector = selectors.DefaultSelector()
        for c, text in subscribe(o, s.port):
            c.setblocking(False)
            selector.register(c, selectors.EVENT_READ, text)
        wait_for(selector, b'columnNames', o.subscribers)
        print('%d subscribers over a %s%s%s: open in %.2f s, %.2f s CPU' % (o.subscribers, o.over, ', each with its WHERE' if o.where else '',
              ', HTTP/2' if o.http2 else '', time.monotonic() - began, s.cpu() - before))
        before = s.cpu()
        time.sleep(o.idle)
        print('idle: RSS %.1f MiB (%.1f without them), %.2f %% of a core, %d threads' %
              (s.status('VmRSS') / 1024, empty / 1024, (s.cpu() - before) / o.idle * 100, s.status('Threads')))
        took, before = [], s.cpu()
        for i in range(20):
            began = time.monotonic()
            post(s.port, '/inserts-stream', b'{"target":"s"}\n{"k":"one%d","v":%d,"t":"x"}\n' % (i, i))
            wait_for(selector, b'["one', o.subscribers)
            took.append(time.monotonic() - began)
        took.sort()
        print('a row to all: median %.1f ms, most %.1f ms, from its insert on; %.1f ms CPU each' %
              (took[10] * 1e3, took[-1] * 1e3, (s.cpu() - before) / 20 * 1e3))
        lines = b''.join(b'{"k":"key%d","v":%d,"t":"some more text"}\n' % (i % 50, i) for i in range(o.rows))
        before, began = s.cpu(), time.monotonic()
        inserts = post(s.port, '/inserts-stream', b'{"target":"s"}\n' + lines, False)
        wait_for(selector, b'["key', o.subscribers * o.rows, 600)
        seconds, cpu = time.monotonic() - began, s.cpu() - before
        inserts.close()
        print('%d rows to all: %.2f s, %.0f rows/s to clients, %.2f µs CPU a row and client' %
              (o.rows, seconds, o.rows * o.subscribers / seconds, cpu / o.rows / o.subscribers * 1e6))
        print('RSS %.1f MiB, at most %.1f' % (s.status('VmRSS') / 1024, s.status('VmHWM') / 1024))
    finally:
        s.stop()


main()
