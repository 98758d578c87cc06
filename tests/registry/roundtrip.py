"""Records of AVRO, JSON_SR and PROTOBUF between weir and the official Python client, with a real registry and broker:
run WEIR roundtrip.py, with WEIR_TEST_BROKER and WEIR_TEST_REGISTRY (a URL) set."""
import datetime
import decimal
import json
import os
import sys

import official
from confluent_kafka.schema_registry import ConfigCompatibilityLevel, Schema, ServerConfig
from life import Home, equal, main, test

REGISTRY = os.environ.get('WEIR_TEST_REGISTRY') or sys.exit('WEIR_TEST_REGISTRY does not name a registry')
FORMATS = 'AVRO', 'JSON_SR', 'PROTOBUF'

ORDER = {
    'AVRO': json.dumps({'type': 'record', 'name': 'Order', 'fields': [
        {'name': 'item', 'type': 'string'}, {'name': 'units', 'type': 'int'}, {'name': 'note', 'type': ['null', 'string'], 'default': None},
        {'name': 'place', 'type': {'type': 'record', 'name': 'At', 'fields': [{'name': 'city', 'type': 'string'}, {'name': 'zip', 'type': 'long'}]}},
        {'name': 'tags', 'type': {'type': 'array', 'items': 'string'}}]}),
    'JSON_SR': json.dumps({'title': 'Order', 'type': 'object', 'properties': {
        'item': {'type': 'string'}, 'units': {'type': 'integer'}, 'note': {'type': ['null', 'string']},
        'place': {'type': 'object', 'properties': {'city': {'type': 'string'}, 'zip': {'type': 'integer'}}},
        'tags': {'type': 'array', 'items': {'type': 'string'}}}}),
    'PROTOBUF': '''syntax = "proto3"; message Order { string item = 1; int32 units = 2; optional string note = 3; At place = 4;
                   repeated string tags = 5; message At { string city = 1; int64 zip = 2; } }''',
}
KEY = {
    'AVRO': json.dumps({'type': 'record', 'name': 'Id', 'fields': [{'name': 'shop', 'type': 'string'}, {'name': 'nr', 'type': 'long'}]}),
    'JSON_SR': json.dumps({'title': 'Id', 'type': 'object', 'properties': {'shop': {'type': 'string'}, 'nr': {'type': 'integer'}}}),
    'PROTOBUF': 'syntax = "proto3"; message Id { string shop = 1; int64 nr = 2; }',
}


def orders(count):
    for i in range(count):
        yield ({'shop': 's%d' % (i % 3), 'nr': i},
               {'item': 'item %d' % (i % 4), 'units': i, 'note': None if i % 2 else 'n\u00f6te %d' % i, 'place': {'city': 'C%d' % (i % 5), 'zip': i << 33},
                'tags': ['t%d' % k for k in range(i % 3)]})


def without_none(value):
    return {k: v for k, v in value.items() if v is not None}


@test(*FORMATS)
def official_writes_weir_aggregates_official_reads(h, name):
    o = official.of(name, REGISTRY)
    topic = h.topic('orders')
    key, value = o.writer(topic, KEY[name], True), o.writer(topic, ORDER[name])
    rows = list(orders(200))
    clean = without_none if name == 'PROTOBUF' else dict
    h.produce('orders', [(key(k), value(clean(v))) for k, v in rows] + [(key({'shop': 'none', 'nr': 0}), None)])
    h.run("CREATE STREAM orders WITH (kafka_topic='${p}orders', key_format='%s', value_format='%s');"
          "CREATE TABLE sums WITH (kafka_topic='${p}sums', key_format='%s') AS SELECT item, COUNT(*) AS n, SUM(units) AS units, "
          "COUNT(note) AS notes, MAX(place->zip) AS zip, COLLECT_SET(place->city) AS cities FROM orders GROUP BY item;"
          "CREATE STREAM keyed WITH (kafka_topic='${p}keyed') AS SELECT * FROM orders WHERE units < 3;" % (name, name, name))
    wanted = {}
    for _, v in rows:
        w = wanted.setdefault(v['item'], {'N': 0, 'UNITS': 0, 'NOTES': 0, 'ZIP': 0, 'CITIES': []})
        w['N'] += 1
        w['UNITS'] += v['units']
        w['NOTES'] += v['note'] is not None
        w['ZIP'] = max(w['ZIP'], v['place']['zip'])
        if v['place']['city'] not in w['CITIES']:
            w['CITIES'].append(v['place']['city'])
    read_key, read_value = o.reader(h.topic('sums'), True), o.reader(h.topic('sums'))

    def lone(k):
        return k['ITEM'] if name == 'PROTOBUF' else k
    equal({lone(read_key(k)): read_value(v) for k, v in h.records('sums')}, wanted)
    read_key, read_value = o.reader(h.topic('keyed'), True), o.reader(h.topic('keyed'))
    got = sorted(((read_key(k), read_value(v)) for k, v in h.records('keyed')), key=lambda kv: kv[1]['UNITS'])
    keys, values = [k for k, _ in got], [v for _, v in got]
    if 'ROWKEY' in str(keys):
        keys = [k['ROWKEY'] for k in keys]
    equal([{n.lower(): x for n, x in k.items()} for k in keys], [k for k, _ in rows[:3]])
    equal([v['PLACE'] for v in values], [{'CITY': v['place']['city'], 'ZIP': v['place']['zip']} for _, v in rows[:3]])
    equal([v['TAGS'] for v in values], [v['tags'] for _, v in rows[:3]])
    equal([v['NOTE'] or None for v in values], [v['note'] for _, v in rows[:3]])


