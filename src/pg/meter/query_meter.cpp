// query_meter.cpp - see query_meter.h.
//
// State per query lives in its es_query_cxt and leaves the list with it.  Backend-local, no locks.
// Covered by sql/reads.sql, sql/probes.sql, sql/explain.sql and test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/error_origin.h"
#include "pg/base/log_guard.h"
#include "pg/meter/meter_function.h"
#include "pg/meter/query_meter.h"
#include "pg/meter/read_meter.h"
#include "pg/plan/walk.h"
#include "pg/base/settings.h"
#include "pg/reveal/gate.h"
#include "pg/types/token_type.h"

extern "C" {
static void query_meter_forget(void *argument) {
  using namespace redoubt::pg;
  for (QueryMeter **link = &query_meters; *link != nullptr; link = &(*link)->next)
    if (*link == argument) {
      *link = (*link)->next;
      return;
    }
}
}

namespace redoubt::pg {
namespace {

// Destinations whose rows leave the reader's control.  Parallel workers hand
// rows to their leader, which meters them.
bool leaves(CommandDest dest) noexcept { return dest != DestNone && dest != DestTupleQueue; }

// A token stays a token in a new table or in a tuple store that is printed to the client, where
// it is met again; a labelled plaintext value does not.  What a function does with its
// rows cannot be seen.
bool stays_protected(CommandDest dest, bool store_is_printed) noexcept {
  return dest == DestIntoRel || dest == DestTransientRel || (dest == DestTuplestore && store_is_printed);
}

// The sources whose probes a value of `source` pays for where it is delivered: those of the same column and row, but
// for comparisons by who is shown a mask, which tells less.  Where none has decided, one of another row, of those in
// `rest`: that the rows are the same cannot be seen (id IN (SELECT id ...)).
std::uint32_t settled_by(const QueryMeter *meter, int source, std::uint32_t rest) noexcept {
  const PlanAnalysis *analysis = meter->analysis;
  const Source &value = analysis->source[source];
  if (analysis->weight[source] > 1) return 0;
  std::uint32_t here = 1U << source;
  std::uint32_t elsewhere = 0;
  for (int i = 0; i < analysis->sources; ++i) {
    if (!analysis->source[i].is_same_column(value)) continue;
    (analysis->source[i].copy == value.copy ? here : elsewhere) |= 1U << i;
  }
  elsewhere &= (here & analysis->row_decides) == 0 ? rest : 0;
  elsewhere &= ~meter->searched;
  return (here & ~meter->searched) | (elsewhere & -elsewhere);
}

// How many probes a source costs where it decides on an answer of the statement as a whole,
std::uint32_t price_of_answer(const QueryMeter *meter, int source) noexcept {
  return meter->analysis->source[source].opened == Opened::compared ? meter->each : 1;
}

// and on a row, which may tell of several rows that share it.
std::uint32_t price(const QueryMeter *meter, int source) noexcept {
  return meter->analysis->weight[source] * price_of_answer(meter, source);
}

}  // namespace

std::uint32_t query_meter_price(const QueryMeter *meter, Oid token_type) noexcept {
  for (const int i : bits_of(meter->searched))
    if (meter->analysis->source[i].token_type == token_type) return meter->each;
  return 1;
}

namespace {

// A role that may not reveal may compare opened values with constants; what else tells of them is refused.
void admit_opened(QueryMeter *meter) {
  const PlanAnalysis *analysis = meter->analysis;
  const std::uint32_t decides =
      analysis->statement_decides | analysis->row_decides | analysis->runs | analysis->computed;
  for (int i = 0; i < analysis->sources; ++i) {
    const Source &source = analysis->source[i];
    if (source.opened == Opened::no || (decides & 1U << i) == 0) continue;
    const TokenType *type = token_type_require(source.token_type);
    if (gate_allows_authors(type, Privilege::reveal)) continue;
    gate_require_authors(type, Privilege::search);
    if (source.opened == Opened::value || (analysis->computed & 1U << i) != 0)
      ereport(
          ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("the statement would tell more of values of token type %s than a search does", type->name),
           errdetail("Without the privilege to reveal, values are compared with constants and parameters (=, <>, <, "
                     "LIKE, ILIKE, ^@, also in lower() or upper()) in conditions, and sorted by."),
           errhint("Ask for no more, or for the value itself, which is masked.  GRANT EXECUTE ON FUNCTION "
                   "redoubt.detokenize(%s) gives the privilege to reveal.",
                   type->name),
           errhidestmt(true)));
    if (analysis->comparisons > setting_search_terms)
      ereport(
          ERROR,
          (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
           errmsg("the statement compares values of token type %s %d times", type->name, analysis->comparisons),
           errhint("redoubt.search_terms allows %d to roles without the privilege to reveal.", setting_search_terms),
           errhidestmt(true)));
    meter->each = static_cast<std::uint32_t>(analysis->comparisons);
    meter->searched |= 1U << i;
  }
}

// Calls `visit(token_type)` once per token type of the sources in `mask`.
template <typename Visit>
void each_type(const PlanAnalysis *analysis, std::uint32_t mask, Visit &&visit) {
  std::uint32_t types = 0;  // a bit per place
  for (int i = 0; i < analysis->sources; ++i)
    if ((mask & 1U << i) != 0) types |= 1U << analysis->type_of[i];
  for (const int i : bits_of(types)) visit(analysis->type[i]);
}

// What the planner's estimates tell of: how many rows there are, and how wide.  A token is as wide as its value, which
// it shows to everybody.
std::uint32_t shown_by_explain(const PlanAnalysis *analysis) noexcept {
  std::uint32_t mask = analysis->statement_decides;
  for (int i = 0; i < analysis->sources; ++i)
    if (analysis->source[i].opened == Opened::no && !analysis->source[i].is_token) mask |= 1U << i;
  return mask;
}

// How often the statement names a table with the column, or a CTE, each with a figure of its own.
std::uint32_t named(const PlannedStmt *plan, const Source &source) {
  std::uint32_t n = 0;
  for (const auto *entry : list_of<const RangeTblEntry>(plan->rtable)) {
    n += entry->rtekind == RTE_CTE ? 1 : 0;
    if (entry->rtekind != RTE_RELATION || !compat_is_in_query_text(entry)) continue;
    const ProtectedRelation *relation = protected_relation(entry->relid);
    for (int i = 0; relation != nullptr && i < relation->size; ++i)
      n += relation->column[i].source.relid == source.relid && relation->column[i].source.attno == source.attno ? 1 : 0;
  }
  return std::max(n, 1U);
}

// How many nodes of the plan show how many of their rows the column let pass, or is estimated to.
std::uint32_t figures(const PlanAnalysis *analysis, int source) noexcept {
  const Source &column = analysis->source[source];
  std::uint32_t n = 0;
  for (int i = 0; i < analysis->sources; ++i)
    if (i == source || analysis->source[i].is_copy_of(column)) n += analysis->figures[i];
  return n;
}

// A probe for each figure that EXPLAIN shows; where the statement was run, but for the one that its end has cost.
void charge_explain(QueryMeter *meter, bool analyzed) {
  const PlanAnalysis *analysis = meter->analysis;
  for (const int i : bits_of(plan_columns(analysis, shown_by_explain(analysis)))) {
    const Source &source = analysis->source[i];
    const std::uint32_t shown = std::max(named(meter->query->plannedstmt, source), figures(analysis, i));
    const std::uint32_t probes = analyzed ? shown - 1 : shown;
    if (probes > 0) limits_charge(source.token_type, Operation::probe, probes);
    meter->ended[analysis->type_of[i]] += probes;
  }
}

void admit(const PlanAnalysis *analysis) {
  each_type(analysis, ~0U, [](Oid type) { limits_require_no_debt(type, Operation::read); });
  std::uint32_t opened = 0;
  for (int i = 0; i < analysis->sources; ++i)
    if (analysis->source[i].opened != Opened::no) opened |= 1U << i;
  each_type(analysis, opened, [](Oid type) { limits_require_no_debt(type, Operation::reveal); });
  each_type(analysis, analysis->statement_decides | analysis->row_decides,
            [](Oid type) { limits_require_no_debt(type, Operation::probe); });
}

// A meter and its arrays in one piece.
QueryMeter *allocate(MemoryContext context, const PlanAnalysis *analysis) {
  const auto sources = static_cast<Size>(analysis->sources);
  const auto types = static_cast<Size>(analysis->types);
  const Size budgets_at = MAXALIGN(sizeof(QueryMeter));
  const Size probes_at = budgets_at + MAXALIGN(sizeof(MeteredBudget) * 2 * sources);
  const Size ended_at = probes_at + ProbeTree<std::uint64_t>::size(analysis);
  const Size columns_at = ended_at + sizeof(std::uint64_t) * types;
  auto *memory = static_cast<char *>(
      MemoryContextAlloc(context, columns_at + sizeof(MeteredColumn) * static_cast<Size>(analysis->values)));
  memset(memory + probes_at, 0, columns_at - probes_at);
  auto *meter = new (memory) QueryMeter{.analysis = analysis, .probes = {analysis, memory + probes_at}};
  meter->budget = reinterpret_cast<MeteredBudget *>(memory + budgets_at);
  meter->ended = reinterpret_cast<std::uint64_t *>(memory + ended_at);
  meter->column = reinterpret_cast<MeteredColumn *>(memory + columns_at);
  return meter;
}

// How a run ended is an answer that the values of a source have decided on: is it still to be paid for?
bool answer_is_unpaid(QueryMeter *meter, int source) noexcept {
  return meter->probes.ask(kAnswer, meter->analysis->type_of[source], 1) != 0;
}

void charge_end(QueryMeter *meter, int source) {
  if (!answer_is_unpaid(meter, source)) return;
  limits_charge(meter->analysis->source[source].token_type, Operation::probe, price_of_answer(meter, source));
  meter->ended[meter->analysis->type_of[source]] += price_of_answer(meter, source);
}

struct Paid {
  Oid token_type;
  bool any;
};

void note_paid(void *to, Oid token_type, Operation, double values) {
  auto *paid = static_cast<Paid *>(to);
  paid->any |= values > 0 && token_type == paid->token_type;
}

// Which parts of a statement were run is a probe where nothing else is paid for the values that decided it.
void charge_runs(QueryMeter *meter, CommandDest dest) {
  const PlanAnalysis *analysis = meter->analysis;
  std::uint32_t unpaid = analysis->runs;
  for (int c = 0; leaves(dest) && c < analysis->columns; ++c) unpaid &= ~analysis->column[c].carries;
  for (const int i : bits_of(unpaid)) {
    Paid paid = {analysis->source[i].token_type, false};
    query_meter_charged(meter, note_paid, &paid);
    meter_each_charge(meter->estate->es_query_cxt, note_paid, &paid);
    if (!paid.any) charge_end(meter, i);
  }
}

ErrorData *error_in_flight() noexcept {
  MemoryContext caller = MemoryContextSwitchTo(CurTransactionContext);  // in PG_CATCH it is ErrorContext
  ErrorData *error = CopyErrorData();
  MemoryContextSwitchTo(caller);
  return error;
}

}  // namespace

