// key_export.h - data keys under a passphrase, as a text that may be kept anywhere.
//
// Text form: "redoubt_keys_" and the base64url of:
//
//   offset  size  field
//        0     1  format version, 1
//        1     1  cost of the passphrase (passphrase.h)
//        2    16  salt, random, so that no two exports have one key
//       18    16  V, the synthetic IV of AES-SIV (RFC 5297)
//       34     n  ciphertext of the records, as long as these
//
// The SIV key, 64 bytes, is scrypt(passphrase, salt).  Associated data: "redoubt key export", and the first 18 bytes.
//
// A record is a version of a key: 1 byte length of the name, the name in UTF-8, 2 bytes version (big-endian), 1 byte
// state (0 in use, 1 retired), 32 bytes fingerprint key, 32 bytes encryption key, and 72 bytes that are the same key as
// the exporting database keeps it, wrapped.  Key wrap is deterministic, so who has a copy of that database can tell
// that the key is his without being able to open it.
//
// What this is not: which keys there are, nor what becomes of them.
// Invariant: no key byte lies outside of a SecretBytes or a SecretBuffer, or of what a caller gave.
// Covered by test/unit/key_export_test.cpp.
#ifndef REDOUBT_CORE_KEY_EXPORT_H
#define REDOUBT_CORE_KEY_EXPORT_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/passphrase.h"
#include "core/result.h"
#include "core/secret.h"

namespace redoubt {

// SecretBuffer is room of a size that is known once, wiped when it dies; it never grows, so leaves no copy behind.
class SecretBuffer {
 public:
  explicit SecretBuffer(std::size_t size = 0) : bytes_(size > 0 ? new std::uint8_t[size]() : nullptr), size_(size) {}
  ~SecretBuffer() { wipe(); }
  SecretBuffer(const SecretBuffer &) = delete;
  SecretBuffer &operator=(const SecretBuffer &) = delete;
  SecretBuffer(SecretBuffer &&other) noexcept : bytes_(std::move(other.bytes_)), size_(other.size_) { other.size_ = 0; }
  SecretBuffer &operator=(SecretBuffer &&other) noexcept {
    if (this != &other) {
      wipe();
      bytes_ = std::move(other.bytes_);
      size_ = other.size_;
      other.size_ = 0;
    }
    return *this;
  }

  std::span<std::uint8_t> span() noexcept { return {bytes_.get(), size_}; }
  std::span<const std::uint8_t> span() const noexcept { return {bytes_.get(), size_}; }

 private:
  void wipe() noexcept {
    if (bytes_ != nullptr) OPENSSL_cleanse(bytes_.get(), size_);
  }
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t size_;
};

inline constexpr std::size_t kExportedKeySize = 64;
inline constexpr std::size_t kExportedWrapSize = 72;
inline constexpr std::size_t kMaxExportedName = 255;

struct KeyRecord {
  std::string_view name;  // UTF-8, 1 to 255 bytes
  std::uint16_t version = 0;
  bool retired = false;
  std::span<const std::uint8_t> key;      // 64 bytes
  std::span<const std::uint8_t> wrapped;  // 72 bytes
};

// key_record_size is how many bytes a record of such a name has.
constexpr std::size_t key_record_size(std::size_t name) noexcept {
  return 1 + name + 2 + 1 + kExportedKeySize + kExportedWrapSize;
}

// key_record_write writes a record to the beginning of `out` and returns the rest of it.  `out` has room.
std::span<std::uint8_t> key_record_write(const KeyRecord &record, std::span<std::uint8_t> out) noexcept;

// key_record_read reads the first record of `in`, whose parts then point into it, and takes it away.
// Error: malformed.
Result<KeyRecord> key_record_read(std::span<const std::uint8_t> &in) noexcept;

// key_export_text_size is the number of characters of an export of so many bytes of records.
std::size_t key_export_text_size(std::size_t records) noexcept;

// key_export_seal writes an export to `text`, which has that size.
// Errors: invalid_argument (sizes, cost), crypto_failure.
Status key_export_seal(std::span<const std::uint8_t> passphrase, std::span<const std::uint8_t, kSaltSize> salt,
                       std::uint8_t cost, std::span<const std::uint8_t> records, std::span<char> text);

// key_export_open yields the records.  White space at the end of `text` does not matter.
// Errors: malformed (no export), unsupported (of a later format), corrupt (another passphrase, or altered),
// crypto_failure.
Result<SecretBuffer> key_export_open(std::span<const std::uint8_t> passphrase, std::string_view text);

}  // namespace redoubt
#endif
