// plan/plain_query.h - a query that has nothing of this extension in it, as most have, is left alone before planning.
#ifndef REDOUBT_PG_PLAN_PLAIN_QUERY_H
#define REDOUBT_PG_PLAN_PLAIN_QUERY_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// True only if all types, functions and operators of a query and its subqueries are PostgreSQL's own, and it does not
// read statistics of tables: no token is in it that anything is done with, nor a call that makes or opens one.  Columns
// of tokens that are results, and nothing else, are none of it.  What is seldom is looked at no further: then the
// answer is false.  (Labelled columns, which are of any type, are the finished plan's business.)
bool is_plain_query(const Query *query);

}  // namespace redoubt::pg
#endif
