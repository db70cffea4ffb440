// audit_table.cpp - the audit trail as a foreign table: redoubt.audit_line, a row for each line on file.
//
// The view redoubt.audit stands on it.  A foreign table, because that is how PostgreSQL tells a reader what a query
// asks for: conditions on segment, sequence and time decide which segments are read (audit_index) and which lines of
// them are taken apart, and ORDER BY sequence DESC LIMIT n begins at the end of the trail.  Rows are not stored
// anywhere on their way.  PostgreSQL checks the conditions again.
//
// It reads the files; the end of the trail is fixed first, and read up to, so that a writer who appends meanwhile is
// not half seen.  A descriptor is open within a call alone, because a cursor outlives the subtransaction that opened
// one. What it is not: it verifies nothing.  A doctored line is shown as it is, and where it is. Locks: none held while
// reading.  Frames here hold plain data only, so PostgreSQL may raise anywhere. Covered by test/tap/audit_query.pl,
// test/tap/audit.pl and sql/audit.sql.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
extern "C" {
#include "common/jsonapi.h"
#include "foreign/fdwapi.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/jsonb.h"
#include "utils/selfuncs.h"
}

#include "pg/audit/audit_context.h"
#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_files.h"
#include "pg/audit/audit_index.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/compat.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

// The columns of redoubt.audit_line.
enum Column : int { kSegment = 1, kLine, kSequence, kTime, kHeader, kRecord, kColumns = kRecord };

// What is asked for, of each column.  Times are milliseconds since the Unix epoch.
struct Range {
  std::int64_t low = INT64_MIN, high = INT64_MAX;
};
struct Bounds {
  Range of[kColumns + 1];
};

struct Entry {
  std::uint64_t offset;
  std::int64_t sequence, time;  // -1: the line has none
  std::uint32_t size;           // without the newline
  std::int32_t line;
  bool header;
  const char *text;  // null: on file
};

struct Scan {
  bool begun;
  bool newest_first;
  bool takes_records;  // else nothing looks at the records
  List *conditions;    // pairs of column and strategy, for each of values
  List *values;        // ExprStates
  MemoryContext context;
  MemoryContext texts;  // of entries
  Bounds bounds;
  AuditPosition position;
  std::uint64_t segment;  // the one that the entries are of; 0: none
  Entry *entries;
  std::size_t count, room, next;
};

// ---- lines

// Numbers as the encoder writes them: jsonb's numeric could refuse others.
CompatJsonResult check_scalar(void *state, char *token, JsonTokenType type) {
  if (type == JSON_TOKEN_NUMBER && strspn(token, "-0123456789") != strlen(token)) *static_cast<bool *>(state) = false;
  REDOUBT_JSON_DONE;
}

// True if jsonb_in will take `text`, which it has to do without an error: one doctored line must not
// hide the others.
bool valid_json(char *text, std::size_t size) {
  bool plain_numbers = true;
  JsonSemAction actions{};
  actions.semstate = &plain_numbers;
  actions.scalar = check_scalar;
  JsonLexContext *lex = compat_json_lexer(text, static_cast<int>(size));
  return pg_parse_json(lex, &actions) == JSON_SUCCESS && plain_numbers;
}

// A NUL-terminated copy.  Where the database cannot hold every character, the escapes of those
// outside ASCII stay visible as text instead of failing.
char *copy_line(std::string_view line) {
  char *const copy = static_cast<char *>(palloc(2 * line.size() + 1));
  char *to = copy;
  const bool unicode = GetDatabaseEncoding() == PG_UTF8;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && i + 1 < line.size()) {
      const std::string_view escape = line.substr(i, 4);  // \u00 begins those of U+0000 to U+00FF
      const bool ascii = escape == "\\u00" && i + 4 < line.size() && line[i + 4] < '8';
      if (!unicode && escape.starts_with("\\u") && !ascii) *to++ = '\\';
      *to++ = line[i++];
    }
    *to++ = line[i];
  }
  *to = '\0';
  return copy;
}

