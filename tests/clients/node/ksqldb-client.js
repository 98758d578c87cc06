// The whole life of a query with npm's ksqldb-client: ksqldb-client.js URL.
const assert = require('assert');
const Client = require('ksqldb-client');
const { CREATE, AGGREGATE, until, awaitRows, run } = require('./life.js');

const EARLIEST = { streamsProperties: { 'auto.offset.reset': 'earliest' }, properties: { 'auto.offset.reset': 'earliest' } };

run(async url => {
  const { hostname, port } = new URL(url);
  const client = new Client({ host: hostname, port: Number(port) });
  await client.connect();
  const pull = async sql => {
    const { data, error } = await client.query(sql);
    assert.strictEqual(error, undefined);
    return data.rows;
  };
  const execute = async (sql, more) => {
    const { data, error } = await client.executeStatement(sql, more);
    assert.strictEqual(error, undefined);
    assert.strictEqual(data.rows[0].commandStatus.status, 'SUCCESS');
    return data.rows[0];
  };
  const insert = async row => {
    const { data, error } = await client.insertInto('clicks', row);
    assert.strictEqual(error, undefined);
    assert.strictEqual(data.rows[0].status, 'ok');
  };

  await execute(CREATE);
  for (const [usr, link, n] of [['ann', '/a', 1], ['bob', '/b', 2], ['ann', '/c', 3]]) await insert({ usr, url: link, n });
  const made = await execute(AGGREGATE, EARLIEST);
  await awaitRows(() => pull("SELECT * FROM hits WHERE usr = 'ann';"), [{ USR: 'ann', N: 2, TOTAL: 4 }]);
  assert((await client.listStreams()).some(s => s.name === 'CLICKS'));
  assert.deepStrictEqual((await client.listTables()).map(t => t.name), ['HITS']);
  assert((await client.listTopics()).some(t => t.name === 'clicks'));
  const [query] = await client.listQueries();
  assert.strictEqual(query.id, made.commandStatus.queryId);
  assert.deepStrictEqual((await client.describeSource('hits')).fields.map(f => f.name), ['USR', 'N', 'TOTAL']);

  const rows = [];
  let metadata;
  const ended = client.streamQuery('SELECT usr, n FROM clicks EMIT CHANGES;', part => {
    metadata = part.metadata;
    if (part.rows) rows.push(...part.rows);
  });
  await until(() => metadata, 'the header');
  for (let n = 10; n < 15; n++) {
    await insert({ usr: 'cid', url: '/push', n });
    await until(() => rows.length === n - 9, `row ${n}`);
    assert.deepStrictEqual(rows[n - 10], { USR: 'cid', N: n });
  }
  assert.strictEqual((await client.terminatePushQuery(metadata.queryId)).status, 200);
  assert.strictEqual((await ended).error, undefined);
  assert.strictEqual(rows.length, 5);
  await awaitRows(() => pull("SELECT n, total FROM hits WHERE usr = 'cid';"), [{ N: 5, TOTAL: 60 }]);

  const failed = await client.query('SELECT nope FROM hits;');
  assert.strictEqual(failed.status, 400);
  assert.strictEqual(failed.error.error_code, 40001);
  await execute(`TERMINATE ${query.id};`);
  await execute('DROP TABLE hits;');
  await execute('DROP STREAM clicks DELETE TOPIC;');
  assert.deepStrictEqual(await client.listTables(), []);
  await client.disconnect();
});
