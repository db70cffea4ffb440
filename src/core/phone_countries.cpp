// phone_countries.cpp - looking up the table of countries; see phone_countries.h.

#include "core/phone_countries.h"

#include <array>
#include <iterator>

#include "core/phone_table_1.h"

namespace redoubt {

namespace {

constexpr std::size_t kCount = std::size(kPhoneTable1);
static_assert(kCount < 255, "an index and a gap fit one byte");

constexpr std::size_t count_geographic() noexcept {
  std::size_t count = 0;
  while (count < kCount && kPhoneTable1[count].iso[0] != '\0') ++count;
  return count;
}
constexpr std::size_t kGeographic = count_geographic();

// Calling codes are prefix-free, so the one of n digits is found at its own number: index + 1, 0 for none.
constexpr std::array<std::uint8_t, 1000> make_by_calling_code() noexcept {
  std::array<std::uint8_t, 1000> table{};
  for (std::size_t i = 0; i < kCount; ++i)
    if (kPhoneTable1[i].main) table[kPhoneTable1[i].calling_code] = static_cast<std::uint8_t>(i + 1);
  return table;
}
constexpr std::array<std::uint8_t, 1000> kByCallingCode = make_by_calling_code();

constexpr bool table_is_sound() noexcept {
  for (std::size_t i = 0; i < kCount; ++i) {
    const PhoneCountry &country = kPhoneTable1[i];
    if (country.calling_code == 0 || country.calling_code > 999 || country.lengths == 0) return false;
    for (std::size_t begin = country.calling_code / 10U; begin > 0; begin /= 10)
      if (kByCallingCode[begin] != 0) return false;
    const std::uint8_t main = kByCallingCode[country.calling_code];
    if (main == 0 || (country.main && main != i + 1)) return false;
    if (i >= kGeographic && country.iso[0] != '\0') return false;
    if (country.transform >= std::size(kPhoneTransforms1)) return false;
    for (const std::uint16_t place : {country.national, country.international, country.prefix})
      if (place >= std::size(kPhonePrograms1)) return false;
  }
  return true;
}
static_assert(table_is_sound());

constexpr char to_upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; }

}  // namespace

std::span<const PhoneCountry> phone_countries() noexcept { return {kPhoneTable1, kGeographic}; }

Result<std::uint8_t> phone_country_find(std::string_view iso) noexcept {
  if (iso.size() != 2) return Status::invalid_argument;
  const char code[] = {to_upper(iso[0]), to_upper(iso[1])};
  for (std::size_t i = 0; i < kGeographic; ++i)
    if (kPhoneTable1[i].iso == std::string_view(code, 2)) return static_cast<std::uint8_t>(i);
  return Status::invalid_argument;
}

const PhoneCountry *phone_country_of_digits(std::string_view digits) noexcept {
  std::size_t code = 0;
  for (std::size_t size = 0; size < 3 && size < digits.size(); ++size) {
    if (digits[size] < '0' || digits[size] > '9' || (size == 0 && digits[0] == '0')) return nullptr;
    code = code * 10 + static_cast<std::size_t>(digits[size] - '0');
    if (kByCallingCode[code] != 0) return &kPhoneTable1[kByCallingCode[code] - 1];
  }
  return nullptr;
}

const PhoneCountry &phone_main_country(const PhoneCountry &country) noexcept {
  return kPhoneTable1[kByCallingCode[country.calling_code] - 1];
}

const std::uint8_t *phone_program(std::uint16_t place) noexcept { return kPhonePrograms1 + place; }

std::string_view phone_transform(const PhoneCountry &country) noexcept { return kPhoneTransforms1[country.transform]; }

}  // namespace redoubt
