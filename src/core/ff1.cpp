// ff1.cpp - checking, numerals and batches around the rounds; see ff1.h.
//
// Values come in through one of two small sources, NumeralValues and TextValues, with the same
// members: size(), own_tweaks() (else the plan's), read(i) (the numerals of value i, until the next
// call, or null if it is refused), tweak(i), room(i, lane) (where its result goes) and
// write(i, lane) (the result is there).
#include "core/ff1.h"

#include <algorithm>
#include <array>

#include "core/ff1_digits.h"

namespace redoubt {
namespace {

// A half of up to 128 bits has at most 128 numerals.
constexpr std::size_t kMaxNarrowDigits = 256;

bool domain_reaches(std::uint64_t least, std::uint32_t radix, std::size_t length) noexcept {
  std::uint64_t domain = 1;
  for (std::size_t i = 0; i < length && domain < least; ++i) {
    if (domain > ~std::uint64_t{0} / radix) return true;
    domain *= radix;
  }
  return domain >= least;
}

template <typename DigitType>
struct NumeralValues {
  using Digit = DigitType;
  std::span<const Digit> in;
  std::span<Digit> out;
  std::span<const std::uint8_t> tweaks;
  std::size_t length;
  std::size_t tweak_bytes;

  std::size_t size() const noexcept { return in.size() / length; }
  bool own_tweaks() const noexcept { return !tweaks.empty(); }
  const Digit *read(std::size_t i) noexcept { return in.data() + i * length; }
  const std::uint8_t *tweak(std::size_t i) const noexcept { return tweaks.data() + i * tweak_bytes; }
  Digit *room(std::size_t i, std::size_t) noexcept { return out.data() + i * length; }
  void write(std::size_t, std::size_t) noexcept {}
};

template <typename DigitType>
struct TextValues {
  using Digit = DigitType;
  const Ff1Alphabet &alphabet;
  std::span<Ff1Item> items;
  std::span<Digit> digits;  // of one value for each lane
  std::size_t length;
  bool tweaked;

