// database_copy.h - CREATE DATABASE from a template that holds Redoubt.
#ifndef REDOUBT_PG_SERVER_DATABASE_COPY_H
#define REDOUBT_PG_SERVER_DATABASE_COPY_H

#include "pg/base/boundary.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace redoubt::pg {

// A copy of a database has its tokens, keys and grants, and budgets of its own, which are full.
//
// database_copy_begin refuses it, 42501, unless the current user is a member of redoubt_admin or a superuser.  Returns
// whether the template holds Redoubt; database_copy_end then records the copy.
bool database_copy_begin(const CreatedbStmt *statement);
void database_copy_end(const CreatedbStmt *statement);

}  // namespace redoubt::pg
#endif
