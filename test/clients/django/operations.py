# operations.py FILE - runs what Django's applications do with users, and writes each result as a line of JSON to FILE.
#
# A line has name, result (lines of text), mail (the same), errors, and charges: what redoubt.usage grew by.  An exception is a
# result like any other.  Each operation is a transaction.
import json
import re
import sys

import django

django.setup()

import psycopg2  # noqa: E402  (all of these need setup)
from django.conf import settings  # noqa: E402
from django.contrib.auth import authenticate  # noqa: E402
from django.contrib.auth.forms import PasswordResetForm, UserChangeForm  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core import mail  # noqa: E402
from django.core.paginator import Paginator  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import Case, Count, F, Max, Min, Q, Value, When  # noqa: E402
from django.db.models.functions import Coalesce, Concat, Length, Lower, Substr, Upper  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

setup_test_environment()
OPERATIONS = []


def operation(name):
    def add(code):
        OPERATIONS.append((name, code))
        return code
    return add


def shown(users):
    return [f'{u.pk} {u.username} <{u.email}> {u.first_name}/{u.last_name}' for u in users]


def person(pk):
    return shown(User.objects.filter(pk=pk))


def normal(text):
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', 'TOKEN', text)
    text = re.sub(r'/reset/\w+/[\w-]+/', '/reset/LINK/', text)
    text = re.sub(r'[A-Z][a-z]{2,8}\.? \d{1,2}, \d{4}, (\d{1,2}(:\d\d)? [ap]\.m\.|noon|midnight)', 'TIME', text)
    return re.sub(r'\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?|\d\d:\d\d:\d\d', 'TIME', text)


def page(path, data=None):
    client = Client()
    client.force_login(User.objects.get(username='root'))
    answer = client.post(path, data) if data else client.get(path)
    return [f'{answer.status_code} {answer.get("Location", "")}', *normal(answer.content.decode()).splitlines()]


@operation('log in')
def _():
    user = authenticate(username='user7', password='secret')
    return [user.username, user.email, user.get_full_name()]


@operation('log in by the page')
def _():
    answer = Client().post('/accounts/login/', {'username': 'user8', 'password': 'secret', 'next': '/admin/password_change/'})
    return [answer.status_code, answer['Location']]


@operation('log in, wrong password')
def _():
    return [authenticate(username='user7', password='wrong')]


@operation('password reset: who')
def _():
    return shown(PasswordResetForm().get_users('GUSTAV.16@example.ORG'))


@operation('password reset: nobody')
def _():
    return shown(PasswordResetForm().get_users('nobody'))


@operation('password reset: page and mail')
def _():
    answer = Client().post('/accounts/password_reset/', {'email': 'ben.1@example.org'})
    return [answer.status_code, answer['Location']]


@operation('create a user')
def _():
    user = User.objects.create_user('zoe', 'Zoe.Zhang@Example.COM', 'secret', first_name='Zoe', last_name='Zhang')
    return person(user.pk)


@operation('create a user with empty fields')
def _():
    return person(User.objects.create_user('blank').pk)


@operation('create a superuser')
def _():
    return person(User.objects.create_superuser('chief', 'chief@example.com', 'secret').pk)


@operation('the same user name twice')
def _():
    return [User.objects.create_user('zoe', 'other@example.com')]


@operation('save()')
def _():
    user = User.objects.get(username='user11')
    user.is_staff = True
    user.save()
    return person(user.pk)


@operation('save() of a new address')
def _():
    user = User.objects.get(username='user12')
    user.email = 'New.Address@example.net'
    user.save()
    return person(user.pk)


@operation('save(update_fields)')
def _():
    user = User.objects.get(username='user13')
    user.email, user.last_name = 'dora.thirteen@example.net', 'not saved'
    user.save(update_fields=['email'])
    return person(user.pk)


@operation('clear a field')
def _():
    user = User.objects.get(username='user14')
    user.email = user.last_name = ''
    user.save()
    return person(user.pk)


@operation('update()')
def _():
    return [User.objects.filter(last_name__endswith='160').update(first_name='Renamed'), *person(160)]


@operation('update() with F()')
def _():
    return [User.objects.filter(pk=17).update(first_name=F('last_name')), *person(17)]


@operation('get_or_create, there')
def _():
    user, made = User.objects.get_or_create(email='carla.2@example.org', defaults={'username': 'unused'})
    return [made, *shown([user])]


@operation('get_or_create, new')
def _():
    user, made = User.objects.get_or_create(email='fresh@example.org', defaults={'username': 'fresh', 'last_name': 'Fresh'})
    return [made, *person(user.pk)]


@operation('update_or_create')
def _():
    user, made = User.objects.update_or_create(username='user21', defaults={'email': 'twentyone@example.org'})
    return [made, *person(user.pk)]


@operation('bulk_create')
def _():
    made = User.objects.bulk_create(User(username=f'bulk{n}', email=f'bulk{n}@example.com', last_name=f'Bulk {n}') for n in range(5))
    return shown(User.objects.filter(pk__in=[u.pk for u in made]).order_by('pk'))


