# shellcheck shell=bash
# workspace.sh - a throw-away copy of the tree, owned by a user who may run a server.
#
# PostgreSQL refuses to run as root, so when root calls, everything is built and
# run by the user "postgres" in a copy; otherwise by the caller, in a copy too,
# so that the source tree stays as it is.  Needs console.sh and packages.sh.
# Sets WORKSPACE, TREE (the copy) and RUN_USER.

# as_user COMMAND...: runs COMMAND as the unprivileged user, in the copy.
as_user() {
  (
    cd "$TREE" || exit
    export HOME=$WORKSPACE LC_ALL=C.UTF-8
    unset PGDATABASE PGHOSTADDR PGSERVICE PGPASSFILE PGOPTIONS PSQLRC
    if ((EUID == 0)); then
      exec runuser -u "$RUN_USER" -- "$@"
    else
      exec "$@"
    fi
  )
}

# tree_files ROOT: NUL-separated names of the files of the tree, without what
# git ignores; where ROOT is no repository (an unpacked release), all of them.
tree_files() {
  cd "$1" || return
  if [[ -e .git ]] && command -v git >/dev/null; then
    git -c safe.directory="$1" ls-files -z --cached --others --exclude-standard |
      while IFS= read -r -d '' file; do
        [[ ! -e $file ]] || printf '%s\0' "$file"
      done
  else
    find . -type f -not -path './.git/*' -printf '%P\0'
  fi
}

# copy_changed ROOT: copies the files named on standard input (NUL-separated) from
# ROOT to TREE, but those that are the same already.  A copy is as new as it is:
# with the time of the original, make would not compile what was edited between
# the last copy and the last compilation.
copy_changed() {
  local file
  while IFS= read -r -d '' file; do
    cmp -s "$1/$file" "$TREE/$file" && continue
    mkdir -p "$TREE/$(dirname "$file")"
    cp --preserve=mode "$1/$file" "$TREE/$file"
  done
}

# workspace_open ROOT [FOLDER]: copies the tree.  With FOLDER the copy is kept
# there between runs, so that only what changed is compiled again.
workspace_open() {
  local root=$1
  RUN_USER=$(id -un)
  if ((EUID == 0)); then
    RUN_USER=postgres
    id "$RUN_USER" >/dev/null 2>&1 || RUN_USER=nobody
  fi
  if [[ -n ${2:-} ]]; then
    mkdir -p "$2"
    WORKSPACE=$(cd "$2" && pwd)
  else
    WORKSPACE=$(mktemp -d "${TMPDIR:-/tmp}/redoubt.XXXXXX")
  fi
  TREE=$WORKSPACE/tree
  mkdir -p "$TREE" "$WORKSPACE/logs"

  local new=$WORKSPACE/files.new old=$WORKSPACE/files
  (tree_files "$root") | sort -z >"$new"
  [[ -s $new ]] || die "there are no files in $root"
  if [[ -e $old ]]; then
    comm -z -13 "$new" "$old" | (cd "$TREE" && xargs -0 -r rm -f --)
  fi
  mv "$new" "$old"
  copy_changed "$root" <"$old"
  if ((EUID == 0)); then
    chown -R "$RUN_USER:" "$WORKSPACE"
  fi
  chmod 700 "$WORKSPACE"
}

# workspace_close: removes a workspace made by workspace_open without a FOLDER.
workspace_close() {
  [[ -n ${WORKSPACE:-} && $WORKSPACE == "${TMPDIR:-/tmp}"/redoubt.?????? ]] || return 0
  rm -rf -- "$WORKSPACE"
}

# extension_build: compiles the extension.
extension_build() {
  as_user timeout --kill-after=15 $((1500 * PATIENCE)) make -j2 "PG_CONFIG=$PG_CONFIG" WERROR=-Werror all
}

# extension_install: what a DBA does, make install.
extension_install() {
  as_root make -C "$TREE" "PG_CONFIG=$PG_CONFIG" install
}
