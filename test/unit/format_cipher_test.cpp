// format_cipher_test.cpp - FormatCipher gives what fresh plans give, whatever it was asked before.
#include "core/format_cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "core/ff1.h"

namespace redoubt {
namespace {

using Numerals = std::vector<std::uint16_t>;
using Tweak = std::vector<std::uint8_t>;

constexpr std::array<std::uint8_t, kFormatKeySize> kKey = {1, 2, 3, 4, 5};
constexpr std::array<std::uint8_t, kFormatClassIdSize> kClass = {9, 8, 7, 6, 5, 4, 3, 2, 1, 9, 8, 7, 6, 5, 4, 3};

// fresh is what a plan of its own, told the whole tweak at once, makes of a value.
Numerals fresh(Ff1Direction direction, std::uint32_t radix, const Numerals &value, const Tweak &tweak) {
  AesBlocks aes = std::move(*AesBlocks::make(kKey));
  Tweak whole(kClass.begin(), kClass.end());
  whole.insert(whole.end(), tweak.begin(), tweak.end());
  Ff1Plan plan;
  EXPECT_EQ(plan.prepare(aes, radix, value.size(), whole.size()), Status::ok);
  EXPECT_EQ(plan.set_tweak(whole), Status::ok);
  Numerals out(value.size());
  EXPECT_EQ(plan.crypt(direction, std::span<const std::uint16_t>(value), std::span(out)), Status::ok);
  return out;
}

Numerals crypt(FormatCipher &cipher, Ff1Direction direction, std::uint32_t radix, Numerals value, const Tweak &tweak) {
  EXPECT_EQ(cipher.crypt(direction, radix, value, tweak), Status::ok);
  return value;
}

Numerals some_value(std::uint32_t radix, std::size_t length, std::size_t seed) {
  Numerals value(length);
  for (std::size_t i = 0; i < length; ++i) value[i] = static_cast<std::uint16_t>((seed * 31 + i * 7 + 3) % radix);
  return value;
}

Tweak some_tweak(std::size_t size, std::size_t seed) {
  Tweak tweak(size);
  for (std::size_t i = 0; i < size; ++i) tweak[i] = static_cast<std::uint8_t>(seed * 13 + i);
  return tweak;
}

TEST(FormatCipher, CachedPlansGiveWhatFreshOnesGive) {
  const auto cipher = FormatCipher::make(kKey, kClass);
  // Tweaks around every edge of a block behind the class id, short and long halves; twice, so that the second
  // time finds the plan with another tweak in it.
  for (int turn = 0; turn < 2; ++turn)
    for (const std::size_t tweak_size : {0, 1, 10, 12, 13, 14, 15, 16, 17, 29, 30, 31, 32, 33, 48, 200})
      for (const std::size_t length : {6, 9, 16, 40, 100})
        for (const Ff1Direction direction : {Ff1Direction::encrypt, Ff1Direction::decrypt}) {
          const Numerals value = some_value(10, length, tweak_size);
          const Tweak tweak = some_tweak(tweak_size, length);
          ASSERT_EQ(crypt(*cipher, direction, 10, value, tweak), fresh(direction, 10, value, tweak))
              << length << " numerals, tweak of " << tweak_size;
        }
}

TEST(FormatCipher, ATweakIsNotTakenForAnotherOfItsSize) {
  const auto cipher = FormatCipher::make(kKey, kClass);
  const Numerals value = some_value(10, 16, 1);
  const Tweak first = some_tweak(10, 1);
  Tweak last_byte = first;
  last_byte.back() ^= 1;
  Tweak first_byte = first;
  first_byte.front() ^= 1;
  for (int turn = 0; turn < 3; ++turn)
    for (const Tweak &tweak : {first, last_byte, first_byte, Tweak{}, first})
      ASSERT_EQ(crypt(*cipher, Ff1Direction::encrypt, 10, value, tweak),
                fresh(Ff1Direction::encrypt, 10, value, tweak));
}

// More than a plan keeps, in turns and in twos; sizes with and without a whole block in front of the half.
TEST(FormatCipher, TweaksThatTakeTurns) {
  const auto cipher = FormatCipher::make(kKey, kClass);
  const Numerals value = some_value(10, 14, 2);
  for (int turn = 0; turn < 3; ++turn)
    for (std::size_t i = 0; i < 5 * FormatCipher::kKeptTweaks; ++i)
      for (const std::size_t size : {0, 3, 8, 13, 40})
        for (const std::size_t seed : {i, i / 2, std::size_t{1}})
          for (const auto direction : {Ff1Direction::encrypt, Ff1Direction::decrypt}) {
            const Tweak tweak = some_tweak(size, seed);
            ASSERT_EQ(crypt(*cipher, direction, 10, value, tweak), fresh(direction, 10, value, tweak))
                << i << " " << size;
          }
}

TEST(FormatCipher, PlansThatWereReplacedComeBack) {
  const auto cipher = FormatCipher::make(kKey, kClass);
  for (int turn = 0; turn < 2; ++turn)
    for (std::size_t i = 0; i < 2 * FormatCipher::kMaxPlans + 3; ++i) {
      const Numerals value = some_value(10, 6 + i, i);
      const Tweak tweak = some_tweak(i % 3, i);
      ASSERT_EQ(crypt(*cipher, Ff1Direction::encrypt, 10, value, tweak),
                fresh(Ff1Direction::encrypt, 10, value, tweak));
      const Numerals common = some_value(36, 8, i);  // used between all others
      ASSERT_EQ(crypt(*cipher, Ff1Direction::decrypt, 36, common, tweak),
                fresh(Ff1Direction::decrypt, 36, common, tweak));
    }
}

TEST(FormatCipher, ARefusedLengthLeavesTheOthers) {
  const auto cipher = FormatCipher::make(kKey, kClass);
  Numerals small = {1, 2, 3, 4, 5};
  EXPECT_EQ(cipher->crypt(Ff1Direction::encrypt, 10, small, {}), Status::refused);
  EXPECT_EQ(small, (Numerals{1, 2, 3, 4, 5}));
  const Numerals value = some_value(10, 6, 1);
  EXPECT_EQ(crypt(*cipher, Ff1Direction::encrypt, 10, value, {}), fresh(Ff1Direction::encrypt, 10, value, {}));
}

TEST(FormatCipher, BatchesGiveWhatSingleValuesGive) {
  const auto cipher = FormatCipher::make(kKey, kClass);
  for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{17}, kFormatLanes})
    for (const std::size_t tweak_size : {0, 10, 40})
      for (const bool alike : {false, true})
        for (const Ff1Direction direction : {Ff1Direction::encrypt, Ff1Direction::decrypt}) {
          Numerals values;
          Numerals expected;
          Tweak tweaks;
          for (std::size_t i = 0; i < count; ++i) {
            const Numerals value = some_value(10, 16, i);
            const Tweak tweak = some_tweak(tweak_size, alike ? 5 : i);
            const Numerals single = fresh(direction, 10, value, tweak);
            values.insert(values.end(), value.begin(), value.end());
            expected.insert(expected.end(), single.begin(), single.end());
            tweaks.insert(tweaks.end(), tweak.begin(), tweak.end());
          }
          ASSERT_EQ(cipher->crypt_batch(direction, 10, count, values, tweaks), Status::ok);
          ASSERT_EQ(values, expected) << count << " values, tweaks of " << tweak_size << (alike ? ", alike" : "");
        }
}

