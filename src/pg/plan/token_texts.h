// plan/token_texts.h - texts of a query that are tokens of format-preserving types.
//
// As a text, a column of such a type is its token.  Where that text is assigned to the type, or compared with it, it is
// still a token, whatever the session writes (tokens/fpe_input.h).  The functions that are called see that of an
// argument that says so itself; what has come through a subquery, a CTE or a set operation is found here.
#ifndef REDOUBT_PG_PLAN_TOKEN_TEXTS_H
#define REDOUBT_PG_PLAN_TOKEN_TEXTS_H

#include "pg/base/boundary.h"

#include "pg/plan/query_columns.h"

namespace redoubt::pg {

// The operator of two tokens of a type that means what `op`, of a token and a text, does; InvalidOid unless that is =
// or
// <>.
Oid token_operator(Oid type, Oid op);

// The token type of values in a row or an array, whose parts PostgreSQL compares as they are, by token; InvalidOid
// where there are none.
Oid opened_part(const QueryLevel *level, const Node *value);

// Of a node: a cast of such a text is marked, and one of an array without such texts; a comparison with one compares
// tokens.  Raises 0A000 for a comparison with a text that was made of tokens, where the session writes values.
void token_texts(const QueryLevel *level, Node *node);

}  // namespace redoubt::pg
#endif
