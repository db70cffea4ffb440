// second_arbiter.cpp - INSERT ... ON CONFLICT on a table with a column that is being protected.
//
// A unique index of the column has one of the tokens beside it until the swap, which ON CONFLICT (column) does not
// name: two sessions that insert one value at a time would meet it as an error.  So it decides together with the first
// one, as it will alone after the swap.  Making or dropping an index makes PostgreSQL plan statements on its table
// anew. Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/ddl/protection.h"

extern "C" {
#include "catalog/pg_trigger.h"
#include "parser/parsetree.h"
}

namespace redoubt::pg {
namespace {

bool is_being_protected(Relation relation) {
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
    const Trigger &one = triggers->triggers[i];
    if (!one.tgisinternal ||
        one.tgtype != (TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE))
      continue;
    const char *symbol = catalog_library_symbol(one.tgfoid);
    if (symbol != nullptr && strcmp(symbol, "redoubt_keep_token") == 0) return true;
  }
  return false;
}

// The index that redoubt.protect_indexes() made for another one.
bool is_second_of(Oid index, Oid first) {
  const char *name = get_rel_name(index);
  if (name == nullptr || strcmp(name, psprintf("redoubt_protect_%u", first)) != 0) return false;
  HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
  if (!HeapTupleIsValid(tuple)) return false;
  const auto *form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
  const bool decides = form->indisunique && form->indimmediate;
  ReleaseSysCache(tuple);
  return decides;
}

List *second_arbiters(Relation relation, const List *arbiters) {
  List *found = NIL;
  ListCell *cell = nullptr;
  foreach (cell, RelationGetIndexList(relation)) {
    ListCell *first = nullptr;
    foreach (first, arbiters)
      if (is_second_of(lfirst_oid(cell), lfirst_oid(first))) found = list_append_unique_oid(found, lfirst_oid(cell));
  }
  return found;
}

void add_to(Plan *plan, const List *tables) {
  if (plan == nullptr || !IsA(plan, ModifyTable)) return;
  auto *modify = reinterpret_cast<ModifyTable *>(plan);
  if (modify->onConflictAction == ONCONFLICT_NONE || modify->arbiterIndexes == NIL) return;
  Relation relation = table_open(rt_fetch(linitial_int(modify->resultRelations), tables)->relid, NoLock);
  if (is_being_protected(relation))
    modify->arbiterIndexes = list_concat(modify->arbiterIndexes, second_arbiters(relation, modify->arbiterIndexes));
  table_close(relation, NoLock);
}

}  // namespace

void protection_add_arbiters(PlannedStmt *plan) {
  if (plan->commandType != CMD_INSERT && !plan->hasModifyingCTE) return;
  add_to(plan->planTree, plan->rtable);
  ListCell *cell = nullptr;
  foreach (cell, plan->subplans) add_to(static_cast<Plan *>(lfirst(cell)), plan->rtable);
}

}  // namespace redoubt::pg
