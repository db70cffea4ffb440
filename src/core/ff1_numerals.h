// ff1_numerals.h - numeral strings to numbers and back: NUM_radix and STR of SP 800-38G.
//
// What it is: Algorithm 1 (NUM_radix) and Algorithm 3 (STR^m_radix) for halves that fit a machine
// integer.  Numerals are handled in chunks whose value stays within 48 bits, so that one
// multiplication by a reciprocal is an exact division by the radix.
// What it is not: characters (ff1_alphabet) or halves beyond 128 bits (ff1_wide).
// Invariant: numerals are below the radix (ff1_numerals_valid says so), numbers below radix^count;
// the time depends on radix and count alone.
// Covered by test/unit/ff1_modulus_test.cpp and test/unit/ff1_test.cpp.
#ifndef REDOUBT_CORE_FF1_NUMERALS_H
#define REDOUBT_CORE_FF1_NUMERALS_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/ff1_modulus.h"

namespace redoubt {

inline constexpr std::uint32_t kFf1MinRadix = 2;
inline constexpr std::uint32_t kFf1MaxRadix = 65536;

// Ff1Radix holds what conversions in one radix need.  2 <= radix <= 65536.
struct Ff1Radix {
  std::uint32_t radix = kFf1MinRadix;
  std::uint32_t chunk_digits = 1;  // numerals in a chunk, 3 .. 48
  std::uint64_t chunk_size = 2;    // radix^chunk_digits, at most 2^48
  std::uint64_t square = 4;        // radix^2
  std::uint64_t fourth = 16;       // radix^4, used where a chunk has four numerals
  // floor(2^64 / d) + 1 for d = radix and radix^4
  std::uint64_t reciprocal = 0, fourth_reciprocal = 0;
  std::uint64_t square_reciprocal = 0;  // the same for radix^2; 0 where it does not divide every chunk exactly
  // See unpack_eight: for radices up to 16.
  std::uint64_t multiplier = 0, square_multiplier = 0;
  Ff1Divisor chunk_divisor;  // divides by chunk_size

  constexpr Ff1Radix() noexcept : Ff1Radix(kFf1MinRadix) {}
  constexpr explicit Ff1Radix(std::uint32_t r) noexcept
      : radix(r), chunk_size(r), square(std::uint64_t{r} * r), fourth(square * square), reciprocal(reciprocal_of(r)) {
    while (chunk_size <= (std::uint64_t{1} << 48) / r) {
      chunk_size *= r;
      ++chunk_digits;
    }
    chunk_divisor = Ff1Divisor(chunk_size);
    if (chunk_size <= ~std::uint64_t{0} / square) square_reciprocal = reciprocal_of(square);
    if (r <= kQuickRadix) {
      multiplier = ((1U << 12) + r - 1) / r;
      square_multiplier = ((1U << 24) + square - 1) / square;
      fourth_reciprocal = reciprocal_of(fourth);
    }
  }

  // pack_chunk: the number of `count` numerals, most significant first, count <= chunk_digits.  Four at a
  // time, because each product waits for the one before.
  template <typename Digit>
  std::uint64_t pack_chunk(const Digit *digits, std::size_t count) const noexcept {
    std::uint64_t number = 0;
    for (; count >= 4; count -= 4, digits += 4) {
      const std::uint64_t high = std::uint64_t{digits[0]} * radix + digits[1];
      const std::uint64_t low = std::uint64_t{digits[2]} * radix + digits[3];
      number = number * fourth + (high * square + low);
    }
    for (; count > 0; --count) number = number * radix + *digits++;
    return number;
  }

  // unpack_chunk: the reverse.  d·(floor(2^64 / d) + 1) exceeds 2^64 by at most d, so the high word of the
  // product is exactly number / d for every number up to 2^64 / d: up to 2^48 for d = radix, and for
  // d = radix^4 where the radix is at most 16.
  template <typename Digit>
  void unpack_chunk(std::uint64_t number, Digit *digits, std::size_t count) const noexcept {
    while (radix <= kQuickRadix && count >= 8) {
      count -= 8;
      const std::uint64_t low = remainder(number, fourth, fourth_reciprocal);
      unpack_eight(remainder(number, fourth, fourth_reciprocal) | low << 32, digits + count);
    }
    if (radix <= kQuickRadix && count >= 4) {
      count -= 4;
      std::array<std::uint8_t, 8> eight;
      unpack_eight(remainder(number, fourth, fourth_reciprocal), eight.data());
      for (std::size_t i = 0; i < 4; ++i) digits[count + i] = eight[i];
    }
    // Two at a time, because each division waits for the one before.
    for (; square_reciprocal != 0 && count >= 2; count -= 2) {
      std::uint64_t first = remainder(number, square, square_reciprocal);
      digits[count - 1] = static_cast<Digit>(remainder(first, radix, reciprocal));
      digits[count - 2] = static_cast<Digit>(first);
    }
    while (count > 0) digits[--count] = static_cast<Digit>(remainder(number, radix, reciprocal));
  }

