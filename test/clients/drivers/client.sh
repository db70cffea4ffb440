# shellcheck shell=bash
# client.sh - one support application through fifteen drivers and object mappers of seven languages, and three modes of poolers,
# none of which knows Redoubt.
#
# The application asks what is in operations.tsv, and what each driver has of its own: batches, COPY, cursors, arrays.
# A program of this folder runs it through one driver and prints a line for each operation.  It runs on two copies of one
# database, on columns of text and of token types (schema.sql, tokens.sql), and each line has to be the same.
# differences.tsv lists what is not, with the reason; such a line fails, too, where the difference is gone.  Where
# docs/applications.md has a recipe for a driver, a block of code marked with its name, the program runs once more with it.
# Needs ../shared.sh.

readonly DRIVERS=(psycopg2 psycopg asyncpg sqlalchemy jdbc jdbc_unspecified hibernate node typeorm knex dbd_pg pdo pdo_emulated ruby_pg
  activerecord pgx pgx5 psqlodbc pgbouncer_session pgbouncer_transaction pgpool)

# What Hibernate needs beside JDBC, all from Debian.
readonly HIBERNATE=(hibernate3 hibernate-entitymanager geronimo-jpa_2.0_spec geronimo-jta-1.2-spec hibernate-commons-annotations dom4j antlr
  commons-collections3 slf4j-api slf4j-nop javassist)

# driver_is NAME: sets what a driver needs: packages, a command that fails where they are missing, and the one that runs it.
driver_is() {
  local jars=/usr/share/java/postgresql.jar:/usr/share/java/junixsocket-common.jar:$WORKSPACE/drivers/jdbc
  packages=("python3-$1") present=(/usr/bin/python3 -c "import $1")
  command=(/usr/bin/python3 "test/clients/drivers/${1}_client.py")
  case $1 in
    psycopg | psycopg2) command=(/usr/bin/python3 test/clients/drivers/dbapi.py "$1") ;;
    sqlalchemy) packages+=(python3-psycopg2) present=(/usr/bin/python3 -c 'import sqlalchemy, psycopg2') ;;
    asyncpg) ;;
    psqlodbc)
      packages=(python3-pyodbc odbc-postgresql)
      present=(/usr/bin/python3 -c 'import pyodbc; assert "PostgreSQL Unicode" in pyodbc.drivers()')
      command=(/usr/bin/python3 test/clients/drivers/dbapi.py pyodbc)
      ;;
    jdbc | jdbc_unspecified)
      packages=(default-jdk-headless libpostgresql-jdbc-java libjunixsocket-java) present=(driver_java "$jars" Support)
      command=(java -cp "$jars" Support test/clients/drivers/operations.tsv)
      [[ $1 == jdbc ]] || command=(env SUPPORT_STRINGTYPE=unspecified "${command[@]}")
      ;;
    hibernate)
      jars+=$(printf ':/usr/share/java/%s.jar' "${HIBERNATE[@]}")
      packages=(default-jdk-headless libpostgresql-jdbc-java libjunixsocket-java libhibernate3-java libjavassist-java libslf4j-java)
      present=(driver_java "$jars" Hibernate TokenDialect)
      command=(java --add-opens java.base/java.lang=ALL-UNNAMED -cp "$jars" Hibernate)
      ;;
    pgbouncer_* | pgpool)
      packages=("${1%%_*}" python3-psycopg2) present=(eval "[[ -n \$(PATH=\$PATH:/usr/sbin command -v ${1%%_*}) ]] && /usr/bin/python3 -c 'import psycopg2'")
      [[ $1 != pgpool ]] || packages[0]=pgpool2
      command=(env "PGHOST=$WORKSPACE/drivers/pooler" PGPORT=6432 /usr/bin/python3 test/clients/drivers/dbapi.py psycopg2)
      ;;
    node | typeorm | knex)
      packages=(nodejs npm) present=(driver_node)
      command=(env "NODE_PATH=$WORKSPACE/npm/node_modules" node "test/clients/drivers/$1.js")
      ;;
    dbd_pg) packages=(libdbd-pg-perl) present=(perl -MDBD::Pg -e 1) command=(perl test/clients/drivers/dbd_pg.pl) ;;
    pdo | pdo_emulated)
      packages=(php-cli php-pgsql) present=(php -r 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);')
      command=(php test/clients/drivers/support.php "${1#pdo_}")
      ;;
    ruby_pg) packages=(ruby ruby-pg) present=(ruby -e 'require "pg"') command=(ruby test/clients/drivers/support.rb) ;;
    activerecord)
      packages=(ruby ruby-pg ruby-activerecord) present=(ruby -e 'require "active_record"; require "pg"')
      command=(ruby test/clients/drivers/activerecord.rb)
      ;;
    pgx | pgx5)
      packages=(golang-go golang-github-jackc-pgx-v4-dev) present=(driver_go "$1")
      [[ $1 == pgx ]] || packages[1]=golang-github-jackc-pgx-v5-dev
      apt-cache show "${packages[1]}" >/dev/null 2>&1 || packages=(golang-go)
      command=("$WORKSPACE/drivers/$1/support" test/clients/drivers/operations.tsv)
      ;;
  esac
}

