// plan/analysis.h - where protected values leave a finished plan.
//
// plan_analyze follows the values of protected columns from the scans upwards.  What
// reaches the top is described in the result and metered at the DestReceiver.  What is
// handed over in the middle (arguments of aggregates that carry their input out, of
// functions that may disclose, values written to unprotected columns) is metered by a
// pass-through function put around the expression, see meter_function.h.
#ifndef REDOUBT_PG_PLAN_ANALYSIS_H
#define REDOUBT_PG_PLAN_ANALYSIS_H

#include "pg/plan/flow.h"
#include "pg/plan/meter_node.h"

namespace redoubt::pg {

struct OutputColumn {
  Flow flow;
  Oid type;
  std::uint32_t carries;  // a bit per source of which there are values: flow_explicit(flow)
  std::uint32_t holds;    // a bit per source of tokens where the type may hold tokens, in rows and arrays too
  std::uint32_t stays;    // of these, the sources that nothing but tokens is there of
  std::uint32_t reveals;  // a bit per source of tokens that must have met an output function, see type_meets_output
};

// Plain data in the memory context of its plan.
struct PlanAnalysis {
  int sources;
  int types;          // token types of the sources
  int points;         // where rows are counted as probes, besides the answer
  MeterPoint *above;  // by point: larger, or kAnswer
  int columns;        // of the rows that leave; junk left out
  OutputColumn *column;
  int values;                       // bits in the columns' `carries` together
  std::uint32_t row_decides;        // implicit flow into an output row, its place included
  std::uint32_t statement_decides;  // implicit flow anywhere in the statement: into whether there is a row
  std::uint32_t runs;               // decided that a subquery is run, as EXPLAIN ANALYZE and statistics tell
  int foreseen;                     // functions of the plan that are not trusted
  Oid *foreseen_function;
  std::uint32_t computed;  // opened values of which the statement makes something else than a comparison or a copy
  int comparisons;         // of opened values with constants, and sorts by them
  bool conflicts;          // ON CONFLICT looks for rows of a table with protected columns
  bool unmetered;          // a point in the middle had no meter when the plan was looked through
  bool beyond_count;       // a value may hold more than a count can say

  // Only the places that are in use are set.
  Source source[kMaxSources];
  std::uint16_t weight[kMaxSources];   // by source: probes where it decides; one that copies share stands for each
  std::uint16_t held[kMaxSources];     // values of the source in the largest value of the statement
  std::uint16_t figures[kMaxSources];  // by source: nodes of which EXPLAIN ANALYZE shows how many rows it let pass
  std::uint8_t type_of[kMaxSources];   // by source: the place of its token type
  Oid type[kMaxSources];
};

// plan_columns: of the sources in `mask`, one for each column.
std::uint32_t plan_columns(const PlanAnalysis *analysis, std::uint32_t mask) noexcept;

// plan_type: the place of a token type of the statement's sources, or -1.
int plan_type(const PlanAnalysis *analysis, Oid token_type) noexcept;

// plan_foresees: is the function one that the analysis found in the plan, and put meters before?
bool plan_foresees(const PlanAnalysis *analysis, Oid function) noexcept;

// plan_touches_protected: a quick look at the range table and the output types.  Only a plan that does has an
// analysis.
bool plan_touches_protected(const PlannedStmt *plan);

// plan_analyze describes a plan, in the memory of that.  With `inject` it also puts meters into it, in the current
// memory context, which must be the plan's; without, meters are recognised.
PlanAnalysis *plan_analyze(PlannedStmt *plan, bool inject);

// refuse_opened raises 42501: what was opened inside the server does not come to rest in a column.
[[noreturn]] void refuse_opened(Oid token_type);

}  // namespace redoubt::pg
#endif
