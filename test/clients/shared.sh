# shellcheck shell=bash
# shared.sh - what the clients share: packages, databases, and the comparison of results.
#
# A client fills one database on plain text and copies it; on each copy the columns are then protected in another way, and the
# same program runs.  Needs all files of test/lib.

# installed PACKAGE...: is one of them?
installed() { dpkg-query -W -f '${Status}\n' "$@" 2>/dev/null | grep -q ' installed$'; }

# client_install PACKAGE...: from Debian, in a subshell.  No package may ask or start a service.
client_install() (
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  apt_get update && apt_get install -y --no-install-recommends "$@"
)

# client_ensure PRESENT... -- PACKAGE...: installs the packages where the command PRESENT fails, or fails.
client_ensure() {
  local present=()
  while [[ $1 != -- ]]; do
    present+=("$1")
    shift
  done
  shift
  "${present[@]}" || { command -v apt-get >/dev/null && client_install "$@" && "${present[@]}"; }
}

# client_folder NAME: an empty folder WORKSPACE/NAME.
client_folder() { as_user rm -rf "${WORKSPACE:?}/$1" && as_user mkdir -m 700 "$WORKSPACE/$1"; }

client_psql() {
  local database=$1
  shift
  as_user "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -d "$database" "$@"
}

# client_copies BASE COPY...: databases that are copies of BASE.
client_copies() {
  local base=$1 copy
  shift
  for copy; do
    as_user "$PG_BIN/createdb" --template="$base" "$copy" || return
  done
}

# client_protect DATABASE RIGHTS ROLE TYPES FILE: makes columns of token types by FILE, and grants ROLE what RIGHTS names.
client_protect() {
  client_psql "$1" -c 'CREATE EXTENSION redoubt' &&
    client_psql "$1" -v "rights=$2" -v "role=$3" -v "types=$4" -f test/clients/grants.sql -f "$5"
}

# client_judge NAME COMMAND...: counts what a program says of results, and shows what failed.
client_judge() {
  local name=$1 said=$WORKSPACE/logs/client_judge.log status=0
  shift
  as_user "$@" >"$said" 2>&1 || status=$?
  grep -v -E '^[0-9]+ passed, ' "$said" | sed 's/^/    /' || true
  # shellcheck disable=SC2046  # three numbers, three words
  counts_judge "$name" "$status" $(count_kat "$said") || true
}
