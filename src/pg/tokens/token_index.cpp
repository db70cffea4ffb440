// token_index.cpp - see token_index.h.
//
// Invariant: folded() has of a part of a text a part of what it has of the whole, and the same of the text in lower
// case under any locale; so the trigrams of what LIKE or ILIKE asks for are among those of each value that matches.
// Frames here hold plain data only.
// Covered by sql/search_index.sql.
#include "pg/base/boundary.h"

#include "core/email_fold.h"
#include "core/token.h"
#include "pg/audit/kek.h"
#include "pg/base/catalog.h"
#include "pg/base/plaintext.h"
#include "pg/base/shared_memory.h"
#include "pg/base/varlena_view.h"
#include "pg/keys/keys.h"
#include "pg/reveal/authors.h"
#include "pg/reveal/gate.h"
#include "pg/tokens/token_index.h"
#include "pg/tokens/token_io.h"
#include "pg/tokens/token_value.h"

extern "C" {
#include "access/gin.h"
#include "catalog/pg_collation.h"
#include "utils/formatting.h"
}

namespace redoubt::pg {
namespace {

// Before and after a value, so that patterns find its beginning and its end.  Where they are in a value, too, an index
// finds more rows than match.
constexpr const char *kBegin = "\1\1";
constexpr const char *kEnd = "\2";

const TokenType *require_indexed(Oid oid) {
  require_preloaded();
  require_kek();
  const TokenType *type = token_type_require(oid);
  if (!token_type_has_index(type))
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("values of token type %s have no fingerprints for an index", type->name),
                    errhint("Sealed, deterministic token types on base text have.")));
  return type;
}

const TokenType *argument_type(FunctionCallInfo fcinfo) {
  const Oid type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0));
  if (token_type_find(type) == nullptr) type_refuse(type, "a token type", "redoubt.token_types lists the token types.");
  return require_indexed(type);
}

std::string_view in_case(std::string_view text, bool upper, Oid collation) {
  return upper ? str_toupper(text.data(), text.size(), value_collation(collation))
               : str_tolower(text.data(), text.size(), value_collation(collation));
}

// Without case, in UTF-8: letter by letter, whatever is beside it and whatever the locale, so a part of a text folds to
// a part of the folded text.  What locales make of I and of its dot is one: Turkish takes the dot away or gives it,
// Lithuanian adds it.
std::string_view folded(std::string_view text) {
  const char *utf8 = pg_server_to_any(text.data(), static_cast<int>(text.size()), PG_UTF8);
  const std::string_view given(utf8, utf8 == text.data() ? text.size() : strlen(utf8));
  auto *room = static_cast<char *>(palloc(3 * given.size() + 1));
  std::size_t size = 0;
  shield([&] {
    std::string &out = plaintext_buffer(PlaintextStep::value, 3 * given.size() + 1);
    out.clear();
    fold_case(out, given);
    for (std::size_t at = 0; at < out.size(); ++at) {
      const bool dotless = out.compare(at, 2, "\xC4\xB1") == 0;  // U+0131
      const bool dot = out.compare(at, 2, "\xCC\x87") == 0;      // U+0307
      if (dotless) room[size++] = 'i';
      if (dotless || dot)
        ++at;
      else
        room[size++] = out[at];
    }
  });
  return {room, size};
}

bytea *fingerprint(const TokenType *type, std::string_view text, bool upper, Oid collation) {
  const std::string_view cased = in_case(text, upper, collation);
  auto *result = static_cast<bytea *>(palloc(VARHDRSZ + kSivSize));
  SET_VARSIZE(result, VARHDRSZ + kSivSize);
  const std::span<std::uint8_t, kSivSize> out(reinterpret_cast<std::uint8_t *>(VARDATA(result)), kSivSize);
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t *>(cased.data()), cased.size());
  if (keys_sealer(type, 0)->fingerprint(upper ? IndexUse::upper : IndexUse::lower, bytes, out) != Status::ok)
    elog(ERROR, "could not make a fingerprint");
  return result;
}

