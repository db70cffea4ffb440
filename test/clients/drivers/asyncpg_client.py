# asyncpg_client.py - the support application through asyncpg.
import asyncio

import asyncpg

from support import DATABASE, HOST, PORT, operations, recipe, rows, shown


def connect(user):
    return asyncpg.connect(host=HOST, port=PORT, database=DATABASE, user=user)


async def attempt(name, code):
    try:
        result = await code
    except Exception as error:
        result = f'error {getattr(error, "sqlstate", None)} {type(error).__name__}'
    print(name, str(result).replace('\n', '\\n'), sep='\t', flush=True)


async def run(connection, name, sql, *parameters):
    return rows(name, [tuple(row) for row in await connection.fetch(sql, *parameters)])


async def many(connection):
    some = [(f'many{n}@example.com', f'Many {n}') for n in range(3)]
    await connection.executemany('INSERT INTO customer (email, name) VALUES ($1, $2)', some)
    return await run(connection, '', "SELECT email, name FROM customer WHERE email LIKE 'many%' ORDER BY id")


async def written_back(connection):
    row = await connection.fetchrow('SELECT email, name, phone, aliases, notes FROM customer WHERE id = 60')
    await connection.execute('UPDATE customer SET email = $1, name = $2, phone = $3, aliases = $4, notes = $5 WHERE id = 60', *row)
    return await run(connection, '', 'SELECT email, name, phone, aliases[1] FROM customer WHERE id = 60')


async def savepoint(connection):
    async with connection.transaction():
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO customer (email) VALUES ('ben.61@example.org')")
                seen = 'no error'
        except asyncpg.PostgresError as error:
            seen = type(error).__name__
        return seen + ' ' + await connection.fetchval("INSERT INTO customer (email) VALUES ('after.savepoint@example.org') RETURNING email")


async def ten_times(connection):
    statement = await connection.prepare('SELECT id FROM customer WHERE email = $1')
    return [await statement.fetchval(f'anna.{5 * n}@example.org') for n in range(70, 80)]


async def fetched(connection):
    async with connection.transaction():
        cursor = connection.cursor('SELECT id, email FROM customer WHERE id < 96 AND id > 80 ORDER BY id', prefetch=4)
        return rows('', [tuple(row) async for row in cursor])


async def copied_in(connection):
    records = [('copy1@example.com', 'Copy One'), ('copy2@example.com', 'Copy Two')]
    await connection.copy_records_to_table('customer', columns=['email', 'name'], records=records)
    return await run(connection, '', "SELECT email, name FROM customer WHERE name LIKE 'Copy %' ORDER BY id")


async def copied_out(connection):
    text = bytearray()

    async def take(data):
        text.extend(data)

    await connection.copy_from_query('SELECT id, email, name FROM customer WHERE email = $1', 'anna.95@example.org', output=take)
    return text.decode()


async def composite(connection):
    return tuple(await connection.fetchval('SELECT c FROM customer AS c WHERE id = 91'))


async def described(connection):
    return [type(value).__name__ for value in await connection.fetchrow('SELECT email, name, phone, id FROM customer WHERE id = 94')]


async def arrays(connection):
    value = await connection.fetchval('SELECT aliases FROM customer WHERE id = 92')
    return f'{type(value).__name__} {shown(value)}'


async def limited(_):
    connection = await connect('support_limited')
    try:
        seen = len(await connection.fetch('SELECT email FROM customer WHERE id < 21'))
    except asyncpg.PostgresError as error:
        seen = f'error {error.sqlstate} {type(error).__name__}'
    return f'{seen}; then {await connection.fetchval("SELECT 1")}'


async def main():
    connection = await connect('support_user')
    names = {}
    recipe(names)
    if 'prepare' in names:
        await names['prepare'](connection)
    for name, sql, parameters in operations():
        await attempt(name, run(connection, name, sql, *parameters))
    for name, code in {
        'in bulk': many, 'whole row written back': written_back, 'savepoint': savepoint, 'ten times': ten_times, 'a cursor': fetched,
        'COPY in': copied_in, 'COPY out': copied_out, 'a whole row': composite, 'classes of results': described,
        'an array': arrays, 'a limit': limited,
    }.items():
        await attempt(name, code(connection))


asyncio.run(main())
