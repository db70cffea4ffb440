// ff1_test.cpp - Ff1Plan, one value at a time: NIST's samples, the oracle, refusals, others' known faults.
#include "core/ff1.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/ff1_digits.h"
#include "ff1_oracle.h"
#include "octets.h"
#include "tsv.h"

namespace redoubt {
namespace {

using test::Ff1Oracle;
using test::Numerals;
using test::Octets;

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kRadix62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

AesBlocks cipher(const Octets &key) {
  Result<AesBlocks> aes = AesBlocks::make(key);
  EXPECT_TRUE(aes.ok());
  return *std::move(aes);
}

class Source : public test::SeededOctets {
 public:
  using SeededOctets::SeededOctets;
  Octets key() { return octets(16 + 8 * below(3)); }
  // Numerals of one of the shapes that carry, borrow or vanish.
  Numerals numerals(std::size_t length, std::uint32_t radix) {
    Numerals x(length);
    const std::size_t shape = below(6);
    for (std::uint32_t &digit : x) {
      digit = shape == 0 ? 0 : shape == 1 ? radix - 1 : static_cast<std::uint32_t>(engine_()) % radix;
    }
    return x;
  }
};

// check compares both directions with the oracle, and with what was there before.
void check(Source &source, std::uint32_t radix, std::size_t length, std::size_t tweak_bytes) {
  SCOPED_TRACE("radix " + std::to_string(radix) + ", length " + std::to_string(length) + ", tweak of " +
               std::to_string(tweak_bytes));
  const Octets key = source.key();
  const Octets tweak = source.octets(tweak_bytes);
  const Numerals x = source.numerals(length, radix);
  AesBlocks aes = cipher(key);
  Ff1Oracle oracle(key);
  Ff1Plan plan;
  ASSERT_EQ(plan.prepare(aes, radix, length, tweak_bytes, 1), Status::ok);
  ASSERT_EQ(plan.set_tweak(tweak), Status::ok);
  Numerals out(length), back(length);
  ASSERT_EQ(plan.crypt(Ff1Direction::encrypt, x, out), Status::ok);
  ASSERT_EQ(out, oracle.encrypt(tweak, x, radix));
  ASSERT_EQ(plan.crypt(Ff1Direction::decrypt, out, back), Status::ok);
  ASSERT_EQ(back, x);
  // Any string decrypts to something.
  ASSERT_EQ(plan.crypt(Ff1Direction::decrypt, x, out), Status::ok);
  ASSERT_EQ(out, oracle.decrypt(tweak, x, radix));
  // Numerals of 16 bits give the same, in place too.
  std::vector<std::uint16_t> narrow(x.begin(), x.end());
  ASSERT_EQ(plan.crypt(Ff1Direction::decrypt, narrow, narrow), Status::ok);
  ASSERT_TRUE(std::equal(narrow.begin(), narrow.end(), out.begin(), out.end()));
}

TEST(Ff1, NistSamples) {
  test::TsvTable table;
  std::string error;
  ASSERT_TRUE(table.read_file(std::string(REDOUBT_VECTORS) + "/ff1_nist_samples.tsv", error)) << error;
  ASSERT_EQ(table.rows().size(), 9U);
  for (const test::TsvRow &row : table.rows()) {
    SCOPED_TRACE(std::string(row.field("id")));
    const Octets key = *test::hex_bytes(row.field("keyhex"));
    const Octets tweak = *test::hex_bytes(row.field("tweakhex"));
    const std::string_view pt = row.field("pt"), ct = row.field("ct"), characters = row.field("alphabet");
    const Result<Ff1Alphabet> alphabet = Ff1Alphabet::make(characters);
    ASSERT_TRUE(alphabet.ok());
    AesBlocks aes = cipher(key);
    Ff1Plan plan;
    ASSERT_EQ(plan.prepare(aes, alphabet->radix(), pt.size(), tweak.size()), Status::ok);
    ASSERT_EQ(plan.set_tweak(tweak), Status::ok);
    std::string out(pt.size(), '\0');
    ASSERT_EQ(plan.crypt(Ff1Direction::encrypt, *alphabet, pt, out).status(), Status::ok);
    EXPECT_EQ(out, ct);
    ASSERT_EQ(plan.crypt(Ff1Direction::decrypt, *alphabet, ct, out).status(), Status::ok);
    EXPECT_EQ(out, pt);
    // The oracle has to give them too, or it proves nothing.
    Numerals x;
    for (const char c : pt) x.push_back(static_cast<std::uint32_t>(characters.find(c)));
    std::string expected;
    for (const std::uint32_t digit : Ff1Oracle(key).encrypt(tweak, x, alphabet->radix())) expected += characters[digit];
    EXPECT_EQ(expected, ct);
  }
}

TEST(Ff1, EveryLengthOfHalfAndTweakMatchesTheOracle) {
  Source source(1);
  for (const std::uint32_t radix : {2U, 3U, 10U, 36U, 62U, 255U, 256U, 257U, 4096U, 65535U, 65536U}) {
    for (std::size_t length = 2; length <= 60; ++length) check(source, radix, length, source.below(50));
  }
  // All places of the round number in its block, all paddings.
  for (std::size_t length = 2; length <= 40; ++length) {
    for (std::size_t tweak = 0; tweak <= 33; ++tweak) check(source, 256, length, tweak);
  }
}

TEST(Ff1, TextsOfDigitsAreTheirNumerals) {
  Source source(10);
  for (std::size_t length = 2; length <= 2 * kFf1MaxWordDigits; ++length) {
    for (const std::size_t tweak_bytes : {0, 3, 7, 8, 13, 16, 21, 40}) {
      const Octets tweak = source.octets(tweak_bytes);
      AesBlocks aes = cipher(source.key());
      Ff1Plan plan, rest;
      ASSERT_EQ(plan.prepare(aes, 10, length, tweak_bytes, 1), Status::ok);
      ASSERT_EQ(plan.set_tweak(tweak), Status::ok);
      const Numerals x = source.numerals(length, 10);
      Numerals out(length);
      std::string text, wanted;
      for (const std::uint32_t digit : x) text += static_cast<char>('0' + digit);
      const std::string typed = text;
      ASSERT_EQ(plan.crypt(Ff1Direction::encrypt, x, out), Status::ok);
      for (const std::uint32_t digit : out) wanted += static_cast<char>('0' + digit);
      ASSERT_EQ(plan.crypt_digits(Ff1Direction::encrypt, text), Status::ok);
      EXPECT_EQ(text, wanted) << length;
      ASSERT_EQ(plan.crypt_digits(Ff1Direction::decrypt, text), Status::ok);
      EXPECT_EQ(text, typed) << length;

      // What is absorbed of the tweak ends with a block; the rest is set alone where it fits in front of the half.
      ASSERT_EQ(rest.prepare(aes, 10, length, tweak_bytes, 1), Status::ok);
      ASSERT_EQ(rest.absorb_prefix(std::span(tweak).first(tweak_bytes / 16 * 16)), Status::ok);
      const auto behind = std::span(tweak).subspan(tweak_bytes / 16 * 16);
      if (rest.set_tweak_rest(behind)) {
        ASSERT_EQ(rest.crypt_digits(Ff1Direction::encrypt, text), Status::ok);
        EXPECT_EQ(text, wanted) << length;
      } else {
        EXPECT_TRUE(tweak_bytes > 3 || length > 22) << length;
      }
      if (!behind.empty()) {
        EXPECT_FALSE(rest.set_tweak_rest(behind.first(behind.size() - 1)));
      }
    }
  }
}

TEST(Ff1Refusals, TextsOfDigits) {
  Source source(11);
  AesBlocks aes = cipher(source.key());
  Ff1Plan plan, long_plan, other;
  std::string text = "0123456789";
  EXPECT_EQ(plan.crypt_digits(Ff1Direction::encrypt, text), Status::invalid_argument);  // not ready
  ASSERT_EQ(plan.prepare(aes, 10, 10, 0), Status::ok);
  std::string longer = "01234567890";
  EXPECT_EQ(plan.crypt_digits(Ff1Direction::encrypt, longer), Status::out_of_range);
  for (const char bad : {'/', ':', ' ', '\0', '\xB5', '?'}) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string with = text;
      with[i] = bad;
      const std::string before = with;
      EXPECT_EQ(plan.crypt_digits(Ff1Direction::encrypt, with), Status::malformed);
      EXPECT_EQ(with, before);
    }
  }
  ASSERT_EQ(long_plan.prepare(aes, 10, 39, 0), Status::ok);
  std::string most(39, '7');
  EXPECT_EQ(long_plan.crypt_digits(Ff1Direction::encrypt, most), Status::invalid_argument);
  ASSERT_EQ(other.prepare(aes, 11, 10, 0), Status::ok);
  EXPECT_EQ(other.crypt_digits(Ff1Direction::encrypt, text), Status::invalid_argument);
}

