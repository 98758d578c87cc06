#!/usr/bin/env python3
"""What nobody should send to a server, and some do: server_abuse.py WEIR. Each test asserts that the answer is clear, or the
connection closed; that others are served meanwhile; and that memory stays bounded. Bare sockets, loopback only."""
import json
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from http2_lib import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, RST, SETTINGS, WINDOW, Http2,
                       frame, headers, literal)
from patience import SANITIZED, patience
from server_lib import EARLIEST, JOB, SLOW, WEIR, Server, equal, run_tests, test, with_arguments

MIB = 1 << 20
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def memory(s):
    """Bytes the server holds now; its data, mapped, is not counted."""
    for line in open('/proc/%d/status' % s.process.pid):
        if line.startswith('RssAnon:'):
            return int(line.split()[1]) * 1024


def is_bounded(s, before, mib):
    grown = memory(s) - before
    assert SANITIZED or grown < mib * MIB, 'memory grew by %d MiB' % (grown >> 20)


def is_serving(s):
    began = time.time()
    assert s.json('GET', '/info')['KsqlServerInfo']
    assert time.time() - began < patience(5)


def is_serving_again(s):
    """Once those that kept others out have gone."""
    end = time.time() + SLOW
    while time.time() < end:
        try:
            if s.request('GET', '/info')[0].status == 200:
                break
        except Exception:
            pass
        time.sleep(0.05)
    is_serving(s)


def connect(s):
    return socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)


def all_of(c):
    """What comes until the server closes; a reset counts as that."""
    got = b''
    try:
        while True:
            more = c.recv(65536)
            if not more:
                return got
            got += more
    except ConnectionError:
        return got


def send_until_closed(c, pieces):
    """False: the server closed before all was sent."""
    try:
        for piece in pieces:
            c.sendall(piece)
        return True
    except (ConnectionError, socket.timeout):
        return False


GET_INFO = headers(b'GET', b'/info')


def flood(s, pieces, is_sent_away=True):
    """A connection that sends all that; while it does, others are served."""
    before = memory(s)
    h = Http2(s)
    away = []
    drain = threading.Thread(target=lambda: away.extend(kind for kind, _, _, _ in h.frames() if kind == GOAWAY))
    drain.start()
    sent = send_until_closed(h.c, pieces)
    is_serving(s)
    if sent:
        try:
            h.c.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    drain.join(SLOW)
    h.c.close()
    assert not sent or away or not is_sent_away, 'it may send that for ever'
    is_bounded(s, before, 64)


@test
@with_arguments('--max-request-time', '1000')
def slow_senders(s):
    s.ksql(JOB)
    slow = [connect(s) for _ in range(4)]
    slow[0].sendall(b'GET /info HTTP/1.1\r\nX: ')
    slow[1].sendall(b'POST /ksql HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{')
    slow[2].sendall(b'POST /ksql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n')
    slow[3].sendall(b'PRI * HTTP/2')
    h2 = Http2(s)
    h2.c.sendall(frame(HEADERS, END_HEADERS, 1, headers(b'POST', b'/ksql')) + frame(DATA, 0, 1, b'{'))
    silent = connect(s)
    began = time.time()
    open_ones = set(range(4))
    while open_ones and time.time() - began < SLOW:  # a byte now and then keeps none of them
        for i in list(open_ones):
            try:
                slow[i].send((b'a', b' ', b'1\r\n \r\n', b'')[i])
            except ConnectionError:
                pass
            slow[i].settimeout(0.1)
            try:
                got = slow[i].recv(4096)
                if not got or b' 408 ' in got:
                    open_ones.discard(i)
            except socket.timeout:
                pass
            except ConnectionError:
                open_ones.discard(i)
        is_serving(s)
    assert not open_ones and time.time() - began < patience(10), (open_ones, time.time() - began)
    body, _ = h2.body()
    equal(json.loads(body)['error_code'], 40800)
    equal(all_of(silent), b'')


