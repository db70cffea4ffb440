# shellcheck shell=bash
# client.sh - Request Tracker 5 (Debian's request-tracker5, unmodified) on databases that differ in how users are protected.
#
# A database is filled through RT's API, and then copied:
#   rt_plain, rt_again   plain text; the second shows that results depend neither on time nor on chance
#   rt_labelled          SECURITY LABELs on address, real name and four phones
#   rt_tokens            columns of token types, RT's role granted plaintext
#   rt_masked            the same, RT's role granted to search and to see masked values (--masked only)
# On each the same operations run: operations.pl through RT's API, then requests.pl through its web pages.  ../compare.pl then
# compares their results with those of rt_plain.  RT's files are in WORKSPACE/rt.
# Needs ../shared.sh.

readonly RT_PACKAGES=(request-tracker5 rt5-standalone rt5-db-postgresql rt5-clients dbconfig-no-thanks)

# rt_present: RT, what its pages need, and PostgreSQL's driver.
rt_present() {
  [[ -e /usr/share/request-tracker5/lib/RT.pm && -x /usr/sbin/rt-setup-database-5 ]] &&
    perl -MDBD::Pg -MHTTP::Cookies -MPlack::Test -e 1 2>/dev/null
}

# rt_ensure: installs RT from Debian where it is missing, or fails.  No package may touch a database or drive out another.
rt_ensure() {
  local packages=("${RT_PACKAGES[@]}")
  [[ -x /usr/sbin/sendmail ]] || packages+=(msmtp-mta)
  if ! rt_present && installed dbconfig-pgsql dbconfig-mysql dbconfig-sqlite3; then
    echo 'dbconfig-common is set up to make databases: install request-tracker5 by hand'
    return 1
  fi
  client_ensure rt_present -- "${packages[@]}"
}

# rt_perl DATABASE COMMAND...: a program of RT's or of this folder on that database.
rt_perl() {
  local database=$1
  shift
  as_user env "REDOUBT_RT_FOLDER=$WORKSPACE/rt" "REDOUBT_RT_DATABASE=$database" "REDOUBT_RT_CSV=$WORKSPACE/rt/tickets.csv" \
    "RT_SITE_CONFIG=$TREE/test/clients/rt/RT_SiteConfig.pm" "RT_SITE_CONFIG_DIR=$WORKSPACE/rt/none" \
    PERL_HASH_SEED=0 TZ=UTC LC_ALL=C.UTF-8 timeout --kill-after=15 $((900 * PATIENCE)) perl "$@"
}

# rt_fill: makes rt_base by RT's own program, and fills it.  Pages order tickets by time, which has to be another for each.
rt_fill() {
  local apart="UPDATE tickets SET created = created - (1000 - id) * interval '1 minute', lastupdated = created"
  client_folder rt || return
  if [[ -n $DATA ]]; then
    as_user tee "$WORKSPACE/rt/tickets.csv" <"$DATA" >/dev/null
  else
    as_user perl test/clients/rt/tickets.pl >"$WORKSPACE/rt/tickets.csv"
  fi || return
  client_psql postgres -c 'CREATE ROLE rt_user LOGIN' || return
  rt_perl rt_base /usr/sbin/rt-setup-database-5 --action init --dba postgres --dba-password unused &&
    rt_perl rt_base test/clients/rt/load.pl && client_psql rt_base -c "$apart" -c 'VACUUM ANALYZE'
}

# rt_copies VARIANT...: the variants, as copies of rt_base.
rt_copies() {
  local types=email_token,name_token,phone_token tokens=test/clients/rt/tokens.sql
  client_copies rt_base "$@" && client_psql rt_labelled -f test/clients/rt/labels.sql &&
    client_protect rt_tokens detokenize,mask,search rt_user "$types" "$tokens" || return
  [[ -z $WITH_MASKED ]] || client_protect rt_masked mask,search rt_user "$types" "$tokens"
}

# rt_run DATABASE: all operations on it.
rt_run() {
  local log=$WORKSPACE/logs/$1.log kind
  : >"$log"
  for kind in operations requests; do
    if ! rt_perl "$1" "test/clients/rt/$kind.pl" "$WORKSPACE/rt/$1.$kind" >>"$log" 2>&1; then
      show_tail 20 "$log"
      return 1
    fi
  done
}

# client_rt: the tests.
client_rt() {
  heading 'Request Tracker 5'
  local log=$WORKSPACE/logs/rt.log variant variants=(rt_plain rt_again rt_labelled rt_tokens)
  if ! rt_ensure >"$log" 2>&1; then
    counts_skip rt "Debian's request-tracker5 is not installed and cannot be"
    return
  fi
  [[ -z $WITH_MASKED ]] || variants+=(rt_masked)
  if ! { rt_fill && rt_copies "${variants[@]}"; } >"$log" 2>&1; then
    show_tail 40 "$log"
    counts_add 'databases of RT' 0 1 0
    return
  fi
  note "$(tail -n 1 "$log"); request-tracker5 $(dpkg-query -W -f '${Version}' request-tracker5 2>/dev/null)"
  for variant in "${variants[@]}"; do
    rt_run "$variant" || { counts_add "$variant" 0 1 0; return; }
  done
  for variant in rt_again rt_labelled rt_tokens; do
    client_judge "$variant" perl test/clients/compare.pl "$WORKSPACE/rt/rt_plain" "$WORKSPACE/rt/$variant"
  done
  client_judge 'charges of rt_labelled' perl test/clients/rt/charges.pl "$WORKSPACE/rt/rt_labelled"
  client_judge 'charges of rt_tokens' perl test/clients/rt/charges.pl "$WORKSPACE/rt/rt_labelled" "$WORKSPACE/rt/rt_tokens"
  for variant in "${variants[@]:4}"; do
    heading "Request Tracker 5 on $variant, not counted"
    as_user perl test/clients/compare.pl --table "$WORKSPACE/rt/rt_plain" "$WORKSPACE/rt/$variant"
  done
}
