// vault_test.cpp - records of the vault: what opens them, what does not, and what rotation keeps.
#include "core/vault.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "octets.h"

namespace redoubt {
namespace {

using test::Octets;
using test::octets;
using test::random_octets;
using Keys = test::SealerKeys<VaultSealer, kVaultClassIdSize>;
using Fingerprint = std::array<std::uint8_t, kVaultFingerprintSize>;

Octets seal(VaultSealer &sealer, const Octets &token, const Octets &value) {
  Octets record(VaultSealer::sealed_size(value.size()));
  EXPECT_EQ(sealer.seal(token, value, record), Status::ok);
  return record;
}

// open returns the status, and checks that a failure leaves nothing in the buffer.
Status open(VaultSealer &sealer, const Octets &token, const Octets &record, Octets &value) {
  value.assign(record.size() < kVaultOverhead ? 0 : record.size() - kVaultOverhead, 0xa5);
  const Status status = sealer.open(token, record, value);
  if (status != Status::ok) {
    EXPECT_TRUE(std::all_of(value.begin(), value.end(), [](std::uint8_t byte) { return byte == 0; }));
  }
  return status;
}

Fingerprint fingerprint(VaultSealer &sealer, const Octets &value) {
  Fingerprint out{};
  EXPECT_EQ(sealer.fingerprint(value, out), Status::ok);
  return out;
}

TEST(Vault, OpensWhatItSealed) {
  const Keys keys;
  VaultSealer sealer = keys.sealer(0x1234);
  const Octets token = random_octets(16);
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 100U, 5000U}) {
    const Octets value = random_octets(size);
    const Octets record = seal(sealer, token, value);
    EXPECT_EQ(record[0], 1);
    EXPECT_EQ(record[1], 0x12);
    EXPECT_EQ(record[2], 0x34);
    EXPECT_EQ(*vault_key_version(record), 0x1234);
    Octets opened;
    EXPECT_EQ(open(sealer, token, record, opened), Status::ok);
    EXPECT_EQ(opened, value);
  }
}

TEST(Vault, EqualValuesHaveUnequalRecords) {
  const Keys keys;
  VaultSealer sealer = keys.sealer();
  const Octets value = octets("alice@example.com");
  const Octets one = seal(sealer, random_octets(16), value);
  const Octets other = seal(sealer, random_octets(16), value);
  EXPECT_FALSE(
      std::equal(one.begin() + kVaultHeaderSize, one.begin() + kVaultOverhead, other.begin() + kVaultHeaderSize));
  EXPECT_FALSE(std::equal(one.begin() + kVaultOverhead, one.end(), other.begin() + kVaultOverhead));
}

TEST(Vault, ARecordOpensUnderItsOwnTokenClassAndKeyOnly) {
  const Keys keys;
  VaultSealer sealer = keys.sealer();
  const Octets token = random_octets(16);
  const Octets record = seal(sealer, token, octets("alice@example.com"));
  Octets opened;
  EXPECT_EQ(open(sealer, random_octets(16), record, opened), Status::corrupt);

  Keys other_class = {keys.k1, keys.k2, random_octets(kVaultClassIdSize)};
  VaultSealer of_other_class = other_class.sealer();
  EXPECT_EQ(open(of_other_class, token, record, opened), Status::corrupt);

  Keys other_key = {keys.k1, random_octets(32), keys.class_id};
  VaultSealer of_other_key = other_key.sealer();
  EXPECT_EQ(open(of_other_key, token, record, opened), Status::corrupt);

  VaultSealer of_other_version = keys.sealer(2);
  EXPECT_EQ(open(of_other_version, token, record, opened), Status::invalid_argument);
  EXPECT_EQ(*vault_key_version(record), sealer.key_version());
  EXPECT_EQ(of_other_version.key_version(), 2);
}

TEST(Vault, EveryAlteredByteIsFound) {
  const Keys keys;
  VaultSealer sealer = keys.sealer();
  const Octets token = random_octets(16);
  const Octets record = seal(sealer, token, octets("alice@example.com"));
  for (std::size_t i = 0; i < record.size(); ++i) {
    Octets altered = record;
    altered[i] ^= 1;
    Octets opened;
    EXPECT_NE(open(sealer, token, altered, opened), Status::ok) << i;
  }
}