TEST(Ff1, BinaryHalvesAroundWholeWordsMatchTheOracle) {
  Source source(2);
  for (const std::size_t half : {31U, 32U, 33U, 63U, 64U, 65U, 127U, 128U, 129U, 191U, 192U, 193U, 256U, 512U}) {
    for (const std::size_t odd : {0U, 1U}) check(source, 2, 2 * half + odd, source.below(20));
  }
}

TEST(Ff1, RandomShapesMatchTheOracle) {
  Source source(3);
  for (int i = 0; i < 1500; ++i) {
    const auto radix = static_cast<std::uint32_t>(2 + source.below(i % 3 == 0 ? 65535 : i % 3 == 1 ? 1000 : 62));
    check(source, radix, 2 + source.below(i % 10 == 0 ? 300 : 48), source.below(i % 7 == 0 ? 600 : 24));
  }
}

TEST(Ff1, LongestValueAndTweakMatchTheOracle) {
  Source source(4);
  check(source, 65536, kFf1MaxLength, 3);
  check(source, 65535, kFf1MaxLength, 0);
  check(source, 65521, kFf1MaxLength - 1, 40);
  check(source, 10, kFf1MaxLength, 8);
  check(source, 2, kFf1MaxLength, 0);
  check(source, 10, 16, kFf1MaxTweakBytes);
}

