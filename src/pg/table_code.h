// table_code.h - what a table runs on its own rows: triggers and expressions.
#ifndef REDOUBT_PG_TABLE_CODE_H
#define REDOUBT_PG_TABLE_CODE_H

#include "pg/boundary.h"

namespace redoubt::pg {

struct TableCode {
  bool row_trigger;    // an untrusted row trigger sees the whole row, old and new
  Bitmapset *columns;  // attribute numbers that untrusted functions are given by constraints,
                       // generated columns, expression and partial indexes, partition keys
};

// table_code looks at the table and, if it is partitioned, at its partitions, for
// commands of the kind.  Palloc'd in the current context.
TableCode table_code(Oid relid, CmdType command);

// Columns that untrusted functions are given by row-level security policies which apply to
// `user` reading the table.
Bitmapset *policy_columns(Oid relid, Oid user);

// True if the expression calls a function that is not trusted.
bool calls_untrusted(Node *expression);

}  // namespace redoubt::pg
#endif
