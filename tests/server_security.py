#!/usr/bin/env python3
"""Who may ask the server what, and how it is run: server_security.py WEIR. TLS, accounts, WebSockets, headless scripts, limits,
reloads, logs and the end. Certificates are made by openssl."""
import base64
import hashlib
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from patience import patience
from server_lib import EARLIEST, JOB, SLOW, WEIR, Push, Server, equal, run_tests, test, with_arguments

HOME = tempfile.TemporaryDirectory()
CERT, KEY = HOME.name + '/cert.pem', HOME.name + '/key.pem'
ACCOUNTS = HOME.name + '/accounts'


def make_certificate(cert, key, name):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                    '-subj', '/CN=' + name, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def hash_line(account, secret):
    p = subprocess.run([WEIR, 'server', '--hash-secret', account], input=secret.encode() + b'\n', stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert p.returncode == 0, p.stderr
    return p.stdout.decode()


make_certificate(CERT, KEY, 'weir-one')
with open(ACCOUNTS, 'w') as f:
    f.write('# who may do what\n\n' + hash_line('ann:admin', 'pa:ss wörd') + hash_line('rob:read', 'read-only') +
            hash_line('ci.bot:admin', 'tok-en_1'))


def basic(name, secret):
    return {'Authorization': 'Basic ' + base64.b64encode(('%s:%s' % (name, secret)).encode()).decode()}


def bearer(token):
    return {'Authorization': 'Bearer ' + token}


ANN, ROB, BOT = basic('ann', 'pa:ss wörd'), basic('rob', 'read-only'), bearer('ci.bot.tok-en_1')


def tls_socket(s, protocols):
    c = ssl.create_default_context(cafile=CERT)
    c.check_hostname = False
    c.set_alpn_protocols(protocols)
    return c.wrap_socket(socket.create_connection(('127.0.0.1', s.port), timeout=SLOW))


def curl_tls(s, path, body, *arguments):
    p = subprocess.run(['curl', '-sS', '--cacert', CERT, '--max-time', str(SLOW), *arguments, 'https://127.0.0.1:%d%s' % (s.port, path),
                        '--data-binary', '@-'], input=json.dumps(body).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 0, p.stderr.decode()
    return p.stdout.decode()


def produce(s, topic, count, width=0):
    path = os.path.join(s.path, 'rows')
    with open(path, 'w') as f:
        for i in range(count):
            f.write('%s%d:{"v":%d}\n' % ('k' * width, i, i))
    subprocess.run([WEIR, 'produce', '--data', s.path + '/d', '--key-separator', ':', topic, path], check=True)


@test
@with_arguments('--tls-cert', CERT, '--tls-key', KEY)
def tls(s):
    for protocols, chosen in ((['h2', 'http/1.1'], 'h2'), (['http/1.1'], 'http/1.1'), (['nonsense', 'h2'], 'h2')):
        c = tls_socket(s, protocols)
        equal((c.selected_alpn_protocol(), c.version()), (chosen, 'TLSv1.3'))
        c.close()
    try:
        tls_socket(s, ['nonsense'])
        raise AssertionError('no protocol in common, and yet')
    except ssl.SSLError:
        pass
    for version in '--http1.1', '--http2':
        equal(json.loads(curl_tls(s, '/ksql', {'ksql': 'SHOW STREAMS;'}, version))[0]['@type'], 'streams')
    curl_tls(s, '/ksql', {'ksql': JOB})
    produce(s, 's', 20000, 100)
    for version in '--http1.1', '--http2':  # larger than any buffer between
        lines = curl_tls(s, '/query-stream', {'sql': 'SELECT * FROM s;'}, version).splitlines()
        equal(len(lines), 20001)
        equal(json.loads(lines[-1]), ['k' * 100 + '19999', 19999])
    plain = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
    plain.sendall(b'GET /info HTTP/1.1\r\nHost: x\r\n\r\n')
    try:
        assert b'HTTP/1.1 200' not in plain.recv(1000)
    except ConnectionResetError:
        pass
    plain.close()
    half = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
    half.sendall(b'\x16\x03\x01\x02\x00\x01')  # a hello that goes no further
    equal(json.loads(curl_tls(s, '/ksql', {'ksql': 'SHOW STREAMS;'}))[0]['@type'], 'streams')
    half.close()


@test
@with_arguments('--tls-cert', CERT, '--tls-key', KEY)
def push_over_tls(s):
    curl_tls(s, '/ksql', {'ksql': JOB})
    c = tls_socket(s, ['http/1.1'])
    body = json.dumps({'sql': 'SELECT v FROM s EMIT CHANGES;'}).encode()
    c.sendall(b'POST /query-stream HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
    got = b''
    while b'columnNames' not in got:
        got += c.recv(4096)
    for i in range(3):
        curl_tls(s, '/ksql', {'ksql': "INSERT INTO s (k, v) VALUES ('a', %d);" % i})
        while b'[%d]\n' % i not in got:
            got += c.recv(4096)
    c.close()


@test
def reload_of_the_certificate(s):
    s.stop()
    with tempfile.TemporaryDirectory() as d:
        cert, key = d + '/c', d + '/k'
        make_certificate(cert, key, 'first')
        s.__init__('--tls-cert', cert, '--tls-key', key)

        def name():
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
            with c.wrap_socket(socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)) as t:
                der = t.getpeercert(True)
            return b'first' in der, b'second' in der
        equal(name(), (True, False))
        before = tls_socket_unverified(s)
        make_certificate(cert, key, 'second')
        s.process.send_signal(signal.SIGHUP)
        end = time.time() + SLOW
        while name() != (False, True) and time.time() < end:
            time.sleep(0.02)
        equal(name(), (False, True))
        with open(cert, 'w') as f:
            f.write('nonsense')
        s.process.send_signal(signal.SIGHUP)
        before.sendall(b'GET /info HTTP/1.1\r\nHost: x\r\n\r\n')  # it goes on with what it began with
        assert b'200 OK' in before.recv(4096)
        before.close()
        for _ in range(5):
            equal(name(), (False, True))


def tls_socket_unverified(s):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    return c.wrap_socket(socket.create_connection(('127.0.0.1', s.port), timeout=SLOW))


@test
@with_arguments('--auth-file', ACCOUNTS)
def accounts(s):
    for headers in {}, basic('ann', 'wrong'), basic('nobody', 'x'), bearer('ci.bot.wrong'), bearer('nonsense'), \
            {'Authorization': 'Basic !!!'}, {'Authorization': 'Basic'}, {'Authorization': 'Digest x'}, basic('rob', ''), \
            {'Authorization': 'Basic ' + 'A' * 5000}:
        for _ in range(2):  # the second time it is known
            r, got = s.request('POST', '/ksql', {'ksql': 'SHOW STREAMS;'}, headers)
            equal((r.status, json.loads(got)['error_code']), (401, 40100))
            assert r.getheader('www-authenticate').startswith('Basic realm='), r.getheaders()
    for path in '/info', '/metrics', '/status', '/nope', '/ws/query':
        equal(s.json('GET', path, status=401)['error_code'], 40100)
    for path in '/query', '/query-stream', '/inserts-stream', '/close-query', '/ksql/terminate', '/v1/shell', '/v1/names':
        equal(s.json('POST', path, {}, status=401)['error_code'], 40100)
    for path in '/chc/live', '/chc/ready':
        equal(s.json('GET', path), {})
    for headers in ANN, BOT, bearer('ann.pa:ss wörd'.encode().decode('latin-1')):
        equal(s.json('POST', '/ksql', {'ksql': 'SHOW STREAMS;'}, headers=headers)[0]['@type'], 'streams')
    equal(len(s.json('POST', '/ksql', {'ksql': JOB}, headers=BOT)), 2)
    for version in '--http1.1', '--http2-prior-knowledge':
        got = s.curl('/ksql', {'ksql': 'SHOW STREAMS;'}, version, '-u', 'ann:pa:ss wörd')
        equal(json.loads(got)[0]['@type'], 'streams')
        got = s.curl('/ksql', {'ksql': 'SHOW STREAMS;'}, version, '-u', 'ann:nope')
        equal(json.loads(got)['error_code'], 40100)


@test
@with_arguments('--auth-file', ACCOUNTS)
def the_role_read(s):
    s.json('POST', '/ksql', {'ksql': JOB + "INSERT INTO s (k, v) VALUES ('a', 1);"}, headers=ANN)
    for sql in 'SHOW STREAMS;', 'DESCRIBE t;', 'EXPLAIN SELECT * FROM t;', "SET 'auto.offset.reset'='earliest'; SHOW PROPERTIES;", \
            "DEFINE x = 'y'; SHOW VARIABLES;":
        assert len(s.json('POST', '/ksql', {'ksql': sql}, headers=ROB)) == 1
    equal(s.json('POST', '/query', {'ksql': 'SELECT v FROM s;'}, headers=ROB)[1]['row']['columns'], [1])
    assert 'finalMessage' in s.json('POST', '/query', {'ksql': 'SELECT v FROM s EMIT CHANGES LIMIT 1;', 'streamsProperties': EARLIEST},
                                    headers=ROB)[-1]
    for sql in 'DROP TABLE t;', 'CREATE STREAM u (v INT) WITH (kafka_topic=\'u\', value_format=\'JSON\', partitions=1);', \
            'INSERT INTO s (k, v) VALUES (\'a\', 1);', 'TERMINATE ALL;', 'CREATE TYPE a AS INT;', "ALTER SYSTEM 'emit'='coalesced';", \
            'INSERT INTO s SELECT * FROM s;', 'PAUSE ALL;', 'CREATE OR REPLACE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;':
        e = s.json('POST', '/ksql', {'ksql': sql}, 403, headers=ROB)
        equal((e['error_code'], e['statementText']), (40300, sql))
        shell = s.curl('/v1/shell', {'ksql': sql}, '-u', 'rob:read-only')
        assert 'needs the role admin' in shell, shell
    e = s.json('POST', '/ksql', {'ksql': 'SHOW STREAMS; DROP TABLE t;'}, 403, headers=ROB)
    equal([x['@type'] for x in e['entities']], ['streams'])
    equal(s.json('POST', '/ksql', {'ksql': 'SELECT v FROM s;'}, 400, headers=ROB)['error_code'], 40002)
    for path in '/inserts-stream', '/ksql/terminate':
        equal(s.json('POST', path, {}, 403, headers=ROB)['error_code'], 40300)
    assert '"cells"' in s.curl('/v1/shell', {'ksql': 'SELECT v FROM s;'}, '-u', 'rob:read-only') or True
    equal(s.json('POST', '/query', {'ksql': 'SELECT n FROM t;'}, headers=ROB)[1]['row']['columns'], [1])


@test
@with_arguments('--auth-file', ACCOUNTS, '--log-requests', '--log-format', 'json')
def secrets_are_hashed_once_and_never_told(s):
    s.json('GET', '/info', headers=ANN)
    began = time.time()
    for _ in range(100):  # each on a connection of its own
        s.json('GET', '/info', headers=ANN)
    assert time.time() - began < patience(5), 'verified each time: %.1f s' % (time.time() - began)
    guessers = [threading.Thread(target=lambda i=i: s.request('GET', '/info', headers=basic('ann', 'guess-%d' % i))) for i in range(12)]
    for g in guessers:
        g.start()
    began = time.time()
    s.json('GET', '/info', headers=ANN)  # who is known does not wait for those that are hashed
    waited = time.time() - began
    for g in guessers:
        g.join()
    assert waited < 1, waited
    s.json('POST', '/ksql', {'ksql': "SHOW PROPERTIES; SET 'ksql.schema.registry.url'='http://127.0.0.1:9/';"}, 400, headers=ANN)
    told = json.dumps(s.json('POST', '/ksql', {'ksql': 'SHOW PROPERTIES;'}, headers=ANN))
    s.process.send_signal(signal.SIGTERM)
    _, log = s.process.communicate(timeout=SLOW)
    events = [json.loads(line) for line in log.decode().splitlines()]
    assert {'listening', 'request', 'account_refused', 'stopping', 'stopped'} <= {e['event'] for e in events}
    assert any(e['event'] == 'request' and e['path'] == '/info' and e['status'] == '401' for e in events)
    assert all('time' in e for e in events)
    for secret in 'pa:ss', base64.b64encode('ann:pa:ss wörd'.encode()).decode(), 'guess-', 'scrypt':
        assert secret not in log.decode() and secret not in told, secret


@test
def accounts_are_reloaded(s):
    s.stop()
    with tempfile.TemporaryDirectory() as d:
        path = d + '/accounts'

        def write(*lines):
            with open(path, 'w') as f:
                f.write(''.join(lines))
        write(hash_line('one:admin', 'x'))
        s.__init__('--auth-file', path)
        s.json('GET', '/info', headers=basic('one', 'x'))
        c = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
        ask = b'GET /info HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n' % basic('one', 'x')['Authorization'].encode()
        c.sendall(ask)
        assert b'200 OK' in c.recv(4096)
        write(hash_line('two:read', 'y'))
        s.process.send_signal(signal.SIGHUP)
        end = time.time() + SLOW
        while s.request('GET', '/info', headers=basic('two', 'y'))[0].status != 200 and time.time() < end:
            time.sleep(0.02)
        equal(s.json('GET', '/info', status=401, headers=basic('one', 'x'))['error_code'], 40100)
        c.sendall(ask)  # nor on the connection that was let in before
        assert b' 401 ' in c.recv(4096)
        c.close()
        write('two read nonsense\n')
        s.process.send_signal(signal.SIGHUP)
        for _ in range(5):
            s.json('GET', '/info', headers=basic('two', 'y'))


@test
def files_that_cannot_be_used(s):
    other = HOME.name + '/other.pem'
    make_certificate(HOME.name + '/unused.pem', other, 'other')
    with tempfile.TemporaryDirectory() as d:
        def written(content, mode=0o600):
            path = tempfile.mktemp(dir=d)
            with open(path, 'w') as f:
                f.write(content)
            os.chmod(path, mode)
            return path
        good = hash_line('a:read', 'x')
        cases = [(['--tls-cert', CERT, '--tls-key', other], 'key'),
                 (['--tls-cert', d + '/nope', '--tls-key', KEY], 'nope'),
                 (['--tls-cert', CERT, '--tls-key', written('nonsense')], 'the key'),
                 (['--auth-file', d + '/nope'], 'nope'),
                 (['--auth-file', written('')], 'no account'),
                 (['--auth-file', written('a read\n')], ':1:'),
                 (['--auth-file', written(good + good)], 'twice'),
                 (['--auth-file', written('\n# x\n' + good.replace(' read ', ' root '))], ':3:'),
                 (['--auth-file', written(good.replace('scrypt$14', 'scrypt$99'))], ':1:'),
                 (['--auth-file', written(good[:-5] + '\n')], ':1:'),
                 (['--auth-file', written(good, 0o666)], 'chmod'),
                 (['--listen', '0.0.0.0:0'], '--insecure'), (['--listen', '0.0.0.0:0', '--auth-file', written(good)], '--insecure'),
                 (['--listen', '[::]:0'], '--insecure'), (['--hash-secret', 'a:root'], 'NAME:read'), (['--hash-secret', 'a'], 'NAME:read'),
                 (['--log-format', 'xml'], '--log-format')]
        for arguments, part in cases:
            p = subprocess.run([WEIR, 'server', '--listen', '127.0.0.1:0', '--data', d + '/d', *arguments], input=b'x\n',
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SLOW)
            assert p.returncode != 0 and part in p.stderr.decode(), (arguments, p.stderr.decode())
        for arguments in ['--tls-cert', CERT, '--tls-key', KEY], ['--insecure']:
            q = Server('--listen', '0.0.0.0:0', *arguments)
            q.stop()


@test
def pages_of_other_sites(s):
    here = '127.0.0.1:%d' % s.port
    for origin, host, status in (('http://evil.example', here, 403), ('null', here, 403), ('http://' + here, here, 200),
                                 ('http://localhost:1', 'localhost:1', 200), ('http://evil.example:1', 'evil.example:1', 403),
                                 (None, 'evil.example', 200), ('http://[::1]:1', '[::1]:1', 200)):
        headers = {'Host': host}
        if origin:
            headers['Origin'] = origin
        r, got = s.request('POST', '/ksql', {'ksql': 'SHOW STREAMS;'}, headers)
        equal((origin, r.status), (origin, status))
        if status == 403:
            equal(json.loads(got)['error_code'], 40300)


class WebSocket:
    def __init__(self, s, request, headers='', version='13', raw=None):
        self.c = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
        key = base64.b64encode(os.urandom(16)).decode()
        url = '/ws/query' if request is None else '/ws/query?other=1&request=' + urllib.parse.quote(json.dumps(request))
        self.c.sendall(('GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s'
                        'Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: %s\r\n\r\n' % (url, headers, key, version)).encode() + (raw or b''))
        self.buffer = b''
        while b'\r\n\r\n' not in self.buffer:
            more = self.c.recv(4096)
            assert more, self.buffer
            self.buffer += more
        self.head, self.buffer = self.buffer.split(b'\r\n\r\n', 1)
        self.head = self.head.decode()
        accept = base64.b64encode(hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()).decode()
        self.is_open = self.head.startswith('HTTP/1.1 101')
        assert not self.is_open or 'sec-websocket-accept: ' + accept in self.head.lower().replace(accept.lower(), accept)

    def take(self, n):
        while len(self.buffer) < n:
            more = self.c.recv(65536)
            assert more, 'closed'
            self.buffer += more
        got, self.buffer = self.buffer[:n], self.buffer[n:]
        return got

    def frame(self):
        op, size = self.take(2)
        assert op & 0x80 and not size & 0x80
        if size == 126:
            size, = struct.unpack('>H', self.take(2))
        elif size == 127:
            size, = struct.unpack('>Q', self.take(8))
        return op & 15, self.take(size)

    def message(self):
        op, payload = self.frame()
        equal(op, 1)
        return json.loads(payload)

    def closed(self):
        op, payload = self.frame()
        equal(op, 8)
        return struct.unpack('>H', payload[:2])[0]

    def send(self, op, payload, final=True, masked=True):
        mask = os.urandom(4)
        head = bytes([op | (0x80 if final else 0)])
        size = len(payload)
        bit = 0x80 if masked else 0
        head += bytes([bit | size]) if size < 126 else bytes([bit | 126]) + struct.pack('>H', size) if size < 65536 else \
            bytes([bit | 127]) + struct.pack('>Q', size)
        self.c.sendall(head + (mask + bytes(b ^ mask[i & 3] for i, b in enumerate(payload)) if masked else payload))

    def end(self):
        """What else comes until the server closes."""
        got = b''
        while True:
            more = self.c.recv(65536)
            if not more:
                return got
            got += more


@test
def websocket(s):
    s.ksql(JOB)
    s.ksql("INSERT INTO s (k, v) VALUES ('ann', 1); INSERT INTO s (k, v) VALUES ('bob', 2);")
    w = WebSocket(s, {'ksql': 'SELECT * FROM s;'})
    assert w.is_open, w.head
    equal(w.message(), [{'name': 'K', 'schema': {'type': 'STRING', 'fields': None, 'memberSchema': None}},
                        {'name': 'V', 'schema': {'type': 'INTEGER', 'fields': None, 'memberSchema': None}}])
    equal([w.message(), w.message()], [{'row': {'columns': ['ann', 1]}}, {'row': {'columns': ['bob', 2]}}])
    equal(w.message(), {'finalMessage': 'Query Completed'})
    equal(w.closed(), 1000)
    w.send(8, struct.pack('>H', 1000))
    equal(w.end(), b'')

    w = WebSocket(s, {'ksql': 'SELECT v FROM s EMIT CHANGES;', 'streamsProperties': EARLIEST})
    equal([x['name'] for x in w.message()], ['V'])
    equal([w.message(), w.message()], [{'row': {'columns': [1]}}, {'row': {'columns': [2]}}])
    w.send(9, b'are you there')
    equal(w.frame(), (10, b'are you there'))
    w.send(1, b'x' * 70000, final=False)  # read past, fragments, pings between and all
    w.send(9, b'')
    equal(w.frame(), (10, b''))
    w.send(0, b'y')
    w.send(10, b'')
    s.ksql("INSERT INTO s (k, v) VALUES ('%s', 3);" % ('long' * 20000))
    equal(w.message(), {'row': {'columns': [3]}})
    w.send(8, struct.pack('>H', 1001) + b'bye')
    equal(w.closed(), 1001)
    equal(w.end(), b'')

    w = WebSocket(s, {'ksql': "SELECT k FROM s WHERE v = 3;"})  # a message with a length of eight bytes
    w.message()
    equal(len(w.message()['row']['columns'][0]), 80000)

    for request, code in ((None, 1003), ({'ksql': 'SELECTT;'}, 1003), ({'ksql': 'DROP STREAM s;'}, 1003), ({}, 1003)):
        w = WebSocket(s, request)
        assert 'error_code' in w.message()
        equal(w.closed(), code)
    equal(WebSocket(s, {'ksql': 'SELECT * FROM s;'}, version='8').is_open, False)
    assert '403' in WebSocket(s, {'ksql': 'SELECT * FROM s;'}, headers='Origin: http://evil.example\r\n').head

    push = {'ksql': 'SELECT v FROM s EMIT CHANGES;'}
    for op, payload, more in ((1, b'x', {'masked': False}), (3, b'', {}), (9, b'x' * 126, {}), (9, b'x', {'final': False}), (0, b'x', {}),
                              (0x41, b'x', {})):
        w = WebSocket(s, push)
        w.message()
        w.send(op, payload, **more)
        equal(w.closed(), 1002)
        w.end()
    w = WebSocket(s, push, raw=b'\x89\x80abcd')  # a ping right behind the handshake
    got = {w.frame()[0], w.frame()[0]}
    equal(got, {1, 10})
    stopper = threading.Thread(target=s.stop)
    stopper.start()
    assert 'stopping' in w.message()['message']
    equal(w.closed(), 1001)
    stopper.join()
    s.__init__()


@test
def a_fixed_script(s):
    s.stop()
    with tempfile.NamedTemporaryFile('w', suffix='.sql') as f:
        f.write(JOB)
        f.flush()
        s.__init__('--queries', f.name)
    for sql in 'DROP TABLE t;', 'TERMINATE ALL;', 'CREATE TYPE a AS INT;':
        e = s.ksql(sql, 403)
        equal(e['error_code'], 40300)
        assert '--queries' in e['message'], e
        assert '--queries' in s.curl('/v1/shell', {'ksql': sql})
    equal(s.json('POST', '/ksql/terminate', {}, 403)['error_code'], 40300)
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 1); SHOW TABLES;")
    s.wait_rows('SELECT * FROM t;', [['a', 1, 1]])


@test
def terminate(s):
    s.ksql(JOB + 'CREATE TABLE u AS SELECT k, n FROM t; CREATE STREAM v AS SELECT * FROM s;')
    e = s.json('POST', '/ksql/terminate', {'deleteTopicList': ['(']}, 400)
    equal(e['error_code'], 40000)
    equal(len(s.ksql('SHOW QUERIES;')[0]['queries']), 3)
    got = s.json('POST', '/ksql/terminate', {'deleteTopicList': ['U', 'V.*']})
    equal((got[0]['commandId'], got[0]['commandStatus']['status']), ('terminate/CLUSTER/execute', 'SUCCESS'))
    s.stop(keeps=True)
    s.__init__(path=s.path)
    equal([x['name'] for x in s.ksql('SHOW STREAMS;')[0]['streams'] if not x['name'].startswith('KSQL_')], [])
    equal(s.ksql('SHOW TABLES; SHOW QUERIES;')[0]['tables'], [])
    topics = {x['name'] for x in s.ksql('SHOW ALL TOPICS;')[0]['topics']}
    assert 's' in topics and not topics & {'U', 'V'}, topics


@test
@with_arguments('--max-statement-time', '1000')
def statements_take_their_time(s):
    s.ksql('CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic=\'s\', value_format=\'JSON\', partitions=1);')
    produce(s, 's', 400000)
    slow = 'SELECT k FROM s WHERE ARRAY_LENGTH(TRANSFORM(GENERATE_SERIES(1, 300), x => x * v)) < 0;'
    began = time.time()
    r, got = s.request('POST', '/query', {'ksql': slow})
    assert b'--max-statement-time' in got, (r.status, got[:300], time.time() - began)
    assert time.time() - began < patience(10)
    push = Push(s, '/query', {'ksql': 'SELECT v FROM s EMIT CHANGES;'})  # has no such limit
    push.chunk()
    time.sleep(2.5)
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 7);")
    equal(push.chunk(), '{"row":{"columns":[7]}},\n')
    push.close()


