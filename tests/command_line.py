#!/usr/bin/env python3
"""The command line, from outside: command_line.py WEIR. Each test has a data directory of its own."""
import base64
import json
import os
import random
import signal
import subprocess
import time

from patience import patience
from program import WEIR, Folder, contains, equal, run_tests, test


class Home(Folder):
    def __init__(self):
        super().__init__('weir-cli-')

    def file(self, name, content):
        path = os.path.join(self.path, name)
        with open(path, 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def weir(self, *arguments, status=0, stdin=b''):
        """Output and messages of a run that must end with that status."""
        p = subprocess.run([WEIR, *arguments], cwd=self.path, input=stdin if isinstance(stdin, bytes) else stdin.encode(),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(120))
        out, err = p.stdout.decode(errors='replace'), p.stderr.decode(errors='replace')
        assert p.returncode == status, 'status %d, not %d: %s\n%s%s' % (p.returncode, status, arguments, out, err)
        return out, err

    def start(self, *arguments):
        return subprocess.Popen([WEIR, *arguments], cwd=self.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)


JOB = """CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k;
"""
LINES = 'a:{"v":1}\nb:{"v":2}\na:{"v":3}\n'


@test
def help_and_version(h):
    contains(h.weir('--help')[0], 'Usage: weir', 'run FILE...', '--kafka BROKERS')
    contains(h.weir('--version')[0], 'weir ')
    for command in ('shell', 'run', 'query', 'produce', 'consume', 'test'):
        contains(h.weir(command, '--help')[0], 'Usage: weir ' + command, 'Common options:')
    assert not os.path.exists(os.path.join(h.path, 'weir-data')), 'help made a data directory'


@test
def usage_errors_are_2(h):
    for arguments in (['nothing'], ['run'], ['query'], ['query', 'a', 'b'], ['produce'], ['consume'], ['test'],
                      ['--nothing'], ['run', '--nothing', 'f'], ['--threads', '0'], ['query', '--output', 'xml', 'x'],
                      ['consume', '--output', 'xml', 't'], ['-D', 'x', 'query', 'x'], ['produce', 't', '--partitions', 'x']):
        out, err = h.weir(*arguments, status=2)
        equal(out, '')
        contains(err, 'weir', '--help')


@test
def failures_are_1(h):
    contains(h.weir('run', 'nofile.sql', status=1)[1], 'nofile.sql', 'No such file')
    contains(h.weir('query', 'SELECT * FROM nothing;', status=1)[1], 'semantic', 'NOTHING')
    contains(h.weir('query', '--set', 'no.such.setting=1', 'SHOW STREAMS;', status=1)[1], 'no.such.setting')
    contains(h.weir('produce', 't', 'nofile', status=1)[1], 'nofile')


@test
def errors_have_a_place_and_a_caret(h):
    h.file('job.sql', JOB + '\nCREATE STREAM x AS\n\tSELECT k, vv FROM s;\n')
    err = h.weir('run', '--until-end', 'job.sql', status=1)[1]
    contains(err, 'job.sql:5:12: semantic: ', 'VV', '\tSELECT k, vv FROM s;\n\t          ^\n')


@test
def produce_and_consume(h):
    h.weir('produce', 't', '--key-separator', ':', stdin='a:1\nb:2\r\nnokey\n\nc:3:4')
    equal(h.weir('consume', 't', '--from-beginning', '--until-end')[0], '1\n2\nnokey\n\n3:4\n')
    equal(h.weir('consume', 't', '--from-beginning', '--until-end', '--key-separator', '=')[0], 'a=1\nb=2\n=nokey\n=\nc=3:4\n')
    records = [json.loads(line) for line in h.weir('consume', 't', '--from-beginning', '--until-end', '--output', 'json')[0].splitlines()]
    equal([r['key'] for r in records], ['a', 'b', None, None, 'c'])
    equal([r['offset'] for r in records], [0, 1, 2, 3, 4])
    assert all(r['partition'] == 0 and r['headers'] == [] and abs(r['timestamp'] - time.time() * 1000) < 60000 for r in records)
    equal(h.weir('consume', 't', '--until-end')[0], '')


@test
def bytes_that_are_no_text(h):
    h.weir('produce', 't', '--timestamp', '5', stdin=b'\xff\x00\n')
    record = json.loads(h.weir('consume', 't', '--from-beginning', '--until-end', '--output', 'json')[0])
    equal((record['value'], record['timestamp']), ({'$base64': '/wA='}, 5))


@test
def many_lines_and_partitions(h):
    h.file('lines', ''.join('k%d:%d\n' % (i % 100, i) for i in range(50000)))
    h.weir('produce', 'gone', '--key-separator', ':', '--null', '-', stdin='a:1\na:-\nb:\n')
    found = [json.loads(l)['value'] for l in h.weir('consume', 'gone', '--from-beginning', '--until-end', '--output', 'json')[0].splitlines()]
    equal(str(found), "['1', None, '']")
    h.weir('produce', 't', '--partitions', '3', '--key-separator', ':', 'lines')
    records = [json.loads(line) for line in h.weir('consume', 't', '--from-beginning', '--until-end', '--output', 'json')[0].splitlines()]
    equal(len(records), 50000)
    equal(sorted(set(r['partition'] for r in records)), [0, 1, 2])
    last = {}
    for r in records:
        assert last.get(r['key'], -1) < int(r['value']), 'out of order'
        last[r['key']] = int(r['value'])


@test
def run_until_end_then_query(h):
    h.file('job.sql', JOB)
    h.weir('produce', 's', '--key-separator', ':', stdin=LINES)
    out, err = h.weir('run', '--set', 'auto.offset.reset=earliest', '--until-end', '--announce-ready', 'job.sql')
    assert out.startswith('READY'), out
    query = 'SELECT * FROM t ORDER BY k;'
    equal(h.weir('query', query)[0], ' K | N | TOTAL\n---+---+-------\n a | 2 |     4\n b | 1 |     2\n(2 rows)\n')
    equal(h.weir('query', '--output', 'csv', query)[0], 'K,N,TOTAL\na,2,4\nb,1,2\n')
    equal(h.weir('query', '--output', 'json', query)[0], '{"K":"a","N":2,"TOTAL":4}\n{"K":"b","N":1,"TOTAL":2}\n')
    # The same script again continues: nothing is counted twice.
    h.weir('run', '--set', 'auto.offset.reset=earliest', '--until-end', 'job.sql')
    equal(h.weir('query', '--output', 'csv', query)[0], 'K,N,TOTAL\na,2,4\nb,1,2\n')
    h.file('other.sql', JOB.replace('SUM(v)', 'MAX(v)'))
    contains(h.weir('run', '--until-end', 'other.sql', status=1)[1], 'OR REPLACE')


@test
def query_beside_a_running_engine(h):
    h.file('job.sql', "CREATE STREAM s (line STRING) WITH (kafka_topic='log', value_format='KAFKA');\n"
                      "CREATE TABLE t AS SELECT REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1) AS ip, COUNT(*) AS n FROM s\n"
                      "  GROUP BY REGEXP_EXTRACT('IP: ([0-9.]+)', line, 1), TUMBLING(10s);\n")
    engine = h.start('run', '--announce-ready', 'job.sql')
    try:
        assert engine.stdout.readline().startswith(b'READY')
        h.weir('produce', 'log', stdin='[x] IP: 1.1.1.1, User: A\n[x] IP: 1.1.1.2, User: B\n[x] IP: 1.1.1.1, User: A\n')
        query = "SELECT ip, n FROM t WHERE ip='1.1.1.1' ORDER BY windowstart DESC LIMIT 5"
        for _ in range(200):
            out = h.weir('query', '--output', 'csv', query)[0]
            if sum(int(line.split(',')[1]) for line in out.splitlines()[1:]) == 2:
                break
            time.sleep(0.05)
        else:
            raise AssertionError('the table never showed the count: ' + out)
        contains(h.weir('run', 'job.sql', status=1)[1], str(engine.pid))
    finally:
        engine.send_signal(signal.SIGTERM)
        equal(engine.wait(patience(30)), 0)


@test
def a_table_that_changes_for_long_keeps_its_last_rows(h):
    """Its topic is compacted once 64 MiB have come; whoever reads it from the beginning, also as a table, has the same rows."""
    job = ("CREATE STREAM s (k STRING KEY, v STRING) WITH (kafka_topic='s', value_format='KAFKA', partitions=1);\n"
           "SET 'emit'='every-change';\n"
           "CREATE TABLE t WITH (kafka_topic='t', value_format='KAFKA') AS\n"
           "  SELECT k, LATEST_BY_OFFSET(v) AS v FROM s GROUP BY k HAVING LATEST_BY_OFFSET(v) <> 'none';\n")
    h.file('job.sql', job)
    h.file('reader.sql', job + "CREATE TABLE u (k STRING PRIMARY KEY, v STRING) WITH (kafka_topic='t', value_format='KAFKA');\n"
                               'CREATE TABLE w AS SELECT k, v FROM u;\n')
    rows, lines = {}, []
    for i in range(11000):  # they do not compress
        rows['k%d' % (i % 7)] = value = base64.b64encode(os.urandom(random.randrange(5000, 6000))).decode()
        lines.append('k%d=%s\n' % (i % 7, value))
    lines.append('k3=none\n')
    rows['k3'] = None
    h.weir('produce', 's', '--key-separator', '=', stdin=''.join(lines))
    h.weir('run', '--set', 'auto.offset.reset=earliest', '--until-end', 'job.sql')

    def records():
        return [json.loads(line) for line in h.weir('consume', 't', '--from-beginning', '--until-end', '--output', 'json')[0].splitlines()]

    engine = h.start('run', '--announce-ready', 'job.sql')
    try:
        assert engine.stdout.readline().startswith(b'READY')
        found, end = records(), time.time() + patience(60)
        while len(found) > 1000 and time.time() < end:
            time.sleep(0.2)
            found = records()
    finally:
        engine.send_signal(signal.SIGTERM)
        equal(engine.wait(patience(30)), 0)
    assert len(found) <= 1000, 'all of %d records are still there' % len(found)
    assert found[-1]['offset'] == 11000, found[-1]['offset']
    assert {r['key']: r['value'] for r in found} == rows, 'other rows are left'
    left = sorted((k, v) for k, v in rows.items() if v is not None)
    h.weir('run', '--set', 'auto.offset.reset=earliest', '--until-end', 'reader.sql')
    for table in ('t', 'w'):
        out = h.weir('query', '--output', 'json', 'SELECT k, v FROM %s ORDER BY k;' % table)[0]
        assert [(r['K'], r['V']) for r in map(json.loads, out.splitlines())] == left, 'other rows are in %s' % table


def written(path):
    return os.stat(path).st_mtime_ns if os.path.exists(path) else None


@test
def a_run_to_the_end_waits_for_what_another_query_writes(h):
    """Which is paused, and goes on when another process says so; meanwhile the numbers of both are told to other processes."""
    h.file('job.sql', "CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON', partitions=1);\n"
                      'CREATE STREAM big AS SELECT k, v FROM s;\n'
                      'CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM big GROUP BY k;\n')
    h.weir('run', '--set', 'auto.offset.reset=earliest', '--until-end', 'job.sql')
    h.weir('produce', 's', '--key-separator', ':', stdin='a:{"v":1}\nb:{"v":2}\na:{"v":3}\n')
    h.weir('query', 'PAUSE CSAS_BIG_2;')
    engine = h.start('run', '--quiet', '--until-end', 'job.sql')
    numbers, seen, end = os.path.join(h.path, 'weir-data', 'statistics'), set(), time.time() + patience(30)
    while len(seen) < 4 and time.time() < end:
        seen.add(written(numbers))
        assert engine.poll() is None, 'it did not wait'
        time.sleep(0.02)
    h.weir('query', 'RESUME CSAS_BIG_2;')
    equal(engine.wait(patience(30)), 0)
    equal(h.weir('query', '--output', 'csv', 'SELECT k, n FROM t ORDER BY k;')[0], 'K,N\na,2\nb,1\n')


@test
def schemas_on_the_embedded_log_are_the_same_to_each_process(h):
    made = "CREATE STREAM s (k %s KEY, v INT) WITH (kafka_topic='s', format='AVRO', partitions=1);"
    h.weir('query', made % 'INT')
    h.weir('query', "ASSERT SCHEMA SUBJECT 's-key' ID 1 TIMEOUT 0 SECONDS;")
    h.weir('query', 'DROP STREAM s DELETE TOPIC;')
    h.weir('query', "ASSERT NOT EXISTS SCHEMA SUBJECT 's-key' TIMEOUT 0 SECONDS;")
    h.weir('query', "ASSERT SCHEMA ID 1 TIMEOUT 0 SECONDS;")
    h.weir('query', made % 'STRING')
    h.weir('query', "INSERT INTO s VALUES ('a', 1);")
    equal(h.weir('query', '--output', 'csv', 'SELECT * FROM s;')[0], 'K,V\na,1\n')


STOPS = """CREATE STREAM s (v INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM good AS SELECT v FROM s;
SET 'on.bad.record'='stop';
CREATE STREAM strict AS SELECT v FROM s;
"""


@test
def a_query_that_stops_stops_no_other(h):
    h.weir('produce', 's', stdin='{"v":1}\n{"v":"x"}\n')
    script = h.file('job.sql', STOPS)
    engine = h.start('run', '--quiet', script)
    try:
        while b'CSAS_STRICT' not in (said := engine.stderr.readline()):
            assert said, 'it ended'
        contains(said.decode(), 'has stopped')
        h.weir('produce', 's', stdin='{"v":2}\n')
        out, _ = h.weir('query', '--output', 'csv', "SET 'auto.offset.reset'='earliest'; SELECT v FROM good EMIT CHANGES LIMIT 2;")
        contains(out, '\n1\n2\n')
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.communicate(timeout=patience(60))
    equal(engine.returncode, 1)  # some query has stopped
    h.weir('produce', 's', stdin='{"v":3}\n')
    h.weir('run', '--quiet', '--until-end', script, status=1)
    equal(h.weir('query', '--output', 'csv', 'SELECT v FROM good;')[0], 'V\n1\n2\n3\n')


@test
def an_id_that_is_used_again_begins_anew(h):
    insert = "INSERT INTO o WITH (QUERY_ID='q') SELECT s.k AS k, s.v + t.v AS v FROM s JOIN t WITHIN 1 HOUR ON s.k = t.k%s;"
    source = JOB.splitlines()[0]
    h.file('job.sql', source + source.replace('STREAM s', 'STREAM t') + "CREATE STREAM o (k STRING KEY, v INT) WITH (kafka_topic='o', value_format='JSON', "
                      'partitions=1);' + insert % '')
    h.weir('produce', 's', '--key-separator', ':', stdin='a:{"V":1}\n')

    def ends_with(expected):
        h.weir('run', '--until-end', 'job.sql')
        equal(sorted(h.weir('query', '--output', 'csv', 'SELECT v FROM o;')[0].split()[1:]), sorted(expected))

    # Terminated and made again while none runs: what it has read is read again, and what it kept is not met.
    ends_with(['2'])
    h.weir('query', 'TERMINATE q;')
    h.weir('query', insert % '')
    ends_with(['2', '2'])
    h.weir('produce', 's', '--key-separator', ':', stdin='a:{"V":10}\n')
    ends_with(['2', '2', '11', '11', '20'])

    # Another statement under that id; and, again, the same.
    h.weir('query', 'TERMINATE q;')
    h.weir('query', insert % " WHERE s.v = 10 AND t.v = 10")
    h.file('job.sql', insert % " WHERE s.v = 10 AND t.v = 10")
    ends_with(['2', '2', '11', '11', '20', '20'])
    h.weir('query', 'TERMINATE q; ' + insert % '')
    h.file('job.sql', insert % '')
    ends_with(['2', '2', '11', '11', '20', '20', '2', '11', '11', '20'])


@test
def a_pipe_is_a_script(h):
    out, _ = h.weir(stdin=JOB + "INSERT INTO s VALUES ('a', 1);\nINSERT INTO s VALUES ('b', 2);\nSELECT * FROM s;\n")
    contains(out, ' K | V', ' a | 1', ' b | 2', '(2 rows)')
    out, err = h.weir('shell', stdin='SHOW STREAMS;\n\nSELEC 1;\nSHOW TABLES;\n', status=1)
    contains(err, 'stdin:3:1: syntax: ')


@test
def rows_of_a_select_in_a_script(h):
    h.weir('produce', 's', '--key-separator', ':', stdin=LINES)
    h.file('job.sql', JOB.splitlines()[0] + "\nSELECT v FROM s WHERE k = '${key}';\n")
    out, err = h.weir('run', '-D', 'key=a', '--output', 'csv', 'job.sql')
    equal(out, 'V\n1\n3\n')
    contains(err, 'S')


@test
def what_a_select_left_out_is_told(h):
    h.weir('produce', 's', '--key-separator', ':', stdin='a:{"V":1}\na:{"V":"x"}\na:no JSON\na:{"V":0}\n')
    h.weir('query', JOB.splitlines()[0])
    last = '; the last: topic s, partition 0, offset %d: '
    where = '; a persistent query (CREATE STREAM ... AS SELECT) writes each of them to WEIR_PROCESSING_LOG\n'
    out, err = h.weir('query', '--output', 'csv', 'SELECT v FROM s;')
    equal(out, 'V\n1\n0\n')
    contains(err, 'weir: 2 records could not be read and were left out' + last % 2 + 'not JSON at byte', where)
    equal(h.weir('query', '--output', 'csv', 'SELECT 1 / v AS d FROM s;')[1],
          'weir: 2 records could not be read and were left out, 1 expression failed' + last % 3 + 'column `D`: division by zero' + where)
    equal(h.weir('query', "SELECT v FROM s WHERE ROWOFFSET = 0;")[1][:33], 'weir: 2 records could not be read')
    h.weir('produce', 't', '--key-separator', ':', stdin='a:{"V":1}\n')
    h.weir('query', JOB.splitlines()[0].replace('STREAM s', 'STREAM t').replace("'s'", "'t'"))
    equal(h.weir('query', 'SELECT * FROM t;')[1], '')

    # With what goes on, once it is ended.
    p = h.start('query', '--output', 'csv', "SET 'auto.offset.reset' = 'earliest'; SELECT v FROM s EMIT CHANGES;")
    seen = [p.stdout.readline() for _ in range(4)]
    equal(seen[-2:], [b'1\n', b'0\n'])
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=patience(60))
    contains(err.decode(), 'weir: 2 records could not be read and were left out' + last % 2, where)
    equal(p.returncode, 0)


