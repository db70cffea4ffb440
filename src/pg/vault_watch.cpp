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

bool is_vault(const RangeVar *name) { return name != nullptr && vault_holds(RangeVarGetRelid(name, NoLock, true)); }

bool reads_vault(const PlannedStmt *plan) {
  ListCell *cell = nullptr;
  foreach (cell, plan->relationOids)
    if (vault_holds(lfirst_oid(cell))) return true;
  return false;
}

// Commands that put code on a table, or take it out of sight.
struct Change {
  const RangeVar *table;
  const char *operation;
};

Change change_of(const Node *statement) {
  switch (nodeTag(statement)) {
    case T_RuleStmt:
      return {reinterpret_cast<const RuleStmt *>(statement)->relation, "rule"};
    case T_CreateTrigStmt:
      return {reinterpret_cast<const CreateTrigStmt *>(statement)->relation, "trigger"};
    case T_IndexStmt:
      return {reinterpret_cast<const IndexStmt *>(statement)->relation, "index"};
    case T_AlterTableStmt:
      return {reinterpret_cast<const AlterTableStmt *>(statement)->relation, "alter"};
    case T_RenameStmt:
      return {reinterpret_cast<const RenameStmt *>(statement)->relation, "alter"};
    case T_AlterObjectSchemaStmt:
      return {reinterpret_cast<const AlterObjectSchemaStmt *>(statement)->relation, "alter"};
    default:
      return {nullptr, ""};
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
  ListCell *cell = nullptr;
  foreach (cell, plan->resultRelations) {
    const auto *entry = static_cast<const RangeTblEntry *>(list_nth(plan->rtable, lfirst_int(cell) - 1));
    if (entry->relid == vault_relation()) return true;
  }
  return false;
}

bool on_record() { return shared_memory_ready() && kek_available(); }

}  // namespace

void vault_watch_query(const QueryDesc *query, int eflags) {
  const PlannedStmt *plan = query->plannedstmt;
  if (vault_is_own(plan) || plan->relationOids == NIL || (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || IsParallelWorker())
    return;
  if (!reads_vault(plan) || !on_record()) return;
  if (writes_vault(plan))
    record_change(verb(plan->commandType));
  else
    record_read();
}

void vault_watch_utility(const Node *statement) {
  if (IsA(statement, CopyStmt)) {
    const auto *copy = reinterpret_cast<const CopyStmt *>(statement);
    if (!is_vault(copy->relation) || !on_record()) return;
    return copy->is_from ? record_change("insert") : record_read();
  }
  if (IsA(statement, TruncateStmt)) {
    ListCell *cell = nullptr;
    foreach (cell, reinterpret_cast<const TruncateStmt *>(statement)->relations)
      if (is_vault(static_cast<const RangeVar *>(lfirst(cell))) && on_record()) return record_change("truncate");
    return;
  }
  const Change change = change_of(statement);
  if (is_vault(change.table) && on_record()) record_change(change.operation);
}

}  // namespace redoubt::pg
