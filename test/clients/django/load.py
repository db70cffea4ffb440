# load.py - makes Django's tables and 300 users.
from datetime import datetime, timedelta, timezone

import django
from django.core.management import call_command

django.setup()
call_command('migrate', verbosity=0)

from django.contrib.auth.models import User  # noqa: E402  (needs setup)

FIRST = ['Anna', 'Ben', 'Carla', 'Dora', 'Emil', 'Femke', 'Gustav', 'Hanna', 'Igor', 'Jana']
LAST = ['Smith', 'Clark', 'de Vries', 'Meyer', 'Novak', "O'Connor", 'Rossi', 'Silva', 'Tanaka', 'Weiß', 'smithson']
JOINED = datetime(2026, 1, 1, tzinfo=timezone.utc)

users = [
    User(
        username=f'user{n}',
        # Every tenth has none, as Django stores who gives none.
        email='' if n % 10 == 0 else f'{FIRST[n % 10].lower()}.{n}@example.{"org" if n % 7 else "com"}',
        first_name=FIRST[n % 10] if n % 15 else '',
        last_name=f'{LAST[n % 11]} {n}' if n % 15 else '',
        date_joined=JOINED + timedelta(hours=n),
        is_active=n % 20 != 3,
    )
    for n in range(1, 301)
]
for user in users:
    user.set_password('secret')
User.objects.bulk_create(users)
User.objects.create_superuser('root', 'Root.Admin@example.com', 'secret', first_name='Rita', last_name='Root', date_joined=JOINED)
