// pending_value.h - a value of a vaulted type that was given as a literal or as a parameter without a type.
//
// Its token is a row of the vault, and an input function may write none: it runs while a statement is parsed or bound.
// So what it returns in the place of the token is the value itself, sealed under a key that the backend forgets: a
// pending value.  Before the statement is planned each of these, and each parameter that may hold one, is put into a
// call that makes or finds the token (plan/pending_values.h) or refuses the literal.
//
// Made only where a statement of the client is parsed or bound, as there the planner sees all that becomes of it.
// Nothing else knows pending values; as a token one is malformed.
#ifndef REDOUBT_PG_TOKENS_PENDING_VALUE_H
#define REDOUBT_PG_TOKENS_PENDING_VALUE_H

#include "pg/base/boundary.h"

#include "pg/types/token_type.h"

namespace redoubt::pg {

// pending_value_of_input returns the pending value of a text in the server encoding, in palloc'd memory.  Raises 22P02
// where there may be none: in a function, a utility command, COPY and subscriptions, and of a type on bigint, whose
// tokens have no room for one.
varlena *pending_value_of_input(const TokenType *type, std::string_view value);

// What the output function shows of one, in a plan.
inline constexpr char kPendingShown[] = "(a value)";

// pending_value_is tells whether `token` is one, and pending_value_within whether there is one in a value of an
// array, row or range; of this backend, no other has any.  The arguments are detoasted.
bool pending_value_is(const varlena *token) noexcept;
bool pending_value_within(const varlena *value) noexcept;

// Raises 22P02 for a literal in a value of `type`, which carries tokens of a vaulted type.
[[noreturn]] void pending_value_refuse(Oid type);

}  // namespace redoubt::pg
#endif
