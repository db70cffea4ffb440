// plan/row_keys.cpp - what the keys of sorts, groups and set operations decide.
//
// Where the keys of a node contain a key of a table, rows that are equal in it are one row of the table, and its other
// columns have nothing left to decide: neither whether two rows are the same, nor which comes first.  A condition of
// the scan (id = 42) may say that a column of the table's key is the same in all rows.  The planner then leaves the
// column out of the node's keys; here it counts as one of them.
// Invariant: that is so only for columns that all come from the same row; of set operations, branch by branch.  What a
// condition says does not hold for rows that an outer join or a grouping set has filled with nulls.
// Covered by test/metering and sql/probes.sql.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"
#include "pg/protect/table_code.h"

namespace redoubt::pg {
namespace {

// The column of a table that a column of a plan's rows is, as it is.
struct BaseColumn {
  List *rows;  // whose row it is of: numbers in the range table, one for each branch; NIL: it is of none
  AttrNumber attno;
  const Plan *scan;  // of which all rows come, none filled with nulls; or null
};

// The column of the table that a partition's column is; a table itself otherwise.
BaseColumn of_table(const PlanWalk *walk, const Plan *scan, Index rti, AttrNumber attno) {
  const AppendRelInfo *child = nullptr;
  while ((child = walk->relation[rti].child) != nullptr &&
         rt_fetch(child->parent_relid, walk->plan->rtable)->relkind == RELKIND_PARTITIONED_TABLE) {
    if (attno > child->num_child_cols || child->parent_colnos[attno - 1] == 0) return {};
    rti = child->parent_relid;
    attno = child->parent_colnos[attno - 1];
  }
  return {list_make1_int(static_cast<int>(rti)), attno, scan};
}

const List *branches_of(const Plan *plan) {
  if (IsA(plan, Append)) return reinterpret_cast<const Append *>(plan)->appendplans;
  if (IsA(plan, MergeAppend)) return reinterpret_cast<const MergeAppend *>(plan)->mergeplans;
  if (IsA(plan, RecursiveUnion) || (IsA(plan, SetOp) && innerPlan(plan) != nullptr))  // of 18 on
    return list_make2(outerPlan(plan), innerPlan(plan));
  return NIL;
}

BaseColumn base_column(const PlanWalk *walk, const Plan *plan, AttrNumber position);

// A column that is the same one of the same table in every branch.
BaseColumn of_branches(const PlanWalk *walk, const List *branches, AttrNumber position) {
  BaseColumn column = {};
  const auto relid = [walk](int rti) { return rt_fetch(static_cast<Index>(rti), walk->plan->rtable)->relid; };
  bool same = true;  // partitions of one table
  for (const auto *each : list_of<const Plan>(branches)) {
    const BaseColumn other = base_column(walk, each, position);
    if (other.rows == NIL) return {};
    if (column.rows == NIL) column.attno = other.attno;
    const int rti = linitial_int(column.rows == NIL ? other.rows : column.rows);
    if (other.attno != column.attno || relid(linitial_int(other.rows)) != relid(rti)) return {};
    same &= list_length(other.rows) == 1 && linitial_int(other.rows) == rti;
    column.rows = list_concat(column.rows, other.rows);
    column.scan = list_length(branches) == 1 ? other.scan : nullptr;
  }
  if (same && column.rows != NIL) column.rows = list_make1_int(linitial_int(column.rows));
  return column;
}

// May the node fill columns of its outer, or inner, input with nulls?
bool fills_with_nulls(const Plan *plan, bool inner) {
  if (IsA(plan, Agg)) return reinterpret_cast<const Agg *>(plan)->groupingSets != NIL;
  if (!IsA(plan, NestLoop) && !IsA(plan, MergeJoin) && !IsA(plan, HashJoin)) return false;
  const JoinType type = reinterpret_cast<const Join *>(plan)->jointype;
  if (type == JOIN_INNER || type == JOIN_SEMI) return false;
  return inner ? type != JOIN_RIGHT : type != JOIN_LEFT && type != JOIN_ANTI;
}

BaseColumn below(const PlanWalk *walk, const Plan *plan, bool inner, AttrNumber position) {
  BaseColumn column = base_column(walk, inner ? innerPlan(plan) : outerPlan(plan), position);
  if (fills_with_nulls(plan, inner)) column.scan = nullptr;
  return column;
}

// The column of the table that a variable of an index-only scan is; or null.
const Var *indexed_column(const Plan *plan, const Var *variable) {
  if (!IsA(plan, IndexOnlyScan)) return nullptr;
  const List *columns = reinterpret_cast<const IndexOnlyScan *>(plan)->indextlist;
  if (variable->varattno > list_length(columns)) return nullptr;
  const Expr *column = static_cast<const TargetEntry *>(list_nth(columns, variable->varattno - 1))->expr;
  return IsA(column, Var) ? reinterpret_cast<const Var *>(column) : nullptr;
}

BaseColumn base_column(const PlanWalk *walk, const Plan *plan, AttrNumber position) {
  if (plan == nullptr || position < 1 || position > list_length(plan->targetlist)) return {};
  check_stack_depth();
  const auto *value =
      reinterpret_cast<const Node *>(static_cast<const TargetEntry *>(list_nth(plan->targetlist, position - 1))->expr);
  while (is_meter(value)) value = metered(value);
  if (!IsA(value, Var)) return {};
  const auto *variable = reinterpret_cast<const Var *>(value);
  if (variable->varattno < 1) return {};
  if (const List *branches = branches_of(plan); branches != NIL) return of_branches(walk, branches, variable->varattno);
  if (variable->varno == OUTER_VAR) return below(walk, plan, false, variable->varattno);
  if (variable->varno == INNER_VAR) return below(walk, plan, true, variable->varattno);
  if (variable->varno == INDEX_VAR) {
    variable = indexed_column(plan, variable);
    if (variable == nullptr) return {};
  } else if (IsA(plan, SubqueryScan)) {
    return base_column(walk, reinterpret_cast<const SubqueryScan *>(plan)->subplan, variable->varattno);
  }
  return of_table(walk, plan, static_cast<Index>(variable->varno), variable->varattno);
}

// The btree operator family by which DISTINCT, GROUP BY and ORDER BY compare values of the type.
Oid usual_family(Oid type) { return lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf; }

// The same for the whole statement: a constant, or a parameter of the client.
bool is_constant(const Node *expression) {
  expression = without_relabelling(expression);
  return IsA(expression, Const) ||
         (IsA(expression, Param) && reinterpret_cast<const Param *>(expression)->paramkind == PARAM_EXTERN);
}

// Adds the columns of the table that conditions, all of which hold for each row of the scan, say to be a constant.
Bitmapset *add_constants(const PlanWalk *walk, const Plan *scan, const List *conditions, Bitmapset *columns) {
  for (const auto *condition : list_of<const OpExpr>(conditions)) {
    if (!IsA(condition, OpExpr) || list_length(condition->args) != 2) continue;
    const auto *variable = static_cast<const Node *>(linitial(condition->args));
    const auto *constant = static_cast<const Node *>(lsecond(condition->args));
    if (is_constant(variable)) std::swap(variable, constant);
    variable = without_relabelling(variable);
    if (!is_constant(constant) || !IsA(variable, Var)) continue;
    const auto *column = reinterpret_cast<const Var *>(variable);
    if (column->varno == INDEX_VAR) column = indexed_column(scan, column);
    if (column == nullptr || IS_SPECIAL_VARNO(column->varno) || column->varattno < 1) continue;
    const Oid family = usual_family(column->vartype);
    if (!OidIsValid(family) || condition->inputcollid != column->varcollid ||
        get_op_opfamily_strategy(condition->opno, family) != BTEqualStrategyNumber)
      continue;
    const BaseColumn of = of_table(walk, scan, static_cast<Index>(column->varno), column->varattno);
    if (of.rows != NIL) columns = bms_add_member(columns, of.attno);
  }
  return columns;
}

// Conditions by which a scan finds rows.
const List *found_by(const Plan *scan) {
  if (IsA(scan, IndexScan)) return reinterpret_cast<const IndexScan *>(scan)->indexqualorig;
  if (IsA(scan, IndexOnlyScan)) return reinterpret_cast<const IndexOnlyScan *>(scan)->indexqual;
  if (IsA(scan, BitmapHeapScan)) return reinterpret_cast<const BitmapHeapScan *>(scan)->bitmapqualorig;
  return NIL;
}

// The columns of the table that are the same in all rows of the scan.
Bitmapset *constant_columns(const PlanWalk *walk, const Plan *scan) {
  if (scan == nullptr) return nullptr;
  Bitmapset *columns = add_constants(walk, scan, scan->qual, nullptr);
  return add_constants(walk, scan, found_by(scan), columns);
}

// The columns of an index by which DISTINCT, GROUP BY and ORDER BY tell its rows apart, with no null; or null.
Bitmapset *key_of(Relation relation, Relation index) {
  const Form_pg_index form = index->rd_index;
  if (!form->indisunique || !form->indimmediate || !form->indisvalid) return nullptr;
  if (RelationGetIndexPredicate(index) != NIL) return nullptr;
  Bitmapset *columns = nullptr;
  for (int i = 0; i < form->indnkeyatts; ++i) {
    const AttrNumber attno = form->indkey.values[i];
    if (attno < 1) return nullptr;
    const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(relation), attno - 1);
    if (!compat_has_no_nulls(RelationGetDescr(relation), attno)) return nullptr;
    if (index->rd_indcollation[i] != attribute->attcollation) return nullptr;
    if (usual_family(attribute->atttypid) != index->rd_opfamily[i]) return nullptr;
    columns = bms_add_member(columns, attno);
  }
  return columns;
}

// The keys of an entry of the range table, each a set of columns.
const List *keys_of(PlanWalk *walk, Index rti) {
  RelationFacts *facts = &walk->relation[rti];
  if (facts->keys_known) return facts->keys;
  facts->keys_known = true;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind != RTE_RELATION ||
      (entry->relkind != RELKIND_RELATION && entry->relkind != RELKIND_PARTITIONED_TABLE))
    return NIL;
  Relation relation = try_relation_open(entry->relid, AccessShareLock);
  if (relation == nullptr) return NIL;
  MemoryContext old = MemoryContextSwitchTo(walk->memory);
  each_index(relation, [&](Relation index) {
    if (Bitmapset *key = key_of(relation, index); key != nullptr) facts->keys = lappend(facts->keys, key);
  });
  MemoryContextSwitchTo(old);
  relation_close(relation, AccessShareLock);
  return facts->keys;
}

