# shellcheck shell=bash
# root.sh - the Debian roots of test/compat/run: making them, running in them.
#
# A root is a folder with a Debian of its own.  Commands run in it through unshare
# and chroot, in namespaces of mounts, processes and shared memory of their own:
# /proc and a small /dev are mounted there only, and with the first process of
# the namespace everything in it ends, servers included.
# Needs console.sh, packages.sh and workspace.sh, and to be root.

ROOTS=${REDOUBT_ROOTS:-/var/cache/redoubt/roots}
ROOT_DAYS=30
ROOT_PACKAGES=(g++ clang make cmake libssl-dev openssl googletest libgtest-dev libgmock-dev libbenchmark-dev perl
  libipc-run-perl strace)
ROOT_PROCESS=''  # of what runs in a root right now

root_suite() {
  case $1 in
    15) echo bookworm ;;
    17) echo trixie ;;
    18) echo sid ;;
  esac
}

root_folder() { printf '%s/%s-%s\n' "$ROOTS" "$(root_suite "$1")" "$1"; }

# root_recipe VERSION: what the root is made of; a root with another recipe is stale.
root_recipe() {
  printf '%s\n' "$(root_suite "$1")" "postgresql-$1" "postgresql-server-dev-$1" "${ROOT_PACKAGES[@]}"
}

root_fresh() {
  local stamp
  stamp=$(root_folder "$1")/.recipe
  [[ -e $stamp && -z $(find "$stamp" -mtime "+$ROOT_DAYS") ]] && cmp -s "$stamp" <(root_recipe "$1")
}

# root_mirror: the Debian mirror of this machine's own apt sources.
root_mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^ *#' |
    grep -m 1 -o -E 'https?://[^ ]+/debian/?( |$)' | tr -d ' '
}

# root_possible VERSION: fails, saying why, where the root can be neither used nor made.
root_possible() {
  local free
  ((EUID == 0)) || { echo 'only root can enter a root'; return 1; }
  unshare --mount --pid --ipc --fork true 2>/dev/null || { echo 'this machine allows no namespaces'; return 1; }
  ! root_fresh "$1" || return 0
  command -v debootstrap >/dev/null || { echo 'debootstrap is not installed'; return 1; }
  [[ -n $(root_mirror) ]] || { echo 'apt has no Debian mirror here'; return 1; }
  mkdir -p "$ROOTS"
  free=$(df --output=avail -k "$ROOTS" | tail -n 1)
  ((free > 3 * 1024 * 1024)) || { echo "less than 3 GB are free in $ROOTS"; return 1; }
}

# root_enter FOLDER COMMAND...: runs COMMAND in the root, in namespaces of its own.
root_enter() {
  local folder=$1 status=0
  shift
  # shellcheck disable=SC2016  # the inner shell expands it
  unshare --mount --pid --ipc --fork --kill-child --propagation private bash -euc '
    folder=$1
    shift
    mount -t proc proc "$folder/proc"
    mount -t tmpfs -o mode=755 tmpfs "$folder/dev"
    for device in null zero full random urandom; do
      : >"$folder/dev/$device"
      mount --bind "/dev/$device" "$folder/dev/$device"
    done
    mkdir -m 1777 "$folder/dev/shm"
    ln -s /proc/self/fd "$folder/dev/fd"
    exec chroot "$folder" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
      DEBIAN_FRONTEND=noninteractive "$@"' - "$folder" "$@" &
  ROOT_PROCESS=$!
  wait "$ROOT_PROCESS" || status=$?
  ROOT_PROCESS=''
  return "$status"
}

# root_stop: ends what runs in a root.  unshare itself takes no other signal.
root_stop() { [[ -z $ROOT_PROCESS ]] || kill -KILL "$ROOT_PROCESS" 2>/dev/null || true; }

root_run() {
  local version=$1
  shift
  root_enter "$(root_folder "$version")" "$@"
}

# root_run_bounded VERSION SECONDS COMMAND...
root_run_bounded() {
  local version=$1 seconds=$2
  shift 2
  root_run "$version" timeout --kill-after=15 "$seconds" "$@"
}

# root_ensure VERSION: makes the root unless there is a fresh one.
root_ensure() {
  root_fresh "$1" || root_make "$1"
}

# root_make VERSION: in a folder beside, which takes the place of the old root when it is complete.
root_make() {
  local version=$1 folder new
  folder=$(root_folder "$version")
  new=$folder.new
  rm -rf --one-file-system -- "$new"
  mkdir -p "$ROOTS"
  debootstrap --variant=minbase "$(root_suite "$version")" "$new" "$(root_mirror)" || return
  printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' \
    >"$new/etc/dpkg/dpkg.cfg.d/redoubt"
  printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"  # no service is started
  chmod 755 "$new/usr/sbin/policy-rc.d"
  mkdir -p "$new/etc/postgresql-common" "$new/work"
  echo 'create_main_cluster = false' >"$new/etc/postgresql-common/createcluster.conf"
  root_enter "$new" apt-get -q -y --no-install-recommends install \
    "postgresql-$version" "postgresql-server-dev-$version" "${ROOT_PACKAGES[@]}" || return
  root_enter "$new" apt-get -q clean || return
  root_recipe "$version" >"$new/.recipe"
  rm -rf --one-file-system -- "$folder"
  mv "$new" "$folder"
}

# root_copy_tree VERSION SOURCE: the tree's files as /work/tree, and a place for the workspace.
root_copy_tree() {
  local work
  work=$(root_folder "$1")/work
  rm -rf -- "$work/tree"
  mkdir -p "$work/tree" "$work/space"
  (tree_files "$2") | tar -C "$2" --null -T - -cf - | tar -C "$work/tree" -xf -
  chmod 755 "$work" "$work/tree"
}