// The line as jsonb, or null if it is not JSON (which only damage explains).
NullableDatum line_as_jsonb(std::string_view line) {
  // The encoder writes ASCII only; anything else, a NUL included, is damage.
  const bool printable = std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (!printable || line.size() >= kAuditLineMax) return {0, true};
  char *const text = copy_line(line);
  if (!valid_json(text, strlen(text))) return {0, true};
  return {DirectFunctionCall1(jsonb_in, CStringGetDatum(text)), false};
}

// ---- segments

bool within(const Range &range, std::int64_t value) noexcept { return range.low <= value && value <= range.high; }

bool bounded(const Range &range) noexcept { return range.low != INT64_MIN || range.high != INT64_MAX; }

// A condition on what a line does not have is not met.
bool admits(const Range &range, std::int64_t value) noexcept {
  return !bounded(range) || (value >= 0 && within(range, value));
}

bool may_hold(const Bounds &bounds, const AuditExtent &extent) noexcept {
  const Range &sequence = bounds.of[kSequence], &time = bounds.of[kTime];
  return (!bounded(sequence) || (sequence.low <= extent.last_sequence && extent.first_sequence <= sequence.high)) &&
         (!bounded(time) || (time.low <= extent.last_time && extent.first_time <= time.high));
}

// A copy of a line whose file has no name, so that it is not there for the next one that looks.
const char *keep_text(const Scan *scan, std::string_view line) {
  char *const text = static_cast<char *>(MemoryContextAlloc(scan->texts, line.size()));
  std::copy(line.begin(), line.end(), text);
  return text;
}

void add_entry(Scan *scan, const Entry &entry) {
  audit_make_room(scan->entries, scan->count, scan->room, scan->context);
  scan->entries[scan->count++] = entry;
}

// Finds the lines of a segment that are asked for.  False where there is no such file: verify_audit says so.
bool find_lines(Scan *scan, std::uint64_t segment) {
  scan->segment = segment;
  scan->count = scan->next = 0;
  MemoryContextReset(scan->texts);
  const bool current = segment == scan->position.head.segment;
  AuditExtent extent;
  if (!current && audit_index_read(segment, extent) && !may_hold(scan->bounds, extent)) return true;
  struct stat read;
  const bool found = audit_segment_stat(segment, read) == 0;
  const int fd = found ? audit_segment_open(segment) : -1;
  if (fd < 0) return false;
  struct stat content;
  if (fstat(fd, &content) != 0) audit_segment_unreadable(segment);
  const bool keep = scan->takes_records && content.st_nlink == 0;
  extent = {};
  AuditLineReader reader(fd, current ? scan->position.offset : UINT64_MAX);
  std::string_view line;
  AuditLineReader::Kind kind;
  Entry entry = {};
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line || kind == AuditLineReader::Kind::fragment) {
    CHECK_FOR_INTERRUPTS();
    const bool whole = kind == AuditLineReader::Kind::line;
    ++entry.line;
    entry.size = whole ? static_cast<std::uint32_t>(line.size()) : 0;
    entry.header = line.starts_with("{\"segment\":");
    entry.sequence = whole ? audit_line_sequence(line) : -1;
    entry.time = whole ? audit_line_time(line) : -1;
    audit_extent_add(extent, entry.sequence, entry.time);
    if (admits(scan->bounds.of[kSequence], entry.sequence) && admits(scan->bounds.of[kTime], entry.time)) {
      entry.text = keep && entry.size != 0 ? keep_text(scan, line) : nullptr;
      add_entry(scan, entry);
    }
    entry.offset = reader.consumed();
  }
  if (kind == AuditLineReader::Kind::error) audit_segment_unreadable(segment);
  CloseTransientFile(fd);
  if (!current) audit_index_write(segment, read, extent);
  return true;
}

