// fpe_array.h - arrays of format-preserving values and tokens: many at a time, their FF1 rounds side by side.
//
// What it is: array in, array out; of texts the result is written once, where it stays.  Callers have been admitted
// (disclosure.h), and charge what they tokenize afterwards.
// What it is not: the SQL functions (token_array.cpp).
#ifndef REDOUBT_PG_TOKENS_FPE_ARRAY_H
#define REDOUBT_PG_TOKENS_FPE_ARRAY_H

#include "pg/base/boundary.h"

#include "pg/reveal/disclosure.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {

// fpe_array_texts tells whether values and tokens of a type are texts and the vault has no part in them: of these, and
// of no others, arrays are taken whole.
inline bool fpe_array_texts(const TokenType *type) noexcept {
  return type->format != nullptr && !type->is_integer && !type->vaulted;
}

// fpe_array_check raises 22P02 unless every text has the form of a token.
void fpe_array_check(const TokenType *type, ArrayType *texts);

// fpe_array_tokenize and fpe_array_open return an array of type `element` with dimensions, bounds and nulls of the
// argument: the tokens of values, and the values of tokens, plain or masked.  Raise as single values do.
ArrayType *fpe_array_tokenize(const TokenType *type, ArrayType *values, Oid element);
ArrayType *fpe_array_open(const TokenType *type, Operation op, ArrayType *tokens, Oid element);

// fpe_make_all and fpe_open_all do the same to the Datums of all other format-preserving types, in place and none of
// them null: bigints, and whatever is vaulted (the vault charges for itself).
void fpe_make_all(const TokenType *type, std::span<Datum> values);
void fpe_open_all(const TokenType *type, Operation op, std::span<Datum> tokens);

}  // namespace redoubt::pg
#endif
