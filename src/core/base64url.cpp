// base64url.cpp - base64url without padding (RFC 4648 section 5).
//
// See base64url.h; covered by test/unit/base64url_test.cpp.
#include "core/base64url.h"

#include <array>

namespace redoubt {

namespace {

// Table 2 of RFC 4648.
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kForeign = 0xff;  // not a character of the alphabet

constexpr std::array<std::uint8_t, 256> make_values() noexcept {
  std::array<std::uint8_t, 256> values{};
  values.fill(kForeign);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

constexpr std::array<std::uint8_t, 256> kValues = make_values();

constexpr std::uint32_t value_of(char c) noexcept { return kValues[static_cast<unsigned char>(c)]; }

}  // namespace

Status base64url_encode(std::span<const std::uint8_t> in, std::span<char> out) noexcept {
  if (out.size() != base64url_encoded_size(in.size())) return Status::invalid_argument;
  char *to = out.data();
  std::size_t i = 0;
  for (; i + 3 <= in.size(); i += 3) {
    const std::uint32_t group = std::uint32_t{in[i]} << 16U | std::uint32_t{in[i + 1]} << 8U | in[i + 2];
    *to++ = kAlphabet[group >> 18U];
    *to++ = kAlphabet[group >> 12U & 63U];
    *to++ = kAlphabet[group >> 6U & 63U];
    *to++ = kAlphabet[group & 63U];
  }
  if (in.size() - i == 1) {
    *to++ = kAlphabet[in[i] >> 2U];
    *to++ = kAlphabet[(in[i] & 3U) << 4U];
  } else if (in.size() - i == 2) {
    const std::uint32_t group = std::uint32_t{in[i]} << 8U | in[i + 1];
    *to++ = kAlphabet[group >> 10U];
    *to++ = kAlphabet[group >> 4U & 63U];
    *to++ = kAlphabet[(group & 15U) << 2U];
  }
  return Status::ok;
}

Result<std::size_t> base64url_decode(std::string_view in, std::span<std::uint8_t> out) noexcept {
  if (in.size() % 4 == 1) return Status::malformed;
  const std::size_t size = base64url_decoded_size(in.size());
  if (out.size() < size) return Status::invalid_argument;

  std::uint8_t *to = out.data();
  std::uint32_t seen = 0;  // all values or-ed together: a foreign character sets bit 7
  std::size_t i = 0;
  for (; i + 4 <= in.size(); i += 4) {
    const std::uint32_t a = value_of(in[i]);
    const std::uint32_t b = value_of(in[i + 1]);
    const std::uint32_t c = value_of(in[i + 2]);
    const std::uint32_t d = value_of(in[i + 3]);
    seen |= a | b | c | d;
    *to++ = static_cast<std::uint8_t>(a << 2U | b >> 4U);
    *to++ = static_cast<std::uint8_t>(b << 4U | c >> 2U);
    *to++ = static_cast<std::uint8_t>(c << 6U | d);
  }
  if (i < in.size()) {  // two or three characters are left
    const bool three = in.size() - i == 3;
    const std::uint32_t a = value_of(in[i]);
    const std::uint32_t b = value_of(in[i + 1]);
    const std::uint32_t c = three ? value_of(in[i + 2]) : 0;
    seen |= a | b | c;
    *to++ = static_cast<std::uint8_t>(a << 2U | b >> 4U);
    if (three) *to++ = static_cast<std::uint8_t>(b << 4U | c >> 2U);
    // Section 3.5: the bits after the last byte must be zero, or two texts would mean one token.
    if ((three ? c & 3U : b & 15U) != 0) return Status::malformed;
  }
  if ((seen & 0x80U) != 0) return Status::malformed;
  return size;
}

}  // namespace redoubt
