// base64url_test.cpp - the vectors of RFC 4648, every short string, and what must be refused.
#include "core/base64url.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt {
namespace {

using Octets = std::vector<std::uint8_t>;

std::string encode(const Octets &in) {
  std::string text(base64url_encoded_size(in.size()), '\0');
  EXPECT_EQ(base64url_encode(in, text), Status::ok);
  return text;
}

Status decode(std::string_view text, Octets &out) {
  out.assign(base64url_decoded_size(text.size()), 0);
  const Result<std::size_t> size = base64url_decode(text, out);
  if (size.ok()) {
    EXPECT_EQ(*size, out.size());
  }
  return size.status();
}

Octets octets(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Base64url, Rfc4648Section10WithoutPadding) {
  constexpr std::pair<const char *, const char *> kVectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"},
  };
  for (const auto &[plain, text] : kVectors) {
    EXPECT_EQ(encode(octets(plain)), text);
    Octets decoded;
    EXPECT_EQ(decode(text, decoded), Status::ok);
    EXPECT_EQ(decoded, octets(plain));
  }
}

TEST(Base64url, UsesTheUrlAlphabet) {
  EXPECT_EQ(encode({0xfb, 0xff, 0xfe}), "-__-");
  EXPECT_EQ(encode({0x00, 0x10, 0x83, 0x10, 0x51, 0x87, 0x20, 0x92, 0x8b}), "ABCDEFGHIJKL");
}

TEST(Base64url, RoundTripsAllLengthsAndBytes) {
  Octets in;
  for (unsigned size = 0; size < 600; ++size) {
    Octets decoded;
    ASSERT_EQ(decode(encode(in), decoded), Status::ok) << size;
    ASSERT_EQ(decoded, in);
    in.push_back(static_cast<std::uint8_t>(size * 167U));
  }
}

TEST(Base64url, EachByteStringHasOneText) {
  // All texts of two and of three characters of any byte: exactly the 256 and 65,536 canonical
  // ones decode, and each encodes back to itself.
  std::size_t accepted = 0;
  Octets decoded;
  for (unsigned pair = 0; pair < 65536; ++pair) {
    const std::string text{static_cast<char>(pair >> 8U), static_cast<char>(pair & 255U)};
    if (decode(text, decoded) != Status::ok) continue;
    ++accepted;
    ASSERT_EQ(encode(decoded), text);
  }
  EXPECT_EQ(accepted, 256U);

  accepted = 0;
  for (unsigned triple = 0; triple < 128U * 128U * 128U; ++triple) {
    const std::string text{static_cast<char>(triple >> 14U), static_cast<char>(triple >> 7U & 127U),
                           static_cast<char>(triple & 127U)};
    if (decode(text, decoded) != Status::ok) continue;
    ++accepted;
    ASSERT_EQ(encode(decoded), text);
  }
  EXPECT_EQ(accepted, 65536U);
}

TEST(Base64url, RefusesWhatIsNotCanonical) {
  Octets decoded;
  for (const std::string_view text : {"Z", "Zm9vZ", "Zg==", "Zm8=", "Zm9v\n", " Zm9v", "Zm 9", "Zm+v", "Zm/v", "Zm.v",
                                      "Zh", "Zm9", "Zm9vYh", "====", "\xc3\xa9-9"}) {
    EXPECT_EQ(decode(text, decoded), Status::malformed) << text;
  }
  EXPECT_EQ(decode(std::string_view("Zm9\0", 4), decoded), Status::malformed);
}

TEST(Base64url, ChecksBufferSizes) {
  Octets small(2);
  EXPECT_EQ(base64url_decode("Zm9v", small).status(), Status::invalid_argument);
  std::string text(5, '?');
  EXPECT_EQ(base64url_encode(octets("foo"), text), Status::invalid_argument);
  EXPECT_EQ(text, "?????");
}

}  // namespace
}  // namespace redoubt
