// siv_test.cpp - Siv against RFC 5297's vectors, OpenSSL's own AES-SIV and S2V on OpenSSL's CMAC,
// and what it must refuse.
#include "core/siv.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "octets.h"
#include "tsv.h"

namespace redoubt {
namespace {

using test::Octets;
using Source = test::SeededOctets;
using Components = std::vector<Octets>;
using Spans = std::vector<std::span<const std::uint8_t>>;

Spans spans(const Components &components) { return {components.begin(), components.end()}; }

Siv siv_of(const Octets &key) {
  const std::span<const std::uint8_t> both(key);
  Result<Siv> siv = Siv::make(both.first(key.size() / 2), both.subspan(key.size() / 2));
  EXPECT_TRUE(siv.ok());
  return *std::move(siv);
}

Octets seal(Siv &siv, const Components &ad, const Octets &plaintext) {
  Octets sealed(kSivSize + plaintext.size());
  EXPECT_EQ(siv.seal(spans(ad), plaintext, sealed), Status::ok);
  return sealed;
}

// open returns the status, and checks that a refusal leaves nothing behind.
Status open(Siv &siv, const Components &ad, const Octets &sealed, Octets &plaintext) {
  plaintext.assign(sealed.size() < kSivSize ? 0 : sealed.size() - kSivSize, 0xa5);
  const Status status = siv.open(spans(ad), sealed, plaintext);
  if (status != Status::ok) {
    EXPECT_TRUE(std::all_of(plaintext.begin(), plaintext.end(), [](std::uint8_t byte) { return byte == 0; }));
  }
  return status;
}

// OpenSSL's AES-SIV, named by the length of one half of the key.
Octets openssl_seal(const Octets &key, const Components &ad, const Octets &plaintext) {
  const std::string name = "AES-" + std::to_string(key.size() * 4) + "-SIV";
  const std::unique_ptr<EVP_CIPHER, decltype(&EVP_CIPHER_free)> cipher(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr),
                                                                       EVP_CIPHER_free);
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                EVP_CIPHER_CTX_free);
  Octets sealed(kSivSize + plaintext.size());
  int size = 0;
  bool done = cipher != nullptr && context != nullptr &&
              EVP_EncryptInit_ex2(context.get(), cipher.get(), key.data(), nullptr, nullptr) == 1;
  static const std::uint8_t kNothing = 0;  // OpenSSL wants a pointer even to nothing
  for (const Octets &component : ad) {
    done = done && EVP_EncryptUpdate(context.get(), nullptr, &size, component.empty() ? &kNothing : component.data(),
                                     static_cast<int>(component.size())) == 1;
  }
  done = done &&
         EVP_EncryptUpdate(context.get(), sealed.data() + kSivSize, &size,
                           plaintext.empty() ? &kNothing : plaintext.data(), static_cast<int>(plaintext.size())) == 1 &&
         EVP_EncryptFinal_ex(context.get(), nullptr, &size) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kSivSize, sealed.data()) == 1;
  EXPECT_TRUE(done) << name;
  return sealed;
}

TEST(Siv, Rfc5297AppendixA) {
  test::TsvTable table;
  std::string error;
  ASSERT_TRUE(table.read_file(REDOUBT_VECTORS "/siv_rfc5297.tsv", error)) << error;
  int published = 0;
  for (const test::TsvRow &row : table.rows()) {
    if (row.field("id") != "rfc5297-A.1" && row.field("id") != "rfc5297-A.2") continue;  // the rest: kat
    ++published;
    Components ad;
    std::string_view rest = row.field("ad");
    for (std::size_t comma = 0; comma != std::string_view::npos; rest.remove_prefix(comma + 1)) {
      comma = rest.find(',');
      ad.push_back(test::hex_bytes(rest.substr(0, comma)).value());
      if (comma == std::string_view::npos) break;
    }
    if (!row.field("nonce").empty()) ad.push_back(test::hex_bytes(row.field("nonce")).value());
    const Octets plaintext = test::hex_bytes(row.field("pt")).value();
    const Octets sealed = test::hex_bytes(row.field("ct")).value();

    Siv siv = siv_of(test::hex_bytes(row.field("key")).value());
    EXPECT_EQ(seal(siv, ad, plaintext), sealed) << row.field("id");
    Octets opened;
    EXPECT_EQ(open(siv, ad, sealed, opened), Status::ok) << row.field("id");
    EXPECT_EQ(opened, plaintext) << row.field("id");
  }
  EXPECT_EQ(published, 2);
}