// The segments that are asked for, between two others.
AuditRange list_segments(const Scan *scan, std::uint64_t after, std::uint64_t before) {
  const Range &asked = scan->bounds.of[kSegment];
  const std::uint64_t newest = scan->position.head.segment != 0 ? scan->position.head.segment : kAuditSegmentMax;
  if (asked.high < 1 || asked.low > asked.high) return {};
  after = std::max(after, asked.low > 1 ? static_cast<std::uint64_t>(asked.low) - 1 : 0);
  before = std::min({before, newest + 1, std::min(static_cast<std::uint64_t>(asked.high), kAuditSegmentMax) + 1});
  return audit_segments(after, before);
}

// Goes on to the next segment; false at the end.  A gap may be wide, so what follows is looked up in the directory.
bool next_segment(Scan *scan) {
  do {
    CHECK_FOR_INTERRUPTS();
    const bool first = scan->segment == 0;
    const AuditRange range = scan->newest_first ? list_segments(scan, 0, first ? UINT64_MAX : scan->segment)
                                                : list_segments(scan, scan->segment, UINT64_MAX);
    const std::uint64_t segment = scan->newest_first ? range.last : range.first;
    if (segment == 0) return false;
    (void)find_lines(scan, segment);
  } while (scan->count == 0);
  return true;
}

// ---- conditions

std::int64_t value_of(Column column, Oid type, Datum value) {
  if (column == kTime) {
    const TimestampTz time = DatumGetTimestampTz(value);
    return TIMESTAMP_NOT_FINITE(time) ? time : audit_context_time_ms(time);
  }
  return type == INT8OID ? DatumGetInt64(value) : type == INT4OID ? DatumGetInt32(value) : DatumGetInt16(value);
}

// Narrows a range to what meets `column operator value`.  A time is rounded to the whole milliseconds that lines have,
// so neither end is left out.
void narrow(Range &range, Column column, int strategy, std::int64_t value) noexcept {
  const bool rounded = column == kTime;
  const std::int64_t above = rounded || value == INT64_MAX ? value : value + 1;
  const std::int64_t below = rounded || value == INT64_MIN ? value : value - 1;
  if (strategy >= BTEqualStrategyNumber)
    range.low = std::max(range.low, strategy == BTGreaterStrategyNumber ? above : value);
  if (strategy <= BTEqualStrategyNumber)
    range.high = std::min(range.high, strategy == BTLessStrategyNumber ? below : value);
}

void read_conditions(Scan *scan, ExprContext *econtext) {
  scan->bounds = {};
  int i = 2;  // the first two say in which order, and whether with records
  for (auto *state : list_of<ExprState>(scan->values)) {
    bool null = false;
    const Datum value = ExecEvalExprSwitchContext(state, econtext, &null);
    const auto column = static_cast<Column>(list_nth_int(scan->conditions, i));
    const int strategy = list_nth_int(scan->conditions, i + 1);
    if (null)
      scan->bounds.of[kSegment] = {1, 0};
    else
      narrow(scan->bounds.of[column], column, strategy,
             value_of(column, exprType(reinterpret_cast<Node *>(state->expr)), value));
    i += 2;
  }
}

// The column that `node` is, or 0.
int bounded_column(const Node *node, Index relid) noexcept {
  if (!IsA(node, Var)) return 0;
  const auto *var = reinterpret_cast<const Var *>(node);
  const bool ours = static_cast<Index>(var->varno) == relid && var->varlevelsup == 0;
  return ours && (var->varattno == kSegment || var->varattno == kSequence || var->varattno == kTime) ? var->varattno
                                                                                                     : 0;
}

