// phone_countries.h - what the telephone normaliser knows of each country.
//
// Not a directory: no area codes, no number types, no numbers in service.
// The table is phone_table_1.h.  A released table never changes, since fingerprints and format-preserving tokens were
// made by it; what numbering plans bring later is a table of another number, which a type names (normalize.h).
// Invariants (checked at compile time): calling codes are prefix-free, as E.164 has them; one country of each is its
// main one.
// Covered by test/unit/phone_test.cpp and phone_numbers_test.cpp.
#ifndef REDOUBT_CORE_PHONE_COUNTRIES_H
#define REDOUBT_CORE_PHONE_COUNTRIES_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/result.h"

namespace redoubt {

struct PhoneCountry {
  char iso[3];                 // ISO 3166-1 alpha-2 (AC, TA, XK: user-assigned); "" for calling codes of no country
  bool main;                   // whose rules are those of the calling code, for numbers that come with it
  std::uint8_t transform;      // index of the digits before what `prefix` captured; 0: no such rule
  std::uint16_t calling_code;  // ITU-T E.164, 1..3 digits
  std::uint16_t lengths;       // possible digits of a national number: bit n for n + 2
  // Programs of phone_pattern.h; 0: none.
  std::uint16_t national;       // a national number
  std::uint16_t international;  // what is dialled before a calling code
  std::uint16_t prefix;         // what is dialled before a national number: trunk prefix, code of a carrier

  constexpr bool has_length(std::size_t size) const noexcept {
    return size >= 2 && size <= 17 && (lengths >> (size - 2) & 1U) != 0;
  }
};

// phone_countries is every country that a number can be of by default, in the order of ISO codes.
std::span<const PhoneCountry> phone_countries() noexcept;

// phone_country_find gives the index of an ISO code, in either case of letters;
// Status::invalid_argument where the table has no such country.
Result<std::uint8_t> phone_country_find(std::string_view iso) noexcept;

// phone_country_of_digits is the main country of the calling code that begins `digits`, or nullptr.  Constant time.
const PhoneCountry *phone_country_of_digits(std::string_view digits) noexcept;

// phone_main_country is the main country of the calling code of a country.
const PhoneCountry &phone_main_country(const PhoneCountry &country) noexcept;

// phone_calling_code_size is the number of digits of a calling code.
constexpr std::size_t phone_calling_code_size(const PhoneCountry &country) noexcept {
  return country.calling_code < 10 ? 1 : country.calling_code < 100 ? 2 : 3;
}

// phone_program is where a program of the table begins, and phone_transform the digits of a rule.
const std::uint8_t *phone_program(std::uint16_t place) noexcept;
std::string_view phone_transform(const PhoneCountry &country) noexcept;

}  // namespace redoubt
#endif
