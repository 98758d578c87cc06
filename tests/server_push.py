#!/usr/bin/env python3
"""Push queries that share a reader, from outside: server_push.py WEIR [TEST...]. Many subscribers, slow ones, those that come and
go, and what becomes of the server's memory."""
import json
import os
import socket
import threading
import time

from http2_lib import DATA, END_HEADERS, END_STREAM, HEADERS, Http2, frame, headers
from patience import SANITIZED
from server_lib import SLOW, Push, equal, run_tests, test

STREAM = "CREATE STREAM s (k STRING KEY, v INT, t STRING) WITH (kafka_topic='s', value_format='JSON', partitions=1);"
TABLE = "CREATE TABLE tt (k STRING PRIMARY KEY, v INT) WITH (kafka_topic='tt', value_format='JSON', partitions=1);"


def insert(s, target, rows, acks=True):
    lines = [{'target': target}] + rows
    got = s.curl('/inserts-stream', b''.join(json.dumps(x).encode() + b'\n' for x in lines))
    equal([json.loads(x)['status'] for x in got.splitlines()], ['ok'] * len(rows))


def subscribe(s, sql, **more):
    push = Push(s, '/query-stream', dict(sql=sql, **more))
    push.id = json.loads(push.chunk())['queryId']
    return push


def row(push):
    return json.loads(push.chunk())


def all_chunks(push):
    """What still comes, until the reply ends."""
    got = []
    while True:
        size = int(push.until(b'\r\n'), 16)
        while len(push.buffer) < size + 2:
            more = push.sock.recv(1 << 20)
            assert more, 'closed'
            push.buffer += more
        if size == 0:
            return got
        got.append(push.buffer[:size].decode())
        push.buffer = push.buffer[size + 2:]


def status(s, name):
    with open('/proc/%d/status' % s.process.pid) as f:
        return int(next(x for x in f if x.startswith(name + ':')).split()[1])


def rss_mib(s):
    return status(s, 'VmRSS') / 1024


def metric(s, name):
    lines = s.request('GET', '/metrics')[1].decode().splitlines()
    return int(next(x for x in lines if x.startswith(name + ' ')).split()[1])


