// random.cpp - random_bytes and RandomPool on OpenSSL's RAND_bytes.
//
// See random.h; covered by test/unit/random_test.cpp.
#include "core/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstddef>

namespace redoubt {

bool random_bytes(std::span<std::uint8_t> out) noexcept {
  constexpr std::size_t kMaxPerCall = std::size_t{1} << 24U;  // RAND_bytes counts in an int
  for (std::span<std::uint8_t> rest = out; !rest.empty();) {
    const std::size_t now = std::min(rest.size(), kMaxPerCall);
    if (RAND_bytes(rest.data(), static_cast<int>(now)) != 1) {
      std::fill(out.begin(), out.end(), std::uint8_t{0});
      return false;
    }
    rest = rest.subspan(now);
  }
  return true;
}

bool RandomPool::fill(std::span<std::uint8_t> out, int process) noexcept {
  if (out.size() > kSize) return random_bytes(out);
  if (process != process_ || left_ < out.size()) {
    left_ = 0;
    if (!random_bytes(bytes_.span())) {
      std::fill(out.begin(), out.end(), std::uint8_t{0});
      return false;
    }
    left_ = kSize;
    process_ = process;
  }
  const std::span<std::uint8_t> given = bytes_.span().subspan(kSize - left_, out.size());
  std::copy(given.begin(), given.end(), out.begin());
  OPENSSL_cleanse(given.data(), given.size());
  left_ -= out.size();
  return true;
}

}  // namespace redoubt
