// format_cipher.cpp - see format_cipher.h.
#include "core/format_cipher.h"

#include <algorithm>
#include <bit>
#include <cstring>
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

FormatCipher::Plan *FormatCipher::plan(std::uint32_t radix, std::size_t length, std::size_t tweak_bytes,
                                       Status &status) {
  const auto fits = [=](const std::unique_ptr<Plan> &p) {
    return p->ff1.length() == length && p->ff1.radix() == radix && p->ff1.tweak_bytes() == tweak_bytes;
  };
  std::uint8_t &recent = recent_[(length + 5 * tweak_bytes) % recent_.size()];
  if (recent < plans_.size() && fits(plans_[recent])) return plans_[recent].get();
  auto found = std::find_if(plans_.begin(), plans_.end(), fits);
  if (found == plans_.end()) {
    auto fresh = std::make_unique<Plan>();
    status = fresh->ff1.prepare(aes_, radix, length, tweak_bytes);
    if (status == Status::ok) status = fresh->ff1.absorb_prefix(class_id_);
    if (status != Status::ok) return nullptr;
    if (plans_.size() < kMaxPlans) {
      plans_.push_back(std::move(fresh));
      found = plans_.end() - 1;
    } else {
      found = plans_.begin() + static_cast<std::ptrdiff_t>(next_);
      next_ = (next_ + 1) % kMaxPlans;
      *found = std::move(fresh);
    }
  }
  recent = static_cast<std::uint8_t>(found - plans_.begin());
  return found->get();
}

// place_of is where a tweak is kept, by its first and last eight bytes.  Short ones cost next to nothing to set.
std::size_t FormatCipher::place_of(std::span<const std::uint8_t> tweak) noexcept {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (tweak.size() < sizeof first) return 0;
  std::memcpy(&first, tweak.data(), sizeof first);
  std::memcpy(&last, tweak.data() + tweak.size() - sizeof last, sizeof last);
  return static_cast<std::size_t>((first ^ last * 3) * 0x9E3779B97F4A7C15U >> 61) % kKeptTweaks;
}

FormatCipher::Plan *FormatCipher::tweaked_plan(std::uint32_t radix, std::size_t length,
                                               std::span<const std::uint8_t> tweak, Status &status) {
  Plan *const found = plan(radix, length, kFormatClassIdSize + tweak.size(), status);
  if (found == nullptr) return nullptr;
  if (found->ff1.set_tweak_rest(tweak)) return found;
  Tweak &kept = found->tweaks[place_of(tweak)];
  if (kept.known && std::equal(tweak.begin(), tweak.end(), kept.bytes.begin(), kept.bytes.end())) {
    found->ff1.set_tweak_state(kept.state);
    return found;
  }
  kept.known = false;
  tweak_.assign(class_id_.begin(), class_id_.end());
  tweak_.insert(tweak_.end(), tweak.begin(), tweak.end());
  status = found->ff1.set_tweak(tweak_);
  if (status != Status::ok) return nullptr;
  kept.bytes.assign(tweak.begin(), tweak.end());
  kept.state = found->ff1.tweak_state();
  kept.known = true;
  return found;
}

Status FormatCipher::crypt(Ff1Direction direction, std::uint32_t radix, std::span<std::uint16_t> numerals,
                           std::span<const std::uint8_t> tweak) {
  Status status = Status::ok;
  Plan *const with = tweaked_plan(radix, numerals.size(), tweak, status);
  return with == nullptr ? status : with->ff1.crypt(direction, std::span<const std::uint16_t>(numerals), numerals);
}

Status FormatCipher::crypt_digits(Ff1Direction direction, std::span<char> text, std::span<const std::uint8_t> tweak) {
  Status status = Status::ok;
  Plan *const with = tweaked_plan(10, text.size(), tweak, status);
  return with == nullptr ? status : with->ff1.crypt_digits(direction, text);
}

Status FormatCipher::crypt_batch(Ff1Direction direction, std::uint32_t radix, std::size_t count,
                                 std::span<std::uint16_t> numerals, std::span<const std::uint8_t> tweaks) {
  if (count < 1 || count > kFormatLanes || numerals.size() % count != 0 || tweaks.size() % count != 0)
    return Status::invalid_argument;
  const std::size_t length = numerals.size() / count;
  const std::size_t tweak_size = tweaks.size() / count;
  const std::span<const std::uint16_t> in(numerals);
  Status status = Status::ok;
  const bool alike = tweaks.empty() ||
                     std::equal(tweaks.begin() + static_cast<std::ptrdiff_t>(tweak_size), tweaks.end(), tweaks.begin());
  if (alike) {
    Plan *const with = tweaked_plan(radix, length, tweaks.first(tweak_size), status);
    return with == nullptr ? status : with->ff1.crypt_batch(direction, in, numerals);
  }
  Plan *const with = plan(radix, length, kFormatClassIdSize + tweak_size, status);
  if (with == nullptr) return status;
  tweaks_.resize(count * (kFormatClassIdSize + tweak_size));
  std::uint8_t *to = tweaks_.data();
  for (std::size_t i = 0; i < count; ++i) {
    to = std::copy(class_id_.begin(), class_id_.end(), to);
    to = std::copy_n(tweaks.data() + i * tweak_size, tweak_size, to);
  }
  return with->ff1.crypt_batch(direction, in, numerals, tweaks_);
}

Status FormatCipher::crypt_ranks(Ff1Direction direction, std::uint64_t size, std::span<std::uint64_t> ranks,
                                 std::span<const std::uint8_t> tweak) {
  constexpr int kMaxRounds = 512;  // not reached but with probability 2^-512
  if (size < kFf1MinDomain || size > std::uint64_t{1} << 62 || ranks.size() > kFormatLanes)
    return Status::invalid_argument;
  for (const std::uint64_t rank : ranks)
    if (rank >= size) return Status::invalid_argument;
  const auto width = static_cast<std::size_t>(std::bit_width(size - 1));
  Status status = Status::ok;
  Plan *const with = tweaked_plan(2, width, tweak, status);
  if (with == nullptr) return status;

  std::array<std::uint64_t, kFormatLanes> words;
  std::array<std::size_t, kFormatLanes> walking;  // the ranks that are not below `size` yet
  std::size_t left = ranks.size();
  for (std::size_t i = 0; i < left; ++i) walking[i] = i;
  for (int round = 0; left > 0; ++round) {
    if (round == kMaxRounds) status = Status::crypto_failure;
    if (status != Status::ok) break;
    const std::span<std::uint64_t> now = std::span(words).first(left);
    for (std::size_t i = 0; i < left; ++i) now[i] = ranks[walking[i]];
    status = with->ff1.crypt_batch(direction, now);
    std::size_t still = 0;
    for (std::size_t i = 0; i < left; ++i) {
      const std::size_t place = walking[i];
      ranks[place] = now[i];
      if (now[i] >= size) walking[still++] = place;
    }
    left = still;
  }
  OPENSSL_cleanse(words.data(), ranks.size() * sizeof words[0]);
  return status;
}

}  // namespace redoubt
