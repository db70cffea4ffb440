// random.cpp - random_bytes on OpenSSL's RAND_bytes.
//
// See random.h; covered by test/unit/secret_test.cpp.
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

}  // namespace redoubt
