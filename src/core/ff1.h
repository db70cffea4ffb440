// ff1.h - FF1 of NIST SP 800-38G: format-preserving encryption with AES.
//
// What it is: Ff1Plan, everything about a value but the value: key, radix, length and length of the
// tweak, prepared once.  Encrypting a value then allocates nothing, sets up no key and costs ten or
// twenty AES blocks; many values at a time share each cipher call.
// What it is not: formats, masks or check digits, and not authenticated: any string of the right
// length and alphabet decrypts to something.
// Invariant: output has the length and radix of the input, or there is a Status and no output.
// Values and tweaks decide no branch and no address in this module (see ff1_alphabet for UTF-8).
// The plan's state is derived from the key and wiped with it; values on the stack are not wiped.
// Locks: none.  A plan, and all plans on one AesBlocks, serve one thread at a time.
// Covered by test/unit/ff1_*_test.cpp, test/fuzz/ff1_fuzz.cpp and the known-answer tool.
#ifndef REDOUBT_CORE_FF1_H
#define REDOUBT_CORE_FF1_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/ff1_alphabet.h"
#include "core/ff1_feistel.h"

namespace redoubt {

// Fewest values a domain may have: SP 800-38G Revision 1 (draft), 5.1, against the attacks on small
// domains; and the original standard's requirement, for its test vectors alone.
inline constexpr std::uint64_t kFf1MinDomain = 1'000'000;
inline constexpr std::uint64_t kFf1MinDomainOriginal = 100;

// Longest value, in numerals, and longest tweak, in bytes.  They bound the time of one value: see
// test/bench/core/ff1_bench.cpp (about 2 ms for 4096 numerals of radix 65536).
inline constexpr std::size_t kFf1MinLength = 2;
inline constexpr std::size_t kFf1MaxLength = 2 * kFf1MaxHalfDigits;
inline constexpr std::size_t kFf1MaxTweakBytes = 65536;

// Ff1Item is one value of a batch of texts.
struct Ff1Item {
  std::string_view in;                       // UTF-8
  std::span<char> out;                       // room for length() * max_bytes() bytes; may be in's own memory
  std::span<const std::uint8_t> tweak = {};  // tweak_bytes() bytes, or empty in all items: the plan's
  std::size_t written = 0;                   // bytes of out, set on success
  Status status = Status::ok;                // set in any case
};

class Ff1Plan {
 public:
  // Not ready: refuses every value until prepare() succeeds.
  Ff1Plan() noexcept = default;
  ~Ff1Plan();
  // Neither copied nor moved: what it holds is wiped where it lies.
  Ff1Plan(const Ff1Plan &) = delete;
  Ff1Plan &operator=(const Ff1Plan &) = delete;

  // prepare readies the plan for values of `length` numerals below `radix` with tweaks of `tweak_bytes` bytes under
  // the key of aes, which must outlive the plan.  2 <= radix <= 65536, kFf1MinLength <= length <= kFf1MaxLength,
  // tweak_bytes <= kFf1MaxTweakBytes.  Costs microseconds and may allocate: keep plans.
  // Errors: invalid_argument (out of these ranges), refused (radix^length < min_domain), crypto_failure.
  Status prepare(AesBlocks &aes, std::uint32_t radix, std::size_t length, std::size_t tweak_bytes,
                 std::uint64_t min_domain = kFf1MinDomain);

  // absorb_prefix takes in what all tweaks to come begin with, so that its whole blocks are enciphered once and not
  // with every tweak; results do not change.  Tweaks that do not begin with it are the caller's error.
  // Errors: invalid_argument (the plan is not ready, longer than tweak_bytes()), crypto_failure.
  Status absorb_prefix(std::span<const std::uint8_t> prefix) noexcept;

  // set_tweak sets the tweak of the values to come; needed once unless tweak_bytes() is 0.  One AES block for every
  // 16 bytes of tweak that fill a block of their own (none for tweaks of up to 15 bytes less a half's).
  // An absorbed prefix costs nothing again.
  // Errors: invalid_argument (not tweak_bytes() bytes, or the plan is not ready), crypto_failure.
  Status set_tweak(std::span<const std::uint8_t> tweak) noexcept;

  // set_tweak_rest is set_tweak for a tweak of which everything is absorbed but `rest`, at no AES block; false, and
  // nothing is set, where it would take one.
  bool set_tweak_rest(std::span<const std::uint8_t> rest) noexcept {
    if (!ready_ || !feistel_.set_rest(rest, lane_)) return false;
    tweak_set_ = true;
    return true;
  }

