// format_cipher.cpp - see format_cipher.h.
#include "core/format_cipher.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

#include "core/mac.h"

namespace redoubt {

bool format_key(std::span<const std::uint8_t> k2, std::span<const std::uint8_t, kFormatClassIdSize> class_id,
                SecretBytes<kFormatKeySize> &out) {
  constexpr std::string_view kLabel = "redoubt ff1 v1";
  const std::array<std::span<const std::uint8_t>, 2> parts = {
      std::span<const std::uint8_t>(reinterpret_cast<const std::uint8_t *>(kLabel.data()), kLabel.size()), class_id};
  static_assert(kFormatKeySize == kHmacSha256Size);
  return hmac_sha256(k2, parts, out.span());
}

std::unique_ptr<FormatCipher> FormatCipher::make(std::span<const std::uint8_t, kFormatKeySize> key,
                                                 std::span<const std::uint8_t, kFormatClassIdSize> class_id) {
  Result<AesBlocks> aes = AesBlocks::make(key);
  if (!aes.ok()) return nullptr;
  std::unique_ptr<FormatCipher> cipher(new FormatCipher(std::move(*aes)));
  std::copy(class_id.begin(), class_id.end(), cipher->class_id_.begin());
  return cipher;
}

FormatCipher::Plan *FormatCipher::plan(std::uint32_t radix, std::size_t length, std::span<const std::uint8_t> tweak,
                                       Status &status) {
  const std::size_t tweak_bytes = kFormatClassIdSize + tweak.size();
  auto found = std::find_if(plans_.begin(), plans_.end(), [=](const std::unique_ptr<Plan> &p) {
    return p->ff1.length() == length && p->ff1.radix() == radix && p->ff1.tweak_bytes() == tweak_bytes;
  });
  if (found == plans_.end()) {
    auto fresh = std::make_unique<Plan>();
    status = fresh->ff1.prepare(aes_, radix, length, tweak_bytes);
    if (status != Status::ok) return nullptr;
    if (plans_.size() < kMaxPlans) {
      plans_.push_back(std::move(fresh));
      found = plans_.end() - 1;
    } else {
      next_ = (next_ + 1) % kMaxPlans;
      found = plans_.begin() + static_cast<std::ptrdiff_t>(next_);
      *found = std::move(fresh);
    }
  }
  Plan *const plan = found->get();
  const bool same = plan->tweak.size() == tweak_bytes &&
                    std::equal(tweak.begin(), tweak.end(), plan->tweak.begin() + kFormatClassIdSize);
  if (!same) {
    plan->tweak.assign(class_id_.begin(), class_id_.end());
    plan->tweak.insert(plan->tweak.end(), tweak.begin(), tweak.end());
    status = plan->ff1.set_tweak(plan->tweak);
    if (status != Status::ok) {
      plan->tweak.clear();
      return nullptr;
    }
  }
  return plan;
}

Status FormatCipher::crypt(Ff1Direction direction, std::uint32_t radix, std::span<std::uint16_t> numerals,
                           std::span<const std::uint8_t> tweak) {
  Status status = Status::ok;
  Plan *const with = plan(radix, numerals.size(), tweak, status);
  return with == nullptr ? status : with->ff1.crypt(direction, std::span<const std::uint16_t>(numerals), numerals);
}

Status FormatCipher::crypt_rank(Ff1Direction direction, std::uint64_t size, std::uint64_t &rank,
                                std::span<const std::uint8_t> tweak) {
  constexpr int kMaxRounds = 512;  // not reached but with probability 2^-512
  if (size < kFf1MinDomain || size > std::uint64_t{1} << 62 || rank >= size) return Status::invalid_argument;
  std::array<std::uint16_t, 64> storage;
  const std::span<std::uint16_t> bits(storage.data(), static_cast<std::size_t>(std::bit_width(size - 1)));
  Status status = Status::ok;
  Plan *const with = plan(2, bits.size(), tweak, status);
  if (with == nullptr) return status;
  std::uint64_t value = rank;
  int round = 0;
  do {
    for (std::size_t i = bits.size(); i-- > 0; value >>= 1) bits[i] = static_cast<std::uint16_t>(value & 1);
    status = with->ff1.crypt(direction, std::span<const std::uint16_t>(bits), bits);
    value = 0;
    for (const std::uint16_t bit : bits) value = value << 1 | bit;
  } while (status == Status::ok && value >= size && ++round < kMaxRounds);
  OPENSSL_cleanse(storage.data(), sizeof storage);
  if (status == Status::ok && value >= size) status = Status::crypto_failure;
  if (status == Status::ok) rank = value;
  return status;
}

}  // namespace redoubt
