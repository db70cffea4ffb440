// token_family.h - what a token type is made of is dropped by its owner alone.
#ifndef REDOUBT_PG_TYPES_TOKEN_FAMILY_H
#define REDOUBT_PG_TYPES_TOKEN_FAMILY_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// token_family_drop is told of every object that is about to be dropped.  PostgreSQL lets the owner of a schema drop
// what others made in it, and with a function of a token type (CASCADE) the type, its columns and the check of its
// values in the vault.  A part of a token type is refused, 42501, unless the current user owns that part: redoubt's
// owner, as which drop_token_type() runs, or a superuser.
void token_family_drop(Oid class_id, Oid object);

}  // namespace redoubt::pg
#endif