TEST(Vault, RefusesWhatIsNoRecord) {
  EXPECT_EQ(vault_key_version({}).status(), Status::malformed);
  Octets record(kVaultOverhead, 0);
  EXPECT_EQ(vault_key_version(record).status(), Status::unsupported);
  record[0] = 1;
  EXPECT_EQ(vault_key_version(record).status(), Status::malformed);  // key version 0
  record[2] = 1;
  EXPECT_TRUE(vault_key_version(record).ok());
  record.pop_back();
  EXPECT_EQ(vault_key_version(record).status(), Status::malformed);
}

TEST(Vault, RefusesWrongSizes) {
  const Keys keys;
  VaultSealer sealer = keys.sealer();
  const Octets token = random_octets(16);
  const Octets value = octets("alice");
  Octets small(VaultSealer::sealed_size(value.size()) - 1, 0xa5);
  EXPECT_EQ(sealer.seal(token, value, small), Status::invalid_argument);
  EXPECT_TRUE(std::all_of(small.begin(), small.end(), [](std::uint8_t byte) { return byte == 0; }));
  const Octets record = seal(sealer, token, value);
  Octets out(value.size() + 1);
  EXPECT_EQ(sealer.open(token, record, out), Status::invalid_argument);
  EXPECT_EQ(VaultSealer::make(keys.k1, keys.k2, random_octets(15), 1).status(), Status::invalid_argument);
  EXPECT_EQ(VaultSealer::make(keys.k1, keys.k2, keys.class_id, 0).status(), Status::invalid_argument);
  VaultSealer empty;
  EXPECT_EQ(empty.seal(token, value, small), Status::invalid_argument);
  Octets whole(VaultSealer::sealed_size(value.size()));
  EXPECT_EQ(empty.seal(token, value, whole), Status::crypto_failure);
}

TEST(Vault, FingerprintsAreOfTheValueTheClassAndK1) {
  const Keys keys;
  VaultSealer sealer = keys.sealer();
  const Octets value = octets("alice@example.com");
  EXPECT_EQ(fingerprint(sealer, value), fingerprint(sealer, value));
  EXPECT_NE(fingerprint(sealer, value), fingerprint(sealer, octets("bob@example.com")));

  Keys rotated = {keys.k1, random_octets(32), keys.class_id};
  VaultSealer newer = rotated.sealer(2);
  EXPECT_EQ(fingerprint(sealer, value), fingerprint(newer, value));

  Keys other_class = {keys.k1, keys.k2, random_octets(kVaultClassIdSize)};
  VaultSealer of_other_class = other_class.sealer();
  EXPECT_NE(fingerprint(sealer, value), fingerprint(of_other_class, value));

  Keys other_k1 = {random_octets(32), keys.k2, keys.class_id};
  VaultSealer of_other_k1 = other_k1.sealer();
  EXPECT_NE(fingerprint(sealer, value), fingerprint(of_other_k1, value));
}

// Against AES-SIV as such, so that the documented components are the ones in use.
TEST(Vault, TheFingerprintIsS2vOfTheDocumentedComponents) {
  const Keys keys;
  VaultSealer sealer = keys.sealer();
  Result<Siv> siv = Siv::make(keys.k1, keys.k2);
  ASSERT_TRUE(siv.ok());
  const Octets value = octets("alice@example.com");
  const Octets label = octets("redoubt vault fingerprint v1");
  const std::array<Siv::Bytes, 2> components{keys.class_id, label};
  Octets sealed(kSivSize + value.size());
  ASSERT_EQ(siv->seal(components, value, sealed), Status::ok);
  const Fingerprint expected = fingerprint(sealer, value);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), sealed.begin()));

  const Octets token = random_octets(16);
  const Octets value_label = octets("redoubt vault value v1");
  const std::array<Siv::Bytes, 3> record_components{keys.class_id, token, value_label};
  ASSERT_EQ(siv->seal(record_components, value, sealed), Status::ok);
  const Octets record = seal(sealer, token, value);
  EXPECT_TRUE(std::equal(sealed.begin(), sealed.end(), record.begin() + kVaultHeaderSize));
}

}  // namespace
}  // namespace redoubt
