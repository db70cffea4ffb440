// aes.h - AesBlocks and AesChain: raw AES block encryption on one OpenSSL cipher context.
//
// What it is: the block cipher that AES-SIV and FF1 are built on, block by block and chained.  The context
// is initialised once per key, because a re-key costs several times a call.
// What it is not: a mode of encryption.  Equal blocks give equal output; nothing outside
// src/core should use it, and there is no decryption because no caller needs it.
// Invariant: an object holds either a keyed context or nothing; an empty object
// encrypts nothing and says so.  The key schedule lives in OpenSSL's memory and is
// wiped when the object dies.
// Locks: none.  One object serves one thread at a time.
// Covered by test/unit/aes_test.cpp.
#ifndef REDOUBT_CORE_AES_H
#define REDOUBT_CORE_AES_H

#include <openssl/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/result.h"
#include "core/secret.h"

namespace redoubt {

inline constexpr std::size_t kAesBlockSize = 16;

namespace detail {

struct CipherContextDeleter {
  void operator()(EVP_CIPHER_CTX *context) const noexcept;
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherContextDeleter>;

}  // namespace detail

class AesBlocks {
 public:
  AesBlocks() noexcept = default;

  // make keys a context for AES-128, -192 or -256 (FIPS 197) by the key's length:
  // 16, 24 or 32 bytes.  Key set-up fetches the cipher, so it is not for a hot path.
  // Errors: invalid_argument (key length), crypto_failure.
  static Result<AesBlocks> make(std::span<const std::uint8_t> key);

  // encrypt enciphers `blocks` blocks of 16 bytes, each on its own (ECB), from `in` to
  // `out`.  The two are the same buffer or do not overlap.  One call with many blocks is
  // far cheaper than many calls.  False if the object is empty, the blocks come to 2 GiB or
  // OpenSSL fails; `out` is then undefined.
  bool encrypt(const std::uint8_t *in, std::uint8_t *out, std::size_t blocks) noexcept;

 private:
  explicit AesBlocks(detail::CipherContext context) noexcept : context_(std::move(context)) {}

  detail::CipherContext context_;
};

// AesChain: cipher block chaining from a block of zeros, whose last block CMAC is made of.  All blocks of a message are
// one call of OpenSSL, which costs more than the block itself.
class AesChain {
 public:
  AesChain() noexcept = default;

  // make is that of AesBlocks.
  static Result<AesChain> make(std::span<const std::uint8_t> key);

  // encrypt enciphers `blocks` blocks of 16 bytes, one at least, in place: a message, or where `begins` is false the
  // next part of the one before.  False if the object is empty or OpenSSL fails; the object is empty from then on, and
  // the buffer undefined.
  bool encrypt(std::uint8_t *message, std::size_t blocks, bool begins) noexcept;

 private:
  explicit AesChain(detail::CipherContext context) noexcept : context_(std::move(context)) {}

  detail::CipherContext context_;
  SecretBytes<kAesBlockSize> chained_;  // the block that the context chains to the next one
};

}  // namespace redoubt
#endif