// Fingerprints of the trigrams of one or more texts.
struct Trigrams {
  TokenSealer *sealer;
  Datum *item;
  int size;
  int room;
};

Trigrams trigrams_of(const TokenType *type) { return {keys_sealer(type, 0), nullptr, 0, 0}; }

void add_trigram(Trigrams *all, std::string_view three) {
  if (all->size == all->room) {
    all->room = all->room == 0 ? 64 : 2 * all->room;
    const Size bytes = sizeof(Datum) * static_cast<Size>(all->room);
    all->item = static_cast<Datum *>(all->item == nullptr ? palloc(bytes) : repalloc_huge(all->item, bytes));
  }
  std::array<std::uint8_t, kSivSize> whole;
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t *>(three.data()), three.size());
  if (all->sealer->fingerprint(IndexUse::trigram, bytes, whole) != Status::ok)
    elog(ERROR, "could not make a fingerprint");
  std::int64_t head = 0;
  memcpy(&head, whole.data(), sizeof head);
  all->item[all->size++] = Int64GetDatum(head);
}

// Of a part of a text; `begins` and `ends`: the whole text begins or ends with it.
void add_trigrams(Trigrams *all, std::string_view part, bool begins, bool ends) {
  StringInfoData text;
  initStringInfo(&text);
  if (begins) appendStringInfoString(&text, kBegin);
  appendBinaryStringInfo(&text, part.data(), static_cast<int>(part.size()));
  if (ends) appendStringInfoString(&text, kEnd);
  std::array<int, 3> start = {-1, -1, -1};  // of the letter at hand and the two before it
  for (int at = 0; at < text.len;) {
    CHECK_FOR_INTERRUPTS();
    start = {start[1], start[2], at};
    at = std::min(text.len, at + pg_utf_mblen(reinterpret_cast<unsigned char *>(text.data + at)));
    if (start[0] >= 0) add_trigram(all, {text.data + start[0], static_cast<std::size_t>(at - start[0])});
  }
  pfree(text.data);
}

// The parts of a pattern between wildcards.
void add_pattern(Trigrams *all, std::string_view pattern) {
  StringInfoData part;
  initStringInfo(&part);
  bool begins = true;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool escaped = pattern[i] == '\\' && i + 1 < pattern.size();
    if (!escaped && (pattern[i] == '%' || pattern[i] == '_')) {
      add_trigrams(all, {part.data, static_cast<std::size_t>(part.len)}, begins, false);
      resetStringInfo(&part);
      begins = false;
    } else {
      if (escaped) ++i;
      appendStringInfoChar(&part, pattern[i]);
    }
  }
  add_trigrams(all, {part.data, static_cast<std::size_t>(part.len)}, begins, true);
  pfree(part.data);
}

// What the planner has said of a text that is sought, and the privilege to search by it.
SoughtSpec sought(FunctionCallInfo fcinfo) {
  SoughtSpec spec = {};
  const auto said = varlena_bytes(PG_GETARG_POINTER(1));
  if (said.size() != sizeof spec) elog(ERROR, "a text sought by index has %zu bytes beside it", said.size());
  memcpy(&spec, said.data(), sizeof spec);
  gate_require_authors(require_indexed(spec.type), Privilege::search);
  return spec;
}

Datum value_fingerprint(FunctionCallInfo fcinfo, bool upper) {
  const TokenType *type = argument_type(fcinfo);
  const varlena *value = token_open(type, PG_GETARG_BYTEA_PP(0), true);
  PG_RETURN_BYTEA_P(fingerprint(type, varlena_text(value), upper, PG_GET_COLLATION()));
}

}  // namespace

bool token_type_has_index(const TokenType *type) noexcept {
  return type->is_token_type && OidIsValid(type->open_value) && type->deterministic;
}

}  // namespace redoubt::pg

