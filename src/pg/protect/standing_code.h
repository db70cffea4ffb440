// standing_code.h - code that a table runs on its own rows, and whether somebody vouches for it.
//
// Indexes, constraints, generated columns, extended statistics, partition keys, policies, rules, triggers and the types
// of columns hand values to functions long after they were made: at VACUUM, at the next INSERT of somebody else.
// Nobody can be charged for that.  So a protected column goes to trusted functions only: what would hand it to another
// one is refused when it is made, and a column on whose table such a thing stands is refused protection.
#ifndef REDOUBT_PG_PROTECT_STANDING_CODE_H
#define REDOUBT_PG_PROTECT_STANDING_CODE_H

#include "pg/base/boundary.h"

#include "pg/protect/standing_objects.h"

namespace redoubt::pg {

// standing_code_require raises 42501 where code that nobody vouches for, on the table or its ancestors, gets a
// protected column of the table; warns and records it instead unless redoubt.mode is enforce.
void standing_code_require(Oid relid);

// standing_code_check requires that of the table, of its children, and of the tables that hold rows of it.
void standing_code_check(Oid relid);

// The same for each table with a column of the type, after the type was labelled.
void standing_code_check_type(Oid type);

// The same for every table in the database, after the trust in a function was taken away.
void standing_code_check_all(Oid function);

// standing_code_lock_domains locks the domains of a table's columns.  Their label protects the columns: it waits for
// whatever makes columns, or code on the table, and the other way round.
void standing_code_lock_domains(Oid relid);

// standing_code_made decides on an object that was just made or changed.
void standing_code_made(const StandingCode &code);

// What depends on a type, on its arrays, domains and rows: columns and objects of tables.  Calls
// visit(relid, attno); attno is 0 for other objects than columns.
struct TypeUse {
  Oid relid;
  AttrNumber attno;
};
List *type_uses(Oid type);  // of TypeUse *

// The statement that vouches for a function.
const char *function_vouch(Oid function);

}  // namespace redoubt::pg
#endif
