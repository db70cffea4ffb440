// plan/as_text.h - what a query means by a token column, where it takes it for the text it replaced.
//
// PostgreSQL's parser has resolved the operators and functions of text by the implicit cast of a token to its value
// (redoubt.open_value).  What it could not know is done here, before the query is planned.
#ifndef REDOUBT_PG_PLAN_AS_TEXT_H
#define REDOUBT_PG_PLAN_AS_TEXT_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// as_text changes a query in place:
//   a column cast to text, alone or beside other text, where it leaves the query or is written, is what the output
//   function makes of it, so a token or what redoubt.reveal says; ORDER BY, <, <=, > and >= are by value, unless the
//   session is shown tokens, or redoubt.token_order is on; equality with a text is that of tokens (plan/by_token.h), so
//   that an index serves; other indexes are asked for opened values (plan/by_index.h); where no plan will meter what
//   becomes of a value, it is revealed where it is opened, and charged there.
// Raises 0A000 for what has a counterpart by token only (GREATEST, a comparison with an array).
void as_text(Query *query);

// Does a query itself, its subqueries aside, read a table with protected columns?
bool reads_protected(const Query *query);

}  // namespace redoubt::pg
#endif
