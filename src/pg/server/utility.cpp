// utility.cpp - see utility.h.
//
// Covered by sql/copy.sql, sql/audit.sql, sql/gate.sql and test/tap/dump.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/compat.h"
#include "pg/base/node_session.h"
#include "pg/base/delivery.h"
#include "pg/base/roles.h"
#include "pg/audit/kek.h"
#include "pg/limits/limit_rows.h"
#include "pg/limits/limit_statement.h"
#include "pg/base/log_guard.h"
#include "pg/ddl/index_command.h"
#include "pg/server/database_copy.h"
#include "pg/server/extension_guard.h"
#include "pg/types/token_type.h"
#include "pg/protect/counters.h"
#include "pg/protect/protected_columns.h"
#include "pg/meter/statistics_meter.h"
#include "pg/server/utility.h"
#include "pg/vault/vault_audit.h"

extern "C" {
#include "commands/defrem.h"
#include "parser/parse_type.h"
}

namespace redoubt::pg {
namespace {

// Commands after which the privileges of a gate function may be others.
bool may_change_gate(const Node *statement) {
  switch (nodeTag(statement)) {
    case T_GrantStmt: {
      const ObjectType object = reinterpret_cast<const GrantStmt *>(statement)->objtype;
      return object == OBJECT_FUNCTION || object == OBJECT_ROUTINE || object == OBJECT_PROCEDURE;
    }
    case T_DropOwnedStmt:
    case T_ReassignOwnedStmt:
    case T_AlterOwnerStmt:
    case T_DropRoleStmt:
      return true;
    default:
      return false;
  }
}

// SELECT <columns> FROM ONLY <table>, the rows and columns COPY would copy.
SelectStmt *copy_query(const CopyStmt *copy, Relation relation) {
  List *columns = copy->attlist;
  if (columns == NIL) {
    const TupleDesc descriptor = RelationGetDescr(relation);
    for (int i = 0; i < descriptor->natts; ++i) {
      const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
      if (!attribute->attisdropped && attribute->attgenerated == '\0')
        columns = lappend(columns, makeString(pstrdup(NameStr(attribute->attname))));
    }
  }
  auto *select = makeNode(SelectStmt);
  for (auto *name : list_of<Node>(columns)) {
    auto *reference = makeNode(ColumnRef);
    reference->fields = list_make1(name);
    reference->location = -1;
    auto *target = makeNode(ResTarget);
    target->val = reinterpret_cast<Node *>(reference);
    target->location = -1;
    select->targetList = lappend(select->targetList, target);
  }
  auto *from =
      makeRangeVar(get_namespace_name(RelationGetNamespace(relation)), pstrdup(RelationGetRelationName(relation)), -1);
  from->inh = false;
  select->fromClause = list_make1(from);
  return select;
}

// The statement rewritten, or null where it is no COPY of a protected table.
// Only relations that COPY takes by name.  An error about the table (missing,
// no privilege) is left to COPY as well.
PlannedStmt *rewrite_copy(const PlannedStmt *statement) {
  const auto *copy = reinterpret_cast<const CopyStmt *>(statement->utilityStmt);
  if (copy->is_from || copy->relation == nullptr) return nullptr;
  const Oid relid = RangeVarGetRelid(copy->relation, AccessShareLock, true);
  if (!OidIsValid(relid) || !compat_copies_out(get_rel_relkind(relid))) return nullptr;
  if (protected_relation(relid) == nullptr && !statistics_table(relid)) return nullptr;
  Relation relation = table_open(relid, NoLock);
  auto *rewritten = static_cast<PlannedStmt *>(copyObjectImpl(statement));
  auto *target = reinterpret_cast<CopyStmt *>(rewritten->utilityStmt);
  SelectStmt *query = copy_query(target, relation);
  table_close(relation, NoLock);
  if (query->targetList == NIL) return nullptr;  // a table without columns
  target->relation = nullptr;
  target->attlist = NIL;
  target->query = reinterpret_cast<Node *>(query);
  return rewritten;
}

// Records that `member` joined or left a role that may reveal or tokenize, which
// gives or takes that privilege as a GRANT on the function would; or one that rules over limits, labels and the trail.
void audit_member(const char *group, const char *member, bool joins) {
  const Oid role = get_role_oid(group, true);
  if (!OidIsValid(role) || !kek_available()) return;
  if (!gate_holds_any(role) && !is_redoubt_admin(role) && !sees_every_role(role)) return;
  audit_note("grant", joins ? "GRANT ROLE" : "REVOKE ROLE", "role %s %s %s", quote_identifier(group),
             joins ? "to" : "from", quote_identifier(member));
}

void audit_members(const char *group, const List *members, bool joins) {
  for (const auto *member : list_of<const RoleSpec>(members)) audit_member(group, get_rolespec_name(member), joins);
}

// What CREATE and ALTER ROLE and ALTER GROUP make of `role`.  A new role may hold something already, by IN ROLE.
[[gnu::cold]] void audit_role_options(const char *role, const List *options, bool joins) {
  for (auto *option : list_of<DefElem>(options)) {
    const auto *roles = reinterpret_cast<const List *>(option->arg);
    if (strcmp(option->defname, "superuser") == 0) {
      audit_note("grant", defGetBoolean(option) ? "SUPERUSER" : "NOSUPERUSER", "role %s", quote_identifier(role));
    } else if (strcmp(option->defname, "rolemembers") == 0 || strcmp(option->defname, "adminmembers") == 0) {
      audit_members(role, roles, joins);
    } else if (strcmp(option->defname, "addroleto") == 0) {
      for (const auto *group : list_of<const RoleSpec>(roles)) audit_member(get_rolespec_name(group), role, true);
    }
  }
}

// Membership, in all its spellings.
[[gnu::cold]] void audit_membership(const Node *statement) {
  if (IsA(statement, GrantRoleStmt)) {
    const auto *grant = reinterpret_cast<const GrantRoleStmt *>(statement);
    for (const auto *granted : list_of<const AccessPriv>(grant->granted_roles))
      audit_members(granted->priv_name, grant->grantee_roles, grant->is_grant);
  } else if (IsA(statement, AlterRoleStmt)) {
    const auto *alter = reinterpret_cast<const AlterRoleStmt *>(statement);
    audit_role_options(get_rolespec_name(alter->role), alter->options, alter->action > 0);
  } else if (IsA(statement, CreateRoleStmt)) {
    const auto *create = reinterpret_cast<const CreateRoleStmt *>(statement);
    audit_role_options(create->role, create->options, true);
  }
}

// Records what becomes of a redoubt.* setting beyond the session, or of all (null).  `how` and `whom` say for whom.
// Values of these settings are no secrets.
void audit_setting(const char *operation, const char *name, const char *how, const char *whom) {
  if (name == nullptr || pg_strncasecmp(name, "redoubt.", 8) == 0)
    audit_note("settings", operation, "%s %s %s", name != nullptr ? name : "all settings", how, whom);
}

void audit_set(const VariableSetStmt *set, const char *how, const char *whom) {
  audit_setting(set->kind == VAR_SET_VALUE ? "set" : "reset", set->kind == VAR_RESET_ALL ? nullptr : set->name, how,
                whom);
}

// Who may set a redoubt.* setting that others may not, or no longer may.
[[gnu::cold]] void audit_setting_grant(const GrantStmt *grant) {
  for (auto *parameter : list_of<Node>(grant->objects))
    for (const auto *grantee : list_of<const RoleSpec>(grant->grantees)) {
      audit_setting(grant->is_grant ? "grant" : "revoke", strVal(parameter), grant->is_grant ? "to" : "from",
                    grantee->roletype == ROLESPEC_PUBLIC ? "PUBLIC" : get_rolespec_name(grantee));
    }
}

[[gnu::cold]] void audit_settings(const Node *statement) {
  switch (nodeTag(statement)) {
    case T_GrantStmt: {
      const auto *grant = reinterpret_cast<const GrantStmt *>(statement);
      return grant->objtype == OBJECT_PARAMETER_ACL ? audit_setting_grant(grant) : void();
    }
    case T_AlterRoleSetStmt: {
      const auto *alter = reinterpret_cast<const AlterRoleSetStmt *>(statement);
      const char *role = alter->role != nullptr ? get_rolespec_name(alter->role) : "ALL";
      return audit_set(alter->setstmt, "for role", role);
    }
    case T_AlterDatabaseSetStmt: {
      const auto *alter = reinterpret_cast<const AlterDatabaseSetStmt *>(statement);
      return audit_set(alter->setstmt, "for database", alter->dbname);
    }
    default:
      return;
  }
}

// ALTER SYSTEM is not undone where it cannot be recorded afterwards, so whoever may is on record before.
void audit_server_setting(const AlterSystemStmt *alter) {
  const char *const name = alter->setstmt->name;
  if (name != nullptr ? pg_parameter_aclcheck(name, GetUserId(), ACL_ALTER_SYSTEM) == ACLCHECK_OK : superuser())
    audit_set(alter->setstmt, "by", "ALTER SYSTEM");
}

// Commands may start parallel workers, but for those that run in an aborted transaction too.
void load_statement(const Node *statement) {
  switch (nodeTag(statement)) {
    case T_TransactionStmt:
    case T_VariableSetStmt:
    case T_VariableShowStmt:
      return;
    case T_FetchStmt:
      return limit_statement_join(reinterpret_cast<const FetchStmt *>(statement)->portalname);
    default:
      return limit_statement_load();
  }
}

}  // namespace

void utility_begin(UtilityCommand *command, PlannedStmt *statement, bool *read_only_tree) {
  *command = {};
  command->statement = statement;
  const Node *node = statement->utilityStmt;
  load_statement(node);
  node_session_command(node);
  extension_guard(node);
  PlannedStmt *const rewritten = IsA(node, CopyStmt)    ? rewrite_copy(statement)
                                 : IsA(node, IndexStmt) ? index_command(statement)
                                                        : counters_check_command(statement);
  if (rewritten != nullptr) {
    command->statement = rewritten;
    *read_only_tree = false;
  } else if (IsA(node, DeclareCursorStmt)) {
    // The cursor that pg_dump --inserts reads a table through.
    if (strcmp(reinterpret_cast<const DeclareCursorStmt *>(node)->portalname, "_pg_dump_cursor") == 0)
      delivery_mark_dump();
  } else if (!creating_extension && may_change_gate(node)) {
    command->privileges = gate_snapshot();
    command->name = GetCommandTagName(CreateCommandTag(statement->utilityStmt));
  }
  if (IsA(node, CreatedbStmt)) command->copies = database_copy_begin(reinterpret_cast<const CreatedbStmt *>(node));
  if (IsA(node, AlterSystemStmt)) audit_server_setting(reinterpret_cast<const AlterSystemStmt *>(node));
  vault_audit_utility(node);
  command->indexes = index_command_drop(node);
  ddl_command_begin(&command->ddl, command->statement->utilityStmt);
  ddl_command = &command->ddl;
  PG_TRY();
  { ddl_command_quotes(&command->ddl); }
  PG_CATCH();
  {
    ddl_command = command->ddl.outer;
    PG_RE_THROW();
  }
  PG_END_TRY();
}

void utility_copy_opens(const List *tables) {
  const auto *copy = reinterpret_cast<const CopyStmt *>(ddl_command->statement);
  if (copy->relation == nullptr) return;
  for (const auto *table : list_of<const RangeTblEntry>(tables)) {
    if (table->rtekind != RTE_RELATION) continue;
    vault_audit_copy(table->relid, copy->is_from);
    if (!copy->is_from && compat_copies_out(get_rel_relkind(table->relid)) &&
        (protected_relation(table->relid) != nullptr || statistics_table(table->relid)))
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("the name of the table to copy has come to stand for a protected table"),
                      errhint("Run the command again.")));
    // COPY FROM quotes its input in the context of an error, also of a line that is refused before any of its values
    // has been tokenized.
    if (copy->is_from && ddl_copy_table(table->relid)) log_guard_mark();
  }
}

void utility_error(UtilityCommand *command) noexcept { ddl_command_error(&command->ddl); }

void utility_end(UtilityCommand *command) {
  const Node *node = command->statement->utilityStmt;
  // The command stays at hand while its labels are set: an error here is charged as one of its own would be.
  PG_TRY();
  { ddl_command_end(&command->ddl); }
  PG_CATCH();
  {
    ddl_command_error(&command->ddl);
    PG_RE_THROW();
  }
  PG_END_TRY();
  ddl_command = command->ddl.outer;
  index_command_remake(command->indexes);
  if (command->privileges != nullptr) gate_audit_changes(command->privileges, command->name);
  audit_settings(node);
  if (command->copies) database_copy_end(reinterpret_cast<const CreatedbStmt *>(node));
  audit_membership(node);
  if (IsA(node, DropRoleStmt) ||
      (IsA(node, DropStmt) && reinterpret_cast<const DropStmt *>(node)->removeType == OBJECT_TYPE)) {
    CommandCounterIncrement();
    limits_forget_gone();
  }
  if (IsA(node, DeclareCursorStmt)) limit_statement_join(reinterpret_cast<const DeclareCursorStmt *>(node)->portalname);
}

}  // namespace redoubt::pg