  // pack: NUM_radix for a Half that holds radix^count - 1.
  template <typename Half, typename Digit>
  Half pack(const Digit *digits, std::size_t count) const noexcept {
    if (count <= chunk_digits) return pack_chunk(digits, count);
    std::size_t done = count % chunk_digits;
    Half number = pack_chunk(digits, done);
    for (; done < count; done += chunk_digits) {
      number = number * chunk_size + pack_chunk(digits + done, chunk_digits);
    }
    return number;
  }

  // unpack: STR^count_radix.
  template <typename Half, typename Digit>
  void unpack(Half number, Digit *digits, std::size_t count) const noexcept {
    for (; count > chunk_digits; count -= chunk_digits) {
      unpack_chunk(chunk_divisor.divide(number), digits + (count - chunk_digits), chunk_digits);
    }
    unpack_chunk(static_cast<std::uint64_t>(number), digits, count);
  }

 private:
  static constexpr std::uint32_t kQuickRadix = 16;

  static constexpr std::uint64_t reciprocal_of(std::uint64_t d) noexcept { return ff1_low(ff1_join(1, 0) / d) + 1; }

  // unpack_eight unpacks four numerals from either half of a word, those of the low half first: radix <= 16.  Halves
  // n < d^2 become n / d and n mod d, first with d = radix^2 and then with d = radix.  With s = 3·log2(d) or more and
  // m = ceil(2^s / d), which exceeds 2^s / d by less than 1, n·m / 2^s exceeds n / d by less than d^2 / 2^s <= 1 / d:
  // its whole part is exact.  And n·m < 2^32 (s = 24, d <= 256) or 2^16 (s = 12, d <= 16), so no part reaches the next.
  template <typename Digit>
  void unpack_eight(std::uint64_t fours, Digit *digits) const noexcept {
    const std::uint64_t high = fours * square_multiplier >> 24 & 0x000000FF'000000FF;
    const std::uint64_t twos = high | (fours - high * square) << 16;
    const std::uint64_t first = twos * multiplier >> 12 & 0x000F'000F'000F'000F;
    const std::uint64_t ones = first | (twos - first * radix) << 8;
    if constexpr (sizeof(Digit) == 2) {
      const std::array<std::uint64_t, 2> wide = {spread(ones & 0xFFFFFFFF), spread(ones >> 32)};
      std::memcpy(digits, wide.data(), sizeof wide);
    } else {
      for (std::size_t i = 0; i < 8; ++i) digits[i] = static_cast<Digit>(ones >> (8 * i) & 0xFF);
    }
  }

  // spread makes four bytes four 16-bit words.
  static std::uint64_t spread(std::uint64_t bytes) noexcept {
    const std::uint64_t pairs = (bytes | bytes << 16) & 0x0000FFFF'0000FFFF;
    return (pairs | pairs << 8) & 0x00FF00FF'00FF00FF;
  }

  // remainder replaces number by its quotient by d.
  static std::uint64_t remainder(std::uint64_t &number, std::uint64_t d, std::uint64_t reciprocal_of_d) noexcept {
    const std::uint64_t quotient = ff1_high(Uint128{number} * reciprocal_of_d);
    const std::uint64_t rest = number - quotient * d;
    number = quotient;
    return rest;
  }
};

// ff1_numerals_valid tells whether every numeral is below radix; it looks at all of them in any case.
template <typename Digit>
bool ff1_numerals_valid(std::span<const Digit> digits, std::uint32_t radix) noexcept {
  std::uint32_t bad = 0;
  for (const Digit digit : digits) bad |= static_cast<std::uint32_t>(digit >= radix);
  return bad == 0;
}

}  // namespace redoubt
#endif
