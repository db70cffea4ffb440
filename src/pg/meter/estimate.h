// meter/estimate.h - how much the points in the middle of a plan will charge.
//
// From the planner's row counts, as rough as they are.  For EXPLAIN only: nothing is
// charged by it.
#ifndef REDOUBT_PG_METER_ESTIMATE_H
#define REDOUBT_PG_METER_ESTIMATE_H

#include "pg/meter/query_meter.h"

namespace redoubt::pg {

// plan_estimate visits the meters of a plan that Redoubt has been through, and its calls of
// detokenize, mask and the functions that tokenize, each with the values it will charge; and the probes that the points
// of the plan will ask for, together.  Returns true if parallel workers run meters of the plan: what those charge is
// not known to the leader.
bool plan_estimate(const PlannedStmt *plan, const PlanAnalysis *analysis, VisitCharge visit, void *to);

}  // namespace redoubt::pg
#endif
