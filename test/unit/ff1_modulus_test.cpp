// ff1_modulus_test.cpp - the divisions by reciprocals, on the edges and at random, against plain division.
#include "core/ff1_modulus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "core/ff1_numerals.h"
#include "ff1_oracle.h"

namespace redoubt {
namespace {

constexpr std::uint64_t kTop = std::uint64_t{1} << 63;
constexpr std::uint64_t kMax = ~std::uint64_t{0};

// Words that provoke carries, borrows and corrections, and random ones.
class Words {
 public:
  explicit Words(unsigned seed) : engine_(seed) {}
  std::uint64_t next() {
    constexpr std::uint64_t kEdges[] = {0, 1, 2, kMax, kMax - 1, kTop, kTop - 1, kTop + 1, 0xFFFFFFFF, 0x100000000};
    const std::uint64_t pick = engine_() % 16;
    return pick < 10 ? kEdges[pick] : engine_() >> (engine_() % 64);
  }
  Uint128 next2() { return ff1_join(next(), next()); }

 private:
  std::mt19937_64 engine_;
};

Uint128 mod(test::Bn &y, Uint128 m) {
  std::vector<std::uint8_t> bytes(16);
  for (std::size_t i = 0; i < 16; ++i) bytes[15 - i] = static_cast<std::uint8_t>(m >> (8 * i));
  const test::Bn modulus = test::bn_from_bytes(bytes);
  const test::BnContext context(BN_CTX_new());
  test::require(BN_mod(y.get(), y.get(), modulus.get(), context.get()) == 1);
  test::require(BN_bn2binpad(y.get(), bytes.data(), 16) == 16);
  return ff1_join(ff1_load_be64(bytes.data()), ff1_load_be64(bytes.data() + 8));
}

TEST(Ff1Modulus, DividesByOneWord) {
  Words words(1);
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t d = words.next() | (i % 2 == 0 ? 1 : 0);
    if (d == 0) continue;
    const Ff1Divisor divisor(d);
    const std::uint64_t x = words.next();
    std::uint64_t quotient = x;
    ASSERT_EQ(divisor.divide(quotient), x % d);
    ASSERT_EQ(quotient, x / d);
    const Uint128 y = words.next2();
    Uint128 quotient2 = y;
    ASSERT_EQ(divisor.divide(quotient2), static_cast<std::uint64_t>(y % d));
    ASSERT_TRUE(quotient2 == y / d);
  }
}

// check_sums compares add() and subtract() of the output `s` of the cipher, which stands for y, with those of y mod m.
template <typename Modulus, typename Half>
void check_sums(const Modulus &modulus, Half x, const std::uint8_t *s, const std::uint8_t *s2, Half y, Half m) {
  for (const Half at : {x, Half{0}, y, m - 1, m - 1 - y}) {
    ASSERT_TRUE(modulus.add(at, s, s2) == ff1_add(at, y, m));
    ASSERT_TRUE(modulus.subtract(at, s, s2) == ff1_subtract(at, y, m));
  }
}

// be64 is the number's eight bytes as the cipher puts them out.
std::array<std::uint8_t, 8> be64(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(number >> (8 * (7 - i)));
  return bytes;
}

TEST(Ff1Modulus, Binary) {
  Words words(8);
  for (unsigned bits = 1; bits <= 32; ++bits) {
    const std::uint64_t m = std::uint64_t{1} << bits;
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t y = words.next();
      ASSERT_NO_FATAL_FAILURE(
          check_sums(Ff1ModulusBinary(m), words.next() % m, be64(y).data(), nullptr, std::uint64_t{y % m}, m));
    }
  }
}

TEST(Ff1Modulus, Short) {
  Words words(2);
  for (int i = 0; i < 200000; ++i) {
    std::uint64_t m = words.next() % (std::uint64_t{1} << 32) + 1;
    if (m < 2) m = std::uint64_t{1} << 32;
    const Ff1ModulusShort modulus(m);
    for (const std::uint64_t y : {words.next(), kMax, kMax / m * m, kMax / m * m - 1, m, m - 1}) {
      ASSERT_EQ(modulus.reduce(y), y % m) << m;
      ASSERT_NO_FATAL_FAILURE(check_sums(modulus, words.next() % m, be64(y).data(), nullptr, std::uint64_t{y % m}, m));
    }
  }
}

