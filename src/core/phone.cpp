// phone.cpp - telephone numbers to E.164; see phone.h.

#include "core/phone.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include "core/phone_countries.h"
#include "core/phone_pattern.h"
#include "core/unicode_text.h"

namespace redoubt {

namespace {

constexpr std::size_t kDigitsMin = 6;   // the shortest numbers in use, of calling codes 43 and 49
constexpr std::size_t kDigitsMax = 15;  // E.164 6.1
constexpr std::size_t kNationalMin = 4;
constexpr std::size_t kTypedMax = 32;  // digits, those that are dialled before an international number included
constexpr std::size_t kExtensionMax = 10;
constexpr std::string_view kExtensionMark = ";ext=";
constexpr std::string_view kScheme = "tel:";
constexpr Refusal kManyReadings = {Status::malformed, 0, "more than one reading"};
constexpr Refusal kManyPrefixes = {Status::malformed, 0, "more than one national prefix"};

// Digits is digits one after another, its users keep count.
class Digits {
 public:
  Digits() = default;
  explicit Digits(std::string_view digits) noexcept { append(digits); }
  void append(std::string_view digits) noexcept {
    digits.copy(digits_.data() + size_, digits.size());
    size_ += digits.size();
  }
  void append(int digit) noexcept { digits_[size_++] = static_cast<char>('0' + digit); }
  std::string_view view() const noexcept { return {digits_.data(), size_}; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::array<char, kTypedMax + 4> digits_;  // a rule of the table puts no more than four digits before a number
  std::size_t size_ = 0;
};

// Typed is what a number is made of, its punctuation gone.
struct Typed {
  Digits number, extension;
  bool plus = false;
};

constexpr int digit_value(char32_t c) noexcept {
  if (c < 0x80) return c >= '0' && c <= '9' ? static_cast<int>(c - '0') : -1;
  for (const char32_t zero : {U'\u0660', U'\u06F0', U'\uFF10'})  // Arabic-Indic (two), full-width
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
    case '[':
    case ']':
    case 0x00AD:  // soft hyphen
    case 0x2212:  // minus sign
    case 0x30FC:  // prolonged sound mark, typed for a dash
    case 0xFF08:  // full-width ( ) - . /
    case 0xFF09:
    case 0xFF0D:
    case 0xFF0E:
    case 0xFF0F:
    case 0xFF3B:  // full-width [ ]
    case 0xFF3D:
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

// same_letters compares a mark with the beginning of `text`; the case of a-z does not matter.
bool same_letters(std::string_view text, std::string_view mark) noexcept {
  if (text.size() < mark.size()) return false;
  for (std::size_t i = 0; i < mark.size(); ++i)
    if (text[i] != mark[i] && ((text[i] | 0x20) != mark[i] || !is_letter(static_cast<unsigned char>(mark[i]))))
      return false;
  return true;
}

// extension_mark is the bytes of the mark of an extension that begins `text`, with commas and blanks before it and a
// colon after it; 0 for none.
std::size_t extension_mark(std::string_view text) noexcept {
  constexpr std::string_view kMarks[] = {
      kExtensionMark, "extension", "extensi\u00F3n",     "extn",   "ext",   "xtn", "x", "#",
      "int",          "anexo",     "\u0434\u043E\u0431", "\uFF58", "\uFF03"};
  std::size_t at = 0;
  if (text.starts_with(',')) at = text.find_first_not_of(", ");
  if (at == std::string_view::npos) return 0;
  for (const std::string_view mark : kMarks) {
    if (!same_letters(text.substr(at), mark)) continue;
    at += mark.size();
    return text.substr(at).starts_with(':') ? at + 1 : at;
  }
  return 0;
}

// scan reads the digits of `text` and checks that nothing but punctuation stands between them.
Refusal scan(std::string_view text, Typed &typed) noexcept {
  std::size_t position = 1;
  bool in_extension = false;
  bool scheme = false;
  for (std::size_t at = 0; at < text.size(); ++position) {
    const CodePoint c = utf8_decode(text, at);
    if (c.size == 0) return {Status::malformed, position, "invalid UTF-8"};
    const int value = digit_value(c.value);
    const std::string_view here = text.substr(at);
    at += c.size;
    if (value >= 0) {
      if (in_extension && typed.extension.size() == kExtensionMax)
        return {Status::out_of_range, position, "extension longer than 10 digits"};
      if (!in_extension && typed.number.size() == kTypedMax) return {Status::out_of_range, 0, "too long"};
      (in_extension ? typed.extension : typed.number).append(value);
      continue;
    }
    if (is_separator(c.value)) continue;
    if (c.value == '+' || c.value == 0xFF0B) {
      if (typed.plus || typed.number.size() > 0) return {Status::malformed, position, "plus sign inside the number"};
      typed.plus = true;
      continue;
    }
    const bool nothing_yet = !scheme && !typed.plus && typed.number.size() == 0;
    std::size_t mark = 0;  // bytes of a word that belongs into a number
    if (nothing_yet && same_letters(here, kScheme)) {
      scheme = true;
      mark = kScheme.size();
    } else if (!in_extension && typed.number.size() > 0) {
      mark = extension_mark(here);
      in_extension = mark > 0;
    } else if (typed.extension.size() > 0 && (c.value == '#' || c.value == 0xFF03) &&
               trim_white_space(here.substr(c.size)).empty()) {
      mark = c.size;  // as it is dialled after an extension
    }
    if (mark == 0) {
      if (is_control(c.value)) return {Status::refused, position, "control character"};
      if (is_letter(c.value)) return {Status::malformed, position, "letter"};
      return {Status::malformed, position, "character not allowed in a telephone number"};
    }
    at += mark - c.size;
    position += utf8_length(here.substr(0, mark)) - 1;
  }
  if (typed.number.size() == 0) return {Status::malformed, 0, "no digits"};
  if (in_extension && typed.extension.size() == 0) return {Status::malformed, 0, "extension without digits"};
  return {};
}

std::size_t shortest(const PhoneCountry &country) noexcept {
  return static_cast<std::size_t>(std::countr_zero(country.lengths)) + 2;
}

std::size_t longest(const PhoneCountry &country) noexcept {
  return static_cast<std::size_t>(std::bit_width(country.lengths)) + 1;
}

bool is_national(const PhoneCountry &country, std::string_view digits) noexcept {
  return phone_match_whole(phone_program(country.national), digits);
}

// is_number: the country may have such a number, as far as the table knows.
bool is_number(const PhoneCountry &country, std::string_view digits) noexcept {
  return country.has_length(digits.size()) && is_national(country, digits);
}

// strip_prefix makes `stripped` of `digits` without a national prefix, and with the area that the country's numbers may
// be typed without; false where there is nothing to take off, or where a national number would become something else.
bool strip_prefix(const PhoneCountry &country, std::string_view digits, Digits &stripped) noexcept {
  PhoneMatch match;
  if (country.prefix == 0 || !phone_match_begin(phone_program(country.prefix), digits, match)) return false;
  stripped = Digits();
  if (country.transform != 0 && match.group_end > match.group_begin) {
    stripped.append(phone_transform(country));
    stripped.append(digits.substr(match.group_begin, std::size_t{match.group_end} - match.group_begin));
  } else if (match.size == 0) {
    return false;
  }
  stripped.append(digits.substr(match.size));
  return stripped.view() != digits && (!is_national(country, digits) || is_national(country, stripped.view()));
}

// has_prefix is strip_prefix where the rest has not too few digits for a number.
bool has_prefix(const PhoneCountry &country, std::string_view digits, Digits &stripped) noexcept {
  return strip_prefix(country, digits, stripped) &&
         (country.has_length(stripped.size()) || stripped.size() > longest(country));
}

// Number is E.164 without '+'.
struct Number {
  const PhoneCountry *country = nullptr;  // the main one of the calling code
  Digits national;
};

// settle takes the national prefix off digits that follow the calling code of `country`, or that were dialled there:
// `prefix_gone` where one was taken off already.
Refusal settle(const PhoneCountry &country, std::string_view digits, bool prefix_gone, Digits &national) noexcept {
  if (!has_prefix(country, digits, national)) {
    national = Digits(digits);
    return {};
  }
  if (prefix_gone) return kManyPrefixes;
  return is_number(country, digits) ? kManyReadings : Refusal{};
}

// read_international takes digits that begin with a calling code.
Refusal read_international(std::string_view digits, Number &number) noexcept {
  if (digits.starts_with('0')) return {Status::malformed, 0, "calling code begins with 0"};
  number.country = phone_country_of_digits(digits);
  if (number.country == nullptr) return {Status::malformed, 0, "unknown calling code"};
  return settle(*number.country, digits.substr(phone_calling_code_size(*number.country)), false, number.national);
}

// read_dialled takes digits as they are dialled in `country`, or with its calling code and no sign of that.
Refusal read_dialled(const PhoneCountry &country, std::string_view digits, Number &number) noexcept {
  number.country = &phone_main_country(country);
  if (phone_country_of_digits(digits) == number.country) {
    const std::string_view rest = digits.substr(phone_calling_code_size(country));
    Digits stripped;
    const bool prefix_gone = strip_prefix(country, rest, stripped);
    const std::string_view national = prefix_gone ? stripped.view() : rest;
    const bool with_code = is_national(country, national);
    if ((with_code && !is_national(country, digits)) || digits.size() > longest(country))
      return settle(*number.country, national, prefix_gone, number.national);
    if (with_code && country.has_length(national.size())) return kManyReadings;
  }
  return settle(country, digits, false, number.national);
}

// dialled_abroad takes the international prefix off `digits`; false where there is none.
bool dialled_abroad(const PhoneCountry &country, std::string_view &digits) noexcept {
  PhoneMatch match;
  if (!phone_match_begin(phone_program(country.international), digits, match)) return false;
  const std::string_view rest = digits.substr(match.size);
  if (rest.starts_with('0')) return false;
  digits = rest;
  return true;
}

Refusal read_number(const PhoneCountry &country, const Typed &typed, Number &number) noexcept {
  std::string_view digits = typed.number.view();
  if (typed.plus && phone_country_of_digits(digits) != nullptr) return read_international(digits, number);
  if (dialled_abroad(country, digits) || typed.plus) return read_international(digits, number);
  return read_dialled(country, digits, number);
}

// check_number refuses what has no possible length, and what would not be read as itself.
Refusal check_number(const Number &number) noexcept {
  const PhoneCountry &country = *number.country;
  const std::string_view national = number.national.view();
  const std::size_t size = phone_calling_code_size(country) + national.size();
  if (national.size() < std::max(shortest(country), kNationalMin) || size < kDigitsMin)
    return {Status::out_of_range, 0, "too short"};
  if (national.size() > longest(country) || size > kDigitsMax) return {Status::out_of_range, 0, "too long"};
  if (!country.has_length(national.size())) return {Status::out_of_range, 0, "length of no number of the country"};
  Digits stripped;
  return has_prefix(country, national, stripped) ? kManyPrefixes : Refusal{};
}

constexpr bool all_digits(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Refusal phone_normalize(std::uint8_t country, std::string &text) {
  if (country >= phone_countries().size()) return {Status::invalid_argument, 0, "unknown country"};
  if (trim_white_space(text).empty()) return {Status::refused, 0, "empty value"};
  Typed typed;
  Refusal refusal = scan(text, typed);
  if (!refusal.ok()) return refusal;
  Number number;
  refusal = read_number(phone_countries()[country], typed, number);
  if (!refusal.ok()) return refusal;
  refusal = check_number(number);
  if (!refusal.ok()) return refusal;
  std::array<char, 4> code = {'+'};
  const char *const end = std::to_chars(code.data() + 1, code.data() + code.size(), number.country->calling_code).ptr;
  text.assign(code.data(), static_cast<std::size_t>(end - code.data())).append(number.national.view());
  if (typed.extension.size() > 0) text.append(kExtensionMark).append(typed.extension.view());
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
  const std::size_t code = country == nullptr ? 0 : phone_calling_code_size(*country);
  parts = {digits.substr(0, code), digits.substr(code)};
  return parts.national.size() >= kNationalMin;
}

}  // namespace redoubt
