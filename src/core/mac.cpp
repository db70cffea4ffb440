// mac.cpp - HMAC-SHA-256 on OpenSSL's EVP_MAC.
//
// What it is: the one place that touches OpenSSL's MAC interface.  See mac.h for the
// invariant; covered by test/unit/mac_test.cpp.
#include "core/mac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <utility>

namespace redoubt {

namespace {

struct MacDeleter {
  void operator()(EVP_MAC *mac) const noexcept { EVP_MAC_free(mac); }
};

}  // namespace

void HmacSha256::ContextDeleter::operator()(EVP_MAC_CTX *context) const noexcept { EVP_MAC_CTX_free(context); }

Result<HmacSha256> HmacSha256::make(std::span<const std::uint8_t> key) {
  if (key.empty()) return Status::invalid_argument;

  const std::unique_ptr<EVP_MAC, MacDeleter> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  if (mac == nullptr) return Status::crypto_failure;
  Context context(EVP_MAC_CTX_new(mac.get()));
  if (context == nullptr) return Status::crypto_failure;

  std::array<char, 7> digest{"SHA256"};
  const std::array<OSSL_PARAM, 2> parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
                                             OSSL_PARAM_construct_end()};
  if (EVP_MAC_init(context.get(), key.data(), key.size(), parameters.data()) != 1) return Status::crypto_failure;
  return HmacSha256(std::move(context));
}

bool HmacSha256::compute(std::span<const std::span<const std::uint8_t>> parts,
                         std::span<std::uint8_t, kHmacSha256Size> out) noexcept {
  // A null key restarts the context with the key it already has.
  bool done = context_ != nullptr && EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1;
  for (std::size_t i = 0; done && i < parts.size(); ++i) {
    done = parts[i].empty() || EVP_MAC_update(context_.get(), parts[i].data(), parts[i].size()) == 1;
  }
  std::size_t written = 0;
  done = done && EVP_MAC_final(context_.get(), out.data(), &written, out.size()) == 1 && written == kHmacSha256Size;
  if (!done) std::fill(out.begin(), out.end(), std::uint8_t{0});
  return done;
}

bool hmac_sha256(std::span<const std::uint8_t> key, std::span<const std::span<const std::uint8_t>> parts,
                 std::span<std::uint8_t, kHmacSha256Size> out) {
  Result<HmacSha256> mac = HmacSha256::make(key);
  if (mac.ok()) return mac->compute(parts, out);
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  return false;
}

}  // namespace redoubt