TEST(Ff1Modulus, Word) {
  Words words(3);
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t m = words.next();
    if (m <= 65536) continue;
    const Ff1Modulus64 modulus(m);
    const Uint128 most = (Uint128{1} << 96) - 1;
    for (const Uint128 y : {words.next2() & most, most, most / m * m, most / m * m - 1, Uint128{m}, Uint128{m - 1}}) {
      ASSERT_EQ(modulus.reduce(static_cast<std::uint32_t>(y >> 64), ff1_low(y)), static_cast<std::uint64_t>(y % m));
    }
  }
}

TEST(Ff1Modulus, TwoWords) {
  Words words(4);
  for (int i = 0; i < 60000; ++i) {
    const Uint128 m = words.next2() >> (i % 80);
    if (m < Uint128{1} << 48) continue;
    const std::size_t d = i % 3 == 0 ? 20 : i % 3 == 1 ? 16 : 12;
    if (d == 20 && m < Uint128{1} << 80) continue;
    const Ff1Modulus128 modulus(m, d);
    Uint128 low = words.next2();
    if (d == 12) low >>= 32;
    const std::uint32_t high = d == 20 ? static_cast<std::uint32_t>(words.next()) : 0;
    std::vector<std::uint8_t> bytes(20);
    for (std::size_t k = 0; k < 16; ++k) bytes[19 - k] = static_cast<std::uint8_t>(low >> (8 * k));
    for (std::size_t k = 0; k < 4; ++k) bytes[3 - k] = static_cast<std::uint8_t>(high >> (8 * k));
    test::Bn y = test::bn_from_bytes(bytes);
    const Uint128 expected = mod(y, m);
    ASSERT_TRUE(modulus.reduce(high, low) == expected) << i;
    // S is the first d bytes of two blocks.
    std::array<std::uint8_t, 32> s = {};
    std::copy(bytes.end() - static_cast<std::ptrdiff_t>(d), bytes.end(), s.begin());
    ASSERT_TRUE(modulus.reduce(s.data(), s.data() + 16) == expected) << i;
    ASSERT_NO_FATAL_FAILURE(check_sums(modulus, words.next2() % m, s.data(), s.data() + 16, expected, m)) << i;
  }
}

// Where a quotient is estimated, y next to a multiple of m is the worst case.
TEST(Ff1Modulus, EstimatesQuotientsOfEveryLength) {
  std::mt19937_64 random(7);
  for (const std::size_t d : {std::size_t{12}, std::size_t{16}}) {
    const Uint128 most = ~Uint128{0} >> (128 - 8 * d);
    for (unsigned n = 49; n <= 8 * d; ++n) {
      for (int i = 0; i < 2000; ++i) {
        const Uint128 top = Uint128{1} << (n - 1);
        const Uint128 m = i == 0 ? top : i == 1 ? top + (top - 1) : top | (ff1_join(random(), random()) & (top - 1));
        const Ff1Modulus128 modulus(m, d);
        ASSERT_TRUE(modulus.quotient.usable() == (n >= 8 * d - 60 && n < 128)) << n;
        const Uint128 multiple = most / m * m;
        const Uint128 some = (ff1_join(random(), random()) & most) / m * m;
        for (const Uint128 y : {most, multiple, multiple - 1, some, some - 1, some + m - 1, m, m - 1}) {
          if (y > most) continue;
          std::array<std::uint8_t, 16> s = {};
          for (std::size_t k = 0; k < d; ++k) s[k] = static_cast<std::uint8_t>(y >> (8 * (d - 1 - k)));
          ASSERT_TRUE(modulus.reduce(s.data(), nullptr) == y % m) << n;
          const Uint128 x = ff1_join(random(), random()) % m;
          ASSERT_NO_FATAL_FAILURE(check_sums(modulus, x, s.data(), nullptr, Uint128{y % m}, m)) << n;
          if (d == 12 && n <= 64) {
            const Ff1Modulus64 word(ff1_low(m));
            ASSERT_TRUE(word.reduce(static_cast<std::uint32_t>(y >> 64), ff1_low(y)) == y % m) << n;
            ASSERT_NO_FATAL_FAILURE(
                check_sums(word, ff1_low(x), s.data(), nullptr, static_cast<std::uint64_t>(y % m), ff1_low(m)))
                << n;
          }
        }
      }
    }
  }
}

