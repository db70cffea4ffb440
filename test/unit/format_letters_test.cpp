// format_letters_test.cpp - letters in both cases against the two alphabets they are made of, at every character.
#include "core/format_letters.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "core/format_scan.h"

namespace redoubt {
namespace {

constexpr char32_t kEnd = 0x11000;

void check(const FormatAlphabet &small, const FormatAlphabet &capitals) {
  FormatLetters letters;
  letters.make(small, capitals);
  ASSERT_EQ(letters.radix(), small.radix());
  for (char32_t c = 0; c < kEnd; ++c) {
    std::uint16_t expected = 0;
    const bool is_small = small.find(c, expected);
    const bool is_letter = is_small || capitals.find(c, expected);
    FormatLetters::Letter letter = FormatLetters::kSmall;
    std::uint16_t numeral = 0;
    FormatLetters::Letter in_token = FormatLetters::kSmall;
    std::uint16_t numeral_in_token = 0;
    ASSERT_EQ(letters.find(c, letter, numeral), is_letter) << static_cast<std::uint32_t>(c);
    ASSERT_EQ(letters.find_in_token(c, in_token, numeral_in_token), is_letter) << static_cast<std::uint32_t>(c);
    if (!is_letter) continue;
    ASSERT_EQ(letter, is_small ? FormatLetters::kSmall : FormatLetters::kCapital) << static_cast<std::uint32_t>(c);
    ASSERT_EQ(in_token, letter) << static_cast<std::uint32_t>(c);
    ASSERT_EQ(numeral, expected) << static_cast<std::uint32_t>(c);
    ASSERT_EQ(numeral_in_token, expected) << static_cast<std::uint32_t>(c);
  }
  // As many letters at once as a name may have, and every number below.
  std::mt19937 random(7);
  for (std::size_t count = 0; count <= kFormatMaxCharacters; ++count) {
    std::vector<std::uint16_t> numerals(count);
    std::vector<FormatLetters::Letter> cases(count);
    std::vector<char32_t> expected(count);
    for (std::size_t i = 0; i < count; ++i) {
      numerals[i] = static_cast<std::uint16_t>(random() % small.radix());
      const bool capital = capitals.radix() > 0 && random() % 2 == 0;
      cases[i] = capital ? FormatLetters::kCapital : FormatLetters::kSmall;
      expected[i] = (capital ? capitals : small).character(numerals[i]);
    }
    std::vector<char32_t> made(count + 1, U'?');
    letters.characters(numerals, cases.data(), made.data());
    ASSERT_EQ(made.back(), U'?') << count;
    made.pop_back();
    ASSERT_EQ(made, expected) << count;
  }
}

// Runs of the same letters in the two alphabets, or cut in other places.
TEST(FormatLetters, RunsSideBySideOrNot) {
  FormatAlphabet small, capitals;
  ASSERT_TRUE(small.add('a', 'z') && small.add(0x101, 0x12F, true) && small.add(0x253, 0x253));
  ASSERT_TRUE(capitals.add('A', 'Z') && capitals.add(0x100, 0x12E, true) && capitals.add(0x181, 0x181));
  check(small, capitals);
  FormatAlphabet other;
  ASSERT_TRUE(other.add('A', 'C') && other.add(0x391, 0x391 + 22) && other.add(0x1E00, 0x1E2E, true) &&
              other.add('Z', 'Z'));
  check(small, other);
}

TEST(FormatLetters, WithoutCapitals) {
  FormatAlphabet small;
  ASSERT_TRUE(small.add(0x5D0, 0x5EA));
  check(small, {});
}

// Runs that end beyond the Basic Multilingual Plane, or lie there, beside others that do not.
TEST(FormatLetters, AroundTheEndOfThePlane) {
  FormatAlphabet small, capitals;
  ASSERT_TRUE(small.add(0xFFF0, 0x1000F) && small.add('a', 'z') && small.add(0x10400, 0x10410));
  ASSERT_TRUE(capitals.add(0xFF01, 0xFF41, true) && capitals.add('A', 'Z') && capitals.add(0x10601, 0x1060F, true));
  ASSERT_EQ(small.radix(), capitals.radix() + 8);
  check(small, {});
  check(capitals, {});
  FormatAlphabet high, higher;
  ASSERT_TRUE(high.add(0xFFE1, 0x1001F, true) && higher.add(0x10420, 0x1043F));
  check(high, higher);
}

// What cannot be looked up side by side: capitals at every second place beside small letters that are consecutive,
// characters beyond U+7FFF, more letters than numerals, and a letter in both.
TEST(FormatLetters, OneByOne) {
  FormatAlphabet small, every_second, high, many, as_many, shared;
  ASSERT_TRUE(small.add('a', 'z') && every_second.add(0x100, 0x132, true) && high.add(0xFF21, 0xFF3A));
  check(small, every_second);
  check(small, high);
  check(high, small);
  ASSERT_TRUE(many.add(0, 0x8FFF) && as_many.add(0x10000, 0x18FFF));
  check(many, as_many);
  ASSERT_TRUE(shared.add('z', 'z') && shared.add('A', 'Y'));
  check(small, shared);
}

TEST(FormatLetters, RunsAtRandom) {
  std::mt19937 random(13);
  const auto below = [&random](std::uint32_t bound) { return static_cast<char32_t>(random() % bound); };
  for (int turn = 0; turn < 40; ++turn) {
    FormatAlphabet small, capitals;
    while (small.radix() < 300) {
      const char32_t count = below(20) + 1;
      const bool every_second = below(2) == 0;
      const char32_t last = (count - 1) * (every_second ? 2 : 1);
      const char32_t first = below(0x7000);
      const char32_t capital = below(0x7000);
      FormatAlphabet one, other;
      if (!one.add(first, first + last, every_second) || !other.add(capital, capital + last, every_second)) continue;
      if (small.overlaps(one) || capitals.overlaps(other)) continue;
      ASSERT_TRUE(small.add(first, first + last, every_second) && capitals.add(capital, capital + last, every_second));
    }
    check(small, capitals);
  }
}

}  // namespace
}  // namespace redoubt
