// ff1_alphabet_test.cpp - Ff1Alphabet: ASCII and UTF-8 texts to numerals and back, and what it refuses.
#include "core/ff1_alphabet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace redoubt {
namespace {

using Numerals8 = std::vector<std::uint8_t>;
using Numerals16 = std::vector<std::uint16_t>;

std::string utf8(std::uint32_t c) {
  std::string s;
  if (c < 0x80) {
    s += static_cast<char>(c);
  } else if (c < 0x800) {
    s += static_cast<char>(0xC0 | (c >> 6));
    s += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    s += static_cast<char>(0xE0 | (c >> 12));
    s += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    s += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    s += static_cast<char>(0xF0 | (c >> 18));
    s += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    s += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    s += static_cast<char>(0x80 | (c & 0x3F));
  }
  return s;
}

Ff1Alphabet alphabet(std::string_view characters) {
  Result<Ff1Alphabet> made = Ff1Alphabet::make(characters);
  EXPECT_TRUE(made.ok());
  return *std::move(made);
}

TEST(Ff1Alphabet, AsciiMapsEveryByteAtEveryLengthAndPlace) {
  std::string all;
  for (char c = 0x20; c < 0x7f; ++c) all += c;
  std::string scattered = all;
  std::shuffle(scattered.begin(), scattered.end(), std::mt19937(4));
  std::string everything;
  for (int c = 0; c < 128; ++c) everything += static_cast<char>(c);
  for (const std::string &characters :
       {std::string("0123456789"), std::string("0123456789abcdefghijklmnopqrstuvwxyz"), std::string("zyxwv"),
        std::string("ACEGIKMOQSUWY"), std::string("ab"), all, scattered, scattered.substr(0, 40), everything}) {
    const Ff1Alphabet a = alphabet(characters);
    EXPECT_EQ(a.radix(), characters.size());
    EXPECT_TRUE(a.ascii());
    for (std::size_t length = 1; length <= 50; ++length) {
      Numerals8 digits(length);
      std::string text(length, characters[0]);
      for (std::size_t place = 0; place < length; ++place) {
        const std::size_t expected = (place * 31 + length) % characters.size();
        text[place] = characters[expected];
        ASSERT_EQ(a.parse(text, std::span(digits)), Status::ok);
        ASSERT_EQ(digits[place], expected);
        std::string back(length, '#');
        const Result<std::size_t> written = a.format(std::span<const std::uint8_t>(digits), back);
        ASSERT_TRUE(written.ok());
        ASSERT_EQ(*written, length);
        ASSERT_EQ(back, text);
      }
    }
    for (int byte = 0; byte < 256; ++byte) {
      const bool inside = characters.find(static_cast<char>(byte)) != std::string::npos;
      for (const std::size_t length : {1U, 2U, 3U, 5U, 9U, 16U, 17U, 31U}) {
        std::string text(length, characters.back());
        text[length / 2] = static_cast<char>(byte);
        Numerals8 digits(length);
        ASSERT_EQ(a.parse(text, std::span(digits)), inside ? Status::ok : Status::malformed) << byte;
      }
    }
  }
}

TEST(Ff1Alphabet, ParsingNeverWritesBeyondItsNumerals) {
  const Ff1Alphabet a = alphabet("0123456789");
  for (std::size_t length = 1; length <= 40; ++length) {
    Numerals8 digits(length + 2, 0xEE);
    std::string text(length, '7');
    ASSERT_EQ(a.parse(text, std::span(digits).subspan(1, length)), Status::ok);
    EXPECT_EQ(digits.front(), 0xEE);
    EXPECT_EQ(digits.back(), 0xEE);
    EXPECT_TRUE(std::all_of(digits.begin() + 1, digits.end() - 1, [](std::uint8_t d) { return d == 7; }));
  }
}

TEST(Ff1Alphabet, Utf8GoesThereAndBack) {
  for (const std::string_view characters : {std::string_view("абвгдеёжзийклмнопрстуфхцчшщъыьэюя"),
                                            std::string_view("aäбー😀z"), std::string_view("0123456789é")}) {
    const Ff1Alphabet a = alphabet(characters);
    EXPECT_FALSE(a.ascii());
    std::mt19937 random(6);
    for (std::size_t length = 1; length < 60; ++length) {
      Numerals16 digits(length), back(length);
      for (std::uint16_t &digit : digits) digit = static_cast<std::uint16_t>(random() % a.radix());
      std::string text(length * a.max_bytes(), '#');
      const Result<std::size_t> written = a.format(std::span<const std::uint16_t>(digits), text);
      ASSERT_TRUE(written.ok());
      text.resize(*written);
      ASSERT_EQ(a.parse(text, std::span(back)), Status::ok);
      ASSERT_EQ(back, digits);
      Numerals16 other(length + 1);
      EXPECT_EQ(a.parse(text, std::span(other)), Status::out_of_range);
      EXPECT_EQ(a.parse(text, std::span(other).first(length - 1)), Status::out_of_range);
      EXPECT_EQ(a.format(std::span<const std::uint16_t>(digits), std::span(text).first(length - 1)).status(),
                Status::invalid_argument);
    }
  }
}

TEST(Ff1Alphabet, LargestAlphabet) {
  std::string characters;
  std::vector<std::uint32_t> points;
  for (std::uint32_t c = 1; points.size() < 65536; ++c) {
    if (c == 0xD800) c = 0xE000;
    points.push_back(c);
    characters += utf8(c);
  }
  const Ff1Alphabet a = alphabet(characters);
  EXPECT_EQ(a.radix(), 65536U);
  EXPECT_EQ(a.max_bytes(), 4U);
  for (const std::size_t numeral : {0U, 1U, 126U, 127U, 2046U, 2047U, 55294U, 55295U, 63486U, 63487U, 65534U, 65535U}) {
    Numerals16 digit(1);
    ASSERT_EQ(a.parse(utf8(points[numeral]), std::span(digit)), Status::ok);
    EXPECT_EQ(digit[0], numeral);
    std::string text(4, '#');
    const Result<std::size_t> written = a.format(std::span<const std::uint16_t>(digit), text);
    ASSERT_TRUE(written.ok());
    EXPECT_EQ(text.substr(0, *written), utf8(points[numeral]));
  }
  EXPECT_EQ(Ff1Alphabet::make(characters + utf8(0x20000)).status(), Status::invalid_argument);
}

TEST(Ff1Alphabet, RefusesBadAlphabets) {
  EXPECT_EQ(Ff1Alphabet::make("").status(), Status::invalid_argument);
  EXPECT_EQ(Ff1Alphabet::make("a").status(), Status::invalid_argument);
  EXPECT_EQ(Ff1Alphabet::make("é").status(), Status::invalid_argument);
  EXPECT_EQ(Ff1Alphabet::make("aa").status(), Status::invalid_argument);
  EXPECT_EQ(Ff1Alphabet::make("abcda").status(), Status::invalid_argument);
  EXPECT_EQ(Ff1Alphabet::make("αβγδα").status(), Status::invalid_argument);
  std::string scattered;
  for (std::uint32_t c = 0x1000; c < 0x1000 + 2 * (kFf1MaxAlphabetRuns + 1); c += 2) scattered += utf8(c);
  EXPECT_EQ(Ff1Alphabet::make(scattered).status(), Status::unsupported);
  EXPECT_TRUE(Ff1Alphabet::make(scattered.substr(3)).ok());
}

TEST(Ff1Alphabet, RefusesWhatIsNotUtf8) {
  const Ff1Alphabet a = alphabet("aé€😀");
  for (const std::string_view bad :
       {"\x80", "\xc3", "\xc3\x28", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xf0\x9f\x98"}) {
    EXPECT_EQ(Ff1Alphabet::make("ab" + std::string(bad)).status(), Status::malformed);
    Numerals16 digits(2);
    EXPECT_EQ(a.parse("a" + std::string(bad), std::span(digits)), Status::malformed);
  }
  Numerals16 digits(1);
  EXPECT_EQ(a.parse("b", std::span(digits)), Status::malformed);
  Numerals8 bytes(1);
  EXPECT_EQ(a.parse("a", std::span(bytes)), Status::invalid_argument);
}

}  // namespace
}  // namespace redoubt
