// plan/by_index.h - conditions on opened values that an index serves: of fingerprints (tokens/token_index.h), or in the
// order of values (tokens/token_order.h).
//
// To `lower(email) = x` is added that the fingerprints are equal, to `email ILIKE x` that the row has the trigrams of
// x, to `email < x` the same for the index. The conditions stay as they are: what an index finds, they decide on, and
// ask the privilege and the price for.  So what is added tells nothing more, and the analysis of the plan passes over
// it.
#ifndef REDOUBT_PG_PLAN_BY_INDEX_H
#define REDOUBT_PG_PLAN_BY_INDEX_H

#include "pg/base/boundary.h"

extern "C" {
#include "nodes/pathnodes.h"
}

namespace redoubt::pg {

// by_index adds to the conditions of a query itself, in place, what an index that is there can be asked.
void by_index(Query *query);

// show_orders makes the planner sort by indexes of the relation that are in the order of values: as rows that are
// sorted by the opened value, they are priced where they are delivered.
void show_orders(RelOptInfo *relation);

// Is it what by_index has added?  Only the planner can place that: one argument of it is of the type internal.
bool is_index_term(const OpExpr *condition);

}  // namespace redoubt::pg
#endif
