# shellcheck shell=bash
# counts.sh - turns the output of each kind of test tool into passed, failed, skipped.
#
# A tool that ends with an error although no test of its output failed counts as
# one failure, and so does a group in which no test ran: a suite that vanishes is
# a defect.  Needs console.sh.  Owns PASSED, FAILED and SKIPPED, the totals, and
# FAILURES, what failed by name.

PASSED=0
FAILED=0
SKIPPED=0
FAILURES=()

# counts_line PASSED FAILED SKIPPED: the line that people and CI read.
counts_line() {
  if (($3 > 0)); then
    printf '%d passed, %d failed, %d skipped\n' "$1" "$2" "$3"
  else
    printf '%d passed, %d failed\n' "$1" "$2"
  fi
}

# counts_failures: a line "FAILED NAME" for each failure, right before the closing
# line: of a long log, people and CI keep the end.
counts_failures() {
  ((${#FAILURES[@]} == 0)) || printf 'FAILED %s\n' "${FAILURES[@]}"
}

# counts_add NAME PASSED FAILED SKIPPED: prints one group's counts and adds them up.
counts_add() {
  printf '    %s: %s\n' "$1" "$(counts_line "$2" "$3" "$4")"
  (($3 == 0)) || FAILURES+=("$1: $3")
  PASSED=$((PASSED + $2))
  FAILED=$((FAILED + $3))
  SKIPPED=$((SKIPPED + $4))
}

# counts_skip NAME REASON: says loudly that something did not run.
counts_skip() {
  printf '    !!! SKIPPED %s: %s\n' "$1" "$2"
  counts_add "$1" 0 0 1
}

# counts_judge NAME STATUS PASSED FAILED SKIPPED: counts_add, where a tool's exit
# STATUS and an empty result are failures even if no test says so.  Fails when
# anything failed, so that the caller can show the logs.
counts_judge() {
  local name=$1 status=$2 passed=$3 failed=$4 skipped=$5
  if ((failed == 0 && status != 0)); then
    failed=1
    note "$name ended with status $status"
  elif ((passed + failed + skipped == 0)); then
    failed=1
    note "$name ran no test"
  fi
  counts_add "$name" "$passed" "$failed" "$skipped"
  ((failed == 0))
}

# counts_name NAME COMMAND...: what COMMAND prints, a line for each test that failed, goes to
# FAILURES in the place of NAME's count.
counts_name() {
  local name=$1 lines
  shift
  mapfile -t lines < <("$@")
  ((${#lines[@]} == 0)) || FAILURES=("${FAILURES[@]:0:${#FAILURES[@]}-1}" "${lines[@]/#/$name: }")
}

# count_ctest FILE: "passed failed skipped" from ctest --output-junit.
count_ctest() {
  perl -0777 -ne '
    my ($suite) = /<testsuite\b([^>]*)>/ or last;
    my %n = $suite =~ /\b(tests|failures|skipped|disabled)="(\d+)"/g;
    my $skipped = ($n{skipped} // 0) + ($n{disabled} // 0);
    printf "%d %d %d\n", $n{tests} - $n{failures} - $skipped, $n{failures}, $skipped;
    $done = 1;
    END { print "0 0 0\n" unless $done }' "$1" 2>/dev/null || echo '0 0 0'
}

# count_regress FILE: the same from pg_regress or pg_isolation_regress; up to
# version 15 "test NAME ... ok", from 16 on TAP.
count_regress() {
  awk '/^not ok / || / \.\.\. FAILED/ { failed++ }
       /^ok / || / \.\.\. ok / { passed++ }
       END { print passed + 0, failed + 0, 0 }' "$1"
}

# count_tap FILE: the same from prove --verbose; subtests are indented and not counted.
count_tap() {
  awk '/^(not )?ok .*# TODO/ { next }
       /^ok .*# [Ss][Kk][Ii][Pp]/ || /^1\.\.0 # [Ss][Kk][Ii][Pp]/ { skipped++; next }
       /^not ok / { failed++ }
       /^ok [0-9]/ { passed++ }
       END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

# failed_tap FILE: the tests that failed, "FILE: NAME" each, from the same output.
failed_tap() {
  awk '/^(\[[0-9:]+\] )?test\/tap\// { file = $0; sub(/^\[[0-9:]+\] /, "", file); sub(/\.pl .*/, ".pl", file) }
       /^not ok / && !/# TODO/ { sub(/^not ok [0-9]* *-? */, ""); print file ": " $0 }
       /^Dubious, / { print file ": " $0 }' "$1"
}

# failed_regress FILE: the same from pg_regress.
failed_regress() {
  awk '/^not ok / { sub(/^not ok [0-9]+ *[-+] */, ""); print $1 }
       / \.\.\. FAILED/ { sub(/^test */, ""); print $1 }' "$1"
}

# count_kat FILE: "passed failed skipped" from kat's closing line, "N passed, N failed[, N skipped]".
count_kat() {
  awk '/^[0-9]+ passed, [0-9]+ failed/ { passed = $1; failed = $3; skipped = $5 }
       END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}