TEST(Ff1, IsAPermutationOfASmallDomain) {
  AesBlocks aes = cipher(Octets(16, 9));
  Ff1Plan plan;
  ASSERT_EQ(plan.prepare(aes, 10, 3, 0, 1000), Status::ok);
  std::set<Numerals> seen;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    Numerals x = {i / 100, i / 10 % 10, i % 10};
    ASSERT_EQ(plan.crypt(Ff1Direction::encrypt, x, x), Status::ok);
    seen.insert(x);
  }
  EXPECT_EQ(seen.size(), 1000U);
}

// Known faults of other implementations.

TEST(Ff1KnownFaults, TweakAndPaddingBothEmpty) {  // b = 15 and t = 0: Q is one full block; others abort
  Source source(10);
  for (int i = 0; i < 20; ++i) check(source, 62, 40, 0);
}

TEST(Ff1KnownFaults, HalvesOfNineToTwelveBytes) {  // d = 16: y is exactly one block
  Source source(11);
  for (std::size_t half = 9; half <= 12; ++half) {
    for (int i = 0; i < 20; ++i) {
      check(source, 256, 2 * half, source.below(20));
      check(source, 256, 2 * half - 1, source.below(20));
    }
  }
  for (std::size_t length = 39; length <= 58; ++length) check(source, 10, length, 0);
}

TEST(Ff1KnownFaults, Radix65536) {  // [radix]^3 is 01 00 00; numerals do not fit 16 bits plus one
  Source source(12);
  for (std::size_t length = 2; length <= 40; ++length) check(source, 65536, length, source.below(30));
}

TEST(Ff1KnownFaults, LongTweaks) {  // others copy the tweak into a fixed buffer
  Source source(13);
  for (const std::size_t tweak : {127U, 128U, 129U, 255U, 256U, 257U, 1023U, 1024U, 4096U, 65535U}) {
    check(source, 10, 16, tweak);
  }
}