// Every length once under each key size, so every length modulo a block and both sides of the
// counter buffer (1,024 bytes) are met, with 1 to 5 components of 0 to 79 bytes.
void compare_with_openssl(std::size_t key_size) {
  Source source(static_cast<unsigned>(key_size));
  for (std::size_t length = 1; length <= 4096; ++length) {
    const Octets key = source.octets(key_size);
    Components ad(1 + source.below(5));
    for (Octets &component : ad) component = source.octets(source.below(80));
    const Octets plaintext = source.octets(length);
    Siv siv = siv_of(key);
    const Octets sealed = seal(siv, ad, plaintext);
    ASSERT_EQ(sealed, openssl_seal(key, ad, plaintext)) << key_size << ' ' << length;
    Octets opened;
    ASSERT_EQ(open(siv, ad, sealed, opened), Status::ok);
    ASSERT_EQ(opened, plaintext);
  }
}

// Texts of up to four blocks are done block by block.
TEST(Siv, ShortTextsEqualOpenssl) {
  Source source(32);
  for (int round = 0; round < 40; ++round) {
    for (std::size_t length = 1; length <= 100; ++length) {
      const Octets key = source.octets(round % 2 == 0 ? 64 : 32);
      const Components ad = {source.octets(round % 3 == 0 ? 16 : source.below(40))};
      const Octets plaintext = source.octets(length);
      Siv siv = siv_of(key);
      const Octets sealed = seal(siv, ad, plaintext);
      ASSERT_EQ(sealed, openssl_seal(key, ad, plaintext)) << length;
      Octets opened;
      ASSERT_EQ(open(siv, ad, sealed, opened), Status::ok) << length;
      ASSERT_EQ(opened, plaintext);
    }
  }
}

TEST(Siv, EqualsOpensslAes256Siv) { compare_with_openssl(64); }
TEST(Siv, EqualsOpensslAes192Siv) { compare_with_openssl(48); }
TEST(Siv, EqualsOpensslAes128Siv) { compare_with_openssl(32); }

// OpenSSL 3.0's AES-SIV cannot seal an empty plaintext, so there V is compared with S2V (RFC 5297
// section 2.4) written as the standard states it, on OpenSSL's CMAC.
Octets openssl_cmac(const Octets &key, const Octets &message) {
  const std::string cipher = "AES-" + std::to_string(key.size() * 8) + "-CBC";
  Octets mac(16);
  std::size_t size = 0;
  EXPECT_NE(EVP_Q_mac(nullptr, "CMAC", nullptr, cipher.c_str(), nullptr, key.data(), key.size(), message.data(),
                      message.size(), mac.data(), mac.size(), &size),
            nullptr);
  EXPECT_EQ(size, 16U);
  return mac;
}

Octets doubled(const Octets &block) {
  Octets out(16);
  for (std::size_t i = 0; i < 16; ++i) {
    out[i] = static_cast<std::uint8_t>(block[i] << 1U | (i < 15 ? block[i + 1] >> 7U : 0));
  }
  if ((block[0] & 0x80U) != 0) out[15] = static_cast<std::uint8_t>(out[15] ^ 0x87U);
  return out;
}

Octets reference_s2v(const Octets &k1, const Components &ad, Octets plaintext) {
  const auto exclusive_or = [](const Octets &a, const Octets &b) {
    Octets out(16);
    for (std::size_t i = 0; i < 16; ++i) out[i] = static_cast<std::uint8_t>(a[i] ^ b[i]);
    return out;
  };
  Octets d = openssl_cmac(k1, Octets(16));
  for (const Octets &component : ad) d = exclusive_or(doubled(d), openssl_cmac(k1, component));
  if (plaintext.size() >= 16) {
    for (std::size_t i = 0; i < 16; ++i) {
      std::uint8_t &byte = plaintext[plaintext.size() - 16 + i];
      byte = static_cast<std::uint8_t>(byte ^ d[i]);
    }
    return openssl_cmac(k1, plaintext);
  }
  plaintext.push_back(0x80);
  plaintext.resize(16);
  return openssl_cmac(k1, exclusive_or(doubled(d), plaintext));
}