namespace {

template <typename Wanted>
QueryMeter *meter_where(Wanted &&is_wanted) noexcept {
  for (QueryMeter *meter = query_meters; meter != nullptr; meter = meter->next)
    if (is_wanted(meter->estate)) return meter;
  return nullptr;
}

}  // namespace

QueryMeter *query_meter_find(const EState *wanted) noexcept {
  return meter_where([wanted](const EState *estate) { return estate == wanted; });
}

QueryMeter *query_meter_in(MemoryContext context) noexcept {
  return meter_where([context](const EState *estate) { return estate->es_query_cxt == context; });
}

QueryMeter *query_meter_of(const PlannedStmt *plan) noexcept {
  return meter_where([plan](const EState *estate) { return estate->es_plannedstmt == plan; });
}

int query_meter_budget(QueryMeter *query, int source, Operation operation) noexcept {
  const Oid token_type = query->analysis->source[source].token_type;
  for (int i = 0; i < query->budgets; ++i)
    if (query->budget[i].lease.token_type == token_type && query->budget[i].lease.operation == operation) return i;
  query->budget[query->budgets] = {lease_make(token_type, operation), query->analysis->type_of[source], 0, 0};
  return query->budgets++;
}

[[gnu::hot]] void query_meter_prepare(QueryMeter *meter, CommandDest dest, bool makes_text, bool store_is_printed) {
  const PlanAnalysis *analysis = meter->analysis;
  meter->budgets = meter->columns = 0;
  meter->single = meter->opened = false;
  meter->instead = 0;
  if (!leaves(dest)) return;
  std::uint32_t pays = 0;  // sources of which every row has a value, or whose null is all that decided
  for (int c = 0; c < analysis->columns; ++c) {
    const OutputColumn &column = analysis->column[c];
    // A call has charged for what it returned, and a null is none.
    for (const int i : bits_of(column.flow.paid & analysis->row_decides)) {
      meter->instead |= 1U << i;
      meter->column[meter->columns++] = {.attribute = static_cast<AttrNumber>(c + 1),
                                         .settles = 1U << i,
                                         .type = column.type,
                                         .count = 1,
                                         .pure = true,
                                         .charged = true};
    }
    for (const int i : bits_of(column.carries)) {
      const bool stays = (column.stays & 1U << i) != 0;
      if (stays && stays_protected(dest, store_is_printed)) {
        if (dest == DestTuplestore) pays |= 1U << i;  // when it is printed
        continue;
      }
      // Tokens in a row that nothing prints here meet no output function on the way.
      const bool revealable = (column.reveals & 1U << i) != 0 && (makes_text || (column.holds & 1U << i) == 0);
      const bool opened = analysis->source[i].opened != Opened::no;
      if (opened && (dest == DestIntoRel || dest == DestTransientRel)) refuse_opened(analysis->source[i].token_type);
      meter->opened |= opened;
      const int budget = query_meter_budget(meter, i, opened ? Operation::reveal : Operation::read);
      const bool null_is_free = column.flow.pure || column.flow.many;
      const bool looked_at = null_is_free || revealable || opened;
      const std::uint32_t settles = settled_by(meter, i, analysis->row_decides & ~pays & ~meter->instead);
      (looked_at ? meter->instead : pays) |= settles;
      if (looked_at)
        meter->column[meter->columns++] = {.attribute = static_cast<AttrNumber>(c + 1),
                                           .settles = settles,
                                           .type = column.type,
                                           .count = column.flow.count[i],
                                           .many = column.flow.many,
                                           .pure = column.flow.pure,
                                           .sometimes = column.flow.sometimes,
                                           .revealable = revealable,
                                           .as_text = !stays,
                                           .opened = opened,
                                           .budget = budget};
      else
        meter->budget[budget].fixed += column.flow.count[i];
    }
  }
  const std::uint32_t probes = analysis->row_decides & ~pays;
  meter->instead &= probes;
  for (int i = 0; i < analysis->sources; ++i)
    if ((probes & 1U << i) != 0)
      meter->budget[query_meter_budget(meter, i, Operation::probe)].fixed +=
          (meter->instead & 1U << i) != 0 ? 0 : price(meter, i);
  meter->single = !meter->opened && meter->budgets == 1 && meter->columns == 1 && meter->budget[0].fixed == 0 &&
                  meter->instead == 0;
}