@test
def a_pattern_that_is_hardly_meant_is_warned_of(h):
    h.weir('query', JOB.splitlines()[0])
    h.weir('produce', 's', '--key-separator', ':', stdin='a:{"V":1}\n')

    def warned(pattern):
        return h.weir('query', "SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(v), '%s') AS t FROM s;" % pattern)[1]

    week, day = 'Y is the year that the week is counted to, and y that of the calendar', 'D is the day of the year, and d that of the month'
    equal(warned('YYYY-MM-DD'), "weir: warning: FORMAT_TIMESTAMP: in the pattern 'YYYY-MM-DD' %s; %s\n" % (week, day))
    contains(warned('YYYY-MM-dd'), "'YYYY-MM-dd' " + week + '\n')
    contains(warned('yyyy-MM-DD'), "'yyyy-MM-DD' " + day + '\n')
    contains(warned('yyyy-mm-dd'), 'm is the minute, and M the month\n')
    contains(warned('yyyy-MM-dd hh:mm'), 'h is an hour from 1 to 12, and H one from 0 to 23\n')
    for meant in 'yyyy-MM-dd HH:mm:ss', "yyyy-MM-dd''T''HH:mm", "yyyy ''Day'' dd", 'YYYY-ww', 'yyyy-DDD', 'mm:ss', 'hh:mm a', 'd.M.yy', 'HH:mm':
        equal(warned(meant), '')
    insert = "CREATE STREAM %s AS SELECT k, FORMAT_TIMESTAMP(FROM_UNIXTIME(v), 'YYYY') AS a, FORMAT_DATE(FROM_DAYS(v), 'YYYY') AS b, " \
             "FORMAT_TIMESTAMP(FROM_UNIXTIME(v), 'YYYY') AS c FROM s;"
    out, err = h.weir('query', insert % 'x')
    contains(out, 'Stream X created')
    equal(err, "weir: warning: FORMAT_TIMESTAMP: in the pattern 'YYYY' %s; FORMAT_DATE: in the pattern 'YYYY' %s\n" % (week, week))


