// vault_watch.cpp - see vault_watch.h.
//
// What whoever may read the table sees is sealed.  That somebody took a copy of it is worth knowing all the same, and
// no privilege keeps a superuser or the table's owner away.  Not seen: files, pages and WAL read past SQL. Like
// policy_changed, silent without shared memory or KEK, so that a dump needs neither. Covered by sql/vault.sql and
// test/tap/vault.pl.
#include "pg/boundary.h"

#include "pg/audit_trail.h"
#include "pg/kek.h"
#include "pg/shared_memory.h"
#include "pg/vault_store.h"
#include "pg/vault_watch.h"

namespace redoubt::pg {
namespace {

constexpr const char *kTable = "table redoubt.vault";

void record_read() { audit_write({.event = "vault", .operation = "read", .detail = kTable}); }

void record_change(const char *operation) {
  audit_write({.event = "policy", .operation = operation, .detail = kTable});
}

bool is_vault(const RangeVar *name) {
  return name != nullptr && RangeVarGetRelid(name, NoLock, true) == vault_relation();
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
  ListCell *cell = nullptr;
  foreach (cell, plan->resultRelations) {
    const auto *entry = static_cast<const RangeTblEntry *>(list_nth(plan->rtable, lfirst_int(cell) - 1));
    if (entry->relid == vault_relation()) return true;
  }
  return false;
}

bool on_record() { return shared_memory_ready() && kek_available() && OidIsValid(vault_relation()); }

}  // namespace

void vault_watch_query(const QueryDesc *query, int eflags) {
  const PlannedStmt *plan = query->plannedstmt;
  if (vault_is_own(plan) || plan->relationOids == NIL || (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || IsParallelWorker())
    return;
  if (!OidIsValid(vault_relation()) || !list_member_oid(plan->relationOids, vault_relation()) || !on_record()) return;
  if (writes_vault(plan))
    record_change(verb(plan->commandType));
  else
    record_read();
}

void vault_watch_utility(const Node *statement) {
  switch (nodeTag(statement)) {
    case T_CopyStmt: {
      const auto *copy = reinterpret_cast<const CopyStmt *>(statement);
      if (!is_vault(copy->relation) || !on_record()) return;
      if (copy->is_from)
        record_change("insert");
      else
        record_read();
      return;
    }
    case T_TruncateStmt: {
      ListCell *cell = nullptr;
      foreach (cell, reinterpret_cast<const TruncateStmt *>(statement)->relations)
        if (is_vault(static_cast<const RangeVar *>(lfirst(cell))) && on_record()) return record_change("truncate");
      return;
    }
    case T_RuleStmt:
      if (is_vault(reinterpret_cast<const RuleStmt *>(statement)->relation) && on_record()) record_change("rule");
      return;
    case T_CreateTrigStmt:
      if (is_vault(reinterpret_cast<const CreateTrigStmt *>(statement)->relation) && on_record())
        record_change("trigger");
      return;
    case T_AlterTableStmt:
      if (is_vault(reinterpret_cast<const AlterTableStmt *>(statement)->relation) && on_record())
        record_change("alter");
      return;
    default:
      return;
  }
}

}  // namespace redoubt::pg