namespace {

// What is computed of a row that is written, by constraints, indexes and generated columns, may quote all elements of
// an array in one message, or all fields of a row.
std::uint32_t gathered_sources(const PlannedStmt *plan, const PlanAnalysis *analysis) {
  std::uint32_t gathered = 0;
  if (plan->resultRelations == NIL) return 0;
  for (int i = 0; i < analysis->sources; ++i) {
    const Source &source = analysis->source[i];
    const Oid type =
        OidIsValid(source.relid) && source.attno > 0 ? get_atttype(source.relid, source.attno) : InvalidOid;
    if (OidIsValid(type) && type_nests(type)) gathered |= 1U << i;
  }
  return gathered;
}

}  // namespace

[[gnu::hot]] void query_meter_start(QueryDesc *query, PlanFacts *facts, int eflags) {
  // What a worker hands to its leader is metered there, or by meters in its part of the plan;
  // the queries of functions that it calls are its own.
  if ((IsParallelWorker() && query->dest->mydest == DestTupleQueue) || query->plannedstmt->commandType == CMD_UTILITY)
    return;
  const PlanAnalysis *analysis = plan_analysis(facts);
  if (analysis->sources == 0) return;
  if (analysis->unmetered)
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("the plan hands protected values over at a place that is not metered"),
             errhint("Where a table has changed since it was planned, DISCARD PLANS.  Else another extension may have "
                     "made or changed the plan after Redoubt saw it; load redoubt last in "
                     "shared_preload_libraries.")));
  log_guard_reads_protected();
  MemoryContext context = query->estate->es_query_cxt;
  QueryMeter *const meter = allocate(context, analysis);
  meter->estate = query->estate;
  meter->query = query;
  meter->explain_only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
  meter->gathered = gathered_sources(query->plannedstmt, analysis);
  meter->forget.func = shielded<query_meter_forget, WARNING>;
  meter->forget.arg = meter;
  MemoryContextRegisterResetCallback(context, &meter->forget);
  meter->next = query_meters;
  query_meters = meter;
  // The planner's estimates, which EXPLAIN shows, tell of values too.
  if (meter->explain_only)
    charge_explain(meter, false);
  else {
    if (analysis->beyond_count) flow_refuse_beyond_count();
    admit_opened(meter);
    admit(analysis);
    if (analysis->conflicts) meter->conflicts = conflict_meters_make(query);
  }
}

