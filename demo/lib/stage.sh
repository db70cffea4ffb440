# shellcheck shell=bash disable=SC2034  # story.sh reads what is set here
# stage.sh - how demo/run tells its story: steps, SQL shown as it runs, expectations.
#
# Every expectation runs SQL as one role, in a session of its own, shows the SQL
# and the first lines of what came back, and notes the outcome; outcomes_table
# prints them all.  The last output stays in OUT (rows) and ERR (messages) for
# further expectations.  Needs test/lib.  DATABASE is the database in use,
# SHOWN_LINES how much of an output is shown.

DATABASE=support
SHOWN_LINES=9
SHOWN_WIDTH=132
STEP=''
OUTCOMES=()
BROKEN=0

# stage_open: where the last output lies.  HARVEST collects all that the rogue gets.
stage_open() {
  OUT=$WORKSPACE/out
  ERR=$WORKSPACE/err
  HARVEST=$WORKSPACE/harvest
  SECRETS=$WORKSPACE/secrets
  : >"$HARVEST"
}

# step NUMBER TEXT: a heading.
step() {
  STEP="$1. $2"
  heading "$STEP"
}

# say TEXT: one sentence of the story.
say() { printf '\n--- %s\n' "$*"; }

# outcome WHAT OTHERWISE COMMAND...: notes that WHAT turned out as told if COMMAND
# succeeds; if not, OTHERWISE says what came instead.
outcome() {
  local what=$1 otherwise=$2 mark=ok
  shift 2
  if ! "$@"; then
    mark='NOT AS TOLD'
    what="$what ($otherwise)"
    BROKEN=$((BROKEN + 1))
  fi
  OUTCOMES+=("$STEP"$'\t'"$mark"$'\t'"$what")
  printf '    [%s] %s\n' "$mark" "$what"
}

# matches TEXT PATTERN: TEXT matches the shell PATTERN.
matches() {
  # shellcheck disable=SC2053  # a pattern is meant
  [[ $1 == $2 ]]
}

