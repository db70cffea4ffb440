// token_compare.cpp - equality, order, hash and sort support of deterministic tokens.
//
// Only V is looked at, so tokens of one value under two key versions are equal.
// No key, no plaintext: these functions are immutable and leakproof, and work
// without the library being preloaded.
// Covered by sql/token_operators.sql.
#include "pg/base/boundary.h"

#include "pg/base/varlena_view.h"
#include "core/token.h"

namespace redoubt::pg {
namespace {

// The token's first bytes, enough to compare; detoasts no more than these.
std::span<const std::uint8_t> head(Datum value) {
  auto *token = reinterpret_cast<varlena *>(DatumGetPointer(value));
  if (VARATT_IS_COMPRESSED(token) || VARATT_IS_EXTERNAL(token))
    token = pg_detoast_datum_slice(token, 0, static_cast<int32>(kTokenOverhead));
  return varlena_bytes(token);
}

// V of a token, for hashing.
std::span<const std::uint8_t> fingerprint(Datum value) {
  const auto token = head(value);
  if (token.size() < kTokenOverhead)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("corrupt token: %zu bytes", token.size())));
  return token.subspan(kTokenHeaderSize, kSivSize);
}

int compare(Datum a, Datum b) { return token_compare(head(a), head(b)); }

int compare_args(FunctionCallInfo fcinfo) { return compare(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)); }

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static int redoubt_sort_compare(Datum a, Datum b, SortSupport) { return redoubt::pg::compare(a, b); }
static Datum redoubt_sort_abbreviate(Datum original, SortSupport) {
  return UInt64GetDatum(redoubt::token_prefix(redoubt::pg::head(original)));
}
// V is uniformly distributed: its first 8 bytes practically always decide.
static bool redoubt_sort_abbreviate_abort(int, SortSupport) { return false; }
}

REDOUBT_FUNCTION(redoubt_token_eq) { PG_RETURN_BOOL(redoubt::pg::compare_args(fcinfo) == 0); }
REDOUBT_FUNCTION(redoubt_token_ne) { PG_RETURN_BOOL(redoubt::pg::compare_args(fcinfo) != 0); }
REDOUBT_FUNCTION(redoubt_token_lt) { PG_RETURN_BOOL(redoubt::pg::compare_args(fcinfo) < 0); }
REDOUBT_FUNCTION(redoubt_token_le) { PG_RETURN_BOOL(redoubt::pg::compare_args(fcinfo) <= 0); }
REDOUBT_FUNCTION(redoubt_token_gt) { PG_RETURN_BOOL(redoubt::pg::compare_args(fcinfo) > 0); }
REDOUBT_FUNCTION(redoubt_token_ge) { PG_RETURN_BOOL(redoubt::pg::compare_args(fcinfo) >= 0); }
REDOUBT_FUNCTION(redoubt_token_cmp) { PG_RETURN_INT32(redoubt::pg::compare_args(fcinfo)); }

REDOUBT_FUNCTION(redoubt_token_hash) {
  const auto v = redoubt::pg::fingerprint(PG_GETARG_DATUM(0));
  PG_RETURN_DATUM(hash_any(v.data(), static_cast<int>(v.size())));
}

REDOUBT_FUNCTION(redoubt_token_hash_extended) {
  const auto v = redoubt::pg::fingerprint(PG_GETARG_DATUM(0));
  PG_RETURN_DATUM(hash_any_extended(v.data(), static_cast<int>(v.size()), static_cast<uint64>(PG_GETARG_INT64(1))));
}

REDOUBT_FUNCTION(redoubt_token_sortsupport) {
  auto *sort = reinterpret_cast<SortSupport>(PG_GETARG_POINTER(0));
  sort->comparator = redoubt_sort_compare;
#if SIZEOF_DATUM == 8
  if (sort->abbreviate) {
    sort->abbrev_full_comparator = redoubt_sort_compare;
    sort->abbrev_converter = redoubt_sort_abbreviate;
    sort->abbrev_abort = redoubt_sort_abbreviate_abort;
    sort->comparator = ssup_datum_unsigned_cmp;
  }
#endif
  PG_RETURN_VOID();
}
