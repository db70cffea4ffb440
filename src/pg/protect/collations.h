// collations.h - opens collations before any row is read, so that PostgreSQL's warning of one tells of no row.
//
// A collation that was made with another version than there is now is warned of once a session, by its name, when it is
// first used.  Anybody may make one, and values may decide which are used.
#ifndef REDOUBT_PG_PROTECT_COLLATIONS_H
#define REDOUBT_PG_PROTECT_COLLATIONS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// collation_open opens one; errors are PostgreSQL's own.  InvalidOid: none.
void collation_open(Oid collation);

// The same of those that the node of an expression uses, itself or by the type of its value.
void collations_open(const Node *node);

// The same of the columns of a row.
void collations_open_row(TupleDesc row);

// The same of each that an object in the database depends on, be it one that the current command has made: for commands
// that run what is stored.
void collations_open_stored();

// The same of all that there are: for an expression that nobody sees as it is run.
void collations_open_all();

// True if PostgreSQL would warn of one that an object depends on.  Parallel workers open them anew.
bool collations_warn();

}  // namespace redoubt::pg
#endif
