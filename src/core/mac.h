// mac.h - HMAC-SHA-256 (RFC 2104, FIPS 198-1) over a message given in parts.
//
// What it is: the authenticator of the audit chain and of fingerprints of keys.
// What it is not: a key derivation function or a password hash.
// Invariant: parts are simply concatenated - their boundaries are NOT authenticated, so a
// caller whose parts vary in length must encode the lengths.
// Locks: none.  One HmacSha256 serves one thread at a time.
// Covered by test/unit/mac_test.cpp (RFC 4231 vectors).
#ifndef REDOUBT_CORE_MAC_H
#define REDOUBT_CORE_MAC_H

#include <openssl/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/result.h"

namespace redoubt {

inline constexpr std::size_t kHmacSha256Size = 32;

// HmacSha256 is keyed once and computes any number of authenticators.
class HmacSha256 {
 public:
  HmacSha256() noexcept = default;

  // make keys the object; any length from 1 byte on (32 random bytes are the usual key).
  // Errors: invalid_argument (empty key), crypto_failure.
  static Result<HmacSha256> make(std::span<const std::uint8_t> key);

  // compute writes the HMAC of the parts, concatenated, to `out` (32 bytes).  Calls are
  // independent of each other.  False if the object is empty or OpenSSL fails; `out` is then
  // all zero.
  bool compute(std::span<const std::span<const std::uint8_t>> parts,
               std::span<std::uint8_t, kHmacSha256Size> out) noexcept;

 private:
  struct ContextDeleter {
    void operator()(EVP_MAC_CTX *context) const noexcept;
  };
  using Context = std::unique_ptr<EVP_MAC_CTX, ContextDeleter>;

  explicit HmacSha256(Context context) noexcept : context_(std::move(context)) {}

  Context context_;
};

// hmac_sha256 is the one-shot form: false for an empty key or when OpenSSL fails, `out` then
// all zero.
bool hmac_sha256(std::span<const std::uint8_t> key, std::span<const std::span<const std::uint8_t>> parts,
                 std::span<std::uint8_t, kHmacSha256Size> out);

}  // namespace redoubt
#endif
