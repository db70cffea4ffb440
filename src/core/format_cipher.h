// format_cipher.h - FormatCipher: FF1 under the key of one token type, with the plans its values need.
//
// What it is: AES keyed once, and an Ff1Plan for every (radix, length, size of tweak) met so far, which has
// absorbed the class id that all tweaks begin with.  So a tweak that changes with every value (a card's BIN and
// last four) costs no AES block as long as it is short, and one of a few that take turns costs nothing at all.
// What it is not: formats.  It sees numerals and ranks.
// Invariant: every tweak begins with the type's class id.  No more than kMaxPlans plans are kept.
// Locks: none.  One FormatCipher serves one thread at a time.
// Covered by test/unit/format_cipher_test.cpp, test/unit/format_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_CIPHER_H
#define REDOUBT_CORE_FORMAT_CIPHER_H

#include <openssl/crypto.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/aes.h"
#include "core/ff1.h"
#include "core/ff1_digits.h"
#include "core/result.h"
#include "core/secret.h"

namespace redoubt {

inline constexpr std::size_t kFormatClassIdSize = 16;
inline constexpr std::size_t kFormatKeySize = 32;

// Most digits of a text that crypt_digits takes.
inline constexpr std::size_t kFormatMaxDigits = 2 * kFf1MaxWordDigits;

// Most values of a batch.
inline constexpr std::size_t kFormatLanes = kFf1Lanes;

// format_key derives the FF1 key of a token type: HMAC-SHA-256(k2, "redoubt ff1 v1" || class id).
// False if OpenSSL fails; `out` is then all zero.
bool format_key(std::span<const std::uint8_t> k2, std::span<const std::uint8_t, kFormatClassIdSize> class_id,
                SecretBytes<kFormatKeySize> &out);

class FormatCipher {
 public:
  // make keys AES-256.  Null if OpenSSL fails.
  static std::unique_ptr<FormatCipher> make(std::span<const std::uint8_t, kFormatKeySize> key,
                                            std::span<const std::uint8_t, kFormatClassIdSize> class_id);
  FormatCipher(const FormatCipher &) = delete;
  FormatCipher &operator=(const FormatCipher &) = delete;

  // crypt encrypts or decrypts numerals below `radix` in place; the tweak is the class id and then `tweak`.
  // Errors: those of Ff1Plan::prepare (refused: radix^length is below kFf1MinDomain) and Ff1Plan::crypt.
  Status crypt(Ff1Direction direction, std::uint32_t radix, std::span<std::uint16_t> numerals,
               std::span<const std::uint8_t> tweak);

  // crypt_digits is crypt for a text of digits, of up to kFormatMaxDigits.  Errors: also those of
  // Ff1Plan::crypt_digits.
  Status crypt_digits(Ff1Direction direction, std::span<char> text, std::span<const std::uint8_t> tweak);

  // crypt_batch is crypt for several values of one length side by side, several times as fast: `count` values one
  // behind the other in `numerals` and their tweaks, of one size, in `tweaks`.  1 <= count <= kFormatLanes.
  // Errors: as crypt, of the batch as a whole; invalid_argument where a size is no multiple of count.
  Status crypt_batch(Ff1Direction direction, std::uint32_t radix, std::size_t count, std::span<std::uint16_t> numerals,
                     std::span<const std::uint8_t> tweaks);

  // crypt_rank permutes the numbers below `size`, kFf1MinDomain <= size <= 2^62: FF1 on the fewest bits that
  // hold them, again until the result is below `size` (cycle walking: less than two rounds in the mean).  How
  // many rounds a value takes can be seen in its time.
  // Errors: invalid_argument (size, rank not below it), crypto_failure.
  Status crypt_rank(Ff1Direction direction, std::uint64_t size, std::uint64_t &rank,
                    std::span<const std::uint8_t> tweak) {
    return crypt_ranks(direction, size, {&rank, 1}, tweak);
  }
  // crypt_ranks does so for up to kFormatLanes ranks side by side; on an error some of them may be changed.
  Status crypt_ranks(Ff1Direction direction, std::uint64_t size, std::span<std::uint64_t> ranks,
                     std::span<const std::uint8_t> tweak);

  static constexpr std::size_t kMaxPlans = 64;
  static_assert(kMaxPlans <= 256);  // recent_
  // Tweaks that a plan keeps: names of one length differ in where their words begin.
  static constexpr std::size_t kKeptTweaks = 8;

 private:
  // A tweak that was set, without the class id, and what it comes down to.
  struct Tweak {
    std::vector<std::uint8_t> bytes;
    Ff1Lane state = {};
    bool known = false;
    ~Tweak() { OPENSSL_cleanse(state.block.data(), state.block.size()); }
  };
  struct Plan {
    Ff1Plan ff1;
    std::array<Tweak, kKeptTweaks> tweaks;
  };

  explicit FormatCipher(AesBlocks aes) noexcept : aes_(std::move(aes)) {}
  // The plan for such values, its tweak not set; null and `status` where there is none.
  Plan *plan(std::uint32_t radix, std::size_t length, std::size_t tweak_bytes, Status &status);
  static std::size_t place_of(std::span<const std::uint8_t> tweak) noexcept;
  // The same with its tweak set.
  Plan *tweaked_plan(std::uint32_t radix, std::size_t length, std::span<const std::uint8_t> tweak, Status &status);

  AesBlocks aes_;
  std::array<std::uint8_t, kFormatClassIdSize> class_id_ = {};
  std::vector<std::unique_ptr<Plan>> plans_;
  std::array<std::uint8_t, 64> recent_ = {};  // the plan used last, by a hash of what it is for
  std::size_t next_ = 0;                      // the plan to be replaced once there are kMaxPlans
  std::vector<std::uint8_t> tweak_;           // the one that is set, whole
  std::vector<std::uint8_t> tweaks_;          // of a batch; kept so that a batch allocates nothing
};

}  // namespace redoubt
#endif
