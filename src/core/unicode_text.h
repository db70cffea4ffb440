// unicode_text.h - reading UTF-8, and the few character classes the core needs.
//
// Not a Unicode library: no case mapping, no collation, no composition.
// Invariant: nothing here reads past the view it was given, whatever the bytes are.
// Covered by test/unit/normalize_test.cpp and both fuzz targets.
#ifndef REDOUBT_CORE_UNICODE_TEXT_H
#define REDOUBT_CORE_UNICODE_TEXT_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace redoubt {

constexpr char32_t kMaskCodePoint = 0x2022;                  // BULLET
constexpr std::string_view kMaskCharacter = "\xE2\x80\xA2";  // the same in UTF-8

struct CodePoint {
  char32_t value = 0;
  std::size_t size = 0;  // bytes, 1..4; 0: not a well-formed sequence
};

// utf8_decode reads the code point that starts at byte `at` < text.size(), by the table
// of well-formed sequences (Unicode, table 3-7): no overlong form, no surrogate, nothing
// above U+10FFFF.
CodePoint utf8_decode(std::string_view text, std::size_t at) noexcept;

// utf8_decode_letter is utf8_decode, and faster of letters: no branch tells characters of two and of three bytes apart,
// for which of these the letters of a token have is random.
inline CodePoint utf8_decode_letter(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xC0 || lead > 0xEF || text.size() - at < 2) return utf8_decode(text, at);
  const unsigned of_three = lead > 0xDF ? 1 : 0;
  const unsigned mask = 0U - of_three;
  const unsigned lacks_third = text.size() - at == 2 ? 1 : 0;  // then the second is read again
  const unsigned second = byte(at + 1) ^ 0x80U;
  const unsigned third = (byte(at + 2 - lacks_third) ^ 0x80U) & mask;
  const unsigned two = (lead & (0x1FU & ~(mask & 0x10U))) << 6 | second;
  const unsigned c = two + (mask & ((two << 6 | third) - two));
  const unsigned least = 0x80 + (mask & (0x800 - 0x80));
  const unsigned bad = static_cast<unsigned>((second | third) > 0x3F) | static_cast<unsigned>(c < least) |
                       static_cast<unsigned>(c >> 11 == 0xD800 >> 11) | (of_three & lacks_third);
  return bad != 0 ? CodePoint{} : CodePoint{c, std::size_t{2} + of_three};
}

// utf8_write writes the UTF-8 of c, a code point that is no surrogate, and returns its end; `to` has room for
// kUtf8Most bytes, which are written in any case.  No branch below U+10000: how many bytes a character of a token has
// is random.
inline constexpr std::size_t kUtf8Most = 4;
inline char *utf8_write(char *to, char32_t c) noexcept {
  static_assert(std::endian::native == std::endian::little);
  const auto tail = [c](unsigned place) { return c >> (6 * place) & 0x3F; };
  const std::uint32_t two = (0x80C0U | c >> 6) | tail(0) << 8;
  const std::uint32_t three = (0x8080E0U | c >> 12) | tail(1) << 8 | tail(0) << 16;
  std::uint32_t bytes = c < 0x80 ? static_cast<std::uint32_t>(c) : c < 0x800 ? two : three;
  if (c > 0xFFFF) bytes = (0x808080F0U | c >> 18) | tail(2) << 8 | tail(1) << 16 | tail(0) << 24;
  std::memcpy(to, &bytes, sizeof bytes);
  return to + 1 + (c > 0x7F) + (c > 0x7FF) + (c > 0xFFFF);
}

// utf8_append appends the UTF-8 of c.
void utf8_append(std::string &out, char32_t c);

// utf8_valid_prefix is the number of bytes before the first ill-formed sequence;
// text.size() where there is none.
std::size_t utf8_valid_prefix(std::string_view text) noexcept;

// utf8_length counts the characters (code points) of well-formed text.
std::size_t utf8_length(std::string_view text) noexcept;

bool is_ascii(std::string_view text) noexcept;

// is_below_combining: no code point of well-formed `text` is U+0300 or above.  All below have NFC_Quick_Check=Yes and
// combining class 0 (UAX #15, 9), so the text is in Normalization Form C.
bool is_below_combining(std::string_view text) noexcept;

// is_white_space is the property White_Space (PropList.txt), which includes tab and line feed.
bool is_white_space(char32_t c) noexcept;

// is_control is the general category Cc: U+0000..001F and U+007F..009F.
constexpr bool is_control(char32_t c) noexcept { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

// is_combining_mark is the general categories Mn, Mc and Me, and what else continues the
// character before it: zero-width (non-)joiner and the emoji skin tones.
bool is_combining_mark(char32_t c) noexcept;

// trim_white_space is well-formed `text` without the white space at both ends.
std::string_view trim_white_space(std::string_view text) noexcept;

}  // namespace redoubt
#endif
