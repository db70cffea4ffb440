// format_batch.cpp - see format_batch.h.
#include "core/format_batch.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>

namespace redoubt {
namespace {

constexpr Refusal kFailed = {Status::crypto_failure, 0, "encryption failed"};
constexpr std::size_t kMostSlots = kFormatLanes * kFormatMaxCharacters;

void wipe_text(std::string &text) noexcept {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

}  // namespace

// Room for the longest values, so that nothing that is to be wiped moves.
FormatBatch::FormatBatch() : numerals_(kMostSlots), runs_(kMostSlots), tweaks_(kFormatLanes * kFormatMaxTweak) {
  constexpr std::size_t kBytes = 4 * kFormatMaxCharacters;
  gathered_.reserve(kMostSlots);
  text_.reserve(kFormatLanes * kBytes);
  single_.reserve(kBytes);
}

FormatScan FormatBatch::scan_of(const Item &item) noexcept {
  FormatScan scan(&numerals_[item.slot], &runs_[item.run], &tweaks_[item.tweak]);
  scan.slots = item.slots;
  scan.runs = item.runs;
  scan.tweak_size = item.tweak_size;
  return scan;
}

// Takes the texts apart, the numerals and the tweak of each behind those of the one before.
void FormatBatch::take_apart() {
  const Format::Side side = direction_ == Ff1Direction::encrypt ? Format::Side::value : Format::Side::token;
  std::uint32_t runs = 0;
  for (std::size_t i = 0; i < in_.size(); ++i) {
    Item &item = item_[i];
    item.slot = slots_;
    item.run = runs;
    item.tweak = tweak_bytes_;
    item.size = 0;
    item.is_text = false;
    FormatScan scan(&numerals_[slots_], &runs_[runs], &tweaks_[tweak_bytes_]);
    item.refusal = format_->scan(in_[i], side, scan);
    if (!item.refusal.ok()) continue;
    item.slots = static_cast<std::uint32_t>(scan.slots);
    item.runs = static_cast<std::uint32_t>(scan.runs);
    item.tweak_size = static_cast<std::uint32_t>(scan.tweak_size);
    slots_ += item.slots;
    runs += item.runs;
    tweak_bytes_ += item.tweak_size;
  }
}

// Texts with the same number of tokenized characters and the same size of tweak, which need not lie side by side.
void FormatBatch::crypt_gathered(FormatCipher &cipher, std::span<Item *const> alike) {
  gathered_.clear();
  gathered_tweaks_.clear();
  for (const Item *item : alike) {
    const FormatScan scan = scan_of(*item);
    gathered_.insert(gathered_.end(), scan.numeral, scan.numeral + scan.slots);
    gathered_tweaks_.insert(gathered_tweaks_.end(), scan.tweak, scan.tweak + scan.tweak_size);
  }
  const bool done = crypt_alike(cipher, alike.size(), gathered_, gathered_tweaks_);
  const std::uint16_t *from = gathered_.data();
  for (Item *item : alike) {
    if (!done) item->refusal = kFailed;
    std::copy_n(from, item->slots, &numerals_[item->slot]);
    from += item->slots;
  }
  OPENSSL_cleanse(gathered_.data(), gathered_.size() * sizeof gathered_[0]);
}

bool FormatBatch::crypt_alike(FormatCipher &cipher, std::size_t count, std::span<std::uint16_t> numerals,
                              std::span<const std::uint8_t> tweaks) {
  return cipher.crypt_batch(direction_, format_->alphabets_[0].radix(), count, numerals, tweaks) == Status::ok;
}

// Texts that were taken apart, as few cipher calls as their shapes allow.
void FormatBatch::crypt_all(FormatCipher &cipher) {
  std::array<Item *, kFormatLanes> waiting;
  std::size_t waits = 0;
  for (std::size_t i = 0; i < in_.size(); ++i)
    if (item_[i].refusal.ok()) waiting[waits++] = &item_[i];
  bool first = true;
  while (waits > 0) {
    std::array<Item *, kFormatLanes> alike;
    std::size_t found = 0;
    std::size_t rest = 0;
    const Item *const model = waiting[0];
    for (Item *item : std::span(waiting).first(waits)) {
      const bool fits = item->slots == model->slots && item->tweak_size == model->tweak_size;
      (fits ? alike[found++] : waiting[rest++]) = item;
    }
    if (!first || rest > 0) {
      crypt_gathered(cipher, std::span(alike).first(found));
    } else if (!crypt_alike(cipher, found, std::span(numerals_).first(slots_),
                            std::span(tweaks_).first(tweak_bytes_))) {
      for (Item *item : std::span(alike).first(found)) item->refusal = kFailed;
    }
    first = false;
    waits = rest;
  }
}

void FormatBatch::crypt(Ff1Direction direction, const Format &format, FormatCipher &cipher,
                        std::span<const std::string_view> in) {
  wipe();
  direction_ = direction;
  format_ = &format;
  in_ = in.first(std::min(in.size(), kFormatLanes));
  if (!format.has_one_alphabet()) {
    for (std::size_t i = 0; i < in_.size(); ++i) {
      item_[i].refusal = format.crypt(direction, cipher, in_[i], single_);
      const std::size_t begin = text_.size();
      if (item_[i].refusal.ok()) text_.append(single_);
      set_text(item_[i], begin);
      wipe_text(single_);
    }
    return;
  }
  take_apart();
  crypt_all(cipher);
  for (std::size_t i = 0; i < in_.size(); ++i) {
    Item &item = item_[i];
    if (!item.refusal.ok()) continue;
    if (format.keeps_size()) {
      item.size = static_cast<std::uint32_t>(in_[i].size());
      continue;
    }
    const std::size_t begin = text_.size();
    format.put_together(result_side(), in_[i], scan_of(item), text_);
    set_text(item, begin);
  }
}

// The result of `item` is what text_ holds from `begin` on.
void FormatBatch::set_text(Item &item, std::size_t begin) noexcept {
  item.is_text = true;
  item.text = static_cast<std::uint32_t>(begin);
  item.size = static_cast<std::uint32_t>(text_.size() - begin);
}

void FormatBatch::write(std::size_t i, char *to) noexcept {
  const Item &item = item_[i];
  if (item.size == 0) return;
  if (item.is_text)
    std::memcpy(to, text_.data() + item.text, item.size);
  else
    format_->fill(result_side(), in_[i], scan_of(item), to);
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
  // A value that was refused may have left numerals behind those of all others.
  const std::size_t written = std::min(slots_ + kFormatMaxCharacters, kMostSlots);
  if (!in_.empty()) OPENSSL_cleanse(numerals_.data(), written * sizeof numerals_[0]);
  wipe_text(text_);
  in_ = {};
  slots_ = tweak_bytes_ = 0;  // what tokens keep is no secret
}

}  // namespace redoubt