TEST(Siv, VEqualsS2vOnOpensslCmac) {
  Source source(7);
  for (const std::size_t key_size : {32U, 48U, 64U}) {
    for (int round = 0; round < 60; ++round) {
      const Octets key = source.octets(key_size);
      const Octets k1(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(key_size / 2));
      Components ad(source.below(4));  // none, too
      for (Octets &component : ad) component = source.octets(source.below(3) * source.below(20));
      const Octets plaintext = source.octets(round < 10 ? 0 : source.below(70));
      Siv siv = siv_of(key);
      Octets v = seal(siv, ad, plaintext);
      v.resize(kSivSize);
      ASSERT_EQ(v, reference_s2v(k1, ad, plaintext)) << ad.size() << " components, " << plaintext.size() << " bytes";
    }
  }
}

TEST(Siv, TellsComponentsApart) {
  Source source(11);
  Siv siv = siv_of(source.octets(64));
  const Octets plaintext = source.octets(25);
  const std::vector<Components> all{{}, {{}}, {{}, {}}, {{1, 2}}, {{1}, {2}}, {{1, 2}, {}}, {{}, {1, 2}}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Octets sealed = seal(siv, all[i], plaintext);
    for (std::size_t j = 0; j < all.size(); ++j) {
      Octets opened;
      EXPECT_EQ(open(siv, all[j], sealed, opened), i == j ? Status::ok : Status::corrupt) << i << ' ' << j;
    }
  }
}

TEST(Siv, FixedAdGivesTheSame) {
  Source source(13);
  Siv siv = siv_of(source.octets(64));
  const Components components{source.octets(16), source.octets(3)};
  const Result<SivAd> ad = siv.absorb(spans(components));
  ASSERT_TRUE(ad.ok());
  for (std::size_t length = 0; length < 100; ++length) {
    const Octets plaintext = source.octets(length);
    Octets sealed(kSivSize + length);
    ASSERT_EQ(siv.seal(*ad, plaintext, sealed), Status::ok);
    ASSERT_EQ(sealed, seal(siv, components, plaintext));
    Octets opened(length);
    ASSERT_EQ(siv.open(*ad, sealed, opened), Status::ok);
    ASSERT_EQ(opened, plaintext);
  }
}

TEST(Siv, FingerprintIsVUnderAnyK2) {
  Source source(17);
  const Octets k1 = source.octets(32);
  const Octets plaintext = source.octets(25);
  const Components components{source.octets(16)};
  Octets first;
  for (int version = 0; version < 3; ++version) {
    Result<Siv> siv = Siv::make(k1, source.octets(32));
    ASSERT_TRUE(siv.ok());
    const Result<SivAd> ad = siv->absorb(spans(components));
    ASSERT_TRUE(ad.ok());
    std::array<std::uint8_t, kSivSize> v{};
    ASSERT_EQ(siv->fingerprint(*ad, plaintext, v), Status::ok);
    const Octets sealed = seal(*siv, components, plaintext);
    EXPECT_TRUE(std::equal(v.begin(), v.end(), sealed.begin()));
    if (first.empty()) first = sealed;
    EXPECT_TRUE(std::equal(v.begin(), v.end(), first.begin())) << "V does not rotate";
    EXPECT_EQ(version == 0, sealed == first) << "the ciphertext does";
  }
}

