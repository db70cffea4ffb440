// protect_column.h - a column that is being protected online: its row of redoubt.protection, and what it allows.
//
// redoubt.protect_column() (sql/redoubt--0.1.sql) adds a token column beside a column, keeps it current by a trigger,
// fills it in batches, verifies it and swaps the two.  All of that is SQL that runs with the caller's own rights.  Here
// is what SQL cannot do: the trigger, which tokenizes for the writers of the table; filling without firing the table's
// other triggers; comparing values with their tokens; and writing redoubt.protection.
//
// Invariants:
// - A row of redoubt.protection was made by a role that owned the table and could tokenize values of the type.  The
//   trigger tokenizes in the name of that role, so it can do no more than a SECURITY DEFINER function of that role's
//   could, and nothing once the role has lost the privilege.  The budget charged is the session's own.
// - The trigger reads one column of the new row, and writes one column of the same row: those that
//   redoubt.protection names for the table.  On a table, or for a column, that is not there it does nothing.
// - The table's own code (constraints, expressions of indexes) runs as the table's owner while a batch is filled.
#ifndef REDOUBT_PG_DDL_PROTECT_COLUMN_H
#define REDOUBT_PG_DDL_PROTECT_COLUMN_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

struct Protection {
  Oid relid;
  AttrNumber source;  // the column that is to be protected
  AttrNumber target;  // the token column beside it
  Oid token_type;
  Oid started_by;  // the role in whose name the trigger tokenizes
};

// protection_find reads the row of redoubt.protection of a column; false where there is none.
bool protection_find(Oid relid, AttrNumber source, Protection *found);

}  // namespace redoubt::pg
#endif
