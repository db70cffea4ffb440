// format_batch_test.cpp - FormatBatch gives what Format::crypt gives, refusals included, in any mixture.
#include "core/format_batch.h"
#include "format_support.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {
namespace {

constexpr std::array<std::uint8_t, kFormatKeySize> kKey = {1, 2, 3};
constexpr std::array<std::uint8_t, kFormatClassIdSize> kClass = {4, 5, 6};

// check: a batch of `in`, and of what comes out, against single values.
void check(const std::string &spec, const std::vector<std::string> &in) {
  const auto format = make_format(spec);
  const auto cipher = FormatCipher::make(kKey, kClass);
  const auto other = FormatCipher::make(kKey, kClass);
  FormatBatch batch;
  std::vector<std::string> values = in;
  std::vector<bool> made;  // which of them have a token; a text that is no value may have the form of one
  for (const Ff1Direction direction : {Ff1Direction::encrypt, Ff1Direction::decrypt}) {
    const std::vector<std::string_view> views(values.begin(), values.end());
    batch.crypt(direction, *format, *cipher, views);
    std::vector<std::string> results;
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::string single;
      const Refusal refusal = format->crypt(direction, *other, values[i], single);
      EXPECT_EQ(batch.refusal(i).status, refusal.status) << spec << ' ' << values[i];
      EXPECT_STREQ(batch.refusal(i).reason, refusal.reason) << spec << ' ' << values[i];
      EXPECT_EQ(batch.refusal(i).position, refusal.position) << spec << ' ' << values[i];
      EXPECT_EQ(result_of(batch, i), single) << spec << ' ' << values[i];
      if (direction == Ff1Direction::decrypt && refusal.ok() && made[i]) {
        EXPECT_EQ(single, in[i]);
      }
      if (direction == Ff1Direction::encrypt) made.push_back(refusal.ok());
      results.push_back(refusal.ok() ? single : values[i]);
    }
    values = results;
  }
}

TEST(FormatBatch, GivesWhatSingleValuesGive) {
  check("digits(6,20)", {"123456", "123456", "999999999999", "000000", "12345678901234567890", "654321", "12345",
                         "12345x", "", "123456789012345678901", "777777777777"});
  check("card", {"4111 1111 1111 1111", "4111111111111111", "5500-0000-0000-0004", "5500000000000004", "41111", "x",
                 "4111111111111111111", "4111 1111  1111 1111"});
  check("card(bin=0,length=13-19,check=preserve)", {"4111111111111111", "4111111111111112", "378282246310005"});
  check("phone", {"+442079460958", "+12125550123", "+442079460959", "+99", "+12125550124"});
  check("uuid", {"2c5ea4c0-4067-41fe-8bad-1f2d3c4b5a01", "2c5ea4c0406741fe8bad1f2d3c4b5a01", "2c5ea4c0"});
  check("([a-zäöüß]{6,12})",
        {"straße", "äöüäöü", "abcdefghijkl", "straßenbahn", "abc", "STRASSE", "\xC3", "abcdef\xFF"});
  check("([A-Z]{3})-(\\d{6})", {"ABC-123456", "XYZ-000000", "AB-123456", "ABC-1234567"});  // two alphabets
  check("([A-Z])(\\d{5})x?", {"A12345", "Z00000x", "A12345y"});                            // ranked together
  check("date(0001-01-01,9999-12-31)", {"1984-02-29", "1983-02-29", "2000-01-01"});
  check("TM-(\\d{7})", {});
}

// Single values that are digits alone are done without numerals; those of a batch never are.
TEST(FormatBatch, TextsOfDigitsAlone) {
  std::mt19937_64 random(20261130);
  const auto digits = [&random](std::size_t count) {
    std::string text(count, '0');
    for (char &c : text) c = static_cast<char>('0' + random() % 10);
    return text;
  };
  for (std::size_t size = 5; size <= 42; ++size) {
    std::vector<std::string> runs;
    runs.push_back(digits(size));
    runs.push_back(std::string(size, '0'));
    runs.push_back(std::string(size, '9'));
    std::string other = digits(size);  // the bytes on both sides of the digits, and others of their halves
    other[random() % size] = "/:?0"[random() % 4] | static_cast<char>(random() % 2 << 7);
    runs.push_back(other);
    check("digits(6,41)", runs);
    check("(\\d{7,39})", runs);
  }
  std::vector<std::string> cards;
  for (int i = 0; i < 60; ++i) cards.push_back(digits(12 + random() % 9));
  for (const char *check_digit : {"ignore", "preserve", "fail"}) {
    check(std::string("card(length=18-19,check=") + check_digit + ")", cards);
    check(std::string("card(bin=0,last=0,length=13-19,check=") + check_digit + ")", cards);
    check(std::string("card(bin=8,last=0,length=15-19,check=") + check_digit + ")", cards);
  }
}

TEST(FormatBatch, FullBatches) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < kFormatLanes; ++i) values.push_back(std::to_string(1'000'000'000'000'000 + i * 77'777));
  check("digits(16)", values);
  check("card(bin=6,last=4,length=16,check=ignore)", values);
}

TEST(FormatBatch, OneAfterAnotherLeavesNothingBehind) {
  const auto format = make_format("digits(6,20)");
  const auto cipher = FormatCipher::make(kKey, kClass);
  FormatBatch batch;
  const std::vector<std::string_view> many = {"123456", "1234567890", "no"};
  batch.crypt(Ff1Direction::encrypt, *format, *cipher, many);
  const std::string first = result_of(batch, 0);
  const std::vector<std::string_view> one = {"123456"};
  batch.crypt(Ff1Direction::encrypt, *format, *cipher, one);
  EXPECT_TRUE(batch.refusal(0).ok());
  EXPECT_EQ(result_of(batch, 0), first);
  batch.wipe();
  EXPECT_EQ(batch.size(0), 0U);
}

TEST(FormatBatch, Numbers) {
  const auto format = make_format("integer(-500000,1500000)");
  const auto cipher = FormatCipher::make(kKey, kClass);
  std::vector<std::int64_t> numbers;
  for (std::int64_t n = -500'000; n <= 1'500'000; n += 9'973) numbers.push_back(n);
  ASSERT_GT(numbers.size(), kFormatLanes);
  std::vector<std::int64_t> tokens = numbers;
  ASSERT_TRUE(FormatBatch::crypt(Ff1Direction::encrypt, *format, *cipher, tokens).ok());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::int64_t single = 0;
    ASSERT_TRUE(format->crypt(Ff1Direction::encrypt, *cipher, numbers[i], single).ok());
    EXPECT_EQ(tokens[i], single);
  }
  ASSERT_TRUE(FormatBatch::crypt(Ff1Direction::decrypt, *format, *cipher, tokens).ok());
  EXPECT_EQ(tokens, numbers);

  std::vector<std::int64_t> bad = {1, 2, 1'500'001};
  EXPECT_EQ(FormatBatch::crypt(Ff1Direction::encrypt, *format, *cipher, bad).status, Status::out_of_range);
  EXPECT_EQ(bad, (std::vector<std::int64_t>{1, 2, 1'500'001}));
}

}  // namespace
}  // namespace redoubt
