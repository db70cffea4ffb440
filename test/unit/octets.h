// octets.h - octets as the tests of what seals them use: random, decided by a seed, of a text; and the keys of a
// sealer.
//
// Test keys need no secrecy and are not wiped.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "core/random.h"
#include "core/result.h"

namespace redoubt::test {

using Octets = std::vector<std::uint8_t>;

inline Octets random_octets(std::size_t size) {
  Octets bytes(size);
  EXPECT_TRUE(random_bytes(bytes));
  return bytes;
}

inline Octets octets(std::string_view text) { return {text.begin(), text.end()}; }

// SeededOctets is for tests of many cases: with its seed fixed, a failure is the same on every run.
class SeededOctets {
 public:
  explicit SeededOctets(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t bound) { return engine_() % bound; }
  Octets octets(std::size_t size) {
    Octets bytes(size);
    for (std::uint8_t &byte : bytes) byte = static_cast<std::uint8_t>(engine_());
    return bytes;
  }

 protected:
  std::mt19937 engine_;
};

// SealerKeys are keys and a class id that belong to one test, for a TokenSealer or a VaultSealer.
template <typename Sealer, std::size_t ClassIdSize>
struct SealerKeys {
  Octets k1 = random_octets(32);
  Octets k2 = random_octets(32);
  Octets class_id = random_octets(ClassIdSize);

  Sealer sealer(std::uint16_t version = 1) const {
    Result<Sealer> made = Sealer::make(k1, k2, class_id, version);
    EXPECT_TRUE(made.ok());
    return *std::move(made);
  }
};

}  // namespace redoubt::test
