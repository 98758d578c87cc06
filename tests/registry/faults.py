"""What a schema registry, and those who write records, may do wrong: run WEIR faults.py, with WEIR_TEST_BROKER set.
Whatever it is: a clear error, counted where it is a record's, nothing else stopped, and no restart needed afterwards."""
import io
import json
import struct
import time

import fastavro
from life import Home, equal, main, test
from patience import patience
from stand_in import StandIn

RECORD = json.dumps({'type': 'record', 'name': 'R', 'fields': [{'name': 'v', 'type': 'int'}, {'name': 's', 'type': 'string'}]})
NEWER = json.dumps(dict(json.loads(RECORD), doc='one that weir has not met yet'))
OTHER = json.dumps({'type': 'record', 'name': 'R', 'fields': [{'name': 'v', 'type': 'string'}, {'name': 's', 'type': 'string'}]})
JOB = ("CREATE STREAM s (k STRING KEY, v INT, s STRING) WITH (kafka_topic='${p}s', value_format='AVRO', partitions=1);"
       "CREATE STREAM o WITH (kafka_topic='${p}o', value_format='JSON') AS SELECT * FROM s;")
PLAIN = ("CREATE STREAM p (k STRING KEY, v INT) WITH (kafka_topic='${p}p', value_format='JSON', partitions=1);"
         "CREATE TABLE n WITH (kafka_topic='${p}n', value_format='JSON') AS SELECT k, COUNT(*) AS n FROM p GROUP BY k;")


def framed(identity, v, s='x', schema=RECORD):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, json.loads(schema), {'v': v, 's': s})
    return struct.pack('>bi', 0, identity) + out.getvalue()


def row(v, s='x'):
    return {'K': 'k', 'V': v, 'S': s}


def said(h):
    return open(h.path + '/said').read()


def await_said(h, part):
    end = time.time() + patience(60)
    while part not in said(h) and time.time() < end:
        time.sleep(0.05)
    assert part in said(h), said(h)


def reasons(h):
    return [r['REASON'] for r in h.rows('SELECT reason FROM weir_processing_log;')]


@test()
def down_when_a_statement_needs_it(h):
    h.stand_in.stop()
    began = time.time()
    text = h.weir('run', '--until-end', h.script(JOB), status=1)
    assert 'schema registry at ' + h.registry in text and 'cannot be reached' in text, text
    assert time.time() - began < patience(30)
    h.run(PLAIN)  # whatever needs no registry goes on
    h.stand_in.start()
    h.run(JOB)


@test()
def down_when_an_engine_starts_and_back_later(h):
    """Its records wait; those of other formats do not, and what waited comes without a restart."""
    identity = h.stand_in.add(h.topic('s') + '-value', RECORD)
    h.run(JOB + PLAIN)
    h.produce('s', [(b'k', framed(identity, 1))])
    h.stand_in.stop()
    h.start(JOB + PLAIN)
    h.produce('p', [(b'a', b'{"v":1}'), (b'a', b'{"v":2}')])
    h.await_rows('SELECT * FROM n;', [{'K': 'a', 'N': 2}])
    equal(h.rows('SELECT * FROM o;'), [])
    h.produce('s', [(b'k', framed(identity, 2))])
    h.stand_in.start()
    h.await_rows('SELECT * FROM o;', [row(1), row(2)])
    equal(reasons(h), [])


@test()
def down_while_records_come(h):
    """A schema met for the first time while the registry is away: nothing is lost, nothing doubled."""
    first = h.stand_in.add(h.topic('s') + '-value', RECORD)
    h.start(JOB + PLAIN)
    h.produce('s', [(b'k', framed(first, 1))])
    h.await_rows('SELECT * FROM o;', [row(1)])
    second = h.stand_in.add(h.topic('s') + '-value', NEWER)
    h.stand_in.stop()
    h.produce('s', [(b'k', framed(first, 2)), (b'k', framed(second, 3)), (b'k', framed(first, 4))])
    h.produce('p', [(b'a', b'{"v":1}')])
    h.await_rows('SELECT * FROM n;', [{'K': 'a', 'N': 1}])
    await_said(h, 'cannot be reached')
    h.stand_in.start()
    h.await_rows('SELECT * FROM o;', [row(1), row(2), row(3), row(4)])


@test()
def unwell(h):
    """500s for a while are waited out."""
    h.start(JOB)
    identity = h.stand_in.add(h.topic('s') + '-value', NEWER)
    h.stand_in.status = 503
    h.produce('s', [(b'k', framed(identity, 1))])
    await_said(h, 'status 503')
    h.stand_in.status = None
    h.await_rows('SELECT * FROM o;', [row(1)])


@test()
def slow(h):
    """It accepts, and never answers: each request ends by its timeout, and the rest of weir does not wait for it."""
    h.start(JOB + PLAIN)
    identity = h.stand_in.add(h.topic('s') + '-value', NEWER)
    h.stand_in.delay.set()
    h.produce('s', [(b'k', framed(identity, 1))])
    h.produce('p', [(b'a', b'{"v":1}')])
    h.await_rows('SELECT * FROM n;', [{'K': 'a', 'N': 1}])
    began = time.time()
    h.stand_in.delay.clear()
    h.await_rows('SELECT * FROM o;', [row(1)])
    assert time.time() - began < patience(30)


