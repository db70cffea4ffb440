// secret_test.cpp - SecretBytes wipes what it gives up; secret_equal compares.
#include "core/secret.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace redoubt {
namespace {

using Key = SecretBytes<32>;

static_assert(!std::is_copy_constructible_v<Key> && !std::is_copy_assignable_v<Key>);
static_assert(std::is_nothrow_move_constructible_v<Key> && std::is_nothrow_move_assignable_v<Key>);

Key key_of(std::uint8_t byte) {
  Key key;
  std::fill(key.span().begin(), key.span().end(), byte);
  return key;
}

bool all(std::span<const std::uint8_t> bytes, std::uint8_t value) {
  return std::all_of(bytes.begin(), bytes.end(), [value](std::uint8_t byte) { return byte == value; });
}

TEST(SecretBytes, StartsAsZeros) { EXPECT_TRUE(all(Key().span(), 0)); }

TEST(SecretBytes, MovingWipesTheSource) {
  Key source = key_of(0x5a);
  const Key constructed(std::move(source));
  EXPECT_TRUE(all(constructed.span(), 0x5a));
  EXPECT_TRUE(all(source.span(), 0));  // NOLINT(*-use-after-move,*.Move): what is tested

  Key second = key_of(0x3c);
  Key assigned = key_of(0x77);
  assigned = std::move(second);
  EXPECT_TRUE(all(assigned.span(), 0x3c));
  EXPECT_TRUE(all(second.span(), 0));  // NOLINT(*-use-after-move,*.Move): what is tested
}

TEST(SecretBytes, MovingToItselfKeepsTheKey) {
  Key key = key_of(0x5a);
  Key &same = key;
  key = std::move(same);
  EXPECT_TRUE(all(key.span(), 0x5a));
}

TEST(SecretBytes, WipeClears) {
  Key key = key_of(0x5a);
  key.wipe();
  EXPECT_TRUE(all(key.span(), 0));
}

TEST(SecretBytes, DestructionClears) {
  // The storage outlives the object, so it may be looked at afterwards.
  alignas(Key) std::array<std::uint8_t, sizeof(Key)> storage{};
  Key *key = new (storage.data()) Key(key_of(0x5a));
  ASSERT_TRUE(all(storage, 0x5a));
  std::destroy_at(key);
  // Through volatile, because a compiler may take what a dead object left for undefined.
  const volatile std::uint8_t *left = storage.data();
  for (std::size_t i = 0; i < storage.size(); ++i) EXPECT_EQ(left[i], 0);
}

TEST(SecretEqual, ComparesLengthAndContent) {
  const std::array<std::uint8_t, 4> a{1, 2, 3, 4};
  const std::array<std::uint8_t, 4> first_differs{0, 2, 3, 4};
  const std::array<std::uint8_t, 4> last_differs{1, 2, 3, 5};
  EXPECT_TRUE(secret_equal(a, std::array<std::uint8_t, 4>{1, 2, 3, 4}));
  EXPECT_FALSE(secret_equal(a, first_differs));
  EXPECT_FALSE(secret_equal(a, last_differs));
  EXPECT_FALSE(secret_equal(a, std::span(a).first(3)));
  EXPECT_TRUE(secret_equal({}, {}));
}

}  // namespace
}  // namespace redoubt
