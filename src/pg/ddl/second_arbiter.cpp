// second_arbiter.cpp - INSERT ... ON CONFLICT on a table with a column that is being protected.
//
// A unique index of the column has one of the tokens beside it until the swap, which ON CONFLICT (column) does not
// name: two sessions that insert one value at a time would meet it as an error.  So it decides together with the first
// one, as it will alone after the swap.  Making or dropping an index makes PostgreSQL plan statements on its table
// anew. Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/ddl/protection.h"
#include "pg/plan/walk.h"

extern "C" {
#include "catalog/pg_trigger.h"
#include "catalog/pg_index.h"
#include "nodes/nodes.h"
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

// An index as the catalog has it.
struct Index {
  const FormData_pg_index *form;  // null: it is gone
  List *expressions;              // one for each 0 of its columns
  Node *condition;
};

Index index_of(Oid index) {
  HeapTuple tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(index));
  if (!HeapTupleIsValid(tuple)) return {};
  return {reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple)),
          reinterpret_cast<List *>(catalog_node(INDEXRELID, tuple, Anum_pg_index_indexprs)),
          catalog_node(INDEXRELID, tuple, Anum_pg_index_indpred)};
}

// A function of the column alone; of which function the caller decides.
const FuncExpr *function_of(const Node *node, AttrNumber column) {
  if (!IsA(node, FuncExpr)) return nullptr;
  const auto *function = reinterpret_cast<const FuncExpr *>(node);
  if (list_length(function->args) != 1) return nullptr;
  return is_column(static_cast<const Node *>(linitial(function->args)), column) ? function : nullptr;
}

// lower() and upper() of the column, and the fingerprint of the token, which equal tokens have equal.
bool is_second_expression(const Node *second, const Node *first, const Protection &protection, bool *of_tokens) {
  const FuncExpr *was = function_of(first, protection.source);
  if (was == nullptr || (was->funcid != F_LOWER_TEXT && was->funcid != F_UPPER_TEXT)) return equal(second, first);
  *of_tokens = true;
  return function_of(second, protection.target) != nullptr;
}

bool is_presence_of(const Node *condition, AttrNumber column) {
  if (condition == nullptr || !IsA(condition, NullTest)) return false;
  const auto *test = reinterpret_cast<const NullTest *>(condition);
  return test->nulltesttype == IS_NOT_NULL && is_column(reinterpret_cast<const Node *>(test->arg), column);
}

bool is_second_condition(const Node *second, const Node *first, const Protection &protection, bool *of_tokens) {
  if (!is_presence_of(first, protection.source)) return equal(second, first);
  *of_tokens = true;
  return is_presence_of(second, protection.target);
}

// Does an index of a table decide as another one does, with the token column in the place of the column?  By what it
// is: REINDEX CONCURRENTLY gives indexes other numbers, and anybody may rename one.  What has nothing to do with the
// column has to be the same in both: another index decides of other rows.
bool is_second_of(const Index &second, const Index &first, const Protection &protection) {
  const FormData_pg_index *is = second.form;
  const FormData_pg_index *was = first.form;
  if (is == nullptr || was == nullptr || is->indexrelid == was->indexrelid) return false;
  if (!is->indisunique || !is->indimmediate || is->indnkeyatts != was->indnkeyatts ||
      list_length(second.expressions) != list_length(first.expressions))
    return false;
  bool of_tokens = false;
  int expression = 0;
  for (int i = 0; i < was->indnkeyatts; ++i) {
    const AttrNumber column = was->indkey.values[i];
    of_tokens |= column == protection.source;
    if (is->indkey.values[i] != (column == protection.source ? protection.target : column)) return false;
    if (column != 0) continue;
    if (!is_second_expression(static_cast<const Node *>(list_nth(second.expressions, expression)),
                              static_cast<const Node *>(list_nth(first.expressions, expression)), protection,
                              &of_tokens))
      return false;
    ++expression;
  }
  return is_second_condition(second.condition, first.condition, protection, &of_tokens) && of_tokens;
}

// The token columns of the table that PostgreSQL's own triggers keep current.
bool next_protection(Relation relation, int *place, Protection *found) {
  const TriggerDesc *triggers = catalog_triggers(relation);
  for (; triggers != nullptr && *place < triggers->numtriggers; ++*place)
    if (is_keeper(triggers->triggers[*place]) && protection_of_trigger(triggers->triggers[*place].tgoid, found)) {
      ++*place;
      return true;
    }
  return false;
}

List *second_arbiters(Relation relation, const List *arbiters) {
  List *found = NIL;
  Protection protection = {};
  for (int place = 0; next_protection(relation, &place, &protection);)
    for (const Oid index : oids_of(RelationGetIndexList(relation))) {
      const Index second = index_of(index);
      for (const Oid arbiter : oids_of(arbiters))
        if (!list_member_oid(arbiters, index) && is_second_of(second, index_of(arbiter), protection))
          found = list_append_unique_oid(found, index);
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

[[gnu::hot]] void protection_add_arbiters(PlannedStmt *plan) {
  if (plan->commandType != CMD_INSERT && !plan->hasModifyingCTE) return;
  add_to(plan->planTree, plan->rtable);
  for (auto *subplan : list_of<Plan>(plan->subplans)) add_to(subplan, plan->rtable);
}

}  // namespace redoubt::pg
