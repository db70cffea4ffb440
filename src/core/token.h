// token.h - the sealed token: what is stored instead of a sensitive value.
//
// Binary form, the stored one:
//
//   offset  size  field
//        0     1  high nibble: format version, 1; low nibble: flags (bit 0 = randomised,
//                 bit 1 = vaulted, bit 2 = as typed, at most one of them; others zero)
//        1     2  key version, big-endian, 1 to 65535: which K2 sealed it
//        3    16  V, the synthetic IV of AES-SIV (RFC 5297)
//       19     n  ciphertext, as long as the sealed plaintext
//
// A deterministic token whose value was typed otherwise than in its normal form (flag as typed) has two synthetic
// IVs.  V is the one that the normal form has, so the token equals those of all other spellings; nothing is encrypted
// under it.  W follows it, at offset 19, and is the IV of the spelling, whose ciphertext begins at offset 35.
//
// A vaulted token is not sealed: key version 0, 16 random bytes in the place of V, no ciphertext.  Its value is
// in the vault (vault.h).
//
// Sealed plaintext: of a deterministic token the value itself; of a randomised one 16 random
// bytes and then the value, so its ciphertext is 16 bytes longer and there is no nonce field.
// Associated data: of a deterministic token exactly one component, the type's 16-byte class id;
// of a randomised one a second component, byte 0 of the token; of W that second one and a third, V, so that
// V cannot be exchanged for another value's.  Without that second component
// the randomised flag would not be authenticated: setting it on a deterministic token would
// make it open to its value without the first 16 bytes.  The key version needs no place in the
// associated data (and must not have one, or V would change with rotation): under another K2
// the plaintext, and so V, does not come out right.
//
// Text form: "tok_" and the base64url of the binary form, one text per token.
//
// What this is not: the policy (who may open it), nor the choice of the key version.
// Invariant: equal values of one class and one K1 have equal V, whatever the key version.
// Locks: none.  One TokenSealer serves one thread at a time.
// Covered by test/unit/token_test.cpp and test/fuzz/token_fuzz.cpp.
#ifndef REDOUBT_CORE_TOKEN_H
#define REDOUBT_CORE_TOKEN_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/result.h"
#include "core/siv.h"

namespace redoubt {

inline constexpr std::size_t kTokenHeaderSize = 3;
inline constexpr std::size_t kTokenOverhead = kTokenHeaderSize + kSivSize;  // 19: header and V
inline constexpr std::size_t kTokenNonceSize = 16;
inline constexpr std::size_t kTokenTypedOverhead = kTokenOverhead + kSivSize;  // 35: header, V and W
inline constexpr std::size_t kTokenClassIdSize = 16;
inline constexpr std::string_view kTokenPrefix = "tok_";

// TokenView is a token's fields; the spans point into the bytes that were parsed.
struct TokenView {
  bool randomised = false;
  bool vaulted = false;                      // random bytes in the place of V, which nothing opens
  bool typed = false;                        // holds the value as it was typed, and V of its normal form
  std::uint16_t key_version = 0;             // 0 if vaulted
  std::span<const std::uint8_t> v;           // 16 bytes
  std::span<const std::uint8_t> iv;          // of the ciphertext, 16 bytes: W if typed, else V
  std::span<const std::uint8_t> ciphertext;  // at least 16 bytes if randomised
};

// token_is_deterministic tells whether token_parse makes a view of the token that is neither randomised, vaulted nor
// typed: the form that nearly all tokens have, so it is told without a view.
inline constexpr std::uint8_t kTokenDeterministic = 0x10;
inline bool token_is_deterministic(std::span<const std::uint8_t> token) noexcept {
  return token.size() >= kTokenOverhead && token[0] == kTokenDeterministic && (token[1] | token[2]) != 0;
}

// token_key_version is the view's key_version, of a token that has a header.
inline std::uint16_t token_key_version(std::span<const std::uint8_t> token) noexcept {
  return static_cast<std::uint16_t>(token[1] << 8U | token[2]);
}

// token_parse checks the form alone; only TokenSealer::open can tell whether a token is genuine.
// Errors: malformed (too short, key version 0; vaulted with either), unsupported (format version or flags).
Result<TokenView> token_parse(std::span<const std::uint8_t> token) noexcept;

// token_make_vaulted writes the vaulted token of 16 random bytes.
void token_make_vaulted(std::span<const std::uint8_t, kSivSize> random,
                        std::span<std::uint8_t, kTokenOverhead> out) noexcept;

// token_text_size is the number of characters of the text form of `binary` bytes.
std::size_t token_text_size(std::size_t binary) noexcept;

// token_to_text writes exactly token_text_size(token.size()) characters, no terminator.
// Error: invalid_argument (`text` is not of that size), nothing written.
Status token_to_text(std::span<const std::uint8_t> token, std::span<char> text) noexcept;

// token_has_prefix tells whether a text claims to be a token.
bool token_has_prefix(std::string_view text) noexcept;

// token_is_within tells whether a text has the text form of a token somewhere in it, by its header and least size.
bool token_is_within(std::string_view text) noexcept;

// token_binary_size_bound is how many bytes token_from_text can need for `text`; 0 without the
// prefix.
std::size_t token_binary_size_bound(std::string_view text) noexcept;

// token_from_text decodes strictly, checks the form with token_parse, and returns the number of
// bytes written; `out` holds at least token_binary_size_bound(text).
// Errors: malformed (prefix, base64url, length, key version), unsupported (as token_parse),
// invalid_argument (out too small); `out` is then undefined.
Result<std::size_t> token_from_text(std::string_view text, std::span<std::uint8_t> out) noexcept;

// token_compare orders tokens by V alone: below, equal to or above 0 as memcmp.  Among valid
// deterministic tokens of one type, equal V means equal value, also across key versions; the
// order itself means nothing.  Bytes too short to be a token come before all tokens.
int token_compare(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) noexcept;

// token_prefix is the first 8 bytes of V as a big-endian number: an abbreviated key that orders
// as token_compare does where two differ, and a ready-made hash.  0 for bytes too short.
std::uint64_t token_prefix(std::span<const std::uint8_t> token) noexcept;

// What fingerprints in an index stand for: values in lower or in upper case, or three letters of one.
enum class IndexUse : std::uint8_t { lower, upper, trigram };
inline constexpr std::size_t kIndexUses = 3;

// TokenSealer seals and opens the tokens of one class under one version of its key.
class TokenSealer {
 public:
  TokenSealer() noexcept = default;  // empty: seals and opens nothing

