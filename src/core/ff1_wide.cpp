// ff1_wide.cpp - word-by-word arithmetic modulo radix^m; see ff1_wide.h for what it promises.
//
// Division is schoolbook (Knuth, The Art of Computer Programming, vol. 2, 4.3.1, Algorithm D) with
// 3-by-2 quotient words.  y is only a few bytes longer than the modulus, so a reduction takes one
// to three quotient words and is linear in the length.
#include "core/ff1_wide.h"

#include <algorithm>
#include <bit>

namespace redoubt {
namespace {

// Words that hold `chunks` chunks of at most 48 bits.
constexpr std::size_t words_of_chunks(std::size_t chunks) noexcept { return (48 * chunks + 63) / 64; }

// x = x·factor + carry over `words` words; returns what does not fit.
std::uint64_t multiply_add(std::uint64_t *x, std::size_t words, std::uint64_t factor, std::uint64_t carry) noexcept {
  for (std::size_t i = 0; i < words; ++i) {
    const Uint128 t = Uint128{x[i]} * factor + carry;
    x[i] = ff1_low(t);
    carry = ff1_high(t);
  }
  return carry;
}

// x = x / divisor over `words` words; returns the remainder.
std::uint64_t divide(std::uint64_t *x, std::size_t words, const Ff1Divisor &divisor) noexcept {
  const unsigned shift = divisor.shift;
  std::uint64_t remainder = x[words - 1] >> 1 >> (63 - shift);
  for (std::size_t i = words; i-- > 0;) {
    const std::uint64_t below = i > 0 ? x[i - 1] >> 1 >> (63 - shift) : 0;
    x[i] = divisor.divide_normal(remainder, x[i] << shift | below);
  }
  return remainder >> shift;
}

// x -= quotient·d; returns the borrow out of the top word, to be taken from the word above.
std::uint64_t submultiply(std::uint64_t *x, std::span<const std::uint64_t> d, std::uint64_t quotient) noexcept {
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < d.size(); ++i) {
    const Uint128 t = Uint128{d[i]} * quotient + carry;
    carry = ff1_high(t) + std::uint64_t{x[i] < ff1_low(t)};
    x[i] -= ff1_low(t);
  }
  return carry;
}

// x += d & mask; returns the carry.
std::uint64_t add_masked(std::uint64_t *x, std::span<const std::uint64_t> d, std::uint64_t mask) noexcept {
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < d.size(); ++i) {
    const Uint128 t = Uint128{x[i]} + (d[i] & mask) + carry;
    x[i] = ff1_low(t);
    carry = ff1_high(t);
  }
  return carry;
}

// x -= d; returns the borrow.
std::uint64_t subtract_words(std::uint64_t *x, const std::uint64_t *d, std::size_t words) noexcept {
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < words; ++i) {
    const Uint128 t = Uint128{x[i]} - d[i] - borrow;
    x[i] = ff1_low(t);
    borrow = ff1_high(t) & 1;
  }
  return borrow;
}

}  // namespace

std::size_t ff1_wide_power(Ff1Wide &x, std::uint32_t radix, std::size_t count) noexcept {
  x[0] = 1;
  std::size_t words = 1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t carry = multiply_add(x.data(), words, radix, 0);
    if (carry != 0) x[words++] = carry;
  }
  return words;
}

std::size_t ff1_wide_bits_below(std::span<const std::uint64_t> x) noexcept {
  const auto bits = 64 * x.size() - static_cast<std::size_t>(std::countl_zero(x.back()));
  const bool power_of_two = std::has_single_bit(x.back()) &&
                            std::all_of(x.begin(), x.end() - 1, [](std::uint64_t word) { return word == 0; });
  return power_of_two ? bits - 1 : bits;
}

template <typename Digit>
void ff1_wide_pack(const Ff1Radix &radix, std::span<const Digit> digits, std::uint64_t *x, std::size_t words) noexcept {
  std::fill_n(x, words, 0);
  std::size_t done = digits.size() % radix.chunk_digits;
  std::size_t chunks = 1;
  x[0] = radix.pack_chunk(digits.data(), done);
  for (; done < digits.size(); done += radix.chunk_digits) {
    const std::uint64_t chunk = radix.pack_chunk(digits.data() + done, radix.chunk_digits);
    multiply_add(x, std::min(words, words_of_chunks(++chunks)), radix.chunk_size, chunk);
  }
}

template <typename Digit>
void ff1_wide_unpack(const Ff1Radix &radix, std::uint64_t *x, std::size_t words, std::span<Digit> digits) noexcept {
  std::size_t count = digits.size();
  for (; count > radix.chunk_digits; count -= radix.chunk_digits) {
    const std::size_t chunks = (count + radix.chunk_digits - 1) / radix.chunk_digits;
    const std::uint64_t chunk = divide(x, std::min(words, words_of_chunks(chunks)), radix.chunk_divisor);
    radix.unpack_chunk(chunk, digits.data() + (count - radix.chunk_digits), radix.chunk_digits);
  }
  radix.unpack_chunk(x[0], digits.data(), count);
}

