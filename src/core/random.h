// random.h - random_bytes: the only source of randomness.
//
// What it is: OpenSSL's DRBG, seeded by the operating system and safe across fork().
// What it is not: something the rest of the core calls.  Randomness is an argument there;
// only the glue draws it (keys, nonces, class ids).
// Locks: none of ours.  Covered by test/unit/secret_test.cpp.
#ifndef REDOUBT_CORE_RANDOM_H
#define REDOUBT_CORE_RANDOM_H

#include <cstdint>
#include <span>

namespace redoubt {

// random_bytes fills `out`, of any length, with bytes fit for keys.  False if the generator
// failed: `out` is then all zero and must not be used.
[[nodiscard]] bool random_bytes(std::span<std::uint8_t> out) noexcept;

}  // namespace redoubt
#endif
