// plan/pending_values.h - literals and untyped parameters of vaulted types, where a statement writes or compares them.
//
// Their tokens are made, or looked for, when the statement runs (tokens/pending_value.h).
#ifndef REDOUBT_PG_PLAN_PENDING_VALUES_H
#define REDOUBT_PG_PLAN_PENDING_VALUES_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// pending_values changes a query of the client in place: each constant that is a pending value, and each parameter that
// may be one, is put into a call, which makes the token where the value is written into a column, finds it where it is
// compared by an operator of equality, and anywhere else raises 22P02 where it is no token.
void pending_values(Query *query);

// Raises 22P02 for such a literal, or a parameter with such a value, in what of a command nobody plans: the arguments
// of CALL, and the query of a materialised view that is made.
void pending_values_refuse(const Node *statement, ParamListInfo parameters);

}  // namespace redoubt::pg
#endif
