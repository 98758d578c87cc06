#!/usr/bin/env python3
"""What nobody should send, from outside: bad_input.py WEIR [NAME...]. Each time: a message that says what, where and what to
do; the good records beside the bad ones counted; nothing lost, no crash."""
import json
import os
import resource
import signal
import subprocess
import time

from patience import patience
from program import WEIR, Folder, contains, equal, run_tests, test

SLOW = patience(120)  # seconds until a run is given up
SOURCE = "CREATE STREAM s (k STRING KEY, v INT, t STRING, at_ms BIGINT) WITH (kafka_topic='s', value_format='JSON');\n"


class Home(Folder):
    def __init__(self):
        super().__init__('weir-bad-')

    def weir(self, *arguments, status=0, stdin=b'', preexec=None):
        p = subprocess.run([WEIR, *arguments], cwd=self.path, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=SLOW, preexec_fn=preexec)
        out, err = p.stdout.decode(errors='replace'), p.stderr.decode(errors='replace')
        assert p.returncode == status, 'status %d, not %d\n%s\n%s' % (p.returncode, status, out[-500:], err[-2000:])
        return out, err

    def file(self, name, content):
        with open(os.path.join(self.path, name), 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())

    def run(self, sql, status=0):
        self.file('job.sql', sql)
        return self.weir('run', '--quiet', '--set', 'auto.offset.reset=earliest', '--until-end', 'job.sql', status=status)

    def rows(self, sql):
        return [list(json.loads(line).values()) for line in self.weir('query', '--output', 'json', sql)[0].splitlines()]


@test
def bad_records_beside_good_ones(h):
    bad = [b'{"v":', b'{', b'"', b'[1]', b'nope', b'{"v":"x"}', b'{"v":99999999999}', b'{"v":1e400}', b'{"v":2147483648}',
           b'{"t":"\xff\xfe"}', b'\xc0\xaf', b'{"v":' * 100000, b'[' * 1000000, b'{"v":1} {"v":2}']
    good = [b'{"v":1}', b'{"v":2,"unknown":{"deep":[1,2,{}]}}', b'{}', b'{"v":null,"t":"\\u0000"}', b'{"v":-2147483648}']
    h.weir('produce', 's', stdin=b'\n'.join(b + b'\n' + g for b, g in zip(bad, good + bad)) + b'\n')
    h.run(SOURCE + 'CREATE STREAM o AS SELECT k, v FROM s;')
    equal([row[1] for row in h.rows('SELECT k, v FROM o;')], [1, 2, None, None, -2147483648])
    logged = h.rows("SELECT record_offset, reason FROM weir_processing_log WHERE kind = 'record';")
    equal(len(logged), 2 * len(bad) - len(good))
    assert all(reason for _, reason in logged)


@test
def times_out_of_range(h):
    times = [-1, -9223372036854775808, 0, 253402300800000, 9223372036854775807]
    h.weir('produce', 's', stdin=''.join('a:{"v":1,"at_ms":%d}\n' % t for t in times).encode() + b'a:{"v":1}\n', )
    job = SOURCE.replace("'JSON')", "'JSON', timestamp='at_ms')")
    for n, window in enumerate(['', ', TUMBLING(10s)', ', HOPPING(10s, 5s)', ', SESSION(10s)']):
        job += 'CREATE TABLE t%d AS SELECT v, COUNT(*) AS n FROM s GROUP BY v%s;\n' % (n, window)
    h.run(job)
    for n in range(4):
        h.rows('SELECT * FROM t%d;' % n)


