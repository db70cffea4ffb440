// ddl_expressions.h - what the expressions in a DDL command mention.
//
// They are looked at as they were parsed, for a command may add columns that they
// mention: a name that may stand for an untrusted function or operator is taken for one.
#ifndef REDOUBT_PG_DDL_DDL_EXPRESSIONS_H
#define REDOUBT_PG_DDL_DDL_EXPRESSIONS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Columns by name, as they belong to a table and its children alike.  A name that is no
// column of a table stands for its whole row.
struct ColumnNames {
  List *name;  // of char *
  bool row;    // the whole row
};

struct DdlExpressions {
  Oid relid;            // the table that the command names
  ColumnNames given;    // to functions that are not trusted
  ColumnNames decides;  // by constraints and predicates, which hold or not
  ColumnNames used;     // at all
};

// Each adds what it finds to `found`; palloc'd in the current context.
void ddl_expressions_add(DdlExpressions *found, Node *expression, bool decides);
void ddl_expressions_alter(DdlExpressions *found, const AlterTableStmt *alter);
void ddl_expressions_index(DdlExpressions *found, const IndexStmt *index);

// The token type whose values an ALTER COLUMN ... TYPE ... USING moves into the column
// from another one, or InvalidOid.
Oid ddl_expressions_moved_type(Oid relid, const AlterTableCmd *command);

// True if the column of the table is among those named.
bool column_named(const ColumnNames &columns, Oid relid, AttrNumber attno);

}  // namespace redoubt::pg
#endif
