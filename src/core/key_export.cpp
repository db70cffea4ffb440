// key_export.cpp - see key_export.h.
#include "core/key_export.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/base64url.h"
#include "core/siv.h"

namespace redoubt {

namespace {

constexpr std::string_view kPrefix = "redoubt_keys_";
constexpr std::string_view kLabel = "redoubt key export";
constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kHeaderSize = 2 + kSaltSize;

std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

Result<Siv> siv_of(std::span<const std::uint8_t> passphrase, std::span<const std::uint8_t, kSaltSize> salt,
                   std::uint8_t cost) {
  SecretBytes<64> key;
  const Status made = passphrase_key(passphrase, salt, cost, key.span());
  if (made != Status::ok) return made;
  return Siv::make(key.span().first<32>(), key.span().last<32>());
}

}  // namespace

std::span<std::uint8_t> key_record_write(const KeyRecord &record, std::span<std::uint8_t> out) noexcept {
  out[0] = static_cast<std::uint8_t>(record.name.size());
  std::copy(record.name.begin(), record.name.end(), out.begin() + 1);
  std::span<std::uint8_t> rest = out.subspan(1 + record.name.size());
  rest[0] = static_cast<std::uint8_t>(record.version >> 8U);
  rest[1] = static_cast<std::uint8_t>(record.version & 0xffU);
  rest[2] = record.retired ? 1 : 0;
  std::copy(record.key.begin(), record.key.end(), rest.begin() + 3);
  rest = rest.subspan(3 + kExportedKeySize);
  std::copy(record.wrapped.begin(), record.wrapped.end(), rest.begin());
  return rest.subspan(kExportedWrapSize);
}

Result<KeyRecord> key_record_read(std::span<const std::uint8_t> &in) noexcept {
  if (in.empty() || in[0] == 0 || in.size() < key_record_size(in[0])) return Status::malformed;
  const std::size_t name = in[0];
  const std::span<const std::uint8_t> rest = in.subspan(1 + name);
  KeyRecord record;
  record.name = {reinterpret_cast<const char *>(in.data()) + 1, name};
  record.version = static_cast<std::uint16_t>(rest[0] << 8U | rest[1]);
  record.retired = rest[2] == 1;
  record.key = rest.subspan(3, kExportedKeySize);
  record.wrapped = rest.subspan(3 + kExportedKeySize, kExportedWrapSize);
  if (record.version == 0 || rest[2] > 1 || record.name.find('\0') != std::string_view::npos) return Status::malformed;
  in = in.subspan(key_record_size(name));
  return record;
}

std::size_t key_export_text_size(std::size_t records) noexcept {
  return kPrefix.size() + base64url_encoded_size(kHeaderSize + kSivSize + records);
}

Status key_export_seal(std::span<const std::uint8_t> passphrase, std::span<const std::uint8_t, kSaltSize> salt,
                       std::uint8_t cost, std::span<const std::uint8_t> records, std::span<char> text) {
  if (text.size() != key_export_text_size(records.size())) return Status::invalid_argument;
  Result<Siv> siv = siv_of(passphrase, salt, cost);
  if (!siv.ok()) return siv.status();
  std::vector<std::uint8_t> binary(kHeaderSize + kSivSize + records.size());
  binary[0] = kFormat;
  binary[1] = cost;
  std::copy(salt.begin(), salt.end(), binary.begin() + 2);
  const std::span<std::uint8_t> whole(binary);
  const std::array<std::span<const std::uint8_t>, 2> ad{bytes_of(kLabel), whole.first(kHeaderSize)};
  const Status sealed = siv->seal(ad, records, whole.subspan(kHeaderSize));
  if (sealed != Status::ok) return sealed;
  std::copy(kPrefix.begin(), kPrefix.end(), text.begin());
  return base64url_encode(binary, text.subspan(kPrefix.size()));
}

Result<SecretBuffer> key_export_open(std::span<const std::uint8_t> passphrase, std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  if (!text.starts_with(kPrefix)) return Status::malformed;
  text.remove_prefix(kPrefix.size());
  std::vector<std::uint8_t> binary(base64url_decoded_size(text.size()));
  const Result<std::size_t> size = base64url_decode(text, binary);
  if (!size.ok() || *size < 1) return Status::malformed;
  const std::span<const std::uint8_t> whole = std::span<const std::uint8_t>(binary).first(*size);
  if (whole[0] != kFormat) return Status::unsupported;
  if (whole.size() < kHeaderSize + kSivSize || whole[1] < kMinPassphraseCost || whole[1] > kMaxPassphraseCost)
    return Status::malformed;
  Result<Siv> siv = siv_of(passphrase, whole.subspan<2, kSaltSize>(), whole[1]);
  if (!siv.ok()) return siv.status();
  SecretBuffer records(whole.size() - kHeaderSize - kSivSize);
  const std::array<std::span<const std::uint8_t>, 2> ad{bytes_of(kLabel), whole.first(kHeaderSize)};
  const Status opened = siv->open(ad, whole.subspan(kHeaderSize), records.span());
  if (opened != Status::ok) return opened;
  return records;
}

}  // namespace redoubt
