// alter_type.h - ALTER TABLE ... ALTER COLUMN ... TYPE: what becomes of protected values.
//
// A command that rewrites a column computes with its values, and no query is there that would be metered.  So what it
// may put into the column is limited here; ddl_command.cpp charges for it.
#ifndef REDOUBT_PG_DDL_ALTER_TYPE_H
#define REDOUBT_PG_DDL_ALTER_TYPE_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

struct TypeChange {
  Oid relid;
  AttrNumber attno;
  Oid type;                // that the command gives the column; InvalidOid: it keeps its own, without its expression
  const Node *expression;  // as it was written; null where the old value is assigned
  Bitmapset *moved;        // columns whose values go into the column, as StandingCode has them
};

// type_change looks at a command that PostgreSQL has just carried out in the catalog.
TypeChange type_change(Oid relid, AttrNumber attno, const Node *expression);

// ALTER COLUMN ... DROP EXPRESSION: what was computed becomes a value of its own.
TypeChange expression_dropped(Oid relid, AttrNumber attno);

// require_using raises 42804 for a change without USING that makes plaintext "tokens" of a format-preserving type
// unseen; or tokens a plain column, to which a tool that keeps a schema in step with a program adds plaintext.  What is
// meant has to be said.  It also does for one, without USING or by casts alone, that makes tokens those of another
// token type, of which none would open.
void require_using(const TypeChange &change);

// require_same_types raises 42804 where a column of `type` that is of another token type, by its label or that of its
// domain, would hold values of `types`: they would be charged as what they are not.  A warning unless redoubt.mode is
// enforce.
void require_same_types(Oid relid, AttrNumber attno, Oid type, const List *types);

// require_single raises 55000 where the column would hold several protected values in one, and what require_same_types
// does.
void require_single(const TypeChange &change);

// Is the column what it was, in another type of text, or tokens made of it?  Any other cast computes: by numbers, bits,
// domains, types and casts of one's own.
bool keeps_values(const TypeChange &change);

// The token type of which USING moves values into the column; or InvalidOid.
Oid type_moved(const TypeChange &change);

}  // namespace redoubt::pg
#endif
