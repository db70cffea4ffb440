// vault/vault_audit.h - redoubt.vault is looked at by hand, or written: for the record.
#ifndef REDOUBT_PG_VAULT_VAULT_AUDIT_H
#define REDOUBT_PG_VAULT_VAULT_AUDIT_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// vault_watched tells whether a plan reads or writes redoubt.vault.
bool vault_watched(const PlannedStmt *plan);

// vault_audit_query records such a query, which its user may run and which is about to: an event `vault`, operation
// `read`, or `policy` with insert, update, delete or write.  Raises 58030 where the trail cannot be written: then the
// query does not run.
void vault_audit_query(const QueryDesc *query, int eflags);

// vault_audit_copy does the same for COPY, of a table that it has opened.
void vault_audit_copy(Oid relid, bool from);

// vault_audit_utility does the same for TRUNCATE and the commands that put code on the table, send its rows elsewhere,
// take it out of sight or drop it; and, of the tables whose changes triggers record, for what could silence these.
void vault_audit_utility(const Node *statement);

}  // namespace redoubt::pg
#endif
