// token_index.h - what an index over a token column holds in the place of values.
//
// Two kinds, each opt-in, both of keyed fingerprints (core/token.h), so that an index tells which values are equal, or
// have three letters in common, and nothing more:
//   btree or hash on redoubt.lower_fingerprint(column), or upper_fingerprint: equality whatever the case of letters;
//   GIN on the column: fingerprints of each three letters that follow one another, for LIKE and ILIKE.
// Whoever writes a row needs no privilege for that, and sees nothing.  An index finds rows that may match; the
// condition itself is computed from opened values as it is without (plan/by_index.cpp).
#ifndef REDOUBT_PG_TOKENS_TOKEN_INDEX_H
#define REDOUBT_PG_TOKENS_TOKEN_INDEX_H

#include "pg/base/boundary.h"

#include "pg/types/token_type.h"

namespace redoubt::pg {

// How the text that an index is asked for is meant.
enum class Sought : std::int32_t {
  lower,    // a value in lower case
  upper,    // in upper case
  pattern,  // of LIKE or ILIKE
  prefix,   // of starts_with
};

// The second argument of redoubt.sought_fingerprint and sought_trigrams: the contents of a bytea, in a Const whose type
// is internal, of which SQL has no value.
struct SoughtSpec {
  Oid type;
  Sought as;
};

// Can columns of the type have such indexes?  Sealed, deterministic types on base text.
bool token_type_has_index(const TokenType *type) noexcept;

}  // namespace redoubt::pg
#endif
