// The whole life of a query with npm's ksqldb-js: ksqldb-js.js URL.
const assert = require('assert');
const Client = require('ksqldb-js');
const { until, awaitRows, run } = require('./life.js');

run(async url => {
  const client = new Client({ ksqldbURL: url });
  // An answer in lines is text to this client; only one JSON value is parsed.
  const pull = async sql => {
    const answer = await client.pull(sql);
    return typeof answer === 'string' ? answer.trim().split('\n').map(line => JSON.parse(line)) : answer;
  };
  const done = entity => assert.strictEqual(entity.commandStatus.status, 'SUCCESS');

  done((await client.createStream('clicks', ['usr STRING KEY', 'url STRING', 'n INT'], 'clicks', 'json', 1)).data[0]);
  const acks = await client.insertStream('clicks', [['ann', '/a', 1], ['bob', '/b', 2], ['ann', '/c', 3]].map(
    ([usr, link, n]) => ({ usr, url: link, n })));
  assert.deepStrictEqual(acks, [0, 1, 2].map(seq => ({ status: 'ok', seq })));
  // createTableAs() cannot say where to begin; so this table counts what comes, and the next one all there is.
  done((await client.createTableAs('later', 'clicks', ['usr', 'COUNT(*) AS n'], { topic: 'later' }, { GROUP_BY: 'usr' })).data[0]);
  const made = await client.ksql(`SET 'auto.offset.reset' = 'earliest';
    CREATE TABLE hits AS SELECT usr, COUNT(*) AS n, SUM(n) AS total FROM clicks GROUP BY usr EMIT CHANGES;`);
  done(made);
  await awaitRows(async () => (await pull("SELECT * FROM hits WHERE usr = 'ann';")).slice(1), [['ann', 2, 4]]);
  const [head, ...all] = await pull('SELECT usr, n FROM clicks;');
  assert.deepStrictEqual(head.columnNames, ['USR', 'N']);
  assert.deepStrictEqual(all, [['ann', 1], ['bob', 2], ['ann', 3]]);

  const rows = [];
  const queryId = await client.push('SELECT usr, n FROM clicks EMIT CHANGES;', chunk => rows.push(JSON.parse(chunk)));
  assert.strictEqual(queryId, rows[0].queryId);
  for (let n = 10; n < 15; n++) {
    await client.insertStream('clicks', [{ usr: 'cid', url: '/push', n }]);
    await until(() => rows.length === n - 8, `row ${n}`);
    assert.deepStrictEqual(rows[n - 9], ['cid', n]);
  }
  const ended = await client.terminate(queryId);
  assert.strictEqual(ended['@type'], 'terminate_query');
  assert.strictEqual(ended.wasTerminated, true);
  await client.insertStream('clicks', [{ usr: 'cid', url: '/push', n: 15 }]);
  await awaitRows(async () => (await pull("SELECT n, total FROM hits WHERE usr = 'cid';")).slice(1), [[6, 75]]);
  assert.strictEqual(rows.length, 6);
  await awaitRows(async () => (await pull("SELECT n FROM later WHERE usr = 'cid';")).slice(1), [[6]]);
  assert((await client.pullFromTo('clicks', 'UTC', ['2020-01-01', '00', '00', '00'])).length >= 0);

  assert.strictEqual((await client.inspectServerHealth()).data.isHealthy, true);
  assert((await client.inspectServerInfo()).data.KsqlServerInfo.version);
  assert((await client.inspectClusterStatus()).data.clusterStatus);
  assert.strictEqual((await client.inspectQueryStatus(made.commandId)).data.status, 'SUCCESS');
  assert.strictEqual((await client.isValidProperty('auto.offset.reset')).data, true);
  await assert.rejects(client.pull('SELECT nope FROM hits;'), /NOPE/);
  for (const [kind, name] of [['TABLE', 'hits'], ['TABLE', 'later'], ['STREAM', 'clicks']]) done(await client.ksql(`DROP ${kind} ${name};`));
  assert.deepStrictEqual((await client.ksql('LIST TABLES;')).tables, []);
});
