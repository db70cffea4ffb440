// phone_countries.h - what the telephone normaliser knows of each country.
//
// Not a numbering plan: no area codes, no number types.
// Invariants (checked at compile time): calling codes are prefix-free, as E.164 has them;
// every national number makes 7..15 digits with its calling code; countries that share a
// calling code agree on whether 0 is a trunk prefix.
// Covered by test/unit/phone_test.cpp.
#ifndef REDOUBT_CORE_PHONE_COUNTRIES_H
#define REDOUBT_CORE_PHONE_COUNTRIES_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/result.h"

namespace redoubt {

struct PhoneCountry {
  std::string_view iso;            // ISO 3166-1 alpha-2 (XK: Kosovo, user-assigned)
  std::string_view calling_code;   // ITU-T E.164, 1..3 digits
  std::string_view trunk;          // trunk prefixes dialled before a national number, "" or separated by a space
  std::string_view international;  // international prefixes, separated by a space, the longer before its beginning
  std::uint8_t national_min;       // digits of a fixed or mobile national (significant) number
  std::uint8_t national_max;
};

// phone_countries is the whole table, by ISO code, but a country whose calling code others
// share comes before them.
std::span<const PhoneCountry> phone_countries() noexcept;

// phone_country_find gives the index of an ISO code, in either case of letters;
// Status::invalid_argument where the table has no such country.
Result<std::uint8_t> phone_country_find(std::string_view iso) noexcept;

// phone_country_of_digits is the first country whose calling code begins `digits`, or
// nullptr.  Constant time.
const PhoneCountry *phone_country_of_digits(std::string_view digits) noexcept;

}  // namespace redoubt
#endif
