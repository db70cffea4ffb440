// roles.cpp - see roles.h.
//
// Covered by sql/keys.sql, sql/limits.sql, sql/gate.sql and sql/export_keys.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/roles.h"
#include "pg/base/settings.h"

namespace redoubt::pg {
namespace {

// Does `role` act with the privileges of `grantee`?  A superuser is a part of
// every role by definition, so for superusers only real membership counts.
bool role_has(Oid role, Oid grantee, bool superuser) {
  if (grantee == ACL_ID_PUBLIC || grantee == role) return true;
  return superuser ? is_member_of_role_nosuper(role, grantee) : has_privs_of_role(role, grantee);
}

}  // namespace

bool is_redoubt_admin(Oid role) {
  const Oid admin = get_role_oid("redoubt_admin", true);
  return superuser_arg(role) || (OidIsValid(admin) && has_privs_of_role(role, admin));
}

bool role_granted(Oid function, Oid role) {
  const bool superuser = superuser_arg(role);
  if (superuser && setting_superuser_access) return true;
  if (!OidIsValid(function)) return false;
  Acl *acl = catalog_function_acl(function);
  if (acl == nullptr) return false;
  bool allowed = false;
  const AclItem *items = ACL_DAT(acl);
  for (int i = 0; i < ACL_NUM(acl) && !allowed; ++i)
    allowed = (ACLITEM_GET_PRIVS(items[i]) & ACL_EXECUTE) != 0 && role_has(role, items[i].ai_grantee, superuser);
  pfree(acl);
  return allowed;
}

bool sees_every_role(Oid role) {
  for (const char *name : {"redoubt_admin", "redoubt_auditor"}) {
    const Oid group = get_role_oid(name, true);
    if (OidIsValid(group) && has_privs_of_role(role, group)) return true;
  }
  return false;
}

}  // namespace redoubt::pg
