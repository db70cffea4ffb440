// table_code.cpp - see table_code.h.
//
// Read at analysis only; a change of triggers, constraints or indexes invalidates the
// table's relcache entry and with it every cached plan and its analysis.
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/function_trust.h"
#include "pg/table_code.h"
#include "pg/tree_walker.h"

extern "C" {
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/partcache.h"
#include "utils/rls.h"
}

extern "C" {
static bool table_code_untrusted(Oid function, void *) { return !redoubt::pg::function_is_trusted(function); }
static bool table_code_walker(Node *node, void *context) {
  if (node == nullptr) return false;
  if (check_functions_in_node(node, table_code_untrusted, context)) return true;
  return expression_tree_walker(node, redoubt::pg::tree_walker(table_code_walker), context);
}
}

namespace redoubt::pg {
namespace {

void add_columns(TableCode *code, Node *expression) {
  if (expression == nullptr || !calls_untrusted(expression)) return;
  Bitmapset *used = nullptr;
  pull_varattnos(expression, 1, &used);
  int member = -1;
  while ((member = bms_next_member(used, member)) >= 0) {
    const int attno = member + FirstLowInvalidHeapAttributeNumber;
    if (attno > 0) code->columns = bms_add_member(code->columns, attno);
    if (attno == 0) code->row_trigger = true;  // the whole row
  }
}

bool fires(const Trigger &trigger, CmdType command) {
  if (trigger.tgisinternal || !TRIGGER_FOR_ROW(trigger.tgtype) || function_is_trusted(trigger.tgfoid)) return false;
  switch (command) {
    case CMD_INSERT:
      return TRIGGER_FOR_INSERT(trigger.tgtype);
    case CMD_UPDATE:
      return TRIGGER_FOR_UPDATE(trigger.tgtype);
    case CMD_DELETE:
      return TRIGGER_FOR_DELETE(trigger.tgtype);
    default:
      return true;  // MERGE: any of them
  }
}

// A trusted trigger may have a condition that is not.
bool when_calls_untrusted(const Trigger &trigger) {
  return trigger.tgqual != nullptr && calls_untrusted(static_cast<Node *>(stringToNode(trigger.tgqual)));
}

void add_table(TableCode *code, Relation relation, CmdType command) {
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i)
    code->row_trigger |= fires(triggers->triggers[i], command) || when_calls_untrusted(triggers->triggers[i]);
  if (command == CMD_DELETE) return;

  const TupleDesc descriptor = RelationGetDescr(relation);
  const TupleConstr *constraints = descriptor->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; ++i)
    add_columns(code, static_cast<Node *>(stringToNode(constraints->check[i].ccbin)));
  for (int i = 0; constraints != nullptr && constraints->has_generated_stored && i < descriptor->natts; ++i)
    if (!TupleDescAttr(descriptor, i)->attisdropped && TupleDescAttr(descriptor, i)->attgenerated != '\0')
      add_columns(code, build_column_default(relation, i + 1));
  ListCell *cell = nullptr;
  if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)  // to find the partition of a row
    foreach (cell, RelationGetPartitionKey(relation)->partexprs) add_columns(code, static_cast<Node *>(lfirst(cell)));
  List *indexes = RelationGetIndexList(relation);
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    add_columns(code, reinterpret_cast<Node *>(RelationGetIndexExpressions(index)));
    add_columns(code, reinterpret_cast<Node *>(RelationGetIndexPredicate(index)));
    index_close(index, AccessShareLock);
  }
}

}  // namespace

Bitmapset *policy_columns(Oid relid, Oid user) {
  TableCode code = {false, nullptr};
  if (check_enable_rls(relid, user, true) != RLS_ENABLED) return nullptr;
  Relation relation = table_open(relid, AccessShareLock);
  ListCell *cell = nullptr;
  if (relation->rd_rsdesc != nullptr)
    foreach (cell, relation->rd_rsdesc->policies)
      add_columns(&code, reinterpret_cast<Node *>(static_cast<RowSecurityPolicy *>(lfirst(cell))->qual));
  table_close(relation, AccessShareLock);
  return code.columns;
}

bool calls_untrusted(Node *expression) { return table_code_walker(expression, nullptr); }

TableCode table_code(Oid relid, CmdType command) {
  TableCode code = {false, nullptr};
  List *tables = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE
                     ? find_all_inheritors(relid, AccessShareLock, nullptr)
                     : list_make1_oid(relid);
  ListCell *cell = nullptr;
  foreach (cell, tables) {
    Relation relation = try_relation_open(lfirst_oid(cell), AccessShareLock);
    if (relation == nullptr) continue;
    add_table(&code, relation, command);
    relation_close(relation, AccessShareLock);
  }
  return code;
}

}  // namespace redoubt::pg
