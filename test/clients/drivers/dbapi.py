# dbapi.py psycopg2|psycopg|pyodbc - the support application through a driver of Python's database interface.
import importlib
import io
import sys

from support import DATABASE, HOST, PORT, attempt, operations, recipe, rows, shown

DRIVER = sys.argv[1]
db = importlib.import_module(DRIVER)
MARK = '?' if DRIVER == 'pyodbc' else '%s'


def connect(user):
    if DRIVER == 'pyodbc':
        return db.connect(f'DRIVER={{PostgreSQL Unicode}};SERVER={HOST};PORT={PORT};DATABASE={DATABASE};UID={user};PWD=unused')
    return db.connect(host=HOST, port=PORT, dbname=DATABASE, user=user)


def state(error):
    return error.args[0] if DRIVER == 'pyodbc' else getattr(error, 'pgcode' if DRIVER == 'psycopg2' else 'sqlstate')


def run(sql, parameters=(), on=None, name=''):
    on = on or connection
    cursor = on.cursor()
    if DRIVER == 'pyodbc':
        # ODBC has no arrays: applications write them out.
        parameters = ['{' + ','.join(f'"{one}"' for one in p) + '}' if isinstance(p, list) else p for p in parameters]
    cursor.execute(sql, parameters)
    result = rows(name, cursor.fetchall()) if cursor.description else f'{cursor.rowcount} rows'
    on.commit()
    return result


def many():
    cursor = connection.cursor()
    if DRIVER == 'pyodbc':
        cursor.fast_executemany = True
    some = [(f'many{n}@example.com', f'Many {n}') for n in range(3)]
    cursor.executemany(f'INSERT INTO customer (email, name) VALUES ({MARK}, {MARK})', some)
    connection.commit()
    return run("SELECT email, name FROM customer WHERE name ~ '^Many' ORDER BY id")


def values():
    extras = importlib.import_module('psycopg2.extras')
    some = [(f'values{n}@example.com', f'Values {n}') for n in range(3)]
    extras.execute_values(connection.cursor(), 'INSERT INTO customer (email, name) VALUES %s', some)
    connection.commit()
    return run("SELECT email, name FROM customer WHERE name ~ '^Values' ORDER BY id")


def written_back():
    """As an object mapper does that knows nothing of what changed."""
    cursor = connection.cursor()
    cursor.execute('SELECT email, name, phone, aliases, notes FROM customer WHERE id = 60')
    row = list(cursor.fetchone())
    columns = ', '.join(f'{column} = {MARK}' for column in ('email', 'name', 'phone', 'aliases', 'notes'))
    cursor.execute(f'UPDATE customer SET {columns} WHERE id = 60', row)
    connection.commit()
    return run('SELECT email, name, phone, aliases[1] FROM customer WHERE id = 60')


def savepoint():
    cursor = connection.cursor()
    cursor.execute('SAVEPOINT one')
    try:
        cursor.execute("INSERT INTO customer (email) VALUES ('ben.61@example.org')")
        seen = 'no error'
    except db.Error as error:
        seen = type(error).__name__
        cursor.execute('ROLLBACK TO SAVEPOINT one')
    cursor.execute("INSERT INTO customer (email) VALUES ('after.savepoint@example.org') RETURNING email")
    seen += ' ' + cursor.fetchone()[0]
    connection.commit()
    return seen


def ten_times():
    cursor = connection.cursor()
    how = {'prepare': True} if DRIVER == 'psycopg' else {}
    found = []
    for n in range(70, 80):
        cursor.execute(f'SELECT id FROM customer WHERE email = {MARK}', (f'anna.{5 * n}@example.org',), **how)
        found += cursor.fetchall()
    return [row[0] for row in found]


def fetched():
    cursor = connection.cursor() if DRIVER == 'pyodbc' else connection.cursor('customers')
    cursor.execute('SELECT id, email FROM customer WHERE id < 96 AND id > 80 ORDER BY id')
    found = []
    while some := cursor.fetchmany(4):
        found += some
    cursor.close()
    connection.commit()
    return rows('', found)


def copied_in():
    text = 'copy1@example.com\tCopy One\t\\N\ncopy2@example.com\tCopy Two\t(819) 555-0009\n'
    command = 'COPY customer (email, name, phone) FROM STDIN'
    cursor = connection.cursor()
    if DRIVER == 'psycopg2':
        cursor.copy_expert(command, io.StringIO(text))
    else:
        with cursor.copy(command) as copy:
            copy.write(text)
    connection.commit()
    return run("SELECT email, name, phone FROM customer WHERE name ~ '^Copy' ORDER BY id")


def copied_in_rows():
    cursor = connection.cursor()
    with cursor.copy('COPY customer (email, name) FROM STDIN') as copy:
        copy.write_row(('row1@example.com', 'Row One'))
    connection.commit()
    return run("SELECT email, name FROM customer WHERE name = 'Row One'")


def copied_out():
    command = 'COPY (SELECT id, email, name FROM customer WHERE id IN (90, 91) ORDER BY id) TO STDOUT'
    cursor = connection.cursor()
    if DRIVER == 'psycopg2':
        out = io.StringIO()
        cursor.copy_expert(command, out)
        return out.getvalue()
    with cursor.copy(command) as copy:
        return b''.join(map(bytes, copy)).decode()


def arrays():
    cursor = connection.cursor()
    cursor.execute('SELECT aliases FROM customer WHERE id = 92')
    value = cursor.fetchone()[0]
    return f'{type(value).__name__} {shown(value)}'


def binary():
    cursor = connection.cursor(binary=True)
    cursor.execute('SELECT email, name, id FROM customer WHERE id = 93')
    return cursor.fetchone()


def pipelined():
    with connection.pipeline():
        cursors = [connection.execute('SELECT name FROM customer WHERE email = %s', (f'anna.{n}@example.org',)) for n in (95, 100)]
    return [cursor.fetchone()[0] for cursor in cursors]


def described():
    cursor = connection.cursor()
    cursor.execute('SELECT email, name, phone, id FROM customer WHERE id = 94')
    return [type(value).__name__ for value in cursor.fetchone()]


def limited():
    on = connect('support_limited')
    try:
        seen = len(run('SELECT email FROM customer WHERE id < 21', on=on).split(';'))
    except db.Error as error:
        seen = f'error {state(error)} {type(error).__name__}{", an OperationalError" if isinstance(error, db.OperationalError) else ""}'
        on.rollback()
    return f'{seen}; then {run("SELECT 1", on=on)}'


connection = connect('support_user')
recipe(globals())
for name, sql, parameters in operations(MARK):
    attempt(name, lambda: run(sql, parameters, name=name), connection.rollback, state)
SPECIAL = {'in bulk': many, 'whole row written back': written_back, 'ten times': ten_times, 'a cursor': fetched}
if DRIVER != 'pyodbc':  # which has neither; psqlODBC uses savepoints itself
    SPECIAL |= {'savepoint': savepoint, 'COPY in': copied_in, 'COPY out': copied_out}
if DRIVER == 'psycopg2':
    SPECIAL |= {'execute_values': values}
if DRIVER == 'psycopg':
    SPECIAL |= {'COPY in, by rows': copied_in_rows, 'binary results': binary, 'pipeline': pipelined}
SPECIAL |= {'classes of results': described, 'an array': arrays, 'a limit': limited}
for name, code in SPECIAL.items():
    attempt(name, code, connection.rollback, state)
