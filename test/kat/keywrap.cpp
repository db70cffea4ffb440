// keywrap.cpp - kat for AES key wrap with padding (RFC 5649).
//
// Columns (hexadecimal): alg = AES-KWP, kek, key, wrapped; result = valid: wrapping key gives
// wrapped and unwrapping gives it back; invalid: unwrapping is refused.
#include "core/keywrap.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "algorithm.h"
#include "tsv.h"

namespace redoubt::test {

std::string check_keywrap(const TsvRow &row) {
  using Octets = std::vector<std::uint8_t>;
  const std::string_view result = row.field("result");
  if (result != "valid" && result != "invalid") return "result is neither valid nor invalid";
  const std::optional<Octets> kek = hex_bytes(row.field("kek"));
  const std::optional<Octets> key = hex_bytes(row.field("key"));
  const std::optional<Octets> wrapped = hex_bytes(row.field("wrapped"));
  if (!kek || !key || !wrapped) return "a column is not hexadecimal";

  std::size_t size = 0;
  Octets unwrapped(wrapped->size() < 8 ? 0 : wrapped->size() - 8);
  const Status status = key_unwrap(*kek, *wrapped, unwrapped, size);
  if (result == "invalid") return status == Status::ok ? "unwrapped, but the vector is invalid" : "";
  if (status != Status::ok) return "unwrapping failed";
  unwrapped.resize(size);
  if (unwrapped != *key) return "unwrapped to " + bytes_hex(unwrapped);

  Octets out(key_wrap_size(key->size()));
  if (key_wrap(*kek, *key, out, size) != Status::ok || size != out.size()) return "wrapping failed";
  if (out != *wrapped) return "wrapped to " + bytes_hex(out);
  return {};
}

}  // namespace redoubt::test