namespace {

// A refusal here tells as much as one on the way.
void charge_finish(QueryMeter *meter, const QueryDesc *query, std::uint32_t told, bool explains) {
  PG_TRY();
  {
    shield([=] {
      for (const int i : bits_of(plan_columns(meter->analysis, told))) charge_end(meter, i);
      if (explains) charge_explain(meter, true);
      charge_runs(meter, query->dest->mydest);
    });
  }
  PG_CATCH();
  {
    query_meter_error(query);
    PG_RE_THROW();
  }
  PG_END_TRY();
}

}  // namespace

[[gnu::hot]] void query_meter_finish(QueryMeter *meter, const QueryDesc *query) {
  conflict_meters_end(meter->conflicts);
  const CommandDest dest = query->dest->mydest;
  // That there is no row, or how many were changed, is an answer as well.
  const bool has_rows = query->operation == CMD_SELECT || meter->analysis->columns > 0;
  const bool counted = query->estate->es_processed == 0 || !leaves(dest) || !has_rows;
  // So is each MOVE of a cursor, which stands on a row then (WHERE CURRENT OF).
  std::uint32_t told = counted && (!meter->told || dest == DestNone) ? meter->analysis->statement_decides : 0;
  if (dest == DestNone) told |= meter->analysis->row_decides;
  const bool explains = dest == DestNone && query->instrument_options != 0;
  if (explains) told |= shown_by_explain(meter->analysis);
  if ((told | meter->analysis->runs) != 0 || explains) [[unlikely]]
    charge_finish(meter, query, told, explains);
  meter->told = true;
}

