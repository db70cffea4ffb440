// phone_countries.cpp - the table of countries; see phone_countries.h.
//
// Calling codes: ITU-T E.164, "List of Recommendation ITU-T E.164 assigned country codes".
// Trunk prefixes, international prefixes and lengths: the national numbering plans notified
// to the ITU (E.129), as summarised by libphonenumber's PhoneNumberMetadata.xml (commit
// f7e3e88c, 2026-07-17).  The lengths are the shortest and the longest of a fixed or mobile
// number.  Beyond that: 00 is also an international prefix where no national prefix makes
// it ambiguous, and trunk prefixes lately given up (Lithuania 8, Mexico 01, 044, 045) are
// still read, since old rows hold them.

#include "core/phone_countries.h"

#include <array>
#include <iterator>

namespace redoubt {

namespace {

// clang-format off
constexpr PhoneCountry kCountries[] = {
    // ISO, calling code, trunk, international, shortest, longest
    {"AD", "376", "", "00", 6, 9},
    {"AE", "971", "0", "00", 8, 9},
    {"AL", "355", "0", "00", 8, 9},
    {"AM", "374", "0", "00", 8, 8},
    {"AO", "244", "", "00", 9, 9},
    {"AR", "54", "0", "00", 10, 11},
    {"AT", "43", "0", "00", 5, 13},
    {"AU", "61", "0", "0011 00", 9, 9},
    {"FI", "358", "0", "00", 5, 10},
    {"AX", "358", "0", "00", 6, 10},
    {"AZ", "994", "0", "00", 9, 9},
    {"BA", "387", "0", "00", 8, 9},
    {"US", "1", "1", "011 00", 10, 10},
    {"BB", "1", "1", "011 00", 10, 10},
    {"BD", "880", "0", "00", 6, 10},
    {"BE", "32", "0", "00", 8, 9},
    {"BG", "359", "0", "00", 6, 9},
    {"BH", "973", "", "00", 8, 8},
    {"BO", "591", "0", "00", 8, 8},
    {"BR", "55", "0", "00", 10, 11},
    {"BS", "1", "1", "011 00", 10, 10},
    {"BY", "375", "80 8 0", "810 00", 9, 9},
    {"CA", "1", "1", "011 00", 10, 10},
    {"CH", "41", "0", "00", 9, 9},
    {"CI", "225", "", "00", 10, 10},
    {"CL", "56", "", "00", 9, 9},
    {"CM", "237", "", "00", 9, 9},
    {"CN", "86", "0", "00", 7, 11},
    {"CO", "57", "0", "005 007 009", 8, 10},
    {"CR", "506", "", "00", 8, 8},
    {"CU", "53", "0", "119 00", 6, 10},
    {"CY", "357", "", "00", 8, 8},
    {"CZ", "420", "", "00", 9, 9},
    {"DE", "49", "0", "00", 5, 13},
    {"DK", "45", "", "00", 8, 8},
    {"DO", "1", "1", "011 00", 10, 10},
    {"DZ", "213", "0", "00", 8, 9},
    {"EC", "593", "0", "00", 8, 9},
    {"EE", "372", "", "00", 7, 8},
    {"EG", "20", "0", "00", 8, 10},
    {"ES", "34", "", "00", 9, 9},
    {"ET", "251", "0", "00", 9, 9},
    {"FO", "298", "", "00", 6, 6},
    {"FR", "33", "0", "00", 9, 9},
    {"GB", "44", "0", "00", 9, 10},
    {"GE", "995", "0", "00", 9, 9},
    {"GG", "44", "0", "00", 10, 10},
    {"GH", "233", "0", "00", 9, 9},
    {"GI", "350", "", "00", 8, 8},
    {"GR", "30", "", "00", 10, 10},
    {"GT", "502", "", "00", 8, 8},
    {"HK", "852", "", "001", 8, 8},
    {"HN", "504", "", "00", 8, 8},
    {"HR", "385", "0", "00", 8, 9},
    {"HU", "36", "06", "00", 8, 9},
    {"ID", "62", "0", "001 007 008 009", 7, 12},
    {"IE", "353", "0", "00", 7, 10},
    {"IL", "972", "0", "00", 8, 12},
    {"IM", "44", "0", "00", 10, 10},
    {"IN", "91", "0", "00", 10, 10},
    {"IQ", "964", "0", "00", 8, 10},
    {"IR", "98", "0", "00", 6, 10},
    {"IS", "354", "", "00", 7, 9},
    {"IT", "39", "", "00", 6, 12},
    {"JE", "44", "0", "00", 10, 10},
    {"JM", "1", "1", "011 00", 10, 10},
    {"JO", "962", "0", "00", 8, 9},
    {"JP", "81", "0", "010 00", 9, 10},
    {"KE", "254", "0", "000 00", 7, 9},
    {"KH", "855", "0", "001 007 008", 8, 9},
    {"KR", "82", "0", "00700 001 002 005 006 008", 5, 10},
    {"KW", "965", "", "00", 8, 8},
    {"RU", "7", "8", "810 00", 10, 10},
    {"KZ", "7", "8", "810 00", 10, 10},
    {"LB", "961", "0", "00", 7, 8},
    {"LI", "423", "0", "00", 7, 9},
    {"LK", "94", "0", "00", 9, 9},
    {"LT", "370", "0 8", "00", 8, 8},
    {"LU", "352", "", "00", 4, 11},
    {"LV", "371", "", "00", 8, 8},
    {"MA", "212", "0", "00", 9, 9},
    {"MC", "377", "0", "00", 8, 9},
    {"MD", "373", "0", "00", 8, 8},
    {"ME", "382", "0", "00", 8, 8},
    {"MK", "389", "0", "00", 8, 8},
    {"MM", "95", "0", "00", 6, 10},
    {"MO", "853", "", "00", 8, 8},
    {"MT", "356", "", "00", 8, 8},
    {"MX", "52", "01 044 045", "00", 10, 10},
    {"MY", "60", "0", "00", 8, 10},
    {"NG", "234", "0", "009", 10, 10},
    {"NI", "505", "", "00", 8, 8},
    {"NL", "31", "0", "00", 9, 11},
    {"NO", "47", "", "00", 8, 8},
    {"NP", "977", "0", "00", 8, 10},
    {"NZ", "64", "0", "00", 8, 10},
    {"OM", "968", "", "00", 8, 8},
    {"PA", "507", "", "00", 7, 8},
    {"PE", "51", "0", "00", 8, 9},
    {"PH", "63", "0", "00", 6, 10},
    {"PK", "92", "0", "00", 9, 10},
    {"PL", "48", "", "00", 7, 9},
    {"PR", "1", "1", "011 00", 10, 10},
    {"PS", "970", "0", "00", 8, 9},
    {"PT", "351", "", "00", 9, 9},
    {"PY", "595", "0", "00", 7, 9},
    {"QA", "974", "", "00", 8, 8},
    {"RO", "40", "0", "00", 6, 9},
    {"RS", "381", "0", "00", 7, 12},
    {"SA", "966", "0", "00", 9, 9},
    {"SE", "46", "0", "00", 7, 9},
    {"SG", "65", "", "001 002 008", 8, 8},
    {"SI", "386", "0", "00", 8, 8},
    {"SK", "421", "0", "00", 6, 9},
    {"SM", "378", "", "00", 8, 10},
    {"SN", "221", "", "00", 9, 9},
    {"SV", "503", "", "00", 8, 8},
    {"TH", "66", "0", "001", 8, 9},
    {"TN", "216", "", "00", 8, 8},
    {"TR", "90", "0", "00", 10, 10},
    {"TT", "1", "1", "011 00", 10, 10},
    {"TW", "886", "0", "002 005 006 007 009", 8, 9},
    {"TZ", "255", "0", "000 00", 9, 9},
    {"UA", "380", "0", "00", 9, 9},
    {"UG", "256", "0", "000 00", 9, 9},
    {"UY", "598", "0", "00", 8, 8},
    {"UZ", "998", "", "00", 9, 9},
    {"VA", "39", "", "00", 6, 11},
    {"VE", "58", "0", "00", 10, 10},
    {"VN", "84", "0", "00", 9, 10},
    {"XK", "383", "0", "00", 8, 12},
    {"ZA", "27", "0", "00", 5, 9},
};
// clang-format on

constexpr std::size_t kCount = std::size(kCountries);
static_assert(kCount < 255, "an index and a gap fit one byte");

// trunk_is_zero is whether "0" alone is one of the country's trunk prefixes.
constexpr bool trunk_is_zero(const PhoneCountry &country) noexcept {
  return country.trunk == "0" || country.trunk.starts_with("0 ") || country.trunk.ends_with(" 0");
}

constexpr std::size_t number(std::string_view digits) noexcept {
  std::size_t value = 0;
  for (const char digit : digits) value = value * 10 + static_cast<std::size_t>(digit - '0');
  return value;
}

// Calling codes are prefix-free, so the one of n digits is found at its own number: index + 1, 0 for none.
constexpr std::array<std::uint8_t, 1000> make_by_calling_code() noexcept {
  std::array<std::uint8_t, 1000> table{};
  for (std::size_t i = kCount; i-- > 0;) table[number(kCountries[i].calling_code)] = static_cast<std::uint8_t>(i + 1);
  return table;
}
constexpr std::array<std::uint8_t, 1000> kByCallingCode = make_by_calling_code();

constexpr bool table_is_sound() noexcept {
  for (const PhoneCountry &country : kCountries) {
    const std::string_view code = country.calling_code;
    if (country.iso.size() != 2 || code.empty() || code.size() > 3 || code[0] == '0') return false;
    if (country.national_min > country.national_max) return false;
    if (code.size() + country.national_min < 7 || code.size() + country.national_max > 15) return false;
    for (std::size_t size = 1; size < code.size(); ++size)
      if (kByCallingCode[number(code.substr(0, size))] != 0) return false;
    if (trunk_is_zero(country) != trunk_is_zero(kCountries[kByCallingCode[number(code)] - 1])) return false;
  }
  return true;
}
static_assert(table_is_sound());

constexpr char to_upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; }

}  // namespace

std::span<const PhoneCountry> phone_countries() noexcept { return kCountries; }

Result<std::uint8_t> phone_country_find(std::string_view iso) noexcept {
  if (iso.size() != 2) return Status::invalid_argument;
  const char code[] = {to_upper(iso[0]), to_upper(iso[1])};
  for (std::size_t i = 0; i < kCount; ++i)
    if (kCountries[i].iso == std::string_view(code, 2)) return static_cast<std::uint8_t>(i);
  return Status::invalid_argument;
}

const PhoneCountry *phone_country_of_digits(std::string_view digits) noexcept {
  std::size_t code = 0;
  for (std::size_t size = 0; size < 3 && size < digits.size(); ++size) {
    if (digits[size] < '0' || digits[size] > '9' || (size == 0 && digits[0] == '0')) return nullptr;
    code = code * 10 + static_cast<std::size_t>(digits[size] - '0');
    if (kByCallingCode[code] != 0) return &kCountries[kByCallingCode[code] - 1];
  }
  return nullptr;
}

}  // namespace redoubt
