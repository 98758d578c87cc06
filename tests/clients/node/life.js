// What the three clients of npm share: how long something is awaited, and what is said in the end.
const assert = require('assert');

const CREATE = `CREATE STREAM clicks (usr STRING KEY, url STRING, n INT)
                WITH (kafka_topic='clicks', value_format='JSON', partitions=1);`;
const AGGREGATE = 'CREATE TABLE hits AS SELECT usr, COUNT(*) AS n, SUM(n) AS total FROM clicks GROUP BY usr EMIT CHANGES;';

async function until(holds, what) {
  for (const end = Date.now() + 30000; Date.now() < end;) {
    if (await holds()) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not come to pass`);
}

async function awaitRows(rows, wanted) {
  let got;
  await until(async () => JSON.stringify(got = await rows()) === JSON.stringify(wanted), JSON.stringify(wanted)).catch(() => {
    assert.deepStrictEqual(got, wanted);
  });
}

function run(life) {
  process.on('unhandledRejection', error => { throw error; });
  life(process.argv[2]).then(() => process.exit(0), error => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = { CREATE, AGGREGATE, until, awaitRows, run };
