// phone.h - the telephone number: E.164 from the formats people type, or a refusal.
//
// Not a check that a number is assigned: phone_countries.h knows lengths, not areas.
// Invariant: an accepted number is '+' and 7..15 digits, the first not 0, with ";ext="
// and 1..10 digits where it had an extension (RFC 3966 5.1.4 and 5.3); normalising that
// again changes nothing.
// Covered by test/unit/phone_test.cpp and test/fuzz/normalize_fuzz.cpp.
#ifndef REDOUBT_CORE_PHONE_H
#define REDOUBT_CORE_PHONE_H

#include <cstdint>
#include <string>
#include <string_view>

#include "core/refusal.h"

namespace redoubt {

struct PhoneParts {
  std::string_view calling_code;  // without '+'; empty where phone_countries() has no such code
  std::string_view national;      // the digits after it, never fewer than four
};

// phone_normalize turns `text` (well-formed UTF-8) into E.164.  `country` is the default
// country, an index into phone_countries().
//
// Read over: white space, - . / ( ), the Unicode dashes, the full-width forms of these, and
// invisible direction marks.  Digits may be ASCII, full-width or Arabic-Indic.  Then, in this order:
//   1. a leading '+', or the country's international prefix: the rest is international;
//   2. without the country's trunk prefix (or as it stands, where no trunk prefix was
//      dialled) the digits have a national length: '+', the calling code, the digits;
//   3. the digits begin with the country's calling code and are 8..15: international;
//   4. refused.
// International digits are kept digit for digit, valid there or not - "1 (11) 500 555-0132"
// becomes +1115005550132, since a number in a live table must not be lost - but for one 0:
// "+44 (0)20 7946 0958" holds a trunk prefix that nobody dials with the calling code (E.123
// 7.2), and it goes where the rest then has a national length.
// An extension is "x", "ext", "ext.", "extn", "extension" or ";ext=", then its digits.
//
//   refused       "empty value", "control character"
//   malformed     "no digits", "letter", "plus sign inside the number", "calling code begins with 0",
//                 "extension without digits", "character not allowed in a telephone number",
//                 "not a number of the default country"
//   out_of_range  "too short", "too long", "extension longer than 10 digits"
Refusal phone_normalize(std::uint8_t country, std::string &text);

// phone_split points `parts` into `e164`; false unless it has the form of the invariant.
bool phone_split(std::string_view e164, PhoneParts &parts) noexcept;

}  // namespace redoubt
#endif
