// fpe_value.h - format-preserving tokens: plaintext to token and back, as Datums.
//
// A token is a text (or a bigint) of the type's format and nothing else: no
// prefix, no key version, nothing that tells it from plaintext.
#ifndef REDOUBT_PG_TOKENS_FPE_VALUE_H
#define REDOUBT_PG_TOKENS_FPE_VALUE_H

#include "pg/base/boundary.h"

#include "pg/reveal/disclosure.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {

// fpe_tokenize makes the token of a text in the server encoding: checks the privilege, normalises,
// validates, encrypts, charges.  Raises 42501, 53400, 55000, 22P02.
text *fpe_tokenize(const TokenType *type, std::string_view value);
int64 fpe_tokenize(const TokenType *type, int64 value);

// fpe_problem tells why the type's format does not take a value, a text in the server encoding.
Refusal fpe_problem(const TokenType *type, std::string_view value);

// fpe_check raises 22P02 unless `token` has the form of one.  A type without a row in redoubt.token_type (a restore
// that loads the data first) has any text for a token.
void fpe_check(Oid type, std::string_view token);
void fpe_check(Oid type, int64 token);

// fpe_accept checks a token and takes it as it is.
text *fpe_accept(Oid type, std::string_view token);
int64 fpe_accept(Oid type, int64 token);

// fpe_open decrypts for a reader who has been admitted (disclosure.h).  Of a vaulted type it looks into the vault;
// where the value is gone it returns the token, or if `required` raises what vault_open does.
text *fpe_open(const TokenType *type, std::string_view token, bool required);
int64 fpe_open(const TokenType *type, int64 token, bool required);

// fpe_open_masked likewise, masked.
text *fpe_open_masked(const TokenType *type, std::string_view token, bool required);
text *fpe_open_masked(const TokenType *type, int64 token, bool required);

// fpe_find finds the token of a text in the server encoding, in the vault; null where it has none (of integers:
// *found). Raises as fpe_tokenize, and 0A000 (vault.h).
text *fpe_find(const TokenType *type, std::string_view value);
int64 fpe_find(const TokenType *type, int64 value, bool *found);

// fpe_sought is what a column is compared with where values are written: the token of a value; of what the type does
// not take, or the vault does not hold, '' or the least bigint, which are no token of any type.  Raises as
// fpe_tokenize, but for 22P02.
text *fpe_sought(const TokenType *type, std::string_view value);
int64 fpe_sought(const TokenType *type, int64 value);

// fpe_vault_key returns what a token is in the vault.
bytea *fpe_vault_key(std::string_view token);
bytea *fpe_vault_key(int64 token);

// fpe_vault_value returns what a bigint value is in the vault.
std::span<const std::uint8_t> fpe_vault_value(int64 value);

// fpe_reveal and fpe_reveal_masked admit, then open.
template <typename Token>
auto fpe_reveal(const TokenType *type, Token token) {
  disclosure_require(type, Operation::reveal);
  return fpe_open(type, token, true);
}
template <typename Token>
text *fpe_reveal_masked(const TokenType *type, Token token) {
  disclosure_require(type, Operation::masked);
  return fpe_open_masked(type, token, true);
}

// fpe_vault_all tokenizes many values of a vaulted type, in place and none of them null; the vault charges.  The caller
// has asked disclosure_tokenize_allowed().
void fpe_vault_all(const TokenType *type, std::span<Datum> values);

// fpe_utf8 turns a text in the server encoding into UTF-8, fpe_local the other way what was made here: the same memory
// where nothing changes.
std::string_view fpe_utf8(std::string_view local);
std::string_view fpe_local(std::string_view utf8);

// fpe_mask masks a value, in UTF-8, for a reader who has been admitted.
text *fpe_mask(const TokenType *type, std::string_view value);
text *fpe_mask(const TokenType *type, int64 value);

// fpe_corrupt raises XX001: a stored token has not the form of one.
[[noreturn]] void fpe_corrupt(const TokenType *type);

// fpe_parse_integer reads a token that is a bigint, and the other a value; 22P02 without what bigint's own input
// function would quote.
int64 fpe_parse_integer(Oid type, std::string_view text);
int64 fpe_parse_integer_value(const TokenType *type, std::string_view text);

}  // namespace redoubt::pg
#endif