@operation('bulk_update')
def _():
    users = list(User.objects.filter(username__startswith='user2', pk__lt=30).order_by('pk'))
    for user in users:
        user.last_name = f'Bulk-{user.last_name}'
    User.objects.bulk_update(users, ['last_name'])
    return shown(User.objects.filter(pk__in=[u.pk for u in users]).order_by('pk'))


@operation('select_for_update and save')
def _():
    user = User.objects.select_for_update().get(email='hanna.37@example.org')
    user.first_name = 'Johanna'
    user.save()
    return person(user.pk)


@operation('delete')
def _():
    return [User.objects.filter(email='igor.298@example.org').delete()]


@operation('a form, unchanged')
def _():
    form = UserChangeForm(instance=User.objects.get(pk=33))
    again = UserChangeForm(instance=User.objects.get(pk=33), data={**form.initial, 'date_joined': '2026-01-01'})
    return [form['email'].value(), again.is_valid(), again.errors.as_json()]


@operation('full_clean()')
def _():
    return [User.objects.get(pk=34).full_clean()]


@operation('exact')
def _():
    return shown(User.objects.filter(email='ben.1@example.org'))


@operation('iexact')
def _():
    return shown(User.objects.filter(last_name__iexact='SMITH 11').order_by('pk'))


@operation('in')
def _():
    return shown(User.objects.filter(email__in=['ben.1@example.org', 'emil.4@example.org', '']).order_by('pk'))


@operation("email = ''")
def _():
    return shown(User.objects.filter(email='').order_by('pk'))


@operation("exclude email = ''")
def _():
    return [User.objects.exclude(email='').count()]


@operation('contains')
def _():
    return shown(User.objects.filter(email__contains='.5').order_by('pk'))


@operation('icontains')
def _():
    return shown(User.objects.filter(last_name__icontains='SMITH').order_by('pk'))


@operation('startswith, istartswith, endswith')
def _():
    return [
        User.objects.filter(last_name__startswith='de V').count(),
        User.objects.filter(last_name__istartswith="o'c").count(),
        User.objects.filter(email__endswith='.com').count(),
    ]


@operation('regex, iregex')
def _():
    return [User.objects.filter(email__regex=r'^[a-d].*\.1\d@').count(), User.objects.filter(email__iregex=r'^BEN').count()]


@operation('range and gt')
def _():
    return shown(User.objects.filter(last_name__range=('Clark 1', 'Clark 2'), last_name__gt='Clark 12').order_by('pk'))


@operation('Q')
def _():
    some = Q(email__icontains='anna') & ~Q(last_name__startswith='S') | Q(first_name='Renamed')
    return shown(User.objects.filter(some).order_by('pk')[:12])


@operation('order_by last_name')
def _():
    return shown(User.objects.order_by('last_name', 'pk')[:25])


@operation('order_by -email')
def _():
    return shown(User.objects.order_by('-email', 'pk')[:25])


@operation('order_by Lower')
def _():
    return shown(User.objects.order_by(Lower('last_name').desc(), 'pk')[:25])


@operation('pagination')
def _():
    second = Paginator(User.objects.order_by('last_name', 'pk'), 20).page(2)
    return [second.paginator.count, second.paginator.num_pages, *shown(second)]


@operation('keyset pagination')
def _():
    last = User.objects.order_by('last_name', 'pk')[19]
    after = Q(last_name__gt=last.last_name) | Q(last_name=last.last_name, pk__gt=last.pk)
    return shown(User.objects.filter(after).order_by('last_name', 'pk')[:5])


@operation('earliest and latest')
def _():
    return shown([User.objects.exclude(email='').earliest('email'), User.objects.latest('email')])


@operation('Min, Max')
def _():
    return [User.objects.aggregate(Min('email'), Max('email'), Max('last_name'))]


@operation('values, annotate, Count')
def _():
    return list(User.objects.values('first_name').annotate(n=Count('pk')).order_by('first_name'))


@operation('Count of the distinct')
def _():
    return [User.objects.aggregate(Count('first_name', distinct=True), Count('email', distinct=True))]


@operation('distinct')
def _():
    return [sorted(User.objects.values_list('first_name', flat=True).distinct())]


@operation('distinct on')
def _():
    return shown(User.objects.order_by('first_name', 'pk').distinct('first_name'))


@operation('Concat, Lower, Upper, Substr, Length')
def _():
    return list(User.objects.filter(pk__lt=12).order_by('pk').annotate(
        full=Concat('first_name', Value(' '), 'last_name'), low=Lower('email'), up=Upper('last_name'),
        part=Substr('email', 1, 3), n=Length('email'),
    ).values_list('pk', 'full', 'low', 'up', 'part', 'n'))


@operation('filter by an annotation')
def _():
    named = User.objects.annotate(full=Concat('first_name', Value(' '), 'last_name'))
    return shown(named.filter(full__icontains='ben smith').order_by('pk'))


