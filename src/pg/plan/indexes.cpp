// plan/indexes.cpp - what a scan tells by its index: by its conditions, its order, and what the index leaves out.
//
// Invariant: what the index itself compares is never metered, as it must stay the bare column; what it is compared
// with is.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/by_index.h"
#include "pg/plan/walk.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/table_code.h"
#include "pg/tokens/token_order.h"

extern "C" {
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
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
  walk->of_index = OfIndex::held;
  const std::uint32_t mask = walk_quals(walk, scope, own);
  walk->of_index = OfIndex::no;
  return mask;
}

// Are all of them operators between columns, constants and parameters?  Then nothing is handed to a call within, and
// what they decide is all that they hold.
bool compare_plainly(const List *quals) {
  for (const auto *qual : list_of<const Node>(quals)) {
    if (!IsA(qual, OpExpr)) return false;
    for (const auto *argument : list_of<const Node>(reinterpret_cast<const OpExpr *>(qual)->args))
      if (!IsA(argument, Var) && !IsA(argument, Const) && !IsA(argument, Param)) return false;
  }
  return true;
}

// One that another extension has made up for EXPLAIN has no keys.
const IndexFacts *index_facts(PlanWalk *walk, Index rti, Oid index) {
  IndexFacts *facts = &walk->index;
  if (facts->index == index) return facts;
  facts->index = index;
  facts->tells = facts->predicate = facts->expressions = facts->by_value = false;
  facts->keys = 0;
  HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));  // for less than opening it takes
  if (!HeapTupleIsValid(tuple)) return facts;
  const auto *form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
  facts->keys = form->indnkeyatts;
  std::copy_n(form->indkey.values, facts->keys, facts->key);
  facts->predicate = !heap_attisnull(tuple, Anum_pg_index_indpred, nullptr);
  facts->expressions = !heap_attisnull(tuple, Anum_pg_index_indexprs, nullptr);
  const RelationFacts *table = relation_facts(walk, rti);
  const auto is_key = [facts](const ProtectedColumn &column) {
    return std::find(facts->key, facts->key + facts->keys, column.attno) != facts->key + facts->keys;
  };
  facts->tells =
      facts->predicate || facts->expressions || std::any_of(table->column, table->column + table->size, is_key);
  if (facts->tells) {
    bool null = true;
    const Datum classes = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indclass, &null);
    facts->by_value =
        is_value_family(get_opclass_family(reinterpret_cast<const oidvector *>(DatumGetPointer(classes))->values[0]));
  }
  ReleaseSysCache(tuple);
  return facts;
}

// The columns of opened values that rows are in the order of.
std::uint32_t order_by_value(PlanWalk *walk, Index rti, const IndexFacts *facts) {
  const Oid relid = rt_fetch(rti, walk->plan->rtable)->relid;
  return index_compares(walk, relation_flow(walk, rti, facts->key[0]), getBaseType(get_atttype(relid, facts->key[0])));
}

// Is an index asked for one fingerprint?  The rows that it finds have the same, and no order by it.
bool finds_one_value(const Plan *plan) {
  const List *quals = IsA(plan, IndexScan) ? reinterpret_cast<const IndexScan *>(plan)->indexqualorig : NIL;
  return list_length(quals) == 1 && IsA(linitial(quals), OpExpr) &&
         is_index_term(static_cast<const OpExpr *>(linitial(quals)));
}

}  // namespace

// Index conditions.  The key is compared by operator class members and has to stay a bare
// column, so nothing is metered in the original form; the comparison values are ordinary
// expressions, and are metered in the form that is executed.
std::uint32_t index_quals(PlanWalk *walk, const ExprScope &scope, List *original, const List *executed,
                          bool rechecked) {
  if (original == NIL && executed == NIL) return 0;
  walk->of_index = OfIndex::asked;
  std::uint32_t mask = walk_quals(walk, scope, original);
  walk->of_index = OfIndex::no;
  if (original != NIL && (mask | scope.rows | walk->context) == 0 && compare_plainly(original)) return 0;
  ExprScope values = scope;
  values.index = nullptr;  // key columns read as clean
  mask |= walk_quals(walk, values, executed);
  if (rechecked && calls_untrusted(reinterpret_cast<Node *>(original))) (void)walk_quals(walk, scope, original);
  return mask;
}