// lower_fingerprint(token) -> bytea: of the value in lower case, 16 bytes.
REDOUBT_FUNCTION(redoubt_lower_fingerprint) { return redoubt::pg::value_fingerprint(fcinfo, false); }
REDOUBT_FUNCTION(redoubt_upper_fingerprint) { return redoubt::pg::value_fingerprint(fcinfo, true); }

// sought_fingerprint(text, internal) -> bytea: the same of a text.
REDOUBT_FUNCTION(redoubt_sought_fingerprint) {
  using namespace redoubt::pg;
  const SoughtSpec spec = sought(fcinfo);
  PG_RETURN_BYTEA_P(fingerprint(token_type_require(spec.type), varlena_text(PG_GETARG_TEXT_PP(0)),
                                spec.as == Sought::upper, PG_GET_COLLATION()));
}

// sought_trigrams(text, internal) -> bytea: the trigrams of a pattern, 8 bytes each.
REDOUBT_FUNCTION(redoubt_sought_trigrams) {
  using namespace redoubt::pg;
  const SoughtSpec spec = sought(fcinfo);
  const std::string_view asked = folded(varlena_text(PG_GETARG_TEXT_PP(0)));
  Trigrams all = trigrams_of(token_type_require(spec.type));
  if (spec.as == Sought::prefix)
    add_trigrams(&all, asked, true, false);
  else
    add_pattern(&all, asked);
  const Size size = VARHDRSZ + sizeof(Datum) * static_cast<Size>(all.size);
  auto *result = static_cast<bytea *>(palloc(size));
  SET_VARSIZE(result, size);
  if (all.size > 0) memcpy(VARDATA(result), all.item, size - VARHDRSZ);
  PG_RETURN_BYTEA_P(result);
}

// may_match(token, bytea) -> boolean: what the operator of the index means where no index is asked.
REDOUBT_FUNCTION(redoubt_may_match) { return BoolGetDatum(true); }

// GIN, extractValue: <type>_trigrams(token, internal, internal) -> internal.
REDOUBT_FUNCTION(redoubt_trigrams) {
  using namespace redoubt::pg;
  const TokenType *type = require_indexed(called_token_type(fcinfo, CallSite::argument));
  const varlena *value = token_open(type, PG_GETARG_BYTEA_PP(0), true);
  const std::string_view whole = folded(varlena_text(value));
  Trigrams all = trigrams_of(type);
  add_trigrams(&all, whole, true, true);
  *reinterpret_cast<int32 *>(PG_GETARG_POINTER(1)) = all.size;
  PG_RETURN_POINTER(all.item);
}

// GIN, extractQuery: what sought_trigrams has returned.  Without a trigram every row may match.
REDOUBT_FUNCTION(redoubt_trigrams_of_query) {
  using namespace redoubt::pg;
  const auto bytes = varlena_bytes(PG_GETARG_BYTEA_PP(0));
  if (bytes.size() % sizeof(Datum) != 0)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("%zu bytes are no fingerprints of trigrams", bytes.size())));
  auto *item = static_cast<Datum *>(palloc(std::max<Size>(bytes.size(), 1)));
  memcpy(item, bytes.data(), bytes.size());
  *reinterpret_cast<int32 *>(PG_GETARG_POINTER(1)) = static_cast<int32>(bytes.size() / sizeof(Datum));
  if (bytes.empty()) *reinterpret_cast<int32 *>(PG_GETARG_POINTER(6)) = GIN_SEARCH_MODE_ALL;
  PG_RETURN_POINTER(item);
}

// GIN, triConsistent: a row may match where it has all of them.
REDOUBT_FUNCTION(redoubt_trigrams_consistent) {
  const auto *check = reinterpret_cast<const GinTernaryValue *>(PG_GETARG_POINTER(0));
  const int32 keys = PG_GETARG_INT32(3);
  const bool all = std::none_of(check, check + keys, [](GinTernaryValue found) { return found == GIN_FALSE; });
  PG_RETURN_GIN_TERNARY_VALUE(all ? GIN_MAYBE : GIN_FALSE);
}
