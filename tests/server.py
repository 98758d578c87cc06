#!/usr/bin/env python3
"""The server, from outside: server.py WEIR. HTTP/1.1 by the standard library and bare sockets, HTTP/2 by curl.
Each test has a server with a data directory of its own."""
import json
import os
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time

from http2_lib import DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW, Http2, frame, headers
from server_lib import EARLIEST, JOB, SLOW, WEIR, Push, equal, run_tests, test


@test
def a_whole_life(s):
    created = s.ksql(JOB)
    equal([x['@type'] for x in created], ['currentStatus'] * 2)
    equal([x['commandId'] for x in created], ['stream/`S`/create', 'table/`T`/create'])
    equal([x['commandStatus']['status'] for x in created], ['SUCCESS'] * 2)
    query = created[1]['commandStatus']['queryId']
    equal(s.json('GET', '/status/table/T/create')['status'], 'SUCCESS')
    equal(s.ksql("INSERT INTO s (k, v) VALUES ('a', 1); INSERT INTO s (k, v) VALUES ('b', 2);"), [])
    s.wait_rows('SELECT * FROM t;', [['a', 1, 1], ['b', 1, 2]])

    push = Push(s, '/query', {'ksql': 'SELECT k, n, total FROM t EMIT CHANGES;', 'streamsProperties': EARLIEST})
    head = push.chunk()
    assert head.startswith('[{"header":{"queryId":"') and head.endswith('"schema":"`K` STRING, `N` BIGINT, `TOTAL` INTEGER"}},\n'), head
    equal(push.chunk(), '{"row":{"columns":["a",1,1]}},\n')
    equal(push.chunk(), '{"row":{"columns":["b",1,2]}},\n')
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 10);")
    equal(push.chunk(), '{"row":{"columns":["a",2,11]}},\n')
    push.close()

    pulled = s.pull("SELECT k, total FROM t WHERE k = 'a';")
    equal(pulled[0]['header']['schema'], '`K` STRING KEY, `TOTAL` INTEGER')
    equal(pulled[1:], [{'row': {'columns': ['a', 11]}}])
    equal(s.pull('SELECT v FROM s;')[1:], [{'row': {'columns': [v]}} for v in (1, 2, 10)] + [{'finalMessage': 'Query Completed'}])

    equal(s.ksql('TERMINATE %s;' % query)[0]['commandId'], 'terminate/`%s`/execute' % query)
    equal(s.ksql('SHOW QUERIES;')[0]['queries'], [])
    equal(s.ksql('DROP TABLE t;')[0]['commandId'], 'table/`T`/drop')


@test
def push_with_a_limit(s):
    s.ksql(JOB)
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 1); INSERT INTO s (k, v) VALUES ('b', 2);")
    got = s.json('POST', '/query', {'ksql': 'SELECT v FROM s EMIT CHANGES LIMIT 2;', 'streamsProperties': EARLIEST})
    equal(got[1:], [{'row': {'columns': [1]}}, {'row': {'columns': [2]}}, {'finalMessage': 'Limit Reached'}])


@test
def query_stream(s):
    s.ksql(JOB)
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 1); INSERT INTO s (k, v) VALUES ('b', 2);")
    body = {'sql': 'SELECT * FROM s WHERE k = ${x};', 'sessionVariables': {'x': "'b'"}, 'unknown': [1, {'a': None}]}
    for version in '--http1.1', '--http2-prior-knowledge':
        for accept in [], ['-H', 'Accept: application/vnd.ksqlapi.delimited.v1'], ['-H', 'Accept:']:
            lines = s.curl('/query-stream', body, version, *accept).split('\n')
            head = json.loads(lines[0])
            equal((head['columnNames'], head['columnTypes']), (['K', 'V'], ['STRING', 'INTEGER']))
            equal(lines[1:], ['["b",2]', ''])
        got = json.loads(s.curl('/query-stream', body, version, '-H', 'Accept: application/json'))
        equal(got[1:], [['b', 2]])
        equal(got[0]['columnNames'], ['K', 'V'])


def data_frames(s, sql, window):
    """The DATA frames of the answer, for a client that gives back window as it reads."""
    h = Http2(s, struct.pack('>HI', 4, window))
    h.c.sendall(frame(HEADERS, END_HEADERS, 1, headers(b'POST', b'/query-stream')) +
                frame(DATA, END_STREAM, 1, json.dumps({'sql': sql}).encode()))
    got = []
    for kind, flags, stream, payload in h.frames():
        if kind == DATA:
            got.append(payload)
            if payload:
                h.c.sendall(b''.join(frame(WINDOW, 0, of, struct.pack('>I', len(payload))) for of in (0, 1)))
            if flags & END_STREAM:
                break
    h.c.close()
    return [x for x in got if x]


