// passphrase.h - keys from a passphrase: scrypt (RFC 7914), on OpenSSL.
//
// What it is not: a judge of passphrases; see keys/key_export.cpp.
// Covered by test/unit/key_export_test.cpp.
#ifndef REDOUBT_CORE_PASSPHRASE_H
#define REDOUBT_CORE_PASSPHRASE_H

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"

namespace redoubt {

inline constexpr std::size_t kSaltSize = 16;

// The cost, as the binary logarithm of N, with r = 8 and p = 1: 2^17 takes 128 MB and a few tenths of a second.  What a
// stored cost may ask of whoever opens it is bounded.
inline constexpr std::uint8_t kPassphraseCost = 17;
inline constexpr std::uint8_t kMinPassphraseCost = 14;
inline constexpr std::uint8_t kMaxPassphraseCost = 19;

// passphrase_key fills `key` with what a passphrase, a salt and a cost give.
// Errors: invalid_argument (cost out of its bounds), crypto_failure (memory included); `key` is then wiped.
Status passphrase_key(std::span<const std::uint8_t> passphrase, std::span<const std::uint8_t, kSaltSize> salt,
                      std::uint8_t cost, std::span<std::uint8_t> key) noexcept;

}  // namespace redoubt
#endif