COLUMNS = ('b BOOLEAN, i INT, l BIGINT, d DOUBLE, s STRING, y BYTES, de DECIMAL(10, 2), da DATE, t TIME, ts TIMESTAMP, ai ARRAY<INT>, '
           'm MAP<STRING, BIGINT>, ms MAP<STRING, STRUCT<x INT, z STRING>>, st STRUCT<x INT, n STRUCT<z STRING, w ARRAY<DOUBLE>>>, '
           'ast ARRAY<STRUCT<x INT, de DECIMAL(6, 3)>>, ads ARRAY<DATE>')
FULL = {  # as weir's JSON format has it
    'b': True, 'i': -5, 'l': 9007199254740993, 'd': -0.25, 's': 'gr\u00fc\u00df \u732b', 'y': 'AP9/', 'de': -1234.50, 'da': 19782,
    't': 86398000, 'ts': 1699794855678, 'ai': [1, -2, 3], 'm': {'a': 1, 'b': 123456789012}, 'ms': {'k': {'x': 7, 'z': 'seven'}},
    'st': {'x': 1, 'n': {'z': 'deep', 'w': [0.5, 1.5]}}, 'ast': [{'x': 1, 'de': 1.125}, {'x': 2, 'de': -0.001}], 'ads': [0, -14120],
}
UTC = datetime.timezone.utc
VALUES = {
    'B': True, 'I': -5, 'L': 9007199254740993, 'D': -0.25, 'S': 'gr\u00fc\u00df \u732b', 'Y': b'\x00\xff\x7f', 'DE': decimal.Decimal('-1234.50'),
    'DA': datetime.date(2024, 2, 29), 'T': datetime.time(23, 59, 58), 'TS': datetime.datetime(2023, 11, 12, 13, 14, 15, 678000, UTC),
    'AI': [1, -2, 3], 'M': {'a': 1, 'b': 123456789012}, 'MS': {'k': {'X': 7, 'Z': 'seven'}},
    'ST': {'X': 1, 'N': {'Z': 'deep', 'W': [0.5, 1.5]}},
    'AST': [{'X': 1, 'DE': decimal.Decimal('1.125')}, {'X': 2, 'DE': decimal.Decimal('-0.001')}],
    'ADS': [datetime.date(1970, 1, 1), datetime.date(1931, 5, 6)],
}
EMPTY = dict.fromkeys(VALUES)
EPOCH = datetime.date(1970, 1, 1)


def as_json(value):
    """As Connect's JSON schemas have it: days, milliseconds of the day and since 1970, numbers for decimals."""
    if isinstance(value, dict):
        return {k: as_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_json(v) for v in value]
    if isinstance(value, datetime.datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, datetime.date):
        return (value - EPOCH).days
    if isinstance(value, datetime.time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes):
        import base64
        return base64.b64encode(value).decode()
    return value


def wanted_of(name):
    """The rows as the client of that format should see them."""
    if name == 'JSON_SR':
        return as_json(VALUES), EMPTY
    if name == 'PROTOBUF':  # without presence a null is the default; messages keep theirs
        defaults = {'B': False, 'I': 0, 'L': 0, 'D': 0.0, 'S': '', 'Y': b'', 'AI': [], 'M': {}, 'MS': {}, 'AST': [], 'ADS': []}
        return VALUES, dict(EMPTY, **defaults)
    # A map of Connect's, whose keys may be null, is an array of entries in Avro.
    return dict(VALUES, **{c: [{'key': k, 'value': v} for k, v in VALUES[c].items()] for c in ('M', 'MS')}), EMPTY