TEST(Siv, EveryAlteredBitIsCorrupt) {
  Source source(19);
  Siv siv = siv_of(source.octets(64));
  for (const std::size_t length : {0U, 1U, 15U, 16U, 25U, 33U}) {
    const Components ad{source.octets(16)};
    const Octets sealed = seal(siv, ad, source.octets(length));
    Octets opened;
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      Octets altered = sealed;
      altered[bit / 8] = static_cast<std::uint8_t>(altered[bit / 8] ^ 1U << bit % 8);
      ASSERT_EQ(open(siv, ad, altered, opened), Status::corrupt) << length << " bit " << bit;
    }
    for (std::size_t cut = 0; cut < sealed.size(); ++cut) {
      const Octets shorter(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(cut));
      ASSERT_EQ(open(siv, ad, shorter, opened), cut < kSivSize ? Status::malformed : Status::corrupt);
    }
    Octets longer = sealed;
    longer.push_back(0);
    ASSERT_EQ(open(siv, ad, longer, opened), Status::corrupt);
  }
}

TEST(Siv, WorksExactlyInPlace) {
  Source source(23);
  Siv siv = siv_of(source.octets(64));
  const Components components{source.octets(16)};
  const Result<SivAd> ad = siv.absorb(spans(components));
  ASSERT_TRUE(ad.ok());
  for (const std::size_t length : {1U, 16U, 25U, 1024U, 1025U, 3000U}) {
    const Octets plaintext = source.octets(length);
    Octets buffer(kSivSize + length);
    std::copy(plaintext.begin(), plaintext.end(), std::span(buffer).subspan(kSivSize).begin());
    const std::span<std::uint8_t> body = std::span(buffer).subspan(kSivSize);
    ASSERT_EQ(siv.seal(*ad, body, buffer), Status::ok);
    EXPECT_EQ(buffer, seal(siv, components, plaintext));
    ASSERT_EQ(siv.open(*ad, buffer, body), Status::ok);
    EXPECT_TRUE(std::equal(body.begin(), body.end(), plaintext.begin(), plaintext.end()));
  }
}

TEST(Siv, ChecksSizes) {
  Source source(29);
  const Octets k16 = source.octets(16);
  const Octets k32 = source.octets(32);
  EXPECT_EQ(Siv::make(k16, k32).status(), Status::invalid_argument);
  EXPECT_EQ(Siv::make(source.octets(20), source.octets(20)).status(), Status::invalid_argument);
  EXPECT_EQ(Siv::make({}, {}).status(), Status::invalid_argument);

  Siv siv = siv_of(source.octets(64));
  const Octets plaintext = source.octets(10);
  for (const std::size_t size : {0U, 15U, 25U, 27U}) {
    Octets out(size, 0xa5);
    EXPECT_EQ(siv.seal(Spans{}, plaintext, out), Status::invalid_argument) << size;
    EXPECT_EQ(out, Octets(size)) << "wiped";
  }
  const Octets sealed = seal(siv, {}, plaintext);
  for (const std::size_t size : {0U, 9U, 11U}) {
    Octets out(size, 0xa5);
    EXPECT_EQ(siv.open(Spans{}, sealed, out), Status::invalid_argument) << size;
    EXPECT_EQ(out, Octets(size)) << "wiped";
  }

  const Components most(kSivMaxComponents);
  EXPECT_EQ(seal(siv, most, plaintext).size(), 26U);
  const Components too_many(kSivMaxComponents + 1);
  EXPECT_EQ(siv.absorb(spans(too_many)).status(), Status::invalid_argument);
  Octets out(26, 0xa5);
  EXPECT_EQ(siv.seal(spans(too_many), plaintext, out), Status::invalid_argument);
  EXPECT_EQ(out, Octets(26));
}

TEST(Siv, EmptyObjectFails) {
  Siv siv;
  Octets out(26, 0xa5);
  EXPECT_EQ(siv.seal(SivAd(), Octets(10), out), Status::crypto_failure);
  EXPECT_EQ(out, Octets(26));
  EXPECT_EQ(siv.open(SivAd(), Octets(26), std::span(out).first(10)), Status::crypto_failure);
  std::array<std::uint8_t, kSivSize> v{};
  EXPECT_EQ(siv.fingerprint(SivAd(), Octets(10), v), Status::crypto_failure);
  EXPECT_EQ(siv.fingerprint(SivAd(), Octets(5000), v), Status::crypto_failure);
  EXPECT_EQ(siv.absorb(Spans{Spans::value_type{}}).status(), Status::crypto_failure);
}

}  // namespace
}  // namespace redoubt