// Takes `clause` for a condition that decides what is read, where it is one.
void add_condition(const Node *clause, Index relid, List **conditions, List **values) {
  if (!IsA(clause, OpExpr)) return;
  const auto *expression = reinterpret_cast<const OpExpr *>(clause);
  if (list_length(expression->args) != 2) return;
  auto *left = static_cast<Node *>(linitial(expression->args));
  auto *right = static_cast<Node *>(lsecond(expression->args));
  Oid op = expression->opno;
  if (bounded_column(left, relid) == 0) {
    std::swap(left, right);
    op = get_commutator(op);
  }
  const int column = bounded_column(left, relid);
  if (column == 0 || !OidIsValid(op) || contain_var_clause(right) || contain_volatile_functions(right) ||
      contain_subplans(right))
    return;
  const Oid type = exprType(right);
  if (column == kTime ? type != TIMESTAMPTZOID : type != INT8OID && type != INT4OID && type != INT2OID) return;
  const TypeCacheEntry *cache = lookup_type_cache(exprType(left), TYPECACHE_BTREE_OPFAMILY);
  const int strategy = get_op_opfamily_strategy(op, cache->btree_opf);
  if (strategy == 0) return;
  *conditions = lappend_int(lappend_int(*conditions, column), strategy);
  *values = lappend(*values, right);
}

// ---- planning

constexpr double kLinesExpected = 100000;
constexpr Cost kLineCost = 0.1;

// True where the order asked for is the newest first, of a known number of rows: a number of the trail alone, for a
// doctored sequence number puts a line where it does not belong, which the join of two orders would not bear.
bool wants_newest_first(const PlannerInfo *root, const RelOptInfo *relation) {
  if (root->limit_tuples < 0 || root->query_pathkeys == NIL || bms_membership(root->all_baserels) != BMS_SINGLETON)
    return false;
  const auto *key = static_cast<const PathKey *>(linitial(root->query_pathkeys));
  if (!compat_pathkey_descends(key)) return false;
  for (const auto *member : list_of<const EquivalenceMember>(key->pk_eclass->ec_members)) {
    if (bounded_column(reinterpret_cast<const Node *>(member->em_expr), relation->relid) == kSequence) return true;
  }
  return false;
}

void audit_table_size(PlannerInfo *root, RelOptInfo *relation, Oid) {
  relation->tuples = kLinesExpected;
  set_baserel_size_estimates(root, relation);
}

void audit_table_paths(PlannerInfo *root, RelOptInfo *relation, Oid) {
  const Cost total = kLinesExpected * kLineCost;
  add_path(relation, reinterpret_cast<Path *>(compat_foreign_path(root, relation, total, NIL)));
  if (wants_newest_first(root, relation))
    add_path(relation, reinterpret_cast<Path *>(compat_foreign_path(root, relation, total, root->query_pathkeys)));
}

ForeignScan *audit_table_plan(PlannerInfo *, RelOptInfo *relation, Oid, ForeignPath *path, List *targets, List *clauses,
                              Plan *outer) {
  List *const quals = extract_actual_clauses(clauses, false);
  Bitmapset *columns = nullptr;
  pull_varattnos(reinterpret_cast<Node *>(relation->reltarget->exprs), relation->relid, &columns);
  pull_varattnos(reinterpret_cast<Node *>(quals), relation->relid, &columns);
  const bool takes_records = bms_is_member(kRecord - FirstLowInvalidHeapAttributeNumber, columns) ||
                             bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns);
  List *conditions = list_make2_int(path->path.pathkeys != NIL ? 1 : 0, takes_records ? 1 : 0);
  List *values = NIL;
  for (const auto *qual : list_of<const Node>(quals)) add_condition(qual, relation->relid, &conditions, &values);
  return make_foreignscan(targets, quals, relation->relid, values, conditions, NIL, NIL, outer);
}

// ---- execution

// Whoever owns the foreign-data wrapper may make a foreign table of any shape.
void check_columns(Relation table) {
  constexpr Oid kTypes[kColumns] = {INT8OID, INT4OID, INT8OID, TIMESTAMPTZOID, BOOLOID, JSONBOID};
  const TupleDesc columns = RelationGetDescr(table);
  bool good = columns->natts == kColumns;
  for (int i = 0; good && i < kColumns; ++i) good = TupleDescAttr(columns, i)->atttypid == kTypes[i];
  if (good) return;
  ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
                  errmsg("foreign table \"%s\" is not shaped like the audit trail", RelationGetRelationName(table)),
                  errhint("Read redoubt.audit."), errhidestmt(true)));
}

