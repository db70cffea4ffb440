// format_alphabet.h - FormatAlphabet: the characters one place of a format may hold, in numeral order.
//
// What it is: a character class, asked about one character at a time, as matching a format does.
// What it is not: Ff1Alphabet, which turns whole texts of one alphabet into numerals and back.
// Invariant: every character has one numeral; asking takes time by the number of runs of consecutive
// characters (or of every second one, as small letters and capitals take turns in Unicode) alone, and no memory is
// addressed by a value. Locks: none.  Covered by test/unit/format_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_ALPHABET_H
#define REDOUBT_CORE_FORMAT_ALPHABET_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace redoubt {

inline constexpr std::size_t kFormatMaxRuns = 256;

class FormatAlphabet {
 public:
  // add appends the characters first..last, or every second one of them.  False, and nothing added: first > last,
  // one of them is there already, more than 65536 characters or kFormatMaxRuns runs.
  bool add(char32_t first, char32_t last, bool every_second = false);

  std::uint32_t radix() const noexcept { return radix_; }

  // is_ascii: no character lies beyond U+007F, so each is one byte of UTF-8.
  bool is_ascii() const noexcept { return ascii_; }

  // single_run: consecutive characters only, numeral 0 first.
  bool single_run() const noexcept { return runs_.size() == 1; }

  // first is the character of numeral 0.  The alphabet is not empty.
  char32_t first() const noexcept { return runs_[0].first; }

  // find tells whether c is in the alphabet and, if so, sets its numeral.
  bool find(char32_t c, std::uint16_t &numeral) const noexcept;

  // character is the inverse; 0 for a numeral that is not below radix().
  char32_t character(std::uint16_t numeral) const noexcept;

  // overlaps: do the two share a character?
  bool overlaps(const FormatAlphabet &other) const noexcept;

  friend bool operator==(const FormatAlphabet &, const FormatAlphabet &) noexcept = default;

 private:
  struct Run {
    char32_t first;
    std::uint32_t numeral;  // that of `first`
    std::uint32_t count;
    std::uint32_t shift;  // 1: every second character
    // place is the number of c in the run, or one that is not below `count`.
    std::uint32_t place(char32_t c) const noexcept {
      const std::uint32_t distance = static_cast<std::uint32_t>(c) - static_cast<std::uint32_t>(first);
      return distance >> shift | (distance & shift) << 31;
    }
    char32_t last() const noexcept { return first + ((count - 1) << shift); }
    bool shares(const Run &other) const noexcept;
    friend bool operator==(const Run &, const Run &) noexcept = default;
  };
  std::vector<Run> runs_;
  std::uint32_t radix_ = 0;
  bool ascii_ = true;
};

}  // namespace redoubt
#endif