def cpu_seconds(s):
    with open('/proc/%d/stat' % s.process.pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@test
def each_gets_its_rows_in_order(s):
    s.ksql(STREAM)
    kinds = [('SELECT k, v FROM s EMIT CHANGES;', lambda k, v: [k, v]),
             ('SELECT v FROM s WHERE v % 3 = 0 EMIT CHANGES;', lambda k, v: [v] if v % 3 == 0 else None),
             ("SELECT t, v * 2 AS w FROM s WHERE k = 'k1' EMIT CHANGES;", lambda k, v: ['text %d' % v, v * 2] if k == 'k1' else None),
             ('SELECT * FROM s WHERE v >= 390 EMIT CHANGES;', lambda k, v: [k, v, 'text %d' % v] if v >= 390 else None),
             ("SELECT ROWOFFSET, v FROM s WHERE k <> 'k0' EMIT CHANGES;", lambda k, v: [v, v] if k != 'k0' else None)]
    pushes = [(subscribe(s, sql), of) for _ in range(12) for sql, of in kinds]
    rows = [('k%d' % (i % 4), i) for i in range(400)]
    insert(s, 's', [{'k': k, 'v': v, 't': 'text %d' % v} for k, v in rows])
    for push, of in pushes:
        wanted = [x for x in (of(k, v) for k, v in rows) if x is not None]
        equal([row(push) for _ in wanted], wanted)
    insert(s, 's', [{'k': 'k1', 'v': 399, 't': 'text 399'}])  # nothing is left over
    for push, of in pushes:
        if of('k1', 399) is not None and 'ROWOFFSET' not in str(of):
            equal(row(push)[-1], {0: 399, 1: 399, 2: 798, 3: 'text 399', 4: 399}[[x[1] for x in kinds].index(of)])
        push.close()


@test
def streams_of_one_connection(s):
    s.ksql(STREAM)
    h = Http2(s)
    for i in range(80):
        body = json.dumps({'sql': 'SELECT v FROM s WHERE v %% 80 = %d EMIT CHANGES;' % i}).encode()
        h.c.sendall(frame(HEADERS, END_HEADERS, 2 * i + 1, headers(b'POST', b'/query-stream')) + frame(DATA, END_STREAM, 2 * i + 1, body))
    got, frames = {}, h.frames()

    def read(count):
        for kind, flags, stream, payload in frames:
            if kind == DATA and payload:
                got.setdefault(stream, []).append(payload)
                if sum(len(x) for x in got.values()) == count:
                    return
    read(80)
    insert(s, 's', [{'k': 'a', 'v': v, 't': 'x'} for v in range(240)])
    read(80 + 240)
    for i in range(80):
        equal(got[2 * i + 1][1:], [b'[%d]\n' % v for v in (i, i + 80, i + 160)])
    h.c.close()


@test
def tables_and_former_rows(s):
    """A row that falls out of the predicate is a deletion for those who could have seen it, and nothing for those who came later."""
    s.ksql(TABLE)
    body = {'ksql': 'SELECT k, v FROM tt WHERE v > 10 EMIT CHANGES;'}

    def begin():
        push = Push(s, '/query', body)
        push.chunk()
        return push

    early = begin()
    insert(s, 'tt', [{'k': 'a', 'v': 20}])
    equal(early.chunk(), '{"row":{"columns":["a",20]}},\n')
    late = begin()
    insert(s, 'tt', [{'k': 'a', 'v': 5}, {'k': 'b', 'v': 30}, {'k': 'b', 'v': 1}, {'k': 'c', 'v': 2}, {'k': 'd', 'v': 40}])
    equal(early.chunk(), '{"row":{"columns":["a",null],"tombstone":true}},\n')
    for push in early, late:
        equal(push.chunk(), '{"row":{"columns":["b",30]}},\n')
        equal(push.chunk(), '{"row":{"columns":["b",null],"tombstone":true}},\n')
        equal(push.chunk(), '{"row":{"columns":["d",40]}},\n')
        push.close()


@test
def aggregates_too(s):
    s.ksql(STREAM)
    pushes = [subscribe(s, 'SELECT k, SUM(v) AS n FROM s GROUP BY k EMIT CHANGES;') for _ in range(3)]
    for v, total in (1, 1), (2, 3), (4, 7):
        insert(s, 's', [{'k': 'a', 'v': v, 't': 'x'}])
        for push in pushes:
            equal(row(push), ['a', total])


@test
def a_limit_ends_it(s):
    s.ksql(STREAM)
    limited = [Push(s, '/query', {'ksql': 'SELECT v FROM s EMIT CHANGES LIMIT %d;' % n}) for n in (1, 3, 5)]
    goes_on = subscribe(s, 'SELECT v FROM s EMIT CHANGES;')
    insert(s, 's', [{'k': 'a', 'v': v, 't': 'x'} for v in range(2)])
    insert(s, 's', [{'k': 'a', 'v': v, 't': 'x'} for v in range(2, 8)])
    for push, n in zip(limited, (1, 3, 5)):
        got = json.loads(''.join(all_chunks(push)))
        equal(got[1:], [{'row': {'columns': [v]}} for v in range(n)] + [{'finalMessage': 'Limit Reached'}])
    equal([row(goes_on) for _ in range(8)], [[v] for v in range(8)])


@test
def closed_by_id(s):
    s.ksql(STREAM)
    a, b = [subscribe(s, 'SELECT v FROM s EMIT CHANGES;') for _ in range(2)]
    equal(s.request('POST', '/close-query', {'queryId': a.id})[0].status, 200)
    equal(all_chunks(a), [])
    insert(s, 's', [{'k': 'a', 'v': 1, 't': 'x'}])
    equal(row(b), [1])


@test
def a_topic_that_goes(s):
    """Dropped, the stream is still read by those who do; with its topic, they are told."""
    s.ksql(STREAM + "CREATE STREAM again (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON');")
    pushes = [subscribe(s, 'SELECT v FROM %s EMIT CHANGES;' % name) for name in ('s', 'again') * 5]
    s.ksql('DROP STREAM s;')
    insert(s, 'again', [{'k': 'a', 'v': 1}])
    equal([row(push) for push in pushes], [[1]] * 10)
    s.ksql('DROP STREAM again DELETE TOPIC;')
    for push in pushes:
        last = ''.join(all_chunks(push))
        assert 'deleted' in json.loads(last)['message'], last
    s.ksql(STREAM)
    push = subscribe(s, 'SELECT v FROM s EMIT CHANGES;')
    insert(s, 's', [{'k': 'a', 'v': 2, 't': 'x'}])
    equal(row(push), [2])


@test
def clients_that_go(s):
    s.ksql(STREAM)
    stays = subscribe(s, 'SELECT v FROM s EMIT CHANGES;')
    for push in [subscribe(s, 'SELECT v FROM s WHERE v > %d EMIT CHANGES;' % i) for i in range(50)]:
        push.sock.close()
        push.close()
    end = time.time() + SLOW
    while metric(s, 'weir_http_streamed_queries') > 1 and time.time() < end:
        time.sleep(0.02)
    equal(metric(s, 'weir_http_streamed_queries'), 1)
    insert(s, 's', [{'k': 'a', 'v': 1, 't': 'x'}])
    equal(row(stays), [1])


@test
def web_sockets_that_close(s):
    """With a word and without."""
    s.ksql(STREAM)
    sockets = []
    for _ in range(20):
        c = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
        c.sendall(b'GET /ws/query?request=%7B%22ksql%22:%22SELECT%20v%20FROM%20s%20EMIT%20CHANGES;%22%7D HTTP/1.1\r\nHost: x\r\n'
                  b'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
                  b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
        got = b''
        while b'"schema"' not in got:
            got += c.recv(4096)
        sockets.append(c)
    equal(metric(s, 'weir_http_streamed_queries'), 20)
    for i, c in enumerate(sockets):
        if i % 2 == 0:
            c.sendall(bytes([0x88, 0x82, 0, 0, 0, 0, 3, 232]))  # close, 1000
        else:
            c.close()
    end = time.time() + SLOW
    while metric(s, 'weir_http_streamed_queries') > 0 and time.time() < end:
        time.sleep(0.02)
    equal(metric(s, 'weir_http_streamed_queries'), 0)


@test
def joins_a_flood(s):
    """Begins behind what was acknowledged before it asked, not behind what came after it was answered; then misses nothing."""
    s.ksql(STREAM)
    sent, stop = [0], threading.Event()

    def flood():
        while not stop.is_set():
            first = sent[0]
            insert(s, 's', [{'k': 'a', 'v': first + i, 't': 'x'} for i in range(50)])
            sent[0] = first + 50

    writer = threading.Thread(target=flood)
    writer.start()
    try:
        for _ in range(8):
            before = sent[0]
            push = subscribe(s, 'SELECT v FROM s EMIT CHANGES;')
            after = sent[0] + 50  # those under way
            got = [row(push)[0] for _ in range(300)]
            assert before <= got[0] <= after, (before, got[0], after)
            equal(got, list(range(got[0], got[0] + 300)))
            push.close()
    finally:
        stop.set()
        writer.join()


def slow_socket(s, sql):
    """A push query whose client has little room, and reads nothing."""
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.settimeout(SLOW)
    c.connect(('127.0.0.1', s.port))
    body = json.dumps({'sql': sql}).encode()
    c.sendall(b'POST /query-stream HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n' % len(body) + body)
    got = b''
    while b'queryId' not in got:
        got += c.recv(512)
    return c


@test
def a_slow_client_is_cut(s):
    """The others have all rows; the slow one is told why it has not."""
    s.ksql(STREAM)
    slow = slow_socket(s, 'SELECT v, t FROM s EMIT CHANGES;')
    trickles = slow_socket(s, 'SELECT v, t FROM s EMIT CHANGES;')
    fast = [subscribe(s, 'SELECT v, t FROM s EMIT CHANGES;') for _ in range(3)]
    rows, wide = 2500, 't' * 20000
    failed = []

    def read(push):
        try:
            for v in range(rows):
                got = row(push)
                if got != [v, wide]:
                    failed.append((v, got[0]))
                    return
        except Exception as e:
            failed.append(e)

    def trickle():
        try:
            while trickles.recv(1024):
                time.sleep(0.05)
        except OSError:
            pass

    readers = [threading.Thread(target=read, args=[push]) for push in fast]
    for t in readers + [threading.Thread(target=trickle, daemon=True)]:
        t.start()
    before = rss_mib(s)
    for i in range(0, rows, 50):
        insert(s, 's', [{'k': 'a', 'v': v, 't': wide} for v in range(i, i + 50)])
    for t in readers:
        t.join(SLOW * 4)
    assert not failed and not any(t.is_alive() for t in readers), failed
    grown = rss_mib(s) - before
    got = b''
    while not got.endswith(b'0\r\n\r\n'):
        more = slow.recv(1 << 20)
        assert more, 'closed without a word: %r' % got[-300:]
        got = got[-4096:] + more
    assert b'records behind topic s' in got and b'read faster' in got, got[-600:]
    trickles.close()
    assert SANITIZED or grown < 80, grown


@test
def all_that_waits_is_bounded(s):
    """Three hundred clients that read nothing: what lies ready for each is less than one alone may have."""
    s.ksql(STREAM)
    slow = [slow_socket(s, 'SELECT v, t FROM s EMIT CHANGES;') for _ in range(40 if SANITIZED else 300)]
    before = rss_mib(s)
    for i in range(0, 1500, 50):
        insert(s, 's', [{'k': 'a', 'v': v, 't': 't' * 3000} for v in range(i, i + 50)])
    time.sleep(1)
    queued, grown = metric(s, 'weir_http_queued_bytes') / (1 << 20), rss_mib(s) - before
    assert SANITIZED or 60 < queued < 70, queued
    assert SANITIZED or grown < 160, grown
    fresh = subscribe(s, 'SELECT v FROM s EMIT CHANGES;')
    insert(s, 's', [{'k': 'a', 'v': -1, 't': 'x'}])
    equal(row(fresh), [-1])
    for c in slow:
        c.close()
    end = time.time() + SLOW
    while metric(s, 'weir_http_queued_bytes') > 1000 and time.time() < end:
        time.sleep(0.02)
    assert metric(s, 'weir_http_queued_bytes') <= 1000  # the answer itself


@test
def the_idle_cost_little(s):
    s.ksql(STREAM + TABLE)
    before = rss_mib(s)
    count = 100 if SANITIZED else 500
    pushes = [subscribe(s, 'SELECT k, v FROM %s WHERE v <> %d EMIT CHANGES;' % (name, i))
              for i in range(count) for name in ('s', 'tt')]
    grown, began = rss_mib(s) - before, cpu_seconds(s)
    time.sleep(2)
    used = cpu_seconds(s) - began
    assert SANITIZED or (grown < 100 and used < 0.3), (grown, used)
    insert(s, 's', [{'k': 'a', 'v': -1, 't': 'x'}])
    insert(s, 'tt', [{'k': 'a', 'v': -1}])
    for push in pushes:
        equal(row(push), ['a', -1])
        push.close()


run_tests()