@test(*FORMATS)
def all_types_there_and_back(h, name):
    o = official.of(name, REGISTRY)
    h.produce('raw', [((1).to_bytes(4, 'big'), json.dumps(FULL).encode()), ((2).to_bytes(4, 'big'), b'{}')])
    h.run("CREATE STREAM raw (k INT KEY, %s) WITH (kafka_topic='${p}raw', value_format='JSON');"
          "CREATE STREAM a WITH (kafka_topic='${p}a', key_format='%s', value_format='%s') AS SELECT * FROM raw;"
          "CREATE STREAM b WITH (kafka_topic='${p}b') AS SELECT * FROM a;" % (COLUMNS, name, name))
    full, empty = wanted_of(name)
    for topic in 'a', 'b':
        read_key, read_value = o.reader(h.topic(topic), True), o.reader(h.topic(topic))
        records = h.records(topic)
        equal([read_key(k)['K'] if name == 'PROTOBUF' else read_key(k) for k, _ in records], [1, 2])
        equal([read_value(v) for _, v in records], [full, empty])
    before = h.rows('SELECT * FROM a;')

    # The client writes what it read, by the schema it found; weir reads it back.
    read_value = o.reader(h.topic('a'))
    if name == 'PROTOBUF':
        cls = official.message_class(o.latest(h.topic('a')))
        again = [cls.FromString(v[6:]) for _, v in h.records('a')]
        from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
        serializer = ProtobufSerializer(cls, o.client, {'use.deprecated.format': False})
        values = [serializer(m, official.context(h.topic('c'))) for m in again]
    else:
        write = o.writer(h.topic('c'), o.latest(h.topic('a')))
        values = [write(read_value(v)) for _, v in h.records('a')]
    h.produce('c', list(zip([k for k, _ in h.records('a')], values)))
    h.run("CREATE STREAM c (k INT KEY, %s) WITH (kafka_topic='${p}c', key_format='%s', value_format='%s');" % (COLUMNS, name, name))
    equal(h.rows('SELECT * FROM c;'), before)


@test(*FORMATS)
def windowed_keys(h, name):
    o = official.of(name, REGISTRY)
    h.run("CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', key_format='%s', value_format='%s', partitions=1);"
          "INSERT INTO s (rowtime, k, v) VALUES (1000, 'ann', 1); INSERT INTO s (rowtime, k, v) VALUES (12000, 'ann', 2);"
          "INSERT INTO s (rowtime, k, v) VALUES (13000, 'bob', 3); INSERT INTO s (rowtime, k, v) VALUES (14000, 'bob', 4);"
          "CREATE TABLE t WITH (kafka_topic='${p}t') AS SELECT k, SUM(v) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k;"
          "CREATE TABLE u WITH (kafka_topic='${p}u') AS SELECT k, SUM(v) AS n FROM s WINDOW SESSION (5 SECONDS) GROUP BY k;" % (name, name))
    for topic, tail, wanted in (('t', 8, {('ann', 0): 1, ('ann', 10000): 2, ('bob', 10000): 7}),
                                ('u', 16, {('ann', 1000, 1000): 1, ('ann', 12000, 12000): 2, ('bob', 13000, 14000): 7})):
        read_key, read_value = o.reader(h.topic(topic), True), o.reader(h.topic(topic))
        got = {}
        for key, value in h.records(topic):
            k = read_key(key[:-tail])
            times = [int.from_bytes(key[at:at + 8], 'big') for at in range(len(key) - tail, len(key), 8)]
            if tail == 16:
                times = [times[1], times[0]]  # the session's end stands first
            got[(k['K'] if name == 'PROTOBUF' else k, *times)] = None if value is None else read_value(value)['N']
        equal({k: n for k, n in got.items() if n is not None}, wanted)


NEWER = {
    'AVRO': [
        json.dumps({'type': 'record', 'name': 'R', 'fields': [{'name': 'a', 'type': 'int'}, {'name': 's', 'type': 'string'}]}),
        json.dumps({'type': 'record', 'name': 'R', 'fields': [{'name': 's', 'type': 'string'}, {'name': 'a', 'type': 'int'},
                                                              {'name': 'more', 'type': ['null', 'string'], 'default': None}]})],
    'JSON_SR': [
        json.dumps({'title': 'R', 'type': 'object', 'properties': {'a': {'type': 'integer'}, 's': {'type': 'string'}}}),
        json.dumps({'title': 'R', 'type': 'object', 'properties': {'a': {'type': 'integer'}, 's': {'type': 'string'}, 'more': {'type': 'string'}}})],
    'PROTOBUF': [
        'syntax = "proto3"; message R { int32 a = 1; string s = 2; }',
        'syntax = "proto3"; message R { string s = 2; int32 a = 1; optional string more = 3; }'],
}
CHANGED = {
    'AVRO': json.dumps({'type': 'record', 'name': 'R', 'fields': [{'name': 'a', 'type': 'string'}, {'name': 's', 'type': 'string'}]}),
    'JSON_SR': json.dumps({'title': 'R', 'type': 'object', 'properties': {'a': {'type': 'string'}, 's': {'type': 'string'}}}),
    'PROTOBUF': 'syntax = "proto3"; message R { string a = 1; string s = 2; }',
}