  std::size_t size() const noexcept { return items.size(); }
  bool own_tweaks() const noexcept { return tweaked; }
  const Digit *read(std::size_t i) noexcept {
    Ff1Item &item = items[i];
    if (item.status == Status::ok) item.status = alphabet.parse(item.in, digits.first(length));
    return item.status == Status::ok ? digits.data() : nullptr;
  }
  const std::uint8_t *tweak(std::size_t i) const noexcept { return items[i].tweak.data(); }
  Digit *room(std::size_t, std::size_t lane) noexcept { return digits.data() + lane * length; }
  void write(std::size_t i, std::size_t lane) noexcept {
    const std::span<const Digit> result = digits.subspan(lane * length, length);
    const Result<std::size_t> written = alphabet.format(result, items[i].out);
    items[i].status = written.status();
    items[i].written = *written;
  }
};

}  // namespace

Ff1Plan::~Ff1Plan() { OPENSSL_cleanse(lane_.block.data(), lane_.block.size()); }

Status Ff1Plan::prepare(AesBlocks &aes, std::uint32_t radix, std::size_t length, std::size_t tweak_bytes,
                        std::uint64_t min_domain) {
  ready_ = tweak_set_ = false;
  if (radix < kFf1MinRadix || radix > kFf1MaxRadix) return Status::invalid_argument;
  if (length < kFf1MinLength || length > kFf1MaxLength) return Status::invalid_argument;
  if (tweak_bytes > kFf1MaxTweakBytes) return Status::invalid_argument;
  if (!domain_reaches(min_domain, radix, length)) return Status::refused;
  radix_ = Ff1Radix(radix);
  length_ = length;
  if (!feistel_.prepare(aes, radix, length, tweak_bytes)) return Status::crypto_failure;
  ready_ = true;
  return tweak_bytes == 0 ? set_tweak({}) : Status::ok;
}

Status Ff1Plan::absorb_prefix(std::span<const std::uint8_t> prefix) noexcept {
  if (!ready_ || prefix.size() > tweak_bytes()) return Status::invalid_argument;
  ready_ = feistel_.absorb(prefix);
  return ready_ ? Status::ok : Status::crypto_failure;
}

Status Ff1Plan::set_tweak(std::span<const std::uint8_t> tweak) noexcept {
  if (!ready_ || tweak.size() != tweak_bytes()) return Status::invalid_argument;
  const std::array<const std::uint8_t *, 1> tweaks = {tweak.data()};
  tweak_set_ = feistel_.set_lanes(tweaks, {&lane_, 1});
  return tweak_set_ ? Status::ok : Status::crypto_failure;
}

template <typename Half, typename Values>
bool Ff1Plan::crypt_lanes(Ff1Direction direction, Values &values) noexcept {
  const std::size_t u = feistel_.left_digits();
  const std::size_t v = feistel_.right_digits();
  std::array<Half, kFf1Lanes> left, right;
  std::array<std::size_t, kFf1Lanes> value;  // lane to value: refused values take no lane
  std::array<const std::uint8_t *, kFf1Lanes> tweaks;
  std::array<Ff1Lane, kFf1Lanes> lanes;

  for (std::size_t next = 0; next < values.size();) {
    std::size_t count = 0;
    for (; next < values.size() && count < kFf1Lanes; ++next) {
      const auto *digits = values.read(next);
      if (digits == nullptr) continue;
      left[count] = radix_.pack<Half>(digits, u);
      right[count] = radix_.pack<Half>(digits + u, v);
      if (values.own_tweaks()) tweaks[count] = values.tweak(next);
      value[count++] = next;
    }
    if (count == 0) continue;
    if (values.own_tweaks()) {
      if (!feistel_.set_lanes({tweaks.data(), count}, {lanes.data(), count})) return false;
      if (!feistel_.run(direction, lanes.data(), 1, left.data(), right.data(), count)) return false;
    } else {
      if (!feistel_.run(direction, &lane_, 0, left.data(), right.data(), count)) return false;
    }
    // Two passes: reading sixteen numerals at once right after writing them one by one would wait for the writes.
    for (std::size_t i = 0; i < count; ++i) {
      auto *digits = values.room(value[i], i);
      radix_.unpack(left[i], digits, u);
      radix_.unpack(right[i], digits + u, v);
    }
    for (std::size_t i = 0; i < count; ++i) values.write(value[i], i);
  }
  return true;
}

template <typename Values>
bool Ff1Plan::crypt_wide(Ff1Direction direction, Values &values) noexcept {
  using Digit = typename Values::Digit;
  const std::size_t u = feistel_.left_digits();
  const std::size_t v = feistel_.right_digits();
  const std::size_t words = feistel_.half_words();
  Ff1Wide left, right;

  for (std::size_t i = 0; i < values.size(); ++i) {
    const Digit *in = values.read(i);
    if (in == nullptr) continue;
    ff1_wide_pack(radix_, std::span(in, u), left.data(), words);
    ff1_wide_pack(radix_, std::span(in + u, v), right.data(), words);
    Ff1Lane lane = lane_;
    if (values.own_tweaks()) {
      const std::array<const std::uint8_t *, 1> tweaks = {values.tweak(i)};
      if (!feistel_.set_lanes(tweaks, {&lane, 1})) return false;
    }
    if (!feistel_.run_wide(direction, lane, left.data(), right.data())) return false;
    Digit *out = values.room(i, 0);
    ff1_wide_unpack(radix_, left.data(), words, std::span(out, u));
    ff1_wide_unpack(radix_, right.data(), words, std::span(out + u, v));
    values.write(i, 0);
  }
  return true;
}

template <typename Values>
bool Ff1Plan::crypt_values(Ff1Direction direction, Values &values) noexcept {
  switch (feistel_.width()) {
    case Ff1Feistel::Width::word:
      return crypt_lanes<std::uint64_t>(direction, values);
    case Ff1Feistel::Width::two_words:
      return crypt_lanes<Uint128>(direction, values);
    case Ff1Feistel::Width::wide:
      return crypt_wide(direction, values);
  }
  return false;
}

template <typename Digit>
Status Ff1Plan::crypt_numerals(Ff1Direction direction, std::span<const Digit> in, std::span<Digit> out,
                               std::span<const std::uint8_t> tweaks) noexcept {
  if (!ready_ || out.size() < in.size()) return Status::invalid_argument;
  if (in.size() % length_ != 0) return Status::out_of_range;
  if (tweaks.empty() ? !tweak_set_ : tweaks.size() != in.size() / length_ * tweak_bytes()) {
    return Status::invalid_argument;
  }
  if (!ff1_numerals_valid(in, radix())) return Status::malformed;
  NumeralValues<Digit> values{in, out, tweaks, length_, tweak_bytes()};
  return crypt_values(direction, values) ? Status::ok : Status::crypto_failure;
}

Status Ff1Plan::crypt(Ff1Direction direction, std::span<const std::uint16_t> in,
                      std::span<std::uint16_t> out) noexcept {
  return in.size() == length_ ? crypt_numerals(direction, in, out, {}) : Status::out_of_range;
}

Status Ff1Plan::crypt(Ff1Direction direction, std::span<const std::uint32_t> in,
                      std::span<std::uint32_t> out) noexcept {
  return in.size() == length_ ? crypt_numerals(direction, in, out, {}) : Status::out_of_range;
}

Status Ff1Plan::crypt_digits(Ff1Direction direction, std::span<char> text) noexcept {
  if (!ready_ || !tweak_set_ || radix() != 10 || feistel_.width() != Ff1Feistel::Width::word)
    return Status::invalid_argument;
  if (text.size() != length_) return Status::out_of_range;
  if (!ff1_are_digits({text.data(), text.size()})) return Status::malformed;
  const std::size_t u = feistel_.left_digits();
  const std::size_t v = feistel_.right_digits();
  std::uint64_t left = ff1_digits_pack(text.data(), u);
  std::uint64_t right = ff1_digits_pack(text.data() + u, v);
  if (!feistel_.run(direction, &lane_, 0, &left, &right, 1)) return Status::crypto_failure;
  ff1_digits_unpack(left, text.data(), u);
  ff1_digits_unpack(right, text.data() + u, v);
  return Status::ok;
}

Status Ff1Plan::crypt_batch(Ff1Direction direction, std::span<const std::uint16_t> in, std::span<std::uint16_t> out,
                            std::span<const std::uint8_t> tweaks) noexcept {
  return crypt_numerals(direction, in, out, tweaks);
}

Status Ff1Plan::crypt_batch(Ff1Direction direction, std::span<const std::uint32_t> in, std::span<std::uint32_t> out,
                            std::span<const std::uint8_t> tweaks) noexcept {
  return crypt_numerals(direction, in, out, tweaks);
}

Status Ff1Plan::crypt_batch(Ff1Direction direction, std::span<std::uint64_t> words) noexcept {
  const std::size_t v = feistel_.right_digits();
  if (!ready_ || !tweak_set_ || radix() != 2 || length_ > 64) return Status::invalid_argument;
  const std::uint64_t beyond = length_ < 64 ? ~std::uint64_t{0} << length_ : 0;
  std::uint64_t bad = 0;
  for (const std::uint64_t word : words) bad |= word & beyond;
  if (bad != 0) return Status::malformed;
  std::array<std::uint64_t, kFf1Lanes> left, right;
  while (!words.empty()) {
    const std::span<std::uint64_t> now = words.first(std::min(words.size(), kFf1Lanes));
    for (std::size_t i = 0; i < now.size(); ++i) {
      left[i] = now[i] >> v;
      right[i] = now[i] & ((std::uint64_t{1} << v) - 1);
    }
    if (!feistel_.run(direction, &lane_, 0, left.data(), right.data(), now.size())) return Status::crypto_failure;
    for (std::size_t i = 0; i < now.size(); ++i) now[i] = left[i] << v | right[i];
    words = words.subspan(now.size());
  }
  return Status::ok;
}

template <typename Digit>
Status Ff1Plan::crypt_texts(Ff1Direction direction, const Ff1Alphabet &alphabet, std::span<Ff1Item> items) noexcept {
  bool tweaked = false;
  for (const Ff1Item &item : items) tweaked |= !item.tweak.empty();
  const bool usable = ready_ && alphabet.radix() == radix() && (tweaked || tweak_set_);
  for (Ff1Item &item : items) {
    const bool good =
        usable && item.out.size() >= length_ * alphabet.max_bytes() && (!tweaked || item.tweak.size() == tweak_bytes());
    item.status = good ? Status::ok : Status::invalid_argument;
    item.written = 0;
  }
  bool done = true;
  if (usable && feistel_.width() != Ff1Feistel::Width::wide) {
    std::array<Digit, kMaxNarrowDigits * kFf1Lanes> digits;
    TextValues<Digit> values{alphabet, items, digits, length_, tweaked};
    done = crypt_values(direction, values);
  } else if (usable) {
    std::array<Digit, kFf1MaxLength> digits;
    TextValues<Digit> values{alphabet, items, digits, length_, tweaked};
    done = crypt_wide(direction, values);
  }
  Status first = Status::ok;
  for (Ff1Item &item : items) {
    if (!done) item.status = Status::crypto_failure;
    if (first == Status::ok) first = item.status;
  }
  return first;
}

Status Ff1Plan::crypt_batch(Ff1Direction direction, const Ff1Alphabet &alphabet, std::span<Ff1Item> items) noexcept {
  return alphabet.ascii() ? crypt_texts<std::uint8_t>(direction, alphabet, items)
                          : crypt_texts<std::uint16_t>(direction, alphabet, items);
}

Result<std::size_t> Ff1Plan::crypt(Ff1Direction direction, const Ff1Alphabet &alphabet, std::string_view in,
                                   std::span<char> out) noexcept {
  Ff1Item item{.in = in, .out = out};
  const Status status = crypt_batch(direction, alphabet, {&item, 1});
  if (status != Status::ok) return status;
  return item.written;
}

}  // namespace redoubt
