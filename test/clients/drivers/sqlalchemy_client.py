# sqlalchemy_client.py - the support application through SQLAlchemy: statements, the core, and the object mapper.
import warnings

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session, declarative_base

from support import DATABASE, HOST, PORT, attempt, operations, recipe, rows

warnings.simplefilter('ignore')
recipe(globals())
Base = declarative_base()


class Customer(Base):
    __tablename__ = 'customer'
    id = sa.Column(sa.BigInteger, primary_key=True)
    email = sa.Column(sa.Text, unique=True)
    name = sa.Column(sa.String(80), nullable=False, default='')
    phone = sa.Column(sa.Text)
    aliases = sa.Column(ARRAY(sa.Text))
    notes = sa.Column(sa.Text)
    edits = sa.Column(sa.Integer, default=0)

    def __str__(self):
        return f'{self.id} {self.email} {self.name} {self.phone} {self.aliases}'


def engine(user):
    return sa.create_engine(f'postgresql+psycopg2://{user}@/{DATABASE}', connect_args={'host': HOST, 'port': PORT})


def state(error):
    return error.orig.pgcode if hasattr(error, 'orig') else error


ENGINE = engine('support_user')
OPERATIONS = {}


def operation(code):
    OPERATIONS[code.__doc__] = code


def run(name, sql, parameters=()):
    with ENGINE.begin() as connection:
        result = connection.exec_driver_sql(sql, [tuple(parameters)])
        return rows(name, result.fetchall()) if result.returns_rows else f'{result.rowcount} rows'


@operation
def _(session):
    """add"""
    one = Customer(email='Orm.One@example.com', name='Orm One', phone='555-0100', aliases=['o1@example.net'])
    session.add(one)
    session.commit()
    return one


@operation
def _(session):
    """add_all and empty values"""
    some = [Customer(email=f'orm{n}@example.com') for n in range(3)] + [Customer(email='orm@', phone='')]
    session.add_all(some)
    session.commit()
    return '; '.join(map(str, some))


@operation
def _(session):
    """the same twice"""
    session.add(Customer(email='ben.1@example.org'))
    session.commit()


@operation
def _(session):
    """changed attribute"""
    one = session.get(Customer, 100)
    one.name = 'Changed'
    session.commit()
    return one


@operation
def _(session):
    """merge of a whole object"""
    read = session.get(Customer, 101)
    values = {c.name: getattr(read, c.name) for c in Customer.__table__.columns}
    session.expunge_all()
    merged = session.merge(Customer(**values))
    session.commit()
    return merged


@operation
def _(session):
    """update of a whole row"""
    read = session.get(Customer, 102)
    values = {c.name: getattr(read, c.name) for c in Customer.__table__.columns}
    session.expunge_all()
    session.execute(sa.update(Customer).where(Customer.id == 102).values(**values))
    session.commit()
    return session.get(Customer, 102)


@operation
def _(session):
    """filter_by"""
    return session.query(Customer).filter_by(email='carla.107@example.org').one()


@operation
def _(session):
    """in_"""
    some = ['carla.107@example.org', 'dora.108@example.org']
    return session.scalars(sa.select(Customer.id).where(Customer.email.in_(some)).order_by(Customer.id)).all()


@operation
def _(session):
    """any_"""
    some = sa.bindparam('some', ['carla.107@example.org'], ARRAY(sa.Text))
    return session.scalars(sa.select(Customer.id).where(Customer.email == sa.any_(some))).all()


@operation
def _(session):
    """contains of an array"""
    return session.scalars(sa.select(Customer.id).where(Customer.aliases.contains(['second110@example.net']))).all()


@operation
def _(session):
    """value == any of an array"""
    return session.scalars(sa.select(Customer.id).where(Customer.aliases.any('second110@example.net'))).all()


@operation
def _(session):
    """ilike, contains, startswith"""
    return [
        session.query(Customer).filter(Customer.name.ilike('%SMITH 1%')).count(),
        session.query(Customer).filter(Customer.email.contains('.11')).count(),
        session.query(Customer).filter(Customer.email.startswith('emil.1')).count(),
    ]


@operation
def _(session):
    """lower, cast, concat"""
    shown = sa.func.lower(Customer.email), sa.cast(Customer.name, sa.String(4)), Customer.name + ' <' + Customer.email + '>'
    return session.execute(sa.select(*shown).where(sa.func.lower(Customer.email) == 'ben.111@example.org')).all()


@operation
def _(session):
    """order_by, limit, offset"""
    return session.execute(sa.select(Customer.id, Customer.name).order_by(Customer.name.desc(), Customer.id).limit(5).offset(10)).all()


@operation
def _(session):
    """case, coalesce"""
    shown = sa.case((Customer.email == '', 'empty'), else_=Customer.email), sa.func.coalesce(Customer.phone, 'none')
    return session.execute(sa.select(*shown).where(Customer.id.in_([2001, 2002, 115])).order_by(Customer.id)).all()


@operation
def _(session):
    """max, count, group_by"""
    counted = sa.select(Customer.name, sa.func.count()).where(Customer.id < 4).group_by(Customer.name).order_by(Customer.name)
    return [session.scalar(sa.select(sa.func.max(Customer.email))), session.execute(counted).all()]


@operation
def _(session):
    """on_conflict_do_update"""
    new = insert(Customer).values(email='anna.120@example.org', name='Upserted')
    upsert = new.on_conflict_do_update(index_elements=['email'], set_={'name': new.excluded.name})
    answer = session.execute(upsert.returning(Customer.id, Customer.name)).all()
    session.commit()
    return answer


@operation
def _(session):
    """bulk_insert_mappings"""
    session.bulk_insert_mappings(Customer, [{'email': f'bulk{n}@example.com', 'name': 'Bulk'} for n in range(3)])
    session.commit()
    return session.scalars(sa.select(Customer.email).where(Customer.name == 'Bulk').order_by(Customer.id)).all()


@operation
def _(session):
    """nested transaction"""
    try:
        with session.begin_nested():
            session.add(Customer(email='ben.121@example.org'))
    except sa.exc.IntegrityError as error:
        seen = type(error).__name__
    session.add(Customer(email='after.nested@example.org'))
    session.commit()
    return seen, session.query(Customer).filter_by(email='after.nested@example.org').count()


@operation
def _(session):
    """yield_per"""
    return [one.email for one in session.query(Customer).filter(Customer.id.between(125, 134)).order_by(Customer.id).yield_per(4)]


@operation
def _(session):
    """a limit"""
    with Session(engine('support_limited')) as other:
        try:
            seen = len(other.scalars(sa.select(Customer.email).where(Customer.id < 21)).all())
        except sa.exc.DBAPIError as error:
            seen = f'error {error.orig.pgcode} {type(error).__name__}'
            other.rollback()
        return f'{seen}; then {other.scalar(sa.text("SELECT 1"))}'


@operation
def _(session):
    """reflected table"""
    table = sa.Table('customer', sa.MetaData(), autoload_with=ENGINE)
    found = session.execute(sa.select(table.c.email, table.c.aliases).where(table.c.email == 'anna.140@example.com')).all()
    kinds = {sa.types.NullType: 'unknown', sa.VARCHAR: 'text', sa.TEXT: 'text'}
    return [kinds.get(type(c.type), str(c.type)) for c in table.columns], found


for name, sql, parameters in operations('%s'):
    attempt(name, lambda: run(name, sql, parameters), state=state)
for name, code in OPERATIONS.items():
    def one():
        with Session(ENGINE) as session:
            return str(code(session))
    attempt(name, one, state=state)