@test
def half_open(s):
    s.ksql(JOB)
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 1);")
    c = connect(s)
    body = b'{"ksql":"SELECT v FROM s;"}'
    c.sendall(b'POST /query HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
    c.shutdown(socket.SHUT_WR)
    assert b'"columns":[1]' in all_of(c)  # who waits for an answer gets it
    c = connect(s)
    body = b'{"ksql":"SELECT v FROM s EMIT CHANGES;"}'
    c.sendall(b'POST /query HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
    c.recv(4096)
    c.shutdown(socket.SHUT_WR)
    all_of(c)  # what goes on for ever is ended
    for _ in range(300):  # gone in the middle of anything, without a word
        c = connect(s)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        c.send(random.choice((b'', b'GET', b'POST /query HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body), PREFACE,
                              PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS | END_STREAM, 1, GET_INFO))) or b'G')
        c.close()
    is_serving(s)
    end = time.time() + SLOW
    while b'weir_http_streamed_queries 0' not in s.request('GET', '/metrics')[1] and time.time() < end:
        time.sleep(0.05)
    assert b'weir_http_streamed_queries 0' in s.request('GET', '/metrics')[1]


@test
def bodies_that_are_none(s):
    before = memory(s)
    deep = b'[' * 1000000
    bodies = [b'', b'\x00', b'\xff\xfe', b'{"ksql":"\xff\xfe"}', b'{"ksql":"\xed\xa0\x80"}', deep, b'{"a":' * 500000, b'{"ksql":' + deep,
              b'{"ksql":"x"' + b',"a":1' * 500000, b'"' + b'x' * 3000000, b'{"ksql":"SHOW STREAMS;","streamsProperties":[]}',
              b'{"ksql":"SHOW STREAMS;","sessionVariables":{"a":{}}}', b'{"ksql":"\\ud800"}', b'\xef\xbb\xbf', b'{"ksql":null}', b'1e999999']
    for path in '/ksql', '/query', '/query-stream', '/close-query', '/ksql/terminate', '/v1/shell', '/v1/names':
        for body in bodies:
            if path == '/ksql/terminate' and not body:
                continue  # which is fine
            if path in ('/v1/names', '/ksql/terminate') and body.startswith(b'{"ksql"'):
                continue  # a member they do not know
            r, got = s.request('POST', path, body)
            if path == '/v1/shell' and r.status == 200:
                assert got.startswith(b'{"error"'), got[:200]
                continue
            assert r.status in (400, 413), (path, body[:30], r.status, got[:200])
            if r.status == 400:
                assert json.loads(got)['error_code'] in (40000, 40001), got[:200]
    r, got = s.request('POST', '/inserts-stream', b'{"target":"s"}\n' + deep)
    assert json.loads(got.splitlines()[0])['error_code'], got
    is_serving(s)
    is_bounded(s, before, 256)


@test
def statements_out_of_all_proportion(s):
    s.ksql(JOB)
    before = memory(s)
    many = 1000000 // patience(1)
    for sql in ('SELECT ' + '1+' * many + '1 FROM s;', 'SELECT ' + '(' * many, 'SELECT v FROM s WHERE v IN (' + '1,' * many + '1);',
                'SELECT ' + 'v,' * many + 'v FROM s;', ';' * many, 'SELECT ' + 'NOT ' * (many // 2) + 'TRUE FROM s;', "'" * (many - 1),
                'SELECT v FROM s WHERE ' + 'v = 1 AND ' * (many // 3) + 'v = 1;', 'SELECT ' + 'CASE WHEN v = 1 THEN ' * (many // 10),
                '-' * (many + 1) + '1', 'SELECT ' + 'ARRAY[' * (many // 2), 'SELECT v' + '[1]' * (many // 2) + ' FROM s;',
                'SELECT v' + '->a' * (many // 2) + ' FROM s;', 'CREATE STREAM x (' + 'a INT,' * (many // 3),
                'SELECT CAST(v AS ' + 'ARRAY<' * (many // 3), '${a}' * (many // 2), '/*' * many, 'SELECT ' + 'f(' * (many // 2)):
        for path, member in (('/ksql', 'ksql'), ('/query', 'ksql')):
            done = []

            def ask():
                done.append(s.request('POST', path, {member: sql}))
            t = threading.Thread(target=ask)
            t.start()
            while t.is_alive():
                is_serving(s)
                t.join(0.2)
            assert done, (path, sql[:40])
            r, got = done[0]
            assert r.status in (200, 400), (path, sql[:40], r.status, got[:300])
    is_bounded(s, before, 1500)


@test
def headers_and_methods(s):
    for data, status in ((b'GET /info HTTP/1.1\r\n' + b'X: y\r\n' * 20000 + b'\r\n', 431), (b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\n\r\n', 431),
                         (b'NONSENSE /info HTTP/1.1\r\n\r\n', 400), (b'BREW / HTTP/1.1\r\n\r\n', 400), (b'GET\r\n\r\n', 400),
                         (b'GET /info HTTP/1.1\r\nContent-Length: -1\r\n\r\n', 400), (b'GET /info HTTP/1.1\r\nContent-Length: 9' + b'9' * 30 + b'\r\n\r\n', 400),
                         (b'POST /ksql HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 400),
                         (b'POST /ksql HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n', 400),
                         (b'POST /ksql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400),
                         (b'POST /ksql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n', 400),
                         (b'GET /info HTTP/1.1\r\nBad Name: x\r\n\r\n', 400), (b'GET /info HTTP/1.1\r\nX: \x00\r\n\r\n', 400),
                         (b'GET /info HTTP/7.7\r\n\r\n', 400), (b'\x16\x03\x01\x02\x00', 400), (b'\r\n' * 3 + b'\xff' * 100 + b'\r\n\r\n', 400),
                         (b'DELETE /info HTTP/1.1\r\nConnection: close\r\n\r\n', 405), (b'TRACE /ksql HTTP/1.1\r\nConnection: close\r\n\r\n', 405),
                         (b'OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n', 404), (b'CONNECT x:1 HTTP/1.1\r\nConnection: close\r\n\r\n', 404),
                         (b'GET /../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n', 404), (b'GET /%00%0d%0a HTTP/1.1\r\nConnection: close\r\n\r\n', 404),
                         (b'GET http://elsewhere/info HTTP/1.1\r\nConnection: close\r\n\r\n', 404)):
        c = connect(s)
        send_until_closed(c, [data])
        got = all_of(c)
        assert got.startswith(b'HTTP/1.1 %d ' % status), (data[:60], got[:300])
        assert got.count(b'HTTP/1.1 ') == 1, got
    for method in b'PUT', b'NONSENSE', b'get', b'PRI':
        h = Http2(s)
        h.c.sendall(frame(HEADERS, END_HEADERS | END_STREAM, 1, headers(method, b'/info')))
        equal(json.loads(h.body()[0])['error_code'], 40500)
    h = Http2(s)
    block = headers(b'GET', b'/info', *[(b'x', b'y' * 4000)] * 12)
    h.c.sendall(frame(HEADERS, END_STREAM, 1, block[:16000]) + frame(CONTINUATION, 0, 1, block[16000:32000]) +
                frame(CONTINUATION, END_HEADERS, 1, block[32000:]))
    got, reset = h.body()
    equal(json.loads(got)['error_code'], 43100)
    is_serving(s)


@test
def http2_floods(s):
    def resets(n):
        for i in range(n):
            yield frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, GET_INFO) + frame(RST, 0, 2 * i + 1, struct.pack('>I', 8))

    def queries(n):
        body = b'{"sql":"SHOW STREAMS;"}'
        for i in range(n):
            yield frame(HEADERS, END_HEADERS, 2 * i + 1, headers(b'POST', b'/query-stream')) + frame(DATA, END_STREAM, 2 * i + 1, body) + \
                frame(RST, 0, 2 * i + 1, struct.pack('>I', 8))
    flood(s, resets(20000))
    flood(s, queries(20000))
    flood(s, (frame(SETTINGS, 0, 0, struct.pack('>HI', 3, i % 100) * 5) for i in range(20000)))
    flood(s, (frame(PING, 0, 0, b'12345678') for _ in range(20000)))
    flood(s, (frame(PRIORITY, 0, 2 * i + 1, struct.pack('>IB', 0, 1)) for i in range(50000)))
    flood(s, [frame(HEADERS, 0, 1, GET_INFO)] + [frame(CONTINUATION, 0, 1, b'')] * 20000)
    flood(s, [frame(HEADERS, 0, 1, GET_INFO)] + [frame(CONTINUATION, 0, 1, literal(b'x', b'y' * 1000))] * 20000)
    flood(s, [frame(HEADERS, END_HEADERS, 1, headers(b'POST', b'/ksql'))] + [frame(DATA, 0, 1, b'')] * 50000)
    flood(s, [frame(HEADERS, END_HEADERS, 1, headers(b'POST', b'/inserts-stream'))] + [frame(DATA, 0, 1, b'')] * 50000)
    flood(s, (frame(HEADERS, END_HEADERS, 2 * i + 1, headers(b'POST', b'/ksql')) for i in range(20000)),
          is_sent_away=False)  # bodies that never come: each beyond the hundredth is refused
    flood(s, [frame(DATA, 0, 7, b'x')] * 1000)
    flood(s, [frame(WINDOW, 0, 0, struct.pack('>I', 0x7fffffff))] * 2000)
    flood(s, [frame(200, 0, 0, b'unknown')] * 20000, is_sent_away=False)  # which is to be passed over
    flood(s, (os.urandom(1000) for _ in range(2000)))
    # A table of headers that refers to itself: small to send, large to read.
    big = b'\x40' + literal(b'x', b'y' * 3900)[1:]
    bomb = headers(b'GET', b'/info') + big + b'\xbe' * 12000
    h = Http2(s)
    before = memory(s)
    for i in range(5):
        h.c.sendall(frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, bomb if i == 0 else headers(b'GET', b'/info') + b'\xbe' * 12000))
    h.c.sendall(frame(PING, 0, 0, b'12345678'))
    send_until_closed(h.c, [])
    is_serving(s)
    is_bounded(s, before, 64)


@test
@with_arguments('--max-body', str(MIB))
def bodies_at_once(s):
    before = memory(s)
    half = b'POST /ksql HTTP/1.1\r\nContent-Length: %d\r\n\r\n' % MIB + b'{"ksql":"' + b'x' * (MIB - 100)
    kept, refused = [], 0
    for _ in range(120):  # 64 of the largest may wait
        c = connect(s)
        send_until_closed(c, [half])
        kept.append(c)
    for _ in range(4):
        h = Http2(s)
        for i in range(10):
            h.c.sendall(frame(HEADERS, END_HEADERS, 2 * i + 1, headers(b'POST', b'/inserts-stream')))
            send_until_closed(h.c, [frame(DATA, 0, 2 * i + 1, b'x' * 16384)] * 4)
        kept.append(h.c)
    for c in kept[:120]:
        c.settimeout(0.2)
        try:
            refused += b' 503 ' in c.recv(4096)
        except socket.timeout:
            pass
        except ConnectionError:
            refused += 1
    assert refused >= 40, refused
    is_serving(s)
    is_bounded(s, before, 160)
    for c in kept:
        c.close()
    end = time.time() + SLOW
    while s.request('POST', '/ksql', {'ksql': 'SHOW STREAMS;'})[0].status != 200 and time.time() < end:
        time.sleep(0.05)
    s.ksql('SHOW STREAMS;')


@test
def readers_that_do_not_read(s):
    s.ksql(JOB)
    path = os.path.join(s.path, 'rows')
    with open(path, 'w') as f:
        for i in range(200000):
            f.write('%s%d:{"v":%d}\n' % ('k' * 200, i, i))
    subprocess.run([WEIR, 'produce', '--data', s.path + '/d', '--key-separator', ':', 's', path], check=True)
    body = json.dumps({'sql': 'SELECT * FROM s EMIT CHANGES;', 'properties': EARLIEST}).encode()
    before = memory(s)
    kept = []
    for _ in range(20):
        c = connect(s)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.sendall(b'POST /query-stream HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
        kept.append(c)
        h = Http2(s, struct.pack('>HI', 4, 0 if len(kept) % 4 else 65535))  # windows that stay shut
        h.c.sendall(frame(HEADERS, END_HEADERS, 1, headers(b'POST', b'/query-stream')) + frame(DATA, END_STREAM, 1, body))
        kept.append(h.c)
    many = connect(s)  # thousands of requests, none of whose answers is read
    many.settimeout(2)
    send_until_closed(many, [b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' * 1000] * 100)
    end = time.time() + 3
    while time.time() < end:
        is_serving(s)
        time.sleep(0.1)
    is_bounded(s, before, 300)  # a batch of rows each, as lines
    for c in kept + [many]:
        c.close()


@test
def lines_that_do_not_end(s):
    s.ksql(JOB)
    before = memory(s)
    c = connect(s)
    c.sendall(b'POST /inserts-stream HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    send_until_closed(c, [b'10000\r\n' + b'x' * 65536 + b'\r\n'] * 300)
    assert b' 413 ' in all_of(c)
    c = connect(s)
    c.sendall(b'POST /inserts-stream HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"target":"S"}\n\r\n')
    send_until_closed(c, [b'10000\r\n' + b'x' * 65536 + b'\r\n'] * 300)
    all_of(c)
    is_serving(s)
    is_bounded(s, before, 32)


@test
@with_arguments('--max-connections', '12000')
def ten_thousand_connections(s):
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200
    count = min(10000, room)
    before = memory(s)
    kept = []
    for i in range(count):
        c = connect(s)
        if i % 3 == 1:
            c.sendall(b'GET /info HTTP/1.1\r\nHost: x\r\n\r\n')
        elif i % 3 == 2:
            c.sendall(PREFACE + frame(SETTINGS, 0, 0))
        kept.append(c)
        if i % 1000 == 999:
            is_serving(s)
    for c in kept[1::3]:
        assert c.recv(4096).startswith(b'HTTP/1.1 200')
    grown = memory(s) - before
    print('        %d connections: %d bytes each' % (count, grown // count))
    is_bounded(s, before, 200)
    is_serving(s)
    for c in kept:
        c.close()
    is_serving(s)


@test
@with_arguments('--max-connections', '20')
def too_many_connections(s):
    kept = [connect(s) for _ in range(60)]
    refused = 0
    for c in kept[20:]:
        refused += b' 503 ' in all_of(c)
    assert refused >= 39, refused
    for c in kept:
        c.close()
    is_serving_again(s)


@test
def no_descriptors_left(s):
    s.stop()
    s.__init__(limit=80)
    kept = [connect(s) for _ in range(300)]
    refused = sum(b' 503 ' in all_of(c) for c in kept[150:])
    assert refused == 150, refused

    def ticks():
        return sum(int(x) for x in open('/proc/%d/stat' % s.process.pid).read().rsplit(')', 1)[1].split()[11:13])
    before = ticks()
    time.sleep(1)
    assert ticks() - before < 30, 'it turns in circles'
    for c in kept:
        c.close()
    is_serving_again(s)


@test
def messages_nobody_asked_for(s):
    s.ksql(JOB)
    before = memory(s)
    c = connect(s)
    c.sendall(b'GET /ws/query?request=%7B%22ksql%22:%22SELECT%20v%20FROM%20s%20EMIT%20CHANGES;%22%7D HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n'
              b'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n')
    c.settimeout(2)
    send_until_closed(c, [(b'\x89\xfd' + b'mask' + b'x' * 125) * 1000] * 200)  # pings, and no answer is read
    is_serving(s)
    is_bounded(s, before, 32)
    c.close()
    c = connect(s)
    c.sendall(b'GET /ws/query?request=x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
              b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n' + os.urandom(5000))
    all_of(c)
    is_serving(s)


@test
def bytes_without_a_meaning(s):
    r = random.Random(1)
    before = memory(s)
    begins = (b'', b'GET ', b'POST /ksql HTTP/1.1\r\n', PREFACE, PREFACE + frame(SETTINGS, 0, 0), b'PRI * HTTP/2.0\r\n',
              b'POST /inserts-stream HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    for i in range(400):
        c = connect(s)
        send_until_closed(c, [r.choice(begins) + bytes(r.randrange(256) for _ in range(r.randrange(300)))])
        c.close()
    is_serving(s)
    is_bounded(s, before, 32)


run_tests()
