// format_email.h - FormatEmail: the format `email`; an address becomes an address that no mail can reach.
//
// What it is: a token is a local part of [a-z0-9] under the top-level domain `invalid`, which RFC 2606, 2 and
// RFC 6761, 6.4 set aside so that no name below it ever resolves:
//   domain=hidden   SYMBOLS@token.invalid; beyond 64 symbols more of them follow as labels before `token`
//   domain=kept     SYMBOLS@DOMAIN.invalid; the domain of the value, which feeds the tweak
// The symbols are FF1 (radix 36) of the address, or of its local part, in a code of one or two symbols an octet,
// padded to a multiple of 8 (docs/formats.md).  So the shortest domain is 36^8, nothing is walked, and of the
// length only its class of 8 shows.
// What it is not: a check that an address exists.  Whoever decrypts symbols that were never a token's is refused,
// but a few of them do spell an address: this is no authentication.
// Invariant: value -> symbols is injective and decoding takes nothing that encoding does not make; a token
// is never taken as a value (it is under `invalid`) nor a value as a token.
// Locks: none.  Covered by test/unit/format_email_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_EMAIL_H
#define REDOUBT_CORE_FORMAT_EMAIL_H

#include <cstddef>
#include <string>
#include <string_view>

#include "core/format_cipher.h"
#include "core/refusal.h"

namespace redoubt {

// Longest address, in octets: RFC 5321 4.5.3.1.3 less the angle brackets of a path.  Longest local part: 4.5.3.1.1.
inline constexpr std::size_t kFormatEmailMax = 254;
inline constexpr std::size_t kFormatEmailMaxLocal = 64;

class FormatEmail {
 public:
  // parse reads "", "domain=hidden" or "domain=kept".  False: it is neither, and `problem` says so.
  bool parse(std::string_view arguments, std::string &problem);

  // accepts: has it the form of a token?
  // Refusals: malformed "not an address under .invalid", "not a token's local part", "not a token's domain".
  Refusal accepts(std::string_view token) const;

  // crypt replaces `out` by the token of an address (encrypt), or by its address (decrypt).  No letter changes
  // case, so addresses are to be normalised (email.h) before.
  // Refusals, encrypting: those of email_split; refused "an address under .invalid"; out_of_range "address longer
  // than 254 octets", "address too long for a token", "local part too long for a token".  Decrypting: those of
  // accepts; malformed "not a token's address".  crypto_failure "encryption failed".
  Refusal crypt(Ff1Direction direction, FormatCipher &cipher, std::string_view in, std::string &out) const;

 private:
  Refusal encrypt(FormatCipher &cipher, std::string_view address, std::string &out) const;
  Refusal decrypt(FormatCipher &cipher, std::string_view token, std::string &out) const;

  bool keeps_domain_ = false;
};

}  // namespace redoubt
#endif