@operation('Coalesce and Case')
def _():
    return list(User.objects.filter(pk__lt=12).order_by('pk').annotate(
        who=Coalesce('email', Value('nobody')),
        name=Case(When(last_name='', then=Value('unknown')), default=F('last_name')),
    ).values_list('pk', 'who', 'name'))


@operation('F() beside F()')
def _():
    return shown(User.objects.filter(first_name=F('last_name')).order_by('pk'))


@operation('union')
def _():
    return sorted(User.objects.filter(pk__lt=4).values_list('email').union(User.objects.filter(pk__in=[3, 5]).values_list('email')))


@operation('subquery')
def _():
    return shown(User.objects.filter(email__in=User.objects.filter(pk__lt=4).values('email')).order_by('pk'))


@operation('in_bulk')
def _():
    return shown(u for _, u in sorted(User.objects.in_bulk([3, 5, 8]).items()))


@operation('in_bulk by user name')
def _():
    return shown(u for _, u in sorted(User.objects.in_bulk(['user3', 'user5'], field_name='username').items()))


@operation('iterator()')
def _():
    return shown(u for u in User.objects.order_by('pk').iterator(chunk_size=50) if u.pk % 60 == 0)


@operation('only, defer, values')
def _():
    return [
        *shown(User.objects.defer('email').filter(pk=9)), User.objects.only('email').get(pk=9).email,
        *User.objects.filter(pk=9).values('email', 'last_name'),
    ]


@operation('raw')
def _():
    return shown(User.objects.raw('SELECT * FROM auth_user WHERE lower(email) = lower(%s)', ['EMIL.4@example.org']))


@operation('a cursor')
def _():
    with connection.cursor() as cursor:
        cursor.execute('SELECT id, email, last_name FROM auth_user WHERE email LIKE %s ORDER BY email LIMIT 5', ['%.com'])
        return list(cursor)


@operation('exists and count')
def _():
    return [User.objects.filter(email='ben.1@example.org').exists(), User.objects.filter(last_name__contains='Meyer').count()]


@operation('admin: list of users')
def _():
    return page('/admin/auth/user/')


@operation('admin: search')
def _():
    return page('/admin/auth/user/?q=smith')


@operation('admin: search of two words')
def _():
    return page('/admin/auth/user/?q=ben+example.org')


@operation('admin: ordered by address, second page')
def _():
    return page('/admin/auth/user/?o=2&p=1')


@operation('admin: ordered by last name, filtered')
def _():
    return page('/admin/auth/user/?o=-4&is_active__exact=0')


@operation('admin: page of a user')
def _():
    return page('/admin/auth/user/40/change/')


@operation('admin: user saved')
def _():
    return page('/admin/auth/user/41/change/', {
        'username': 'user41', 'first_name': 'Bella', 'last_name': 'Novák-41', 'email': 'bella.41@example.org', 'is_active': 'on',
        'date_joined_0': '2026-01-02', 'date_joined_1': '17:00:00'}) + person(41)


@operation('admin: a wrong address')
def _():
    return page('/admin/auth/user/42/change/', {
        'username': 'user42', 'first_name': 'x', 'last_name': 'y', 'email': 'half@', 'is_active': 'on',
        'date_joined_0': '2026-01-02', 'date_joined_1': '18:00:00'}) + person(42)


@operation('admin: user added')
def _():
    return page('/admin/auth/user/add/', {'username': 'added', 'password1': 'oh-so-secret-1', 'password2': 'oh-so-secret-1'}) \
        + shown(User.objects.filter(username='added'))


@operation('admin: users deleted')
def _():
    return page('/admin/auth/user/', {'action': 'delete_selected', '_selected_action': ['50', '51'], 'post': 'yes'}) + person(50)


@operation('admin: history of a user')
def _():
    return page('/admin/auth/user/41/history/')


def charged(meter):
    if not meter:
        return {}
    meter.execute("""SELECT operation || ' ' || token_type, sum(charged)::bigint FROM redoubt.usage
                     WHERE role = 'django_user'::regrole AND charged > 0 GROUP BY 1""")
    return dict(meter.fetchall())


def main():
    database = settings.DATABASES['default']
    observer = psycopg2.connect(dbname=database['NAME'], user='postgres', host=database['HOST'], port=database['PORT'])
    observer.autocommit = True
    meter = observer.cursor()
    meter.execute("SELECT FROM pg_extension WHERE extname = 'redoubt'")
    meter = meter if meter.rowcount else None
    with open(sys.argv[1], 'w') as out:
        for name, code in OPERATIONS:
            mail.outbox = []
            before = charged(meter)
            errors = []
            try:
                with transaction.atomic():
                    result = [str(line) for line in code()]
            except Exception as error:
                result = [f'{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ""}']
            charges = {what: n - before.get(what, 0) for what, n in charged(meter).items() if n > before.get(what, 0)}
            sent = [f'To: {message.to} {line}' for message in mail.outbox for line in normal(message.body).splitlines()]
            print(json.dumps({'name': name, 'result': result, 'mail': sent, 'errors': errors, 'charges': charges}), file=out)


main()
