// keywrap.h - AES key wrap with padding (RFC 5649; KWP in NIST SP 800-38F).
//
// What it is: how a data key is stored, wrapped by the key-encryption key (KEK).
// What it is not: for data.  It is deterministic and slow, and carries no key identifier.
// Invariant: an unwrapped key that did not authenticate never stays in the caller's buffer.
// Locks: none.  Covered by test/unit/keywrap_test.cpp.
#ifndef REDOUBT_CORE_KEYWRAP_H
#define REDOUBT_CORE_KEYWRAP_H

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"

namespace redoubt {

// A bound of ours on the key being wrapped, in bytes: data keys are 32 to 64 of them.
inline constexpr std::size_t kKeyWrapMaxKey = 4096;

// key_wrap_size is the wrapped size of a key of `key_size` bytes: an 8-byte integrity block
// and the key padded to a multiple of 8.
constexpr std::size_t key_wrap_size(std::size_t key_size) noexcept { return (key_size + 7) / 8 * 8 + 8; }

// key_wrap wraps `key` (1 to kKeyWrapMaxKey bytes) under `kek` (16, 24 or 32 bytes; Redoubt uses
// 32) and sets out_len to key_wrap_size(key.size()); `out` holds at least that and lies apart
// from `key`.
// Errors: invalid_argument (a length), crypto_failure; out_len is then 0 and `out` wiped.
Status key_wrap(std::span<const std::uint8_t> kek, std::span<const std::uint8_t> key, std::span<std::uint8_t> out,
                std::size_t &out_len);

// key_unwrap undoes it and sets out_len to the key's length.  `out` holds at least
// wrapped.size() - 8 bytes (the key and its padding) and lies apart from `wrapped`; bytes after
// the key are zero.
// Errors: malformed (no wrapped key has this length), invalid_argument (other lengths), corrupt
// (altered or another KEK); out_len is then 0 and `out` wiped.  crypto_failure: OpenSSL could
// not set up the cipher.
Status key_unwrap(std::span<const std::uint8_t> kek, std::span<const std::uint8_t> wrapped, std::span<std::uint8_t> out,
                  std::size_t &out_len);

}  // namespace redoubt
#endif
