// aes.h - AesBlocks: raw AES block encryption on one OpenSSL cipher context.
//
// What it is: the block cipher that AES-SIV and FF1 are built on.  The context
// is initialised once per key, because a re-key costs several times a call.
// What it is not: a mode.  Equal blocks give equal output; nothing outside
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

namespace redoubt {

inline constexpr std::size_t kAesBlockSize = 16;

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
  struct ContextDeleter {
    void operator()(EVP_CIPHER_CTX *context) const noexcept;
  };
  using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

  explicit AesBlocks(Context context) noexcept : context_(std::move(context)) {}

  Context context_;
};

}  // namespace redoubt
#endif
