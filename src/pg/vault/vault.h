// vault.h - the values of vaulted types: put into the vault, found there, opened.
//
// A vaulted token says nothing; what it stands for is a row of redoubt.vault.  In the vault, and here, a
// token is 16 random bytes, or the UTF-8 of the token where the type has a format (of integers, their
// decimal digits).  A value is the normalised plaintext in UTF-8, or the bytes of a bytea.
#ifndef REDOUBT_PG_VAULT_VAULT_H
#define REDOUBT_PG_VAULT_VAULT_H

#include "pg/base/boundary.h"

#include "pg/types/token_type.h"

namespace redoubt::pg {

// vault_tokenize charges, and returns the value's token: of a consistent type the one there is, else a new one.
// The privilege was checked.  Raises 53400; 22P02 where the value is outside the type's format; 25006 where a token
// would have to be made in a read-only transaction, 25000 in parallel mode; 55000 where it is disabled; 54000 where the
// format has hardly any unused tokens left; and 40001 where the isolation level hides the row that another transaction
// made; XX001 where the value's row was tampered with.
bytea *vault_tokenize(const TokenType *type, std::span<const std::uint8_t> value);

// vault_tokenize_all does the same for many values, palloc'd byteas, and puts their tokens in their places.  They are
// charged together, each as one and all or none, after it is known that the type takes them all and before the first is
// looked up; and wiped.
void vault_tokenize_all(const TokenType *type, std::span<Datum> values);

// vault_fit_format tells whether the type's format takes all these values, of the base of the type in UTF-8.  No key of
// the type's is asked for.
Refusal vault_fit_format(const TokenType *type, std::span<const Datum> values);

// vault_find_token charges, and returns the token of a value of a consistent type, or null where it has none.  It
// writes nothing.  Raises 53400; 0A000 for other types; XX001 as above.
bytea *vault_find_token(const TokenType *type, std::span<const std::uint8_t> value);

// vault_open returns the value of a token, for a reader who has been admitted.  Where it is gone: null, or if
// `required` P0002 (never made, expired, forgotten) or 55000 (disabled).  XX001 where the row was tampered with.
varlena *vault_open(const TokenType *type, const bytea *token, bool required);

// vault_forget_token and vault_forget_value delete the row, and tell whether there was one.  40001 where the isolation
// level hides it; 25006.  The second takes the way of vault_find_token to it.
bool vault_forget_token(const TokenType *type, const bytea *token);
bool vault_forget_value(const TokenType *type, std::span<const std::uint8_t> value);

// vault_reseal_batch seals the values of up to `limit` tokens after `after` with the current version of the type's key,
// where they are not, and returns how many; *last as in vault_store.h.  Values that do not open stay, with a warning.
int64 vault_reseal_batch(const TokenType *type, const bytea *after, int limit, const bytea **last);

// vault_bytes copies bytes into a fresh bytea.
bytea *vault_bytes(std::span<const std::uint8_t> bytes);

}  // namespace redoubt::pg
#endif