# driver_java CLASSPATH PROGRAM [RECIPE]: compiles the program, and the class of its recipe.
driver_java() {
  local jars=$1 folder=$WORKSPACE/drivers/jdbc sources=("test/clients/drivers/$2.java") jar
  command -v javac >/dev/null && as_user mkdir -p "$folder" || return
  while IFS= read -r -d : jar; do [[ $jar != *.jar || -e $jar ]] || return; done <<<"$jars:"
  if [[ -n ${3:-} ]]; then
    sources+=("$folder/$3.java")
    driver_recipe "${2,,}" "$folder/$3.java" || return
  fi
  as_user javac -nowarn -cp "$jars" -d "$folder" "${sources[@]}"
}

# driver_node: node-postgres, TypeORM and knex from npm, into the workspace, as the caller is set up for npm.
driver_node() {
  local folder=$WORKSPACE/npm
  command -v npm >/dev/null || return
  [[ ! -e $folder/node_modules/knex ]] || return 0
  mkdir -p "$folder" && npm install --prefix "$folder" --no-audit --no-fund pg@8 pg-cursor@2 pg-copy-streams@7 typeorm@0.3 knex@3 &&
    chmod -R a+rX "$folder"
}

# driver_go NAME: compiles the program from sources in GOPATH or those that Debian's package brings, with the recipe of pgx 4.
# pgx 5, where Debian has none, comes from the Go module proxy, as the caller is set up for that.
driver_go() {
  local folder=$WORKSPACE/drivers/$1 path=${GOPATH:+$GOPATH:}/usr/share/gocode version=v4 change='' root
  command -v go >/dev/null && as_user mkdir -p "$folder" || return
  if [[ $1 == pgx5 ]]; then
    version=v5 change='s|jackc/pgconn|jackc/pgx/v5/pgconn|; s|jackc/pgx/v4|jackc/pgx/v5|; /REDOUBT_RECIPE/,/^\t}/d'
    change+='; s|pgx.QuerySimpleProtocol(true)|pgx.QueryExecModeSimpleProtocol|'
  else
    driver_recipe "$1" "$folder/recipe.go" || return
  fi
  as_user sed "$change" test/clients/drivers/support.go | as_user tee "$folder/support.go" >/dev/null || return
  while IFS= read -r -d : root; do
    [[ -d $root/src/github.com/jackc/pgx/$version ]] || continue
    # shellcheck disable=SC2016  # the inner shell expands it
    as_user env GO111MODULE=off "GOPATH=$path" "GOCACHE=$WORKSPACE/drivers/go" \
      bash -c 'cd "$1" && go build -o support ./*.go' -- "$folder"
    return
  done <<<"$path:"
  [[ $1 == pgx5 && -z ${packages[1]:-} ]] && driver_go_modules "$folder"
}

# driver_go_modules FOLDER: the same with the newest pgx that Go 1.19 compiles.
driver_go_modules() (
  cd "$1" && export GO111MODULE=on GOFLAGS=-mod=mod "GOPATH=$WORKSPACE/drivers/gopath" "GOCACHE=$WORKSPACE/drivers/go_modules" || exit
  [[ -e go.mod ]] || go mod init support || exit
  timeout --kill-after=15 $((120 * PATIENCE)) go get github.com/jackc/pgx/v5@v5.5.5 && go build -o support . && chmod a+rx . support
)

# pooler_start NAME: a pooler before the server, on a socket in WORKSPACE/drivers/pooler; nothing for a driver that is none.
pooler_start() {
  local folder=$WORKSPACE/drivers/pooler PATH=$PATH:/usr/sbin
  [[ $1 == pg[bp]o* ]] || return 0
  as_user rm -rf "$folder" && as_user mkdir -m 700 "$folder" || return
  if [[ $1 == pgpool ]]; then
    printf '%s\n' "socket_dir = '$folder'" "pcp_socket_dir = '$folder'" "wd_ipc_socket_dir = '$folder'" "listen_addresses = ''" 'port = 6432' \
      'pcp_port = 6433' "backend_clustering_mode = 'raw'" "backend_hostname0 = '$PGHOST'" "backend_port0 = $PGPORT" 'num_init_children = 4' \
      "pid_file_name = '$folder/pid'" "logdir = '$folder'" 'enable_pool_hba = off' 'memory_cache_enabled = off' 'sr_check_period = 0' |
      as_user tee "$folder/conf" >/dev/null
    as_user pgpool -n -f "$folder/conf" -a "$folder/hba" -F "$folder/pcp" >"$WORKSPACE/logs/pooler.log" 2>&1 &
  else
    printf '"%s" ""\n' support_user support_limited | as_user tee "$folder/users" >/dev/null
    printf '%s\n' '[databases]' "* = host=$PGHOST port=$PGPORT" '[pgbouncer]' "unix_socket_dir = $folder" 'listen_port = 6432' 'auth_type = trust' \
      "auth_file = $folder/users" "pool_mode = ${1#pgbouncer_}" "pidfile = $folder/pid" 'ignore_startup_parameters = extra_float_digits' |
      as_user tee "$folder/conf" >/dev/null
    as_user pgbouncer -q "$folder/conf" >"$WORKSPACE/logs/pooler.log" 2>&1 &
  fi
  local tries=50
  until [[ -S $folder/.s.PGSQL.6432 ]]; do
    ((tries-- > 0)) || { show_tail 20 "$WORKSPACE/logs/pooler.log"; return 1; }
    sleep 0.2
  done
}

