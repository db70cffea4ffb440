// aes_test.cpp - AesBlocks against the examples of FIPS 197 and against itself; AesChain against AesBlocks.
#include "core/aes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/random.h"
#include "tsv.h"

namespace redoubt {
namespace {

using Octets = std::vector<std::uint8_t>;

Octets from_hex(std::string_view hex) { return test::hex_bytes(hex).value(); }

struct Example {
  const char *key;
  const char *ciphertext;
};

// FIPS 197, Appendix C.1 to C.3: one plaintext under keys of 128, 192 and 256 bits.
constexpr Example kExamples[] = {
    {"000102030405060708090a0b0c0d0e0f", "69c4e0d86a7b0430d8cdb78070b4c55a"},
    {"000102030405060708090a0b0c0d0e0f1011121314151617", "dda97ca4864cdfe06eaf70a0ec0d7191"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "8ea2b7ca516745bfeafc49904b496089"},
};
constexpr std::string_view kPlaintext = "00112233445566778899aabbccddeeff";

TEST(AesBlocks, Fips197Examples) {
  for (const Example &example : kExamples) {
    Result<AesBlocks> aes = AesBlocks::make(from_hex(example.key));
    ASSERT_TRUE(aes.ok());
    Octets block = from_hex(kPlaintext);
    ASSERT_TRUE(aes->encrypt(block.data(), block.data(), 1));
    EXPECT_EQ(test::bytes_hex(block), example.ciphertext);
  }
}

TEST(AesBlocks, ManyBlocksAreEachBlockAlone) {
  Octets key(32);
  ASSERT_TRUE(random_bytes(key));
  Result<AesBlocks> aes = AesBlocks::make(key);
  ASSERT_TRUE(aes.ok());
  constexpr std::size_t kBlocks = 300;
  Octets in(kBlocks * kAesBlockSize);
  ASSERT_TRUE(random_bytes(in));

  Octets together(in.size());
  ASSERT_TRUE(aes->encrypt(in.data(), together.data(), kBlocks));
  Octets apart(in.size());
  for (std::size_t i = 0; i < kBlocks; ++i) {
    ASSERT_TRUE(aes->encrypt(&in[i * kAesBlockSize], &apart[i * kAesBlockSize], 1));
  }
  EXPECT_EQ(together, apart);
  EXPECT_NE(together, in);

  ASSERT_TRUE(aes->encrypt(in.data(), in.data(), kBlocks));
  EXPECT_EQ(in, together) << "in place";
}

TEST(AesBlocks, NoBlocksWriteNothing) {
  Result<AesBlocks> aes = AesBlocks::make(Octets(16));
  ASSERT_TRUE(aes.ok());
  Octets out(kAesBlockSize, 0xa5);
  EXPECT_TRUE(aes->encrypt(out.data(), out.data(), 0));
  EXPECT_EQ(out, Octets(kAesBlockSize, 0xa5));
}

TEST(AesBlocks, RefusesOtherKeyLengths) {
  for (const std::size_t size : {0U, 1U, 15U, 17U, 31U, 33U, 64U}) {
    EXPECT_EQ(AesBlocks::make(Octets(size)).status(), Status::invalid_argument) << size;
  }
}

TEST(AesBlocks, EmptyAndMovedFromEncryptNothing) {
  Octets block(kAesBlockSize);
  AesBlocks empty;
  EXPECT_FALSE(empty.encrypt(block.data(), block.data(), 1));

  Result<AesBlocks> made = AesBlocks::make(Octets(16));
  ASSERT_TRUE(made.ok());
  AesBlocks target = *std::move(made);
  EXPECT_TRUE(target.encrypt(block.data(), block.data(), 1));
  EXPECT_FALSE(made->encrypt(block.data(), block.data(), 1));  // NOLINT(*-use-after-move,*.Move): what is tested
}

// CBC by hand, from a block of zeros: the ciphertext of a message.
Octets chained(AesBlocks &aes, const Octets &message) {
  Octets out(message.size());
  Octets state(kAesBlockSize);
  for (std::size_t at = 0; at < message.size(); at += kAesBlockSize) {
    for (std::size_t i = 0; i < kAesBlockSize; ++i) state[i] ^= message[at + i];
    EXPECT_TRUE(aes.encrypt(state.data(), state.data(), 1));
    std::copy(state.begin(), state.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return out;
}

TEST(AesChain, EveryMessageBeginsAtZero) {
  for (const std::size_t key_size : {16U, 24U, 32U}) {
    Octets key(key_size);
    ASSERT_TRUE(random_bytes(key));
    Result<AesBlocks> blocks = AesBlocks::make(key);
    Result<AesChain> chain = AesChain::make(key);
    ASSERT_TRUE(blocks.ok() && chain.ok());
    for (const std::size_t size : {1U, 2U, 1U, 7U, 300U, 3U}) {
      Octets message(size * kAesBlockSize);
      ASSERT_TRUE(random_bytes(message));
      const Octets expected = chained(*blocks, message);
      ASSERT_TRUE(chain->encrypt(message.data(), size, true));
      EXPECT_EQ(message, expected) << key_size << ' ' << size;
    }
  }
}

TEST(AesChain, PartsGoOn) {
  Result<AesBlocks> blocks = AesBlocks::make(Octets(32));
  Result<AesChain> chain = AesChain::make(Octets(32));
  ASSERT_TRUE(blocks.ok() && chain.ok());
  Octets message(10 * kAesBlockSize);
  ASSERT_TRUE(random_bytes(message));
  const Octets expected = chained(*blocks, message);
  ASSERT_TRUE(chain->encrypt(message.data(), 1, true));
  ASSERT_TRUE(chain->encrypt(&message[kAesBlockSize], 6, false));
  ASSERT_TRUE(chain->encrypt(&message[7 * kAesBlockSize], 3, false));
  EXPECT_EQ(message, expected);
}

TEST(AesChain, RefusesOtherKeyLengths) {
  for (const std::size_t size : {0U, 15U, 33U}) {
    EXPECT_EQ(AesChain::make(Octets(size)).status(), Status::invalid_argument) << size;
  }
}

TEST(AesChain, EmptyAndMovedFromEncryptNothing) {
  Octets block(kAesBlockSize);
  AesChain empty;
  EXPECT_FALSE(empty.encrypt(block.data(), 1, true));
  Result<AesChain> made = AesChain::make(Octets(16));
  ASSERT_TRUE(made.ok());
  AesChain target = *std::move(made);
  EXPECT_TRUE(target.encrypt(block.data(), 1, true));
  EXPECT_FALSE(made->encrypt(block.data(), 1, true));  // NOLINT(*-use-after-move,*.Move): what is tested
}

}  // namespace
}  // namespace redoubt
