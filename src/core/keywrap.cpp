// keywrap.cpp - RFC 5649 by OpenSSL's AES-*-WRAP-PAD ciphers.
//
// See keywrap.h; covered by test/unit/keywrap_test.cpp.
#include "core/keywrap.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>

namespace redoubt {

namespace {

constexpr std::size_t kSemiblock = 8;
constexpr int kWrap = 1;
constexpr int kUnwrap = 0;

struct CipherDeleter {
  void operator()(EVP_CIPHER *cipher) const noexcept { EVP_CIPHER_free(cipher); }
};
struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX *context) const noexcept { EVP_CIPHER_CTX_free(context); }
};

const char *cipher_name(std::size_t kek_size) noexcept {
  switch (kek_size) {
    case 16:
      return "AES-128-WRAP-PAD";
    case 24:
      return "AES-192-WRAP-PAD";
    case 32:
      return "AES-256-WRAP-PAD";
    default:
      return nullptr;
  }
}

// transform runs the cipher once.  A null initial value means RFC 5649's own (section 3).
Status transform(int direction, std::span<const std::uint8_t> kek, std::span<const std::uint8_t> in, std::uint8_t *out,
                 std::size_t &out_len) {
  const std::unique_ptr<EVP_CIPHER, CipherDeleter> cipher(EVP_CIPHER_fetch(nullptr, cipher_name(kek.size()), nullptr));
  const std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter> context(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || context == nullptr) return Status::crypto_failure;
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  if (EVP_CipherInit_ex2(context.get(), cipher.get(), kek.data(), nullptr, direction, nullptr) != 1) {
    return Status::crypto_failure;
  }
  int written = 0;
  // Once the cipher is keyed and the length is right, unwrapping fails for one reason only: the
  // integrity check.
  if (EVP_CipherUpdate(context.get(), out, &written, in.data(), static_cast<int>(in.size())) != 1 || written <= 0) {
    return direction == kUnwrap ? Status::corrupt : Status::crypto_failure;
  }
  out_len = static_cast<std::size_t>(written);
  return Status::ok;
}

Status finish(Status status, std::span<std::uint8_t> out, std::size_t &out_len) noexcept {
  if (status != Status::ok) {
    OPENSSL_cleanse(out.data(), out.size());
    out_len = 0;
  }
  return status;
}

}  // namespace

Status key_wrap(std::span<const std::uint8_t> kek, std::span<const std::uint8_t> key, std::span<std::uint8_t> out,
                std::size_t &out_len) {
  out_len = 0;
  if (cipher_name(kek.size()) == nullptr || key.empty() || key.size() > kKeyWrapMaxKey ||
      out.size() < key_wrap_size(key.size())) {
    return finish(Status::invalid_argument, out, out_len);
  }
  return finish(transform(kWrap, kek, key, out.data(), out_len), out, out_len);
}

Status key_unwrap(std::span<const std::uint8_t> kek, std::span<const std::uint8_t> wrapped, std::span<std::uint8_t> out,
                  std::size_t &out_len) {
  out_len = 0;
  if (wrapped.size() < 2 * kSemiblock || wrapped.size() % kSemiblock != 0 ||
      wrapped.size() > key_wrap_size(kKeyWrapMaxKey)) {
    return finish(Status::malformed, out, out_len);
  }
  if (cipher_name(kek.size()) == nullptr || out.size() < wrapped.size() - kSemiblock) {
    return finish(Status::invalid_argument, out, out_len);
  }
  // A failed integrity check leaves entries in OpenSSL's error queue that nobody will read.
  ERR_set_mark();
  const Status status = transform(kUnwrap, kek, wrapped, out.data(), out_len);
  ERR_pop_to_mark();
  return finish(status, out, out_len);
}

}  // namespace redoubt