TEST(FormatCipher, BatchesOfAWrongSizeAreRefused) {
  const auto cipher = FormatCipher::make(kKey, kClass);
  Numerals values(32, 1);
  const Tweak tweaks(3, 1);
  EXPECT_EQ(cipher->crypt_batch(Ff1Direction::encrypt, 10, 0, values, {}), Status::invalid_argument);
  EXPECT_EQ(cipher->crypt_batch(Ff1Direction::encrypt, 10, 3, values, tweaks), Status::invalid_argument);
  EXPECT_EQ(cipher->crypt_batch(Ff1Direction::encrypt, 10, 2, values, tweaks), Status::invalid_argument);
  Numerals many((kFormatLanes + 1) * 16, 1);
  EXPECT_EQ(cipher->crypt_batch(Ff1Direction::encrypt, 10, kFormatLanes + 1, many, {}), Status::invalid_argument);
}

TEST(FormatCipher, RanksSideBySideAreRanksOneByOne) {
  const auto cipher = FormatCipher::make(kKey, kClass);
  // Just above a power of two almost every second rank has to walk, and some for long.
  for (const std::uint64_t size : {std::uint64_t{1'000'000}, (std::uint64_t{1} << 20) + 1, std::uint64_t{1} << 62}) {
    std::vector<std::uint64_t> ranks;
    for (std::size_t i = 0; i < kFormatLanes; ++i) ranks.push_back((i * 7'919'000'000'007U) % size);
    std::vector<std::uint64_t> single = ranks;
    for (std::uint64_t &rank : single) {
      ASSERT_EQ(cipher->crypt_rank(Ff1Direction::encrypt, size, rank, {}), Status::ok);
      ASSERT_LT(rank, size);
    }
    std::vector<std::uint64_t> batch = ranks;
    ASSERT_EQ(cipher->crypt_ranks(Ff1Direction::encrypt, size, batch, {}), Status::ok);
    EXPECT_EQ(batch, single);
    ASSERT_EQ(cipher->crypt_ranks(Ff1Direction::decrypt, size, batch, {}), Status::ok);
    EXPECT_EQ(batch, ranks);
  }
  std::uint64_t too_large = 1'000'000;
  EXPECT_EQ(cipher->crypt_rank(Ff1Direction::encrypt, 1'000'000, too_large, {}), Status::invalid_argument);
  EXPECT_EQ(cipher->crypt_rank(Ff1Direction::encrypt, 999'999, too_large, {}), Status::invalid_argument);
}

}  // namespace
}  // namespace redoubt
