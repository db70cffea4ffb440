// unicode_text.h - reading UTF-8, and the few character classes the core needs.
//
// Not a Unicode library: no case mapping, no collation, no composition.
// Invariant: nothing here reads past the view it was given, whatever the bytes are.
// Covered by test/unit/normalize_test.cpp and both fuzz targets.
#ifndef REDOUBT_CORE_UNICODE_TEXT_H
#define REDOUBT_CORE_UNICODE_TEXT_H

#include <cstddef>
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

// utf8_append appends the UTF-8 of c, a code point that is no surrogate.
void utf8_append(std::string &out, char32_t c);

// utf8_valid_prefix is the number of bytes before the first ill-formed sequence;
// text.size() where there is none.
std::size_t utf8_valid_prefix(std::string_view text) noexcept;

// utf8_length counts the characters (code points) of well-formed text.
std::size_t utf8_length(std::string_view text) noexcept;

bool is_ascii(std::string_view text) noexcept;

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
