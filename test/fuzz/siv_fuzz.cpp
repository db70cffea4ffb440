// siv_fuzz.cpp - libFuzzer: AES-SIV on any key, associated data and message.
//
// Input: 1 byte that chooses key size and number of components, the key, then for each component a
// length byte and its bytes; the rest is the message.  Properties: what is sealed opens to itself,
// V equals the fingerprint, a changed bit is refused and wiped, and bytes that were never sealed
// do not open.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/siv.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Bytes input(data, size);
  if (input.empty()) return 0;
  const std::uint8_t choice = input[0];
  input = input.subspan(1);
  constexpr std::array<std::size_t, 4> kHalves{16, 24, 32, 20};  // the last is no key length
  const std::size_t half = kHalves[choice & 3U];
  std::array<std::uint8_t, 64> key{};
  const Bytes given = take(input, 2 * half);
  std::copy(given.begin(), given.end(), key.begin());
  redoubt::Result<redoubt::Siv> siv = redoubt::Siv::make(Bytes(key).first(half), Bytes(key).subspan(half, half));
  require(siv.ok() == (half != 20));
  if (!siv.ok()) return 0;

  std::vector<Bytes> components;
  for (unsigned i = 0; i < (choice >> 2U) % 8U && !input.empty(); ++i) {
    const std::size_t length = input[0];
    input = input.subspan(1);
    components.push_back(take(input, length));
  }
  const redoubt::Result<redoubt::SivAd> ad = siv->absorb(components);
  require(ad.ok());

  std::vector<std::uint8_t> sealed(redoubt::kSivSize + input.size());
  std::vector<std::uint8_t> opened(input.size());
  require(siv->seal(components, input, sealed) == redoubt::Status::ok);
  require(siv->open(*ad, sealed, opened) == redoubt::Status::ok);
  require(std::equal(opened.begin(), opened.end(), input.begin(), input.end()));
  std::array<std::uint8_t, redoubt::kSivSize> v{};
  require(siv->fingerprint(*ad, input, v) == redoubt::Status::ok);
  require(std::equal(v.begin(), v.end(), sealed.begin()));

  std::uint8_t &altered = sealed[(std::size_t{choice} * 131U) % sealed.size()];
  altered = static_cast<std::uint8_t>(altered ^ 1U << (choice & 7U));
  require(siv->open(*ad, sealed, opened) == redoubt::Status::corrupt);
  require(wiped(opened));

  // The message itself, taken for something sealed.
  opened.assign(input.size() < redoubt::kSivSize ? 0 : input.size() - redoubt::kSivSize, 0xa5);
  require(siv->open(components, input, opened) != redoubt::Status::ok);
  require(wiped(opened));
  return 0;
}
