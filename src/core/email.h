// email.h - the e-mail address: one spelling, or a refusal.
//
// Not a deliverability check, and not all of RFC 5322: no display name, no comment.
// Invariant: an accepted address splits at its last '@' into two non-empty parts.
// Covered by test/unit/email_test.cpp and test/fuzz/normalize_fuzz.cpp.
#ifndef REDOUBT_CORE_EMAIL_H
#define REDOUBT_CORE_EMAIL_H

#include <string>
#include <string_view>

#include "core/refusal.h"

namespace redoubt {

struct EmailParts {
  std::string_view local, domain;
};

// email_split checks well-formed UTF-8 against the rules below and points `parts` into it.
//
// local part: 1..64 octets (RFC 5321 4.5.3.1.1).  Without quotation marks: none of
//   ( ) < > [ ] : ; , \ " @ (the specials of RFC 5322 3.2.3 except the dot, which live
//   addresses do carry doubled or last).  Or a quoted string (RFC 5321 4.1.2), in which
//   white space is refused all the same.
// domain: 1..253 octets (RFC 5321 4.5.3.1.2 less what DNS adds on the wire), labels of
//   1..63 characters (RFC 1035 2.3.4), so no trailing dot; of ASCII only letters, digits,
//   '-' and '_'.  An address literal such as [192.0.2.1] is refused: it names a machine,
//   has many spellings, and identifies no person.
// White space and control characters (Cc) are refused in both.
//
//   malformed     "no @ sign", "more than one @ sign", "empty local part", "empty domain",
//                 "empty label", "address literal", "unfinished quotation",
//                 "character not allowed in a local part", "character not allowed in a domain"
//   refused       "white space", "control character"
//   out_of_range  "local part longer than 64 octets", "domain longer than 253 octets",
//                 "label longer than 63 characters"
Refusal email_split(std::string_view address, EmailParts &parts) noexcept;

// email_is_normal tells, in one pass, that normalising would leave the text as it is, of the addresses that nearly all
// are: ASCII, unquoted, no white space around, a domain of at most 63 octets without capitals.  False: the long way has
// to tell what it is.
bool email_is_normal(std::string_view text) noexcept;

// email_normalize trims `text` (well-formed, NFC) and lower-cases the domain where it is
// all ASCII; an internationalised domain, and every local part, is kept as given: only the
// receiving host may say that two local parts are one (RFC 5321 2.4).
// Refusals: those of email_split, and refused "empty value".
Refusal email_normalize(std::string &text);

}  // namespace redoubt
#endif
