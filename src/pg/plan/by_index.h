// plan/by_index.h - conditions on opened values that an index over fingerprints serves (tokens/token_index.h).
//
// To `lower(email) = x` is added that the fingerprints are equal, to `email ILIKE x` that the row has the trigrams of
// x. The conditions stay as they are: what an index finds, they decide on, and ask the privilege and the price for.  So
// what is added tells nothing more, and the analysis of the plan passes over it.
#ifndef REDOUBT_PG_PLAN_BY_INDEX_H
#define REDOUBT_PG_PLAN_BY_INDEX_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// by_index adds to the conditions of a query itself, in place, what an index that is there can be asked.
void by_index(Query *query);

// Is it what by_index has added?  Only the planner can place that: one argument of it is of the type internal.
bool is_index_term(const OpExpr *condition);

}  // namespace redoubt::pg
#endif
