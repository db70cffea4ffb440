// pending_value.h - a value of a vaulted type that was given as a literal or as a parameter without a type.
//
// Its token is a row of the vault, and an input function may write none: it runs while a statement is parsed or bound.
// So what it returns in the place of the token is the value itself, sealed under a key that the backend forgets: a
// pending value.  Before the statement is planned each of these, and each parameter that may hold one, is put into a
// call that makes or finds the token (plan/pending_values.h) or refuses the literal.
//
// Invariant: there are pending values only in constants and parameters of a statement of the client, each a value by
// itself, not a part of an array, row or range.  No code sees one before it has been put into a call.
#ifndef REDOUBT_PG_TOKENS_PENDING_VALUE_H
#define REDOUBT_PG_TOKENS_PENDING_VALUE_H

#include "pg/base/boundary.h"

#include "pg/types/token_type.h"

namespace redoubt::pg {

// pending_value_of_input returns the pending value of a text in the server encoding, in palloc'd memory, to the input
// function that was called with `input`.  Raises 22P02 where there may be none (delivery_given_by_client), and of a
// type on bigint, whose tokens have no room for one.
varlena *pending_value_of_input(const TokenType *type, const FmgrInfo *input, std::string_view value);

// What the output function shows of one, in a plan.
inline constexpr char kPendingShown[] = "(a value)";

// pending_value_any tells whether this backend has made one.
bool pending_value_any() noexcept;

// pending_value_is tells whether a token is one, of this backend; no other has any.  The argument is detoasted.
bool pending_value_is(const varlena *token) noexcept;

}  // namespace redoubt::pg
#endif
