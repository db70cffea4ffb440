// token_value.h - plaintext to token and back, as Datums.
#ifndef REDOUBT_PG_TOKENS_TOKEN_VALUE_H
#define REDOUBT_PG_TOKENS_TOKEN_VALUE_H

#include "pg/base/boundary.h"

#include "core/token.h"
#include "pg/reveal/disclosure.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {

// token_of_text makes the token of a text in the server encoding: checks the
// privilege, normalises, validates, seals, charges.  For a type whose base is
// bytea the text is bytea's text form.  Raises 42501, 53400, 55000, 22P02.
bytea *token_of_text(const TokenType *type, const char *text, std::size_t length);

// token_text_of_text is the same for the text form of a token that is kept as a text.
char *token_text_of_text(const TokenType *type, const char *text, std::size_t length);

// token_of_bytes is the same for a value that already has the type's base bytea.
bytea *token_of_bytes(const TokenType *type, std::span<const std::uint8_t> value);

// A value that is to be tokenized, as bytes; of a text, in UTF-8.
struct Plaintext {
  std::span<const std::uint8_t> normal;  // by which it equals others
  std::span<const std::uint8_t> typed;   // which a token column gives back; the same memory where it is the same

  bool is_normal() const noexcept { return normal.data() == typed.data() && normal.size() == typed.size(); }

  // What a token that is kept as a text is made of: equal values are equal texts.
  Plaintext normal_only() const noexcept { return {normal, normal}; }
};

// token_seal seals a value, as token_plaintext returns it, into `out`, whose size is token_sealed_size(): callers have
// asked token_allowed() before, and charge afterwards.  Not for vaulted types.  Raises 54000 where the
// token would be too long.
std::size_t token_sealed_size(const TokenType *type, const Plaintext &value);
void token_seal(const TokenType *type, const Plaintext &value, std::span<std::uint8_t> out);

// token_allowed raises 42501 unless the role may tokenize a value of `size` bytes.  To seal an empty text, which hides
// nothing, everybody may, and nothing is charged: returns false.
bool token_allowed(const TokenType *type, std::size_t size);

// token_view takes a sealed token apart, and token_open_into opens it for a reader who has been admitted: `out` has the
// size of its ciphertext, and the size of the value, in UTF-8 where it is a text, is returned.  Not for vaulted types.
// Both raise XX001.
TokenView token_view(const TokenType *type, const bytea *token);
std::size_t token_open_into(const TokenType *type, const TokenView &token, std::span<std::uint8_t> out);

// token_masked masks a value, in UTF-8, for a reader who has been admitted.
text *token_masked(const TokenType *type, std::string_view value);

// token_mask_text masks a text in the server encoding that was computed from values of the type.
text *token_mask_text(const TokenType *type, std::string_view value);

// token_from_text_form parses `tok_...`; 22P02 if it is not a well-formed token.
bytea *token_from_text_form(Oid type, std::string_view text);

// token_text_form returns the token's text form, NUL-terminated, palloc'd.
char *token_text_form(Oid type, const bytea *token);

// token_open opens a token for a reader who has been admitted (disclosure.h):
// text for a text-based type, bytea for a bytea-based one.  XX001.  Of a vaulted token whose value
// is gone: null, or if `required` what vault_open raises.
varlena *token_open(const TokenType *type, const bytea *token, bool required);

// token_open_masked likewise, masked; always text.
text *token_open_masked(const TokenType *type, const bytea *token, bool required);

// token_vault_key returns what a token is in the vault; XX001 where it is no vaulted one.
bytea *token_vault_key(const TokenType *type, const bytea *token);

// token_of_vault_key is its inverse.
bytea *token_of_vault_key(const bytea *key);

// token_find_text finds the token of a text in the server encoding, in the vault; null where it has none.  Raises as
// token_of_text does, and 0A000 (vault.h).
bytea *token_find_text(const TokenType *type, const char *text, std::size_t length);

// token_found is the same, and null of what is no value of the type.  token_sought is for what is compared with a
// column: a value without a token has one that is random, and so equal to none.
bytea *token_found(const TokenType *type, std::string_view value);
bytea *token_sought(const TokenType *type, std::string_view value);

// token_plaintext returns the value of a text in the server encoding, normaliser and pattern as in token_of_text.  The
// caller has asked token_allowed().  Valid until the next call.
Plaintext token_plaintext(const TokenType *type, const char *text, std::size_t length);

// token_reveal and token_reveal_masked admit (privilege, budget, audit), then open.
varlena *token_reveal(const TokenType *type, const bytea *token);
text *token_reveal_masked(const TokenType *type, const bytea *token);

// value_checked returns a text in the server encoding normalised, in UTF-8, and checked against
// the type's pattern: a part of `text`, or valid until the next call.  Where the type keeps invalid values, that is the
// text as it was typed.  Raises 22P02.
std::string_view value_checked(const TokenType *type, const char *text, std::size_t length);

// value_problem tells why the type cannot read a text in the server encoding, be it kept or refused; and what
// value_checked would return of one that it can.
Refusal value_problem(const TokenType *type, std::string_view text, std::string_view *normal = nullptr);

// token_problem tells it of what the input function of a type without a format is given: a token, or a value.
Refusal token_problem(const TokenType *type, std::string_view text);

}  // namespace redoubt::pg
#endif
