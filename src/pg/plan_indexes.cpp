// plan_indexes.cpp - what a scan tells by its index, and by the conditions it gives to it.
//
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/plan_walk.h"
#include "pg/protected_columns.h"
#include "pg/table_code.h"

extern "C" {
#include "catalog/partition.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/partcache.h"
}

namespace redoubt::pg {
namespace {

// What an expression of the index's catalog entry looks at; such expressions are computed when a
// row is indexed, not when it is found.
std::uint32_t index_expression(PlanWalk *walk, Index rti, List *expressions) {
  if (expressions == NIL) return 0;
  auto *own = static_cast<List *>(copyObjectImpl(expressions));
  ChangeVarNodes(reinterpret_cast<Node *>(own), 1, static_cast<int>(rti), 0);
  const ExprScope scope = {};
  walk->index_condition = true;
  const std::uint32_t mask = walk_quals(walk, scope, own);
  walk->index_condition = false;
  return mask;
}

}  // namespace

// Index conditions.  The key is compared by operator class members and has to stay a bare
// column, so nothing is metered in the original form; the comparison values are ordinary
// expressions, and are metered in the form that is executed.
std::uint32_t index_quals(PlanWalk *walk, const ExprScope &scope, const List *original, const List *executed) {
  walk->index_condition = true;
  std::uint32_t mask = walk_quals(walk, scope, original);
  walk->index_condition = false;
  ExprScope values = scope;
  values.index = nullptr;  // key columns read as clean
  mask |= walk_quals(walk, values, executed);
  return mask;
}

// What a scan tells by the index it uses.  The planner leaves out conditions that a partial index
// implies; and a scan of the whole index is there for its order, which the keys decide, unless
// nothing of its rows is used but their number.
std::uint32_t index_itself(PlanWalk *walk, Index rti, Oid index, bool ordered) {
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (protected_relation(entry->relid) == nullptr) return 0;
  Relation relation = try_relation_open(index, AccessShareLock);
  if (relation == nullptr) return 0;  // made up for EXPLAIN by another extension
  std::uint32_t mask = index_expression(walk, rti, RelationGetIndexPredicate(relation));
  if (ordered) {
    mask |= index_expression(walk, rti, RelationGetIndexExpressions(relation));
    const Form_pg_index form = relation->rd_index;
    for (int i = 0; i < form->indnkeyatts; ++i)
      if (form->indkey.values[i] > 0) mask |= flow_explicit(relation_flow(walk, rti, form->indkey.values[i]));
  }
  relation_close(relation, AccessShareLock);
  return mask;
}

Flow partition_flow(PlanWalk *walk, Index rti) {
  Flow flow = kNoFlow;
  const Oid relid = rt_fetch(rti, walk->plan->rtable)->relid;
  if (protected_relation(relid) == nullptr || !get_rel_relispartition(relid)) return flow;
  ListCell *cell = nullptr;
  List *ancestors = get_partition_ancestors(relid);
  foreach (cell, ancestors) {
    const Oid ancestor = lfirst_oid(cell);
    Relation relation = try_relation_open(ancestor, AccessShareLock);
    if (relation == nullptr) continue;
    const PartitionKey key = RelationGetPartitionKey(relation);
    Bitmapset *columns = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(key->partexprs), 1, &columns);
    for (int i = 0; i < key->partnatts; ++i)
      if (key->partattrs[i] != 0)
        columns = bms_add_member(columns, key->partattrs[i] - FirstLowInvalidHeapAttributeNumber);
    int member = -1;
    while ((member = bms_next_member(columns, member)) >= 0) {
      const char *name =
          get_attname(ancestor, static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber), true);
      if (name != nullptr) flow.implicit |= flow_explicit(relation_flow(walk, rti, get_attnum(relid, name)));
    }
    relation_close(relation, AccessShareLock);
  }
  return flow;
}

// Conditions that are evaluated again on rows which the index has only nearly found.
void index_recheck(PlanWalk *walk, const ExprScope &scope, List *quals) {
  if (calls_untrusted(reinterpret_cast<Node *>(quals))) (void)walk_quals(walk, scope, quals);
}

}  // namespace redoubt::pg
