// phone.cpp - telephone numbers to E.164; see phone.h.

#include "core/phone.h"

#include <array>

#include "core/phone_countries.h"
#include "core/unicode_text.h"

namespace redoubt {

namespace {

constexpr std::size_t kDigitsMin = 7;   // the shortest numbers in use, of calling codes 290 and 683
constexpr std::size_t kDigitsMax = 15;  // E.164 6.1
constexpr std::size_t kBareMin = 8;     // a calling code without '+' is a guess; seven digits are too few for it
constexpr std::size_t kExtensionMax = 10;
constexpr std::size_t kPrefixMax = 5;  // of the international and trunk prefixes
constexpr std::string_view kExtensionMark = ";ext=";

// Digits is what a number is made of, its punctuation gone.
struct Digits {
  std::array<char, kDigitsMax + kPrefixMax + 1> number;
  std::array<char, kExtensionMax> extension;
  std::size_t number_size = 0;
  std::size_t extension_size = 0;
  bool plus = false;
};

constexpr int digit_value(char32_t c) noexcept {
  for (const char32_t zero : {U'0', U'\u0660', U'\u06F0', U'\uFF10'})  // ASCII, Arabic-Indic (two), full-width
    if (c >= zero && c <= zero + 9) return static_cast<int>(c - zero);
  return -1;
}

bool is_separator(char32_t c) noexcept {
  if (is_white_space(c)) return true;
  switch (c) {
    case '-':
    case '.':
    case '/':
    case '(':
    case ')':
    case 0x00AD:  // soft hyphen
    case 0x2212:  // minus sign
    case 0xFF08:  // full-width ( ) - . /
    case 0xFF09:
    case 0xFF0D:
    case 0xFF0E:
    case 0xFF0F:
    case 0xFE58:  // small em dash and hyphen
    case 0xFE63:
    case 0xFEFF:  // zero-width no-break space
      return true;
    default:
      // Hyphens and dashes; zero-width and direction marks, which address books wrap numbers in.
      return (c >= 0x2010 && c <= 0x2015) || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
             c == 0x2060 || (c >= 0x2066 && c <= 0x2069);
  }
}

constexpr bool is_letter(char32_t c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// extension_mark is the size of the mark that begins `text`, 0 for none.
std::size_t extension_mark(std::string_view text) noexcept {
  for (const std::string_view mark : {kExtensionMark, std::string_view("extension"), std::string_view("extn"),
                                      std::string_view("ext"), std::string_view("x")}) {
    if (text.size() < mark.size()) continue;
    std::size_t same = 0;
    while (same < mark.size() && (text[same] == mark[same] || (is_letter(static_cast<unsigned char>(mark[same])) &&
                                                               (text[same] | 0x20) == mark[same])))
      ++same;
    if (same == mark.size()) return same;
  }
  return 0;
}

// scan reads the digits of `text` and checks that nothing but punctuation stands between them.
Refusal scan(std::string_view text, Digits &digits) noexcept {
  std::size_t position = 1;
  bool in_extension = false;
  for (std::size_t at = 0; at < text.size(); ++position) {
    const CodePoint c = utf8_decode(text, at);
    if (c.size == 0) return {Status::malformed, position, "invalid UTF-8"};
    const int value = digit_value(c.value);
    std::size_t mark = 0;
    if (value >= 0) {
      const char digit = static_cast<char>('0' + value);
      if (in_extension) {
        if (digits.extension_size == digits.extension.size())
          return {Status::out_of_range, position, "extension longer than 10 digits"};
        digits.extension[digits.extension_size++] = digit;
      } else {
        if (digits.number_size == digits.number.size()) return {Status::out_of_range, 0, "too long"};
        digits.number[digits.number_size++] = digit;
      }
    } else if (c.value == '+' || c.value == 0xFF0B) {
      if (digits.plus || digits.number_size > 0) return {Status::malformed, position, "plus sign inside the number"};
      digits.plus = true;
    } else if (!in_extension && digits.number_size > 0 && (mark = extension_mark(text.substr(at))) > 0) {
      in_extension = true;
      at += mark;  // the marks are ASCII: as many characters as bytes
      position += mark - 1;
      continue;
    } else if (!is_separator(c.value)) {
      if (is_control(c.value)) return {Status::refused, position, "control character"};
      if (is_letter(c.value)) return {Status::malformed, position, "letter"};
      return {Status::malformed, position, "character not allowed in a telephone number"};
    }
    at += c.size;
  }
  if (digits.number_size == 0) return {Status::malformed, 0, "no digits"};
  if (in_extension && digits.extension_size == 0) return {Status::malformed, 0, "extension without digits"};
  return {};
}

// next_prefix takes the first of the space-separated prefixes off `list`.
std::string_view next_prefix(std::string_view &list) noexcept {
  const std::string_view prefix = list.substr(0, list.find(' '));
  list.remove_prefix(prefix.size() == list.size() ? list.size() : prefix.size() + 1);
  return prefix;
}

constexpr bool fits(const PhoneCountry &country, std::size_t size) noexcept {
  return size >= country.national_min && size <= country.national_max;
}

// Number is E.164 without '+': `code`, then `rest`.
struct Number {
  std::string_view code, rest;
};

// read_international takes digits that begin with a calling code.
Refusal read_international(std::string_view digits, Number &number) noexcept {
  if (digits.starts_with('0')) return {Status::malformed, 0, "calling code begins with 0"};
  number = {std::string_view(), digits};
  const PhoneCountry *country = phone_country_of_digits(digits);
  if (country != nullptr) {
    const std::size_t code = country->calling_code.size();
    const std::string_view national = digits.substr(code);
    // The trunk 0 goes once and for all: what is left does not begin with another.
    if (national.size() > 1 && national[0] == '0' && national[1] != '0' && fits(*country, national.size() - 1)) {
      std::string_view trunks = country->trunk;
      while (!trunks.empty())
        if (next_prefix(trunks) == "0") number = {digits.substr(0, code), national.substr(1)};
    }
  }
  const std::size_t size = number.code.size() + number.rest.size();
  if (size < kDigitsMin) return {Status::out_of_range, 0, "too short"};
  if (size > kDigitsMax) return {Status::out_of_range, 0, "too long"};
  return {};
}

// read_national is rules 2 to 4 of phone.h.
Refusal read_national(const PhoneCountry &country, std::string_view digits, Number &number) noexcept {
  bool trunk_is_needed = false;  // where trunk prefixes begin with 0, national numbers do not
  std::size_t national_size = digits.size();
  for (std::string_view trunks = country.trunk; !trunks.empty();) {
    const std::string_view trunk = next_prefix(trunks);
    if (trunk.starts_with('0') && digits.starts_with('0')) trunk_is_needed = true;
    if (!digits.starts_with(trunk)) continue;
    const std::string_view national = digits.substr(trunk.size());
    if (trunk_is_needed) {
      national_size = national.size();
      if (national.starts_with('0')) continue;
    }
    if (fits(country, national.size())) {
      number = {country.calling_code, national};
      return {};
    }
  }
  if (!trunk_is_needed && fits(country, digits.size())) {
    number = {country.calling_code, digits};
    return {};
  }
  if (digits.starts_with(country.calling_code) && digits.size() >= kBareMin) return read_international(digits, number);
  if (national_size < country.national_min) return {Status::out_of_range, 0, "too short"};
  if (national_size > country.national_max) return {Status::out_of_range, 0, "too long"};
  return {Status::malformed, 0, "not a number of the default country"};
}

Refusal read_number(const PhoneCountry &country, const Digits &scanned, Number &number) noexcept {
  const std::string_view digits(scanned.number.data(), scanned.number_size);
  if (scanned.plus) return read_international(digits, number);
  for (std::string_view prefixes = country.international; !prefixes.empty();) {
    const std::string_view prefix = next_prefix(prefixes);
    if (digits.starts_with(prefix)) return read_international(digits.substr(prefix.size()), number);
  }
  return read_national(country, digits, number);
}

constexpr bool all_digits(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Refusal phone_normalize(std::uint8_t country, std::string &text) {
  if (country >= phone_countries().size()) return {Status::invalid_argument, 0, "unknown country"};
  if (trim_white_space(text).empty()) return {Status::refused, 0, "empty value"};
  Digits digits;
  Number number;
  Refusal refusal = scan(text, digits);
  if (refusal.ok()) refusal = read_number(phone_countries()[country], digits, number);
  if (!refusal.ok()) return refusal;
  text.assign("+").append(number.code).append(number.rest);
  if (digits.extension_size > 0) text.append(kExtensionMark).append(digits.extension.data(), digits.extension_size);
  return {};
}

bool phone_split(std::string_view e164, PhoneParts &parts) noexcept {
  const std::size_t mark = e164.find(';');
  const std::string_view number = e164.substr(0, mark);
  if (mark != std::string_view::npos) {
    if (!e164.substr(mark).starts_with(kExtensionMark)) return false;
    const std::string_view extension = e164.substr(mark + kExtensionMark.size());
    if (extension.empty() || extension.size() > kExtensionMax || !all_digits(extension)) return false;
  }
  if (!number.starts_with('+')) return false;
  const std::string_view digits = number.substr(1);
  if (digits.size() < kDigitsMin || digits.size() > kDigitsMax || digits[0] == '0' || !all_digits(digits)) return false;
  const PhoneCountry *country = phone_country_of_digits(digits);
  const std::size_t code = country == nullptr ? 0 : country->calling_code.size();
  parts = {digits.substr(0, code), digits.substr(code)};
  return true;
}

}  // namespace redoubt
