// token_io.h - what an output function of a token type shows, here and now.
#ifndef REDOUBT_PG_TOKENS_TOKEN_IO_H
#define REDOUBT_PG_TOKENS_TOKEN_IO_H

#include "pg/base/boundary.h"

#include "pg/types/token_type.h"
#include "pg/base/settings.h"

namespace redoubt::pg {

// token_io_output_form decides what an output function shows, token, masked or plain,
// and has charged and recorded it when it returns: what redoubt.reveal comes to
// for the type here and now, less where a limit degrades it.  Sets *token_type
// unless it is token.  Raises 42501, 53400, 55000 or 58030.
Reveal token_io_output_form(Oid type, const TokenType **token_type);

// token_io_refuse_literal raises 22P02: literals become values while a statement is parsed, planned or searches, which
// is no time to write a vault.
[[noreturn]] void token_io_refuse_literal(const TokenType *type);

// token_io_require_plain raises 42501 unless redoubt.reveal shows values of the type in plaintext, here and now.
void token_io_require_plain(const TokenType *type);

// token_io_deliver decides what a reader is shown of a text that `values` opened values of the type are in, and has
// charged and recorded it when it returns: plain or masked.  Sets *type.  Raises 42501 where the role may see neither,
// or redoubt.reveal is token, for there is no token to show; and as above.
Reveal token_io_deliver(Oid oid, std::uint32_t values, const TokenType **type);

// type_refuse raises 42809 for a type that is not `what` ("a token type"), 42704 for an OID that is of no type.
[[noreturn]] void type_refuse(Oid type, const char *what, const char *hint);

// token_type_argument is the token type that tokenize, detokenize and mask for text
// columns are given; 42809 unless it is a token type of base text or bigint.
const TokenType *token_type_argument(Oid type);

}  // namespace redoubt::pg
#endif
