// mask.h - show a part of a value, for a masked reveal.
//
// Not a normaliser: takes whatever was tokenized, and what does not have the shape its
// spec expects is masked in full.
// Invariants: the result holds at least one mask character, and normalize() refuses that
// character, so a masked value can never be stored as a value; the number of mask
// characters does not depend on the length of what they hide.
// No locks, no state.  Covered by test/unit/mask_test.cpp and test/fuzz/mask_fuzz.cpp.
#ifndef REDOUBT_CORE_MASK_H
#define REDOUBT_CORE_MASK_H

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/unicode_text.h"

namespace redoubt {

constexpr unsigned kMaskKeepMax = 64;

// A "character" below is a code point with the combining marks that follow it.
enum class MaskKind : std::uint8_t {
  full,   // ••••
  email,  // a•••@example.com; •••@example.com where the local part is one character
  phone,  // +44•••••58: calling code (if assigned in phone_countries.h) and last two digits; no extension
  name,   // M••• O•••: the first character of each word; of a word of one character nothing
  keep_first,  // ab•••: the first n characters, but never more than half of the value
  keep_last,   // •••yz: the last n characters, likewise
};

// MaskSpec is a parsed mask: plain data, to be cached and copied freely.
struct MaskSpec {
  MaskKind kind = MaskKind::full;
  std::uint8_t keep = 0;  // keep_first, keep_last only: 0..kMaskKeepMax
};

// mask_parse reads "full", "email", "phone", "name", "keep_first(n)" or "keep_last(n)",
// n 0..64 in decimal.  Anything else: Status::invalid_argument.
Result<MaskSpec> mask_parse(std::string_view spec) noexcept;

// mask_apply replaces `out` by the masked form of `utf8`, which must not be part of `out`.
// Cannot fail: bytes that are not valid UTF-8, and under email and phone a value that is
// no normalised address or number, give `full`.
void mask_apply(const MaskSpec &spec, std::string_view utf8, std::string &out);

}  // namespace redoubt
#endif
