"""The whole life of a query with PyPI's ksqldb: ksqldb_client.py URL."""
import asyncio
import sys
import time

from ksqldb import KSQLdbClient

client = KSQLdbClient(sys.argv[1])
EARLIEST = {'ksql.streams.auto.offset.reset': 'earliest'}


def equal(got, wanted):
    assert got == wanted, 'got %r, wanted %r' % (got, wanted)


def pulled(sql):
    return client.query_sync(sql)[1:]


def await_rows(sql, wanted):
    end = time.time() + 30
    while pulled(sql) != wanted and time.time() < end:
        time.sleep(0.02)
    equal(pulled(sql), wanted)


async def push():
    """Each row is awaited before the next is inserted, so that none can wait for another."""
    rows = client.query_async('SELECT usr, n FROM clicks EMIT CHANGES;', stream_properties={'auto.offset.reset': 'latest'}, timeout=None)
    head = await asyncio.wait_for(anext(rows), 30)
    equal((head['columnNames'], head['columnTypes']), (['USR', 'N'], ['STRING', 'INTEGER']))
    for n in range(10, 15):
        acks = await asyncio.to_thread(client.inserts_stream, 'clicks', [{'usr': 'cid', 'url': '/push', 'n': n}])
        equal(acks, [{'status': 'ok', 'seq': 0}])
        equal(await asyncio.wait_for(anext(rows), 30), ['cid', n])
    assert await asyncio.to_thread(client.close_query, head['queryId'])
    equal([x async for x in rows], [])


async def limited():
    return [x async for x in client.query_async('SELECT n FROM clicks EMIT CHANGES LIMIT 3;', stream_properties=EARLIEST)]


equal(client.get_properties()[0].keys() >= {'name', 'value'}, True)
created = client.ksql("CREATE STREAM clicks (usr STRING KEY, url STRING, n INT) "
                      "WITH (kafka_topic='clicks', value_format='JSON', partitions=1);")
equal(created[0]['commandStatus']['status'], 'SUCCESS')
acks = client.inserts_stream('clicks', [{'usr': u, 'url': p, 'n': n} for u, p, n in (('ann', '/a', 1), ('bob', '/b', 2), ('ann', '/c', 3))])
equal(acks, [{'status': 'ok', 'seq': i} for i in range(3)])
made = client.ksql('CREATE TABLE hits AS SELECT usr, COUNT(*) AS n, SUM(n) AS total FROM clicks GROUP BY usr EMIT CHANGES;', EARLIEST)
query = made[0]['commandStatus']['queryId']
await_rows("SELECT * FROM hits WHERE usr = 'ann';", [['ann', 2, 4]])
await_rows("SELECT total, usr FROM hits WHERE usr = 'bob';", [[2, 'bob']])
equal(asyncio.run(limited())[1:], [[1], [2], [3]])
asyncio.run(push())
await_rows("SELECT n, total FROM hits WHERE usr = 'cid';", [[5, 60]])
equal(client.ksql('TERMINATE %s;' % query)[0]['commandStatus']['status'], 'SUCCESS')
for statement in 'DROP TABLE hits;', 'DROP STREAM clicks DELETE TOPIC;':
    equal(client.ksql(statement)[0]['commandStatus']['status'], 'SUCCESS')
equal(client.ksql('SHOW TABLES;')[0]['tables'], [])
try:
    client.ksql('DROP TABLE hits;')
    assert False, 'dropped twice'
except Exception as e:
    equal(e.response.status_code, 400)