# show_first FILE: the first lines of FILE, cut to the width of a terminal.
show_first() {
  local LC_ALL=C.UTF-8 line lines limit=$SHOWN_LINES
  ((limit > 0)) || return 0
  lines=$(wc -l <"$1")
  # Two more lines are hardly more to read than the note that they are missing.
  ((lines > limit + 2)) || limit=$lines
  while IFS= read -r line; do
    ((${#line} <= SHOWN_WIDTH)) || line="${line:0:SHOWN_WIDTH-1}…"
    printf '%s\n' "$line"
  done < <(head -n "$limit" "$1")
  ((lines == limit)) || printf '... and %d more lines\n' $((lines - limit))
}

# sql ROLE: runs the SQL of standard input as ROLE, shows both.  Sets SQLSTATE
# ("" where there was no error) and SECONDS_TAKEN.
sql() {
  local role=$1 text begin end
  text=$(cat)
  printf '\n'
  sed "1s/^/$role@$DATABASE=> /;2,\$s/^\(.\)/    \1/" <<<"$text"
  begin=${EPOCHREALTIME/[.,]/}
  # stderr is only what psql says, so ERR never mixes with rows.
  as_user timeout --kill-after=5 100 "$PG_BIN/psql" -X -q -U "$role" -d "$DATABASE" -v ON_ERROR_STOP=1 \
    -v VERBOSITY=verbose -P pager=off -P null='(none)' -P linestyle=ascii -f - <<<"$text" >"$OUT" 2>"$ERR" || true
  end=${EPOCHREALTIME/[.,]/}
  SECONDS_TAKEN=$(printf '%d.%02d' $(((end - begin) / 1000000)) $(((end - begin) / 10000 % 100)))
  SQLSTATE=$(sed -n 's/.*\(ERROR\|FATAL\): *\([0-9A-Z]\{5\}\): .*/\2/p' "$ERR" | head -n 1)
  # psql's own errors (no connection, bad file) have no SQLSTATE.
  if [[ -z $SQLSTATE ]] && grep -q 'error:' "$ERR"; then
    SQLSTATE='psql'
  fi
  sed -i -e '/^LOCATION:/d' -e '/^psql:<stdin>:[0-9]*: LOCATION:/d' -e 's/^psql:<stdin>:[0-9]*: //' "$ERR"
  show_first "$OUT"
  show_first "$ERR"
  if [[ $role == rogue ]]; then
    cat "$OUT" "$ERR" >>"$HARVEST"
  fi
}

# shell PROGRAM ARGUMENT...: runs a program of PostgreSQL's, shown as one would
# type it.  Fails as the program does.
shell() {
  local program=$1 status=0
  shift
  printf '\n$ %s\n' "$program $*"
  as_user "$PG_BIN/$program" "$@" >"$OUT" 2>"$ERR" </dev/null || status=$?
  ((status == 0)) || show_first "$ERR"
  return "$status"
}

# ask QUERY: one value, as superuser, not shown; for the stage's own book-keeping.
ask() {
  as_user "$PG_BIN/psql" -X -q -A -t -d "$DATABASE" -v ON_ERROR_STOP=1 -c "$1" </dev/null
}

# expect_ok WHAT ROLE: the SQL of standard input runs without an error.
expect_ok() {
  sql "$2"
  outcome "$1" "came error $SQLSTATE" test -z "$SQLSTATE"
}

# expect_error SQLSTATE WHAT ROLE: it ends with that error; SQLSTATE is a pattern.
expect_error() {
  sql "$3"
  outcome "$2" "expected $1, came ${SQLSTATE:-no error}" matches "$SQLSTATE" "$1"
}

# expect_rows COUNT WHAT ROLE: it runs without an error and prints COUNT rows in all.
expect_rows() {
  sql "$3"
  local rows
  rows=$(sed -n 's/^(\([0-9]*\) rows\{0,1\})$/\1/p' "$OUT" | awk '{ n += $1 } END { print n + 0 }')
  outcome "$2" "expected $1 rows, came $rows${SQLSTATE:+ and error $SQLSTATE}" test "$rows$SQLSTATE" = "$1"
}

# expect_text TEXT WHAT: the last output holds TEXT.
expect_text() {
  outcome "$2" 'the text is missing' grep -q -F -e "$1" "$OUT"
}

# expect_no_plaintext WHAT [FILE]: FILE (by default the last rows) is not empty, and
# neither it nor the last messages hold any customer's e-mail address, name or
# telephone number.
expect_no_plaintext() {
  local file=${2:-$OUT} found
  found=$(cat "$file" "$ERR" | grep -c -F -f "$SECRETS" || true)
  [[ -s $file ]] || found='no output, so no'
  outcome "$1" "$found lines hold plaintext" test "$found" = 0
}

# expect_true WHAT COMMAND...: COMMAND succeeds.
expect_true() {
  local what=$1
  shift
  outcome "$what" 'it is not so' "$@"
}

# harvested: how many different customers' e-mail addresses the rogue has in hand.
harvested() {
  { grep -o -E '[[:alnum:]._+-]+@[[:alnum:].-]+' "$HARVEST" || true; } | sort -u | comm -12 - "$SECRETS.email" | wc -l
}

# outcomes_table: every outcome; fails if one did not turn out as told.
outcomes_table() {
  heading 'Outcomes'
  local line step last='' mark what
  for line in "${OUTCOMES[@]}"; do
    IFS=$'\t' read -r step mark what <<<"$line"
    [[ $step == "$last" ]] || printf '\n  %s\n' "$step"
    last=$step
    printf '     %-12s %s\n' "$mark" "$what"
  done
  printf '\n%d of %d turned out as told\n' $((${#OUTCOMES[@]} - BROKEN)) "${#OUTCOMES[@]}"
  ((BROKEN == 0 && ${#OUTCOMES[@]} > 0))
}
