// node.js - the support application through node-postgres.
'use strict';
const fs = require('fs');
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
const pg = require('pg');
const Cursor = require('pg-cursor');
const copy = require('pg-copy-streams');
const { attempt, operations } = require('./operations');

const connect = async (user) => {
  const client = new pg.Client({ host: process.env.PGHOST, port: process.env.PGPORT, database: process.env.PGDATABASE, user });
  await client.connect();
  return client;
};

const shown = (value) => (value === null ? 'NULL' : Array.isArray(value) ? `[${value.map(shown).join(', ')}]` : String(value));
const rows = (found) => found.map((row) => row.map(shown).join(' | ')).join('; ') || 'no row';

const main = async () => {
  const client = await connect('support_user');
  if (process.env.REDOUBT_RECIPE) {
    const prepare = new Function('pg', 'client', `return (async () => {${fs.readFileSync(process.env.REDOUBT_RECIPE)}})()`);
    await prepare(pg, client);
  }
  const run = async (text, values = [], more = {}) => {
    const answer = await client.query({ text, values, rowMode: 'array', ...more });
    return answer.fields.length ? rows(answer.rows) : `${answer.rowCount} rows`;
  };
  for (const { name, sql, values } of operations()) {
    await attempt(name, async () => {
      const result = await run(sql, values);
      return name.startsWith('plan: ') ? result.split('; ')[0] : result;
    });
  }
  await attempt('whole row written back', async () => {
    const { rows: [row] } = await client.query('SELECT email, name, phone, aliases, notes FROM customer WHERE id = 60');
    await client.query('UPDATE customer SET email = $1, name = $2, phone = $3, aliases = $4, notes = $5 WHERE id = 60', Object.values(row));
    return run('SELECT email, name, phone, aliases[1] FROM customer WHERE id = 60');
  });
  await attempt('savepoint', async () => {
    await client.query('BEGIN');
    await client.query('SAVEPOINT one');
    const seen = await client.query("INSERT INTO customer (email) VALUES ('ben.61@example.org')").catch((error) => error.code);
    await client.query('ROLLBACK TO SAVEPOINT one');
    const after = await run("INSERT INTO customer (email) VALUES ('after.savepoint@example.org') RETURNING email");
    await client.query('COMMIT');
    return `${seen} ${after}`;
  });
  await attempt('ten times', async () => {
    const found = [];
    for (let n = 70; n < 80; n++) {
      found.push(await run('SELECT id FROM customer WHERE email = $1', [`anna.${5 * n}@example.org`], { name: 'look up' }));
    }
    return found.join();
  });
  await attempt('a cursor', async () => {
    const sql = 'SELECT id, email FROM customer WHERE id < $1 AND id > 80 ORDER BY id';
    const cursor = client.query(new Cursor(sql, [96], { rowMode: 'array' }));
    let found = [];
    for (let some; (some = await cursor.read(4)).length;) found = found.concat(some);
    await cursor.close();
    return rows(found);
  });
  await attempt('COPY in', async () => {
    const text = 'copy1@example.com\tCopy One\ncopy2@example.com\tCopy Two\n';
    await pipeline(Readable.from([text]), client.query(copy.from('COPY customer (email, name) FROM STDIN')));
    return run("SELECT email, name FROM customer WHERE name LIKE 'Copy%' ORDER BY id");
  });
  await attempt('COPY out', async () => {
    const chunks = [];
    const out = copy.to('COPY (SELECT id, email FROM customer WHERE id IN (90, 91) ORDER BY id) TO STDOUT');
    for await (const chunk of client.query(out)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  });
  await attempt('classes of results', async () => {
    const { rows: [row] } = await client.query('SELECT email, name, phone, id FROM customer WHERE id = 94');
    return Object.values(row).map((value) => typeof value).join();
  });
  await attempt('an array', async () => {
    const { rows: [row] } = await client.query('SELECT aliases FROM customer WHERE id = 92');
    return `${Array.isArray(row.aliases) ? 'array' : typeof row.aliases} ${shown(row.aliases)}`;
  });
  await attempt('a limit', async () => {
    const other = await connect('support_limited');
    const seen = await other.query('SELECT email FROM customer WHERE id < 21')
      .then((answer) => `${answer.rowCount} rows`, (error) => `error ${error.code}`);
    const { rows: [row] } = await other.query('SELECT 1 AS one');
    await other.end();
    return `${seen}; then ${row.one}`;
  });
  await client.end();
};

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
