// ff1_feistel.h - the ten Feistel rounds of FF1, for many values at once.
//
// What it is: SP 800-38G, Algorithm 7 (encrypt) and 8 (decrypt), steps 3 to 6, on halves that are
// already numbers.  The rounds of up to kFf1Lanes values run side by side, so that each needs one or
// two multi-block cipher calls instead of one per value.
// What it is not: the interface; parameters are checked, and numerals converted, in ff1.
// Invariant: PRF is a CBC-MAC, so its state after the constant block P, and after the blocks of the
// tweak in front of the round number, is computed once; a round encrypts only the blocks that hold
// the round number and the half.  Half A is below radix^u and half B below radix^v, always.
// Locks: none; one thread at a time, because the cipher context is.
// Covered by test/unit/ff1_test.cpp, test/unit/ff1_batch_test.cpp and the vectors.
#ifndef REDOUBT_CORE_FF1_FEISTEL_H
#define REDOUBT_CORE_FF1_FEISTEL_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "core/aes.h"
#include "core/ff1_wide.h"
#include "core/secret.h"

namespace redoubt {

enum class Ff1Direction : std::uint8_t { encrypt, decrypt };

// Values whose rounds run side by side.
inline constexpr std::size_t kFf1Lanes = 64;

// Ff1Lane is the CBC-MAC state in front of the round number and the half, with the rest of the tweak
// already added in: what a tweak comes down to.
struct alignas(kAesBlockSize) Ff1Lane {
  std::array<std::uint8_t, kAesBlockSize> block;
};

// Ff1Feistel has a radix, a length, a tweak length and a key.
class Ff1Feistel {
 public:
  // Empty; prepare() first.
  Ff1Feistel() noexcept = default;

  // prepare computes steps 1 and 3 to 5 and enciphers P.  aes must outlive the object.  2 <= radix <= 65536,
  // 2 <= length <= 2·kFf1MaxHalfDigits.  Allocates for halves beyond 128 bits.  False if OpenSSL fails.
  bool prepare(AesBlocks &aes, std::uint32_t radix, std::size_t length, std::size_t tweak_bytes);

  std::size_t left_digits() const noexcept { return u_; }
  std::size_t right_digits() const noexcept { return v_; }
  std::size_t tweak_bytes() const noexcept { return tweak_bytes_; }

  // How halves are held: in 64 bits, in 128, or in half_words() words.
  enum class Width : std::uint8_t { word, two_words, wide };
  Width width() const noexcept;
  std::size_t half_words() const noexcept { return half_words_; }

  // absorb takes in what all tweaks to come begin with: its whole blocks that lie in front of the round number are
  // enciphered here, once, and cost set_lanes nothing.  Tweaks are still given whole.  False if OpenSSL fails.
  bool absorb(std::span<const std::uint8_t> prefix) noexcept;

  // set_lanes turns one tweak per lane, each of tweak_bytes() bytes, into that lane's state; 1 to kFf1Lanes lanes.
  // One cipher call for every whole block of the tweak that lies in front of the round number (none for short
  // tweaks).  False if OpenSSL fails.
  bool set_lanes(std::span<const std::uint8_t *const> tweaks, std::span<Ff1Lane> lanes) const noexcept;

  // set_rest is set_lanes for a tweak whose whole blocks are all absorbed: `rest` is what is left of it.  False, and
  // the lane is as it was, where they are not or `rest` has another size.
  bool set_rest(std::span<const std::uint8_t> rest, Ff1Lane &lane) const noexcept;

  // run performs the ten rounds on the halves left[i], right[i], for 1 <= count <= kFf1Lanes values with lane
  // lanes[i·lane_step], lane_step 0 or 1.  Half is that of width().  False if OpenSSL fails; the halves are then
  // undefined.
  template <typename Half>
  bool run(Ff1Direction direction, const Ff1Lane *lanes, std::size_t lane_step, Half *left, Half *right,
           std::size_t count) const noexcept;

  // run_wide is run for one value of width() wide; each half is half_words() words.
  bool run_wide(Ff1Direction direction, const Ff1Lane &lane, std::uint64_t *left, std::uint64_t *right) const noexcept;

 private:
  // The moduli radix^u (even rounds) and radix^v (odd rounds).
  template <typename Modulus>
  using Pair = std::array<Modulus, 2>;
  using Moduli = std::variant<Pair<Ff1ModulusBinary>, Pair<Ff1ModulusShort>, Pair<Ff1Modulus64>, Pair<Ff1Modulus128>,
                              std::vector<Ff1ModulusWide>>;

  void set_moduli(std::uint32_t radix);
  template <Ff1Direction kDirection, std::size_t kMost, typename Modulus>
  bool run_rounds(const Pair<Modulus> &moduli, const Ff1Lane *lanes, std::size_t lane_step,
                  typename Modulus::Half *left, typename Modulus::Half *right, std::size_t values) const noexcept;
  template <typename Modulus>
  bool run_pair(Ff1Direction direction, const Ff1Lane *lanes, std::size_t lane_step, typename Modulus::Half *left,
                typename Modulus::Half *right, std::size_t count) const noexcept;

  AesBlocks *aes_ = nullptr;
  std::size_t u_ = 0, v_ = 0;        // step 1: numerals in A and B
  std::size_t b_ = 0, d_ = 0;        // steps 3, 4: bytes of a half, bytes of y
  std::size_t tweak_bytes_ = 0;      // t
  std::size_t constant_blocks_ = 0;  // whole blocks of Q in front of the round number
  std::size_t mark_ = 0;             // the round number's place in the block after them
  std::size_t half_words_ = 0;
  std::size_t absorbed_ = 0;          // bytes of the tweak that are in state_ already, a multiple of the block
  SecretBytes<kAesBlockSize> state_;  // CIPH_K(P), and then the CBC-MAC over the absorbed blocks
  Moduli moduli_;
};

}  // namespace redoubt
#endif
