#!/usr/bin/env python3
"""Key look-ups over HTTP, of a table of 100,000 groups on the embedded log: without a query at work beside them, then while one takes
in a backlog at full rate. `lookups.py WEIR [SECONDS]`; needs wrk. A line each: requests/s, p50, p99, CPU of the server a
request (the first), rows/s that the query took in (the second); and the time of a pull query's first row."""
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time

WEIR, SECONDS = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8
HERE = os.path.dirname(os.path.abspath(__file__))
EVENTS, TIMES = 2000000, 12


def post(port, path, body):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    c.request('POST', path, json.dumps(body))
    r = c.getresponse().read()
    c.close()
    return r.decode()


def ksql(port, sql):
    return post(port, '/ksql', {'ksql': sql, 'streamsProperties': {'auto.offset.reset': 'earliest'}})


def count(port, table, column):
    rows = post(port, '/query-stream', {'sql': 'SELECT SUM(%s) AS n FROM %s;' % (column, table)}).splitlines()
    return (json.loads(rows[1])[0] or 0) if len(rows) > 1 else 0


def cpu(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def wrk(port):
    out = subprocess.run(['wrk', '-t1', '-c16', '-d%ds' % SECONDS, '--latency', '-s', HERE + '/lookup.lua', 'http://127.0.0.1:%d' % port],
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    wrong = re.search(r'Non-2xx.*|Socket errors.*', out)
    assert wrong is None, wrong.group()
    return float(re.search(r'Requests/sec:\s+([\d.]+)', out).group(1)), re.search(r'50%\s+(\S+)', out).group(1), \
        re.search(r'99%\s+(\S+)', out).group(1)


with tempfile.TemporaryDirectory() as home:
    def produce(topic, lines, times=1):
        path = os.path.join(home, topic)
        with open(path, 'w') as f:
            f.writelines(lines)
        for _ in range(times):
            subprocess.run([WEIR, 'produce', topic, '--data', home + '/data', '--partitions', '4', '--key-separator', '\t', path], check=True)

    produce('clicks', ('u%d\t{"url":"/a"}\n' % (i % 100000) for i in range(300000)))
    produce('bids', ('%d\t{"bidder":%d,"price":%d}\n' % (i * 7919 % 100000, i % 9973, i % 10007) for i in range(EVENTS)), TIMES)
    server = subprocess.Popen([WEIR, 'server', '--listen', '127.0.0.1:0', '--announce-ready', '--threads', '1', '--data', home + '/data'],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    port = int(re.search(r':(\d+)', server.stdout.readline()).group(1))
    ksql(port, "CREATE STREAM clicks (usr STRING KEY, url STRING) WITH (kafka_topic='clicks', value_format='JSON');"
               "CREATE TABLE hits AS SELECT usr, COUNT(*) AS n FROM clicks GROUP BY usr;")
    while count(port, 'hits', 'n') < 300000:
        time.sleep(0.1)
    firsts = []
    c = http.client.HTTPConnection('127.0.0.1', port)
    for i in range(500):
        began = time.perf_counter()
        c.request('POST', '/query-stream', '{"sql":"SELECT * FROM hits WHERE usr = \'u%d\' AND n > 0;"}' % i)
        c.getresponse().read()
        firsts.append(time.perf_counter() - began)
    print('a pull query that is planned anew, to its last byte: median %.2f ms, p99 %.2f ms' %
          (sorted(firsts)[250] * 1000, sorted(firsts)[494] * 1000), flush=True)
    before = cpu(server.pid)
    rate, p50, p99 = wrk(port)
    print('alone: %d requests/s, p50 %s, p99 %s, %.1f us CPU of the server a request' %
          (rate, p50, p99, (cpu(server.pid) - before) / (rate * SECONDS) * 1e6), flush=True)
    ksql(port, "CREATE STREAM bids (auction STRING KEY, bidder BIGINT, price BIGINT) WITH (kafka_topic='bids', value_format='JSON');"
               "CREATE TABLE sums AS SELECT bidder, COUNT(*) AS n, SUM(price) AS total FROM bids GROUP BY bidder;")
    began, at = time.time(), count(port, 'sums', 'n')
    rate, p50, p99 = wrk(port)
    took, end = time.time() - began, count(port, 'sums', 'n')
    print('beside a query: %d requests/s, p50 %s, p99 %s; it took in %.2f M rows/s%s' %
          (rate, p50, p99, (end - at) / took / 1e6, '' if end < EVENTS * TIMES else ', and all there were: give it more'), flush=True)
    server.terminate()
    server.wait()