@test
def http2_frames(s):
    """A line that fits is a DATA frame of its own; a larger one begins and ends with frames of its own."""
    s.ksql(JOB)
    s.ksql(''.join("INSERT INTO s (k, v) VALUES ('%s', %d);" % ('x' * 2000, i) for i in range(50)))
    for window in 65535, 33000:  # both less than the answer
        frames = data_frames(s, 'SELECT * FROM s;', window)
        equal(len(frames), 51)
        assert all(x.count(b'\n') == 1 and x.endswith(b'\n') for x in frames)
    s.ksql("INSERT INTO s (k, v) VALUES ('%s', -1); INSERT INTO s (k, v) VALUES ('y', -2);" % ('z' * 50000))
    frames = data_frames(s, 'SELECT k FROM s WHERE v < 0;', 65535)
    equal([x.endswith(b'\n') for x in frames], [True, False, False, False, True, True])
    equal(b''.join(frames[1:]), b'["' + b'z' * 50000 + b'"]\n["y"]\n')
    equal(b''.join(data_frames(s, 'SELECT k FROM s WHERE v < 0;', 100)).count(b'\n'), 3)  # windows less than a line


@test
def the_last_frame_is_a_line(s):
    """An empty frame that only ends the stream is a line without JSON to some clients."""
    s.ksql(JOB)
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 1); INSERT INTO s (k, v) VALUES ('b', 2);")
    body = os.path.join(s.path, 'body')
    for sql, frames in (('SELECT * FROM s;', 3), ("SELECT * FROM s WHERE k = 'c';", 1), ('SELECT v FROM s EMIT CHANGES LIMIT 2;', 3)):
        with open(body, 'w') as f:
            json.dump({'sql': sql, 'properties': EARLIEST}, f)
        p = subprocess.run(['nghttp', '-nv', '-t', str(SLOW), '-d', body, 'http://127.0.0.1:%d/query-stream' % s.port],
                           stdout=subprocess.PIPE, check=True)
        sizes = [int(line.split('length=')[1].split(',')[0]) for line in p.stdout.decode().splitlines() if 'recv DATA frame' in line]
        assert len(sizes) == frames and 0 not in sizes, sizes


@test
def inserts(s):
    s.ksql(JOB)
    body = b'{"target":"s"}\n{"k":"a","v":1}\n{"K":"b","V":"x"}\n\n{"`K`":"b","v":2}\n{"k":"c","nope":1}\n{"k":"c"'
    for version in '--http1.1', '--http2-prior-knowledge':
        acks = [json.loads(x) for x in s.curl('/inserts-stream', body, version).splitlines()]
        equal([(x['status'], x['seq']) for x in acks], [('ok', 0), ('error', 1), ('ok', 2), ('error', 3), ('error', 4)])
        assert 'column V' in acks[1]['message'] and 'NOPE' in acks[3]['message'], acks
    s.wait_rows('SELECT * FROM t;', [['a', 2, 2], ['b', 2, 4]])
    assert 'no stream or table' in s.curl('/inserts-stream', b'{"target":"nope"}\n{}\n')
    assert 'target' in s.curl('/inserts-stream', b'{}\n')
    assert 'target' in s.curl('/inserts-stream', b'')
    equal(json.loads(s.curl('/inserts-stream', b'{"target":"s"}\n{"k":"z","v":1}\n', '-H', 'Accept: application/json')),
          [{'status': 'ok', 'seq': 0}])


@test
def many_inserts_share_commits(s):
    """Each is acknowledged for itself, in order; one that is bad fails alone. With a commit a row this would take a minute."""
    s.ksql(JOB)
    bad = lambda i: i % 97 == 5
    body = b'{"target":"s"}\n' + b''.join(b'{"k":"k%d","v":"x"}\n' % i if bad(i) else b'{"k":"k%d","v":%d}\n' % (i % 10, i) for i in range(30000))
    began = time.time()
    for version in '--http1.1', '--http2-prior-knowledge':
        acks = [json.loads(x) for x in s.curl('/inserts-stream', body, version).splitlines()]
        equal([(x['status'], x['seq']) for x in acks], [('error' if bad(i) else 'ok', i) for i in range(30000)])
    took = time.time() - began
    assert took < SLOW, 'it took %.1f s' % took
    sums = [[k, 2 * n, 2 * total] for k, n, total in ((k, len(v), sum(v)) for k, v in (
        ('k%d' % k, [i for i in range(k, 30000, 10) if not bad(i)]) for k in range(10)))]
    s.wait_rows('SELECT * FROM t;', sums)


