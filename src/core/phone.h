// phone.h - the telephone number: E.164 from the formats people type, or a refusal.
//
// Not a check that a number is assigned: phone_countries.h knows what numbers are possible.
// Invariant: an accepted number is '+' and 6..15 digits, the first not 0, with ";ext="
// and 1..10 digits where it had an extension (RFC 3966 5.1.4 and 5.3); normalising that
// again changes nothing.
// Covered by test/unit/phone_test.cpp, phone_numbers_test.cpp (differences from libphonenumber, with reasons) and
// test/fuzz/normalize_fuzz.cpp.
#ifndef REDOUBT_CORE_PHONE_H
#define REDOUBT_CORE_PHONE_H

#include <cstdint>
#include <string>
#include <string_view>

#include "core/refusal.h"

namespace redoubt {

struct PhoneParts {
  std::string_view calling_code;  // without '+'; empty where the table has no such code
  std::string_view national;      // the digits after it, never fewer than four
};

// phone_normalize turns `text` (well-formed UTF-8) into E.164.  `country` is the default
// country, an index into phone_countries().
//
// Read over: white space, - . / ( ) [ ], the Unicode dashes, the full-width forms of these, invisible direction marks
// and "tel:".  Digits may be ASCII, full-width or Arabic-Indic.  Then, as libphonenumber does, by the patterns of the
// country's row:
//   1. behind a leading '+', or the country's international prefix, stands a calling code;
//   2. digits that begin with the country's own calling code have it where they are no number of the country as they
//      stand, and the rest is one;
//   3. other digits are national.
// A national prefix is taken off what is left, with the code of a carrier behind it; an area that the country's numbers
// are typed without, and Argentina's 9, are put in.  Where that would leave too few digits nothing is taken off.
// Refused, though libphonenumber reads them: digits that are a number both ways, and numbers with two prefixes.
// An extension is "x", "#", "ext", "ext.", "extn", "extension", "int", the words of a few languages or ";ext=", a comma
// before it or not, then its digits.
//
//   refused       "empty value", "control character"
//   malformed     "no digits", "letter", "plus sign inside the number", "calling code begins with 0",
//                 "unknown calling code", "extension without digits", "character not allowed in a telephone number",
//                 "more than one reading", "more than one national prefix"
//   out_of_range  "too short", "too long", "length of no number of the country", "extension longer than 10 digits"
Refusal phone_normalize(std::uint8_t country, std::string &text);

// phone_split points `parts` into `e164`; false unless it has the form of the invariant.
bool phone_split(std::string_view e164, PhoneParts &parts) noexcept;

}  // namespace redoubt
#endif
