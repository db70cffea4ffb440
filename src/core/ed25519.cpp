// ed25519.cpp - see ed25519.h.
// Covered by test/unit/ed25519_test.cpp.
#include "core/ed25519.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

namespace redoubt {
namespace {

struct Deleter {
  void operator()(EVP_PKEY *key) const noexcept { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX *context) const noexcept { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter>;
using Context = std::unique_ptr<EVP_MD_CTX, Deleter>;

const unsigned char *bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char *>(text.data());
}

// What failed stays in no queue of errors that somebody else reads.
bool done(bool good) noexcept {
  if (!good) ERR_clear_error();
  return good;
}

}  // namespace

bool ed25519_public_key(Ed25519Key seed, std::span<std::uint8_t, kEd25519KeySize> out) noexcept {
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  std::size_t size = out.size();
  return done(key != nullptr && EVP_PKEY_get_raw_public_key(key.get(), out.data(), &size) == 1 && size == out.size());
}

bool ed25519_sign(Ed25519Key seed, std::string_view message, Ed25519Signature &out) noexcept {
  out.fill(0);
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  const Context context(EVP_MD_CTX_new());
  std::size_t size = out.size();
  return done(key != nullptr && context != nullptr &&
              EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
              EVP_DigestSign(context.get(), out.data(), &size, bytes_of(message), message.size()) == 1 &&
              size == out.size());
}

bool ed25519_verify(Ed25519Key public_key, std::string_view message, const Ed25519Signature &signature) noexcept {
  const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()));
  const Context context(EVP_MD_CTX_new());
  return done(key != nullptr && context != nullptr &&
              EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
              EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes_of(message), message.size()) ==
                  1);
}

}  // namespace redoubt
