// ff1_batch_test.cpp - batches give what single values give, each value has its own fate, nothing is allocated.
//
// This program replaces operator new and OpenSSL's allocator to count.
#include "core/ff1.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

std::size_t allocations = 0;

void *count_malloc(std::size_t size, const char *, int) {
  ++allocations;
  return std::malloc(size);
}
void *count_realloc(void *memory, std::size_t size, const char *, int) {
  ++allocations;
  return std::realloc(memory, size);
}
void count_free(void *memory, const char *, int) { std::free(memory); }

// OpenSSL takes an allocator only before its first allocation.
const bool counting = CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) == 1;

}  // namespace

// Not inlined: GCC 12 then takes free() for the wrong partner of new (-Wmismatched-new-delete).
[[gnu::noinline]] void *operator new(std::size_t size) {
  ++allocations;
  if (void *memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

namespace redoubt {
namespace {

using Octets = std::vector<std::uint8_t>;
using Numerals = std::vector<std::uint32_t>;

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kRadix62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kMixed = "aäбー😀z";  // one to four bytes

AesBlocks cipher() {
  Result<AesBlocks> aes = AesBlocks::make(Octets(32, 0x42));
  EXPECT_TRUE(aes.ok());
  return *std::move(aes);
}

struct Shape {
  std::uint32_t radix;
  std::size_t length;
  std::size_t tweak_bytes;
};

// 64-bit halves of one and two reductions, 128-bit ones with one and two blocks in and out, wide ones.
constexpr Shape kShapes[] = {{10, 16, 0},  {10, 9, 10}, {36, 24, 0},   {36, 24, 21},   {10, 19, 7},  {2, 128, 3},
                             {256, 20, 6}, {62, 40, 0}, {256, 32, 17}, {65536, 15, 1}, {10, 100, 4}, {65536, 31, 40}};
constexpr std::size_t kCounts[] = {1, 2, 15, 16, 63, 64, 65, 128, 200};

TEST(Ff1Batch, NumeralsGiveWhatSingleValuesGive) {
  AesBlocks aes = cipher();
  std::mt19937 random(1);
  for (const Shape &shape : kShapes) {
    SCOPED_TRACE(std::to_string(shape.radix) + "^" + std::to_string(shape.length));
    Ff1Plan plan;
    ASSERT_EQ(plan.prepare(aes, shape.radix, shape.length, shape.tweak_bytes), Status::ok);
    for (const std::size_t count : kCounts) {
      Numerals in(count * shape.length);
      for (std::uint32_t &digit : in) digit = static_cast<std::uint32_t>(random()) % shape.radix;
      Octets tweaks(count * shape.tweak_bytes);
      for (std::uint8_t &byte : tweaks) byte = static_cast<std::uint8_t>(random());

      Numerals each(in.size());
      for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(plan.set_tweak(std::span(tweaks).subspan(i * shape.tweak_bytes, shape.tweak_bytes)), Status::ok);
        ASSERT_EQ(plan.crypt(Ff1Direction::encrypt,
                             std::span<const std::uint32_t>(in).subspan(i * shape.length, shape.length),
                             std::span(each).subspan(i * shape.length, shape.length)),
                  Status::ok);
      }
      Numerals out(in.size());
      ASSERT_EQ(plan.crypt_batch(Ff1Direction::encrypt, in, out, tweaks), Status::ok);
      EXPECT_EQ(out, each);
      ASSERT_EQ(plan.crypt_batch(Ff1Direction::decrypt, out, out, tweaks), Status::ok);  // in place
      EXPECT_EQ(out, in);
      // With the plan's tweak, the last one set.
      const std::size_t last = (count - 1) * shape.length;
      std::vector<std::uint16_t> narrow(in.begin(), in.end());
      ASSERT_EQ(plan.crypt_batch(Ff1Direction::encrypt, narrow, narrow), Status::ok);
      EXPECT_TRUE(std::equal(narrow.begin() + static_cast<std::ptrdiff_t>(last), narrow.end(),
                             each.begin() + static_cast<std::ptrdiff_t>(last), each.end()));
    }
  }
}

TEST(Ff1Batch, WordsAreNumeralsOfRadixTwo) {
  AesBlocks aes = cipher();
  std::mt19937_64 random(2);
  for (const std::size_t length :
       {std::size_t{20}, std::size_t{21}, std::size_t{54}, std::size_t{63}, std::size_t{64}}) {
    Ff1Plan plan;
    ASSERT_EQ(plan.prepare(aes, 2, length, 3), Status::ok);
    ASSERT_EQ(plan.set_tweak(Octets{1, 2, 3}), Status::ok);
    for (const std::size_t count : kCounts) {
      std::vector<std::uint64_t> words(count);
      Numerals bits(count * length);
      for (std::size_t i = 0; i < count; ++i) {
        words[i] = random() >> (64 - length);
        for (std::size_t bit = 0; bit < length; ++bit)
          bits[i * length + bit] = static_cast<std::uint32_t>(words[i] >> (length - 1 - bit) & 1);
      }
      const std::vector<std::uint64_t> before = words;
      ASSERT_EQ(plan.crypt_batch(Ff1Direction::encrypt, bits, bits), Status::ok);
      ASSERT_EQ(plan.crypt_batch(Ff1Direction::encrypt, words), Status::ok);
      for (std::size_t i = 0; i < bits.size(); ++i)
        ASSERT_EQ(bits[i], words[i / length] >> (length - 1 - i % length) & 1) << length << ' ' << i;
      ASSERT_EQ(plan.crypt_batch(Ff1Direction::decrypt, words), Status::ok);
      EXPECT_EQ(words, before);
    }
  }
  Ff1Plan plan;
  std::vector<std::uint64_t> words = {1, 2};
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, words), Status::invalid_argument);  // not ready
  ASSERT_EQ(plan.prepare(aes, 2, 21, 3), Status::ok);
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, words), Status::invalid_argument);  // no tweak
  ASSERT_EQ(plan.set_tweak(Octets(3)), Status::ok);
  words[1] = std::uint64_t{1} << 21;
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, words), Status::malformed);
  EXPECT_EQ(words[0], 1U);
  for (const auto &[radix, length] : {std::pair{10U, 16U}, std::pair{2U, 65U}}) {
    ASSERT_EQ(plan.prepare(aes, radix, length, 0), Status::ok);
    EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, words), Status::invalid_argument);
  }
}

