// deferred_errors.cpp - see deferred_errors.h.
//
// The list lives in the transaction's memory; the callback for its abort runs before that
// goes.  Whatever else makes such a transaction fail costs as much: what the error was
// cannot be told any more.  Backend-local, no locks.
// Covered by sql/ddl_metering.sql.
#include "pg/base/boundary.h"

#include "pg/meter/deferred_errors.h"
#include "pg/limits/limits.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "utils/reltrigger.h"
}

namespace redoubt::pg {
namespace {

constinit List *pending = NIL;

// May the table have triggers?  Cheaper than to open it.
bool has_triggers(Oid relid) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return false;
  const bool has = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relhastriggers;
  ReleaseSysCache(tuple);
  return has;
}

bool defers(Oid relid) {
  bool any = false;
  ListCell *cell = nullptr;
  const List *tables = table_parts(relid);
  foreach (cell, tables) {
    Relation relation = has_triggers(lfirst_oid(cell)) ? try_relation_open(lfirst_oid(cell), AccessShareLock) : nullptr;
    if (relation == nullptr) continue;
    for (int i = 0; relation->trigdesc != nullptr && i < relation->trigdesc->numtriggers; ++i)
      any |= relation->trigdesc->triggers[i].tgdeferrable;
    relation_close(relation, AccessShareLock);
  }
  return any;
}

}  // namespace

[[gnu::hot]] void deferred_errors_transaction(XactEvent event) {
  if (event == XACT_EVENT_ABORT) {
    ListCell *cell = nullptr;
    foreach (cell, pending) limits_force(lfirst_oid(cell), Operation::read, 1);
  }
  pending = NIL;  // at PRE_COMMIT the deferred checks are through
}

void deferred_errors_note_table(Oid relid) {
  if (protected_relation(relid) == nullptr || !defers(relid)) return;
  MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
  for (int i = 0;; ++i) {
    const ProtectedRelation *relation = protected_relation(relid);
    if (relation == nullptr || i >= relation->size) break;
    const Oid type = relation->column[i].source.token_type;
    if (list_member_oid(pending, type)) continue;
    pending = lappend_oid(pending, type);
  }
  MemoryContextSwitchTo(old);
}

void deferred_errors_note(const PlannedStmt *plan) {
  ListCell *cell = nullptr;
  foreach (cell, plan->resultRelations)
    deferred_errors_note_table(rt_fetch(static_cast<Index>(lfirst_int(cell)), plan->rtable)->relid);
}

const List *deferred_errors_types() { return pending; }

void deferred_errors_forget() { pending = NIL; }

}  // namespace redoubt::pg
