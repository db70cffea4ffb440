// roles.h - the two roles of the extension, and who is a member of them.
#ifndef REDOUBT_PG_BASE_ROLES_H
#define REDOUBT_PG_BASE_ROLES_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// A superuser, or one with the privileges of redoubt_admin.
bool is_redoubt_admin(Oid role);

// May the current user see what the extension keeps of every role?  Members of redoubt_admin and redoubt_auditor.
bool sees_every_role();

}  // namespace redoubt::pg
#endif
