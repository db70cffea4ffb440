// format_test.cpp - formats: what is refused at creation, what a token keeps, and that every value comes back.
#include "core/format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/calendar.h"
#include "format_support.h"

namespace redoubt {
namespace {

constexpr std::array<std::uint8_t, kFormatClassIdSize> kClass = {1, 2, 3, 4};
constexpr std::array<std::uint8_t, kFormatClassIdSize> kOtherClass = {16, 2};

std::string token_of(const Format &format, FormatCipher &cipher, const std::string &value) {
  std::string token;
  const Refusal refusal = format.crypt(Ff1Direction::encrypt, cipher, value, token);
  EXPECT_TRUE(refusal.ok()) << value << ": " << refusal.reason;
  return token;
}

// check_value: the value has another token, which the format accepts and which comes back.
std::string check_value(const Format &format, FormatCipher &cipher, const std::string &value) {
  const std::string token = token_of(format, cipher, value);
  std::string back;
  EXPECT_NE(token, value);
  EXPECT_TRUE(format.accepts(token).ok()) << token;
  EXPECT_TRUE(format.crypt(Ff1Direction::decrypt, cipher, token, back).ok()) << token;
  EXPECT_EQ(back, value);
  return token;
}

void expect_refused(const Format &format, const std::string &value, const char *reason, std::size_t position = 0) {
  const auto cipher = make_cipher();
  std::string out = "left over";
  const Refusal refusal = format.crypt(Ff1Direction::encrypt, *cipher, value, out);
  EXPECT_STREQ(refusal.reason, reason) << value;
  EXPECT_EQ(refusal.position, position) << value;
  EXPECT_TRUE(out.empty()) << value;
}

TEST(Format, TemplatesKeepWhatIsOutsideGroups) {
  const auto cipher = make_cipher();
  const auto card = make_format("(\\d{4})-(\\d{4})-(\\d{4})-(\\d{4})");
  const std::string token = check_value(*card, *cipher, "4111-1111-1111-1111");
  EXPECT_EQ(token.size(), 19U);
  for (const std::size_t i : {4U, 9U, 14U}) EXPECT_EQ(token[i], '-');
  const auto ticket = make_format("^TM-(\\d{7})$");
  EXPECT_EQ(check_value(*ticket, *cipher, "TM-0000001").substr(0, 3), "TM-");
  const auto kept = make_format("[A-Z]{2}\\d{2}(\\d{8,10})[X-Z]?");
  EXPECT_EQ(check_value(*kept, *cipher, "DE4412345678").substr(0, 4), "DE44");
  EXPECT_EQ(check_value(*kept, *cipher, "DE441234567890Z").back(), 'Z');
}

TEST(Format, TheConstructionIsFf1WithTheDocumentedTweak) {
  const auto cipher = make_cipher();
  const std::array<std::uint8_t, 32> k2 = {7};
  SecretBytes<kFormatKeySize> key;
  ASSERT_TRUE(format_key(k2, kClass, key));
  Result<AesBlocks> aes = AesBlocks::make(key.span());
  ASSERT_TRUE(aes.ok());
  // Class id, the kept "42", and a run of 9 characters of the first alphabet.
  std::vector<std::uint8_t> tweak(kClass.begin(), kClass.end());
  for (const int byte : {0x34, 0x32, 0x00, 0x01, 0x09}) tweak.push_back(static_cast<std::uint8_t>(byte));
  Ff1Plan plan;
  ASSERT_EQ(plan.prepare(*aes, 10, 9, tweak.size()), Status::ok);
  ASSERT_EQ(plan.set_tweak(tweak), Status::ok);
  std::array<std::uint16_t, 9> numerals = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  ASSERT_EQ(plan.crypt(Ff1Direction::encrypt, std::span<const std::uint16_t>(numerals), numerals), Status::ok);
  std::string expected = "42-";
  for (const std::uint16_t n : numerals) expected += static_cast<char>('0' + n);
  EXPECT_EQ(token_of(*make_format("\\d{2}-(\\d{9})"), *cipher, "42-123456789"), expected);
}

TEST(Format, KeptPartsAndTheClassFeedTheTweak) {
  const auto cipher = make_cipher();
  const auto other = make_cipher(kOtherClass);
  const auto format = make_format("\\d(\\d{9})");
  const std::string token = token_of(*format, *cipher, "1123456789");
  EXPECT_NE(token.substr(1), token_of(*format, *cipher, "2123456789").substr(1));
  EXPECT_NE(token, token_of(*format, *other, "1123456789"));
  EXPECT_EQ(token, token_of(*format, *cipher, "1123456789"));
}

TEST(Format, OptionalLiteralsAreFormattingOnly) {
  const auto cipher = make_cipher();
  const auto ssn = make_format("us_ssn");
  std::string with = check_value(*ssn, *cipher, "123-45-6789");
  const std::string without = check_value(*ssn, *cipher, "123456789");
  EXPECT_EQ(with[3], '-');
  EXPECT_EQ(with[6], '-');
  std::erase(with, '-');
  EXPECT_EQ(with, without);
}

TEST(Format, SeveralAlphabetsAreLayered) {
  const auto cipher = make_cipher();
  const auto format = make_format("([A-Z]{5})-([0-9a-f]{6})-(\\d{6})");
  const std::string a = check_value(*format, *cipher, "ABCDE-00ff00-123456");
  const std::string b = check_value(*format, *cipher, "ABCDF-00ff00-123456");
  const std::string c = check_value(*format, *cipher, "ABCDE-00ff00-123457");
  EXPECT_NE(a.substr(0, 5), c.substr(0, 5));  // a change anywhere changes every part
  EXPECT_NE(a.substr(6, 6), b.substr(6, 6));
  EXPECT_NE(a.substr(6, 6), c.substr(6, 6));
  EXPECT_NE(a.substr(13), b.substr(13));
}

TEST(Format, SmallClassesAreRankedTogether) {
  const auto cipher = make_cipher();
  const auto format = make_format("([A-Z]{2})(\\d{5,6})");
  std::set<std::string> tokens;
  for (int i = 0; i < 500; ++i) {
    const std::string digits = std::to_string(10000 + i);
    tokens.insert(check_value(*format, *cipher, "AB" + digits));
  }
  EXPECT_EQ(tokens.size(), 500U);
  EXPECT_EQ(check_value(*format, *cipher, "ZZ999999").size(), 8U);
}

TEST(Format, AlphabetsMayBeUnicode) {
  const auto cipher = make_cipher();
  const auto greek = make_format("([α-ω]{6})");
  EXPECT_EQ(check_value(*greek, *cipher, "κωδικς").size(), 12U);
  const auto mixed = make_format("№([a-zé€𝒜]{6,9})!");  // characters of one to four bytes
  EXPECT_TRUE(check_value(*mixed, *cipher, "№abé€𝒜z!").starts_with("№"));
  expect_refused(*greek, "κωδικs", "character not allowed by the format", 6);
  expect_refused(*greek, "κωδικ\xCF", "invalid UTF-8", 6);
}

TEST(Format, ValuesOutsideTheTemplateAreRefused) {
  const auto format = make_format("TM-(\\d{7,9})");
  expect_refused(*format, "", "too short");
  expect_refused(*format, "TM-123456", "too short");
  expect_refused(*format, "TM-1234567890", "too long", 13);
  expect_refused(*format, "TN-1234567", "character not allowed by the format", 2);
  expect_refused(*format, "TM-123456x", "character not allowed by the format", 10);
  expect_refused(*format, "TM-1234567 ", "too long", 11);
  expect_refused(*format, std::string(100000, '1'), "character not allowed by the format", 1);
}

TEST(Format, TemplatesThatAreRefused) {
  for (const char *spec : {"",
                           "abc",
                           "\\d{9}",
                           "(\\d{9}",
                           "\\d{9})",
                           "((\\d{9}))",
                           "(\\d{9})?",
                           "(\\d{9}){2}",
                           "(\\d+)",
                           "(\\d*)",
                           "(.{9})",
                           "(a|b)",
                           "([^a]{9})",
                           "(\\w{9})",
                           "([a-z]{9)",
                           "([a-z",
                           "([])",
                           "(\\",
                           "([aa]{30})",
                           "([z-a]{9})",
                           "(\\d{3,2})",
                           "(\\d{0})",
                           "(\\d{256})",
                           "(\\d{200})(\\d{200})",
                           "(\\d{6,7})(\\d{6})",
                           "(\\d{6,7})x?(\\d{6})",
                           "([\xC2\xA0-\xE2\x82\xAC]{9})",
                           "(?:\\d{9})",
                           "([a\xCC\x81z]{9})",
                           "(\\d{9})\xE2\x80\xA2",
                           "(\\d{9}){",
                           "(\\d{2}{3})",
                           "(\\d{9})\xFF",
                           "([a]{99})",
                           "([\xD6\x80-\xD7\xAA]{9})",
                           "e-mail",
                           "names",
                           "card(",
                           "Card()"})
    EXPECT_FALSE(problem_of(spec).empty()) << spec;
}

TEST(Format, SmallDomainsAreRefusedWithTheArithmetic) {
  EXPECT_NE(problem_of("(\\d{5})").find("5 tokenized characters of 10 have 10^5 = 100000 values"), std::string::npos);
  EXPECT_NE(problem_of("(\\d{5})").find("1000000"), std::string::npos);
  EXPECT_NE(problem_of("(\\d{2,9})").find("10^2 = 100"), std::string::npos);
  EXPECT_NE(problem_of("([A-Z]{2})(\\d{3})").find("676000"), std::string::npos);
  EXPECT_NE(problem_of("([A-Z]{2})(\\d{3,60})").find("676000"), std::string::npos);
  EXPECT_NE(problem_of("([A-Z]{2})(\\d{6,60})").find("2^62"), std::string::npos);
  EXPECT_NE(problem_of("digits(5)").find("10^5"), std::string::npos);
  EXPECT_NE(problem_of("date(1900-01-01,2099-12-31)").find("73049 days"), std::string::npos);
  EXPECT_NE(problem_of("integer(1,999999)").find("999999 values"), std::string::npos);
  // A 16-digit number with BIN 6 and last four kept has exactly 10^6, and nothing left for the check digit.
  EXPECT_NE(make_format("card(bin=6,last=4,length=16)"), nullptr);
  EXPECT_NE(problem_of("card(bin=6,last=4,length=16,check=fail)").find("leaves 10^5 = 100000"), std::string::npos);
  EXPECT_NE(problem_of("card(bin=8,last=4,length=17)").find("leaves 10^5"), std::string::npos);
  EXPECT_NE(problem_of("card(length=13-19)").find("leaves 10^3 = 1000"), std::string::npos);
}

unsigned luhn(std::string number) {
  std::erase_if(number, [](char c) { return c < '0' || c > '9'; });
  unsigned sum = 0;
  std::reverse(number.begin(), number.end());
  for (std::size_t i = 0; i < number.size(); ++i) {
    unsigned digit = static_cast<unsigned>(number[i] - '0') * (i % 2 == 1 ? 2 : 1);
    sum += digit > 9 ? digit - 9 : digit;
  }
  return sum % 10;
}

TEST(Format, CardKeepsBinLastFourAndSeparators) {
  const auto cipher = make_cipher();
  const auto card = make_format("card");
  const std::string token = check_value(*card, *cipher, "4111 1111 1111 1111");
  EXPECT_EQ(token.substr(0, 7), "4111 11");
  EXPECT_EQ(token.substr(14), " 1111");
  EXPECT_EQ(token[9], ' ');
  std::string dense = token;
  std::erase(dense, ' ');
  EXPECT_EQ(dense, check_value(*card, *cipher, "4111111111111111"));
  const auto bin8 = make_format("card(bin=8,length=18-19)");
  EXPECT_EQ(check_value(*bin8, *cipher, "621234567890123456").substr(0, 8), "62123456");
  for (const char *bad : {"4111-1111-1111--1111", "-4111111111111111", "4111111111111111-", "4111.1111.1111.1111"})
    EXPECT_FALSE(card->accepts(bad).ok()) << bad;
  EXPECT_STREQ(card->accepts("411111111111111").reason, "too short");
  EXPECT_STREQ(card->accepts("41111111111111111111").reason, "too long");
  EXPECT_STREQ(card->accepts("").reason, "too short");
}

TEST(Format, CardCheckDigits) {
  const auto cipher = make_cipher();
  const auto preserve = make_format("card(bin=6,last=0,length=13-19,check=preserve)");
  const auto fail = make_format("card(bin=0,last=4,length=13-19,check=fail)");
  for (const std::string value : {"4111111111111111", "378282246310005", "4222222222222", "6011-1111-1111-1117"}) {
    ASSERT_EQ(luhn(value), 0U);
    EXPECT_EQ(luhn(check_value(*preserve, *cipher, value)), 0U);
    const std::string token = check_value(*fail, *cipher, value);
    EXPECT_EQ(luhn(token), 1U);
    EXPECT_STREQ(fail->accepts(value).reason, "check digit");  // a genuine number is no token
    std::string out;
    EXPECT_STREQ(fail->crypt(Ff1Direction::encrypt, *cipher, token, out).reason, "check digit");
  }
  expect_refused(*preserve, "4111111111111112", "check digit");
  EXPECT_STREQ(preserve->accepts("4111111111111112").reason, "check digit");
  for (const char *bad : {"card(bin=5)", "card(last=3)", "card(length=12-16)", "card(length=16-20)",
                          "card(length=19-16)", "card(check=yes)", "card(foo=1)", "card(bin=)", "card(bin=256)"})
    EXPECT_NE(problem_of(bad).find("parameters of card"), std::string::npos) << bad;
}

TEST(Format, PhoneKeepsTheCallingCodeAndExtension) {
  const auto cipher = make_cipher();
  const auto phone = make_format("phone");
  EXPECT_TRUE(check_value(*phone, *cipher, "+442079460958").starts_with("+44"));
  EXPECT_TRUE(check_value(*phone, *cipher, "+12025550143").starts_with("+1"));
  EXPECT_TRUE(check_value(*phone, *cipher, "+12025550143;ext=77").ends_with(";ext=77"));
  EXPECT_FALSE(phone->accepts("2025550143").ok());
  EXPECT_STREQ(phone->accepts("+35812345").reason, "fewer than six digits after the calling code");
}

TEST(Format, UuidKeepsVersionAndVariant) {
  const auto cipher = make_cipher();
  const auto uuid = make_format("uuid");
  const std::string token = check_value(*uuid, *cipher, "2c5ea4c0-4067-41fe-8bad-1f2d3c4b5a01");
  EXPECT_EQ(token.size(), 36U);
  EXPECT_EQ(token[14], '4');
  EXPECT_EQ(token[19], '8');
  EXPECT_FALSE(uuid->accepts("2C5EA4C0-4067-41FE-8BAD-1F2D3C4B5A01").ok());
}

TEST(Format, Dates) {
  const auto cipher = make_cipher();
  const auto date = make_format("date");
  for (const char *value : {"0001-01-01", "1970-01-01", "2000-02-29", "9999-12-31"}) check_value(*date, *cipher, value);
  for (const char *bad : {"", "2001-02-29", "0000-01-01", "1999-13-01", "1999-1-1", "1999/01/01", "10000-01-01"})
    EXPECT_FALSE(date->accepts(bad).ok()) << bad;
  const auto range = make_format("date(1000-01-01,5000-12-31)");
  EXPECT_STREQ(range->accepts("0999-12-31").reason, "not a date of the format's range");
  EXPECT_STREQ(range->accepts("5001-01-01").reason, "not a date of the format's range");
  EXPECT_GE(check_value(*range, *cipher, "1000-01-01"), "1000-01-01");
  for (const char *bad : {"date(x)", "date(2000-01-01)", "date(9000-01-01,1000-01-01)"})
    EXPECT_FALSE(problem_of(bad).empty());
}

TEST(Calendar, DaysAndBack) {
  EXPECT_EQ(days_of_date("1970-01-01"), 0);
  EXPECT_EQ(days_of_date("2000-03-01"), 11017);
  EXPECT_EQ(days_of_date("0001-01-01"), -719162);
  for (std::int64_t days = -719162; days < 2932897; days += 97) {
    const auto text = date_of_days(days);
    EXPECT_EQ(days_of_date({text.data(), text.size()}), days);
  }
}

TEST(Format, Integers) {
  const auto cipher = make_cipher();
  const auto format = make_format("integer(-500000,999999)");
  ASSERT_TRUE(format->is_integer());
  std::set<std::int64_t> tokens;
  for (std::int64_t value : {-500000L, -1L, 0L, 1L, 999999L}) {
    std::int64_t token = 0;
    std::int64_t back = 0;
    ASSERT_TRUE(format->crypt(Ff1Direction::encrypt, *cipher, value, token).ok());
    EXPECT_TRUE(format->accepts(token).ok());
    ASSERT_TRUE(format->crypt(Ff1Direction::decrypt, *cipher, token, back).ok());
    EXPECT_EQ(back, value);
    tokens.insert(token);
  }
  EXPECT_EQ(tokens.size(), 5U);
  for (const std::int64_t bad : {std::int64_t{-500001}, std::int64_t{1000000}, std::numeric_limits<std::int64_t>::min(),
                                 std::numeric_limits<std::int64_t>::max()})
    EXPECT_STREQ(format->accepts(bad).reason, "outside the format's range");
  EXPECT_FALSE(format->accepts("1").ok());
  EXPECT_FALSE(make_format("digits")->accepts(std::int64_t{1}).ok());
  EXPECT_NE(make_format("integer"), nullptr);
  for (const char *bad : {"integer(1)", "integer(a,b)", "integer(5,1)", "integer(1,2,3)", "integer(1.5,9999999)",
                          "integer(-9223372036854775808,9223372036854775807)"})
    EXPECT_FALSE(problem_of(bad).empty()) << bad;
}

// Every value of a small range, so that a token met twice, or one outside, would show.
TEST(FormatCipher, RanksArePermuted) {
  const auto cipher = make_cipher();
  constexpr std::uint64_t kSize = kFf1MinDomain + 12345;
  std::vector<bool> seen(kSize);
  for (std::uint64_t value = 0; value < kSize; value += 7) {
    std::uint64_t rank = value;
    ASSERT_EQ(cipher->crypt_rank(Ff1Direction::encrypt, kSize, rank, {}), Status::ok);
    ASSERT_LT(rank, kSize);
    ASSERT_FALSE(seen[rank]);
    seen[rank] = true;
    ASSERT_EQ(cipher->crypt_rank(Ff1Direction::decrypt, kSize, rank, {}), Status::ok);
    ASSERT_EQ(rank, value);
  }
  std::uint64_t rank = kSize;
  EXPECT_EQ(cipher->crypt_rank(Ff1Direction::encrypt, kSize, rank, {}), Status::invalid_argument);
  rank = 0;
  EXPECT_EQ(cipher->crypt_rank(Ff1Direction::encrypt, 999999, rank, {}), Status::invalid_argument);
}

TEST(FormatCipher, MorePlansThanAreKept) {
  const auto cipher = make_cipher();
  const auto format = make_format("digits(6,255)");
  for (int turn = 0; turn < 2; ++turn)
    for (std::size_t length = 6; length <= 255; length += 3) check_value(*format, *cipher, std::string(length, '7'));
}

TEST(FormatAlphabet, CharactersAndNumerals) {
  FormatAlphabet alphabet;
  EXPECT_TRUE(alphabet.add('a', 'c'));
  EXPECT_TRUE(alphabet.add('0', '1'));
  EXPECT_FALSE(alphabet.add('b', 'b'));
  EXPECT_FALSE(alphabet.add('z', 'y'));
  EXPECT_EQ(alphabet.radix(), 5U);
  std::uint16_t numeral = 9;
  EXPECT_TRUE(alphabet.find('1', numeral));
  EXPECT_EQ(numeral, 4);
  EXPECT_FALSE(alphabet.find('2', numeral));
  EXPECT_EQ(alphabet.character(0), U'a');
  EXPECT_EQ(alphabet.character(4), U'1');
  EXPECT_EQ(alphabet.character(5), U'\0');
}

TEST(FormatAlphabet, EverySecondCharacter) {
  FormatAlphabet odd;
  FormatAlphabet even;
  EXPECT_TRUE(odd.add(0x101, 0x105, true));
  EXPECT_TRUE(even.add(0x100, 0x104, true));
  EXPECT_FALSE(odd.overlaps(even));
  EXPECT_TRUE(odd.add('a', 'b'));
  EXPECT_EQ(odd.radix(), 5U);
  for (const char32_t taken : {0x101, 0x103, 0x105}) {
    EXPECT_FALSE(odd.add(taken, taken));
    EXPECT_FALSE(odd.add(taken - 1, taken));
    std::uint16_t numeral = 9;
    EXPECT_TRUE(odd.find(taken, numeral));
    EXPECT_EQ(odd.character(numeral), taken);
    EXPECT_FALSE(odd.find(taken - 1, numeral));
  }
  std::uint16_t numeral = 9;
  EXPECT_FALSE(odd.find(0x107, numeral));
  EXPECT_FALSE(odd.find(0xFF, numeral));
  EXPECT_TRUE(odd.find('b', numeral));
  EXPECT_EQ(numeral, 4);
  EXPECT_TRUE(odd.add(0x104, 0x104));
  EXPECT_TRUE(odd.overlaps(even));
}

}  // namespace
}  // namespace redoubt
