# shellcheck shell=bash
# packages.sh - finds PostgreSQL and the build tools, and installs what is missing.
#
# Nothing is installed where everything is there already.  The Debian release
# decides the PostgreSQL version; PG_CONFIG in the environment overrides it.
# Needs console.sh.  Sets PG_CONFIG and PG_BIN.

# as_root COMMAND...: runs COMMAND as root, through sudo where necessary.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "root is needed for: $*"
  fi
}

# postgres_usable PG_CONFIG: true when that installation can build and run an extension.
postgres_usable() {
  [[ -x $1 ]] || return 1
  [[ -x $("$1" --bindir)/initdb && -e $("$1" --includedir-server)/postgres.h && -e $("$1" --pgxs) ]]
}

# postgres_find: sets PG_CONFIG to the newest usable installation, or fails.
postgres_find() {
  local candidate
  if [[ -n ${PG_CONFIG:-} ]]; then
    postgres_usable "$PG_CONFIG" || die "PG_CONFIG=$PG_CONFIG has no server or no server headers"
  else
    while read -r candidate; do
      if postgres_usable "$candidate"; then
        PG_CONFIG=$candidate
        break
      fi
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -rV)
    [[ -n ${PG_CONFIG:-} ]] || return 1
  fi
  PG_BIN=$("$PG_CONFIG" --bindir)
  export PG_CONFIG PG_BIN
}

# tools_present: true when every tool but PostgreSQL itself is there.
tools_present() {
  local tool
  for tool in g++ make cmake prove nm; do
    command -v "$tool" >/dev/null || return 1
  done
  [[ -e /usr/include/openssl/evp.h && -e /usr/include/zlib.h && -e /usr/include/postgresql/libpq-fe.h && -e /usr/include/benchmark/benchmark.h ]] || return 1
  [[ -e /usr/include/gtest/gtest.h && -e /usr/include/gmock/gmock.h ]] || return 1
  perl -MIPC::Run -e 1 2>/dev/null
}

# apt_get ARGUMENT...: apt-get without questions.
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null; }

# packages_ensure: installs what is missing.  A first installation of Debian's
# server package would create a cluster and start it; a drop-in file prevents that.
packages_ensure() {
  if postgres_find && tools_present; then
    return 0
  fi
  heading 'Installing packages'
  command -v apt-get >/dev/null || die 'something is missing, and there is no apt-get to install it with'
  apt_get update
  local version
  version=$(apt-cache depends postgresql | sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
  [[ -n $version ]] || die 'apt knows no package postgresql-NN'

  local drop_in=/etc/postgresql-common/createcluster.d/redoubt-test.conf
  as_root mkdir -p "${drop_in%/*}"
  echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
  local status=0
  apt_get install -y --no-install-recommends \
    "postgresql-$version" "postgresql-server-dev-$version" libpq-dev libssl-dev zlib1g-dev g++ make cmake \
    googletest libgtest-dev libgmock-dev libbenchmark-dev perl libipc-run-perl strace || status=$?
  as_root rm -f "$drop_in"
  ((status == 0)) || die 'the packages could not be installed'
  if ! postgres_find || ! tools_present; then
    die 'packages were installed, but something is still missing'
  fi
}

# neighbours_ensure: installs the extensions that test/tap/neighbours.pl loads beside Redoubt, where this PostgreSQL is
# Debian's and Debian has them.  What cannot be had is skipped there, and said.
neighbours_ensure() {
  local version package missing=()
  version=$("$PG_CONFIG" --version | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
  [[ $PG_CONFIG == /usr/lib/postgresql/* ]] && command -v apt-get >/dev/null || return 0
  for package in pgaudit cron partman hypopg pg-qualstats pg-wait-sampling set-user plpgsql-check; do
    package=postgresql-$version-$package
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *' installed' ]] ||
      ! apt-cache show "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  # A subshell, because nobody able to install is no reason to stop here.
  ((${#missing[@]} == 0)) || (apt_get install -y --no-install-recommends "${missing[@]}") >/dev/null 2>&1 || true
}

# fuzzer_usable: true when clang can link a libFuzzer target.
fuzzer_usable() {
  command -v clang++ >/dev/null || return 1
  echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char *, unsigned long) { return 0; }' |
    clang++ -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null
}

# fuzzer_ensure: installs clang and its runtimes where they are missing, or fails.
fuzzer_ensure() {
  fuzzer_usable && return
  command -v apt-get >/dev/null || return
  # A subshell, because nobody able to install is no reason to stop here.
  (apt_get install -y --no-install-recommends clang libclang-rt-dev ||
    (apt_get update && apt_get install -y --no-install-recommends clang libclang-rt-dev)) >/dev/null 2>&1
  fuzzer_usable
}