@test
def a_reader_that_leaves(h):
    h.file('lines', 'x' * 100 + '\n')
    h.weir('produce', 't', stdin=('x' * 100 + '\n') * 20000)
    p = subprocess.run(['bash', '-o', 'pipefail', '-c', '"$0" consume t --from-beginning --until-end | head -n 1', WEIR],
                       cwd=h.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(60))
    equal((p.returncode, p.stdout, p.stderr), (0, b'x' * 100 + b'\n', b''))


@test
def a_spool_has_what_is_typed_and_answered(h):
    out, err = h.weir('shell', stdin="SPOOL 'kept.txt';\nSHOW\n  TYPES;\nSPOOL other.txt;\nSPOOL OFF;\nSPOOL off\nSHOW TYPES;\n"
                                     "spool nowhere/at/all;\nSPOOL bare.txt;\nNOPE;\n", status=1)
    types = ' Type Name | Schema\n-----------+--------\n(0 rows)\n'
    equal(out, 'Session will be spooled to kept.txt\n' + types + 'There is a spool already; SPOOL OFF ends it.\n'
               'The spool is closed.\nThere is no spool.\n' + types + 'Cannot write nowhere/at/all: No such file or directory\n'
               'Session will be spooled to bare.txt\n')
    equal(open(os.path.join(h.path, 'kept.txt')).read(), 'weir> SHOW\n  TYPES;\n' + types)
    equal(open(os.path.join(h.path, 'bare.txt')).read(), "weir> NOPE;\nsyntax: unexpected 'NOPE'; expected a statement\n")
    contains(err, 'unexpected')


