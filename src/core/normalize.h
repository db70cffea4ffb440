// normalize.h - make equal things equal before they are tokenized.
//
// A deterministic token is equal only where the plaintext is equal byte for byte, so
// the spellings of one e-mail address, telephone number or name must become one first.
// Not a deliverability check: a normalised address need not exist.
// Invariants: normalising twice gives what normalising once gave; no output holds the
// mask character; every output is valid UTF-8.
// No locks, no state.  Covered by test/unit/normalize_test.cpp (and email_, phone_test.cpp)
// and test/fuzz/normalize_fuzz.cpp.
#ifndef REDOUBT_CORE_NORMALIZE_H
#define REDOUBT_CORE_NORMALIZE_H

#include <cstdint>
#include <string>
#include <string_view>

#include "core/refusal.h"
#include "core/result.h"

namespace redoubt {

enum class NormalizeKind : std::uint8_t {
  none,          // kept byte for byte
  trim,          // NFC, white space at both ends removed
  upper,         // trim, and a-z become A-Z; no other letter changes, so the result is the same under every locale
  lower,         // trim, and A-Z become a-z; likewise
  email,         // see email.h
  email_folded,  // see email_fold.h
  phone,         // see phone.h
  name,          // NFC, trim, each run of inner white space becomes one U+0020
};

// NormalizeSpec is a parsed normaliser: plain data, to be cached and copied freely.
struct NormalizeSpec {
  NormalizeKind kind = NormalizeKind::none;
  std::uint8_t phone_country = 0;  // phone only: index into phone_countries()
};

// NfcFunction writes the Normalization Form C (UAX #15) of valid, non-ASCII UTF-8 to
// `out` and returns whether it could.  Composition data is large and PostgreSQL has it,
// hence an argument.
using NfcFunction = bool (*)(std::string_view utf8, std::string &out);

// normalize_parse reads "none", "trim", "upper", "lower", "email", "email(case=folded)", "name", "phone(XX)" or
// "phone(XX,table=1)", XX being an ISO 3166-1 alpha-2 country of phone_countries.h, in either case of letters.
// "phone(XX)" is table 1, whatever tables come later.  Anything else: Status::invalid_argument.
Result<NormalizeSpec> normalize_parse(std::string_view spec) noexcept;

// normalize_newest_table is what the row of a new type adds to a spec that names no table, before its parenthesis, such
// as ",table=1": a table that comes later does not move the tokens of that type.  Empty where a spec has no table.
std::string_view normalize_newest_table(std::string_view spec) noexcept;

// normalize replaces `out` by the normalised form of `utf8`, which must not be part of `out`.
// `nfc` is called for non-ASCII text only, and never for NormalizeKind::none; where NFC ran,
// a position counts the characters of the composed text.  On refusal `out` is empty.
//
//   malformed     "invalid UTF-8" (RFC 3629: also overlong forms and surrogates)
//   refused       "mask character" (U+2022, under every spec); under email, phone and name
//                 "empty value" and "control character"; and the refusals of email.h, phone.h
//   out_of_range  the length limits of email.h, phone.h
//   unsupported   "normalization form C not available": nfc returned false
//
// White space is the Unicode property White_Space, which holds tab and line feed; under
// `name` these are folded, every other control character (Cc) is refused.
Refusal normalize(const NormalizeSpec &spec, std::string_view utf8, NfcFunction nfc, std::string &out);

// name_is_normal tells, in one pass, that normalising as a name would leave the text as it is, of the names that most
// are: characters below U+0300 (Latin letters, with accents or without) and single spaces between them.  False: the
// long way has to tell what it is.
bool name_is_normal(std::string_view utf8) noexcept;

}  // namespace redoubt
#endif
