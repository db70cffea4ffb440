// ff1_wide.h - FF1 arithmetic for halves beyond 128 bits: fixed-capacity words, no allocation per value.
//
// What it is: numbers of up to kFf1WideWords 64-bit words, least significant first, with just the
// operations of SP 800-38G's Algorithms 7 and 8: NUM_radix, STR, bytes and addition modulo radix^m.
// What it is not: a general big-integer library.
// Invariant: x < modulus before and after add() and subtract(); the time depends on sizes and
// modulus alone, never on a value.
// Covered by test/unit/ff1_wide_test.cpp (against OpenSSL's BIGNUM) and test/unit/ff1_test.cpp.
#ifndef REDOUBT_CORE_FF1_WIDE_H
#define REDOUBT_CORE_FF1_WIDE_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/ff1_numerals.h"

namespace redoubt {

// Longest half: 2048 numerals of 16 bits, and one word more for radix^m itself.
inline constexpr std::size_t kFf1MaxHalfDigits = 2048;
inline constexpr std::size_t kFf1WideWords = kFf1MaxHalfDigits * 16 / 64 + 1;
using Ff1Wide = std::array<std::uint64_t, kFf1WideWords>;

// ff1_wide_power sets x = radix^count, count <= kFf1MaxHalfDigits, and returns how many words it has.
// Set-up only.
std::size_t ff1_wide_power(Ff1Wide &x, std::uint32_t radix, std::size_t count) noexcept;

// ff1_wide_bits is the length in bits of x - 1, for x > 0 of `words` words (top word not zero).
std::size_t ff1_wide_bits_below(std::span<const std::uint64_t> x) noexcept;

// ff1_wide_pack sets the `words` words of x to NUM_radix(digits), which must fit.
template <typename Digit>
void ff1_wide_pack(const Ff1Radix &radix, std::span<const Digit> digits, std::uint64_t *x, std::size_t words) noexcept;

// ff1_wide_unpack writes STR^digits.size()_radix(x) and leaves x spent.
template <typename Digit>
void ff1_wide_unpack(const Ff1Radix &radix, std::uint64_t *x, std::size_t words, std::span<Digit> digits) noexcept;

// ff1_wide_to_bytes writes x big-endian into all of `bytes`; x must fit.
void ff1_wide_to_bytes(const std::uint64_t *x, std::span<std::uint8_t> bytes) noexcept;

// Ff1ModulusWide: addition modulo radix^m > 2^64.
class Ff1ModulusWide {
 public:
  // The modulus' words, top word not zero, at least two.  Allocates.
  explicit Ff1ModulusWide(std::span<const std::uint64_t> modulus);

  std::size_t words() const noexcept { return modulus_.size(); }

  // x = (x ± y) mod modulus.  x has words() words.  y is big-endian; its size is a multiple of four, from
  // 8·words() - 4 to 8·kFf1WideWords bytes (d of step 4 always is).
  void add(std::uint64_t *x, std::span<const std::uint8_t> y) const noexcept;
  void subtract(std::uint64_t *x, std::span<const std::uint8_t> y) const noexcept;

 private:
  using Work = std::array<std::uint64_t, kFf1WideWords + 1>;
  void reduce(std::span<const std::uint8_t> y, Work &work) const noexcept;

  std::vector<std::uint64_t> modulus_;
  std::vector<std::uint64_t> normal_;  // modulus << shift_, top bit set
  unsigned shift_;
  Ff1Divisor2 top_;  // the top two words of normal_
};

}  // namespace redoubt
#endif
