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
#include "catalog/pg_index.h"
#include "parser/parsetree.h"
}

namespace redoubt::pg {
namespace {

bool is_keeper(const Trigger &trigger) {
  if (!trigger.tgisinternal ||
      trigger.tgtype != (TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE))
    return false;
  const char *symbol = catalog_library_symbol(trigger.tgfoid);
  return symbol != nullptr && strcmp(symbol, "redoubt_keep_token") == 0;
}

// Does an index of a table decide as another one does, with the token column in the place of the column?  By what it
// is: REINDEX CONCURRENTLY gives indexes other numbers, and anybody may rename one.  Expressions are those of the
// fingerprints in the place of lower() and upper(), which equal tokens have equal.
bool is_second_of(const FormData_pg_index *second, const FormData_pg_index *first, const Protection &protection) {
  if (!second->indisunique || !second->indimmediate || second->indnkeyatts != first->indnkeyatts) return false;
  bool of_tokens = false;
  for (int i = 0; i < first->indnkeyatts; ++i) {
    const AttrNumber was = first->indkey.values[i];
    const AttrNumber is = second->indkey.values[i];
    of_tokens |= was == protection.source || was == 0;
    if (is != (was == protection.source ? protection.target : was)) return false;
  }
  return of_tokens && first->indexrelid != second->indexrelid;
}

// The token columns of the table that PostgreSQL's own triggers keep current.
bool next_protection(Relation relation, int *place, Protection *found) {
  const TriggerDesc *triggers = relation->trigdesc;
  for (; triggers != nullptr && *place < triggers->numtriggers; ++*place)
    if (is_keeper(triggers->triggers[*place]) && protection_of_trigger(triggers->triggers[*place].tgoid, found)) {
      ++*place;
      return true;
    }
  return false;
}

// The index is locked as those are that decide.
const FormData_pg_index *form_of(Oid index) {
  HeapTuple tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(index));
  return HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple)) : nullptr;
}

List *second_arbiters(Relation relation, const List *arbiters) {
  List *found = NIL;
  Protection protection = {};
  for (int place = 0; next_protection(relation, &place, &protection);) {
    ListCell *cell = nullptr;
    foreach (cell, RelationGetIndexList(relation)) {
      const FormData_pg_index *second = form_of(lfirst_oid(cell));
      ListCell *arbiter = nullptr;
      foreach (arbiter, arbiters) {
        const FormData_pg_index *first = form_of(lfirst_oid(arbiter));
        if (first != nullptr && second != nullptr && !list_member_oid(arbiters, second->indexrelid) &&
            is_second_of(second, first, protection))
          found = list_append_unique_oid(found, second->indexrelid);
      }
    }
  }
  return found;
}

void add_to(Plan *plan, const List *tables) {
  if (plan == nullptr || !IsA(plan, ModifyTable)) return;
  auto *modify = reinterpret_cast<ModifyTable *>(plan);
  if (modify->onConflictAction == ONCONFLICT_NONE || modify->arbiterIndexes == NIL) return;
  Relation relation = table_open(rt_fetch(linitial_int(modify->resultRelations), tables)->relid, NoLock);
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
