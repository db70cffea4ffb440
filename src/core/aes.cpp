// aes.cpp - AesBlocks on OpenSSL's EVP interface.
//
// What it is: the one place that touches the raw block cipher.  See aes.h for the
// invariant; covered by test/unit/aes_test.cpp.
#include "core/aes.h"

#include <openssl/evp.h>

#include <limits>
#include <utility>

namespace redoubt {

namespace {

// EVP counts bytes in an int.
constexpr std::size_t kMaxBlocks = std::numeric_limits<int>::max() / kAesBlockSize;

const char *cipher_name(std::size_t key_size) noexcept {
  switch (key_size) {
    case 16:
      return "AES-128-ECB";
    case 24:
      return "AES-192-ECB";
    case 32:
      return "AES-256-ECB";
    default:
      return nullptr;
  }
}

struct CipherDeleter {
  void operator()(EVP_CIPHER *cipher) const noexcept { EVP_CIPHER_free(cipher); }
};

}  // namespace

void AesBlocks::ContextDeleter::operator()(EVP_CIPHER_CTX *context) const noexcept { EVP_CIPHER_CTX_free(context); }

Result<AesBlocks> AesBlocks::make(std::span<const std::uint8_t> key) {
  const char *name = cipher_name(key.size());
  if (name == nullptr) return Status::invalid_argument;

  // Fetched per object rather than once per process: the core keeps no globals.
  const std::unique_ptr<EVP_CIPHER, CipherDeleter> cipher(EVP_CIPHER_fetch(nullptr, name, nullptr));
  Context context(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || context == nullptr) return Status::crypto_failure;
  if (EVP_EncryptInit_ex2(context.get(), cipher.get(), key.data(), nullptr, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
    return Status::crypto_failure;
  }
  return AesBlocks(std::move(context));
}

bool AesBlocks::encrypt(const std::uint8_t *in, std::uint8_t *out, std::size_t blocks) noexcept {
  if (context_ == nullptr || blocks > kMaxBlocks) return false;
  const int size = static_cast<int>(blocks * kAesBlockSize);
  int written = 0;
  // Whole blocks and no padding: the context holds nothing back between calls.
  return EVP_EncryptUpdate(context_.get(), out, &written, in, size) == 1 && written == size;
}

}  // namespace redoubt