TEST(Ff1Modulus, AddsAndSubtractsUpToTheWidth) {
  Words words(5);
  for (int i = 0; i < 100000; ++i) {
    const std::uint64_t m = words.next() | 1;
    const std::uint64_t x = words.next() % m, y = words.next() % m;
    ASSERT_EQ(ff1_add(x, y, m), static_cast<std::uint64_t>((Uint128{x} + y) % m));
    ASSERT_EQ(ff1_add(ff1_subtract(x, y, m), y, m), x);
    const Uint128 m2 = words.next2() | 1;
    const Uint128 x2 = words.next2() % m2, y2 = words.next2() % m2;
    const Uint128 sum = ff1_add(x2, y2, m2);
    ASSERT_TRUE(sum < m2 && (sum == x2 + y2 || sum == x2 + y2 - m2));
    ASSERT_TRUE(ff1_subtract(sum, y2, m2) == x2);
  }
}

TEST(Ff1Numerals, ChunksAreExactInEveryRadix) {
  std::mt19937_64 random(6);
  for (std::uint32_t radix = kFf1MinRadix; radix <= kFf1MaxRadix; ++radix) {
    const Ff1Radix r(radix);
    std::uint64_t size = 1;
    for (std::uint32_t i = 0; i < r.chunk_digits; ++i) size *= radix;
    ASSERT_EQ(r.chunk_size, size);
    ASSERT_LE(size, std::uint64_t{1} << 48);
    ASSERT_TRUE(size > (std::uint64_t{1} << 48) / radix) << "a chunk could be longer";
    for (const std::uint64_t x : {std::uint64_t{0}, std::uint64_t{radix}, size - 1, size - radix, random() % size}) {
      std::uint32_t digits[48];
      r.unpack_chunk(x, digits, r.chunk_digits);
      std::uint64_t rest = x;
      for (std::size_t i = r.chunk_digits; i-- > 0; rest /= radix) ASSERT_EQ(digits[i], rest % radix) << radix;
      ASSERT_EQ(r.pack_chunk(digits, r.chunk_digits), x);
    }
  }
}

// All that eight numerals of a small radix can be is too much; all that each four can be is not.
TEST(Ff1Numerals, EightAtATimeAreExactInEverySmallRadix) {
  for (std::uint32_t radix = kFf1MinRadix; radix <= 16; ++radix) {
    const Ff1Radix r(radix);
    const std::uint64_t fours = std::uint64_t{radix} * radix * radix * radix;
    for (std::uint64_t x = 0; x < fours; ++x) {
      std::array<std::uint16_t, 8> digits;
      std::array<std::uint8_t, 8> bytes;
      r.unpack_chunk(x * fours + (fours - 1 - x), digits.data(), 8);
      r.unpack_chunk(x * fours + (fours - 1 - x), bytes.data(), 8);
      std::uint64_t rest = x * fours + (fours - 1 - x);
      for (std::size_t i = 8; i-- > 0; rest /= radix) {
        ASSERT_EQ(digits[i], rest % radix) << radix << ' ' << x;
        ASSERT_EQ(bytes[i], rest % radix) << radix << ' ' << x;
      }
    }
  }
}

TEST(Ff1Numerals, HalvesGoThereAndBack) {
  std::mt19937_64 random(7);
  for (const std::uint32_t radix : {2U, 3U, 10U, 36U, 62U, 256U, 999U, 65535U, 65536U}) {
    const Ff1Radix r(radix);
    Uint128 largest = radix - 1;
    for (std::size_t count = 1; count <= 127; ++count) {
      std::vector<std::uint16_t> digits(count), back(count);
      for (std::uint16_t &digit : digits) digit = static_cast<std::uint16_t>(random() % radix);
      Uint128 expected = 0;
      for (const std::uint16_t digit : digits) expected = expected * radix + digit;
      ASSERT_TRUE(r.pack<Uint128>(digits.data(), count) == expected);
      r.unpack(expected, back.data(), count);
      ASSERT_EQ(back, digits);
      if (largest <= kMax) {
        ASSERT_EQ(r.pack<std::uint64_t>(digits.data(), count), ff1_low(expected));
        r.unpack(ff1_low(expected), back.data(), count);
        ASSERT_EQ(back, digits);
      }
      if (largest > ~Uint128{0} / radix - 1) break;  // one more does not fit
      largest = largest * radix + (radix - 1);
    }
  }
}

}  // namespace
}  // namespace redoubt
