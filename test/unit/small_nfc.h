// small_nfc.h - stands in for PostgreSQL's Normalization Form C in tests and fuzzing.
//
// Not UAX #15: it knows the few compositions and singletons below, and nothing of the
// ordering of marks.  Invariant: applying it twice gives what once gave, as NFC does.
#ifndef REDOUBT_TEST_SMALL_NFC_H
#define REDOUBT_TEST_SMALL_NFC_H

#include <string>
#include <string_view>
#include <vector>

#include "core/unicode_text.h"

namespace redoubt {

inline void append_utf8(std::string &out, char32_t c) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

inline bool small_nfc(std::string_view utf8, std::string &out) {
  struct Pair {
    char32_t base, mark, composed;
  };
  constexpr Pair kPairs[] = {{'e', 0x301, 0xE9}, {'E', 0x301, 0xC9}, {'u', 0x308, 0xFC},   {'U', 0x308, 0xDC},
                             {'a', 0x30A, 0xE5}, {'A', 0x30A, 0xC5}, {'h', 0x331, 0x1E96}, {'I', 0x307, 0x130}};
  std::vector<char32_t> text;
  for (std::size_t at = 0; at < utf8.size();) {
    const CodePoint c = utf8_decode(utf8, at);
    if (c.size == 0) return false;
    at += c.size;
    const char32_t single = c.value == 0x212A ? U'K' : c.value == 0x212B ? 0xC5 : c.value;  // KELVIN, ANGSTROM SIGN
    bool composed = false;
    for (const Pair &pair : kPairs) {
      if (text.empty() || text.back() != pair.base || single != pair.mark) continue;
      text.back() = pair.composed;
      composed = true;
      break;
    }
    if (!composed) text.push_back(single);
  }
  out.clear();
  for (const char32_t c : text) append_utf8(out, c);
  return true;
}

}  // namespace redoubt
#endif
