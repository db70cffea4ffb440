// types/token_type.h - what a token type is: the row of redoubt.token_type, cached.
#ifndef REDOUBT_PG_TYPES_TOKEN_TYPE_H
#define REDOUBT_PG_TYPES_TOKEN_TYPE_H

#include "pg/base/boundary.h"

#include "core/format.h"
#include "core/mask.h"
#include "core/normalize.h"
#include "core/refusal.h"

extern "C" {
#include "catalog/pg_collation_d.h"
}

namespace redoubt::pg {

constexpr std::size_t kClassIdSize = 16;
constexpr int kMaxKeyVersion = 0xffff;

// The functions whose EXECUTE privilege is the right to the operation.
enum class Privilege : std::uint8_t { reveal, masked, tokenize, search };
constexpr int kPrivileges = 4;

struct TokenType {
  Oid type;                                         // hash key
  std::uint64_t generation;                         // cache generation it was read in
  bool is_token_type;                               // false: a negative cache entry, nothing below is set
  bool deterministic;                               // equal values have equal tokens
  bool is_bytes;                                    // plaintext is bytea rather than text
  std::array<std::uint8_t, kClassIdSize> class_id;  // associated data of every token of the type
  NameData key;                                     // name of its data key
  NormalizeSpec normalize;
  MaskSpec mask;
  const Format *format;      // whose form tokens have; null: they are binary, and text begins with tok_
  bool is_integer;           // plaintext and token are bigint (with a format only)
  std::int32_t key_version;  // format-preserving only: tokens have no room for it, so it is the type's
  bool vaulted;              // tokens are random and their values in the vault (vault.h)
  bool expires;              // vaulted only: values live for `ttl`
  Interval ttl;
  text *pattern;                      // regular expression the normalised value must match, or null
  bool keeps_invalid;                 // what normaliser or pattern refuse is kept as it was typed
  std::array<Oid, kPrivileges> gate;  // OIDs of detokenize, mask, the cast function and search; InvalidOid = missing
  Oid open_value;                     // the cast to text; InvalidOid where the type has none
  std::array<Oid, 2> array_gate;   // OIDs of detokenize and mask for arrays of the type, which ask the same privileges
  char name[2 * NAMEDATALEN + 2];  // schema.name, for messages and the audit trail
};
static_assert(std::is_trivially_destructible_v<TokenType>);

// token_type_find returns null for a type that is no token type.
// The pointer stays valid for the life of the backend; the content follows
// changes of the row.
const TokenType *token_type_find(Oid type);

// type_is_tokens: a value of the type holds tokens and nothing else.  A token type, or a domain, array, range
// or composite of such.
bool type_is_tokens(Oid type);

// Does a function give the value of a token of the type as text, inside the server?
inline bool type_opens_by(const TokenType *type, Oid function) noexcept {
  return OidIsValid(function) &&
         (function == type->open_value || function == type->gate[static_cast<int>(Privilege::search)]);
}

// token_type_require raises 55000 where the type has no row (a restore that
// has not loaded redoubt.token_type yet).
const TokenType *token_type_require(Oid type);

// token_type_made: the catalog says that it is a token type, whether it has its row or not.  In a restore types, and
// labels that name them, come before the rows of redoubt.token_type.
bool token_type_made(Oid type);

// token_type_any_vaulted tells whether the database has a token type of the method vault.
bool token_type_any_vaulted();

// The token types of this database: a List of const TokenType *, palloc'd.
List *token_types();

// The token types that values of `type` carry: itself, the element of an array,
// the base of a domain, the attributes of a composite or range.  `count` is how
// many tokens one value holds (arrays: per element).
struct CarriedToken {
  Oid token_type;
  std::uint16_t count;
};
constexpr int kMaxCarried = 40;  // more than a statement may read (kMaxSources): that is refused there
struct CarriedTokens {
  Oid type;  // hash key
  std::uint64_t generation;
  bool nothing_else;  // see type_is_tokens
  int size;
  CarriedToken item[kMaxCarried];
};
const CarriedTokens *type_carried(Oid type);

// type_carries: may a value of the type hold tokens of that token type?
bool type_carries(Oid type, Oid token_type);

// type_holds_tokens: may a value of the type hold tokens at all?  Anonymous rows may.
bool type_holds_tokens(Oid type);

// Must a token have met an output function, which charges it, to be in a value of `type` or in what the
// reader gets of it?  Not a format-preserving one in a text: the cast to text is free.
bool type_meets_output(Oid type, Oid token_type);

// The collation of the values of a token column, or of an index over one: its own.  Those of types that are older than
// version 0.2 have none, and take the database's.
inline Oid value_collation(Oid own) noexcept { return OidIsValid(own) ? own : Oid{DEFAULT_COLLATION_OID}; }

// token_type_make_collatable lets columns of a type have a collation, as CREATE TYPE does with COLLATABLE.
void token_type_make_collatable(Oid type);

// value_refuse raises 22P02 for a refused value: type, reason and place.  value_refuse_softly does so unless `context`
// is that of a caller who wants to be told without an error.
void value_refuse_softly(const TokenType *type, const Refusal &refusal, Node *context);
[[noreturn]] void value_refuse(const TokenType *type, const Refusal &refusal);

// What the module is told by events.h: any relation; types, functions and schemas.
void token_type_relation_changed(Oid relid);
void token_type_catalog_changed();

}  // namespace redoubt::pg
#endif
