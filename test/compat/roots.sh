# shellcheck shell=bash
# roots.sh - the roots that test/compat/run keeps: one Debian for each PostgreSQL, made by test/lib/root.sh.
#
# A root is made in a folder beside its own and moved there when it is complete, so
# one that exists is whole.  It is fresh while its recipe is today's and it is
# younger than 30 days.
# Needs test/lib's console.sh, packages.sh, workspace.sh and root.sh.

ROOTS=${REDOUBT_ROOTS:-/var/cache/redoubt/roots}
ROOTS_DAYS=30
ROOTS_PACKAGES=(g++ clang make cmake libpq-dev libssl-dev zlib1g-dev openssl googletest libgtest-dev libgmock-dev libbenchmark-dev perl
  libipc-run-perl strace)
ROOTS_JOB=''  # process group of what runs in a root right now

roots_suite() {
  case $1 in
    15) echo bookworm ;;
    17) echo trixie ;;
    18) echo sid ;;
  esac
}

roots_folder() { printf '%s/%s-%s\n' "$ROOTS" "$(roots_suite "$1")" "$1"; }

roots_recipe() {
  printf '%s\n' "$(roots_suite "$1")" "postgresql-$1" "postgresql-server-dev-$1" "${ROOTS_PACKAGES[@]}"
}

roots_fresh() {
  local recipe
  recipe=$(roots_folder "$1")/.recipe
  [[ -e $recipe && -z $(find "$recipe" -mtime "+$ROOTS_DAYS") ]] && cmp -s "$recipe" <(roots_recipe "$1")
}

# roots_possible VERSION: fails, saying why, where the root can be neither used nor made.
roots_possible() {
  local free
  ((EUID == 0)) || { echo 'only root can enter a root'; return 1; }
  unshare --mount --pid --fork true 2>/dev/null || { echo 'no namespaces are allowed here'; return 1; }
  ! roots_fresh "$1" || return 0
  command -v debootstrap >/dev/null || (apt_get update && apt_get install -y debootstrap) >/dev/null 2>&1 ||
    { echo 'debootstrap cannot be installed'; return 1; }
  [[ -n $(root_mirror) ]] || { echo 'apt knows no Debian mirror'; return 1; }
  mkdir -p "$ROOTS"
  free=$(df --output=avail -k "$ROOTS" | tail -n 1)
  ((free > 3 * 1024 * 1024)) || { echo "less than 3 GB are free in $ROOTS"; return 1; }
}

# roots_ensure VERSION: makes the root unless there is a fresh one.
roots_ensure() {
  local version=$1 folder new
  ! roots_fresh "$version" || return 0
  folder=$(roots_folder "$version")
  new=$folder.new
  mkdir -p "$ROOTS"
  root_make "$new" "$(roots_suite "$version")" || return
  printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' \
    >"$new/etc/dpkg/dpkg.cfg.d/redoubt"
  roots_enter "$new" apt-get -q update || return
  roots_enter "$new" apt-get -q -y --no-install-recommends install \
    "postgresql-$version" "postgresql-server-dev-$version" "${ROOTS_PACKAGES[@]}" || return
  roots_enter "$new" apt-get -q clean || return
  roots_recipe "$version" >"$new/.recipe"
  rm -rf --one-file-system -- "$folder"
  mv "$new" "$folder"
}

# roots_enter FOLDER COMMAND...: root_run as a job of its own, which roots_stop can end.
roots_enter() {
  local status=0
  set -m
  root_run "$@" &
  ROOTS_JOB=$!
  set +m
  wait "$ROOTS_JOB" || status=$?
  ROOTS_JOB=''
  return "$status"
}

# roots_stop: ends what runs in a root, servers and mounts included.
roots_stop() { [[ -z $ROOTS_JOB ]] || kill -KILL -- "-$ROOTS_JOB" 2>/dev/null || true; }

# roots_copy_tree VERSION SOURCE: the tree's files as /redoubt/tree, and a place for the workspace.
roots_copy_tree() {
  local work
  work=$(roots_folder "$1")/redoubt
  rm -rf -- "$work/tree"
  mkdir -p "$work/tree" "$work/space"
  (tree_files "$2") | tar -C "$2" --null -T - -cf - | tar -C "$work/tree" -xf -
  chmod 755 "$work" "$work/tree"
}
