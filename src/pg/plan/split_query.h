// plan/split_query.h - a query in two parts: one that another library plans, and one that is computed here.
//
// Where a library sends parts of a query to other servers (plan/out_of_sight.h), these have no keys, and what they
// compute is not metered.  So values are opened, and functions that are not trusted are called, by nodes of
// PostgreSQL's own above the library's: at the server, and in the session, that the client is connected to.
#ifndef REDOUBT_PG_PLAN_SPLIT_QUERY_H
#define REDOUBT_PG_PLAN_SPLIT_QUERY_H

#include "pg/base/boundary.h"

#include "pg/plan/out_of_sight.h"

namespace redoubt::pg {

// The planner of the library.
struct NextPlanner {
  planner_hook_type plan;
  const char *text;
  int options;
  ParamListInfo parameters;
};

// split_query plans a SELECT anew, of which out_of_sight found something; `query` is consumed.  The rows of what can be
// left out of sight come from the library, the rest is planned by PostgreSQL over them:
//   where only columns of the result have to be computed here, all else stays with the library, LIMIT included;
//   else FROM and the other conditions do.
// Comparisons with parameters are tokenized first, as literals have been.  Raises 0A000 for a query that cannot be
// split: one that has such things in a subquery, a set operation or the condition of a join.
PlannedStmt *split_query(Query *query, const InSight &found, const NextPlanner &next);

// Raises 0A000 for a command that writes protected values, or hands them to functions, where that is not metered.
[[noreturn]] void refuse_out_of_sight_command();

}  // namespace redoubt::pg
#endif
