// fpe_input.h - is what is written into a format-preserving column a token or a value?
//
// Nothing in it tells.  One rule does: what a role reads is what it writes.  redoubt.input says it for roles that do
// not read.
#ifndef REDOUBT_PG_TOKENS_FPE_INPUT_H
#define REDOUBT_PG_TOKENS_FPE_INPUT_H

#include "pg/base/boundary.h"

#include "pg/types/token_type.h"

namespace redoubt::pg {

// What the planner says of the argument of a cast, in the place of a type modifier (plan/token_texts.h).
inline constexpr int32 kFpeIsToken = 1;
inline constexpr int32 kFpeMadeOfToken = 2;
inline constexpr int32 kFpeIsValue = 3;  // of an element of an array, which does not show it

// fpe_input_is_value: what the current role writes, or compares with a column, are values.  COPY FROM, subscriptions
// and the scripts of dumps always write tokens.
bool fpe_input_is_value(const TokenType *type);

// Before something is taken for a token that may have been meant as a value: warns, once in a statement and type, where
// neither redoubt.reveal nor redoubt.input says which, and where COPY takes tokens in a session that writes values.
// Raises 55000 where redoubt.reveal is auto and the role may tokenize values, but reads none.
void fpe_warn_token(const TokenType *type);

// Before a function returns tokens as texts.  Raises 55000 where the session writes values, so that such a text would
// be tokenized again, and as fpe_refuse_again where the argument of the call is a token.
void fpe_require_token_input(FunctionCallInfo fcinfo, const TokenType *type);

// Is the argument of a call what a function of this library returns?
bool fpe_argument_is_own(FunctionCallInfo fcinfo);

// Is the argument of a call a token of the type already, as it shows no more than its column (card::text)?
bool fpe_argument_is_token(FunctionCallInfo fcinfo, Oid type);

// Raises 0A000 where the argument is made of a token of the type (NEW.card := trim(NEW.card)), or is an element of an
// array that a plan has not looked at.
void fpe_refuse_hidden(FunctionCallInfo fcinfo, const TokenType *type);

// Raises 22P02: a token would be tokenized again.
[[noreturn]] void fpe_refuse_again(const TokenType *type);

}  // namespace redoubt::pg
#endif
