// query_meter.h - what a query is charged besides its rows, and the state of metering it.
//
// One per executor run of a plan that touches protected columns.  read_meter charges the rows that leave, and
// meter_function what leaves in the middle of a plan.
#ifndef REDOUBT_PG_METER_QUERY_METER_H
#define REDOUBT_PG_METER_QUERY_METER_H

#include "pg/base/boundary.h"

#include "pg/meter/conflict_meter.h"
#include "pg/limits/lease.h"
#include "pg/meter/plan_cache.h"
#include "pg/meter/probe_tree.h"

namespace redoubt::pg {

// A budget that rows are charged to.
struct MeteredBudget {
  Lease lease;
  int type;              // its place in the analysis
  std::uint32_t fixed;   // values in every row
  std::uint32_t wanted;  // values in the row at hand
};

// A column whose values have to be looked at.
struct MeteredColumn {
  AttrNumber attribute;
  std::uint32_t settles;  // a bit per source of the same column: where there is a value, its row is no probe of them
  Oid type;
  std::uint16_t count;
  bool many = false;
  bool pure = false;
  bool sometimes = false;
  bool revealable = false;  // tokens: where an output function reveals them, it charges instead
  bool as_text = false;     // made into text by the query, not by whom it is handed to
  bool charged = false;     // by the call that made it
  bool opened = false;      // holds values opened inside the server
  int budget = 0;
};

struct QueryMeter {
  QueryMeter *next = nullptr;
  const EState *estate = nullptr;
  const QueryDesc *query = nullptr;
  const PlanAnalysis *analysis;
  bool explain_only = false;
  bool told = false;  // the probe for "no row" is settled
  ProbeTree<std::uint64_t> probes;
  std::uint64_t *ended = nullptr;  // by token type of the analysis: probes charged for how a run has ended
  int budgets = 0;
  MeteredBudget *budget = nullptr;  // room for two per source
  bool opened = false;              // a column is
  std::uint32_t searched = 0;       // a bit per source: compared by who may not reveal it
  std::uint32_t gathered = 0;       // a bit per source: a value of its column holds several, and the statement writes
  std::uint32_t each = 1;           // probes that a row costs, or an end, by a comparison of opened values
  bool single = false;              // one budget, one column, and nothing else in a row
  std::uint32_t instead = 0;        // a bit per source: a row in which all its values are null is a probe of it
  int columns = 0;
  MeteredColumn *column = nullptr;  // room for every source that an output column carries
  ConflictMeter *conflicts = nullptr;
  MemoryContextCallback forget = {};
};

inline constinit QueryMeter *query_meters = nullptr;  // of this backend, innermost first

// query_meter_start is called after ExecutorStart of a plan that touches something protected.  Raises 53400 where a
// bucket of the query is in debt, 55000 where the plan has a point without a meter.
void query_meter_start(QueryDesc *query, PlanFacts *facts, int eflags);

// How many probes a row costs of which values of the type have decided that it is there.
std::uint32_t query_meter_price(const QueryMeter *meter, Oid token_type) noexcept;

// query_meter_find returns the meter of a query, null where it has none.
QueryMeter *query_meter_find(const EState *estate) noexcept;

// query_meter_prepare sets a meter up for one run: the settings and the destination decide what is charged.
void query_meter_prepare(QueryMeter *meter, CommandDest dest, bool makes_text, bool store_is_printed);

// query_meter_budget returns the place of the budget that values or probes of a source are charged to.
int query_meter_budget(QueryMeter *query, int source, Operation operation) noexcept;

// query_meter_in returns the meter of the query whose memory context this is, or null: in a parallel worker there is
// none.
QueryMeter *query_meter_in(MemoryContext context) noexcept;

// query_meter_finish charges what a finished run told besides its rows: that there was none, a count.
void query_meter_finish(QueryMeter *meter, const QueryDesc *query);

// query_meters_give_back: leases_give_back, of what the output of the queries in progress has leased.
bool query_meters_give_back(Oid token_type, Operation operation) noexcept;

// For the error path: the message may carry a protected value of the query.
void query_meter_error(const QueryDesc *query) noexcept;

// For the error path: false where the SQLSTATE of the error in flight rules out that it quotes a value.
bool error_may_carry_values() noexcept;
// The same: is it a refusal of Redoubt's own, which names no value?
bool error_is_own() noexcept;
// The same: how many values its text has room for, of four letters each beside a short sentence.
std::uint32_t error_room() noexcept;

// What a query costs, entry by entry.
using VisitCharge = void (*)(void *to, Oid token_type, Operation operation, double values);

// query_meter_of returns the meter of a plan that is executed right now, or null.
QueryMeter *query_meter_of(const PlannedStmt *plan) noexcept;

// query_meter_charged tells what a run has been charged by this process, without meters in its plan.
void query_meter_charged(const QueryMeter *meter, VisitCharge visit, void *to);

// query_meter_conflicts tells what of that was charged for conflicts, beside all other probes.
void query_meter_conflicts(const QueryMeter *meter, VisitCharge visit, void *to);

// query_meter_expected tells what `rows` rows of the answer would be charged, sent to `dest` of this session.  Ends
// the use of `meter` for a run.
void query_meter_expected(QueryMeter *meter, CommandDest dest, double rows, VisitCharge visit, void *to);

}  // namespace redoubt::pg
#endif