@test
def inserts_are_acknowledged_at_once(s):
    s.ksql(JOB)
    c = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)

    def chunk(text):
        return b'%x\r\n%s\r\n' % (len(text), text)
    c.sendall(b'POST /inserts-stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n' + chunk(b'{"target":"S"}\n'))
    got = b''
    for i in range(5):
        c.sendall(chunk(b'{"k":"a","v":%d}\n' % i))
        while b'"seq":%d}' % i not in got:
            more = c.recv(4096)
            assert more
            got += more
    c.sendall(b'0\r\n\r\n')
    while not got.endswith(b'0\r\n\r\n'):
        got += c.recv(4096)
    c.close()
    s.wait_rows('SELECT n FROM t;', [[5]])


@test
def close_query(s):
    s.ksql(JOB)
    push = Push(s, '/query-stream', {'sql': 'SELECT * FROM s EMIT CHANGES;'})
    identity = json.loads(push.chunk())['queryId']
    s.request('POST', '/close-query', {'queryId': identity})
    equal(push.chunk(), '')
    push.close()
    equal(s.json('POST', '/close-query', {'queryId': identity}, 400)['error_code'], 40000)


@test
def terminate_ends_a_push_query(s):
    s.ksql(JOB)
    push = Push(s, '/query-stream', {'sql': 'SELECT * FROM s EMIT CHANGES;'})
    identity = json.loads(push.chunk())['queryId']
    got = s.ksql('TERMINATE %s;' % identity)[0]
    equal((got['@type'], got['queryId'], got['wasTerminated']), ('terminate_query', identity.upper(), True))
    equal(push.chunk(), '')
    push.close()
    assert 'there is no query' in s.ksql('TERMINATE %s;' % identity, 400)['message']


@test
def entities(s):
    s.ksql("CREATE TYPE address AS STRUCT<street STRING, n DECIMAL(4, 2)>;"
           "CREATE STREAM s (k STRING KEY, v ARRAY<INT>, a address) WITH (kafka_topic='s', value_format='JSON');"
           "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY k;")
    got = s.ksql('SHOW STREAMS; SHOW TABLES; SHOW QUERIES; SHOW TOPICS; SHOW TYPES; SHOW PROPERTIES; SHOW FUNCTIONS; DESCRIBE s; '
                 'DESCRIBE t EXTENDED; DESCRIBE FUNCTION abs; SHOW VARIABLES; SHOW STREAMS EXTENDED; SHOW QUERIES EXTENDED; '
                 'EXPLAIN SELECT * FROM s EMIT CHANGES;', sessionVariables={'x': 'y'})
    equal([x['@type'] for x in got], ['streams', 'tables', 'queries', 'kafka_topics', 'type_list', 'properties', 'function_names',
                                      'sourceDescription', 'sourceDescription', 'describe_function', 'variables',
                                      'source_descriptions', 'query_descriptions', 'queryDescription'])
    equal(got[0]['streams'][-1], {'type': 'STREAM', 'name': 'S', 'topic': 's', 'keyFormat': 'KAFKA', 'valueFormat': 'JSON',
                                  'isWindowed': False})
    equal(got[1]['tables'][0]['isWindowed'], True)
    equal(got[2]['queries'][0]['sinks'], ['T'])
    equal(got[4]['types']['ADDRESS']['fields'][1]['schema']['parameters'], {'precision': 4, 'scale': 2})
    fields = got[7]['sourceDescription']['fields']
    equal(fields[0], {'name': 'K', 'schema': {'type': 'STRING', 'fields': None, 'memberSchema': None}, 'type': 'KEY'})
    equal(fields[1]['schema']['memberSchema']['type'], 'INTEGER')
    equal(got[8]['sourceDescription']['windowType'], 'TUMBLING')
    equal(got[10]['variables'], [{'name': 'x', 'value': 'y'}])


