// format_letters.h - FormatLetters: the letters of names, small and capital, both asked about at once.
//
// What it is: two alphabets of as many characters, of which one numeral names a small letter and a capital; or one
// alphabet of letters without case.  Asking takes one search for both, and giving back many letters little more than
// giving back small ones: from a small letter to its capital it is the same distance for most runs of letters.
// Invariant: what FormatAlphabet says of values, time and memory holds here; which letters are capitals is no secret.
// Tokens are no secret either, and so may say where memory is read: of a table of 128 KiB at most, 16 KiB for latin.
// Locks: none.  Covered by test/unit/format_letters_test.cpp, format_name_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_LETTERS_H
#define REDOUBT_CORE_FORMAT_LETTERS_H

#include <cstdint>
#include <span>
#include <vector>

#include "core/format_alphabet.h"

namespace redoubt {

class FormatLetters {
 public:
  enum Letter : std::uint8_t { kSmall, kCapital };

  // make takes the small letters, at least one, and the capitals, as many or none.
  void make(FormatAlphabet small, FormatAlphabet capitals);

  std::uint32_t radix() const noexcept { return small_.radix(); }

  // find tells whether c is a letter and, if so, sets which it is.
  bool find(char32_t c, Letter &letter, std::uint16_t &numeral) const noexcept {
    if (!joined_) return find_one_by_one(c, letter, numeral);
    std::uint16_t found = 0;
    const bool known = both_.find(c, found);
    split(found, letter, numeral);
    return known;
  }

  // find_in_token is find for a character of a token, which says where memory is read: several times as fast.
  bool find_in_token(char32_t c, Letter &letter, std::uint16_t &numeral) const noexcept {
    if (c >= above_.size()) return find(c, letter, numeral);
    split(static_cast<std::uint16_t>(above_[c] - 1), letter, numeral);
    return above_[c] != 0;
  }

  // characters sets out[i] to the letter of numerals[i], below radix(), and the case letters[i]; there are capitals
  // where one is asked for.
  void characters(std::span<const std::uint16_t> numerals, const Letter *letters, char32_t *out) const noexcept;

 private:
  void split(std::uint16_t found, Letter &letter, std::uint16_t &numeral) const noexcept {
    const bool capital = found >= radix();
    letter = capital ? kCapital : kSmall;
    numeral = static_cast<std::uint16_t>(found - (capital ? radix() : 0));
  }
  static FormatAlphabet::Eight capitals_of(const Letter *letters, std::size_t count) noexcept;
  bool find_one_by_one(char32_t c, Letter &letter, std::uint16_t &numeral) const noexcept;
  bool join();
  void tabulate();
  bool pair();

  FormatAlphabet small_, capitals_;
  FormatAlphabet both_;               // the capitals' numerals behind those of the small letters
  std::vector<std::uint16_t> above_;  // by character, the numeral of both_ and one, or zero; empty: ask find
  FormatAlphabet::Steps difference_;  // a capital less its small letter, modulo 2^16
  bool joined_ = false;               // there is both_
  bool paired_ = false;               // there is difference_
};

}  // namespace redoubt
#endif
