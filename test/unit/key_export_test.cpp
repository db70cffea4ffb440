// key_export_test.cpp - data keys under a passphrase: records, round trip, and what must be refused.
#include "core/key_export.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base64url.h"
#include "octets.h"

namespace redoubt {
namespace {

using test::Octets;
using test::octets;
using test::random_octets;

constexpr std::uint8_t kCost = kMinPassphraseCost;

Octets two_records(const Octets &first, const Octets &second) {
  Octets records(key_record_size(7) + key_record_size(4));
  const Octets wrapped(kExportedWrapSize, 0x77);
  std::span<std::uint8_t> rest = key_record_write({"default", 1, true, first, wrapped}, records);
  rest = key_record_write({"mail", 0x1234, false, second, wrapped}, rest);
  EXPECT_TRUE(rest.empty());
  return records;
}

std::string sealed(const Octets &passphrase, const Octets &records) {
  const Octets salt = random_octets(kSaltSize);
  std::string text(key_export_text_size(records.size()), '?');
  EXPECT_EQ(key_export_seal(passphrase, std::span<const std::uint8_t, kSaltSize>(salt.data(), kSaltSize), kCost,
                            records, text),
            Status::ok);
  return text;
}

// What Python's hashlib.scrypt makes of these (n=2**14, r=8, p=1), which calls no code of ours.
TEST(Passphrase, KnownAnswer) {
  const Octets passphrase = octets("pleaseletmein");
  const Octets salt = octets("SodiumChloride01");
  const Octets expected{0xc6, 0x2a, 0x50, 0x14, 0xe2, 0xfa, 0xdd, 0x06, 0xc2, 0x6f, 0x24, 0x69, 0xd3, 0x4c, 0x42, 0x54,
                        0x89, 0x18, 0x7c, 0x12, 0xf7, 0xd4, 0xf6, 0xac, 0xb9, 0x43, 0x59, 0x74, 0x21, 0x6c, 0xc4, 0x63};
  Octets key(32);
  ASSERT_EQ(passphrase_key(passphrase, std::span<const std::uint8_t, kSaltSize>(salt.data(), kSaltSize), 14, key),
            Status::ok);
  EXPECT_EQ(key, expected);
}

TEST(Passphrase, CostIsBounded) {
  const Octets salt = random_octets(kSaltSize);
  const std::span<const std::uint8_t, kSaltSize> given(salt.data(), kSaltSize);
  Octets key(64, 0xa5);
  EXPECT_EQ(passphrase_key({}, given, kMinPassphraseCost - 1, key), Status::invalid_argument);
  EXPECT_EQ(passphrase_key({}, given, kMaxPassphraseCost + 1, key), Status::invalid_argument);
  EXPECT_TRUE(std::all_of(key.begin(), key.end(), [](std::uint8_t byte) { return byte == 0; }));
}

TEST(KeyExport, RecordsRoundTrip) {
  const Octets first = random_octets(kExportedKeySize);
  const Octets second = random_octets(kExportedKeySize);
  const Octets records = two_records(first, second);
  std::span<const std::uint8_t> rest = records;
  const Result<KeyRecord> one = key_record_read(rest);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->name, "default");
  EXPECT_EQ(one->version, 1);
  EXPECT_TRUE(one->retired);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), one->key.begin(), one->key.end()));
  ASSERT_EQ(one->wrapped.size(), kExportedWrapSize);
  EXPECT_EQ(one->wrapped.front(), 0x77);
  EXPECT_EQ(one->wrapped.back(), 0x77);
  const Result<KeyRecord> two = key_record_read(rest);
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->name, "mail");
  EXPECT_EQ(two->version, 0x1234);
  EXPECT_FALSE(two->retired);
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(key_record_read(rest).status(), Status::malformed);
}

TEST(KeyExport, MalformedRecordsAreRefused) {
  const Octets records = two_records(random_octets(kExportedKeySize), random_octets(kExportedKeySize));
  const auto refused = [](const Octets &bytes) {
    std::span<const std::uint8_t> rest = bytes;
    EXPECT_EQ(key_record_read(rest).status(), Status::malformed);
    EXPECT_EQ(rest.size(), bytes.size());
  };
  for (std::size_t size = 0; size < key_record_size(7); ++size)
    refused(Octets(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(size)));
  for (const auto &[at, byte] :
       std::vector<std::pair<std::size_t, std::uint8_t>>{{0, 0}, {3, 0}, {9, 0}, {10, 2}, {0, 255}}) {
    Octets changed = records;
    changed[at] = byte;
    refused(changed);
  }
}

TEST(KeyExport, OpensWithItsPassphraseAlone) {
  const Octets passphrase = octets("correct horse battery staple");
  const Octets records = two_records(random_octets(kExportedKeySize), random_octets(kExportedKeySize));
  const std::string text = sealed(passphrase, records);
  EXPECT_TRUE(text.starts_with("redoubt_keys_"));
  for (const char *end : {"", "\n", " \r\n"}) {
    const Result<SecretBuffer> opened = key_export_open(passphrase, text + end);
    ASSERT_TRUE(opened.ok());
    EXPECT_TRUE(std::equal(records.begin(), records.end(), opened->span().begin(), opened->span().end()));
  }
  EXPECT_NE(text, sealed(passphrase, records));
  EXPECT_EQ(key_export_open(octets("correct horse battery stapl"), text).status(), Status::corrupt);
  EXPECT_EQ(key_export_open({}, text).status(), Status::corrupt);
}

TEST(KeyExport, NothingAlteredOpens) {
  const Octets passphrase = octets("correct horse battery staple");
  const std::string text =
      sealed(passphrase, two_records(random_octets(kExportedKeySize), random_octets(kExportedKeySize)));
  constexpr std::size_t kPrefix = 13;
  Octets binary(base64url_decoded_size(text.size() - kPrefix));
  ASSERT_TRUE(base64url_decode(std::string_view(text).substr(kPrefix), binary).ok());
  const auto refused = [&passphrase](const Octets &bytes, Status why) {
    std::string changed(base64url_encoded_size(bytes.size()), '?');
    ASSERT_EQ(base64url_encode(bytes, changed), Status::ok);
    EXPECT_EQ(key_export_open(passphrase, "redoubt_keys_" + changed).status(), why);
  };
  // A byte of each part: salt, V, ciphertext.
  for (const std::size_t at :
       {std::size_t{2}, std::size_t{17}, std::size_t{18}, std::size_t{33}, std::size_t{34}, binary.size() - 1}) {
    Octets changed = binary;
    changed[at] ^= 1U;
    refused(changed, Status::corrupt);
  }
  Octets cost = binary;
  cost[1] = kCost + 1;
  refused(cost, Status::corrupt);
  cost[1] = kMaxPassphraseCost + 1;
  refused(cost, Status::malformed);
  Octets later = binary;
  later[0] = 2;
  refused(later, Status::unsupported);
  refused(Octets(binary.begin(), binary.end() - 1), Status::corrupt);
  refused(Octets(binary.begin(), binary.begin() + 33), Status::malformed);
  for (const char *none : {"", "redoubt_keys_", "redoubt_keys_!", "tok_EAAB", "redoubt_key"})
    EXPECT_EQ(key_export_open(passphrase, none).status(), Status::malformed);
}

}  // namespace
}  // namespace redoubt