@test
def errors(s):
    s.ksql(JOB)
    e = s.ksql('CREATE STREAM u (v INT) WITH (kafka_topic=\'u\', value_format=\'JSON\'); SELECT v FROM u;', 400)
    equal((e['@type'], e['error_code'], e['statementText']), ('statement_error', 40002, 'SELECT v FROM u;'))
    equal(e['entities'][0]['commandId'], 'stream/`U`/create')
    equal(s.ksql('SELECTT;', 400)['error_code'], 40001)
    equal(s.ksql('DROP STREAM nope;', 400)['errorClass'], 'semantic')
    equal(s.json('POST', '/ksql', {}, 400)['error_code'], 40000)
    equal(s.ksql('SHOW STREAMS;', 400, streamsProperties={'nope': '1'})['error_code'], 40000)
    equal(s.pull('DROP TABLE t;', 400)['error_code'], 40001)
    equal(s.pull('SELECT * FROM t; DROP TABLE t;', 400)['error_code'], 40001)
    equal(s.pull('SELECT nope FROM t;', 400)['errorClass'], 'semantic')
    equal(s.rows('SELECT * FROM t;'), [])  # it is there still


@test
def small_answers(s):
    assert s.json('GET', '/info')['KsqlServerInfo']['version']
    r, _ = s.request('GET', '/')
    equal((r.status, r.getheader('location')), (307, '/info'))
    equal(s.json('GET', '/healthcheck')['isHealthy'], True)
    equal(s.json('GET', '/chc/live'), {})
    equal(s.json('GET', '/chc/ready'), {})
    assert 'clusterId' in s.json('GET', '/v1/metadata') and 'scope' in s.json('GET', '/v1/metadata/id')
    assert 'clusterStatus' in s.json('GET', '/clusterStatus')
    equal(s.json('GET', '/is_valid_property/ksql.streams.auto.offset.reset'), True)
    equal(s.json('GET', '/is_valid_property/ksql.streams.num.stream.threads'), True)
    s.json('POST', '/ksql', {'ksql': 'SHOW STREAMS;', 'streamsProperties': {'ksql.query.pull.max.allowed.offset.lag': '100'}})
    equal(s.json('GET', '/is_valid_property/nope', status=400)['error_code'], 40000)
    equal(s.json('GET', '/status/stream/NOPE/create', status=404)['error_code'], 40400)
    equal(s.json('GET', '/ws/query', status=426)['error_code'], 42600)
    s.ksql(JOB)
    assert b'weir_query_running{query="CTAS_T_' in s.request('GET', '/metrics')[1]
    r, body = s.request('HEAD', '/info')
    equal((r.status, body), (200, b''))


@test
def bad_input(s):
    s.ksql(JOB)
    equal(s.json('GET', '/nope', status=404)['error_code'], 40400)
    equal(s.json('GET', '/%ff%fe', status=404)['error_code'], 40400)
    r, got = s.request('DELETE', '/ksql')
    equal((r.status, r.getheader('allow'), json.loads(got)['error_code']), (405, 'POST', 40500))
    equal(s.request('PUT', '/info')[0].getheader('allow'), 'GET, HEAD')
    for body in '', '{', '[]', '{"ksql":1}', '{"ksql":"x"} more', '{"ksql":"x",}', '{"ksql":"x" "y":1}', '\xff', 'null':
        equal(s.json('POST', '/ksql', body.encode('latin-1'), 400)['error_code'], 40000)
    for member in 'sessionVariables', 'streamsProperties', 'properties':
        got = s.json('POST', '/ksql', json.dumps({'ksql': 'SHOW STREAMS;', member: {'': 'x'}}), 400)
        assert 'a name that is empty' in got['message'], got
    assert b' 400 ' in s.bare(b'GET / HTTP/9 nonsense\r\n\r\n')
    assert b' 400 ' in s.bare(b'\x00\x01\x02\r\n\r\n')
    assert b' 431 ' in s.bare(b'GET /info HTTP/1.1\r\nX: ' + b'a' * 40000)
    assert b' 413 ' in s.bare(b'POST /ksql HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n')
    s.bare(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + b'\xff' * 1000)
    s.bare(b'POST /ksql HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf', reads=False)
    two = s.bare(b'GET /info HTTP/1.1\r\n\r\nGET /healthcheck HTTP/1.1\r\nConnection: close\r\n\r\n')
    equal(two.count(b'HTTP/1.1 200'), 2)
    assert s.bare(b'GET /info HTTP/1.0\r\n\r\n').startswith(b'HTTP/1.1 200')
    equal(s.rows('SELECT * FROM t;'), [])


