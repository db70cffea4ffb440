// planner_hooks.h - what Redoubt does while a statement is planned.
//
// Puts meters into the finished plan, keeps aggregates over protected columns on this
// server, and keeps statistics of protected columns from functions that might disclose
// them.  The planner hook itself is chained in hooks.cpp.
#ifndef REDOUBT_PG_METER_PLANNER_HOOKS_H
#define REDOUBT_PG_METER_PLANNER_HOOKS_H

#include "pg/base/boundary.h"

#include "pg/plan/split_query.h"

namespace redoubt::pg {

// planner_begin is called with the query to be planned, and may change it.  It returns the options to plan with.
int planner_begin(Query *query, int options);

// planner_beside plans a query where another library has the planner's hook.  Where that library leaves scans that no
// meter sees into (plan/out_of_sight.h), what has to be metered is planned above them, or refused.
PlannedStmt *planner_beside(Query *query, const NextPlanner &next);

// planner_end puts meters into the finished plan, in the memory context that holds it.  `as_it_is`: no other library
// changes the plan from here until it runs.
void planner_end(PlannedStmt *plan, bool as_it_is);

// Installs the hooks that the planner calls on its way.  Call while preloading.
void planner_hooks_install();

}  // namespace redoubt::pg
#endif