  // make: k1 (the fingerprint key, the same for all versions) and k2 (this version's encryption
  // key) are 16, 24 or 32 bytes, both of one length; class_id is 16 bytes; key_version >= 1.
  // Errors: invalid_argument, crypto_failure.
  static Result<TokenSealer> make(std::span<const std::uint8_t> k1, std::span<const std::uint8_t> k2,
                                  std::span<const std::uint8_t> class_id, std::uint16_t key_version);

  std::uint16_t key_version() const noexcept { return key_version_; }

  // sealed_size is the binary size of the token of a value of `plaintext` bytes.
  static constexpr std::size_t sealed_size(std::size_t plaintext, bool randomised) noexcept {
    return kTokenOverhead + (randomised ? kTokenNonceSize : 0) + plaintext;
  }

  // seal writes the token to `out`, whose size is exactly sealed_size() and which does not
  // overlap the plaintext.  nonce16 is 16 fresh random bytes if randomised, else empty.
  // Errors: invalid_argument (sizes), crypto_failure; `out` is then wiped.
  Status seal(std::span<const std::uint8_t> plaintext, bool randomised, std::span<const std::uint8_t> nonce16,
              std::span<std::uint8_t> out) noexcept;

  // seal_typed writes the token of a value that was typed as `spelling` and whose normal form is `normal` to `out`,
  // whose size is exactly kTokenTypedOverhead + spelling.size() and which overlaps neither.  For deterministic types,
  // where the two differ; where they do not, seal() makes the shorter token.  Errors: as seal.
  Status seal_typed(std::span<const std::uint8_t> normal, std::span<const std::uint8_t> spelling,
                    std::span<std::uint8_t> out) noexcept;

  // open writes the value, as it was typed, to the beginning of `out` and its length to `len`.  `out` holds at
  // least token.ciphertext.size() bytes (the nonce, where there is one, passes through it and is
  // wiped) and does not overlap the token.
  // Errors: invalid_argument (token of another key version, out too small), malformed (a vaulted
  // token, or a view that token_parse would not have made), corrupt (altered, or of another class or key),
  // crypto_failure; `len` is then 0 and `out` wiped.
  Status open(const TokenView &token, std::span<std::uint8_t> out, std::size_t &len) noexcept;

  // open_deterministic is open for a token that token_is_deterministic; `out` has the size of the value, that of the
  // token less kTokenOverhead.
  Status open_deterministic(std::span<const std::uint8_t> token, std::span<std::uint8_t> out) noexcept;

  // reseal writes the token of the same form as `was` and of the value that open() has given of it, under this sealer's
  // version: equal to `was`, unless that is randomised.  `out` has the size of `was`, and overlaps neither.  nonce16 is
  // as in seal.
  // Errors: invalid_argument (sizes; a vaulted token), corrupt (another fingerprint key, or another value: what came
  // out would not equal `was`), crypto_failure; `out` is then wiped.
  Status reseal(const TokenView &was, std::span<const std::uint8_t> value, std::span<const std::uint8_t> nonce16,
                std::span<std::uint8_t> out) noexcept;

  // fingerprint writes what an index holds in the place of a value, or of a part of one: S2V (RFC 5297 section 2.4) of
  // the class id, the name of the use, and the text.  It depends on the fingerprint key alone, so it outlives rotation,
  // and fingerprints of two uses have nothing in common, nor with V.  Error: crypto_failure; `out` is then wiped.
  Status fingerprint(IndexUse use, std::span<const std::uint8_t> text, std::span<std::uint8_t, kSivSize> out) noexcept;

 private:
  Siv siv_;
  SivAd deterministic_ad_;
  SivAd randomised_ad_;
  SivAd typed_ad_;  // to which V comes
  std::array<SivAd, kIndexUses> index_ad_;
  std::uint16_t key_version_ = 0;
};

}  // namespace redoubt
#endif