# pooler_stop: by its own pid file.
pooler_stop() {
  local pid=$WORKSPACE/drivers/pooler/pid number tries=50
  [[ -s $pid ]] && number=$(tr -d '\0\n' <"$pid") || return 0
  as_user kill -INT "$number" || true
  while as_user kill -0 "$number" 2>/dev/null && ((tries-- > 0)); do sleep 0.2; done
  as_user kill -KILL "$number" 2>/dev/null || true
  as_user rm -rf "$WORKSPACE/drivers/pooler"
}

# driver_run NAME VARIANT RECIPE: the program on a new copy of the variant's database.
driver_run() {
  local database=drivers_copy recipe=${3:+REDOUBT_RECIPE=$3} log=$WORKSPACE/logs/drivers.log command=() packages present status=0
  driver_is "$1"
  client_copies "drivers_$2" "$database" && pooler_start "$1" || status=$?
  ((status == 0)) || return "$status"
  as_user env "PGDATABASE=$database" PGUSER=support_user ${recipe:+"$recipe"} PYTHONDONTWRITEBYTECODE=1 TZ=UTC \
    timeout --kill-after=15 $((300 * PATIENCE)) "${command[@]}" 2>"$log" |
    as_user tee "$WORKSPACE/drivers/$1.$2${3:+.recipe}.operations" >/dev/null || status=$?
  pooler_stop
  as_user "$PG_BIN/dropdb" --force "$database"
  ((status == 0)) || show_tail 20 "$log"
  return "$status"
}

# driver_recipe NAME FILE: writes the block of docs/applications.md that is marked with the driver's name to FILE, or fails.
driver_recipe() {
  as_user sed -n "/^\`\`\`[a-z]* $1\$/,/^\`\`\`\$/{/^\`\`\`/!p}" docs/applications.md |
    as_user tee "$2" | grep -q .
}

# driver_test NAME
driver_test() {
  local results=$WORKSPACE/drivers/$1 known=test/clients/drivers/differences.tsv packages present command
  driver_is "$1"
  if ! client_ensure "${present[@]}" -- "${packages[@]}" >"$WORKSPACE/logs/drivers.log" 2>&1; then
    show_tail 10 "$WORKSPACE/logs/drivers.log"
    counts_skip "$1" "what it needs cannot be had: ${packages[*]}, or what is compiled with that"
    return
  fi
  if ! { driver_run "$1" text '' && driver_run "$1" tokens ''; }; then
    counts_add "$1" 0 1 0
    return
  fi
  client_judge "$1" perl test/clients/compare.pl --known "$known" "$1,$1:bare" "$results.text" "$results.tokens"
  driver_recipe "$1" "$results.recipe" || return 0
  if ! driver_run "$1" tokens "$results.recipe"; then
    counts_add "$1, with its recipe" 0 1 0
    return
  fi
  client_judge "$1, with its recipe" perl test/clients/compare.pl --known "$known" "$1" "$results.text" "$results.tokens.recipe"
}

# client_drivers: the tests.
client_drivers() {
  heading Drivers
  local log=$WORKSPACE/logs/drivers.log driver types=email_token,name_token,phone_token
  if ! { client_folder drivers && as_user "$PG_BIN/createdb" drivers_text && client_psql drivers_text -f test/clients/drivers/schema.sql \
    -c 'VACUUM ANALYZE' && client_copies drivers_text drivers_tokens &&
    client_protect drivers_tokens detokenize,mask,search support_user "$types" test/clients/drivers/tokens.sql &&
    client_psql postgres -c "ALTER ROLE support_user SET redoubt.reveal = 'auto'" \
      -c "ALTER ROLE support_limited SET redoubt.reveal = 'auto'"; } >"$log" 2>&1; then
    show_tail 40 "$log"
    counts_add 'databases of the drivers' 0 1 0
    return
  fi
  for driver in ${REDOUBT_DRIVERS:-"${DRIVERS[@]}"}; do
    driver_test "$driver"
  done
}
