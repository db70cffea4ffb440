// policy.h - what a token type is: the row of redoubt.token_type, cached.
#ifndef REDOUBT_PG_POLICY_H
#define REDOUBT_PG_POLICY_H

#include "pg/boundary.h"

#include "core/format.h"
#include "core/mask.h"
#include "core/normalize.h"

namespace redoubt::pg {

constexpr std::size_t kClassIdSize = 16;

// The three functions whose EXECUTE privilege is the right to the operation.
enum class Privilege : std::uint8_t { reveal, masked, tokenize };
constexpr int kPrivileges = 3;

struct TypePolicy {
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
  std::array<Oid, kPrivileges> gate;  // OIDs of detokenize, mask and the cast function; InvalidOid = missing
  std::array<Oid, 2> array_gate;   // OIDs of detokenize and mask for arrays of the type, which ask the same privileges
  char name[2 * NAMEDATALEN + 2];  // schema.name, for messages and the audit trail
};
static_assert(std::is_trivially_destructible_v<TypePolicy>);

// policy_find returns the policy of a token type, or null for any other type.
// The pointer stays valid for the life of the backend; the content follows
// changes of the row.
const TypePolicy *policy_find(Oid type);

// policy_is_tokens: a value of the type holds tokens and nothing else.  A token type, or a domain, array, range
// or composite of such.
bool policy_is_tokens(Oid type);

// policy_require raises 55000 where the type has no policy row (a restore that
// has not loaded redoubt.token_type yet).
const TypePolicy *policy_require(Oid type);

// policy_any_vaulted tells whether the database has a token type of the method vault.
bool policy_any_vaulted();

// policy_each visits every token type of this database.
void policy_each(void (*visit)(const TypePolicy *policy, void *context), void *context);

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
  int size;
  CarriedToken item[kMaxCarried];
};
const CarriedTokens *policy_carried(Oid type);

// policy_carries: may a value of the type hold tokens of that token type?
bool policy_carries(Oid type, Oid token_type);

// policy_write runs a statement of a function of ours on an own table, through the SPI connection at hand, and returns
// what SPI_execute_with_args does.  It writes no `policy` event, because the function records what it did itself. Every
// other change does, also one that the statement's triggers or rules make on the way.
enum class OwnChange : std::uint8_t { inserts, inserts_or_updates, updates, deletes };
int policy_write(OwnChange change, const char *sql, std::span<Oid> types, Datum *values, const char *nulls = nullptr);

}  // namespace redoubt::pg
#endif
