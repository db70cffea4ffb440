// typeorm.js - the support application through TypeORM.
'use strict';
const fs = require('fs');
const { DataSource, EntitySchema, ILike, In, IsNull, Like, Between, Not } = require('typeorm');
const { attempt } = require('./operations');

const base = { type: 'postgres', host: process.env.PGHOST, port: Number(process.env.PGPORT), database: process.env.PGDATABASE };

// What the columns are declared as: a recipe declares something else.
let types = { email: { type: 'text' }, name: { type: 'varchar', length: 80 }, phone: { type: 'text' }, aliases: { type: 'text' } };
let prepare = () => {};
let connected = () => {};
if (process.env.REDOUBT_RECIPE) eval(fs.readFileSync(process.env.REDOUBT_RECIPE, 'utf8'));

const Customer = new EntitySchema({
  name: 'customer',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'identity', generatedIdentity: 'BY DEFAULT' },
    email: { ...types.email, unique: true, nullable: true },
    name: { ...types.name, default: '' },
    phone: { ...types.phone, nullable: true },
    aliases: { ...types.aliases, array: true, nullable: true },
    notes: { type: 'text', nullable: true },
    edits: { type: 'int', default: 0 },
  },
});

const connect = async (username) => {
  const source = new DataSource({ ...base, username, entities: [Customer] });
  prepare(source);
  await source.initialize();
  await connected(source);
  return source;
};

const main = async () => {
  const source = await connect('support_user');
  const customers = source.getRepository(Customer);
  const ids = (found) => found.map((one) => one.id).join(' ');
  const again = (one) => customers.findOneBy({ id: one.id });
  await attempt('save, new', async () => {
    const one = { email: 'New.One@example.com', name: 'New One', aliases: ['a@example.net'] };
    return again(await customers.save(one));
  });
  await attempt('save of empty values', async () => again(await customers.save({ name: '', phone: '' })));
  await attempt('the same twice', () => customers.insert({ email: 'ben.1@example.org' }));
  await attempt('save, changed', async () => again(await customers.save({ ...(await customers.findOneBy({ id: 100 })), name: 'Changed' })));
  await attempt('update of a whole row', async () => {
    const one = await customers.findOneBy({ id: 101 });
    await customers.update(101, one);
    return again(one);
  });
  await attempt('findOneBy', () => customers.findOneBy({ email: 'carla.107@example.org' }));
  await attempt('In', async () => ids(await customers.find({ where: { email: In(['carla.107@example.org', 'half@']) }, order: { id: 'ASC' } })));
  await attempt('Not', async () => customers.countBy({ email: Not('carla.107@example.org') }));
  await attempt('IsNull', async () => ids(await customers.find({ where: [{ email: IsNull() }, { email: '' }], order: { id: 'ASC' } })));
  await attempt('Like', async () => ids(await customers.find({ where: { email: Like('anna.11%') }, order: { id: 'ASC' }, take: 5 })));
  await attempt('ILike', async () => ids(await customers.find({ where: { name: ILike('%SMITH 11%') }, order: { id: 'ASC' }, take: 5 })));
  const between = { name: Between('Carla Smith 1', 'Carla Smith 14') };
  await attempt('Between', async () => ids(await customers.find({ where: between, order: { name: 'ASC' } })));
  await attempt('order and pages', () => customers.find({ order: { name: 'DESC', id: 'ASC' }, skip: 5, take: 3 }));
  const carlas = { where: { name: Like('Carla%') }, take: 1, order: { email: 'ASC' } };
  await attempt('findAndCount', async () => (await customers.findAndCount(carlas))[1]);
  const query = () => customers.createQueryBuilder('c');
  await attempt('lower', async () => ids(await query().where('LOWER(c.email) = LOWER(:email)', { email: 'BEN.111@example.org' }).getMany()));
  await attempt('max', () => query().select('MAX(c.email)', 'max').where('c.id < 100').getRawOne());
  await attempt('group', () => query().select('c.name').addSelect('COUNT(*)', 'n').where('c.id < 4').groupBy('c.name').orderBy('c.name').getRawMany());
  await attempt('upsert', async () => {
    await customers.upsert({ email: 'ben.121@example.org', name: 'Upserted' }, ['email']);
    return customers.findOneBy({ email: 'ben.121@example.org' });
  });
  await attempt('transaction', () => source.transaction(async (manager) => {
    const inner = await manager.transaction((nested) => nested.insert(Customer, { email: 'ben.1@example.org' })).catch((error) => error.code);
    return [inner, (await manager.save(Customer, { email: 'after.savepoint@example.org' })).email];
  }));
  await attempt('remove', async () => (await customers.remove(await customers.findBy({ email: 'emil.124@example.org' }))).length);
  // What synchronize() would do with columns of people, which is not done here.
  await attempt('what synchronize would do', async () => {
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    const columns = upQueries.map((one) => one.query).filter((sql) => /(COLUMN|ADD) "(email|name|phone|aliases)"/.test(sql));
    return columns.join('; ') || 'nothing';
  });
  await attempt('a limit', async () => {
    const other = await connect('support_limited');
    const seen = await other.query('SELECT email FROM customer WHERE id < 21')
      .then((rows) => `${rows.length} rows`, (error) => `error ${error.code}`);
    const [{ one }] = await other.query('SELECT 1 AS one');
    await other.destroy();
    return `${seen}; then ${one}`;
  });
  await source.destroy();
};

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
