// database_copy.cpp - see database_copy.h.
//
// Nobody can look into another database.  But the extension's script grants privileges to redoubt_auditor, and
// pg_shdepend, which all databases share, says of every database whether something in it names that role.  A database
// without the extension in which the role was given something counts as one with it.
// Lock: SHARE on the template, as CREATE DATABASE takes it, from before its name is decided on to the end of the
// command, so that the name cannot come to mean another database in between.
// Covered by test/tap/database_copy.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/audit/audit_refusal.h"
#include "pg/base/catalog.h"
#include "pg/base/roles.h"
#include "pg/base/shared_memory.h"
#include "pg/server/database_copy.h"

extern "C" {
#include "catalog/pg_database.h"
#include "catalog/pg_shdepend.h"
#include "commands/defrem.h"
#include "storage/lmgr.h"
}

namespace redoubt::pg {
namespace {

const char *template_name(const CreatedbStmt *statement) {
  for (auto *option : list_of<DefElem>(statement->options)) {
    if (strcmp(option->defname, "template") == 0 && option->arg != nullptr) return defGetString(option);
  }
  return "template1";
}

// InvalidOid where there is no such database, which the command itself reports.
Oid lock_database(const char *name) {
  while (true) {
    const Oid database = get_database_oid(name, true);
    if (!OidIsValid(database)) return InvalidOid;
    LockSharedObject(DatabaseRelationId, database, 0, ShareLock);
    if (get_database_oid(name, true) == database) return database;
    UnlockSharedObject(DatabaseRelationId, database, 0, ShareLock);
  }
}

bool holds_redoubt(Oid database) {
  const Oid role = get_role_oid("redoubt_auditor", true);
  if (!OidIsValid(database) || !OidIsValid(role)) return false;
  bool found = false;
  ScanKeyData keys[] = {catalog_key(Anum_pg_shdepend_refclassid, AuthIdRelationId),
                        catalog_key(Anum_pg_shdepend_refobjid, role)};
  catalog_scan(SharedDependRelationId, SharedDependReferenceIndexId, keys,
               [&found, database](const CatalogRow &row) { found |= row.as<Form_pg_shdepend>()->dbid == database; });
  return found;
}

void record(const CreatedbStmt *statement, const char *outcome) {
  if (!shared_memory_ready() || !kek_available()) return;
  const bool denied = strcmp(outcome, "denied") == 0;
  const AuditEvent event = {.event = denied ? "denial" : "database",
                            .outcome = outcome,
                            .operation = "CREATE DATABASE",
                            .detail = psprintf("%s is a copy of %s", quote_identifier(statement->dbname),
                                               quote_identifier(template_name(statement)))};
  denied ? audit_refused(event) : audit_write(event);
}

}  // namespace

bool database_copy_begin(const CreatedbStmt *statement) {
  const char *name = template_name(statement);
  if (!holds_redoubt(lock_database(name))) return false;
  if (is_redoubt_admin(GetUserId())) return true;
  record(statement, "denied");
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to copy database \"%s\"", name),
                  errdetail("It holds tokens of Redoubt, and its copy would have limits of its own."),
                  errhint("A member of redoubt_admin or a superuser may copy it.")));
  pg_unreachable();
}

void database_copy_end(const CreatedbStmt *statement) { record(statement, "success"); }

}  // namespace redoubt::pg
