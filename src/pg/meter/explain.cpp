// explain.cpp - see explain.h.
//
// Plain EXPLAIN shows the planner's estimate of what running the query would charge this
// session.  EXPLAIN ANALYZE sends no row anywhere, so it charges less than the query itself:
// it shows the figures for the rows that came out, and behind them what it has charged, where
// that is known (not what parallel workers charge, nor what detokenize() does).
//
// Before PostgreSQL 18 no hook is called while a plan is being printed.  EXPLAIN ends the
// executor before it closes the properties of the query, and that is where this prints.
// EXPLAIN EXECUTE does not come by the hook there, and is printed without.
// Plain data only: the hook may be jumped over.
// Covered by sql/explain.sql.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/meter/explain.h"
#include "pg/meter/meter_function.h"
#include "pg/meter/estimate.h"
#include "pg/types/token_type.h"
#include "pg/meter/query_meter.h"

extern "C" {
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "executor/instrument.h"
}

namespace redoubt::pg {

#if PG_VERSION_NUM < 180000
// The query that EXPLAIN is working on.  On the C stack of the hook.
struct Explained {
  ExplainState *state;
  const IntoClause *into;
  const char *text;
};
#endif

namespace {

#if PG_VERSION_NUM >= 180000
constinit explain_per_plan_hook_type prev_per_plan = nullptr;
#else
constinit ExplainOneQuery_hook_type prev_explain = nullptr;

#endif

struct Entry {
  Oid token_type;
  Operation operation;
  double answer;  // expected: values, or probes that the answer asks for
  double below;   // probes that the points below the answer ask for
  double beside;  // for conflicts
  double charged;

