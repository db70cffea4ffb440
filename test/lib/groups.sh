# shellcheck shell=bash
# groups.sh - the groups of tests that test/run knows, one function group_NAME each.
#
# Every group builds what it needs (once), runs its tool in the copy of the tree
# as the unprivileged user, shows the logs of what failed and leaves its counts
# with counts.sh.  Needs all other files of test/lib, and ROOT, the source tree.

# Everything, in the order of rising cost.
# shellcheck disable=SC2034  # test/run reads it
GROUPS_ALL=(style unit vectors sanitize symbols regress isolation metering fuzz sqlsmith tap package)
# And by name, for test/compat: with other versions nobody looks at the style, of which clang's warnings are a part.
# shellcheck disable=SC2034
GROUPS_MORE=(clang)

# What prepare_once has done: title -> "ok" or "failed".
declare -A PREPARED=()

# prepare_once TITLE LOG COMMAND...: runs COMMAND the first time; later calls
# repeat the result.  The preparation is itself counted, as one test.
prepare_once() {
  local title=$1 log=$2
  shift 2
  if [[ -z ${PREPARED[$title]:-} ]]; then
    if "$@"; then
      PREPARED[$title]=ok
      counts_add "$title" 1 0 0
    else
      PREPARED[$title]=failed
      counts_add "$title" 0 1 0
      show_tail 60 "$log"
    fi
  fi
  [[ ${PREPARED[$title]} == ok ]]
}

# cmake_build FOLDER TARGET OPTION...: configures the core in TREE/FOLDER and builds TARGET.
cmake_build() {
  local folder=$1 target=$2
  shift 2
  # shellcheck disable=SC2016  # the inner shell expands it
  as_user timeout --kill-after=15 $((1500 * PATIENCE)) bash -euc '
    folder=$1
    target=$2
    shift 2
    cmake -S . -B "$folder" "$@"
    cmake --build "$folder" --parallel 2 --target "$target"' - "$folder" "$target" "$@" >"$WORKSPACE/logs/$folder.log" 2>&1
}

need_core() {
  prepare_once 'core builds' "$WORKSPACE/logs/build.log" cmake_build build all
}

need_sanitized() {
  prepare_once 'core builds with ASan and UBSan' "$WORKSPACE/logs/build-asan.log" \
    cmake_build build-asan all -DSANITIZE=ON -DCMAKE_BUILD_TYPE=Debug '-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1'
}

need_fuzzers() {
  prepare_once 'fuzz targets build' "$WORKSPACE/logs/build-fuzz.log" \
    cmake_build build-fuzz fuzzers -DFUZZ=ON -DCMAKE_CXX_COMPILER=clang++
}

need_extension() {
  prepare_once 'extension builds and installs' "$WORKSPACE/logs/extension.log" extension_ready
}

extension_ready() {
  (extension_build && extension_install) >"$WORKSPACE/logs/extension.log" 2>&1
}

# run_ctest FOLDER NAME: the unit tests built in TREE/FOLDER.
run_ctest() {
  local folder=$1 name=$2 log=$WORKSPACE/logs/$1-ctest.log status=0
  local junit=$WORKSPACE/logs/$folder-junit.xml
  rm -f "$junit"
  as_user timeout --kill-after=15 $((900 * PATIENCE)) ctest --test-dir "$folder" --output-on-failure --timeout 300 \
    --output-junit "$junit" >"$log" 2>&1 || status=$?
  # shellcheck disable=SC2046  # three numbers, three words
  counts_judge "$name" "$status" $(count_ctest "$junit") || show_tail 80 "$log"
}

