// ff1_modulus.h - y mod radix^m for the Feistel step of FF1, where radix^m fits a machine integer.
//
// FF1 adds a d-byte pseudo-random number y to a half and reduces modulo radix^m (SP 800-38G,
// Algorithm 7, step 6.vi).  The modulus is fixed by the plan, so each division is two or three
// multiplications by a reciprocal computed once: Barrett's for 64-bit y, and the 2-by-1 and 3-by-2
// divisions of N. Moeller and T. Granlund, "Improved division by invariant integers" (IEEE Trans.
// Computers 60, 2011), Algorithms 4, 5 and 6, for the rest.
//
// It is not for moduli beyond 128 bits; those are in ff1_wide.
// Invariant: x < modulus before and after add() and sub(); the time depends on the modulus alone,
// never on x or y (masks instead of branches, no hardware division after set-up, no tables).
// Covered by test/unit/ff1_modulus_test.cpp and test/unit/ff1_test.cpp.
#ifndef REDOUBT_CORE_FF1_MODULUS_H
#define REDOUBT_CORE_FF1_MODULUS_H

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace redoubt {

__extension__ typedef unsigned __int128 Uint128;

// ff1_mask is all ones if condition holds, else zero.
constexpr std::uint64_t ff1_mask(bool condition) noexcept { return std::uint64_t{0} - std::uint64_t{condition}; }

constexpr std::uint64_t ff1_high(Uint128 x) noexcept { return static_cast<std::uint64_t>(x >> 64); }
constexpr std::uint64_t ff1_low(Uint128 x) noexcept { return static_cast<std::uint64_t>(x); }
constexpr Uint128 ff1_join(std::uint64_t high, std::uint64_t low) noexcept { return Uint128{high} << 64 | low; }

// ff1_byteswap turns big-endian words into numbers and back; the core is built for little-endian machines.
static_assert(std::endian::native == std::endian::little);
constexpr std::uint64_t ff1_byteswap(std::uint64_t x) noexcept { return __builtin_bswap64(x); }

inline std::uint64_t ff1_load_be64(const std::uint8_t *bytes) noexcept {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return ff1_byteswap(word);
}

inline std::uint32_t ff1_load_be32(const std::uint8_t *bytes) noexcept {
  std::uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  return __builtin_bswap32(word);
}

// Ff1Divisor divides by one 64-bit word, 1 <= divisor.
struct Ff1Divisor {
  std::uint64_t normal = 0;      // the divisor shifted left until its top bit is set
  std::uint64_t reciprocal = 0;  // floor((2^128 - 1) / normal) - 2^64
  unsigned shift = 0;

  constexpr Ff1Divisor() noexcept = default;
  constexpr explicit Ff1Divisor(std::uint64_t divisor) noexcept {
    assert(divisor != 0);
    shift = static_cast<unsigned>(std::countl_zero(divisor));
    normal = divisor << shift;
    reciprocal = ff1_low(ff1_join(~normal, ~std::uint64_t{0}) / normal);
  }

  // divide_normal: Algorithm 4.  Divides high·2^64 + low by `normal`, high < normal; the remainder goes to high.
  constexpr std::uint64_t divide_normal(std::uint64_t &high, std::uint64_t low) const noexcept {
    const Uint128 estimate = Uint128{reciprocal} * high + ff1_join(high, low);
    std::uint64_t quotient = ff1_high(estimate) + 1;
    std::uint64_t remainder = low - quotient * normal;
    const std::uint64_t over = ff1_mask(remainder > ff1_low(estimate));
    quotient += over;
    remainder += over & normal;
    const std::uint64_t under = ff1_mask(remainder >= normal);
    quotient -= under;
    remainder -= under & normal;
    high = remainder;
    return quotient;
  }

  // divide replaces x by its quotient and returns the remainder.
  constexpr std::uint64_t divide(std::uint64_t &x) const noexcept {
    std::uint64_t remainder = x >> 1 >> (63 - shift);
    x = divide_normal(remainder, x << shift);
    return remainder >> shift;
  }
  constexpr std::uint64_t divide(Uint128 &x) const noexcept {
    const Uint128 shifted = x << shift;
    std::uint64_t remainder = ff1_high(x) >> 1 >> (63 - shift);
    const std::uint64_t high = divide_normal(remainder, ff1_high(shifted));
    const std::uint64_t low = divide_normal(remainder, ff1_low(shifted));
    x = ff1_join(high, low);
    return remainder >> shift;
  }
};

// Ff1Divisor2 divides by a normalised two-word divisor (top bit set).
struct Ff1Divisor2 {
  Uint128 normal = 0;
  std::uint64_t reciprocal = 0;  // floor((2^192 - 1) / normal) - 2^64

  constexpr Ff1Divisor2() noexcept = default;
  // Algorithm 6.
  constexpr explicit Ff1Divisor2(Uint128 divisor) noexcept : normal(divisor) {
    const std::uint64_t d1 = ff1_high(divisor), d0 = ff1_low(divisor);
    std::uint64_t v = Ff1Divisor(d1).reciprocal;
    std::uint64_t p = d1 * v + d0;
    if (p < d0) {
      --v;
      if (p >= d1) {
        --v;
        p -= d1;
      }
      p -= d1;
    }
    const Uint128 t = Uint128{v} * d0;
    p += ff1_high(t);
    if (p < ff1_high(t)) {
      --v;
      if (ff1_join(p, ff1_low(t)) >= divisor) --v;
    }
    reciprocal = v;
  }

  // divide: Algorithm 5.  Divides high·2^64 + low, high < normal; the remainder goes to high.
  constexpr std::uint64_t divide(Uint128 &high, std::uint64_t low) const noexcept {
    const std::uint64_t d1 = ff1_high(normal), d0 = ff1_low(normal);
    const Uint128 estimate = Uint128{reciprocal} * ff1_high(high) + high;
    std::uint64_t quotient = ff1_high(estimate);
    const std::uint64_t r1 = ff1_low(high) - quotient * d1;
    Uint128 remainder = ff1_join(r1, low) - Uint128{d0} * quotient - normal;
    ++quotient;
    const std::uint64_t over = ff1_mask(ff1_high(remainder) >= ff1_low(estimate));
    quotient += over;
    remainder += normal & ff1_join(over, over);
    const std::uint64_t under = ff1_mask(remainder >= normal);
    quotient -= under;
    remainder -= normal & ff1_join(under, under);
    high = remainder;
    return quotient;
  }
};

// ff1_add and ff1_subtract: (x ± y) mod modulus for x, y < modulus.
constexpr std::uint64_t ff1_add(std::uint64_t x, std::uint64_t y, std::uint64_t modulus) noexcept {
  const std::uint64_t gap = modulus - y;  // 1 .. modulus
  return x - gap + (ff1_mask(x < gap) & modulus);
}
constexpr std::uint64_t ff1_subtract(std::uint64_t x, std::uint64_t y, std::uint64_t modulus) noexcept {
  return x - y + (ff1_mask(x < y) & modulus);
}
constexpr Uint128 ff1_add(Uint128 x, Uint128 y, Uint128 modulus) noexcept {
  const Uint128 gap = modulus - y;
  const std::uint64_t mask = ff1_mask(x < gap);
  return x - gap + (ff1_join(mask, mask) & modulus);
}
constexpr Uint128 ff1_subtract(Uint128 x, Uint128 y, Uint128 modulus) noexcept {
  const std::uint64_t mask = ff1_mask(x < y);
  return x - y + (ff1_join(mask, mask) & modulus);
}

// ff1_add_loose and ff1_subtract_loose: the same for y < 2·modulus, where that fits a Half.  What y has to reach for
// each subtraction (or addition) of the modulus does not wait for y: a round waits for nothing but y.
template <typename Half>
constexpr Half ff1_masked(bool condition, Half x) noexcept {
  return (Half{0} - Half{condition}) & x;
}
template <typename Half>
constexpr Half ff1_add_loose(Half x, Half y, Half modulus) noexcept {
  const Half once = modulus - x;  // 1 .. modulus
  const Half twice = once + modulus;
  return x + y - ff1_masked(y >= once, modulus) - ff1_masked(y >= twice, modulus);
}
template <typename Half>
constexpr Half ff1_subtract_loose(Half x, Half y, Half modulus) noexcept {
  const Half twice = x + modulus;
  return x - y + ff1_masked(y > x, modulus) + ff1_masked(y > twice, modulus);
}

// Ff1Quotient estimates y / m from the 64 most significant bits of y alone, where the quotient fits a word: y is
// 64 + `low` bits wide.  With n the length of m in bits and k = n - 1 - low, reciprocal lies in
// (2^(63+n)/m - 2, 2^(63+n)/m], so y/m exceeds high·reciprocal/2^(64+k) by less than 2^-k (the low bits of y) plus
// 2^(1-k) (the reciprocal): with k >= 3, y less estimate·m lies in [0, 2m).
struct Ff1Quotient {
  std::uint64_t reciprocal = 0;  // 0: not for this m
  unsigned shift = 0;            // k

  constexpr Ff1Quotient() noexcept = default;
  // `most`: one bit less than what remainders are computed in, so that 2m fits.
  constexpr Ff1Quotient(Uint128 m, unsigned n, unsigned low, unsigned most) noexcept {
    if (n < low + 4 || n > low + 64 || n > most) return;
    reciprocal = Ff1Divisor2(m << (128 - n)).reciprocal >> 1 | std::uint64_t{1} << 63;
    shift = n - 1 - low;
  }
  constexpr bool usable() const noexcept { return reciprocal != 0; }
  constexpr std::uint64_t estimate(std::uint64_t high) const noexcept {
    return ff1_high(Uint128{high} * reciprocal) >> shift;
  }
};

// Each modulus below reads y from the cipher output S (step 6.iii-iv); s is the block R, s2 the next one (read only
// where d > 16).  It offers
//   add(x, s, s2)       (x + y) mod modulus, for x < modulus
//   subtract(x, s, s2)  (x - y) mod modulus
//   reduce(...)         y mod modulus, for tests of the arithmetic alone

// Ff1ModulusBinary: radix^m is a power of two, and d = 8.
struct Ff1ModulusBinary {
  using Half = std::uint64_t;
  std::uint64_t mask = 0;  // modulus - 1

  constexpr Ff1ModulusBinary() noexcept = default;
  constexpr explicit Ff1ModulusBinary(std::uint64_t m) noexcept : mask(m - 1) { assert(std::has_single_bit(m)); }

  std::uint64_t add(std::uint64_t x, const std::uint8_t *s, const std::uint8_t *) const noexcept {
    return (x + ff1_load_be64(s)) & mask;
  }
  std::uint64_t subtract(std::uint64_t x, const std::uint8_t *s, const std::uint8_t *) const noexcept {
    return (x - ff1_load_be64(s)) & mask;
  }
};

// Ff1ModulusShort: d = 8, so y is 64 bits and radix^m <= 2^32.  Barrett's reduction.
struct Ff1ModulusShort {
  using Half = std::uint64_t;
  std::uint64_t modulus = 0;
  std::uint64_t reciprocal = 0;  // floor(2^64 / modulus)

  constexpr Ff1ModulusShort() noexcept = default;
  constexpr explicit Ff1ModulusShort(std::uint64_t m) noexcept : modulus(m), reciprocal(ff1_low(ff1_join(1, 0) / m)) {}

  // loose is y mod modulus, or that and the modulus: 2^64/m - 1 < reciprocal <= 2^64/m, so the quotient is short by one
  // at most.
  constexpr std::uint64_t loose(std::uint64_t y) const noexcept {
    return y - ff1_high(Uint128{y} * reciprocal) * modulus;
  }
  constexpr std::uint64_t reduce(std::uint64_t y) const noexcept {
    const std::uint64_t r = loose(y);
    return r - (ff1_mask(r >= modulus) & modulus);
  }
  std::uint64_t add(std::uint64_t x, const std::uint8_t *s, const std::uint8_t *) const noexcept {
    return ff1_add_loose(x, loose(ff1_load_be64(s)), modulus);
  }
  std::uint64_t subtract(std::uint64_t x, const std::uint8_t *s, const std::uint8_t *) const noexcept {
    return ff1_subtract_loose(x, loose(ff1_load_be64(s)), modulus);
  }
};

// Ff1Modulus64: d = 12, so y is 96 bits; 2^16 < radix^m < 2^64.
struct Ff1Modulus64 {
  using Half = std::uint64_t;
  std::uint64_t modulus = 0;
  Ff1Divisor divisor;
  Ff1Quotient quotient;

  constexpr Ff1Modulus64() noexcept = default;
  constexpr explicit Ff1Modulus64(std::uint64_t m) noexcept
      : modulus(m), divisor(m), quotient(m, static_cast<unsigned>(std::bit_width(m)), 32, 63) {}

  // loose is y mod modulus, or that and the modulus, by the first 64 bits of y and the last; with a quotient alone.
  constexpr std::uint64_t loose(std::uint64_t y_first, std::uint64_t y_last) const noexcept {
    return y_last - quotient.estimate(y_first) * modulus;
  }
  constexpr std::uint64_t reduce(std::uint32_t y_high, std::uint64_t y_low) const noexcept {
    const Uint128 y = ff1_join(y_high, y_low);
    if (quotient.usable()) {  // a property of the plan
      const std::uint64_t r = loose(static_cast<std::uint64_t>(y >> 32), y_low);
      return r - (ff1_mask(r >= modulus) & modulus);
    }
    const Uint128 shifted = y << divisor.shift;  // loses bits only when the shift exceeds 32
    std::uint64_t remainder = ff1_high(shifted);
    if (divisor.shift >= 32) {  // a property of the plan: modulus <= 2^32
      const std::uint64_t low = remainder;
      remainder = std::uint64_t{y_high} >> 1 >> (63 - divisor.shift);
      divisor.divide_normal(remainder, low);
    }
    divisor.divide_normal(remainder, ff1_low(shifted));
    return remainder >> divisor.shift;
  }
  std::uint64_t add(std::uint64_t x, const std::uint8_t *s, const std::uint8_t *) const noexcept {
    if (!quotient.usable()) return ff1_add(x, reduce(ff1_load_be32(s), ff1_load_be64(s + 4)), modulus);
    return ff1_add_loose(x, loose(ff1_load_be64(s), ff1_load_be64(s + 4)), modulus);
  }
  std::uint64_t subtract(std::uint64_t x, const std::uint8_t *s, const std::uint8_t *) const noexcept {
    if (!quotient.usable()) return ff1_subtract(x, reduce(ff1_load_be32(s), ff1_load_be64(s + 4)), modulus);
    return ff1_subtract_loose(x, loose(ff1_load_be64(s), ff1_load_be64(s + 4)), modulus);
  }
};

// Ff1Modulus128: d = 12, 16 or 20, so y is up to 160 bits; 2^48 <= radix^m < 2^128.
struct Ff1Modulus128 {
  using Half = Uint128;
  Uint128 modulus = 0;
  Ff1Divisor2 divisor;
  Ff1Quotient quotient;
  unsigned shift = 0;   // 0 .. 79
  unsigned y_bits = 0;  // 8·d

  constexpr Ff1Modulus128() noexcept = default;
  constexpr Ff1Modulus128(Uint128 m, std::size_t d) noexcept : modulus(m), y_bits(static_cast<unsigned>(8 * d)) {
    assert(m != 0);
    shift = static_cast<unsigned>(ff1_high(m) != 0 ? std::countl_zero(ff1_high(m)) : 64 + std::countl_zero(ff1_low(m)));
    divisor = Ff1Divisor2(m << shift);
    quotient = Ff1Quotient(m, 128 - shift, y_bits - 64, 127);
  }

  // reduce takes y = y2·2^128 + y10, below 2^y_bits.
  constexpr Uint128 reduce(std::uint32_t y2, Uint128 y10) const noexcept {
    // t = y << shift, four words: t3, t2 in `high`, t1, t0 in `low`.
    const Uint128 low = y10 << shift;
    const Uint128 high = (Uint128{y2} << shift) | (y10 >> 1 >> (127 - shift));
    Uint128 remainder = ff1_join(ff1_low(high), ff1_high(low));
    if (y_bits + shift >= 192) {  // a property of the plan: t may exceed the one-step bound 2^191
      const std::uint64_t t1 = ff1_high(low);
      remainder = high;
      divisor.divide(remainder, t1);
    }
    divisor.divide(remainder, ff1_low(low));
    return remainder >> shift;
  }
  // reduce reads y from S.
  Uint128 reduce(const std::uint8_t *s, const std::uint8_t *s2) const noexcept {
    if (quotient.usable()) {  // a property of the plan
      const Uint128 r = loose(s, s2);
      return r - ff1_masked(r >= modulus, modulus);
    }
    const Uint128 block = ff1_join(ff1_load_be64(s), ff1_load_be64(s + 8));
    return y_bits == 160 ? reduce(static_cast<std::uint32_t>(block >> 96), block << 32 | ff1_load_be32(s2))
                         : reduce(0, block >> (128 - y_bits));
  }
  Uint128 add(Uint128 x, const std::uint8_t *s, const std::uint8_t *s2) const noexcept {
    return quotient.usable() ? ff1_add_loose(x, loose(s, s2), modulus) : ff1_add(x, reduce(s, s2), modulus);
  }
  Uint128 subtract(Uint128 x, const std::uint8_t *s, const std::uint8_t *s2) const noexcept {
    return quotient.usable() ? ff1_subtract_loose(x, loose(s, s2), modulus) : ff1_subtract(x, reduce(s, s2), modulus);
  }

 private:
  // loose is y mod modulus, or that and the modulus; with a quotient alone.  Of 160 bits of y the last 128 are looked
  // at: what is subtracted leaves a number below them.  The estimate does not wait for the second block of S.
  Uint128 loose(const std::uint8_t *s, const std::uint8_t *s2) const noexcept {
    const std::uint64_t first = ff1_load_be64(s);
    const std::uint64_t q = quotient.estimate(first);
    const Uint128 multiple = Uint128{q} * ff1_low(modulus) + ff1_join(q * ff1_high(modulus), 0);
    if (y_bits == 160)
      return ff1_join(ff1_load_be64(s + 4), std::uint64_t{ff1_load_be32(s + 12)} << 32 | ff1_load_be32(s2)) - multiple;
    if (y_bits == 128) return ff1_join(first, ff1_load_be64(s + 8)) - multiple;
    return ff1_join(first >> 32, ff1_load_be64(s + 4)) - multiple;
  }
};

}  // namespace redoubt
#endif
