// ed25519_test.cpp - RFC 8032 section 7.1, and what is no signature.
#include "core/ed25519.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace redoubt {
namespace {

std::string bytes(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

template <std::size_t size>
std::array<std::uint8_t, size> array(std::string_view hex) {
  const std::string text = bytes(hex);
  EXPECT_EQ(text.size(), size);
  std::array<std::uint8_t, size> out;
  std::copy(text.begin(), text.end(), reinterpret_cast<char *>(out.data()));
  return out;
}

struct Vector {
  const char *seed, *public_key, *message, *signature;
};

constexpr Vector kVectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "55141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
     "027beceea1ec40a"},
};

TEST(Ed25519, IsRfc8032) {
  for (const Vector &v : kVectors) {
    const auto seed = array<32>(v.seed), expected_key = array<32>(v.public_key);
    const auto expected = array<64>(v.signature);
    const std::string message = bytes(v.message);
    std::array<std::uint8_t, 32> key;
    ASSERT_TRUE(ed25519_public_key(seed, key));
    EXPECT_EQ(key, expected_key);
    Ed25519Signature signature;
    ASSERT_TRUE(ed25519_sign(seed, message, signature));
    EXPECT_EQ(signature, expected);
    EXPECT_TRUE(ed25519_verify(key, message, signature));
  }
}

TEST(Ed25519, TakesNoOtherMessageKeyOrSignature) {
  const auto key = array<32>(kVectors[1].public_key), other = array<32>(kVectors[2].public_key);
  const auto signature = array<64>(kVectors[1].signature);
  EXPECT_FALSE(ed25519_verify(key, "s", signature));
  EXPECT_FALSE(ed25519_verify(other, "\x72", signature));
  for (std::size_t bit = 0; bit < 512; ++bit) {
    auto doctored = signature;
    doctored[bit / 8] = static_cast<std::uint8_t>(doctored[bit / 8] ^ (1U << bit % 8));
    EXPECT_FALSE(ed25519_verify(key, "\x72", doctored)) << bit;
  }
}

}  // namespace
}  // namespace redoubt
