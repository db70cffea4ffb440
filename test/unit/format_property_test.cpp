// format_property_test.cpp - random values of every format: the token is of the format and keeps what it is to keep,
// comes back, is seldom the value, and no two values share one.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/calendar.h"
#include "core/format.h"
#include "core/unicode_text.h"
#include "format_support.h"

namespace redoubt {
namespace {

constexpr int kValues = 3000;
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kAlnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

using Random = std::mt19937;

std::size_t pick(Random &random, std::size_t least, std::size_t most) {
  return std::uniform_int_distribution<std::size_t>(least, most)(random);
}

std::string some(Random &random, std::string_view of, std::size_t least, std::size_t most) {
  std::string text;
  for (std::size_t n = pick(random, least, most); n > 0; --n) text += of[pick(random, 0, of.size() - 1)];
  return text;
}

// word: letters of a small mixture of scripts' worth of UTF-8, in a random pattern of case.
std::string word(Random &random, const std::vector<std::string> &small, const std::vector<std::string> &capitals,
                 std::size_t most) {
  std::string text;
  const std::size_t pattern = pick(random, 0, 3);
  const std::size_t letters = pick(random, 1, most);
  for (std::size_t i = 0; i < letters; ++i) {
    const bool capital = pattern == 0 ? i == 0 : pattern == 1 ? false : pattern == 2 || pick(random, 0, 1) == 1;
    text += (capital ? capitals : small)[pick(random, 0, small.size() - 1)];
  }
  return text;
}

std::string name(Random &random) {
  static const std::vector<std::string> small = {"a", "b", "k", "z", "é", "ß", "ł", "ễ", "ș", "ı"};
  static const std::vector<std::string> capitals = {"A", "B", "K", "Z", "É", "ẞ", "Ł", "Ễ", "Ș", "İ"};
  std::string text = word(random, small, capitals, 3);
  for (std::size_t n = pick(random, 0, 2); n > 0; --n) {
    static const std::vector<std::string> between = {" ", "-", "'", "’", ". ", ", "};
    text += between[pick(random, 0, between.size() - 1)] + word(random, small, capitals, 8);
  }
  return text + (pick(random, 0, 9) == 0 ? "." : "");
}

std::string address(Random &random) {
  std::string text = some(random, "abcdefghijklmnopqrstuvwxyzABCZ0189.+-_'", 1, pick(random, 0, 3) == 0 ? 30 : 4);
  if (pick(random, 0, 9) == 0) text += "éλ";
  text += "@" + some(random, kLower, 1, 20);
  for (std::size_t n = pick(random, 0, 3); n > 0; --n)
    text += "." + some(random, "abcdefghijklmnopqrstuvwxyz0123456789-_", 1, 9);
  return text;
}

std::string with_hyphens(const std::string &text, std::initializer_list<std::size_t> cuts, bool wanted) {
  std::string out;
  std::size_t at = 0;
  for (const std::size_t cut : cuts) {
    out += text.substr(at, cut) + (wanted ? "-" : "");
    at += cut;
  }
  return out + text.substr(at);
}

std::string uuid(Random &random) {
  std::string text = some(random, "0123456789abcdef", 32, 32);
  return with_hyphens(text, {8, 4, 4, 4}, pick(random, 0, 1) == 1);
}

std::string date(Random &random) {
  const auto text = date_of_days(static_cast<std::int64_t>(pick(random, 0, 2932896)));
  return {text.data(), text.size()};
}

std::string card(Random &random) {
  std::string text = some(random, kDigits, 16, 19);
  return with_hyphens(text, {4, 4, 4}, pick(random, 0, 1) == 1);
}

// sum: the Luhn sum, done from the left over doubled digits written out as text, unlike the code under test.
int sum(const std::string &digits) {
  int total = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const int digit = digits[i] - '0';
    for (const char c : std::to_string((digits.size() - i) % 2 == 0 ? 2 * digit : digit)) total += c - '0';
  }
  return total % 10;
}

std::string genuine_card(Random &random) {
  std::string text = some(random, kDigits, 12, 18) + "0";
  text.back() = static_cast<char>('0' + (10 - sum(text)) % 10);
  return text;
}

struct Case {
  const char *format;
  std::function<std::string(Random &)> value;
  bool same_length = true;
};

const std::vector<Case> &cases() {
  static const std::vector<Case> all = {
      {"TM-(\\d{7})", [](Random &r) { return "TM-" + some(r, kDigits, 7, 7); }},
      {"(\\d{4})-(\\d{4})-(\\d{4})-(\\d{4})",
       [](Random &r) {
         return with_hyphens(some(r, kDigits, 16, 16), {4, 4, 4}, true);
       }},
      {"([A-Z]{2})\\d(\\d{5})",
       [](Random &r) { return some(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 2, 2) + some(r, kDigits, 6, 6); }},
      {"([A-Z]{5})-(\\d{6,9})",
       [](Random &r) { return some(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 5, 5) + "-" + some(r, kDigits, 6, 9); }},
      {"digits", [](Random &r) { return some(r, kDigits, 6, 64); }},
      {"digits(8,20)", [](Random &r) { return some(r, kDigits, 8, 20); }},
      {"alnum", [](Random &r) { return some(r, kAlnum, 4, 64); }},
      {"([A-HJ-NP-Z2-9]{8,12})", [](Random &r) { return some(r, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", 8, 12); }},
      {"card", card},
      {"card(bin=0,last=4,length=13-19,check=fail)", genuine_card},
      {"card(bin=6,last=0,length=13-19,check=preserve)", genuine_card},
      {"us_ssn",
       [](Random &r) {
         return with_hyphens(some(r, kDigits, 9, 9), {3, 2}, pick(r, 0, 1) == 1);
       }},
      {"phone", [](Random &r) { return (pick(r, 0, 1) == 1 ? "+44" : "+1") + some(r, "23456789", 10, 10); }},
      {"uuid", uuid},
      {"date", date},
      {"email", address, false},
      {"email(domain=kept)", address, false},
      {"name", name, false},
      {"name(short=6)", name, false},
      {"name(alphabet=ascii)",
       [](Random &r) { return some(r, kAlnum.substr(10), 1, 6) + "-" + some(r, kLower, 1, 12); }, false},
  };
  return all;
}

TEST(FormatProperty, RandomValuesOfEveryFormat) {
  const auto cipher = make_cipher();
  for (const Case &one : cases()) {
    SCOPED_TRACE(one.format);
    std::string problem;
    const std::unique_ptr<Format> format = Format::make(one.format, problem);
    ASSERT_NE(format, nullptr) << problem;
    Random random(20261123);
    std::map<std::string, std::string> value_of;
    int unchanged = 0;
    for (int i = 0; i < kValues; ++i) {
      const std::string value = one.value(random);
      std::string token;
      std::string back;
      const Refusal refusal = format->crypt(Ff1Direction::encrypt, *cipher, value, token);
      ASSERT_TRUE(refusal.ok()) << value << ": " << refusal.reason;
      ASSERT_TRUE(format->accepts(token).ok()) << value << " " << token;
      ASSERT_TRUE(format->crypt(Ff1Direction::decrypt, *cipher, token, back).ok()) << value << " " << token;
      ASSERT_EQ(back, value) << token;
      if (one.same_length) {
        ASSERT_EQ(utf8_length(token), utf8_length(value));
      }
      const auto [place, fresh] = value_of.emplace(token, value);
      ASSERT_EQ(place->second, value) << "two values of one token";
      unchanged += token == value ? 1 : 0;
    }
    EXPECT_LE(unchanged, 1);
    EXPECT_GT(value_of.size(), std::size_t{kValues} / 2);
  }
}

// Garbage, and values of all other formats: refused, or accepted and then consistently so.
TEST(FormatProperty, WhatIsNotOfTheFormat) {
  const auto cipher = make_cipher();
  Random random(7);
  for (const Case &one : cases()) {
    SCOPED_TRACE(one.format);
    std::string problem;
    const std::unique_ptr<Format> format = Format::make(one.format, problem);
    ASSERT_NE(format, nullptr);
    for (int i = 0; i < 40; ++i) {
      std::vector<std::string> texts = {
          "", " ", std::string(1, '\0'), "\xFF", "•••", std::string(70000, 'a'), std::string(70000, '7')};
      for (const Case &other : cases()) texts.push_back(other.value(random));
      std::string damaged = one.value(random);
      damaged[pick(random, 0, damaged.size() - 1)] = static_cast<char>(pick(random, 0, 255));
      texts.push_back(damaged);
      for (const std::string &text : texts) {
        std::string token = "left over";
        std::string back;
        const Refusal refusal = format->crypt(Ff1Direction::encrypt, *cipher, text, token);
        if (!refusal.ok()) {
          ASSERT_TRUE(token.empty());
          ASSERT_STRNE(refusal.reason, "");
          continue;
        }
        ASSERT_TRUE(format->accepts(token).ok());
        ASSERT_TRUE(format->crypt(Ff1Direction::decrypt, *cipher, token, back).ok());
        ASSERT_EQ(back, text);
      }
      for (const char *bad : {"", " ", "\xFF", "•••"}) ASSERT_FALSE(format->accepts(bad).ok()) << bad;
    }
  }
}

}  // namespace
}  // namespace redoubt
