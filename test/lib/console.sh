# shellcheck shell=bash
# console.sh - what every script of the project says and how long it may take.
#
# Sourced by test/run and demo/run.  It holds no state and starts nothing; the
# other files of test/lib build on it.

# How many times as long as usual everything may take, on a slow machine or server.
# shellcheck disable=SC2034  # groups.sh reads it
PATIENCE=${REDOUBT_PATIENCE:-1}

# heading TEXT: a line that the eye finds when scrolling through a CI log.
heading() { printf '\n=== %s\n' "$*"; }

# note TEXT: one indented line of information.
note() { printf '    %s\n' "$*"; }

# die TEXT: the script cannot go on.
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# bounded SECONDS COMMAND...: runs COMMAND, never longer than SECONDS.
bounded() {
  local seconds=$1
  shift
  timeout --kill-after=15 "$seconds" "$@"
}

# show_tail LINES FILE: the end of a log, indented, for a failure report.
show_tail() {
  [[ -s $2 ]] || return 0
  printf '    --- last lines of %s\n' "${2##*/}"
  tail -n "$1" "$2" | sed 's/^/    | /'
}
