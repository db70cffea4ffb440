// vault_store.h - the rows of redoubt.vault: found, added, deleted, disabled.
//
// Sees tokens, fingerprints and sealed values, never a plaintext; whoever calls has
// judged privileges.  Rows are found as of the latest committed state, whatever the
// isolation level, so that what was forgotten is gone for everybody at once.
#ifndef REDOUBT_PG_VAULT_VAULT_STORE_H
#define REDOUBT_PG_VAULT_VAULT_STORE_H

#include "pg/base/boundary.h"

#include "pg/types/token_type.h"

namespace redoubt::pg {

using ClassId = std::array<std::uint8_t, kClassIdSize>;

struct VaultRow {
  bool found;
  bool disabled;
  bool expired;  // by the clock of this moment
  bytea *token;  // palloc'd, as are the others; null unless found
  bytea *sealed;
};

// vault_find looks a token up, or a fingerprint.  No SPI: also in output functions, in
// parallel workers and on a hot standby.  A missing table has no rows.
enum class VaultBy { token, fingerprint };
VaultRow vault_find(const ClassId &class_id, VaultBy by, const bytea *key);

// vault_find_settled waits first for the end of a transaction that is deleting or changing the row, for callers that
// are to hand the token out for keeping.  On a standby it does not.
VaultRow vault_find_settled(const ClassId &class_id, VaultBy by, const bytea *key);

// vault_insert adds a row as the table's owner; `fingerprint` may be null.  It waits for
// whoever is adding the same token or fingerprint: false if that one committed.
bool vault_insert(const ClassId &class_id, const bytea *token, const bytea *fingerprint, const bytea *sealed,
                  const TokenType *type);

// vault_delete deletes the row; false if there is none that the transaction's snapshot sees.
bool vault_delete(const ClassId &class_id, VaultBy by, const bytea *key);

// vault_set_disabled disables or enables the tokens, an array of bytea, or all of the class where that
// is null, and returns how many it changed.
uint64 vault_set_disabled(const ClassId &class_id, ArrayType *tokens, bool disabled);

// vault_rows_of_other_keys looks at up to `limit` rows of a class, in the order of their tokens and beginning after
// `after` (null: with the first): `tokens`, a List of bytea, are those whose values another version of the key than
// `version` sealed.
struct VaultPart {
  List *tokens;
  bytea *last;  // the last one looked at; null: there are no more
};
VaultPart vault_rows_of_other_keys(const ClassId &class_id, std::uint16_t version, const bytea *after, int limit);

// vault_reseal replaces what is sealed in a row; false if that is not what it was, or the row is gone.
bool vault_reseal(const ClassId &class_id, const bytea *token, const bytea *was, const bytea *sealed);

// vault_delete_dead deletes the rows of a class that are disabled or have expired, and returns how many.
uint64 vault_delete_dead(const ClassId &class_id);

// vault_has tells whether there is any row of the class.
bool vault_has(const ClassId &class_id);

// vault_sweep deletes up to `batch` expired rows of the database, skipping rows that somebody has
// locked, and returns how many.
uint64 vault_sweep(int batch);

// vault_relation is the OID of redoubt.vault, InvalidOid where the extension is not installed.  Cached.
Oid vault_relation();

// vault_holds tells whether rows of a relation are the vault's: the table itself, or what long values go to.
bool vault_holds(Oid relid);

// Set while the next query to start is one that this file runs.
inline constinit bool vault_own_query = false;

// vault_is_own tells whether a query is one that this file runs, and forgets that it was: the next is not.
bool vault_is_own(const PlannedStmt *plan);

// What the module is told by events.h: relations and schemas.
void vault_catalog_changed();

}  // namespace redoubt::pg
#endif