@test
def records_of_100_mb(h):
    h.file('big', b'{"v":1,"t":"' + b'x' * 100000000 + b'"}\n{"v":2,"t":"yy"}\n')
    h.weir('produce', 's', 'big')
    h.run(SOURCE + 'CREATE STREAM o AS SELECT k, v, LEN(t) AS l FROM s; CREATE STREAM twice AS SELECT k, v, CONCAT(t, t) AS tt FROM s;')
    equal([row[1:] for row in h.rows('SELECT k, v, l FROM o;')], [[1, 100000000], [2, 2]])
    equal([row[1:] for row in h.rows('SELECT k, v, tt FROM twice;')], [[2, 'yyyy']])    # 200 MB are more than a topic takes
    contains(h.rows("SELECT reason FROM weir_processing_log WHERE kind = 'output';")[0][0], 'larger than its topic takes')
    h.file('big', b'x' * 140000000 + b'\n')
    contains(h.weir('produce', 's', 'big', status=1)[1], 'too large', 'topic s', '134217728')


@test
def statements_without_measure(h):
    h.run(SOURCE)
    for sql in ('SELECT ' + '(' * 100000 + '1' + ')' * 100000 + ' AS x FROM s;', 'SELECT * FROM s WHERE ' + 'NOT ' * 100000 + 'true;',
                'SELECT ' + 'CASE WHEN true THEN ' * 50000 + '1' + ' END' * 50000 + ' AS x FROM s;',
                'SELECT ' + '1+' * 100000 + '1 AS x FROM s;',
                'CREATE STREAM deep (v ' + 'ARRAY<' * 100000 + 'INT' + '>' * 100000 + ") WITH (kafka_topic='s', value_format='JSON');"):
        contains(h.run(sql, status=1)[1][:300], 'job.sql:1:', 'syntax', 'nested too deeply')
    h.run("SELECT '" + 'x' * 10000000 + "' AS x FROM s;")
    h.run('SELECT * FROM s WHERE v IN (' + ','.join(map(str, range(1400000))) + ');')
    contains(h.run('SELECT ' + 'x' * 10000000 + ' FROM s;', status=1)[1][:300], 'job.sql:1:8')


@test
def names_that_do_not_exist(h):
    h.run(SOURCE)
    for sql, *parts in (('SELECT vv FROM s;', '1:8', 'VV', 'did you mean V'), ('SELECT LENN(t) FROM s;', '1:8', 'LENN', 'did you mean LEN'),
                        ('SELECT * FROM ss;', '1:15', 'SS'), ('SELECT CAST(v AS NUMBR) FROM s;', '1:18', 'NUMBR'),
                        ("CREATE STREAM x (v INT) WITH (kafka_topic='none', value_format='JSON'); SELECT * FROM y;", 'Y'),
                        ("CREATE STREAM x (v INT) WITH (kafka_topic='s', value_format='YAML');", 'YAML')):
        contains(h.run(sql, status=1)[1], *parts)


@test
def a_data_directory_that_cannot_be_used(h):
    h.file('plain', 'a file')
    contains(h.weir('query', '--data', 'plain', 'SHOW STREAMS;', status=1)[1], 'plain')
    contains(h.weir('query', '--data', '/proc/weir', 'SHOW STREAMS;', status=1)[1], '/proc/weir')
    h.run(SOURCE)
    with open(os.path.join(h.path, 'weir-data', 'log', 'data.mdb'), 'r+b') as f:
        f.write(b'not an environment' * 1000)
    err = h.weir('query', 'SHOW STREAMS;', status=1)[1]
    contains(err, 'weir-data')


