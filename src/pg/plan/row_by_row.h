// plan/row_by_row.h - a function in SQL that is all of FROM gives its rows one by one.
//
// PostgreSQL computes all rows of a function in FROM before the first is read, so a query that stops early (LIMIT, a
// cursor) would pay for rows that nobody gets.  In a select list a function in SQL is asked for them one by one.
#ifndef REDOUBT_PG_PLAN_ROW_BY_ROW_H
#define REDOUBT_PG_PLAN_ROW_BY_ROW_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Where a query may stop early, FROM f() becomes FROM (SELECT f()), in place: if f() is a function in SQL that the
// planner does not take apart, and whose body is one SELECT of protected tables of which nobody can tell how far it
// ran. `options` are the planner's: those of a cursor.
void row_by_row(Query *query, int options);

}  // namespace redoubt::pg
#endif