TEST(Ff1Batch, NumeralsAreRefusedAsAWhole) {
  AesBlocks aes = cipher();
  Ff1Plan plan;
  Numerals in(700, 5), out(in.size(), 77);
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, in, out), Status::invalid_argument);  // not ready
  ASSERT_EQ(plan.prepare(aes, 10, 10, 2), Status::ok);
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, in, out), Status::invalid_argument);  // no tweak
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, in, out, Octets(139)), Status::invalid_argument);
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, Numerals(11), out, Octets(2)), Status::out_of_range);
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, in, std::span(out).first(699), Octets(140)),
            Status::invalid_argument);
  in.back() = 10;
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, in, out, Octets(140)), Status::malformed);
  EXPECT_EQ(out, Numerals(in.size(), 77));
  in.back() = 9;
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, in, out, Octets(140)), Status::ok);
}

// Texts of `count` random values with their memory.
struct Texts {
  Texts(const Ff1Alphabet &alphabet, std::size_t length, std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    const std::size_t room = length * alphabet.max_bytes();
    std::vector<std::uint16_t> numerals(length);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::uint16_t &digit : numerals) digit = static_cast<std::uint16_t>(random() % alphabet.radix());
      in.emplace_back(room, '\0');
      in.back().resize(*alphabet.format(std::span<const std::uint16_t>(numerals), in.back()));
      out.emplace_back(room, '#');
    }
    for (std::size_t i = 0; i < count; ++i) items.push_back({.in = in[i], .out = out[i]});
  }
  std::vector<std::string> in, out;
  std::vector<Ff1Item> items;
};

TEST(Ff1Batch, TextsGiveWhatSingleValuesGive) {
  AesBlocks aes = cipher();
  for (const std::string_view characters : {kDigits, kRadix62, kMixed}) {
    const Result<Ff1Alphabet> alphabet = Ff1Alphabet::make(characters);
    ASSERT_TRUE(alphabet.ok());
    for (const std::size_t length : {9U, 16U, 17U, 40U, 150U}) {
      for (const std::size_t count : kCounts) {
        Ff1Plan plan;
        ASSERT_EQ(plan.prepare(aes, alphabet->radix(), length, 0), Status::ok);
        Texts texts(*alphabet, length, count, 3);
        ASSERT_EQ(plan.crypt_batch(Ff1Direction::encrypt, *alphabet, texts.items), Status::ok);
        for (std::size_t i = 0; i < count; ++i) {
          std::string single(length * alphabet->max_bytes(), '#');
          const Result<std::size_t> written = plan.crypt(Ff1Direction::encrypt, *alphabet, texts.in[i], single);
          ASSERT_TRUE(written.ok());
          ASSERT_EQ(texts.items[i].written, *written);
          ASSERT_EQ(texts.out[i].substr(0, *written), single.substr(0, *written));
          // Back, into the text's own memory.
          texts.items[i].in = std::string_view(texts.out[i]).substr(0, *written);
          texts.items[i].out = texts.out[i];
        }
        ASSERT_EQ(plan.crypt_batch(Ff1Direction::decrypt, *alphabet, texts.items), Status::ok);
        for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(texts.out[i].substr(0, texts.items[i].written), texts.in[i]);
      }
    }
  }
}