@test
def a_disk_that_is_full_for_a_while(h):
    """RLIMIT_FSIZE stands for the disk: a write beyond it fails with EFBIG. It is raised while the engine runs."""
    h.file('job.sql', SOURCE + 'CREATE TABLE n AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;\nCREATE STREAM o AS SELECT k, v, t FROM s;\n')
    h.weir('produce', 's', stdin=b'a:{"v":0}\n')

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 << 20, resource.RLIM_INFINITY))

    with open(os.path.join(h.path, 'messages'), 'wb') as messages:
        engine = subprocess.Popen([WEIR, 'run', '--set', 'auto.offset.reset=earliest', '--announce-ready', 'job.sql'], cwd=h.path,
                                  stdout=subprocess.PIPE, stderr=messages, preexec_fn=limit)
    try:
        assert engine.stdout.readline().startswith(b'READY')
        noise = os.urandom(6000).hex()
        h.file('lines', ''.join('a:{"v":%d,"t":"%s"}\n' % (i, noise[i % 997:]) for i in range(1000)))
        h.weir('produce', 's', '--key-separator', ':', 'lines')
        time.sleep(1.5)
        assert engine.poll() is None, 'the engine ended when the disk was full'
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for _ in range(200):
            if h.rows("SELECT n FROM n WHERE k = 'a';") == [[1000]]:
                break
            time.sleep(0.05)
        else:
            with open(os.path.join(h.path, 'messages')) as f:
                raise AssertionError('it did not go on when there was room again: ' + f.read()[-2000:])
        equal(h.rows('SELECT k, COUNT(*) AS n FROM o GROUP BY k;'), [['a', 1000]])
    finally:
        engine.send_signal(signal.SIGTERM)
        equal(engine.wait(patience(30)), 0)


@test
def bytes_that_do_not_match_their_schema(h):
    for name in ('AVRO', 'PROTOBUF', 'JSON_SR', 'JSON', 'DELIMITED'):
        source = "CREATE STREAM %s_s (v INT, t STRING) WITH (kafka_topic='%s', value_format='%s', partitions=1);\n" % (name, name, name)
        bad = [b'\x00\x00\x00\x00\x63abc', b'\x00\x00', b'nope', b'\xff\xfe\xfd', b'{"v":', b'{"v":"x"}']
        h.run(source + "INSERT INTO %s_s VALUES (1, 'a');" % name)
        h.weir('produce', name, stdin=b'\n'.join(bad) + b'\n')
        h.run(source + "INSERT INTO %s_s VALUES (2, 'b');\nCREATE STREAM %s_o AS SELECT v, t FROM %s_s;" % (name, name, name))
        rows = h.rows('SELECT v, t FROM %s_o;' % name)
        equal([row for row in rows if row[1] in ('a', 'b')], [[1, 'a'], [2, 'b']])
        logged = h.rows("SELECT record_offset, reason FROM weir_processing_log WHERE record_topic = '%s' AND kind = 'record';" % name)
        equal(len(rows) + len(logged), 2 + len(bad))
        assert logged and all(reason for _, reason in logged), logged