// Columns of one row that the keys of a node contain, or that are constant.
struct KeyColumns {
  List *rows;
  Bitmapset *columns;
};

// Is the column determined by others of its row?
bool is_determined(PlanWalk *walk, const KeyColumns &known, AttrNumber attno) {
  for (const auto *key : list_of<const Bitmapset>(keys_of(walk, static_cast<Index>(linitial_int(known.rows))))) {
    if (!bms_is_member(attno, key) && bms_is_subset(key, known.columns)) return true;
  }
  return false;
}

}  // namespace

std::uint32_t key_decides(PlanWalk *walk, const NodeFlow *rows, const Plan *input, int n, const AttrNumber *keys,
                          Keys looked_at, int sorted) {
  std::uint32_t all = 0;
  for (int i = 0; i < n; ++i) all |= flow_decides(node_flow_column(rows, keys[i]));
  if (all == 0) return 0;
  auto *known = static_cast<KeyColumns *>(palloc0(sizeof(KeyColumns) * static_cast<Size>(n)));
  auto *column = static_cast<BaseColumn *>(palloc0(sizeof(BaseColumn) * static_cast<Size>(n)));
  int tables = 0;
  const auto known_of = [&](const BaseColumn &of) {
    int t = 0;
    while (t < tables && !equal(known[t].rows, of.rows)) ++t;
    if (t == tables) known[tables++] = {of.rows, constant_columns(walk, of.scan)};
    return &known[t];
  };
  const auto note = [&](int i) {
    if (column[i].rows == NIL) return;
    KeyColumns *of = known_of(column[i]);
    of->columns = bms_add_member(of->columns, column[i].attno);
  };
  for (int i = 0; i < n; ++i) {
    column[i] = base_column(walk, input, keys[i]);
    if (looked_at == Keys::together) note(i);
  }
  std::uint32_t mask = 0;
  for (int i = 0; i < n; ++i) {
    const Flow flow = node_flow_column(rows, keys[i]);
    const bool determined =
        flow.implicit == 0 && column[i].rows != NIL && is_determined(walk, *known_of(column[i]), column[i].attno);
    if (!determined) mask |= looked_at == Keys::in_turn ? order_compares(walk, flow, i >= sorted) : flow_decides(flow);
    if (looked_at == Keys::in_turn) note(i);
  }
  return mask;
}

}  // namespace redoubt::pg
