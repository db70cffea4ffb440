// token_fuzz.cpp - libFuzzer: tokens from outside, as text and as bytes, and values sealed.
//
// The input is taken for a token's text, for a token's bytes and for a value.  Properties: text
// that decodes encodes back to itself, bytes that parse survive the text form, order is
// antisymmetric on any bytes, a token nobody sealed does not open, a sealed value opens to itself
// and stops doing so when its flag is turned.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/token.h"
#include "fuzz_input.h"

namespace {

using redoubt::Status;

redoubt::TokenSealer make_sealer(std::uint16_t key_version) {
  const std::vector<std::uint8_t> k1(32, 0x11);
  const std::vector<std::uint8_t> k2(32, 0x22);
  const std::vector<std::uint8_t> class_id(redoubt::kTokenClassIdSize, 0x33);
  redoubt::Result<redoubt::TokenSealer> sealer = redoubt::TokenSealer::make(k1, k2, class_id, key_version);
  require(sealer.ok());
  return *std::move(sealer);
}

std::string to_text(Bytes token) {
  std::string text(redoubt::token_text_size(token.size()), '\0');
  require(redoubt::token_to_text(token, text) == Status::ok);
  return text;
}

void check_text(std::string_view text) {
  std::vector<std::uint8_t> token(redoubt::token_binary_size_bound(text));
  const redoubt::Result<std::size_t> size = redoubt::token_from_text(text, token);
  if (!size.ok()) return;
  require(redoubt::token_has_prefix(text) && *size == token.size());
  require(redoubt::token_parse(token).ok());
  require(to_text(token) == text);
}

void check_bytes(Bytes token) {
  const Bytes half = token.first(token.size() / 2);
  const int forward = redoubt::token_compare(token, half);
  const int backward = redoubt::token_compare(half, token);
  require((forward < 0) == (backward > 0) && (forward == 0) == (backward == 0));
  const std::uint64_t a = redoubt::token_prefix(token);
  const std::uint64_t b = redoubt::token_prefix(half);
  require(a == b || (a < b) == (forward < 0));

  const redoubt::Result<redoubt::TokenView> view = redoubt::token_parse(token);
  if (!view.ok()) return;
  check_text(to_text(token));
  require(view->vaulted == (view->key_version == 0));
  redoubt::TokenSealer sealer = make_sealer(view->vaulted ? 1 : view->key_version);
  std::vector<std::uint8_t> value(view->ciphertext.size(), 0xa5);
  std::size_t size = 0;
  require(sealer.open(*view, value, size) == (view->vaulted ? Status::malformed : Status::corrupt) && size == 0);
  require(wiped(value));
}

void check_value(Bytes value) {
  redoubt::TokenSealer sealer = make_sealer(7);
  const std::array<std::uint8_t, redoubt::kTokenNonceSize> nonce{1, 2, 3};
  for (const bool randomised : {false, true}) {
    std::vector<std::uint8_t> token(redoubt::TokenSealer::sealed_size(value.size(), randomised));
    require(sealer.seal(value, randomised, Bytes(nonce).first(randomised ? nonce.size() : 0), token) == Status::ok);
    const redoubt::Result<redoubt::TokenView> view = redoubt::token_parse(token);
    require(view.ok());
    std::vector<std::uint8_t> opened(view->ciphertext.size());
    std::size_t size = 0;
    require(sealer.open(*view, opened, size) == Status::ok);
    require(std::equal(value.begin(), value.end(), opened.begin(), opened.begin() + static_cast<std::ptrdiff_t>(size)));

    token[0] = static_cast<std::uint8_t>(token[0] ^ 1U);
    const redoubt::Result<redoubt::TokenView> turned = redoubt::token_parse(token);
    require(!turned.ok() || sealer.open(*turned, opened, size) == Status::corrupt);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const Bytes input(data, size);
  const std::string text(input.begin(), input.end());
  check_text(text);
  check_text(std::string(redoubt::kTokenPrefix) + text);
  check_bytes(input);
  check_value(input);
  return 0;
}
