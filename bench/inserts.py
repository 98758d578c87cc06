#!/usr/bin/env python3
"""Rows over HTTP: `inserts.py WEIR [ROWS [BROKER]]`, on the embedded log or, with BROKER, on Kafka. One request to /inserts-stream with all rows,
read to its last acknowledgement; then 200 rows on their own, each sent when the one before is acknowledged."""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

WEIR, ROWS = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200000
BROKER = sys.argv[3] if len(sys.argv) > 3 else None
NAME = 'inserts%d' % os.getpid()


def take_until(c, mark, got):
    while mark not in got:
        more = c.recv(1 << 18)
        assert more, got
        got = got[-100:] + more
    return got


def main():
    with tempfile.TemporaryDirectory(prefix='weir-inserts-') as home:
        server = subprocess.Popen([WEIR, 'server', '--listen', '127.0.0.1:0', '--announce-ready', '--data', home + '/d', '--log-format', 'none',
                                   *(['--kafka', BROKER, '--service', NAME] if BROKER else [])], stdout=subprocess.PIPE)
        port = int(server.stdout.readline().decode().rsplit(':', 1)[1])
        c = http.client.HTTPConnection('127.0.0.1', port)
        c.request('POST', '/ksql', json.dumps({'ksql': "CREATE STREAM s (k STRING KEY, v INT, t STRING) WITH (kafka_topic='%s', "
                                                       "value_format='JSON', partitions=2);" % NAME}))
        assert c.getresponse().status == 200
        body = b'{"target":"s"}\n' + b''.join(b'{"k":"key%d","v":%d,"t":"some text of row %d"}\n' % (i % 1000, i, i) for i in range(ROWS))
        c = socket.create_connection(('127.0.0.1', port))
        began = time.time()
        threading.Thread(target=c.sendall, daemon=True,
                         args=(b'POST /inserts-stream HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' % len(body) + body,)).start()
        take_until(c, b'"seq":%d}' % (ROWS - 1), b'')
        print('%d rows: %.0f rows/s' % (ROWS, ROWS / (time.time() - began)))

        c = socket.create_connection(('127.0.0.1', port))
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chunk = lambda line: b'%x\r\n%s\r\n' % (len(line), line)
        c.sendall(b'POST /inserts-stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n' + chunk(b'{"target":"s"}\n'))
        times, got = [], b''
        for i in range(200):
            sent = time.time()
            c.sendall(chunk(b'{"k":"a","v":%d}\n' % i))
            got = take_until(c, b'"seq":%d}' % i, got)
            times.append(time.time() - sent)
        times.sort()
        print('alone: p50 %.2f ms, p99 %.2f ms' % (times[100] * 1000, times[197] * 1000))
        server.send_signal(signal.SIGTERM)
        server.wait(60)


main()