bool query_meters_give_back(Oid token_type, Operation operation) noexcept {
  bool any = false;
  for (QueryMeter *query = query_meters; query != nullptr; query = query->next) {
    for (int i = 0; i < query->budgets; ++i) any |= lease_give_back(&query->budget[i].lease, token_type, operation);
    any |= conflict_meters_give_back(query->conflicts, token_type, operation);
  }
  return any;
}

bool error_may_carry_values() noexcept {
  switch (geterrcode()) {
    case ERRCODE_QUERY_CANCELED:
    case ERRCODE_ADMIN_SHUTDOWN:
    case ERRCODE_CONFIGURATION_LIMIT_EXCEEDED:
    case ERRCODE_T_R_SERIALIZATION_FAILURE:  // these three name transactions and rows, no values
    case ERRCODE_T_R_DEADLOCK_DETECTED:
    case ERRCODE_LOCK_NOT_AVAILABLE:
      return false;
    case ERRCODE_INSUFFICIENT_PRIVILEGE:  // the server names the object, which a value may have chosen
      return !error_is_own();
    default:
      return true;
  }
}

bool error_is_own() noexcept {
  ErrorData *error = error_in_flight();
  const bool own = error_origin(error) == ErrorOrigin::redoubt;
  FreeErrorData(error);
  return own;
}

