#!/usr/bin/env python3
"""The shell over the network, from a pipe: shell_remote.py WEIR. What is printed must be what the shell prints beside its own
engine; and hanging up, refusals and a server that goes have to show as what they are."""
import http.client
import json
import os
import signal
import subprocess
import tempfile

from patience import patience
from program import WEIR, contains, equal, run_tests, test

SLOW = patience(60)


class Server:
    def __init__(self, home):
        self.process = subprocess.Popen([WEIR, 'server', '--listen', '127.0.0.1:0', '--announce-ready'], cwd=home,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.address = self.process.stdout.readline().decode().split()[1]
        self.url = 'http://' + self.address

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=SLOW)
        equal(self.process.returncode, 0)

    def post(self, path, body):
        c = http.client.HTTPConnection(*self.address.split(':'), timeout=SLOW)
        c.request('POST', path, json.dumps(body))
        r = c.getresponse()
        got = r.read().decode()
        c.close()
        return r.status, got


def run(home, *arguments, sql=''):
    p = subprocess.run([WEIR, *arguments], cwd=home, input=sql.encode(), capture_output=True, timeout=SLOW)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


STATEMENTS = """
CREATE STREAM clicks (usr STRING KEY, url STRING, n BIGINT) WITH (kafka_topic='clicks', value_format='JSON', partitions=1);
INSERT INTO clicks VALUES ('ann', 'says "hi", or not', 1);
INSERT INTO clicks VALUES ('bob', NULL, NULL);
DEFINE what = 'clicks';
SET 'auto.offset.reset'='earliest';
SELECT * FROM ${what};
SELECT usr, n FROM clicks EMIT CHANGES LIMIT 2;
UNDEFINE what;
SHOW STREAMS;
SELECT usr, none FROM clicks;
"""


@test
def the_same_is_printed_near_and_far(home):
    os.mkdir(home + '/near')
    near = run(home + '/near', sql=STATEMENTS)
    server = Server(home)
    equal(run(home, '--server', server.url, sql=STATEMENTS), near)
    equal(near[0], 1)
    contains(near[1], ' ann | says "hi", or not |    1', '(2 rows)')
    contains(near[2], 'stdin:11:13: semantic: ', 'NONE')
    for form in 'table', 'json', 'csv':
        query = 'query', '--output', form, 'SELECT * FROM clicks;'
        equal(run(home, *query, '--server', server.url), run(home + '/near', *query))
    for made in "SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(n), 'YYYY-MM-dd') AS t FROM clicks;", \
                "CREATE STREAM f AS SELECT usr, FORMAT_TIMESTAMP(FROM_UNIXTIME(n), 'YYYY-MM-dd') AS t FROM clicks;":
        near = run(home + '/near', 'query', made)
        contains(near[2], 'weir: warning: FORMAT_TIMESTAMP: in the pattern')
        equal(run(home, 'query', made, '--server', server.url), near)
    status, got = server.post('/ksql', {'ksql': "CREATE STREAM g AS SELECT usr, FORMAT_DATE(FROM_DAYS(CAST(n AS INT)), 'YYYY') AS t FROM clicks;"})
    contains(json.loads(got)[0]['warnings'][0]['message'], 'FORMAT_DATE: in the pattern')
    run(home + '/near', 'produce', 'clicks', sql='bad\nworse\n')
    run(home, 'produce', 'clicks', sql='bad\nworse\n')
    for query in 'SELECT usr FROM clicks;', "SET 'auto.offset.reset'='earliest'; SELECT usr FROM clicks EMIT CHANGES LIMIT 2;":
        near = run(home + '/near', 'query', query)
        equal(run(home, 'query', query, '--server', server.url), near)
    err = run(home, 'query', 'SELECT usr FROM clicks; SELECT n FROM clicks;', '--server', server.url)[2]
    equal(err.count('weir: 2 records could not be read and were left out; the last: topic clicks, partition 0, offset 3: '), 2)
    server.stop()


@test
def many_rows_arrive_whole(home):
    server = Server(home)
    lines = ''.join('k%d={"V":"%s"}\n' % (i, 'x' * (i % 300)) for i in range(20000))
    run(home, 'produce', 'many', '--key-separator', '=', sql=lines)
    run(home, '--server', server.url, sql="CREATE STREAM many (k STRING KEY, v STRING) WITH (kafka_topic='many', value_format='JSON');")
    status, out, _ = run(home, 'query', '--server', server.url, '--output', 'csv', 'SELECT k, LEN(v) AS len FROM many;')
    equal((status, out.split()), (0, ['K,LEN'] + ['k%d,%d' % (i, i % 300) for i in range(20000)]))
    server.stop()


def follows_clicks(home, server):
    """A push query that has shown the last of the rows there are."""
    run(home, '--server', server.url, sql=STATEMENTS)
    shell = subprocess.Popen([WEIR, 'query', '--server', server.url, 'SELECT * FROM clicks EMIT CHANGES;'], cwd=home,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while b'bob' not in shell.stdout.readline():
        pass
    return shell


@test
def hanging_up_ends_the_query(home):
    server = Server(home)
    shell = follows_clicks(home, server)
    shell.send_signal(signal.SIGINT)
    _, err = shell.communicate(timeout=SLOW)
    equal((shell.returncode, err), (0, b''))
    equal(run(home, 'query', '--server', server.url, '--output', 'csv', 'SELECT COUNT(*) AS n FROM clicks;'), (0, 'N\n2\n', ''))
    server.stop()


@test
def a_server_that_goes_is_told_of(home):
    server = Server(home)
    shell = follows_clicks(home, server)
    server.process.kill()
    server.process.communicate()
    _, err = shell.communicate(timeout=SLOW)
    equal(shell.returncode, 1)
    contains(err.decode(), 'broker: the connection to the server was lost')
    status, _, err = run(home, 'query', '--server', server.url, 'SELECT * FROM clicks;')
    equal(status, 1)
    contains(err, server.url + ' cannot be reached')


@test
def wrong_addresses_and_commands(home):
    status, _, err = run(home, 'query', '--server', 'localhost:8088', 'SHOW STREAMS;')
    equal(status, 1)
    contains(err, 'http://localhost:8088', 'localhost:8088')
    status, _, err = run(home, 'query', '--server', 'http://ann:secret@127.0.0.1:1', 'SHOW STREAMS;')
    contains(err, '127.0.0.1:1 cannot be reached')
    assert 'secret' not in err, err
    status, _, err = run(home, 'consume', 'clicks', '--server', 'http://127.0.0.1:1')
    equal(status, 1)
    contains(err, '--server goes with shell and query only')


@test
def what_the_endpoint_takes(home):
    server = Server(home)
    equal(server.post('/v1/shell', {'print': 'text'})[0], 400)
    status, got = server.post('/v1/shell', {'ksql': 'SHOW STREAMS;', 'session': 'SHOW STREAMS;'})
    equal(status, 400)
    contains(got, 'SET, UNSET, DEFINE and UNDEFINE')
    status, got = server.post('/v1/shell', {'ksql': "DEFINE a = 'b';"})
    equal([json.loads(x) for x in got.splitlines()], [{'message': 'Variable a defined', 'session': "DEFINE a = 'b';"}, {'done': True}])
    status, got = server.post('/v1/names', {'kinds': 1, 'prefix': 'TUMB', 'ksql': ''})
    equal(json.loads(got), {'names': [['TUMBLING', 1]]})
    server.stop()


run_tests(lambda t: tempfile.TemporaryDirectory(prefix='weir-remote-', ignore_cleanup_errors=True))
