# shellcheck shell=bash
# older.sh - servers of older versions inside a root, with this tree's extension: what test/tap/restore.pl upgrades from.
#
# Packages of two versions of PostgreSQL have no file in common, so an older server runs in a newer Debian as it is, but for
# shared libraries that the newer one has under another name; those are put beside it.
# Needs test/lib's workspace.sh and packages.sh, and roots.sh.

# version -> the system that its server and libraries are copied from; oldest first in OLDER_KNOWN.
declare -A OLDER_SYSTEM=()
OLDER_KNOWN=()
OLDER_STAGE=''  # this machine's own server with the extension, while older_close has not removed it

# older_know VERSION SYSTEM: the server of VERSION in that system has this tree's extension.
older_know() {
  OLDER_SYSTEM[$1]=$2
  OLDER_KNOWN+=("$1")
}

# older_installed SOURCE LIBRARY: the installed library is newer than every file of the tree, so it is the tree's.
older_installed() {
  # shellcheck disable=SC2016  # the inner shell expands it
  [[ -e $2 && -z $(tree_files "$1" | (cd "$1" && xargs -0 -r sh -c 'find "$@" -newer "$0" | head -n 1' "$2")) ]]
}

# older_here SOURCE VERSION...: unless it is one of the VERSIONs, builds SOURCE for this machine's own server, which is
# then known under its version.
older_here() {
  local version own done=0
  postgres_find || { echo 'there is no server here that extensions can be built for'; return 1; }
  version=$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
  [[ " ${*:2} " != *" $version "* ]] || return 0
  own=/usr/lib/postgresql/$version
  [[ -x $own/bin/postgres ]] || { echo "there is no $own"; return 1; }
  if older_installed "$1" "$own/lib/redoubt.so"; then
    older_know "$version" /
    return
  fi
  OLDER_STAGE=$(mktemp -d "${TMPDIR:-/tmp}/redoubt.XXXXXX")
  mkdir -p "$OLDER_STAGE/usr/lib/postgresql" "$OLDER_STAGE/usr/share/postgresql"
  cp -a "$own" "$OLDER_STAGE/usr/lib/postgresql/" && cp -a "/usr/share/postgresql/$version" "$OLDER_STAGE/usr/share/postgresql/" || return
  workspace_open "$1"
  extension_build && as_root make -s -C "$TREE" "PG_CONFIG=$PG_CONFIG" "DESTDIR=$OLDER_STAGE" install || done=1
  workspace_close
  ((done == 0)) && older_know "$version" "$OLDER_STAGE"
}

older_close() { [[ -z $OLDER_STAGE ]] || rm -rf -- "$OLDER_STAGE"; }

# older_understood VERSION ROOT OLD SYSTEM: whether pg_upgrade to ROOT's server can work.  Minor releases of November 2026 (15.20,
# 17.12) note a version with each column, in an option that earlier minor releases of a newer PostgreSQL refuse.
older_understood() {
  ! grep -q pg_attver "$4/usr/lib/postgresql/$3/bin/postgres" || grep -q pg_attver "$2/usr/lib/postgresql/$1/bin/postgres"
}

# older_bring VERSION ROOT: copies every server known that is older than VERSION, and can be upgraded from, into ROOT; prints
# their folders as the tests inside see them, oldest first, with ":" between.
older_bring() {
  local version=$1 root=$2 old from to folders=()
  rm -rf -- "$root/redoubt/older"
  for old in "${OLDER_KNOWN[@]}"; do
    ((old < version)) || continue
    from=${OLDER_SYSTEM[$old]}
    older_understood "$version" "$root" "$old" "$from" || continue
    to=$root/redoubt/older/$old/usr
    mkdir -p "$to/lib/postgresql" "$to/share/postgresql"
    cp -a "$from/usr/lib/postgresql/$old" "$to/lib/postgresql/" && cp -a "$from/usr/share/postgresql/$old" "$to/share/postgresql/" || return
    folders+=("/redoubt/older/$old/usr/lib/postgresql/$old")
    older_libraries "$root" "${folders[-1]}" "$from" || return
  done
  (IFS=:; echo "${folders[*]-}")
}

# older_libraries ROOT FOLDER SYSTEM: what the server in FOLDER links to and ROOT lacks, from SYSTEM (or, where that is a
# stage, from this machine) into FOLDER/lib, until nothing is missing.  Just-in-time compilation is not needed.
older_libraries() {
  local root=$1 folder=$2 system=$3 missing name file
  [[ $system != "$OLDER_STAGE" ]] || system=/
  while true; do
    # shellcheck disable=SC2016  # the inner shell expands it
    missing=$(roots_enter "$root" bash -c 'LD_LIBRARY_PATH=$1/lib ldd "$1"/bin/* "$1"/lib/redoubt.so 2>/dev/null' - "$folder" |
      sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' | sort -u)
    [[ -n $missing ]] || return 0
    for name in $missing; do
      file=$(find "$system/usr/lib" "$system/lib" -name "$name" 2>/dev/null | head -n 1)
      [[ -n $file ]] || { echo "no $name in $system"; return 1; }
      cp -L "$file" "$root$folder/lib/" || return
    done
  done
}
