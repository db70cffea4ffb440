// hmac.cpp - kat for HMAC-SHA-256 (RFC 4231's format).
//
// Columns (hexadecimal): alg = HMAC-SHA-256, key, message, mac (the first 16 to 32 bytes of the
// result, as some vectors are truncated); result = valid or invalid (mac is not that of message).
#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "algorithm.h"
#include "core/mac.h"
#include "tsv.h"

namespace redoubt::test {

std::string check_hmac(const TsvRow &row) {
  using Octets = std::vector<std::uint8_t>;
  const std::string_view result = row.field("result");
  if (result != "valid" && result != "invalid") return "result is neither valid nor invalid";
  const std::optional<Octets> key = hex_bytes(row.field("key"));
  const std::optional<Octets> message = hex_bytes(row.field("message"));
  const std::optional<Octets> expected = hex_bytes(row.field("mac"));
  if (!key || !message || !expected) return "a column is not hexadecimal";
  if (expected->size() < 16 || expected->size() > kHmacSha256Size) return "mac is not 16 to 32 bytes";

  std::array<std::uint8_t, kHmacSha256Size> mac{};
  const std::array<std::span<const std::uint8_t>, 1> parts{*message};
  if (!hmac_sha256(*key, parts, mac)) return "computing failed";
  const bool equal = std::equal(expected->begin(), expected->end(), mac.begin());
  if (equal != (result == "valid")) return "computed " + bytes_hex(mac);
  return {};
}

}  // namespace redoubt::test