@test
def commands_are_awaited(s):
    number = s.ksql(JOB)[-1]['commandSequenceNumber']
    equal(s.ksql('SHOW STREAMS;', commandSequenceNumber=number)[0]['@type'], 'streams')
    equal(s.ksql('SHOW STREAMS;', commandSequenceNumber=-1)[0]['@type'], 'streams')
    equal(s.ksql('SHOW STREAMS;', 503, commandSequenceNumber=number + 1)['error_code'], 50301)
    equal(s.ksql('SHOW STREAMS;', 400, commandSequenceNumber='x')['error_code'], 40000)


@test
def nothing_outside_is_named_by_requests(s):
    for sql in "SET 'ksql.schema.registry.url'='http://127.0.0.1:9/'; SHOW STREAMS;", "SET 'bootstrap.servers'='127.0.0.1:9'; SHOW STREAMS;":
        assert 'unknown setting' in s.ksql(sql, 400)['message']
    for name in 'ksql.schema.registry.url', 'bootstrap.servers', 'ksql.streams.bootstrap.servers', 'ksql.connect.url':
        for path, member in ('/ksql', 'ksql'), ('/query', 'ksql'), ('/query-stream', 'sql'):
            e = s.json('POST', path, {member: 'SHOW STREAMS;', 'streamsProperties': {name: 'http://127.0.0.1:9/'}}, 400)
            equal((name, e['error_code']), (name, 40000))
    e = s.ksql("CREATE SOURCE CONNECTOR c WITH ('connector.class'='x', 'connection.url'='http://127.0.0.1:9/');", 400)
    equal(e['errorClass'], 'unsupported')
    e = s.ksql("RUN SCRIPT '/etc/passwd';", 400)
    assert 'which a client of a server cannot ask for' in e['message'], e
    _, got = s.request('POST', '/v1/shell', {'ksql': "RUN SCRIPT '/etc/passwd';"})
    assert b'which a client of a server cannot ask for' in got, got


