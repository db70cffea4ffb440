// roles.h - the two roles of the extension, who is a member of them, and who was granted a function.
#ifndef REDOUBT_PG_BASE_ROLES_H
#define REDOUBT_PG_BASE_ROLES_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// A superuser, or one with the privileges of redoubt_admin.
bool is_redoubt_admin(Oid role);

// Was EXECUTE of `function` granted to `role`, to a role that it is in, or to everybody?  A superuser needs a grant as
// anybody else does, unless redoubt.superuser_access is on.  False for a function that has no privileges of its own.
bool role_granted(Oid function, Oid role);

// May a role see what the extension keeps of every role?  Members of redoubt_admin and redoubt_auditor.
bool sees_every_role(Oid role = GetUserId());

}  // namespace redoubt::pg
#endif
