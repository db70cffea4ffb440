// random_test.cpp - random_bytes fills; a pool gives out no byte twice, also after a fork.
#include "core/random.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace redoubt {
namespace {

TEST(RandomBytes, FillsEveryByteDifferentlyEachTime) {
  // A byte that is the same in 16 draws happens by chance once in 2^120.
  constexpr std::size_t kSize = 1000;
  std::vector<std::uint8_t> first(kSize);
  ASSERT_TRUE(random_bytes(first));
  std::vector<bool> changed(kSize);
  for (int draw = 1; draw < 16; ++draw) {
    std::vector<std::uint8_t> next(kSize);
    ASSERT_TRUE(random_bytes(next));
    for (std::size_t i = 0; i < kSize; ++i) changed[i] = changed[i] || next[i] != first[i];
  }
  EXPECT_TRUE(std::all_of(changed.begin(), changed.end(), [](bool one) { return one; }));
}

TEST(RandomBytes, NothingToFillIsFine) { EXPECT_TRUE(random_bytes({})); }

using Nonce = std::array<std::uint8_t, 16>;

TEST(RandomPool, GivesOutNothingTwice) {
  RandomPool pool;
  std::set<Nonce> given;
  for (int i = 0; i < 5000; ++i) {
    Nonce nonce = {};
    ASSERT_TRUE(pool.fill(nonce, 1));
    ASSERT_TRUE(given.insert(nonce).second);
  }
}

// Of any size; more than a pool holds as well.
TEST(RandomPool, FillsEveryByte) {
  RandomPool pool;
  ASSERT_TRUE(pool.fill({}, 1));
  for (const std::size_t size : {1U, 3U, 4095U, 4096U, 4097U, 10000U}) {
    std::vector<std::uint8_t> all(size, 0);
    std::vector<std::uint8_t> next(size);
    for (int i = 0; i < 16; ++i) {
      ASSERT_TRUE(pool.fill(next, 1));
      for (std::size_t at = 0; at < size; ++at) all[at] |= next[at];
    }
    // 16 times 0 comes once in 2^128.
    EXPECT_EQ(std::count(all.begin(), all.end(), 0), 0) << size;
  }
}

// Parent and child go on with the same pool.
TEST(RandomPool, AForkedProcessDrawsItsOwn) {
  RandomPool pool;
  Nonce first = {};
  ASSERT_TRUE(pool.fill(first, getpid()));
  std::array<int, 2> ends = {};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Nonce nonce = {};
    const bool done = pool.fill(nonce, getpid()) && write(ends[1], nonce.data(), nonce.size()) == 16;
    _exit(done ? 0 : 1);
  }
  Nonce ours = {};
  Nonce theirs = {};
  ASSERT_TRUE(pool.fill(ours, getpid()));
  ASSERT_EQ(read(ends[0], theirs.data(), theirs.size()), 16);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_NE(ours, theirs);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace redoubt
