// email_fold.h - one form for e-mail addresses that differ in case, or in how an international domain is written.
//
// Local part and domain are case-folded in full (Unicode 14.0, CaseFolding.txt, statuses C and F), labels of the domain
// that are written in ASCII (RFC 5891: xn-- and Punycode, RFC 3492) are decoded before, and the other dots of IDNA
// (RFC 3490 section 3.1) become dots.  No compatibility mapping: a full-width letter is another one.
// Invariant: an address that was folded is its own folded form.
// Covered by test/unit/email_fold_test.cpp and test/fuzz/normalize_fuzz.cpp.
#ifndef REDOUBT_CORE_EMAIL_FOLD_H
#define REDOUBT_CORE_EMAIL_FOLD_H

#include <string>
#include <string_view>

namespace redoubt {

// fold_case appends the folded form of well-formed UTF-8, which may be three times as long.
void fold_case(std::string &out, std::string_view text);

// punycode_decode appends what a label stands for, without its xn--, as UTF-8.  False, and nothing appended, where it
// stands for nothing: not Punycode, or for ASCII alone.
bool punycode_decode(std::string &out, std::string_view label);

// email_fold replaces a normal address (email_normalize) by its folded form, which is not composed yet.
void email_fold(std::string &address);

}  // namespace redoubt
#endif
