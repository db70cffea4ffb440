// format_batch.cpp - see format_batch.h.
#include "core/format_batch.h"

#include <openssl/crypto.h>

#include <algorithm>

namespace redoubt {
namespace {

constexpr Refusal kFailed = {Status::crypto_failure, 0, "encryption failed"};

template <typename Container>
void wipe_all(Container &what) noexcept {
  OPENSSL_cleanse(what.data(), what.size() * sizeof(typename Container::value_type));
  what.clear();
}

}  // namespace

// Room for the longest values, so that nothing that is to be wiped moves.
FormatBatch::FormatBatch() {
  constexpr std::size_t kBytes = 4 * kFormatMaxCharacters;
  slot_.reserve(kFormatLanes * kFormatMaxCharacters);
  numerals_.reserve(kFormatLanes * kFormatMaxCharacters);
  text_.reserve(kFormatLanes * kBytes);
  single_.reserve(kBytes);
}

void FormatBatch::crypt_one(Ff1Direction direction, const Format &format, FormatCipher &cipher, std::string_view in,
                            Item &item) {
  item.refusal = format.crypt(direction, cipher, in, single_);
  item.begin = text_.size();
  item.size = single_.size();
  text_.append(single_);
}

void FormatBatch::take_apart(Ff1Direction direction, const Format &format, std::string_view in, Item &item) {
  const bool encrypts = direction == Ff1Direction::encrypt;
  item.refusal = format.scan(in, encrypts ? Format::Side::value : Format::Side::token, scan_);
  if (!item.refusal.ok()) return;
  item.slot = slot_.size();
  item.slots = scan_.slots;
  item.tweak = tweak_.size();
  item.tweak_size = scan_.tweak_size;
  slot_.insert(slot_.end(), scan_.slot.data(), scan_.slot.data() + scan_.slots);
  tweak_.insert(tweak_.end(), scan_.tweak.data(), scan_.tweak.data() + scan_.tweak_size);
}

// Texts with the same number of tokenized characters and the same size of tweak.
void FormatBatch::crypt_alike(Ff1Direction direction, const Format &format, FormatCipher &cipher,
                              std::span<const std::uint8_t> alike) {
  const std::size_t length = item_[alike[0]].slots;
  numerals_.resize(alike.size() * length);
  tweaks_.clear();
  std::uint16_t *numeral = numerals_.data();
  for (const std::uint8_t i : alike) {
    const Item &item = item_[i];
    const FormatScan::Slot *const slot = slot_.data() + item.slot;
    for (std::size_t s = 0; s < length; ++s) *numeral++ = slot[s].numeral;
    tweaks_.insert(tweaks_.end(), tweak_.data() + item.tweak, tweak_.data() + item.tweak + item.tweak_size);
  }
  const Status status = cipher.crypt_batch(direction, format.alphabets_[0].radix(), alike.size(), numerals_, tweaks_);
  numeral = numerals_.data();
  for (const std::uint8_t i : alike) {
    FormatScan::Slot *const slot = slot_.data() + item_[i].slot;
    for (std::size_t s = 0; s < length; ++s) slot[s].numeral = *numeral++;
    if (status != Status::ok) item_[i].refusal = kFailed;
  }
  wipe_all(numerals_);
}

void FormatBatch::crypt(Ff1Direction direction, const Format &format, FormatCipher &cipher,
                        std::span<const std::string_view> in) {
  wipe();
  in = in.first(std::min(in.size(), kFormatLanes));
  if (!format.has_one_alphabet()) {
    for (std::size_t i = 0; i < in.size(); ++i) crypt_one(direction, format, cipher, in[i], item_[i]);
    return;
  }

  std::array<std::uint8_t, kFormatLanes> waiting;
  std::size_t waits = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    take_apart(direction, format, in[i], item_[i]);
    if (item_[i].refusal.ok()) waiting[waits++] = static_cast<std::uint8_t>(i);
  }
  while (waits > 0) {
    std::array<std::uint8_t, kFormatLanes> alike;
    std::size_t found = 0;
    std::size_t rest = 0;
    const Item &model = item_[waiting[0]];
    for (std::size_t w = 0; w < waits; ++w) {
      const Item &item = item_[waiting[w]];
      const bool fits = item.slots == model.slots && item.tweak_size == model.tweak_size;
      (fits ? alike[found++] : waiting[rest++]) = waiting[w];
    }
    crypt_alike(direction, format, cipher, {alike.data(), found});
    waits = rest;
  }
  const Format::Side side = direction == Ff1Direction::encrypt ? Format::Side::token : Format::Side::value;
  for (std::size_t i = 0; i < in.size(); ++i) {
    Item &item = item_[i];
    if (!item.refusal.ok()) continue;
    item.begin = text_.size();
    format.put_together(side, in[i], {slot_.data() + item.slot, item.slots}, text_);
    item.size = text_.size() - item.begin;
  }
}

Refusal FormatBatch::crypt(Ff1Direction direction, const Format &format, FormatCipher &cipher,
                           std::span<std::int64_t> numbers) {
  const auto first = static_cast<std::uint64_t>(format.first_);
  for (const std::int64_t number : numbers) {
    const Refusal refusal = format.accepts(number);
    if (!refusal.ok()) return refusal;
  }
  std::array<std::uint64_t, kFormatLanes> ranks;
  while (!numbers.empty()) {
    const std::span<std::int64_t> now = numbers.first(std::min(numbers.size(), kFormatLanes));
    std::transform(now.begin(), now.end(), ranks.begin(),
                   [first](std::int64_t number) { return static_cast<std::uint64_t>(number) - first; });
    if (cipher.crypt_ranks(direction, format.size_, std::span(ranks).first(now.size()), {}) != Status::ok)
      return kFailed;
    std::transform(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(now.size()), now.begin(),
                   [first](std::uint64_t rank) { return static_cast<std::int64_t>(first + rank); });
    numbers = numbers.subspan(now.size());
  }
  return {};
}

void FormatBatch::wipe() noexcept {
  item_ = {};
  OPENSSL_cleanse(scan_.slot.data(), std::min(scan_.slots, scan_.slot.size()) * sizeof scan_.slot[0]);
  scan_.slots = 0;
  wipe_all(slot_);
  wipe_all(text_);
  wipe_all(single_);
  tweak_.clear();  // what tokens keep is no secret
  tweaks_.clear();
}

}  // namespace redoubt
