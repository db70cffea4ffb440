// vault.h - VaultSealer: the values of vaulted tokens as they lie in the vault.
//
// Record, the column `sealed` of redoubt.vault:
//
//   offset  size  field
//        0     1  format version, 1
//        1     2  key version, big-endian, 1 to 65535: which K2 sealed it
//        3    16  V, the synthetic IV of AES-SIV (RFC 5297)
//       19     n  ciphertext, as long as the value
//
// Associated data: three components, the type's 16-byte class id, the token as it is stored in the vault,
// and "redoubt vault value v1".  So a record opens under its own token only, and equal values have
// unequal records.  The fingerprint, by which the token of a value is found, is S2V of the value with the two
// components class id and "redoubt vault fingerprint v1": it depends on K1 alone, and rotation keeps it.
//
// What this is not: the token.  That is random and says nothing; nor who may open, nor how long.
// Invariant: no other use of a class's keys has these components (token.h has one, or two of which
// the second is one byte).
// Locks: none.  One VaultSealer serves one thread at a time.
// Covered by test/unit/vault_test.cpp and test/fuzz/vault_fuzz.cpp.
#ifndef REDOUBT_CORE_VAULT_H
#define REDOUBT_CORE_VAULT_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"
#include "core/siv.h"

namespace redoubt {

inline constexpr std::size_t kVaultClassIdSize = 16;
inline constexpr std::size_t kVaultHeaderSize = 3;
inline constexpr std::size_t kVaultOverhead = kVaultHeaderSize + kSivSize;
inline constexpr std::size_t kVaultFingerprintSize = kSivSize;

// vault_key_version reads the key version of a record and checks the record's form.
// Errors: malformed (too short, key version 0), unsupported (format version).
Result<std::uint16_t> vault_key_version(std::span<const std::uint8_t> record) noexcept;

// VaultSealer seals and opens the values of one class under one version of its key.
class VaultSealer {
 public:
  VaultSealer() noexcept = default;  // empty: every operation is a crypto_failure

  // make: k1 (the fingerprint key) and k2 are 16, 24 or 32 bytes, both of one length; class_id is 16 bytes;
  // key_version >= 1.  Errors: invalid_argument, crypto_failure.
  static Result<VaultSealer> make(std::span<const std::uint8_t> k1, std::span<const std::uint8_t> k2,
                                  std::span<const std::uint8_t> class_id, std::uint16_t key_version);

  std::uint16_t key_version() const noexcept { return key_version_; }

  static constexpr std::size_t sealed_size(std::size_t value) noexcept { return kVaultOverhead + value; }

  // seal writes the record of `value` under `token` to `out`, whose size is exactly sealed_size() and which
  // overlaps neither.  Errors: invalid_argument (size of out), crypto_failure; `out` is then wiped.
  Status seal(std::span<const std::uint8_t> token, std::span<const std::uint8_t> value,
              std::span<std::uint8_t> out) noexcept;

  // open writes the value to `out`, whose size is exactly record.size() - kVaultOverhead.
  // Errors: malformed, unsupported (see vault_key_version), invalid_argument (record of another key version, size
  // of out), corrupt (altered, or of another token, class or key), crypto_failure; `out` is then wiped.
  Status open(std::span<const std::uint8_t> token, std::span<const std::uint8_t> record,
              std::span<std::uint8_t> out) noexcept;

  // fingerprint writes the fingerprint of a value.  Error: crypto_failure; `out` is then wiped.
  Status fingerprint(std::span<const std::uint8_t> value, std::span<std::uint8_t, kVaultFingerprintSize> out) noexcept;

 private:
  std::array<std::span<const std::uint8_t>, 3> associated(std::span<const std::uint8_t> token) const noexcept;

  Siv siv_;
  SivAd fingerprint_ad_;
  std::array<std::uint8_t, kVaultClassIdSize> class_id_ = {};
  std::uint16_t key_version_ = 0;
};

}  // namespace redoubt
#endif
