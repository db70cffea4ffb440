// mask_letter.h - the letter that stands in a mask, where an encoding has not the usual one.
//
// Masks are made with U+2022 (core/mask.h), which many encodings lack.  Where the database's or the client's does, it
// is an asterisk, and what holds three of them in a row is taken for a mask.
#ifndef REDOUBT_PG_TOKENS_MASK_LETTER_H
#define REDOUBT_PG_TOKENS_MASK_LETTER_H

#include "pg/base/boundary.h"

#include <string>

namespace redoubt::pg {

// Changes the letter of a mask, in UTF-8, if this session has to.
void mask_letter_fit(std::string &masked);

// The position of a mask in a text in the server encoding, counted in characters from 1; 0 where there is none.  Of
// U+2022 alone 0, which the normalisers find.
std::size_t mask_letter_find(std::string_view text);

}  // namespace redoubt::pg
#endif