std::uint32_t error_room() noexcept {
  constexpr Size kSentence = 40;
  constexpr Size kValue = 4;
  ErrorData *error = error_in_flight();
  Size length = 0;
  for (const char *text : {error->message, error->detail, error->hint}) length += text != nullptr ? strlen(text) : 0;
  FreeErrorData(error);
  return 1 + static_cast<std::uint32_t>(length > kSentence ? (length - kSentence) / kValue : 0);
}

void query_meter_error(const QueryDesc *query) noexcept {
  QueryMeter *meter = query->estate != nullptr ? query_meter_find(query->estate) : nullptr;
  if (meter == nullptr || meter->explain_only) return;
  conflict_meters_error(meter->conflicts, error_may_carry_values());
  if (!error_may_carry_values()) {
    // That the statement did not end is an answer, also where Redoubt refuses to go on: it came to a row, or to an end.
    for (const int i :
         bits_of(plan_columns(meter->analysis, meter->analysis->statement_decides | meter->analysis->row_decides)))
      if (answer_is_unpaid(meter, i))
        limits_force(meter->analysis->source[i].token_type, Operation::probe, price_of_answer(meter, i));
    return;
  }
  for (int i = 0; i < meter->analysis->sources; ++i) {
    const Source &source = meter->analysis->source[i];
    if (source.opened == Opened::compared) continue;  // is the opened value, once more
    const std::uint32_t room = (meter->gathered & 1U << i) != 0 ? error_room() : 1;
    limits_force(source.token_type, source.opened == Opened::no ? Operation::read : Operation::reveal,
                 std::max<std::uint32_t>({meter->analysis->held[i], meter->analysis->weight[i], room}));
  }
}

void query_meter_charged(const QueryMeter *meter, VisitCharge visit, void *to) {
  for (int i = 0; i < meter->budgets; ++i) {
    const Lease &lease = meter->budget[i].lease;
    visit(to, lease.token_type, lease.operation, static_cast<double>(lease.taken));
  }
  for (int i = 0; i < meter->analysis->types; ++i)
    visit(to, meter->analysis->type[i], Operation::probe, static_cast<double>(meter->ended[i]));
  query_meter_conflicts(meter, visit, to);
}

void query_meter_conflicts(const QueryMeter *meter, VisitCharge visit, void *to) {
  for (const ConflictMeter *conflict = meter->conflicts; conflict != nullptr; conflict = conflict->next)
    for (int i = 0; i < conflict->prices; ++i) {
      const Lease &lease = conflict->price[i].lease;
      visit(to, lease.token_type, lease.operation, static_cast<double>(lease.taken));
    }
}

void query_meter_expected(QueryMeter *meter, CommandDest dest, double rows, VisitCharge visit, void *to) {
  const PlanAnalysis *analysis = meter->analysis;
  query_meter_prepare(meter, dest, dest == DestRemote, true);
  for (int i = 0; i < meter->columns; ++i) {
    const MeteredColumn &column = meter->column[i];
    if (column.charged) continue;
    const Oid type = meter->budget[column.budget].lease.token_type;
    const bool to_reader = dest == DestRemote || !column.as_text;
    const bool revealed = (column.revealable || column.opened) && to_reader && read_is_revealed(type);
    visit(to, type, revealed ? read_revealed_as(type) : Operation::read, rows * column.count);
  }
  for (int i = 0; i < meter->budgets; ++i)
    visit(to, meter->budget[i].lease.token_type, meter->budget[i].lease.operation, rows * meter->budget[i].fixed);
  const bool told = rows == 0 || analysis->columns == 0;
  for (int i = 0; i < analysis->sources; ++i) {
    const double once = told && (analysis->statement_decides & 1U << i) != 0 ? 1 : 0;
    visit(to, analysis->source[i].token_type, Operation::probe, once);
  }
}

}  // namespace redoubt::pg