void audit_table_begin(ForeignScanState *node, int eflags) {
  if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0) return;
  require_preloaded();
  check_columns(node->ss.ss_currentRelation);
  auto *plan = reinterpret_cast<ForeignScan *>(node->ss.ps.plan);
  auto *scan = static_cast<Scan *>(palloc0(sizeof(Scan)));
  scan->newest_first = linitial_int(plan->fdw_private) != 0;
  scan->takes_records = lsecond_int(plan->fdw_private) != 0;
  scan->conditions = plan->fdw_private;
  scan->values = ExecInitExprList(plan->fdw_exprs, reinterpret_cast<PlanState *>(node));
  scan->context = node->ss.ps.state->es_query_cxt;
  scan->texts = AllocSetContextCreate(scan->context, "redoubt audit lines", ALLOCSET_DEFAULT_SIZES);
  node->fdw_state = scan;
}

// The line as it is on file now.
NullableDatum read_record(const Scan *scan, const Entry &entry) {
  if (entry.text != nullptr) return line_as_jsonb({entry.text, entry.size});
  char line[kAuditLineMax];
  const int fd = entry.size != 0 ? audit_segment_open(scan->segment) : -1;
  if (fd < 0) return {0, true};
  const ssize_t got = pread(fd, line, entry.size, static_cast<off_t>(entry.offset));
  if (got < 0) audit_segment_unreadable(scan->segment);
  CloseTransientFile(fd);
  return line_as_jsonb({line, static_cast<std::size_t>(got)});
}

void begin(Scan *scan, ExprContext *econtext) {
  read_conditions(scan, econtext);
  (void)audit_position(scan->position, false);  // does not open, so does not fail
  scan->segment = 0;
  scan->count = scan->next = 0;
  scan->begun = true;
}

TupleTableSlot *audit_table_next(ForeignScanState *node) {
  auto *scan = static_cast<Scan *>(node->fdw_state);
  TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
  ExecClearTuple(slot);
  if (!scan->begun) begin(scan, node->ss.ps.ps_ExprContext);
  if (scan->next == scan->count && !next_segment(scan)) {
    scan->count = scan->next = 0;
    return slot;
  }
  const std::size_t at = scan->next++;
  const Entry &entry = scan->entries[scan->newest_first ? scan->count - 1 - at : at];
  const NullableDatum record = scan->takes_records ? read_record(scan, entry) : NullableDatum{0, true};
  constexpr std::int64_t kEpochDifference = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
  const Datum values[] = {Int64GetDatum(static_cast<int64>(scan->segment)),
                          Int32GetDatum(entry.line),
                          Int64GetDatum(entry.sequence),
                          TimestampTzGetDatum(entry.time * 1000 - kEpochDifference),
                          BoolGetDatum(entry.header),
                          record.value};
  const bool nulls[] = {false, false, entry.sequence < 0, entry.time < 0, false, record.isnull};
  std::copy(std::begin(values), std::end(values), slot->tts_values);
  std::copy(std::begin(nulls), std::end(nulls), slot->tts_isnull);
  return ExecStoreVirtualTuple(slot);
}

void audit_table_again(ForeignScanState *node) { static_cast<Scan *>(node->fdw_state)->begun = false; }

void audit_table_end(ForeignScanState *) {}  // what a scan has, its query's memory holds

}  // namespace
}  // namespace redoubt::pg

// redoubt.audit_handler() returns fdw_handler
REDOUBT_FUNCTION(redoubt_audit_handler) {
  using namespace redoubt::pg;
  FdwRoutine *const routine = makeNode(FdwRoutine);
  routine->GetForeignRelSize = shielded<audit_table_size>;
  routine->GetForeignPaths = shielded<audit_table_paths>;
  routine->GetForeignPlan = shielded<audit_table_plan>;
  routine->BeginForeignScan = shielded<audit_table_begin>;
  routine->IterateForeignScan = shielded<audit_table_next>;
  routine->ReScanForeignScan = shielded<audit_table_again>;
  routine->EndForeignScan = shielded<audit_table_end>;
  PG_RETURN_POINTER(routine);
}