  double expected() const noexcept { return std::max(answer, below) + beside; }
};

Entry *entry_of(List **entries, Oid token_type, Operation operation) {
  for (auto *entry : list_of<Entry>(*entries))
    if (entry->token_type == token_type && entry->operation == operation) return entry;
  auto *entry = static_cast<Entry *>(palloc(sizeof(Entry)));
  *entry = {token_type, operation, 0, 0, 0, 0};
  *entries = lappend(*entries, entry);
  return entry;
}

// Where figures go: a member of their entries, or null where they are left out.
struct Figures {
  List **entries;  // of Entry *
  double Entry::*reads;
  double Entry::*reveals;  // and what else is charged where it is called
  double Entry::*probes;
};

void add_figure(void *to, Oid token_type, Operation operation, double values) {
  const auto *figures = static_cast<const Figures *>(to);
  const auto figure = operation == Operation::probe  ? figures->probes
                      : operation == Operation::read ? figures->reads
                                                     : figures->reveals;
  if (values > 0 && figure != nullptr) entry_of(figures->entries, token_type, operation)->*figure += values;
}

double rows_out(const ExplainState *state, const QueryDesc *query) {
  if (!state->analyze) return query->plannedstmt->planTree->plan_rows;
  const Instrumentation *counts = query->planstate->instrument;
  return counts != nullptr ? counts->ntuples + counts->tuplecount : static_cast<double>(query->estate->es_processed);
}

// Schema redoubt goes without saying, as in labels.
const char *type_name(Oid token_type) {
  const char *name = token_type_require(token_type)->name;
  return strncmp(name, "redoubt.", 8) == 0 ? name + 8 : name;
}

// Is what was charged known?  Not what detokenize() charges, nor where workers have.
bool is_known(const ExplainState *state, const Entry &entry, bool knows_reads) {
  return state->analyze && (entry.operation == Operation::probe || (entry.operation == Operation::read && knows_reads));
}

void print_text(ExplainState *state, const List *entries, bool knows_reads) {
  StringInfoData line;
  initStringInfo(&line);
  for (const auto *entry : list_of<const Entry>(entries)) {
    appendStringInfo(&line, "%s%s %s x %.0f", line.len > 0 ? ", " : "", operation_name(entry->operation),
                     type_name(entry->token_type), entry->expected());
    if (is_known(state, *entry, knows_reads)) appendStringInfo(&line, " (charged %.0f)", entry->charged);
  }
  ExplainPropertyText("Redoubt", line.data, state);
}

void print_properties(ExplainState *state, const List *entries, bool knows_reads) {
  ExplainOpenGroup("Redoubt", "Redoubt", false, state);
  for (const auto *entry : list_of<const Entry>(entries)) {
    ExplainOpenGroup("Charge", nullptr, true, state);
    ExplainPropertyText("Operation", operation_name(entry->operation), state);
    ExplainPropertyText("Token Type", type_name(entry->token_type), state);
    ExplainPropertyFloat("Values", nullptr, entry->expected(), 0, state);
    if (is_known(state, *entry, knows_reads)) ExplainPropertyFloat("Values Charged", nullptr, entry->charged, 0, state);
    ExplainCloseGroup("Charge", nullptr, true, state);
  }
  ExplainCloseGroup("Redoubt", "Redoubt", false, state);
}

void print(ExplainState *state, const IntoClause *into, const PlannedStmt *plan) {
  QueryMeter *meter = query_meter_of(plan);
  if (meter == nullptr) return;
  const QueryDesc *query = meter->query;
  const PlanAnalysis *analysis = meter->analysis;
  List *entries = NIL;
  List *done = NIL;
  List *planned = NIL;
  Figures of_answer = {&entries, &Entry::answer, &Entry::answer, &Entry::answer};
  Figures of_plan = {&planned, &Entry::answer, &Entry::answer, &Entry::answer};
  Figures beside = {&entries, &Entry::beside, &Entry::beside, &Entry::beside};
  Figures charged = {&done, &Entry::charged, &Entry::charged, &Entry::charged};
  const bool in_workers = plan_estimate(plan, analysis, add_figure, &of_plan);
  if (state->analyze) {
    query_meter_charged(meter, add_figure, &charged);
    meter_each_charge(query->estate->es_query_cxt, add_figure, &charged);
  }
  const CommandDest dest = into != nullptr ? DestIntoRel : DestRemote;
  query_meter_expected(meter, dest, rows_out(state, query), add_figure, &of_answer);
  query_meter_conflicts(meter, add_figure, &beside);
  Figures below = {&entries, &Entry::answer, &Entry::answer, &Entry::below};
  if (state->analyze && !in_workers) {
    // What meters in the middle have charged is what they charge whoever runs the query.
    Figures values = {&entries, &Entry::answer, &Entry::answer, nullptr};
    meter_each_charge(query->estate->es_query_cxt, add_figure, &values);
    for (int i = 0; i < analysis->types; ++i)
      add_figure(&below, analysis->type[i], Operation::probe, static_cast<double>(meter->probes.answer(i).below));
    below = {&entries, nullptr, &Entry::answer, nullptr};  // of the plan, what is not counted by meters
  }
  for (const auto *entry : list_of<const Entry>(planned))
    add_figure(&below, entry->token_type, entry->operation, entry->answer);
  for (const auto *entry : list_of<const Entry>(done))
    entry_of(&entries, entry->token_type, entry->operation)->charged = entry->charged;
  if (entries == NIL) return;
  if (state->format == EXPLAIN_FORMAT_TEXT)
    print_text(state, entries, !in_workers);
  else
    print_properties(state, entries, !in_workers);
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
#if PG_VERSION_NUM >= 180000
static void redoubt_explain_per_plan(PlannedStmt *plan, IntoClause *into, ExplainState *state, const char *text,
                                     ParamListInfo parameters, QueryEnvironment *environment) {
  using namespace redoubt::pg;
  if (prev_per_plan != nullptr) prev_per_plan(plan, into, state, text, parameters, environment);
  print(state, into, plan);
}
#else
// What the server does without a hook, which it has no function for before 17.
static void redoubt_explain_standard(Query *query, int options, IntoClause *into, ExplainState *state, const char *text,
                                     ParamListInfo parameters, QueryEnvironment *environment) {
#if PG_VERSION_NUM >= 170000
  standard_ExplainOneQuery(query, options, into, state, text, parameters, environment);
#else
  const BufferUsage before = pgBufferUsage;
  instr_time start;
  instr_time duration;
  INSTR_TIME_SET_CURRENT(start);
  PlannedStmt *plan = pg_plan_query(query, text, options, parameters);
  INSTR_TIME_SET_CURRENT(duration);
  INSTR_TIME_SUBTRACT(duration, start);
  BufferUsage buffers = {};
  if (state->buffers) BufferUsageAccumDiff(&buffers, &pgBufferUsage, &before);
  ExplainOnePlan(plan, into, state, text, parameters, environment, &duration, state->buffers ? &buffers : nullptr);
#endif
}

static void redoubt_ExplainOneQuery(Query *query, int options, IntoClause *into, ExplainState *state, const char *text,
                                    ParamListInfo parameters, QueryEnvironment *environment) {
  using namespace redoubt::pg;
  Explained current = {state, into, text};
  Explained *const outer = explained;
  explained = &current;
  PG_TRY();
  {
    shield([=] {
      (prev_explain != nullptr ? prev_explain : redoubt_explain_standard)(query, options, into, state, text, parameters,
                                                                          environment);
    });
  }
  PG_CATCH();
  {
    explained = outer;
    PG_RE_THROW();
  }
  PG_END_TRY();
  explained = outer;
}
#endif
}

namespace redoubt::pg {

void explain_install() {
#if PG_VERSION_NUM >= 180000
  prev_per_plan = explain_per_plan_hook;
  explain_per_plan_hook = shielded<redoubt_explain_per_plan>;
#else
  prev_explain = ExplainOneQuery_hook;
  ExplainOneQuery_hook = shielded<redoubt_ExplainOneQuery>;
#endif
}

#if PG_VERSION_NUM < 180000
void explain_print_end(const QueryDesc *query) {
  // Statements that the query runs inside have a text of their own.
  if (query->sourceText == explained->text) print(explained->state, explained->into, query->plannedstmt);
}
#endif

}  // namespace redoubt::pg