// What a scan tells by the index it uses.  The planner leaves out conditions that a partial index
// implies; and a scan of the whole index is there for its order, which the keys decide, unless
// nothing of its rows is used but their number.
std::uint32_t index_itself(PlanWalk *walk, Index rti, Oid index, bool ordered) {
  if (relation_facts(walk, rti)->size == 0) return 0;
  const IndexFacts *facts = index_facts(walk, rti, index);
  if (!facts->tells) return 0;
  if (facts->by_value) return ordered ? order_by_value(walk, rti, facts) : 0;
  std::uint32_t mask = 0;
  for (int i = 0; ordered && i < facts->keys; ++i)
    if (facts->key[i] > 0) mask |= flow_explicit(relation_flow(walk, rti, facts->key[i]));
  const bool computes = facts->predicate || (ordered && facts->expressions);
  Relation relation = computes ? try_relation_open(index, AccessShareLock) : nullptr;
  if (relation == nullptr) return mask;
  mask |= index_expression(walk, rti, RelationGetIndexPredicate(relation));
  if (ordered) mask |= index_expression(walk, rti, RelationGetIndexExpressions(relation));
  relation_close(relation, AccessShareLock);
  return mask;
}

namespace {

// The index of a scan that hands rows out as that has them, if it tells of any column; or null.
const IndexFacts *scanned_index(PlanWalk *walk, const Plan *plan) {
  Oid index = InvalidOid;
  if (IsA(plan, IndexScan)) index = reinterpret_cast<const IndexScan *>(plan)->indexid;
  if (IsA(plan, IndexOnlyScan)) index = reinterpret_cast<const IndexOnlyScan *>(plan)->indexid;
  const Index rti = reinterpret_cast<const Scan *>(plan)->scanrelid;
  if (!OidIsValid(index) || relation_facts(walk, rti)->size == 0) return nullptr;
  const IndexFacts *facts = index_facts(walk, rti, index);
  return facts->by_value || (facts->tells && (facts->keys > 1 || !finds_one_value(plan))) ? facts : nullptr;
}

}  // namespace

// Whatever the planner has chosen the index for, the rows come in its order.
std::uint32_t index_order(PlanWalk *walk, const Plan *plan) {
  const IndexFacts *facts = scanned_index(walk, plan);
  if (facts == nullptr) return 0;
  const Index rti = reinterpret_cast<const Scan *>(plan)->scanrelid;
  if (facts->by_value) {
    count_comparisons(walk, 1);
    return order_by_value(walk, rti, facts);
  }
  return labelled_among(walk, index_itself(walk, rti, facts->index, true));
}

// The order of tokens is no secret.  It counts where the planner has dropped a subquery that is sorted, and the mark of
// its key: then that is left among the columns.
std::uint32_t index_order_shown(PlanWalk *walk, const Plan *plan, const NodeFlow &rows) {
  const IndexFacts *facts = scanned_index(walk, plan);
  if (facts == nullptr || facts->by_value) return 0;
  std::uint32_t columns = 0;
  for (int i = 1; i <= rows.size; ++i) columns |= flow_explicit(node_flow_column(&rows, static_cast<AttrNumber>(i)));
  return columns != 0
             ? columns & index_itself(walk, reinterpret_cast<const Scan *>(plan)->scanrelid, facts->index, true)
             : 0;
}

std::uint32_t bitmap_shows(PlanWalk *walk, const BitmapIndexScan *scan) {
  const Index rti = scan->scan.scanrelid;
  if (relation_facts(walk, rti)->size == 0) return 0;
  const IndexFacts *facts = index_facts(walk, rti, scan->indexid);
  std::uint32_t mask = 0;
  for (int i = 0; i < facts->keys; ++i)
    if (facts->key[i] > 0) mask |= flow_explicit(relation_flow(walk, rti, facts->key[i]));
  return mask;
}

NodeFlow walk_bitmap(PlanWalk *walk, const ExprScope &scope, Plan *plan) {
  NodeFlow rows = {true, false, 0, nullptr, 0, 0};
  if (IsA(plan, BitmapIndexScan))
    rows.implicit = index_quals(walk, scope, NIL, reinterpret_cast<BitmapIndexScan *>(plan)->indexqual) |
                    index_itself(walk, reinterpret_cast<Scan *>(plan)->scanrelid,
                                 reinterpret_cast<BitmapIndexScan *>(plan)->indexid, false);
  else
    rows.implicit = walk_branches(walk, IsA(plan, BitmapAnd) ? reinterpret_cast<BitmapAnd *>(plan)->bitmapplans
                                                             : reinterpret_cast<BitmapOr *>(plan)->bitmapplans)
                        .implicit;
  return rows;
}

}  // namespace redoubt::pg
