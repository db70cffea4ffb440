// vault/vault_audit.cpp - see vault/vault_audit.h.
//
// What whoever may read the table sees is sealed.  That somebody took a copy of it is worth knowing all the same, and
// no privilege keeps a superuser or the table's owner away.  Not seen: files, pages and WAL read past SQL. Like
// policy_changed, silent without shared memory or KEK, so that a dump needs neither. Covered by sql/vault.sql and
// test/tap/vault.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/catalog.h"
#include "pg/base/shared_memory.h"
#include "pg/vault/vault_store.h"
#include "pg/vault/vault_audit.h"

namespace redoubt::pg {
namespace {

void record_read() { audit_note("vault", "read", "table redoubt.vault"); }

void record_change(const char *operation, const char *table = "vault") {
  audit_note("policy", operation, "table redoubt.%s", table);
}

// The other tables whose changes are on record, by triggers, which a command could silence.
constexpr char kPolicies[][16] = {"limit_rule", "key", "token_type"};

// Is it one of ours, the vault or a policy?  If so, `own` is its name.
bool is_own(const RangeVar *name, const char *&own) {
  const Oid relid = name != nullptr ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
  if (vault_holds(relid)) return true;
  if (!OidIsValid(relid) || creating_extension) return false;
  for (const auto &policy : kPolicies) {
    if (relid != catalog_relation(policy)) continue;
    own = policy;
    return true;
  }
  return false;
}

bool is_vault(const RangeVar *name) { return name != nullptr && vault_holds(RangeVarGetRelid(name, NoLock, true)); }

// CREATE STATISTICS may name what is no table, which the server then refuses.
bool any_is_vault(const List *tables) {
  for (const auto *table : list_of<const RangeVar>(tables)) {
    if (IsA(table, RangeVar) && is_vault(table)) return true;
  }
  return false;
}

// Is the vault attached to a partitioned table?  Its rows are then tried against the partition's bound.
bool attaches_vault(const AlterTableStmt *statement) {
  for (const auto *command : list_of<const AlterTableCmd>(statement->cmds)) {
    if (command->subtype == AT_AttachPartition && is_vault(reinterpret_cast<const PartitionCmd *>(command->def)->name))
      return true;
  }
  return false;
}

bool publishes_vault(const List *objects, bool all_tables) {
  if (all_tables) return true;
  for (const auto *object : list_of<const PublicationObjSpec>(objects)) {
    if (object->pubtable != nullptr ? is_vault(object->pubtable->relation)
                                    : object->name != nullptr && strcmp(object->name, "redoubt") == 0)
      return true;
  }
  return false;
}

RangeVar *named(const Node *names) {
  return makeRangeVarFromNameList(reinterpret_cast<List *>(const_cast<Node *>(names)));
}

// Does the vault go?  With the extension or the schema of this name, it does.
bool drops_vault(const DropStmt *statement) {
  if (!OidIsValid(vault_relation())) return false;
  for (auto *object : list_of<Node>(statement->objects)) {  // not const: strVal() with assertions asks for it
    const bool whole = statement->removeType == OBJECT_EXTENSION || statement->removeType == OBJECT_SCHEMA;
    if (whole ? strcmp(strVal(object), "redoubt") == 0
              : statement->removeType == OBJECT_TABLE && is_vault(named(object)))
      return true;
  }
  return false;
}

// Does it drop code of an own table?
bool drops_code(const DropStmt *statement, const char *&own) {
  const ObjectType kind = statement->removeType;
  if (kind != OBJECT_TRIGGER && kind != OBJECT_RULE && kind != OBJECT_POLICY) return false;
  auto *names = static_cast<List *>(linitial(statement->objects));  // of the table, and its own: the grammar has one
  names = list_truncate(list_copy(names), list_length(names) - 1);
  return is_own(named(reinterpret_cast<const Node *>(names)), own);
}

// What a command that puts code on an own table, silences code of it, sends it elsewhere, takes it out of sight or
// drops it is called; null for others.
[[gnu::cold]] const char *change_name(const Node *statement, const char *&own) {
  switch (nodeTag(statement)) {
    case T_RuleStmt:
      return is_own(reinterpret_cast<const RuleStmt *>(statement)->relation, own) ? "rule" : nullptr;
    case T_CreateTrigStmt:
      return is_own(reinterpret_cast<const CreateTrigStmt *>(statement)->relation, own) ? "trigger" : nullptr;
    case T_IndexStmt:
      return is_vault(reinterpret_cast<const IndexStmt *>(statement)->relation) ? "index" : nullptr;
    case T_CreateStatsStmt:  // ANALYZE evaluates its expressions
      return any_is_vault(reinterpret_cast<const CreateStatsStmt *>(statement)->relations) ? "statistics" : nullptr;
    case T_CreatePolicyStmt:
      return is_own(reinterpret_cast<const CreatePolicyStmt *>(statement)->table, own) ? "alter" : nullptr;
    case T_AlterPolicyStmt:
      return is_own(reinterpret_cast<const AlterPolicyStmt *>(statement)->table, own) ? "alter" : nullptr;
    case T_CreatePublicationStmt: {
      const auto *create = reinterpret_cast<const CreatePublicationStmt *>(statement);
      return publishes_vault(create->pubobjects, create->for_all_tables) ? "publish" : nullptr;
    }
    case T_AlterPublicationStmt: {
      const auto *alter = reinterpret_cast<const AlterPublicationStmt *>(statement);
      return alter->action != AP_DropObjects && publishes_vault(alter->pubobjects, alter->for_all_tables) ? "publish"
                                                                                                          : nullptr;
    }
    case T_AlterTableStmt: {
      const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
      return is_own(alter->relation, own) || attaches_vault(alter) ? "alter" : nullptr;
    }
    case T_RenameStmt:
      return is_own(reinterpret_cast<const RenameStmt *>(statement)->relation, own) ? "alter" : nullptr;
    case T_AlterObjectSchemaStmt:
      return is_own(reinterpret_cast<const AlterObjectSchemaStmt *>(statement)->relation, own) ? "alter" : nullptr;
    case T_AlterExtensionContentsStmt: {
      const auto *alter = reinterpret_cast<const AlterExtensionContentsStmt *>(statement);
      return alter->objtype == OBJECT_TABLE && is_own(named(alter->object), own) ? "alter" : nullptr;
    }
    case T_DropStmt: {
      const auto *drop = reinterpret_cast<const DropStmt *>(statement);
      return drops_vault(drop) ? "drop" : drops_code(drop, own) ? "alter" : nullptr;
    }
    case T_TruncateStmt:
      return any_is_vault(reinterpret_cast<const TruncateStmt *>(statement)->relations) ? "truncate" : nullptr;
    default:
      return nullptr;
  }
}

const char *verb(CmdType command) {
  switch (command) {
    case CMD_INSERT:
      return "insert";
    case CMD_UPDATE:
      return "update";
    case CMD_DELETE:
      return "delete";
    default:
      return "write";  // MERGE, and WITH that writes
  }
}

bool writes_vault(const PlannedStmt *plan) {
  for (const int rti : ints_of(plan->resultRelations))
    if (rt_fetch(static_cast<Index>(rti), plan->rtable)->relid == vault_relation()) return true;
  return false;
}

// The commands run after they are recorded; those of who may run none of them leave no trace, or anybody could fill the
// trail with what was never done.
bool may_change(const char *own) {
  return pg_class_aclmask(catalog_relation(own), GetUserId(), ACL_TRIGGER | ACL_TRUNCATE, ACLMASK_ANY) != 0;
}

}  // namespace

[[gnu::hot]] bool vault_watched(const PlannedStmt *plan) {
  for (const Oid relid : oids_of(plan->relationOids))
    if (vault_holds(relid)) return true;
  return false;
}

void vault_audit_query(const QueryDesc *query, int eflags) {
  const PlannedStmt *plan = query->plannedstmt;
  if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || IsParallelWorker()) return;
  if (writes_vault(plan))
    record_change(verb(plan->commandType));
  else
    record_read();
}

void vault_audit_copy(Oid relid, bool from) {
  if (!vault_holds(relid)) return;
  from ? record_change("insert") : record_read();
}

void vault_audit_utility(const Node *statement) {
  const char *own = "vault";
  const char *change = change_name(statement, own);
  if (change != nullptr && may_change(own)) record_change(change, own);
}

}  // namespace redoubt::pg
