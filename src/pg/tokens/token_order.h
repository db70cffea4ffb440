// token_order.h - an index over a token column in the order of its values.
//
// Such an index is opt-in: its operator class, <type>_value_ops, compares tokens by opening them, under the collation
// of the index, so that its pages tell the order of the values and nothing else.  Writing a row and making the index
// need no privilege, and give nothing back.
// Invariant: nothing but an index compares by it.  It has no operator for two tokens, so nobody can sort by it; its
// operators have an argument of the type internal, of which SQL has no value, so nobody can name them; and where range
// types or partitions would compare by it, it refuses.  What queries are served by it, and what they pay, is in
// plan/by_index.h.
#ifndef REDOUBT_PG_TOKENS_TOKEN_ORDER_H
#define REDOUBT_PG_TOKENS_TOKEN_ORDER_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Is it an operator family that compares tokens by their values?
bool is_value_family(Oid family);

// Its operator of a btree strategy other than equality: (token, what sought_value() returns).
Oid value_operator(Oid family, int strategy);

}  // namespace redoubt::pg
#endif