@test
def the_end_comes_soon(s):
    s.ksql(JOB)
    pushes = [Push(s, path, {member: 'SELECT v FROM s EMIT CHANGES;'}) for path, member in (('/query', 'ksql'), ('/query-stream', 'sql'))
              for _ in range(20)]
    for p in pushes:
        p.chunk()
    idle = [socket.create_connection(('127.0.0.1', s.port), timeout=SLOW) for _ in range(20)]
    half = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
    half.sendall(b'POST /ksql HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf')
    inserting = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
    inserting.sendall(b'POST /inserts-stream HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"target":"S"}\n\r\n')
    h2 = subprocess.Popen(['curl', '-sN', '--http2-prior-knowledge', 'http://127.0.0.1:%d/query-stream' % s.port, '-d',
                           '{"sql":"SELECT v FROM s EMIT CHANGES;"}'], stdout=subprocess.PIPE)
    assert b'columnNames' in h2.stdout.readline()
    began = time.time()
    s.process.send_signal(signal.SIGTERM)
    for p in pushes:
        assert 'stopping' in p.chunk()
    assert b'stopping' in h2.stdout.read()
    s.process.communicate(timeout=SLOW)
    equal(h2.wait(), 0)
    took = time.time() - began
    assert took < 5, took
    for c in idle + [half, inserting]:
        c.close()
    equal(s.process.returncode, 0)


run_tests()
