"""What the tests of the server share: a server of their own with a data directory of its own, requests, a push query read
chunk by chunk."""
import contextlib
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from patience import patience
import program
from program import WEIR, equal, test

SLOW = patience(30)  # seconds until something is given up


def with_arguments(*arguments):
    def mark(f):
        f.arguments = arguments
        return f
    return mark


class Server:
    def __init__(self, *arguments, path=None, limit=None):
        """limit: of descriptors."""
        self.path = path or tempfile.mkdtemp(prefix='weir-server-')
        self.process = subprocess.Popen([WEIR, 'server', '--listen', '127.0.0.1:0', '--announce-ready', '--data', self.path + '/d',
                                         *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))))
        line = self.process.stdout.readline().decode()
        if not line.startswith('LISTENING '):
            raise AssertionError('no server: ' + line + self.process.stderr.read().decode())
        self.port = int(line.rsplit(':', 1)[1])

    def stop(self, keeps=False):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=SLOW)
        assert self.process.returncode == 0, 'status %d: %s' % (self.process.returncode, err.decode())
        if not keeps:
            shutil.rmtree(self.path, ignore_errors=True)

    def request(self, method, path, body=None, headers={}):
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=SLOW)
        c.request(method, path, body if body is None or isinstance(body, (bytes, str)) else json.dumps(body), headers)
        r = c.getresponse()
        got = r.read()
        c.close()
        return r, got

    def json(self, method, path, body=None, status=200, headers={}):
        r, got = self.request(method, path, body, headers)
        assert r.status == status, 'status %d, not %d: %s' % (r.status, status, got)
        return json.loads(got)

    def ksql(self, sql, status=200, **more):
        return self.json('POST', '/ksql', dict(ksql=sql, **more), status)

    def pull(self, sql, status=200):
        return self.json('POST', '/query', {'ksql': sql}, status)

    def rows(self, sql):
        return sorted(x['row']['columns'] for x in self.pull(sql) if 'row' in x)

    def wait_rows(self, sql, wanted):
        end = time.time() + SLOW
        while self.rows(sql) != wanted and time.time() < end:
            time.sleep(0.02)
        equal(self.rows(sql), wanted)

    def curl(self, path, body, *arguments):
        p = subprocess.run(['curl', '-sS', '--max-time', str(SLOW), *arguments, 'http://127.0.0.1:%d%s' % (self.port, path),
                            '--data-binary', '@-'], input=body if isinstance(body, bytes) else json.dumps(body).encode(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.returncode == 0, p.stderr.decode()
        return p.stdout.decode()

    def bare(self, data, reads=True):
        """What comes back for these bytes until the server closes."""
        s = socket.create_connection(('127.0.0.1', self.port), timeout=SLOW)
        s.sendall(data)
        got = b''
        while reads:
            more = s.recv(65536)
            if not more:
                break
            got += more
        s.close()
        return got


JOB = """CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON', partitions=1);
CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k;"""
EARLIEST = {'ksql.streams.auto.offset.reset': 'earliest'}


class Push:
    """A push query over HTTP/1.1, read chunk by chunk: each must be one line."""

    def __init__(self, server, path, body, headers={}):
        self.c = http.client.HTTPConnection('127.0.0.1', server.port, timeout=SLOW)
        self.c.request('POST', path, json.dumps(body), headers)
        self.sock = self.c.sock
        self.buffer = b''
        head = self.until(b'\r\n\r\n')
        assert head.startswith(b'HTTP/1.1 200'), head
        assert b'transfer-encoding: chunked' in head.lower(), head

    def until(self, mark):
        while mark not in self.buffer:
            more = self.sock.recv(65536)
            assert more, 'closed: %r' % self.buffer
            self.buffer += more
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def chunk(self):
        size = int(self.until(b'\r\n'), 16)
        while len(self.buffer) < size + 2:
            more = self.sock.recv(65536)
            assert more, 'closed'
            self.buffer += more
        got, self.buffer = self.buffer[:size], self.buffer[size + 2:]
        return got.decode()

    def close(self):
        self.c.close()


@contextlib.contextmanager
def server_of(t):
    server = Server(*getattr(t, 'arguments', []))
    try:
        yield server
        server.stop()
    except Exception:
        server.process.kill()
        print(server.process.stderr.read().decode(errors='replace')[-4000:], flush=True)
        raise


def run_tests():
    program.run_tests(server_of)
