// keys.h - data keys: made, wrapped, unwrapped, and cached per backend.
//
// A data key is a row of redoubt.key per version: K1 (fingerprint key, the same
// in every version, so equality survives rotation) and K2 (encryption key),
// wrapped together by the KEK (RFC 5649).  Unwrapped keys live only inside
// OpenSSL contexts on the C++ heap, wiped at exit.
#ifndef REDOUBT_PG_KEYS_KEYS_H
#define REDOUBT_PG_KEYS_KEYS_H

#include "pg/base/boundary.h"

#include "core/format_cipher.h"
#include "core/token.h"
#include "core/vault.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {

// keys_sealer returns the sealer of the type's class for a key version; 0 means
// the current one, and makes the key `default` if it does not exist yet.  Raises 55000 where there is no such key, or
// it was wrapped by another KEK (naming both fingerprints), XX001 where the row is damaged. The pointer is valid until
// the next call of any function of this header.
TokenSealer *keys_sealer(const TokenType *type, std::uint16_t version);

// keys_format_cipher is the same for a format-preserving type, whose key version is its own.
FormatCipher *keys_format_cipher(const TokenType *type);

// keys_vault_sealer is keys_sealer for the values of a vaulted type.
VaultSealer *keys_vault_sealer(const TokenType *type, std::uint16_t version);

// What the module is told by events.h.
void keys_relation_changed(Oid relid);

}  // namespace redoubt::pg
#endif
