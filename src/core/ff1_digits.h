// ff1_digits.h - decimal digits of ASCII to numbers and back, eight at a time in one word.
//
// What it is: NUM_10 and STR_10 of SP 800-38G (Algorithms 1 and 3) on the text itself, for values that are nothing but
// digits: the numerals in between cost as much as two of the ten rounds.
// What it is not: other radices (ff1_numerals).
// Invariant: the time depends on how many digits there are alone, never on which.
// Covered by test/unit/ff1_test.cpp and test/unit/format_test.cpp.
#ifndef REDOUBT_CORE_FF1_DIGITS_H
#define REDOUBT_CORE_FF1_DIGITS_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace redoubt {

// Most digits of a half that is held in 64 bits.
inline constexpr std::size_t kFf1MaxWordDigits = 19;

namespace detail {

inline constexpr std::uint64_t kEightZeros = 0x3030303030303030;  // of ASCII
inline constexpr std::uint64_t kEightDigits = 100'000'000;        // 10^8

// Eight digits as they lie in memory, the first in the least significant byte.
inline std::uint64_t load_eight(const char *digits) noexcept {
  std::uint64_t word;
  std::memcpy(&word, digits, sizeof word);
  return word;
}

// Pairs of digits become numbers below 100, pairs of these below 10^4, and these one below 10^8.
constexpr std::uint64_t number_of_eight(std::uint64_t text) noexcept {
  std::uint64_t number = text - kEightZeros;
  number = number * 10 + (number >> 8);
  const std::uint64_t first = (number & 0x000000FF'000000FF) * (100 + (std::uint64_t{1'000'000} << 32));
  const std::uint64_t second = (number >> 16 & 0x000000FF'000000FF) * (1 + (std::uint64_t{10'000} << 32));
  return (first + second) >> 32;
}

// The reverse, for number < 10^8.  n / 100 is n·10486 / 2^20 for n < 10^4, and n / 10 is n·103 / 2^10 for n < 100.
constexpr std::uint64_t eight_of_number(std::uint64_t number) noexcept {
  const std::uint64_t fours = number / 10'000 | number % 10'000 << 32;
  const std::uint64_t hundreds = fours * 10486 >> 20 & 0x0000007F'0000007F;
  const std::uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
  const std::uint64_t tens = twos * 103 >> 10 & 0x000F000F'000F000F;
  return (tens | (twos - tens * 10) << 8) + kEightZeros;
}

}  // namespace detail

// ff1_are_digits tells whether all of `text` is '0' to '9'; it looks at all of it in any case.
inline bool ff1_are_digits(std::string_view text) noexcept {
  std::uint64_t other = 0;
  const auto look = [&other](std::uint64_t word) {
    // The upper halves of the bytes are 3, and nothing is carried into them where 6 is added to the lower ones.
    other |= (word ^ detail::kEightZeros) & 0xF0F0F0F0F0F0F0F0;
    other |= ((word & 0x0F0F0F0F0F0F0F0F) + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0;
  };
  const std::size_t odd = text.size() % 8;
  std::uint64_t first = detail::kEightZeros;
  for (std::size_t i = 0; i < odd; ++i) first = first << 8 | static_cast<unsigned char>(text[i]);
  look(first);
  for (std::size_t at = odd; at < text.size(); at += 8) look(detail::load_eight(text.data() + at));
  return other == 0;
}

// ff1_digits_pack: the number of `count` digits, count <= kFf1MaxWordDigits.
inline std::uint64_t ff1_digits_pack(const char *digits, std::size_t count) noexcept {
  std::uint64_t number = 0;
  const char *const end = digits + count;
  for (const char *const odd = digits + count % 8; digits < odd; ++digits)
    number = number * 10 + static_cast<std::uint64_t>(*digits - '0');
  for (; digits < end; digits += 8)
    number = number * detail::kEightDigits + detail::number_of_eight(detail::load_eight(digits));
  return number;
}

// ff1_digits_unpack: the reverse, for a number below 10^count.
inline void ff1_digits_unpack(std::uint64_t number, char *digits, std::size_t count) noexcept {
  for (; count >= 8; count -= 8) {
    const std::uint64_t eight = detail::eight_of_number(number % detail::kEightDigits);
    std::memcpy(digits + count - 8, &eight, sizeof eight);
    number /= detail::kEightDigits;
  }
  if (count == 0) return;
  std::uint64_t rest = detail::eight_of_number(number % detail::kEightDigits);
  for (; count > 0; rest <<= 8) digits[--count] = static_cast<char>(rest >> 56);
}

}  // namespace redoubt
#endif
