// knex.js - the support application through knex, the query builder, over node-postgres.
'use strict';
const fs = require('fs');
const knex = require('knex');
const { attempt, operations } = require('./operations');

const connect = (user) => knex({
  client: 'pg',
  connection: { host: process.env.PGHOST, port: Number(process.env.PGPORT), database: process.env.PGDATABASE, user },
  pool: { min: 1, max: 1 },
});

const main = async () => {
  const db = connect('support_user');
  if (process.env.REDOUBT_RECIPE) {
    const prepare = new Function('pg', 'db', `return (async () => {${fs.readFileSync(process.env.REDOUBT_RECIPE)}})()`);
    await prepare(require('pg'), db);
  }
  const customers = () => db('customer');
  const columns = ['id', 'email', 'name', 'phone', 'notes'];
  // The operations as raw SQL, with knex's own placeholders.
  for (const { name, sql, values } of operations()) {
    await attempt(name, async () => {
      const named = Object.fromEntries(values.map((value, i) => [`p${i + 1}`, value]));
      const { rows, rowCount } = await db.raw(sql.replace(/::/g, '\\:\\:').replace(/\$(\d+)/g, ':p$1'), named);
      return name.startsWith('plan: ') ? rows[0] : rows.length ? rows : `${rowCount} rows`;
    });
  }
  const made = { email: 'New.One@knex.example.com', name: 'New One', aliases: ['a@example.net', 'b@example.net'] };
  await attempt('builder: insert', () => customers().insert(made).returning(['email', 'name']));
  await attempt('builder: insert of two', () => customers().insert([{ email: 'k1@example.com', name: 'K 1' }, { email: 'k2@example.com' }]).returning('email'));
  await attempt('builder: first', () => customers().where({ email: 'carla.107@example.org' }).first(columns));
  await attempt('builder: whereIn', () => customers().whereIn('email', ['carla.107@example.org', 'half@']).orderBy('id').pluck('id'));
  await attempt('builder: whereNot', () => customers().whereNot('email', 'carla.107@example.org').count('* as n'));
  await attempt('builder: whereNull', () => customers().whereNull('email').orWhere('email', '').orderBy('id').pluck('id'));
  await attempt('builder: whereLike', () => customers().whereLike('email', 'anna.11%').orderBy('id').limit(5).pluck('id'));
  await attempt('builder: whereILike', () => customers().whereILike('name', '%SMITH 11%').orderBy('id').limit(5).pluck('id'));
  await attempt('builder: whereBetween', () => customers().whereBetween('name', ['Carla Smith 1', 'Carla Smith 14']).orderBy('name').pluck('id'));
  await attempt('builder: order and pages', () => customers().orderBy('name', 'desc').orderBy('id').offset(5).limit(3).select(columns));
  await attempt('builder: join', () => db('ticket as t').join('customer as c', 't.requestor', 'c.email').where('c.id', '<', 40).orderBy('c.id').select('c.id', 't.subject'));
  await attempt('builder: max', () => customers().where('id', '<', 100).max('email as max'));
  await attempt('builder: group', () => customers().where('id', '<', 4).groupBy('name').orderBy('name').select('name').count('* as n'));
  await attempt('builder: distinct', async () => (await customers().where('id', '<', 20).distinct('name')).length);
  await attempt('builder: update', () => customers().where({ email: 'ben.111@example.org' }).update({ name: 'Updated', phone: '555-0100' }).returning(columns));
  await attempt('builder: update of a whole row', async () => {
    const row = await customers().where({ id: 101 }).first(['email', 'name', 'phone', 'notes']);
    return customers().where({ id: 101 }).update(row).returning(columns);
  });
  await attempt('builder: upsert', () => customers().insert({ email: 'ben.121@example.org', name: 'Upserted' }).onConflict('email').merge().returning(['id', 'name']));
  await attempt('builder: nothing on conflict', () => customers().insert({ email: 'ben.121@example.org', name: 'Ignored' }).onConflict('email').ignore().returning('id'));
  await attempt('builder: transaction', () => db.transaction(async (outer) => {
    const inner = await outer.transaction((nested) => nested('customer').insert({ email: 'ben.1@example.org' })).catch((error) => error.code);
    return [inner, await outer('customer').insert({ email: 'after.savepoint@knex.example.org' }).returning('email')];
  }));
  await attempt('builder: delete', () => customers().where({ email: 'emil.124@example.org' }).del());
  await attempt('builder: columns', async () => Object.keys(await customers().columnInfo()));
  await attempt('an array', async () => {
    const { aliases } = await customers().where({ id: 92 }).first('aliases');
    return `${Array.isArray(aliases) ? 'array' : typeof aliases} ${aliases}`;
  });
  await attempt('a limit', async () => {
    const other = connect('support_limited');
    const seen = await other('customer').where('id', '<', 21).select('email')
      .then((rows) => `${rows.length} rows`, (error) => `error ${error.code}`);
    const { rows: [{ one }] } = await other.raw('SELECT 1 AS one');
    await other.destroy();
    return `${seen}; then ${one}`;
  });
  await db.destroy();
};

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