@test
def limits(s):
    s.stop()
    s.__init__('--max-queries', '2', '--max-body', '1000', '--max-connections', '5')
    s.ksql(JOB)
    open_ones = [Push(s, '/query', {'ksql': 'SELECT * FROM s EMIT CHANGES;'}) for _ in range(2)]
    equal(s.pull('SELECT * FROM t;', 429)['error_code'], 40003)
    for p in open_ones:
        p.close()
    end = time.time() + SLOW
    while s.request('POST', '/query', {'ksql': 'SELECT * FROM t;'})[0].status != 200:
        assert time.time() < end
        time.sleep(0.02)
    assert '413' in str(s.bare(b'POST /ksql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n' + b'x' * 2000 + b'\r\n'))
    kept = [socket.create_connection(('127.0.0.1', s.port)) for _ in range(6)]
    told, _, _ = select.select(kept, [], [], SLOW)
    assert b' 503 ' in told[0].recv(65536)
    for c in kept:
        c.close()


@test
def a_slow_reader_is_waited_for(s):
    s.ksql(JOB)
    path = os.path.join(s.path, 'rows')
    with open(path, 'w') as f:
        for i in range(20000):
            f.write('%d:{"v":%d}\n' % (i, i))
    subprocess.run([WEIR, 'produce', '--data', s.path + '/d', '--key-separator', ':', 's', path], check=True)
    c = socket.create_connection(('127.0.0.1', s.port), timeout=SLOW)
    body = json.dumps({'ksql': 'SELECT k, v FROM s EMIT CHANGES LIMIT 20000;', 'streamsProperties': EARLIEST}).encode()
    c.sendall(b'POST /query HTTP/1.1\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
    time.sleep(0.5)
    equal(len(s.ksql('SHOW STREAMS;')), 1)  # others are served meanwhile
    got = b''
    while not got.endswith(b'\r\n0\r\n\r\n'):
        got += c.recv(65536)
    c.close()
    equal(got.count(b'"columns"'), 20000)
    assert b'Limit Reached' in got


@test
def many_subscribers(s):
    s.ksql(JOB)
    pushes = [Push(s, '/query', {'ksql': 'SELECT v FROM s EMIT CHANGES;'}) for _ in range(40)]
    for p in pushes:
        p.chunk()
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 7);")
    for p in pushes:
        equal(p.chunk(), '{"row":{"columns":[7]}},\n')
        p.close()


@test
def queries_survive(s):
    s.ksql(JOB)
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 1);")
    s.wait_rows('SELECT * FROM t;', [['a', 1, 1]])
    push = Push(s, '/query', {'ksql': 'SELECT v FROM s EMIT CHANGES;'})
    push.chunk()
    stopper = threading.Thread(target=s.stop, kwargs={'keeps': True})
    stopper.start()
    last = push.chunk()
    assert 'stopping' in last, last
    push.close()
    stopper.join()
    s.__init__(path=s.path)
    s.ksql("INSERT INTO s (k, v) VALUES ('a', 2);")
    s.wait_rows('SELECT * FROM t;', [['a', 2, 3]])


@test
def a_script_of_queries(s):
    s.stop()
    with tempfile.NamedTemporaryFile('w', suffix='.sql') as f:
        f.write(JOB)
        f.flush()
        s.__init__('--queries', f.name)
    equal(s.ksql('SHOW QUERIES;')[0]['queries'][0]['sinks'], ['T'])


@test
def the_manual(s):
    """The curl lines of docs/rest-api.md, in their order."""
    manual = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'docs', 'rest-api.md')
    lines = open(manual).read().splitlines()
    count = 0
    for line, answer in zip(lines, lines[1:]):
        if not line.startswith('    ') or 'curl ' not in line:
            continue
        assert answer.startswith('    # -> '), answer
        got = subprocess.run(['bash', '-c', line.strip().replace('127.0.0.1:8088', '127.0.0.1:%d' % s.port)], timeout=SLOW,
                             stdout=subprocess.PIPE).stdout.decode()
        assert answer[9:] in got, '%s\nwanted %s, got\n%s' % (line, answer[9:], got)
        count += 1
    assert count >= 20


@test
def addresses(s):
    for arguments, part in ((['--listen', '0.0.0.0:0'], '--insecure'), (['--listen', 'nonsense'], 'ADDRESS:PORT'),
                            (['--listen', '127.0.0.1:%d' % s.port], 'cannot listen'), (['--tls-cert', 'x'], '--tls-key')):
        with tempfile.TemporaryDirectory() as d:
            p = subprocess.run([WEIR, 'server', '--data', d + '/d', *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               timeout=SLOW)
            assert p.returncode != 0 and part in p.stderr.decode(), p.stderr.decode()


run_tests()
