// aes.cpp - AesBlocks and AesChain on OpenSSL's EVP interface.
//
// What it is: the one place that touches the raw block cipher.  See aes.h for the
// invariant; covered by test/unit/aes_test.cpp.
#include "core/aes.h"

#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <limits>
#include <utility>

namespace redoubt {

namespace {

// EVP counts bytes in an int.
constexpr std::size_t kMaxBlocks = std::numeric_limits<int>::max() / kAesBlockSize;

struct CipherDeleter {
  void operator()(EVP_CIPHER *cipher) const noexcept { EVP_CIPHER_free(cipher); }
};

struct CipherNames {
  const char *aes128;
  const char *aes192;
  const char *aes256;
};
constexpr CipherNames kBlockCiphers = {"AES-128-ECB", "AES-192-ECB", "AES-256-ECB"};
constexpr CipherNames kChainCiphers = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"};

const char *name_by_key(const CipherNames &names, std::size_t key_size) noexcept {
  switch (key_size) {
    case 16:
      return names.aes128;
    case 24:
      return names.aes192;
    case 32:
      return names.aes256;
    default:
      return nullptr;
  }
}

Result<detail::CipherContext> keyed_context(const CipherNames &names, std::span<const std::uint8_t> key,
                                            const std::uint8_t *iv) {
  const char *name = name_by_key(names, key.size());
  if (name == nullptr) return Status::invalid_argument;

  // Fetched per object rather than once per process: the core keeps no globals.
  const std::unique_ptr<EVP_CIPHER, CipherDeleter> cipher(EVP_CIPHER_fetch(nullptr, name, nullptr));
  detail::CipherContext context(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || context == nullptr) return Status::crypto_failure;
  if (EVP_EncryptInit_ex2(context.get(), cipher.get(), key.data(), iv, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1) {
    return Status::crypto_failure;
  }
  return context;
}

// Whole blocks without the buffering of EVP_EncryptUpdate, which costs more than the blocks of a short value.
bool encipher(EVP_CIPHER_CTX *context, const std::uint8_t *in, std::uint8_t *out, std::size_t blocks) noexcept {
  if (context == nullptr || blocks > kMaxBlocks) return false;
  const std::size_t size = blocks * kAesBlockSize;
  return EVP_Cipher(context, out, in, static_cast<unsigned int>(size)) == static_cast<int>(size);
}

}  // namespace

void detail::CipherContextDeleter::operator()(EVP_CIPHER_CTX *context) const noexcept { EVP_CIPHER_CTX_free(context); }

Result<AesBlocks> AesBlocks::make(std::span<const std::uint8_t> key) {
  Result<detail::CipherContext> context = keyed_context(kBlockCiphers, key, nullptr);
  if (!context.ok()) return context.status();
  return AesBlocks(*std::move(context));
}

bool AesBlocks::encrypt(const std::uint8_t *in, std::uint8_t *out, std::size_t blocks) noexcept {
  return encipher(context_.get(), in, out, blocks);
}

Result<AesChain> AesChain::make(std::span<const std::uint8_t> key) {
  constexpr std::array<std::uint8_t, kAesBlockSize> kZero{};
  Result<detail::CipherContext> context = keyed_context(kChainCiphers, key, kZero.data());
  if (!context.ok()) return context.status();
  return AesChain(*std::move(context));
}

// A new IV would cost as much as several blocks.  So the block that the context is going to add to the first one is
// taken out of it before.
bool AesChain::encrypt(std::uint8_t *message, std::size_t blocks, bool begins) noexcept {
  std::uint8_t *const chained = chained_.span().data();
  if (begins)
    for (std::size_t i = 0; i < kAesBlockSize; ++i) message[i] ^= chained[i];
  if (!encipher(context_.get(), message, message, blocks)) {
    context_.reset();
    return false;
  }
  std::memcpy(chained, message + (blocks - 1) * kAesBlockSize, kAesBlockSize);
  return true;
}

}  // namespace redoubt
