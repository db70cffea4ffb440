# shellcheck shell=bash
# server.sh - one throw-away PostgreSQL server, reachable through a Unix socket only.
#
# It lives in WORKSPACE/server: data/, socket/, kek (outside the data directory,
# as redoubt asks) and log.  server_stop stops it by its own process id file and
# is meant for a trap on EXIT.  Needs console.sh, packages.sh, workspace.sh.
# A start that fails leaves its reason in logs/server.log.
# Exports PGHOST, PGPORT and PGUSER.  SERVER_CONF, if set, is more of its configuration.

# server_start: initialises and starts the server with Redoubt preloaded.
server_start() {
  local base=$WORKSPACE/server
  export PGHOST=$base/socket PGPORT=5432 PGUSER=postgres
  server_stop  # one that an interrupted run left in a kept workspace
  rm -rf "$base"
  as_user mkdir -m 700 "$base" "$base/socket"
  as_user "$PG_BIN/initdb" -D "$base/data" -U postgres --auth=trust --no-sync \
    --encoding=UTF8 --locale=C.UTF-8 >"$WORKSPACE/logs/initdb.log" 2>&1 ||
    { cp "$WORKSPACE/logs/initdb.log" "$WORKSPACE/logs/server.log"; return 1; }
  # shellcheck disable=SC2016  # the inner shell expands it
  as_user env base="$base" bash -c 'umask 077; od -An -v -tx1 -N32 /dev/urandom | tr -d " \n" >"$base/kek"'
  {
    echo "listen_addresses = ''"
    echo "unix_socket_directories = '$base/socket'"
    echo "shared_preload_libraries = 'redoubt'"
    echo "redoubt.kek_file = '$base/kek'"
    echo 'max_prepared_transactions = 2'
    echo 'wal_level = logical'
    echo 'fsync = off'
    # Its locks and statistics come at moments of their own; those tests that are about it start one.
    echo 'autovacuum = off'
    echo "log_line_prefix = '%m [%p] %q%u@%d '"
    printf '%s\n' "${SERVER_CONF:-}"
  } | as_user tee -a "$base/data/postgresql.conf" >/dev/null
  server_up
}

# server_up: starts the initialised server.
server_up() {
  local base=$WORKSPACE/server
  as_user "$PG_BIN/pg_ctl" -D "$base/data" -l "$base/log" -w -t 60 start >"$WORKSPACE/logs/pg_ctl.log" 2>&1 ||
    { cat "$WORKSPACE/logs/pg_ctl.log" "$base/log" >"$WORKSPACE/logs/server.log" 2>&1; return 1; }
}

# server_stop: stops the server if it runs.
server_stop() {
  [[ -n ${WORKSPACE:-} ]] || return 0
  clusters_stop "$WORKSPACE/server"
}

# clusters_stop FOLDER: stops every server whose data directory is under FOLDER.
clusters_stop() {
  [[ -d $1 ]] || return 0
  local pid_file
  while IFS= read -r pid_file; do
    as_user "$PG_BIN/pg_ctl" -D "${pid_file%/*}" -m fast -w -t 30 stop >/dev/null 2>&1 ||
      as_user "$PG_BIN/pg_ctl" -D "${pid_file%/*}" -m immediate -w -t 30 stop >/dev/null 2>&1 || true
  done < <(find "$1" -name postmaster.pid)
}
