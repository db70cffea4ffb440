// ff1_numerals.h - numeral strings to numbers and back: NUM_radix and STR of SP 800-38G.
//
// What it is: Algorithm 1 (NUM_radix) and Algorithm 3 (STR^m_radix) for halves that fit a machine
// integer.  Numerals are handled in chunks whose value stays within 48 bits, so that one
// multiplication by a reciprocal is an exact division by the radix.
// What it is not: characters (ff1_alphabet) or halves beyond 128 bits (ff1_wide).
// Invariant: numerals are below the radix (ff1_numerals_valid says so), numbers below radix^count;
// the time depends on radix and count alone.
// Covered by test/unit/ff1_numerals_test.cpp.
#ifndef REDOUBT_CORE_FF1_NUMERALS_H
#define REDOUBT_CORE_FF1_NUMERALS_H

#include <cstddef>
#include <cstdint>
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
  std::uint64_t reciprocal = 0;    // floor(2^64 / radix) + 1
  Ff1Divisor chunk_divisor;        // divides by chunk_size

  constexpr Ff1Radix() noexcept : Ff1Radix(kFf1MinRadix) {}
  constexpr explicit Ff1Radix(std::uint32_t r) noexcept
      : radix(r), chunk_digits(1), chunk_size(r), reciprocal(ff1_low(ff1_join(1, 0) / r) + 1) {
    while (chunk_size <= (std::uint64_t{1} << 48) / r) {
      chunk_size *= r;
      ++chunk_digits;
    }
    chunk_divisor = Ff1Divisor(chunk_size);
  }

  // pack_chunk: the number of `count` numerals, most significant first, count <= chunk_digits.
  template <typename Digit>
  std::uint64_t pack_chunk(const Digit *digits, std::size_t count) const noexcept {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < count; ++i) number = number * radix + digits[i];
    return number;
  }

  // unpack_chunk: the reverse.  reciprocal·radix exceeds 2^64 by at most radix, so the product's high
  // word is exactly number / radix for every number up to 2^64 / radix, and 2^48 is within that.
  template <typename Digit>
  void unpack_chunk(std::uint64_t number, Digit *digits, std::size_t count) const noexcept {
    for (std::size_t i = count; i-- > 0;) {
      const std::uint64_t quotient = ff1_high(Uint128{number} * reciprocal);
      digits[i] = static_cast<Digit>(number - quotient * radix);
      number = quotient;
    }
  }

  // pack: NUM_radix for a Half that holds radix^count - 1.
  template <typename Half, typename Digit>
  Half pack(const Digit *digits, std::size_t count) const noexcept {
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
