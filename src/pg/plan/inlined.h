// plan/inlined.h - functions in SQL that work on tokens are called, not put in the place of their calls.
//
// PostgreSQL's planner takes a simple function in SQL apart after a query was looked through for tokens
// (plan/as_text.h), so what its body compares or sorts would be left as the parser took it: texts where tokens are
// meant.  Called, the body is a query of its own, which is looked through.
#ifndef REDOUBT_PG_PLAN_INLINED_H
#define REDOUBT_PG_PLAN_INLINED_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// inlining_guard says that a query is being planned, and returns what was said before, for inlining_restore.
bool inlining_guard() noexcept;
void inlining_restore(bool before) noexcept;

void inlined_install();

// The queries of a function in SQL as the planner would be given them; NIL where the types of arguments depend on the
// call, and for several statements in a string, which may need one another, and are never taken apart.
List *sql_body(HeapTuple function);

}  // namespace redoubt::pg
#endif