@test
def a_signal_ends_consume(h):
    h.weir('produce', 't', stdin='one\n')
    p = h.start('consume', 't', '--from-beginning')
    equal(p.stdout.readline(), b'one\n')
    p.send_signal(signal.SIGINT)
    equal(p.wait(patience(10)), 0)


@test
def a_signal_ends_who_waits_for_input(h):
    h.weir('produce', 't', stdin='none\n')
    p = h.start('produce', 't')
    p.stdin.write(b'one\nhalf a line')
    p.stdin.flush()
    end = time.time() + patience(60)
    while h.weir('consume', 't', '--from-beginning', '--until-end')[0] == 'none\n' and time.time() < end:
        time.sleep(0.02)
    p.send_signal(signal.SIGTERM)
    equal(p.wait(patience(60)), 0)
    equal(h.weir('consume', 't', '--from-beginning', '--until-end')[0], 'none\none\n')

    p = h.start('shell')
    p.stdin.write(b'SHOW TOPICS;\n')
    p.stdin.flush()
    contains(p.stdout.readline(), b'Topic')
    p.send_signal(signal.SIGTERM)
    equal(p.wait(patience(60)), 0)


@test
def failing_scenarios_are_shown(h):
    h.file('good.test', "statement ok\n" + JOB + "\nfeed s\n@1  a  {\"v\":1}\n\nexpect T\na  {\"N\":1,\"TOTAL\":1}\n")
    h.file('bad.test', "statement ok\n" + JOB + "\nfeed s\n@1  a  {\"v\":1}\n\nexpect T\na  {\"N\":2,\"TOTAL\":1}\n")
    equal(h.weir('test', 'good.test')[0], '1 passed, 0 failed\n')
    out = h.weir('test', 'good.test', 'bad.test', status=1)[0]
    contains(out, 'bad.test:8: expect T differs', '- a  {"N":2,"TOTAL":1}', '+ a  {"N":1,"TOTAL":1}',
             'with batches of 1, 2, 7, 4096 rows', '1 passed, 1 failed')


run_tests(lambda t: Home())