  // tweak_state is what the tweak that is set comes down to, and set_tweak_state sets that tweak again at no cost.  A
  // state belongs to the plan that it came from, as it is prepared, and is derived from its key: to be wiped.
  const Ff1Lane &tweak_state() const noexcept { return lane_; }
  void set_tweak_state(const Ff1Lane &state) noexcept {
    lane_ = state;
    tweak_set_ = ready_;
  }

  std::uint32_t radix() const noexcept { return radix_.radix; }
  std::size_t length() const noexcept { return length_; }
  std::size_t tweak_bytes() const noexcept { return feistel_.tweak_bytes(); }

  // crypt encrypts or decrypts one value with the plan's tweak.  in and out are the same memory or do not overlap.
  // Errors: invalid_argument (no tweak set, the plan is not ready, out too small, an alphabet of another radix),
  // out_of_range (in has another length than the plan), malformed (a numeral not below the radix, a character not
  // in the alphabet, not UTF-8), crypto_failure.  On an error out is as it was.
  Status crypt(Ff1Direction direction, std::span<const std::uint16_t> in, std::span<std::uint16_t> out) noexcept;
  Status crypt(Ff1Direction direction, std::span<const std::uint32_t> in, std::span<std::uint32_t> out) noexcept;
  // The text form returns the bytes written to out, which has room for length() * alphabet.max_bytes() bytes.
  Result<std::size_t> crypt(Ff1Direction direction, const Ff1Alphabet &alphabet, std::string_view in,
                            std::span<char> out) noexcept;

  // crypt_digits is crypt for a value of radix 10 that is a text of digits, in place: halves of up to
  // kFf1MaxWordDigits. Errors: invalid_argument (no tweak set, the plan is not ready, is of another radix or of longer
  // halves), out_of_range, malformed, crypto_failure; the text is as it was, but for crypto_failure.
  Status crypt_digits(Ff1Direction direction, std::span<char> text) noexcept;

  // crypt_batch does the same for many values, up to kFf1Lanes side by side; 16 or more at a time are several times
  // faster than one by one.  (Halves beyond 128 bits are done one by one.)
  //
  // Numerals: values of length() numerals one behind the other; tweaks likewise, tweak_bytes() each, or empty for
  // the plan's.  A bad numeral anywhere refuses the batch as a whole.
  Status crypt_batch(Ff1Direction direction, std::span<const std::uint16_t> in, std::span<std::uint16_t> out,
                     std::span<const std::uint8_t> tweaks = {}) noexcept;
  Status crypt_batch(Ff1Direction direction, std::span<const std::uint32_t> in, std::span<std::uint32_t> out,
                     std::span<const std::uint8_t> tweaks = {}) noexcept;
  // Words: values of length() <= 64 numerals of radix 2, each the number they spell, in place, with the plan's tweak.
  // Errors: invalid_argument (another radix or length), malformed (not below 2^length()), crypto_failure; then as
  // above.
  Status crypt_batch(Ff1Direction direction, std::span<std::uint64_t> words) noexcept;
  // Texts: every item has its own status, and a refused one does not keep others from being done.  Returns ok if
  // all items are, else the first that is not.
  Status crypt_batch(Ff1Direction direction, const Ff1Alphabet &alphabet, std::span<Ff1Item> items) noexcept;

 private:
  template <typename Digit>
  Status crypt_numerals(Ff1Direction direction, std::span<const Digit> in, std::span<Digit> out,
                        std::span<const std::uint8_t> tweaks) noexcept;
  template <typename Digit>
  Status crypt_texts(Ff1Direction direction, const Ff1Alphabet &alphabet, std::span<Ff1Item> items) noexcept;
  template <typename Values>
  bool crypt_values(Ff1Direction direction, Values &values) noexcept;
  template <typename Half, typename Values>
  bool crypt_lanes(Ff1Direction direction, Values &values) noexcept;
  template <typename Values>
  bool crypt_wide(Ff1Direction direction, Values &values) noexcept;

  Ff1Radix radix_;
  Ff1Feistel feistel_;
  Ff1Lane lane_ = {};  // of the plan's tweak
  std::size_t length_ = 0;
  bool ready_ = false;
  bool tweak_set_ = false;
};

}  // namespace redoubt
#endif