# run_kat FOLDER FILE...: known-answer vectors through TREE/FOLDER/kat.
run_kat() {
  local folder=$1 file name log status
  shift
  for file in "$@"; do
    name=${file##*/}
    log=$WORKSPACE/logs/$folder-$name.log
    status=0
    # A copy, because the unprivileged user may not be able to read FILE where it lies.
    cp "$file" "$WORKSPACE/vectors.tsv"
    chmod 644 "$WORKSPACE/vectors.tsv"
    as_user timeout --kill-after=15 $((600 * PATIENCE)) "$folder/kat" "$WORKSPACE/vectors.tsv" >"$log" 2>&1 || status=$?
    # shellcheck disable=SC2046
    counts_judge "$name" "$status" $(count_kat "$log") || show_tail 20 "$log"
  done
}

group_unit() {
  heading 'Unit tests of the core'
  need_core && run_ctest build 'unit tests'
}

group_vectors() {
  heading 'Known-answer vectors'
  need_core || return 0
  local own=("$TREE"/test/vectors/*.tsv) shared=("$ROOT"/../shared/vectors/*.tsv)
  if [[ -e ${own[0]} ]]; then
    run_kat build "${own[@]}"
  else
    counts_judge test/vectors 0 0 0 0 || true
  fi
  if [[ -e ${shared[0]} ]]; then
    run_kat build "${shared[@]}"
  else
    counts_skip '../shared/vectors' 'no such vectors on this machine'
  fi
}

group_sanitize() {
  heading 'The core under AddressSanitizer and UndefinedBehaviorSanitizer'
  need_sanitized || return 0
  run_ctest build-asan 'unit tests, sanitized'
  local own=("$TREE"/test/vectors/*.tsv)
  [[ ! -e ${own[0]} ]] || run_kat build-asan "${own[@]}"
}

# Each target for a minute, or REDOUBT_FUZZ_SECONDS (up to 240), two at a time.  Inputs that reach new code are kept with
# the workspace, and the next run begins with them.
group_fuzz() {
  heading 'Fuzz targets of the core (libFuzzer)'
  if ! fuzzer_ensure; then
    counts_skip fuzz 'clang with libFuzzer (packages clang, libclang-rt-dev) is not installed and cannot be'
    return 0
  fi
  need_fuzzers || return 0
  local targets target
  mapfile -t targets < <(cd "$TREE" && find test/fuzz -name '*_fuzz.cpp' -printf '%f\n' | sed 's/\.cpp$//' | sort)
  as_user mkdir -p "$WORKSPACE/fuzz"
  # shellcheck disable=SC2016  # the inner shell expands it
  run_per_file fuzz "$WORKSPACE/logs/fuzz.log" bash -euc '
    folder=$1/$3
    mkdir -p "$folder/corpus"
    build-fuzz/$3 "-max_total_time=$2" -timeout=30 -rss_limit_mb=2048 "-artifact_prefix=$folder/" "$folder/corpus" >"$folder/log" 2>&1 || {
      status=$?
      tail -n 60 "$folder/log"
      exit "$status"
    }' - "$WORKSPACE/fuzz" "${REDOUBT_FUZZ_SECONDS:-60}" -- "${targets[@]}"
  for target in "${targets[@]}"; do
    note "$target: $(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\) second.*/\1 inputs in \2 s/p' "$WORKSPACE/fuzz/$target/log" 2>/dev/null)"
  done
}

# Names that the library exports, without those that PG_FUNCTION_INFO_V1 adds to a
# function that is itself in the list, and without what is in namespace std: its
# headers make their inline functions and tables visible whatever the compiler is told.
exported_symbols() {
  nm -D --defined-only "$TREE/redoubt.so" | awk '{ print $NF }' | grep -v -E '^_Z(TI|TS|TV|GV|Z)?N?K?St' | sort -u |
    awk '{ name[NR] = $0; seen[$0] = 1 }
         END { for (i = 1; i <= NR; i++) {
                 plain = name[i]
                 if (!sub(/^pg_finfo_/, "", plain) || !(plain in seen)) print name[i] } }'
}

# installed_library_is_stripped: `make install` leaves the debug symbols behind, and says where.
installed_library_is_stripped() {
  local stage=$WORKSPACE/stage library
  as_user rm -rf "$stage"
  as_user make -s -C "$TREE" "PG_CONFIG=$PG_CONFIG" "DESTDIR=$stage" install install-debug || return
  library=$stage$("$PG_CONFIG" --pkglibdir)/redoubt.so
  # One MB as PostgreSQL counts; a tenth more where the server's flags harden every function (-fcf-protection,
  # -fstack-clash-protection), as Debian's do from 17 on.
  local most=$((1024 * 1024))
  [[ $("$PG_CONFIG" --cflags) != *-fcf-protection* ]] || most=$((most * 11 / 10))
  (($(stat -c %s "$library") < most)) || { echo "redoubt.so has $(stat -c %s "$library") bytes"; return 1; }
  readelf -p .gnu_debuglink "$library" | grep redoubt.so.debug && readelf -S "$library.debug" | grep .debug_info
}

group_symbols() {
  heading 'Exported symbols'
  need_extension || return 0
  local log=$WORKSPACE/logs/symbols.log status=0
  diff -u --label 'test/exported_symbols' --label 'redoubt.so' \
    <(grep -v -e '^#' -e '^$' "$TREE/test/exported_symbols" | LC_ALL=C sort) \
    <(exported_symbols | LC_ALL=C sort) >"$log" 2>&1 || status=$?
  installed_library_is_stripped >>"$log" 2>&1 || status=$?
  if ((status == 0)); then
    counts_add 'exported symbols' 1 0 0
  else
    counts_add 'exported symbols' 0 1 0
    show_tail 40 "$log"
  fi
}

# The extension as clang sees it; g++ built what is tested.
group_clang() {
  heading 'The extension with clang'
  if ! command -v clang++ >/dev/null; then
    counts_skip clang 'clang++ is not installed'
    return 0
  fi
  local log=$WORKSPACE/logs/clang.log status=0
  as_user rm -rf "$WORKSPACE/clang"  # of an earlier run, with files that are gone
  as_user mkdir "$WORKSPACE/clang"
  as_user tar --null -T "$WORKSPACE/files" -cf - | as_user tar -C "$WORKSPACE/clang" -xf -
  as_user timeout --kill-after=15 $((1500 * PATIENCE)) make -j2 -C "$WORKSPACE/clang" "PG_CONFIG=$PG_CONFIG" CC=clang CXX=clang++ WERROR=-Werror all \
    >"$log" 2>&1 || status=$?
  if ((status == 0)); then
    counts_add clang 1 0 0
  else
    counts_add clang 0 1 0
    show_tail 40 "$log"
  fi
}

# need_server: the throw-away server of the regress and isolation groups.
need_server() {
  need_extension && prepare_once 'server starts' "$WORKSPACE/logs/server.log" server_start
}

# run_pg_regress NAME DIFFS MAKE-ARGUMENT...: pg_regress or pg_isolation_regress
# through make installcheck.
run_pg_regress() {
  local name=$1 diffs=$2 log=$WORKSPACE/logs/$1.log status=0
  shift 2
  as_user timeout --kill-after=15 $((900 * PATIENCE)) make installcheck "PG_CONFIG=$PG_CONFIG" "$@" >"$log" 2>&1 || status=$?
  grep -E ' \.\.\. |^(not )?ok ' "$log" | sed 's/^/    /' || true
  # shellcheck disable=SC2046
  if ! counts_judge "$name" "$status" $(count_regress "$log"); then
    show_tail 40 "$WORKSPACE/server/log"
    show_tail 15 "$log"
    show_tail 400 "$TREE/$diffs"
    counts_name "$name" failed_regress "$log"
  fi
}

group_regress() {
  heading 'Regression tests (pg_regress)'
  need_server && run_pg_regress regress regression.diffs ISOLATION= TAP_TESTS=
}

group_isolation() {
  heading 'Isolation tests (pg_isolation_regress)'
  need_server && run_pg_regress isolation output_iso/regression.diffs REGRESS= TAP_TESTS=
}

# The corpus of what reads cost has a runner of its own, with a server of its
# own; it gets a copy of what is built here.
group_metering() {
  heading 'Metering: what each way to read a column costs'
  need_extension || return 0
  local log=$WORKSPACE/logs/metering.log status=0
  as_user rm -rf "$WORKSPACE/metering"  # of an earlier run in a kept workspace
  as_user mkdir "$WORKSPACE/metering"
  cp -a "$TREE" "$WORKSPACE/files" "$WORKSPACE/metering/"
  timeout --kill-after=15 $((1500 * PATIENCE)) "$ROOT/test/metering/run" --workspace "$WORKSPACE/metering" >"$log" 2>&1 || status=$?
  clusters_stop "$WORKSPACE/metering"
  # shellcheck disable=SC2046
  counts_judge metering "$status" $(count_kat "$log") || show_tail 80 "$log"
}

# A short run of the randomised test; by itself it runs 50,000 statements.
group_sqlsmith() {
  heading 'Random statements against protected columns (sqlsmith)'
  need_extension || return 0
  local log=$WORKSPACE/logs/sqlsmith-run.log status=0
  as_user rm -rf "$WORKSPACE/random"  # of an earlier run in a kept workspace
  as_user mkdir "$WORKSPACE/random"
  cp -a "$TREE" "$WORKSPACE/files" "$WORKSPACE/random/"
  timeout --kill-after=15 $((600 * PATIENCE)) "$ROOT/test/sqlsmith/run" --workspace "$WORKSPACE/random" 1500 >"$log" 2>&1 || status=$?
  clusters_stop "$WORKSPACE/random"
  grep -F '!!! SKIPPED' "$log" || true
  # shellcheck disable=SC2046
  counts_judge sqlsmith "$status" $(count_kat "$log") || show_tail 80 "$log"
}

# The release and its package are built apart from this workspace, from the last commit.
group_package() {
  heading 'Release and Debian package'
  local log=$WORKSPACE/logs/package.log status=0
  timeout --kill-after=60 $((1800 * PATIENCE)) "$ROOT/test/package/run" >"$log" 2>&1 || status=$?
  grep -E ': [0-9]+ passed|!!!' "$log" || true
  # shellcheck disable=SC2046
  if ! counts_judge package "$status" $(count_kat "$log"); then
    counts_name package sed -n 's/^FAILED //p' "$log"
    show_tail 100 "$log"
  fi
}

group_tap() {
  heading 'TAP tests (prove)'
  need_extension || return 0
  neighbours_ensure
  local log=$WORKSPACE/logs/tap.log status=0 test file
  as_user timeout --kill-after=30 $((2400 * PATIENCE)) make installcheck "PG_CONFIG=$PG_CONFIG" REGRESS= ISOLATION= TAP_TESTS=1 \
    'PROVE_TESTS=test/tap/*.pl' PROVE_FLAGS='--verbose --timer --jobs 2' >"$log" 2>&1 || status=$?
  clusters_stop "$TREE/tmp_check"
  grep -E '^(\[[0-9:]+\] )?test/tap/|^not ok |^Result:' "$log" | sed 's/^/    /' || true
  # shellcheck disable=SC2046
  if ! counts_judge tap "$status" $(count_tap "$log"); then
    while read -r test; do
      for file in "$TREE/tmp_check/log/$test"*.log; do
        [[ ! -e $file ]] || show_tail 15 "$file"
      done
    done < <(sed -n 's|^test/tap/\(.*\)\.pl .*Wstat.*|\1|p' "$log")
    grep -n -A 12 -E '^not ok |^#   Failed|death by|^Died|Bail out' "$log" | tail -n 80 | sed 's/^/    | /' || true
    sed -n '/^Test Summary Report/,$p' "$log" | sed 's/^/    | /'
    counts_name tap failed_tap "$log"
  fi
}

# shell_scripts: the names of the tree's shell scripts.
shell_scripts() {
  (cd "$TREE" && find .ci bin demo debian test -type f -not -path '*/tmp_check/*' -exec grep -l -m 1 -E '^(#!.*bash|# shellcheck shell=bash)' {} +)
}

# run_per_file NAME LOG COMMAND... -- FILE...: COMMAND for each FILE, two at a time,
# one count each.  LOG gets what was said about the files that failed.
run_per_file() {
  local name=$1 log=$2 failed running=0 file command=()
  shift 2
  while [[ $1 != -- ]]; do
    command+=("$1")
    shift
  done
  shift
  : >"$log"
  : >"$log.failed"
  for file in "$@"; do
    ((running < 2)) || wait -n || true
    running=$((running < 2 ? running + 1 : 2))
    check_file "$log" "$file" "${command[@]}" &
  done
  wait
  failed=$(wc -l <"$log.failed")
  sort "$log.failed" | sed "s|^|    $name: |"
  counts_judge "$name" 0 $(($# - failed)) "$failed" 0 || show_tail 60 "$log"
}

# check_file LOG FILE COMMAND...: one file of run_per_file.
check_file() {
  local log=$1 file=$2 said
  shift 2
  if ! said=$(as_user timeout --kill-after=15 $((300 * PATIENCE)) "$@" "$file" 2>&1 </dev/null); then
    printf '%s\n' "$file" >>"$log.failed"
    printf '%s\n' "$said" >>"$log"
  fi
}

# Formatting differs between versions of clang-format; the tree's is 14.
clang_format_14() {
  local tool
  for tool in clang-format-14 clang-format; do
    if command -v "$tool" >/dev/null && "$tool" --version | grep -q 'version 14\.'; then
      command -v "$tool"
      return 0
    fi
  done
  return 1
}

# extension_commands FILE...: how clang would compile the files of the extension, for clang-tidy, in TREE/build-tidy.
# Fails unless that is known of each: clang-tidy passes over a file that it has no command for.
extension_commands() {
  as_user mkdir -p build-tidy
  # shellcheck disable=SC2016  # perl expands it
  as_user make -Bn "PG_CONFIG=$PG_CONFIG" CC=clang CXX=clang++ all |
    as_user perl -MJSON::PP -e '
      my ($tree, @wanted) = @ARGV;
      my %command = map { chomp; m{^clang\+\+ .* -c -o \S+ (\S+\.cpp)$} ? ($1 => $_) : () } <STDIN>;
      open my $out, ">", "build-tidy/compile_commands.json" or die "compile_commands.json: $!";
      print $out encode_json([map { { directory => $tree, file => $_, command => $command{$_} // die "no command for $_\n" } } @wanted]);
      close $out or die "compile_commands.json: $!"' "$TREE" "$@"
}

group_style() {
  heading 'Style'
  local files scripts tool
  mapfile -t files < <(cd "$TREE" && find src test -type f \( -name "*.cpp" -o -name "*.h" \) | sort)
  if tool=$(clang_format_14); then
    run_per_file clang-format "$WORKSPACE/logs/clang-format.log" "$tool" --dry-run -Werror -- "${files[@]}"
  else
    counts_skip clang-format 'clang-format 14 is not installed'
  fi
  if ! command -v clang-tidy >/dev/null; then
    counts_skip clang-tidy 'clang-tidy is not installed'
  elif [[ ! -e $TREE/.clang-tidy ]]; then
    counts_skip clang-tidy 'there is no .clang-tidy'
  else
    need_core || return 0
    mapfile -t files < <(cd "$TREE" && find src/core -name '*.cpp' | sort)
    run_per_file clang-tidy "$WORKSPACE/logs/clang-tidy.log" clang-tidy --quiet -p build \
      --extra-arg=-Wno-unknown-warning-option -- "${files[@]}"
    mapfile -t files < <(cd "$TREE" && find src/pg -name '*.cpp' | sort)
    if extension_commands "${files[@]}"; then
      run_per_file 'clang-tidy, extension' "$WORKSPACE/logs/clang-tidy-pg.log" clang-tidy --quiet -p build-tidy -- "${files[@]}"
    else
      counts_add 'clang-tidy, extension' 0 1 0
    fi
  fi
  mapfile -t scripts < <(shell_scripts | sort)
  if command -v shellcheck >/dev/null; then
    run_per_file shellcheck "$WORKSPACE/logs/shellcheck.log" shellcheck -x -- "${scripts[@]}"
  else
    counts_skip shellcheck 'shellcheck is not installed'
  fi
  compare_uncovered
  run_per_file layers "$WORKSPACE/logs/layers.log" test/style/layers -- .
  run_per_file map "$WORKSPACE/logs/map.log" test/style/map -- .
  run_per_file prose "$WORKSPACE/logs/prose.log" test/style/prose -- .
  run_per_file boundary "$WORKSPACE/logs/boundary.log" test/style/boundary -- .
}

# compare_uncovered: redoubt.status() and the threat model name the same gaps.
compare_uncovered() {
  local listed described failed=0
  listed=$(sed -n 's/^    {"\([^"]*\)", .*/\1/p' "$TREE/src/pg/server/metering_gaps.h")
  described=$(sed -n '/^### Labelled plaintext columns/,/^### Limits/s/^| \([a-z ]*\) | .*/\1/p' "$TREE/docs/threat_model.md" | tail -n +2)
  [[ -n $listed && $listed == "$described" ]] || failed=1
  ((failed == 0)) || diff <(echo "$listed") <(echo "$described") | sed 's/^/    | /' || true
  counts_judge 'gaps in status() and threat model' 0 $((1 - failed)) "$failed" 0 || true
}