TEST(Ff1Batch, EveryTextHasItsOwnFate) {
  AesBlocks aes = cipher();
  const Result<Ff1Alphabet> alphabet = Ff1Alphabet::make(kDigits);
  ASSERT_TRUE(alphabet.ok());
  for (const std::size_t length : {16U, 100U}) {
    Ff1Plan plan;
    ASSERT_EQ(plan.prepare(aes, 10, length, 0), Status::ok);
    Texts good(*alphabet, length, 200, 8), texts(*alphabet, length, 200, 8);
    ASSERT_EQ(plan.crypt_batch(Ff1Direction::encrypt, *alphabet, good.items), Status::ok);
    for (std::size_t i = 0; i < 200; ++i) {
      if (i % 7 == 1) texts.in[i].back() = 'x';
      if (i % 7 == 2) texts.items[i].in.remove_suffix(1);
      if (i % 7 == 3) texts.items[i].out = texts.items[i].out.first(length - 1);
    }
    EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, *alphabet, texts.items), Status::malformed);
    for (std::size_t i = 0; i < 200; ++i) {
      const Status expected = i % 7 == 1   ? Status::malformed
                              : i % 7 == 2 ? Status::out_of_range
                              : i % 7 == 3 ? Status::invalid_argument
                                           : Status::ok;
      EXPECT_EQ(texts.items[i].status, expected) << i;
      EXPECT_EQ(texts.items[i].written, expected == Status::ok ? length : 0) << i;
      EXPECT_EQ(texts.out[i], expected == Status::ok ? good.out[i] : std::string(length, '#')) << i;
    }
  }
}

TEST(Ff1Batch, TextsWithTheirOwnTweaks) {
  AesBlocks aes = cipher();
  const Result<Ff1Alphabet> alphabet = Ff1Alphabet::make(kDigits);
  ASSERT_TRUE(alphabet.ok());
  for (const std::size_t length : {16U, 100U}) {
    for (const std::size_t size : {1U, 10U, 40U}) {
      Ff1Plan plan;
      ASSERT_EQ(plan.prepare(aes, 10, length, size), Status::ok);
      Texts texts(*alphabet, length, 100, 9);
      std::vector<Octets> tweaks;
      for (std::size_t i = 0; i < 100; ++i) tweaks.emplace_back(size, static_cast<std::uint8_t>(i));
      for (std::size_t i = 0; i < 100; ++i) texts.items[i].tweak = tweaks[i];
      ASSERT_EQ(plan.crypt_batch(Ff1Direction::encrypt, *alphabet, texts.items), Status::ok);
      for (std::size_t i = 0; i < 100; ++i) {
        std::string single(length, '#');
        ASSERT_EQ(plan.set_tweak(tweaks[i]), Status::ok);
        ASSERT_TRUE(plan.crypt(Ff1Direction::encrypt, *alphabet, texts.in[i], single).ok());
        EXPECT_EQ(texts.out[i], single) << i;
      }
      // Where one item brings a tweak all must: the others are refused, not done with the plan's.
      texts.items[5].tweak = {};
      EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, *alphabet, texts.items), Status::invalid_argument);
      EXPECT_EQ(texts.items[5].status, Status::invalid_argument);
      EXPECT_EQ(texts.items[6].status, Status::ok);
    }
  }
}

TEST(Ff1Batch, EmptyBatchesAreFine) {
  AesBlocks aes = cipher();
  const Result<Ff1Alphabet> alphabet = Ff1Alphabet::make(kDigits);
  Ff1Plan plan;
  ASSERT_EQ(plan.prepare(aes, 10, 16, 0), Status::ok);
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, *alphabet, {}), Status::ok);
  EXPECT_EQ(plan.crypt_batch(Ff1Direction::encrypt, Numerals(), std::span<std::uint32_t>()), Status::ok);
}

TEST(Ff1Batch, ValuesAllocateNothing) {
  ASSERT_TRUE(counting);
  AesBlocks aes = cipher();
  for (const std::string_view characters : {kDigits, kRadix62, kMixed}) {
    const Result<Ff1Alphabet> alphabet = Ff1Alphabet::make(characters);
    ASSERT_TRUE(alphabet.ok());
    for (const std::size_t length : {16U, 40U, 200U, 1000U}) {
      Texts texts(*alphabet, length, 100, 3);
      Ff1Plan plan;
      const std::size_t before_plan = allocations;
      const Status prepared = plan.prepare(aes, alphabet->radix(), length, 40);
      const std::size_t before = allocations;
      EXPECT_GT(before, before_plan) << "the count does not count";  // set-up may allocate, and does
      const std::array<std::uint8_t, 40> tweak = {1, 2, 3};
      const Status tweaked = plan.set_tweak(tweak);
      const Status batch = plan.crypt_batch(Ff1Direction::encrypt, *alphabet, texts.items);
      const Result<std::size_t> single = plan.crypt(Ff1Direction::decrypt, *alphabet, texts.in[0], texts.out[0]);
      const std::size_t after = allocations;
      EXPECT_EQ(after, before);
      EXPECT_EQ(prepared, Status::ok);
      EXPECT_EQ(tweaked, Status::ok);
      EXPECT_EQ(batch, Status::ok);
      EXPECT_TRUE(single.ok());
    }
  }
}

}  // namespace
}  // namespace redoubt
