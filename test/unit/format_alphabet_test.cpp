// format_alphabet_test.cpp - alphabets against a plain map from characters to numerals, at every character.
#include "core/format_alphabet.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>
#include <vector>

namespace redoubt {
namespace {

constexpr char32_t kEnd = 0x110000;

// Alphabet is one and its map.
struct Alphabet {
  FormatAlphabet made;
  std::map<char32_t, std::uint16_t> numerals;
  std::vector<char32_t> characters;

  void add(char32_t first, char32_t last, bool every_second) {
    if (!made.add(first, last, every_second)) return;
    for (char32_t c = first; c <= last; c += every_second ? 2 : 1) {
      numerals[c] = static_cast<std::uint16_t>(characters.size());
      characters.push_back(c);
    }
  }

  void check(char32_t first, char32_t last) const {
    for (char32_t c = first; c <= last; ++c) {
      std::uint16_t numeral = 0;
      const auto known = numerals.find(c);
      ASSERT_EQ(made.find(c, numeral), known != numerals.end()) << static_cast<std::uint32_t>(c);
      if (known == numerals.end()) continue;
      ASSERT_EQ(numeral, known->second) << static_cast<std::uint32_t>(c);
    }
    ASSERT_EQ(made.radix(), characters.size());
    for (std::uint32_t n = 0; n < 65536; ++n) {
      const char32_t expected = n < characters.size() ? characters[n] : U'\0';
      ASSERT_EQ(made.character(static_cast<std::uint16_t>(n)), expected) << n;
    }
    std::vector<std::uint16_t> all(characters.size());
    std::iota(all.begin(), all.end(), std::uint16_t{0});
    std::vector<char32_t> made_of_all(all.size());
    made.characters(all, made_of_all.data());
    ASSERT_EQ(made_of_all, characters);
  }
};

// Characters take one byte more of UTF-8 from U+0080, U+0800 and U+10000 on.
TEST(FormatAlphabet, RunsThatCrossASizeOfUtf8) {
  for (const bool every_second : {false, true}) {
    for (const char32_t from : {0U, 1U, 0x7EU, 0x7FU}) {
      Alphabet alphabet;
      alphabet.add(from, 0x900, every_second);
      alphabet.add(0xFFFE + from % 2, 0x10010, every_second);
      alphabet.add(0x7FE + 1 - from % 2, 0x7FE + 1 - from % 2, false);
      alphabet.add(0x20000, 0x20010, every_second);
      alphabet.check(0, kEnd - 1);
    }
  }
}

TEST(FormatAlphabet, RunsAsLongAsTheyMayBe) {
  Alphabet plane;
  plane.add(0, 0xFFFF, false);
  plane.check(0, 0x20000);
  Alphabet half;
  half.add(1, 0xFFFF, true);
  half.check(0, 0x20000);
  Alphabet last;
  last.add(0xFFFF, 0xFFFF, false);
  last.add(0x800, 0x800, false);
  last.check(0, 0x20000);
}

TEST(FormatAlphabet, RunsAtRandom) {
  std::mt19937 random(11);
  const auto below = [&random](std::uint32_t bound) { return static_cast<char32_t>(random() % bound); };
  for (int turn = 0; turn < 60; ++turn) {
    Alphabet alphabet;
    const char32_t span = turn % 2 == 0 ? 0x900 : 0x11000;
    for (char32_t runs = below(40) + 1; runs > 0; --runs) {
      const char32_t first = below(span);
      alphabet.add(first, first + below(turn % 3 == 0 ? 4 : 200), below(2) == 0);
    }
    alphabet.check(0, 0x11200);
  }
}

TEST(FormatAlphabet, AsManyRunsAsThereMayBe) {
  Alphabet alphabet;
  for (std::size_t i = 0; i < kFormatMaxRuns; ++i) {
    const auto first = static_cast<char32_t>(0x61 + 5 * i);
    alphabet.add(first, first + 1, false);
  }
  alphabet.check(0, 0x11000);
  EXPECT_EQ(alphabet.made.radix(), 2 * kFormatMaxRuns);
  EXPECT_FALSE(alphabet.made.add(0x3000, 0x3000));
}

}  // namespace
}  // namespace redoubt