@test()
def answers_nonsense(h):
    h.stand_in.answer = b'<html>welcome</html>'
    text = h.weir('run', '--until-end', h.script(JOB), status=1)
    assert 'as no schema registry does' in text, text
    h.stand_in.answer = None
    h.start(JOB)
    identity = h.stand_in.add(h.topic('s') + '-value', NEWER)
    h.stand_in.answer = b'<html>welcome</html>'
    h.produce('s', [(b'k', framed(identity, 1))])
    await_said(h, 'as no schema registry does')
    h.stand_in.answer = None
    h.await_rows('SELECT * FROM o;', [row(1)])


@test()
def another_schema_than_the_writers(h):
    """Ids that name a schema of another type, of another language, one that is none, or nothing; bytes that do not match."""
    good = h.stand_in.add(h.topic('s') + '-value', RECORD)
    other, wrong = h.stand_in.add('x', OTHER), h.stand_in.add('y', '{"type": "recor')
    proto = h.stand_in.add('z', 'syntax = "proto3"; message R { int32 v = 1; }', 'PROTOBUF')
    h.start(JOB)
    h.produce('s', [(b'k', framed(good, 1)), (b'k', framed(other, 'text', schema=OTHER)), (b'k', framed(wrong, 3)),
                    (b'k', framed(proto, 4)), (b'k', framed(9999, 5)), (b'k', b'\x00\x00'), (b'k', b'{"v":1}'), (b'k', b''),
                    (b'k', struct.pack('>bi', 0, good)), (b'k', framed(good, 6)[:-1]), (b'k', framed(good, 7) + b'more'),
                    (b'k', struct.pack('>bi', 0, good) + b'\x02\xff\xff\xff\xff\x0fx'), (b'k', framed(good, 8))])
    h.await_rows('SELECT * FROM o;', [row(1), row(8)])
    found = reasons(h)
    equal(len(found), 11)
    for part in ('column `V`: INTEGER expected, schema %d has string' % other,
                 'of schema %d: the Avro schema is no JSON' % wrong,
                 "the record's schema %d is a Protobuf schema, and the format is AVRO" % proto,
                 'the schema registry has no schema of id 9999, which the record names',
                 'no schema id stands before the record: its 2 bytes are fewer than the 5 of one',
                 'no schema id stands before the record: it begins with the byte 0x7B, not 0x00',
                 'column `V`: the bytes are not of schema %d: by byte 0 of 0 they end too early' % good,
                 'column `S`: the bytes are not of schema %d: by byte ' % good):
        assert any(part in r for r in found), (part, found)


@test()
def a_password(h):
    h.stand_in.user_info = 'ann:s3cret:x'
    text = h.weir('run', '--until-end', h.script(JOB), status=1)
    assert '(status 401): no user was given; schema.registry.basic.auth.user.info' in text and 's3cret' not in text, text
    text = h.weir('run', '-X', 'schema.registry.basic.auth.user.info=ann:wrong', '--until-end', h.script(JOB), status=1)
    assert '(status 401): it does not take the user and password' in text and 'wrong' not in text, text
    h.weir('run', '-X', 'schema.registry.basic.auth.user.info=ann:s3cret:x', '--until-end', h.script(JOB))


@test('403', '404', '409', '422')
def refuses(h, status):
    """What a statement needs is refused: which request, why, and what may do."""
    status = int(status)
    h.stand_in.status = status
    text = h.weir('run', '--until-end', h.script(JOB), status=1)
    assert {403: 'refuses access to /subjects/%s-value/versions/latest (status 403): told to; the user is known there and lacks the right',
            404: 'answers /subjects/%s-value/versions with status 404: told to',
            409: 'answers /subjects/%s-value/versions/latest with status 409: told to',
            422: 'answers /subjects/%s-value/versions/latest with status 422: told to'}[status] % h.topic('s') in text, text
    h.stand_in.status = None
    h.run(JOB)


@test()
def a_schema_that_does_not_fit(h):
    """The subject has a schema that the columns cannot be read by, or written with."""
    h.stand_in.add(h.topic('o') + '-value', OTHER)
    h.stand_in.refuses = {h.topic('o') + '-value': (409, 'incompatible with an earlier schema')}
    text = h.weir('run', '--until-end', h.script(JOB.replace("value_format='JSON'", "value_format='AVRO'")), status=1)
    assert 'does not take the schema of %s-value (status 409): incompatible with an earlier schema; keep to' % h.topic('o') in text, text


@test()
def tls(h):
    h.stand_in.stop()
    h.stand_in = StandIn(tls_path=h.path)
    h.common[h.common.index('--schema-registry') + 1] = h.stand_in.url
    text = h.weir('run', '--until-end', h.script(JOB), status=1)
    assert 'certificate' in text.lower(), text
    text = h.weir('run', '-X', 'schema.registry.ssl.ca.location=/nowhere.pem', '--until-end', h.script(JOB), status=1)
    assert 'certificate' in text.lower(), text
    h.weir('run', '-X', 'schema.registry.ssl.ca.location=' + h.path + '/cert.pem', '--until-end', h.script(JOB))
    assert h.stand_in.requests > 0


def home():
    stand_in = StandIn()
    h = Home(stand_in.url)
    h.stand_in = stand_in
    return h


if __name__ == '__main__':
    main(home)
