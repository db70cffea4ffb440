// index_command.h - indexes as an application made them when the column was a text.
//
// PostgreSQL cannot index lower(column) of a token column, nor its letters by pg_trgm, nor its text: the value is not
// to lie in an index.  Fingerprints serve the same conditions (tokens/token_index.h), tokens in the order of their
// values the same ranges and sorts (tokens/token_order.h).
#ifndef REDOUBT_PG_DDL_INDEX_COMMAND_H
#define REDOUBT_PG_DDL_INDEX_COMMAND_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// index_command returns CREATE INDEX ... (lower(column)), ... USING gin (column gin_trgm_ops) or ... ((column::text))
// of a token column with the fingerprints, or the order of values, in that place; null for any other statement.  The
// table is looked up without a lock: where its name or its column comes to mean another one meanwhile, PostgreSQL
// refuses the index.
PlannedStmt *index_command(const PlannedStmt *statement);

// Before ALTER TABLE ... TYPE makes a token column of a text, or a text of a token column: drops such indexes of the
// column, under the lock that the command takes, and returns what makes them and their comment, statistics targets and
// mark of CLUSTER: a List of Lists of commands.  index_command_remake runs these afterwards, so that the indexes are
// of fingerprints, or of the text again.
List *index_command_drop(const Node *statement);
void index_command_remake(const List *makings);

// index_command_made is told of each relation that was made and each index that was changed.  0A000 for an index in the
// order of values where that order would tell of them: by the order of rows in the table, or where other keys or a
// predicate bring the planner to it; or where PostgreSQL asks for equality, which such an index does not know.
void index_command_made(Oid index);

}  // namespace redoubt::pg
#endif
