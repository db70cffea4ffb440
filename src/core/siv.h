// siv.h - Siv: AES-SIV, deterministic authenticated encryption (RFC 5297).
//
// What it is: S2V (section 2.4, on AES-CMAC) and CTR (section 2.5) on AES blocks, so that a
// key is set up once and a short value costs a few block operations; OpenSSL's own AES-SIV
// re-keys for every value.
// What it is not: a token format (see token.h), and not nonce-based by itself.  A nonce, where
// there is one, is the last component of the associated data (section 3).
// Invariant: equal (K1, AD, plaintext) give equal V, whatever K2 is.  Plaintext that did not
// authenticate never stays in the caller's buffer.
// Locks: none.  One Siv serves one thread at a time.
// Covered by test/unit/siv_test.cpp, test/kat/siv.cpp and test/fuzz/siv_fuzz.cpp.
#ifndef REDOUBT_CORE_SIV_H
#define REDOUBT_CORE_SIV_H

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/aes.h"
#include "core/result.h"
#include "core/secret.h"

namespace redoubt {

inline constexpr std::size_t kSivSize = 16;  // V, the synthetic IV
// Section 2.4: S2V takes at most 127 strings, and the plaintext is the last of them.
inline constexpr std::size_t kSivMaxComponents = 126;

// SivAd is S2V's state D after all components of the associated data: of use only with the
// Siv (or another Siv of the same K1) that made it.  Worth keeping where the AD is fixed.
struct SivAd {
  SecretBytes<kSivSize> d;
};

class Siv {
 public:
  // Bytes, and a vector of byte strings (the components of the associated data).
  using Bytes = std::span<const std::uint8_t>;
  using Components = std::span<const Bytes>;

  Siv() noexcept = default;  // empty: every operation is a crypto_failure

  // make takes the two halves of RFC 5297's key, K1 for S2V and K2 for CTR: 16, 24 or 32
  // bytes, both of one length.  Errors: invalid_argument (lengths), crypto_failure.
  static Result<Siv> make(Bytes k1, Bytes k2);

  // absorb runs S2V over the associated data.  No component at all and one empty component
  // are different.  Errors: invalid_argument (more than 126 components), crypto_failure.
  Result<SivAd> absorb(Components ad) noexcept;

  // The state after one component more than `ad` has taken in.  Error: crypto_failure.
  Result<SivAd> absorb(const SivAd &ad, Bytes component) noexcept;

  // seal writes V (16 bytes) and then the ciphertext (as long as the plaintext) to `out`, whose
  // size is exactly 16 + plaintext.size().  The plaintext lies apart from `out` or exactly
  // where its ciphertext goes (out + 16).
  // Errors: invalid_argument (size of out, components), crypto_failure; `out` is then wiped.
  Status seal(Components ad, Bytes plaintext, std::span<std::uint8_t> out) noexcept;
  Status seal(const SivAd &ad, Bytes plaintext, std::span<std::uint8_t> out) noexcept;

  // open takes V and the ciphertext and writes the plaintext to `out`, whose size is exactly
  // sealed.size() - 16 and which lies apart from `sealed` or exactly on its ciphertext.
  // Errors: malformed (fewer than 16 bytes), invalid_argument (size of out, components),
  // corrupt (altered, or other key or AD), crypto_failure; `out` is then wiped.
  Status open(Components ad, Bytes sealed, std::span<std::uint8_t> out) noexcept;
  Status open(const SivAd &ad, Bytes sealed, std::span<std::uint8_t> out) noexcept;

  // The same with V and the ciphertext as two arguments; out.size() == ciphertext.size().
  Status open(const SivAd &ad, std::span<const std::uint8_t, kSivSize> v, Bytes ciphertext,
              std::span<std::uint8_t> out) noexcept;

  // fingerprint writes the V that seal would write, without encrypting: it depends on K1 alone,
  // so it is the same for every version of K2.  Error: crypto_failure; `v` is then wiped.
  Status fingerprint(const SivAd &ad, Bytes plaintext, std::span<std::uint8_t, kSivSize> v) noexcept;

 private:
  bool cmac(Bytes message, const std::uint8_t *xorend, std::span<std::uint8_t, kSivSize> out) noexcept;
  bool s2v_last(const SivAd &ad, Bytes plaintext, std::span<std::uint8_t, kSivSize> v) noexcept;
  bool ctr(std::span<const std::uint8_t, kSivSize> v, Bytes in, std::uint8_t *out) noexcept;

  // Most bytes of a text that is sealed and opened block by block: nearly all e-mail addresses, names, numbers.
  static constexpr std::size_t kShort = 4 * kSivSize;
  template <typename End>
  struct Short;
  template <typename End>
  bool s2v_short(const SivAd &ad, const Short<End> &text, std::span<std::uint8_t, kSivSize> v) noexcept;
  template <typename End>
  bool ctr_short(std::span<const std::uint8_t, kSivSize> v, Short<End> &text) noexcept;

  AesChain mac_;                      // K1
  AesBlocks ctr_;                     // K2
  SecretBytes<kSivSize> whole_mask_;  // CMAC subkey K1: masks a last block that is whole
  SecretBytes<kSivSize> short_mask_;  // CMAC subkey K2: masks a last block that was padded
  SecretBytes<kSivSize> zero_mac_;    // AES-CMAC(<zero>), where S2V starts
};

}  // namespace redoubt
#endif
