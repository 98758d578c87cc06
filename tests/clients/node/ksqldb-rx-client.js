// The whole life of a query with npm's ksqldb-rx-client: ksqldb-rx-client.js URL.
const assert = require('assert');
const { KsqlDBClient } = require('ksqldb-rx-client');
const { CREATE, AGGREGATE, until, awaitRows, run } = require('./life.js');

const EARLIEST = { streamsProperties: { 'ksql.streams.auto.offset.reset': 'earliest' } };

run(async url => {
  const client = new KsqlDBClient(url);
  const execute = async (sql, more) => {
    const [entity] = await client.statement(sql, more);
    assert.strictEqual(entity.commandStatus.status, 'SUCCESS');
    return entity;
  };
  const pull = sql => new Promise((resolve, reject) => {
    const rows = [];
    client.queryStream({ sql }).subscribe({ next: row => rows.push(row), error: reject, complete: () => resolve(rows) });
  });
  const insert = async (usr, link, n) => {
    assert.deepStrictEqual(await client.statement(`INSERT INTO clicks (usr, url, n) VALUES ('${usr}', '${link}', ${n});`), []);
  };

  assert((await client.getInfo()).KsqlServerInfo.version);
  assert.strictEqual((await client.getHealthcheck()).isHealthy, true);
  await execute(CREATE);
  for (const [usr, link, n] of [['ann', '/a', 1], ['bob', '/b', 2], ['ann', '/c', 3]]) await insert(usr, link, n);
  const made = await execute(AGGREGATE, EARLIEST);
  await awaitRows(() => pull("SELECT * FROM hits WHERE usr = 'ann';"), [{ USR: 'ann', N: 2, TOTAL: 4 }]);
  assert((await client.listStreams()).streams.some(s => s.name === 'CLICKS'));
  assert.deepStrictEqual((await client.listTables()).tables.map(t => t.name), ['HITS']);
  assert((await client.listStreamsExtended()).sourceDescriptions.some(s => s.name === 'CLICKS'));
  assert.deepStrictEqual((await client.listTablesExtended()).sourceDescriptions.map(s => s.name), ['HITS']);

  // The client tells no query's id: it ends with its LIMIT.
  const rows = [];
  let ended = false;
  client.queryStream({ sql: 'SELECT usr, n FROM clicks EMIT CHANGES LIMIT 8;', properties: { 'auto.offset.reset': 'earliest' } })
    .subscribe({ next: row => rows.push(row), complete: () => { ended = true; } });
  await until(() => rows.length === 3, 'the rows there are');
  for (let n = 10; n < 15; n++) {
    await insert('cid', '/push', n);
    await until(() => rows.length === n - 6, `row ${n}`);
    assert.deepStrictEqual(rows[n - 7], { USR: 'cid', N: n });
  }
  await until(() => ended, 'the end');
  await awaitRows(() => pull("SELECT n, total FROM hits WHERE usr = 'cid';"), [{ N: 5, TOTAL: 60 }]);
  await execute(`TERMINATE ${made.commandStatus.queryId};`);
  await execute('DROP TABLE hits;');
  await execute('DROP STREAM clicks DELETE TOPIC;');
  assert.deepStrictEqual((await client.listTables()).tables, []);
  assert.strictEqual((await client.statement('DROP TABLE hits;')).error_code, 40001);
  client.close();
});
