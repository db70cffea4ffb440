# shellcheck shell=bash
# client.sh - Django's users and their administration (Debian's python3-django, unmodified) on databases that differ in how
# users are protected.
#
# A database is filled through Django, and then copied:
#   django_plain, django_again   plain text; the second shows that results depend neither on time nor on chance
#   django_labelled              SECURITY LABELs on address, first and last name
#   django_tokens                columns of token types, Django's role granted plaintext
#   django_masked                the same, Django's role granted to search and to see masked values (--masked only)
# On each operations.py runs; ../compare.pl compares the results with those of django_plain.
# Needs ../shared.sh.

django_present() { /usr/bin/python3 -c 'import django, psycopg2' 2>/dev/null; }

# django_python DATABASE FILE ARGUMENT...
django_python() {
  local database=$1 file=$2
  shift 2
  as_user env "REDOUBT_DJANGO_DATABASE=$database" DJANGO_SETTINGS_MODULE=settings PYTHONDONTWRITEBYTECODE=1 \
    timeout --kill-after=15 $((900 * PATIENCE)) /usr/bin/python3 "test/clients/django/$file" "$@"
}

# django_fill: makes django_base and fills it as the role that owns its tables.
django_fill() {
  client_folder django && client_psql postgres -c 'CREATE ROLE django_user LOGIN' &&
    as_user "$PG_BIN/createdb" --owner=django_user django_base && django_python django_base load.py &&
    client_psql django_base -c 'VACUUM ANALYZE'
}

# django_copies VARIANT...: the variants, as copies of django_base.
django_copies() {
  local types=email_token,name_token tokens=test/clients/django/tokens.sql
  client_copies django_base "$@" && client_psql django_labelled -f test/clients/django/labels.sql &&
    client_protect django_tokens detokenize,mask,search django_user "$types" "$tokens" || return
  [[ -z $WITH_MASKED ]] || client_protect django_masked mask,search django_user "$types" "$tokens"
}

# client_django: the tests.
client_django() {
  heading Django
  local log=$WORKSPACE/logs/django.log variant variants=(django_plain django_again django_labelled django_tokens)
  if ! client_ensure django_present -- python3-django python3-psycopg2 >"$log" 2>&1; then
    counts_skip django "Debian's python3-django is not installed and cannot be"
    return
  fi
  [[ -z $WITH_MASKED ]] || variants+=(django_masked)
  if ! { django_fill && django_copies "${variants[@]}"; } >"$log" 2>&1; then
    show_tail 40 "$log"
    counts_add 'databases of Django' 0 1 0
    return
  fi
  note "Django $(/usr/bin/python3 -m django --version)"
  for variant in "${variants[@]}"; do
    if ! django_python "$variant" operations.py "$WORKSPACE/django/$variant.operations" >"$log" 2>&1; then
      show_tail 20 "$log"
      counts_add "$variant" 0 1 0
      return
    fi
  done
  for variant in django_again django_labelled django_tokens; do
    client_judge "$variant" perl test/clients/compare.pl "$WORKSPACE/django/django_plain" "$WORKSPACE/django/$variant"
  done
  for variant in "${variants[@]:4}"; do
    heading "Django on $variant, not counted"
    as_user perl test/clients/compare.pl --table "$WORKSPACE/django/django_plain" "$WORKSPACE/django/$variant"
  done
}
