// plan/by_token.h - what a query compares with the text of a token is compared by tokens.
//
// A text that is compared with a token column has been resolved by PostgreSQL as texts are: the implicit cast opens the
// token, and the operator is that of text.  Equality of values is equality of tokens, which opens nothing and has an
// index; so the other side is tokenized, and the operator becomes that of two tokens.
#ifndef REDOUBT_PG_PLAN_BY_TOKEN_H
#define REDOUBT_PG_PLAN_BY_TOKEN_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// The token that an expression casts to a text and does nothing else with; or null.
Expr *opened_token(Expr *expression);

// by_token changes a comparison in place: token = text and <>, also of a row's fields, IS DISTINCT FROM, = ANY and <>
// ALL of an array of texts, a text = ANY of an array of tokens; and of two arrays =, <>, @>, <@ and &&.  Casts that are
// written out are left, and compare the value as it was typed.
void by_token(Node *comparison);

// Does a collation take no texts for equal but those of the same bytes?  By another, values are compared.
bool is_by_bytes(Oid collation);

// What is assigned to a column of a token type.  A choice by COALESCE or CASE among texts, one of which is a token of
// that type, becomes one among tokens: what is left as it was is not opened.
Expr *assigned_token(Expr *expression);

// NULLIF of a token and a text as a token; null for any other.
Expr *null_if_token(Expr *expression);

}  // namespace redoubt::pg
#endif
