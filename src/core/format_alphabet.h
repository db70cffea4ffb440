// format_alphabet.h - FormatAlphabet: the characters one place of a format may hold, in numeral order.
//
// What it is: a character class, asked about one character at a time, as matching a format does, and giving back many.
// What it is not: Ff1Alphabet, which turns whole texts of one alphabet into numerals and back.
// Invariant: every character has one numeral.  No memory is addressed by a value, and asking takes time by the number
// of runs of consecutive characters (or of every second one, as small letters and capitals take turns in Unicode)
// alone: eight runs are compared at once, of those that have as many bytes in UTF-8 as the character in question.
// How many that are, whoever decodes or encodes it shows as well.
// Locks: none.  Covered by test/unit/format_alphabet_test.cpp, format_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_ALPHABET_H
#define REDOUBT_CORE_FORMAT_ALPHABET_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
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
  bool find(char32_t c, std::uint16_t &numeral) const noexcept {
    if (c > kLastInPlane) return find_beyond(c, numeral);
    Eight found = {};
    Eight value = {};
    for (const Lanes &lanes : lanes_[c < 0x80 ? 0 : c < 0x800 ? 1 : 2]) {
      const Eight place = lanes.place(static_cast<std::uint16_t>(c));
      const auto mask = reinterpret_cast<Eight>(place <= lanes.last);
      found |= mask;
      value |= mask & (place + lanes.numeral);
    }
    numeral = any_of(value);
    return any_of(found) != 0;
  }

  // character is the inverse; 0 for a numeral that is not below radix().
  char32_t character(std::uint16_t numeral) const noexcept;

  // characters sets out[i] to the character of numerals[i], below radix(): eight are looked up side by side.
  void characters(std::span<const std::uint16_t> numerals, char32_t *out) const noexcept;

  // overlaps: do the two share a character?
  bool overlaps(const FormatAlphabet &other) const noexcept;

  friend bool operator==(const FormatAlphabet &a, const FormatAlphabet &b) noexcept { return a.runs_ == b.runs_; }

 private:
  // The Basic Multilingual Plane, whose characters have up to three bytes of UTF-8.
  static constexpr char32_t kLastInPlane = 0xFFFF;

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

  typedef std::uint16_t Eight __attribute__((vector_size(16)));
  typedef std::int16_t Signed __attribute__((vector_size(16)));

  // Eight runs of the plane; where there are fewer, the first of them again, whose answer is the same.  A distance to
  // a character before the run, and half of an odd one, are beyond `last` modulo 2^16 as well.
  struct Lanes {
    Eight first, numeral;
    Eight last;          // place of the last character
    Eight every_second;  // all ones, or zero
    Eight place(std::uint16_t c) const noexcept {
      const Eight distance = c - first;
      const Eight half = distance >> 1 | distance << 15;
      return (distance & ~every_second) | (half & every_second);
    }
    void set(std::size_t lane, const Run &run) noexcept;
  };

  // any_of is the bitwise or of all eight.
  static std::uint16_t any_of(Eight eight) noexcept {
    std::array<std::uint64_t, 2> halves;
    std::memcpy(halves.data(), &eight, sizeof eight);
    std::uint64_t any = halves[0] | halves[1];
    any |= any >> 32;
    return static_cast<std::uint16_t>(any | any >> 16);
  }

  // Line is how numerals become characters: n + (n & every_second) + offset, modulo 2^16.
  struct Line {
    Eight offset = {};
    Eight every_second = {};
  };
  // Step is where a run begins: by what the line of numerals below `first` differs from that of the others.
  struct Step {
    Signed first;  // less 2^15, as SSE2 compares signed numbers
    Line change;
  };

  bool find_beyond(char32_t c, std::uint16_t &numeral) const noexcept;
  void make_lanes();
  void make_steps();

  std::vector<Run> runs_;
  std::array<std::vector<Lanes>, 3> lanes_;  // runs of characters of one, two and three bytes
  std::vector<Run> beyond_;                  // and of four
  std::vector<Step> steps_;                  // for each run but the first
  Line last_;                                // of the last run
  std::uint32_t radix_ = 0;
  bool ascii_ = true;
};

}  // namespace redoubt
#endif