template void ff1_wide_pack(const Ff1Radix &, std::span<const std::uint8_t>, std::uint64_t *, std::size_t) noexcept;
template void ff1_wide_pack(const Ff1Radix &, std::span<const std::uint16_t>, std::uint64_t *, std::size_t) noexcept;
template void ff1_wide_pack(const Ff1Radix &, std::span<const std::uint32_t>, std::uint64_t *, std::size_t) noexcept;
template void ff1_wide_unpack(const Ff1Radix &, std::uint64_t *, std::size_t, std::span<std::uint8_t>) noexcept;
template void ff1_wide_unpack(const Ff1Radix &, std::uint64_t *, std::size_t, std::span<std::uint16_t>) noexcept;
template void ff1_wide_unpack(const Ff1Radix &, std::uint64_t *, std::size_t, std::span<std::uint32_t>) noexcept;

void ff1_wide_to_bytes(const std::uint64_t *x, std::span<std::uint8_t> bytes) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[bytes.size() - 1 - i] = static_cast<std::uint8_t>(x[i / 8] >> (8 * (i % 8)));
  }
}

Ff1ModulusWide::Ff1ModulusWide(std::span<const std::uint64_t> modulus)
    : modulus_(modulus.begin(), modulus.end()),
      normal_(modulus.size()),
      shift_(static_cast<unsigned>(std::countl_zero(modulus.back()))) {
  for (std::size_t i = 0; i < modulus.size(); ++i) {
    const std::uint64_t below = i > 0 ? modulus[i - 1] >> 1 >> (63 - shift_) : 0;
    normal_[i] = modulus[i] << shift_ | below;
  }
  top_ = Ff1Divisor2(ff1_join(normal_.back(), normal_[normal_.size() - 2]));
}

// reduce leaves y mod modulus in the low words() words of work.
void Ff1ModulusWide::reduce(std::span<const std::uint8_t> y, Work &work) const noexcept {
  const std::size_t n = words();
  const std::size_t y_words = (y.size() + 7) / 8;
  const std::uint8_t *end = y.data() + y.size();
  for (std::size_t i = 0; i < y.size() / 8; ++i) work[i] = ff1_load_be64(end - 8 * (i + 1));
  if (y.size() % 8 != 0) work[y_words - 1] = ff1_load_be32(y.data());

  // D1: normalise.  The new top word is below 2^shift_, so every window starts below the divisor.
  work[y_words] = 0;
  for (std::size_t i = y_words + 1; i-- > 0;) {
    const std::uint64_t below = i > 0 ? work[i - 1] >> 1 >> (63 - shift_) : 0;
    work[i] = work[i] << shift_ | below;
  }
  for (std::size_t j = y_words + 1 - n; j-- > 0;) {
    // D3: the quotient word, at most one too large; 2^64 - 1 where the 3-by-2 quotient would overflow.
    std::uint64_t *window = work.data() + j;
    Uint128 high = ff1_join(window[n], window[n - 1]);
    const std::uint64_t equal = ff1_mask(high == top_.normal);
    const std::uint64_t quotient = top_.divide(high, window[n - 2]) | equal;
    // D4-D6: multiply and subtract, add back where it was too large.
    const std::uint64_t borrow = submultiply(window, normal_, quotient);
    const std::uint64_t too_large = ff1_mask(window[n] < borrow);
    window[n] -= borrow;
    window[n] += add_masked(window, normal_, too_large);
  }
  // D8: undo the normalisation.
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t above = i + 1 < n ? work[i + 1] << 1 << (63 - shift_) : 0;
    work[i] = work[i] >> shift_ | above;
  }
}

void Ff1ModulusWide::add(std::uint64_t *x, std::span<const std::uint8_t> y) const noexcept {
  Work r;
  reduce(y, r);
  // x + r - modulus, and the modulus again where that went below zero.
  const std::uint64_t carry = add_masked(x, {r.data(), words()}, ~std::uint64_t{0});
  const std::uint64_t borrow = subtract_words(x, modulus_.data(), words());
  add_masked(x, modulus_, ff1_mask(carry < borrow));
}

void Ff1ModulusWide::subtract(std::uint64_t *x, std::span<const std::uint8_t> y) const noexcept {
  Work r;
  reduce(y, r);
  const std::uint64_t borrow = subtract_words(x, r.data(), words());
  add_masked(x, modulus_, ff1_mask(borrow != 0));
}

}  // namespace redoubt