@test(*FORMATS)
def schemas_evolve(h, name):
    """A column that the writer's schema has not yet, or has and the reader wants not; then a type that does not go with it."""
    o = official.of(name, REGISTRY)
    old, new = (o.writer(h.topic('s'), schema) for schema in NEWER[name])
    h.produce('s', [(b'1', old({'a': 1, 's': 'old'})), (b'2', new({'a': 2, 's': 'new', 'more': 'x'}))])
    h.start("CREATE STREAM s (k STRING KEY, a INT, s STRING, more STRING) WITH (kafka_topic='${p}s', value_format='%s');"
            "CREATE STREAM narrow (k STRING KEY, s STRING) WITH (kafka_topic='${p}s', value_format='%s');"
            "CREATE STREAM w WITH (kafka_topic='${p}w', value_format='JSON') AS SELECT * FROM s;"
            "CREATE STREAM n WITH (kafka_topic='${p}n', value_format='JSON') AS SELECT * FROM narrow;" % (name, name))
    h.await_rows('SELECT * FROM w;', [{'K': '1', 'A': 1, 'S': 'old', 'MORE': None}, {'K': '2', 'A': 2, 'S': 'new', 'MORE': 'x'}])
    h.await_rows('SELECT * FROM n;', [{'K': '1', 'S': 'old'}, {'K': '2', 'S': 'new'}])
    changed = o.writer(h.topic('s'), CHANGED[name])
    h.produce('s', [(b'3', changed({'a': 'three', 's': 'changed'})), (b'4', new({'a': 4, 's': 'after'}))])
    h.await_rows('SELECT s FROM n;', [{'S': 'old'}, {'S': 'new'}, {'S': 'changed'}, {'S': 'after'}])  # it does not read A
    h.await_rows('SELECT a, s FROM w;', [{'A': 1, 'S': 'old'}, {'A': 2, 'S': 'new'}, {'A': 4, 'S': 'after'}])
    bad = h.rows('SELECT reason FROM weir_processing_log;')
    assert len(bad) == 1 and '`A`' in bad[0]['REASON'].upper(), bad


@test(*FORMATS)
def a_sink_that_changes_incompatibly_is_refused(h, name):
    o = official.of(name, REGISTRY)
    subject = h.topic('t') + '-value'
    o.client.register_schema(subject, Schema(CHANGED[name], o.language))
    o.client.set_config(subject, config=ServerConfig(compatibility=ConfigCompatibilityLevel.BACKWARD))
    said = h.weir('run', h.script("CREATE STREAM s (k STRING KEY, a INT, s STRING) WITH (kafka_topic='${p}s', value_format='JSON', partitions=1);"
                                  "CREATE STREAM t WITH (kafka_topic='${p}t', value_format='%s') AS SELECT k, a AS `a`, s AS `s` FROM s;" % name),
                  '--until-end', status=1)
    assert 'compatible' in said and subject in said, said


RECURSIVE = {
    'AVRO': json.dumps({'type': 'record', 'name': 'Node', 'fields': [{'name': 'v', 'type': 'int'}, {'name': 'next', 'type': ['null', 'Node'], 'default': None}]}),
    'JSON_SR': json.dumps({'title': 'Node', 'type': 'object', 'properties': {'v': {'type': 'integer'}, 'next': {'$ref': '#'}}}),
    'PROTOBUF': 'syntax = "proto3"; message Node { int32 v = 1; Node next = 2; }',
}


@test(*FORMATS)
def recursive_schemas(h, name):
    """No columns can be made of them; those that are declared read what is theirs."""
    o = official.of(name, REGISTRY)
    write = o.writer(h.topic('s'), RECURSIVE[name])
    h.produce('s', [(b'1', write({'v': 1, 'next': {'v': 2} if name != 'AVRO' else {'v': 2, 'next': None}}))])
    said = h.weir('run', '--until-end', h.script("CREATE STREAM s WITH (kafka_topic='${p}s', value_format='%s');" % name), status=1)
    assert 'itself' in said, said
    h.run("CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='%s');" % name)
    equal(h.rows('SELECT * FROM s;'), [{'K': '1', 'V': 1}])


@test()
def joins_of_other_partition_counts(h):
    said = h.weir('run', '--until-end', h.script(
        "CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='${p}s', value_format='AVRO', partitions=2);"
        "CREATE TABLE t (k STRING PRIMARY KEY, w INT) WITH (kafka_topic='${p}t', value_format='AVRO', partitions=3);"
        "CREATE STREAM j WITH (kafka_topic='${p}j') AS SELECT s.k, v, w FROM s JOIN t ON s.k = t.k;"), status=1)
    assert 'partition' in said and '2' in said and '3' in said, said


main(lambda: Home(REGISTRY))