TEST(Ff1KnownFaults, ByteLengthAtExactPowers) {  // ceil(v·log2 radix) in floating point is off by one near these
  Source source(14);
  for (const std::uint32_t radix : {2U, 4U, 8U, 16U, 32U, 64U, 128U, 256U, 512U, 1024U, 4096U, 32768U, 65536U}) {
    for (std::size_t half = 1; half <= 48; ++half) check(source, radix, 2 * half, 5);
  }
  for (const std::uint32_t radix : {3U, 5U, 7U, 243U, 6561U, 59049U, 65535U, 65521U}) {
    for (const std::size_t half : {8U, 16U, 24U, 40U, 64U, 100U}) check(source, radix, 2 * half, 5);
  }
}

TEST(Ff1KnownFaults, DuplicateCharactersInTheAlphabet) {
  EXPECT_EQ(Ff1Alphabet::make("01234567890").status(), Status::invalid_argument);
  EXPECT_EQ(Ff1Alphabet::make("αβγα").status(), Status::invalid_argument);
}

// Refusals.

TEST(Ff1Refusals, Parameters) {
  AesBlocks aes = cipher(Octets(32, 1));
  Ff1Plan plan;
  EXPECT_EQ(plan.prepare(aes, 0, 100, 0), Status::invalid_argument);
  EXPECT_EQ(plan.prepare(aes, 1, 100, 0), Status::invalid_argument);
  EXPECT_EQ(plan.prepare(aes, 65537, 100, 0), Status::invalid_argument);
  EXPECT_EQ(plan.prepare(aes, 10, 0, 0, 1), Status::invalid_argument);
  EXPECT_EQ(plan.prepare(aes, 65536, 1, 0, 1), Status::invalid_argument);
  EXPECT_EQ(plan.prepare(aes, 10, kFf1MaxLength + 1, 0), Status::invalid_argument);
  EXPECT_EQ(plan.prepare(aes, 10, 16, kFf1MaxTweakBytes + 1), Status::invalid_argument);
  AesBlocks empty;
  EXPECT_EQ(plan.prepare(empty, 10, 16, 0), Status::crypto_failure);
}

TEST(Ff1Refusals, DomainTooSmall) {
  AesBlocks aes = cipher(Octets(32, 1));
  Ff1Plan plan;
  const struct {
    std::uint32_t radix;
    std::uint32_t length;
    std::uint64_t least;
    Status expected;
  } kCases[] = {
      {10, 5, kFf1MinDomain, Status::refused},        {10, 6, kFf1MinDomain, Status::ok},
      {999, 2, kFf1MinDomain, Status::refused},       {1000, 2, kFf1MinDomain, Status::ok},
      {2, 19, kFf1MinDomain, Status::refused},        {2, 20, kFf1MinDomain, Status::ok},
      {36, 3, kFf1MinDomain, Status::refused},        {36, 4, kFf1MinDomain, Status::ok},
      {9, 2, kFf1MinDomainOriginal, Status::refused}, {10, 2, kFf1MinDomainOriginal, Status::ok},
      {65536, 4, ~std::uint64_t{0}, Status::ok},  // 2^64
      {65535, 4, ~std::uint64_t{0}, Status::refused},
  };
  for (const auto &c : kCases) {
    EXPECT_EQ(plan.prepare(aes, c.radix, c.length, 0, c.least), c.expected) << c.radix << "^" << c.length;
  }
  // A plan that was refused does nothing, even if it was ready before.
  Numerals x(4, 1);
  ASSERT_EQ(plan.prepare(aes, 65536, 4, 0), Status::ok);
  ASSERT_EQ(plan.prepare(aes, 2, 4, 0), Status::refused);
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, x, x), Status::invalid_argument);
}

