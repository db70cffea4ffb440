// base64url.h - base64url without padding (RFC 4648 section 5), strict.
//
// What it is: the text form of a token's bytes.
// What it is not: lenient.  Each byte string has exactly one text: padding, white space, foreign
// characters and non-zero trailing bits (section 3.5) are refused, so that equal text means
// equal token.
// Not constant-time: for tokens and other public bytes, never for keys.
// Locks: none.  Covered by test/unit/base64url_test.cpp.
#ifndef REDOUBT_CORE_BASE64URL_H
#define REDOUBT_CORE_BASE64URL_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/result.h"

namespace redoubt {

// base64url_encoded_size is the number of characters for `bytes` bytes.
constexpr std::size_t base64url_encoded_size(std::size_t bytes) noexcept {
  return bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1);
}

// base64url_decoded_size is the number of bytes in `characters` characters; where the remainder
// of 4 is 1 (no such encoding exists), that of the longest prefix which could be one.
constexpr std::size_t base64url_decoded_size(std::size_t characters) noexcept {
  return characters / 4 * 3 + characters % 4 * 3 / 4;
}

// base64url_encode writes exactly base64url_encoded_size(in.size()) characters, no terminator.
// Error: invalid_argument (`out` is not of that size), nothing written.
Status base64url_encode(std::span<const std::uint8_t> in, std::span<char> out) noexcept;

// base64url_decode writes base64url_decoded_size(in.size()) bytes and returns that number.
// `out` may be larger.  Errors: invalid_argument (out too small), malformed; `out` is then
// undefined.
Result<std::size_t> base64url_decode(std::string_view in, std::span<std::uint8_t> out) noexcept;

}  // namespace redoubt
#endif
