// passphrase.cpp - see passphrase.h.
#include "core/passphrase.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace redoubt {

Status passphrase_key(std::span<const std::uint8_t> passphrase, std::span<const std::uint8_t, kSaltSize> salt,
                      std::uint8_t cost, std::span<std::uint8_t> key) noexcept {
  constexpr std::uint64_t kBlock = 8;                  // r
  constexpr std::uint64_t kParallel = 1;               // p
  constexpr std::uint64_t kMaxMemory = 1100UL << 20U;  // of the highest cost: 128 * N * r bytes, and somewhat more
  Status status = Status::invalid_argument;
  if (cost >= kMinPassphraseCost && cost <= kMaxPassphraseCost) {
    const int made =
        EVP_PBE_scrypt(reinterpret_cast<const char *>(passphrase.data()), passphrase.size(), salt.data(), salt.size(),
                       std::uint64_t{1} << cost, kBlock, kParallel, kMaxMemory, key.data(), key.size());
    status = made == 1 ? Status::ok : Status::crypto_failure;
  }
  if (status != Status::ok) OPENSSL_cleanse(key.data(), key.size());
  return status;
}

}  // namespace redoubt