TEST(Ff1Refusals, Values) {
  AesBlocks aes = cipher(Octets(32, 1));
  Ff1Plan plan;
  ASSERT_EQ(plan.prepare(aes, 10, 8, 0), Status::ok);
  for (const Ff1Direction direction : {Ff1Direction::encrypt, Ff1Direction::decrypt}) {
    Numerals out(8, 77);
    for (std::size_t place = 0; place < 8; ++place) {
      for (const std::uint32_t bad : {10U, 11U, 65536U, 0xFFFFFFFFU}) {
        Numerals x(8, 9);
        x[place] = bad;
        EXPECT_EQ(plan.crypt(direction, x, out), Status::malformed);
      }
    }
    EXPECT_EQ(plan.crypt(direction, Numerals(7), out), Status::out_of_range);
    EXPECT_EQ(plan.crypt(direction, Numerals(9), out), Status::out_of_range);
    EXPECT_EQ(plan.crypt(direction, Numerals(), out), Status::out_of_range);
    EXPECT_EQ(plan.crypt(direction, Numerals(8), std::span<std::uint32_t>(out).first(7)), Status::invalid_argument);
    EXPECT_EQ(out, Numerals(8, 77));
  }
}

TEST(Ff1Refusals, Texts) {
  AesBlocks aes = cipher(Octets(32, 1));
  const Result<Ff1Alphabet> digits = Ff1Alphabet::make(kDigits);
  const Result<Ff1Alphabet> wide = Ff1Alphabet::make(kRadix62);
  ASSERT_TRUE(digits.ok() && wide.ok());
  Ff1Plan plan;
  std::string out(8, '#');
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, *digits, "12345678", out).status(), Status::invalid_argument);
  ASSERT_EQ(plan.prepare(aes, 10, 8, 0), Status::ok);
  const std::pair<std::string_view, Status> kCases[] = {
      {"", Status::out_of_range},
      {"1234567", Status::out_of_range},
      {"123456789", Status::out_of_range},
      {"1234567a", Status::malformed},
      {"/2345678", Status::malformed},
      {":2345678", Status::malformed},
      {"123 5678", Status::malformed},
      {"123\xc3\xa9"
       "678",
       Status::malformed},
      {"123\xff"
       "5678",
       Status::malformed},
  };
  for (const auto &[text, expected] : kCases) {
    EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, *digits, text, out).status(), expected) << text;
  }
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, *wide, "12345678", out).status(), Status::invalid_argument);
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, Ff1Alphabet(), "12345678", out).status(), Status::invalid_argument);
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, *digits, "12345678", std::span(out).first(7)).status(),
            Status::invalid_argument);
  EXPECT_EQ(out, "########");
}

TEST(Ff1Refusals, Tweaks) {
  AesBlocks aes = cipher(Octets(32, 1));
  Ff1Plan plan;
  EXPECT_EQ(plan.set_tweak({}), Status::invalid_argument);  // not ready
  ASSERT_EQ(plan.prepare(aes, 10, 8, 4), Status::ok);
  Numerals x(8, 1);
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, x, x), Status::invalid_argument);  // no tweak yet
  EXPECT_EQ(plan.set_tweak(Octets(3)), Status::invalid_argument);
  EXPECT_EQ(plan.set_tweak(Octets(5)), Status::invalid_argument);
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, x, x), Status::invalid_argument);
  EXPECT_EQ(plan.set_tweak(Octets(4)), Status::ok);
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, x, x), Status::ok);
  // Preparing again forgets the tweak.
  ASSERT_EQ(plan.prepare(aes, 10, 8, 4), Status::ok);
  EXPECT_EQ(plan.crypt(Ff1Direction::encrypt, x, x), Status::invalid_argument);
}

TEST(Ff1, TweaksOfOnePlanCanBeChanged) {
  const Octets key(24, 3);
  AesBlocks aes = cipher(key);
  Ff1Oracle oracle(key);
  Source source(20);
  for (const std::size_t size : {1U, 7U, 16U, 50U}) {
    Ff1Plan plan;
    ASSERT_EQ(plan.prepare(aes, 36, 13, size), Status::ok);
    for (int i = 0; i < 10; ++i) {
      const Octets tweak = source.octets(size);
      Numerals x = source.numerals(13, 36);
      const Numerals expected = oracle.encrypt(tweak, x, 36);
      ASSERT_EQ(plan.set_tweak(tweak), Status::ok);
      ASSERT_EQ(plan.crypt(Ff1Direction::encrypt, x, x), Status::ok);
      EXPECT_EQ(x, expected);
    }
  }
}

}  // namespace
}  // namespace redoubt
