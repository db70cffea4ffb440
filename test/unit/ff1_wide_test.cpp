// ff1_wide_test.cpp - word-by-word arithmetic against OpenSSL's BIGNUM.
#include "core/ff1_wide.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "ff1_oracle.h"

namespace redoubt {
namespace {

using test::Bn;
using Number = std::vector<std::uint64_t>;

Bn bn_of(std::span<const std::uint64_t> x) {
  Bn n(BN_lebin2bn(reinterpret_cast<const unsigned char *>(x.data()), static_cast<int>(x.size_bytes()), nullptr));
  test::require(n != nullptr);
  return n;
}

// Words that make quotient digits overflow or be one too large, and random ones.
class Words {
 public:
  explicit Words(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t bound) { return engine_() % bound; }
  std::uint64_t next() {
    constexpr std::uint64_t kTop = std::uint64_t{1} << 63;
    constexpr std::uint64_t kEdges[] = {0, 1, ~std::uint64_t{0}, kTop, kTop - 1, ~std::uint64_t{0} - 1};
    const std::uint64_t pick = engine_() % 9;
    return pick < 6 ? kEdges[pick] : engine_() >> (engine_() % 64);
  }
  Number number(std::size_t words) {
    Number x(words);
    for (std::uint64_t &word : x) word = next();
    return x;
  }

 private:
  std::mt19937_64 engine_;
};

class Ff1WideTest : public testing::Test {
 protected:
  // check_sum compares (x ± y) mod m with BIGNUM's.
  void check_sum(const Ff1ModulusWide &modulus, const Bn &m, const Number &x, std::span<const std::uint8_t> y) {
    const Bn x_bn = bn_of(x), y_bn = test::bn_from_bytes(y);
    Bn expected = test::bn();
    Number out = x;
    modulus.add(out.data(), y);
    test::require(BN_mod_add(expected.get(), x_bn.get(), y_bn.get(), m.get(), context_.get()) == 1);
    ASSERT_EQ(BN_cmp(bn_of(out).get(), expected.get()), 0);
    out = x;
    modulus.subtract(out.data(), y);
    test::require(BN_mod_sub(expected.get(), x_bn.get(), y_bn.get(), m.get(), context_.get()) == 1);
    ASSERT_EQ(BN_cmp(bn_of(out).get(), expected.get()), 0);
  }

  test::BnContext context_{BN_CTX_new()};
};

TEST_F(Ff1WideTest, SumsMatchBignum) {
  Words words(1);
  for (int i = 0; i < 60000; ++i) {
    Number modulus = words.number(2 + words.below(6));
    if (modulus.back() == 0) modulus.back() = 1 + words.below(1000);
    const Bn m = bn_of(modulus);
    Number x(modulus.size());
    Bn x_bn = bn_of(words.number(modulus.size()));
    test::require(BN_nnmod(x_bn.get(), x_bn.get(), m.get(), context_.get()) == 1);
    test::require(
        BN_bn2lebinpad(x_bn.get(), reinterpret_cast<unsigned char *>(x.data()), static_cast<int>(8 * x.size())) >= 0);
    std::vector<std::uint8_t> y(8 * modulus.size() - 4 + 4 * words.below(6));
    if (i % 2 == 0) {
      for (std::size_t k = 0; k + 4 <= y.size(); k += 4) {
        const std::uint64_t word = words.next();
        for (std::size_t j = 0; j < 4; ++j) y[k + j] = static_cast<std::uint8_t>(word >> (8 * j));
      }
    } else {
      // y near a multiple of the modulus, its top words those of the modulus: quotients of 2^64 - 1.
      Bn y_bn(BN_dup(m.get()));
      const std::size_t shift = 8 * y.size() - static_cast<std::size_t>(BN_num_bits(m.get()));
      if (8 * y.size() >= static_cast<std::size_t>(BN_num_bits(m.get()))) {
        test::require(BN_lshift(y_bn.get(), y_bn.get(), static_cast<int>(words.below(shift + 1))) == 1);
      }
      test::require(BN_sub_word(y_bn.get(), words.below(3)) == 1);
      if (BN_num_bytes(y_bn.get()) > static_cast<int>(y.size())) continue;
      test::require(BN_bn2binpad(y_bn.get(), y.data(), static_cast<int>(y.size())) >= 0);
    }
    check_sum(Ff1ModulusWide(modulus), m, x, y);
    if (HasFatalFailure()) return;
  }
}

TEST_F(Ff1WideTest, PowersMatchBignum) {
  for (const std::uint32_t radix : {2U, 3U, 10U, 256U, 65535U, 65536U}) {
    for (const std::size_t count : {1U, 31U, 32U, 64U, 127U, 128U, 1000U, 2047U, 2048U}) {
      Ff1Wide power;
      const std::size_t words = ff1_wide_power(power, radix, count);
      ASSERT_LE(words, kFf1WideWords);
      ASSERT_NE(power[words - 1], 0U);
      Bn expected = test::bn();
      const Bn base = test::bn(radix), times = test::bn(count);
      test::require(BN_exp(expected.get(), base.get(), times.get(), context_.get()) == 1);
      const auto x = std::span<const std::uint64_t>(power).first(words);
      EXPECT_EQ(BN_cmp(bn_of(x).get(), expected.get()), 0);
      test::require(BN_sub_word(expected.get(), 1) == 1);
      EXPECT_EQ(ff1_wide_bits_below(x), static_cast<std::size_t>(BN_num_bits(expected.get())));
    }
  }
}

TEST_F(Ff1WideTest, NumeralsGoThereAndBack) {
  Words words(2);
  for (const std::uint32_t radix : {2U, 10U, 62U, 257U, 65535U, 65536U}) {
    const Ff1Radix r(radix);
    for (const std::size_t count : {1U, 2U, 3U, 20U, 47U, 48U, 49U, 128U, 300U, 2048U}) {
      std::vector<std::uint16_t> digits(count), back(count);
      Bn expected = test::bn();
      for (std::uint16_t &digit : digits) {
        digit = static_cast<std::uint16_t>(words.below(4) == 0 ? words.below(radix) : radix - 1);
        test::require(BN_mul_word(expected.get(), radix) == 1 && BN_add_word(expected.get(), digit) == 1);
      }
      Ff1Wide x;
      const std::size_t size = ff1_wide_power(x, radix, count);
      ff1_wide_pack(r, std::span<const std::uint16_t>(digits), x.data(), size);
      ASSERT_EQ(BN_cmp(bn_of(std::span<const std::uint64_t>(x).first(size)).get(), expected.get()), 0);
      std::vector<std::uint8_t> bytes(static_cast<std::size_t>(BN_num_bytes(expected.get()))), same(bytes.size());
      BN_bn2bin(expected.get(), bytes.data());
      ff1_wide_to_bytes(x.data(), same);
      ASSERT_EQ(same, bytes);
      ff1_wide_unpack(r, x.data(), size, std::span(back));
      ASSERT_EQ(back, digits);
    }
  }
}

}  // namespace
}  // namespace redoubt
