// vault.cpp - see vault.h for the record and the invariant.
//
// Covered by test/unit/vault_test.cpp.
#include "core/vault.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace redoubt {

namespace {

constexpr std::uint8_t kVersion1 = 1;
constexpr std::string_view kValueLabel = "redoubt vault value v1";
constexpr std::string_view kFingerprintLabel = "redoubt vault fingerprint v1";

std::span<const std::uint8_t> bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

}  // namespace

Result<std::uint16_t> vault_key_version(std::span<const std::uint8_t> record) noexcept {
  if (record.empty()) return Status::malformed;
  if (record[0] != kVersion1) return Status::unsupported;
  if (record.size() < kVaultOverhead) return Status::malformed;
  const auto version = static_cast<std::uint16_t>(record[1] << 8U | record[2]);
  if (version == 0) return Status::malformed;
  return version;
}

Result<VaultSealer> VaultSealer::make(std::span<const std::uint8_t> k1, std::span<const std::uint8_t> k2,
                                      std::span<const std::uint8_t> class_id, std::uint16_t key_version) {
  if (class_id.size() != kVaultClassIdSize || key_version == 0) return Status::invalid_argument;
  Result<Siv> siv = Siv::make(k1, k2);
  if (!siv.ok()) return siv.status();
  const std::array<std::span<const std::uint8_t>, 2> components{class_id, bytes(kFingerprintLabel)};
  Result<SivAd> ad = siv->absorb(components);
  if (!ad.ok()) return ad.status();

  VaultSealer sealer;
  sealer.siv_ = *std::move(siv);
  sealer.fingerprint_ad_ = *std::move(ad);
  std::copy(class_id.begin(), class_id.end(), sealer.class_id_.begin());
  sealer.key_version_ = key_version;
  return sealer;
}

std::array<std::span<const std::uint8_t>, 3> VaultSealer::associated(
    std::span<const std::uint8_t> token) const noexcept {
  return {class_id_, token, bytes(kValueLabel)};
}

Status VaultSealer::seal(std::span<const std::uint8_t> token, std::span<const std::uint8_t> value,
                         std::span<std::uint8_t> out) noexcept {
  Status status = Status::invalid_argument;
  if (out.size() == sealed_size(value.size())) {
    out[0] = kVersion1;
    out[1] = static_cast<std::uint8_t>(key_version_ >> 8U);
    out[2] = static_cast<std::uint8_t>(key_version_ & 0xffU);
    status = siv_.seal(associated(token), value, out.subspan(kVaultHeaderSize));
  }
  if (status != Status::ok) OPENSSL_cleanse(out.data(), out.size());
  return status;
}

Status VaultSealer::open(std::span<const std::uint8_t> token, std::span<const std::uint8_t> record,
                         std::span<std::uint8_t> out) noexcept {
  const Result<std::uint16_t> version = vault_key_version(record);
  Status status = version.status();
  if (status == Status::ok) {
    status = *version == key_version_ && out.size() == record.size() - kVaultOverhead
                 ? siv_.open(associated(token), record.subspan(kVaultHeaderSize), out)
                 : Status::invalid_argument;
  }
  if (status != Status::ok) OPENSSL_cleanse(out.data(), out.size());
  return status;
}

Status VaultSealer::fingerprint(std::span<const std::uint8_t> value,
                                std::span<std::uint8_t, kVaultFingerprintSize> out) noexcept {
  return siv_.fingerprint(fingerprint_ad_, value, out);
}

}  // namespace redoubt
