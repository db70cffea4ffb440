// random.h - random_bytes: the only source of randomness.
//
// What it is: OpenSSL's DRBG, seeded by the operating system and safe across fork().
// What it is not: something the rest of the core calls.  Randomness is an argument there;
// only the glue draws it (keys, nonces, class ids).
// Locks: none of ours.  Covered by test/unit/random_test.cpp.
#ifndef REDOUBT_CORE_RANDOM_H
#define REDOUBT_CORE_RANDOM_H

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/secret.h"

namespace redoubt {

// random_bytes fills `out`, of any length, with bytes fit for keys.  False if the generator
// failed: `out` is then all zero and must not be used.
[[nodiscard]] bool random_bytes(std::span<std::uint8_t> out) noexcept;

// RandomPool gives out the same bytes a few at a time: asking OpenSSL costs more than sealing a value, and
// hardly more for a thousand bytes than for sixteen.
// Invariant: no byte is given out twice, also after a fork: what the parent has drawn the child does not use.
// Bytes that were given out are wiped.
class RandomPool {
 public:
  // fill fills `out` on behalf of process `process`, the caller's.  False as above.
  [[nodiscard]] bool fill(std::span<std::uint8_t> out, int process) noexcept;

 private:
  static constexpr std::size_t kSize = 4096;

  SecretBytes<kSize> bytes_;
  std::size_t left_ = 0;  // at the end of bytes_
  int process_ = 0;       // that drew them
};

}  // namespace redoubt
#endif
