# support.py - what the Python drivers share: the statements of operations.tsv, and how results are printed.
import os
import re

HOST, PORT, DATABASE = os.environ['PGHOST'], os.environ['PGPORT'], os.environ['PGDATABASE']
HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {'t': str, 'i': int, 'n': lambda _: None, 'a': lambda text: text.split(',')}


def operations(mark=None):
    """Yields name, SQL and parameters; mark is the driver's placeholder where that is not $1."""
    with open(f'{HERE}/operations.tsv', encoding='utf-8') as lines:
        for line in lines:
            if not line.startswith('#'):
                name, sql, *parameters = line.rstrip('\n').split('\t')
                if mark == '%s':
                    sql = sql.replace('%', '%%')
                if mark:
                    sql = re.sub(r'\$\d', mark, sql)
                yield name, sql, [KINDS[p[0]](p[2:]) for p in parameters]


def shown(value):
    if value is None:
        return 'NULL'
    if isinstance(value, (list, tuple)):
        return '[' + ', '.join(map(shown, value)) + ']'
    return str(value)


def rows(name, result):
    """Of a plan the first node is compared."""
    if name.startswith('plan: '):
        return result[0][0]
    return '; '.join(' | '.join(map(shown, row)) for row in result) or 'no row'


def attempt(name, code, failed=lambda: None, state=lambda error: error.sqlstate):
    """Prints what code returns, or the error that it raises."""
    try:
        result = code()
    except Exception as error:
        failed()
        result = f'error {getattr(error, "sqlstate", None) or state(error)} {type(error).__name__}'
    print(name, str(result).replace('\n', '\\n'), sep='\t', flush=True)


def recipe(names):
    """Runs the driver's recipe of docs/applications.md, where the test gives one."""
    if file := os.environ.get('REDOUBT_RECIPE'):
        with open(file, encoding='utf-8') as code:
            exec(compile(code.read(), file, 'exec'), names)
