// secret.h - SecretBytes<N>: a fixed-size key buffer that is wiped when it dies.
//
// Fixed capacity on purpose: a growable container leaves unwiped copies behind
// when it reallocates.  Not copyable; moving wipes the source.  Comparison is
// constant-time only.  Covered by test/unit/secret_test.cpp.
#ifndef REDOUBT_CORE_SECRET_H
#define REDOUBT_CORE_SECRET_H

#include <openssl/crypto.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace redoubt {

template <std::size_t N>
class SecretBytes {
 public:
  SecretBytes() noexcept : bytes_{} {}
  ~SecretBytes() { wipe(); }
  SecretBytes(const SecretBytes &) = delete;
  SecretBytes &operator=(const SecretBytes &) = delete;
  SecretBytes(SecretBytes &&other) noexcept : bytes_(other.bytes_) { other.wipe(); }
  SecretBytes &operator=(SecretBytes &&other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      other.wipe();
    }
    return *this;
  }

  std::span<std::uint8_t, N> span() noexcept { return bytes_; }
  std::span<const std::uint8_t, N> span() const noexcept { return bytes_; }
  void wipe() noexcept { OPENSSL_cleanse(bytes_.data(), N); }

 private:
  std::array<std::uint8_t, N> bytes_;
};

// secret_equal compares in time that depends on the lengths alone.
inline bool secret_equal(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace redoubt
#endif
