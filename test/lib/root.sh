# shellcheck shell=bash
# root.sh - throw-away Debian systems in a folder (debootstrap), entered by chroot.
#
# Only root can make and enter them.  Nothing of the machine is seen inside but /proc and /dev, which are mounted while a
# command runs and unmounted after it.  The mirror is the one that the machine's own apt uses.
# Needs console.sh and packages.sh.

# root_mirror: the Debian mirror that apt is set up with, not one of security or other updates.
root_mirror() {
  # shellcheck disable=SC2016  # apt expands it
  apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' |
    awk '$2 !~ /-/ { print $1; exit }'
}

# root_sources SUITE: lines of sources.list for SUITE; if it is the machine's own, with its security and other updates.
root_sources() {
  # shellcheck disable=SC2016  # apt expands it
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    awk -v suite="$1" '$3 == suite || index($3, suite "-") == 1' | sort -u | grep . || echo "deb $(root_mirror) $1 main"
}

# root_make FOLDER SUITE [PACKAGE...]: a system of that Debian release with those packages besides the essential ones.
root_make() {
  local folder=$1 suite=$2 mirror
  shift 2
  mirror=$(root_mirror)
  [[ -n $mirror ]] || { echo 'apt knows no Debian mirror'; return 1; }
  rm -rf --one-file-system -- "$folder"
  debootstrap --variant=minbase ${1:+--include="$(IFS=,; echo "$*")"} "$suite" "$folder" "$mirror" || return
  root_sources "$suite" >"$folder/etc/apt/sources.list"
  # A mirror may lag behind by more than the weeks for which sid's index is valid.
  echo 'Acquire::Check-Valid-Until "false";' >"$folder/etc/apt/apt.conf.d/redoubt-test"
  # No service starts by itself, and the server's package makes no cluster.
  printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
  chmod 755 "$folder/usr/sbin/policy-rc.d"
  mkdir -p "$folder/etc/postgresql-common/createcluster.d"
  echo 'create_main_cluster = false' >"$folder/etc/postgresql-common/createcluster.d/redoubt-test.conf"
}

# root_run FOLDER COMMAND...: COMMAND inside, as root, in a mount and process namespace of its own: what it leaves
# running or mounted ends with it.
root_run() {
  local folder=$1
  shift
  # shellcheck disable=SC2016  # the inner shell expands it
  unshare --mount --pid --fork --kill-child -- bash -euc '
    folder=$1
    shift
    mount -t proc proc "$folder/proc"
    mount --rbind /dev "$folder/dev"
    exec chroot "$folder" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' - "$folder" "$@"
}
