// ff1_alphabet.h - Ff1Alphabet: the characters of a format, and texts to numerals and back.
//
// What it is: an ordered set of 2 to 65536 distinct Unicode characters; the n-th stands for the
// numeral n.  Texts are UTF-8; an alphabet of ASCII characters alone takes a path of 16 bytes a step.
// What it is not: a normaliser.  Callers that mean "é" in one form only normalise before (NFC).
// Invariant: parse() and format() compare each character with every run of consecutive characters
// the alphabet is made of (0-9 is one run, 0-9A-Za-z three), so neither time nor memory access
// depends on the characters' values, only on their number and their lengths in UTF-8.
// Covered by test/unit/ff1_alphabet_test.cpp and test/fuzz/ff1_fuzz.cpp.
#ifndef REDOUBT_CORE_FF1_ALPHABET_H
#define REDOUBT_CORE_FF1_ALPHABET_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace redoubt {

// More runs of consecutive characters than this would make a character cost microseconds.
inline constexpr std::size_t kFf1MaxAlphabetRuns = 4096;

class Ff1Alphabet {
 public:
  // An empty alphabet, radix 0: parses and formats nothing.
  Ff1Alphabet() noexcept = default;

  // make reads the characters in numeral order from UTF-8.  Errors: malformed (not UTF-8),
  // invalid_argument (fewer than 2 or more than 65536 characters, or one of them twice),
  // unsupported (more than kFf1MaxAlphabetRuns runs).
  static Result<Ff1Alphabet> make(std::string_view characters);

  std::uint32_t radix() const noexcept { return radix_; }
  bool ascii() const noexcept { return max_bytes_ == 1; }
  // max_bytes: the longest character in UTF-8, 1 to 4 bytes.
  std::size_t max_bytes() const noexcept { return max_bytes_; }

  // parse writes one numeral for each character of text; Digit is std::uint8_t (ASCII alphabets only)
  // or std::uint16_t.  Errors: malformed (not UTF-8, or a character outside the alphabet),
  // out_of_range (not exactly digits.size() characters), invalid_argument (bytes for a wider alphabet).
  template <typename Digit>
  Status parse(std::string_view text, std::span<Digit> digits) const noexcept;

  // format writes the characters of digits, each below radix(), and returns the bytes written.
  // Errors: invalid_argument (fewer than digits.size() * max_bytes() bytes of room).
  template <typename Digit>
  Result<std::size_t> format(std::span<const Digit> digits, std::span<char> text) const noexcept;

 private:
  struct Run {
    std::uint32_t first;    // code point
    std::uint32_t numeral;  // that of `first`
    std::uint32_t count;
  };

  Status parse_ascii(std::string_view text, std::uint8_t *digits) const noexcept;
  void format_ascii(const std::uint8_t *digits, std::size_t size, char *text) const noexcept;
  Status parse_utf8(std::string_view text, std::span<std::uint16_t> digits) const noexcept;
  std::size_t format_utf8(std::span<const std::uint16_t> digits, char *text) const noexcept;

  // The same for sixteen bytes at a time: every byte of `first` is the run's first character, and so on.
  struct AsciiRun {
    alignas(16) std::array<std::uint8_t, 16> first, numeral, count;
  };

  std::vector<Run> runs_;
  std::vector<AsciiRun> ascii_runs_;  // of an alphabet of ASCII characters alone
  std::uint32_t radix_ = 0;
  std::size_t max_bytes_ = 0;
};

}  // namespace redoubt
#endif
