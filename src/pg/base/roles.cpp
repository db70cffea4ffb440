// roles.cpp - see roles.h.
//
// Covered by sql/keys.sql and sql/limits.sql.
#include "pg/base/boundary.h"

#include "pg/base/roles.h"

namespace redoubt::pg {

bool is_redoubt_admin(Oid role) {
  const Oid admin = get_role_oid("redoubt_admin", true);
  return superuser_arg(role) || (OidIsValid(admin) && has_privs_of_role(role, admin));
}

bool sees_every_role() {
  for (const char *name : {"redoubt_admin", "redoubt_auditor"}) {
    const Oid role = get_role_oid(name, true);
    if (OidIsValid(role) && has_privs_of_role(GetUserId(), role)) return true;
  }
  return false;
}

}  // namespace redoubt::pg