@test
def a_data_directory_in_use(h):
    h.file('job.sql', SOURCE + 'CREATE STREAM o AS SELECT k, v FROM s;')
    engine = subprocess.Popen([WEIR, 'run', '--announce-ready', 'job.sql'], cwd=h.path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        h.file('job2.sql', 'CREATE STREAM o2 AS SELECT k, v FROM s;')
        assert engine.stdout.readline().startswith(b'READY')
        contains(h.weir('run', 'job2.sql', status=1)[1], 'process %d already runs' % engine.pid, './weir-data', 'weir query')
        equal(h.rows('SELECT v FROM s;'), [])
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.wait(patience(30))
        engine.stdout.close()


@test
def a_quota_that_is_reached(h):
    h.file('lines', ''.join('a:{"v":%d,"t":"%s"}\n' % (i, os.urandom(3000).hex()) for i in range(1000)))
    err = h.weir('produce', 's', '--quota', '2M', '--key-separator', ':', 'lines', status=1)[1]
    contains(err, 'weir-data', 'quota', 'raise the quota', 'lines are in the topic')
    taken = int(err.split('the first ')[1].split()[0])
    assert 0 < taken < 1000, err
    h.run(SOURCE + 'CREATE TABLE n AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;')
    equal(h.rows('SELECT n FROM n;'), [[taken]])
    contains(h.weir('query', '--quota', '5X', 'SHOW STREAMS;', status=2)[1], '--quota', '500M')


class SmallDisk:
    """A file system of its own; None inside where this user may not mount one."""

    def __init__(self, h, size):
        self.path = os.path.join(h.path, 'disk')
        os.mkdir(self.path)
        self.is_there = os.geteuid() == 0 and self.mount('-t', 'tmpfs', '-o', 'size=' + size, 'none', self.path)

    def mount(self, *arguments):
        return subprocess.run(['mount', *arguments], stderr=subprocess.DEVNULL).returncode == 0

    def change(self, options):
        assert self.mount('-o', 'remount,' + options, self.path), options

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_there:
            subprocess.run(['umount', self.path], check=True)


@test
def a_disk_that_is_read_only_or_full_from_the_start(h):
    with SmallDisk(h, '2m') as disk:
        if not disk.is_there:
            print('no file system may be mounted here: skipped')
            return
        h.file('job.sql', SOURCE)
        run = ('run', '--quiet', '--data', 'disk/d', '--until-end', 'job.sql')
        disk.change('ro')
        contains(h.weir(*run, status=1)[1], 'disk/d', 'Read-only file system', 'another')
        disk.change('rw')
        filler = os.path.join(disk.path, 'filler')
        for pages_free in (0, 1, 3, 40):       # wherever the room ends: an error, and nothing half done
            with open(filler, 'wb', buffering=0) as f:
                try:
                    while True:
                        f.write(b'x' * 4096)
                except OSError:
                    pass
            os.truncate(filler, max(0, os.path.getsize(filler) - pages_free * 4096))
            contains(h.weir(*run, status=1)[1], 'disk/d', 'No space left')
        os.unlink(filler)
        h.weir(*run)
        disk.change('ro')
        contains(h.weir(*run, status=1)[1], 'disk/d', 'Read-only file system', 'make it writable')


@test
def a_disk_that_is_full_while_the_engine_runs(h):
    with SmallDisk(h, '8m') as disk:
        if not disk.is_there:
            print('no file system may be mounted here: skipped')
            return
        h.file('job.sql', SOURCE + 'CREATE TABLE n AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;\nCREATE STREAM o AS SELECT k, v, t FROM s;\n')
        h.file('lines', ''.join('a:{"v":%d,"t":"%s"}\n' % (i, os.urandom(3000).hex()) for i in range(1000)))
        h.weir('produce', '--data', 'disk/d', 's', '--key-separator', ':', 'lines')
        log = os.path.join(h.path, 'messages')
        with open(log, 'wb') as messages:
            engine = subprocess.Popen([WEIR, 'run', '--data', 'disk/d', '--set', 'auto.offset.reset=earliest', 'job.sql'], cwd=h.path,
                                      stderr=messages)

        def wait_for(holds, what):
            end = time.time() + SLOW
            while not holds():
                assert engine.poll() is None and time.time() < end, what + ': ' + open(log).read()[-2000:]
                time.sleep(0.05)

        try:
            wait_for(lambda: 'CSAS_O' in open(log).read() and 'waits and tries again' in open(log).read(), 'no word of the full disk')
            contains(open(log).read(), 'No space left on device', 'disk/d', 'Free disk space there and it goes on')
            disk.change('size=64m')
            rows = lambda sql: [list(json.loads(line).values()) for line in
                                h.weir('query', '--data', 'disk/d', '--output', 'json', sql)[0].splitlines()]
            wait_for(lambda: 'goes on' in open(log).read().split('waits')[-1] and
                     rows('SELECT k, COUNT(*) AS n FROM o GROUP BY k;') == [['a', 1000]], 'it did not go on')
            wait_for(lambda: rows("SELECT n FROM n WHERE k = 'a';") == [[1000]], 'the other query')
        finally:
            engine.send_signal(signal.SIGTERM)
            equal(engine.wait(patience(30)), 0)


run_tests(lambda t: Home())
