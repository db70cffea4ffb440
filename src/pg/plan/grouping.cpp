// plan/grouping.cpp - nodes that put rows together: aggregates, windows, recursions.
//
// What they keep of a row is paid for where they take it in: values that an aggregate carries
// out more than once, and a probe of each column that decided on a row of which the result
// holds something.
// Covered by test/metering and sql/probes.sql.
#include "pg/base/boundary.h"

#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

extern "C" {
#include "access/genam.h"
#include "catalog/pg_am_d.h"
#include "commands/defrem.h"
#include "optimizer/optimizer.h"
}

namespace redoubt::pg {
namespace {

// The input of window aggregates that carry it out is paid for once per input row: a
// moving frame evaluates the arguments again and again.  So are the probes of rows that they keep, which it returns.
std::uint32_t walk_window_input(PlanWalk *walk, const ExprScope &scope, Plan *plan) {
  Flow input = kNoFlow;
  ListCell *cell = nullptr;
  List *functions = pull_var_clause(reinterpret_cast<Node *>(plan->targetlist),
                                    PVC_INCLUDE_WINDOWFUNCS | PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_PLACEHOLDERS);
  foreach (cell, functions)
    if (IsA(lfirst(cell), WindowFunc))
      flow_add(&input, window_input(walk, scope, static_cast<WindowFunc *>(lfirst(cell))));
  std::uint32_t kept = 0;
  foreach (cell, functions)
    if (IsA(lfirst(cell), WindowFunc)) kept |= window_kept_rows(walk, scope, static_cast<WindowFunc *>(lfirst(cell)));
  meter_rows(walk, &plan->lefttree, input);
  meter_kept(walk, &plan->lefttree, kept);
  return kept;
}

// Grouping sets that one order does not serve sort their input again and evaluate the
// arguments of aggregates again: those are paid for once per input row, as a window's are.
bool sorts_again(const Agg *agg) {
  const auto sorts = [](const Agg *set) { return set->aggstrategy == AGG_SORTED || set->aggstrategy == AGG_PLAIN; };
  int sorted = sorts(agg) ? 1 : 0;
  ListCell *cell = nullptr;
  foreach (cell, agg->chain) sorted += sorts(static_cast<const Agg *>(lfirst(cell))) ? 1 : 0;
  return sorted > 1;
}

// The sources of a column of a recursion that its steps may put more of into one value than a count says.
struct Growth {
  Flow first;            // what the column holds before the first step
  std::uint32_t beyond;  // a bit per source
};

// Lets the counts of `rows` grow no further than kMaxGrownCount, or what the first rows have.  What a value of one
// column is made of has reached every other one after as many walks as there are columns: what grows still, as steps
// put values together, would grow for ever.
Growth *limit_growth(const PlanWalk *walk, const NodeFlow &first, const NodeFlow *before, NodeFlow *rows) {
  const bool settled = walk->walks > 2 * rows->size + 8 && before->valid && before->size == rows->size;
  auto *growth = static_cast<Growth *>(palloc0(sizeof(Growth) * static_cast<Size>(rows->size + 1)));
  for (int k = 0; k < rows->size; ++k) {
    growth[k].first = node_flow_column(&first, static_cast<AttrNumber>(k + 1));
    for (int i = 0; i < kMaxSources; ++i) {
      const std::uint16_t most = std::max(growth[k].first.count[i], kMaxGrownCount);
      if (settled && rows->column[k].count[i] > before->column[k].count[i]) rows->column[k].count[i] = kMaxFlowCount;
      if (rows->column[k].count[i] <= most) continue;
      rows->column[k].count[i] = most;
      growth[k].beyond |= 1U << i;
    }
  }
  return growth;
}

// Each step pays for what it adds to such a value.  A value of n others pays for those that it has besides the first
// of them, with what each holds before the first step: whatever the steps put together in the end, there was a step
// that put it there, and the row it is in pays for the value that all began with.
void meter_growth(PlanWalk *walk, RecursiveUnion *plan, const Growth *growth, NodeFlow *table) {
  const int size = table->size;
  if (!walk->last || std::none_of(growth, growth + size, [](const Growth &g) { return g.beyond != 0; })) return;
  const NodeFlow grown = *table;
  table->column = static_cast<Flow *>(palloc(sizeof(Flow) * static_cast<Size>(size)));
  std::copy_n(grown.column, size, table->column);
  for (int k = 0; k < size; ++k)
    for (std::uint32_t rest = growth[k].beyond; rest != 0; rest &= rest - 1)
      table->column[k].count[std::countr_zero(rest)] = growth[k].first.count[std::countr_zero(rest)];
  walk->last = false;  // only looking
  walk->memo.clear();
  const NodeFlow step = walk_plan(walk, innerPlan(plan));
  walk->memo.clear();
  walk->last = true;
  *table = grown;
  for (int k = 0; k < size; ++k) {
    Flow added = node_flow_column(&step, static_cast<AttrNumber>(k + 1));
    for (int i = 0; i < kMaxSources; ++i) {
      const int more = (growth[k].beyond & 1U << i) != 0 ? added.count[i] - growth[k].first.count[i] : 0;
      added.count[i] = static_cast<std::uint16_t>(std::max(more, 0));
    }
    added.pure = false;
    meter_target(walk, &innerPlan(plan), k, added, kMeterKeeps);
  }
}

// Rows of a recursion may put together what many conditions have decided: a row pays for those of
// each step when it is made.
void meter_steps(PlanWalk *walk, RecursiveUnion *plan, NodeFlow *table) {
  if (!walk->last || table->implicit == 0) return;
  const bool unmetered = walk->analysis->unmetered;
  const std::uint32_t before = std::exchange(table->implicit, 0);
  walk->last = false;  // only looking
  walk->memo.clear();
  const std::uint32_t step = walk_plan(walk, innerPlan(plan)).implicit;
  walk->memo.clear();
  walk->last = true;
  walk->analysis->unmetered = unmetered;
  table->implicit = before;
  meter_kept(walk, &innerPlan(plan), step);
}

}  // namespace

namespace {

// The column of a table that a column of the plan's rows is, as it is.
struct BaseColumn {
  Index rti;  // 0: it is none
  AttrNumber attno;
};

BaseColumn base_column(const Plan *plan, AttrNumber position) {
  if (plan == nullptr || position < 1 || position > list_length(plan->targetlist)) return {0, 0};
  const auto *value =
      reinterpret_cast<const Node *>(static_cast<const TargetEntry *>(list_nth(plan->targetlist, position - 1))->expr);
  while (is_meter(value)) value = metered(value);
  if (!IsA(value, Var)) return {0, 0};
  const auto *variable = reinterpret_cast<const Var *>(value);
  if (variable->varattno < 1) return {0, 0};
  if (variable->varno == OUTER_VAR) return base_column(outerPlan(plan), variable->varattno);
  if (variable->varno == INNER_VAR) return base_column(innerPlan(plan), variable->varattno);
  if (variable->varno == INDEX_VAR) {
    if (!IsA(plan, IndexOnlyScan)) return {0, 0};
    const List *columns = reinterpret_cast<const IndexOnlyScan *>(plan)->indextlist;
    if (variable->varattno > list_length(columns)) return {0, 0};
    const Expr *column = static_cast<const TargetEntry *>(list_nth(columns, variable->varattno - 1))->expr;
    if (!IsA(column, Var)) return {0, 0};
    variable = reinterpret_cast<const Var *>(column);
    return {static_cast<Index>(variable->varno), variable->varattno};
  }
  if (IsA(plan, SubqueryScan))
    return base_column(reinterpret_cast<const SubqueryScan *>(plan)->subplan, variable->varattno);
  return {static_cast<Index>(variable->varno), variable->varattno};
}

// Are rows of the index told apart as DISTINCT, GROUP BY and ORDER BY tell values of its columns apart, with no null?
bool is_key(Relation relation, Relation index, const Bitmapset *columns) {
  const Form_pg_index form = index->rd_index;
  if (!form->indisunique || !form->indimmediate || !form->indisvalid) return false;
  if (RelationGetIndexPredicate(index) != NIL) return false;
  for (int i = 0; i < form->indnkeyatts; ++i) {
    const AttrNumber attno = form->indkey.values[i];
    if (attno < 1 || !bms_is_member(attno, columns)) return false;
    const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(relation), attno - 1);
    if (!attribute->attnotnull || index->rd_indcollation[i] != attribute->attcollation) return false;
    const Oid usual = GetDefaultOpClass(attribute->atttypid, BTREE_AM_OID);
    if (!OidIsValid(usual) || get_opclass_family(usual) != index->rd_opfamily[i]) return false;
  }
  return true;
}

bool holds_key(PlanWalk *walk, Index rti, const Bitmapset *columns) {
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind != RTE_RELATION || entry->relkind != RELKIND_RELATION) return false;
  Relation relation = try_relation_open(entry->relid, AccessShareLock);
  if (relation == nullptr) return false;
  bool found = false;
  ListCell *cell = nullptr;
  const List *indexes = RelationGetIndexList(relation);
  foreach (cell, indexes) {
    Relation index = found ? nullptr : try_relation_open(lfirst_oid(cell), AccessShareLock);
    if (index == nullptr) continue;
    found = is_key(relation, index, columns);
    relation_close(index, AccessShareLock);
  }
  relation_close(relation, AccessShareLock);
  return found;
}

}  // namespace

// Keys that determine a row of a table leave nothing for its other columns to decide.
std::uint32_t key_decides(PlanWalk *walk, const NodeFlow *rows, const Plan *input, int n, const AttrNumber *keys,
                          Keys looked_at) {
  std::uint32_t mask = 0;
  for (int i = 0; i < n; ++i) {
    const Flow flow = node_flow_column(rows, keys[i]);
    if (flow_decides(flow) == 0) continue;
    const BaseColumn column = base_column(input, keys[i]);
    Bitmapset *others = nullptr;  // of the same table
    for (int k = 0; column.rti != 0 && k < (looked_at == Keys::in_turn ? i : n); ++k)
      if (const BaseColumn other = base_column(input, keys[k]); k != i && other.rti == column.rti)
        others = bms_add_member(others, other.attno);
    if (others == nullptr || flow.implicit != 0 || !holds_key(walk, column.rti, others)) mask |= flow_decides(flow);
  }
  return mask;
}

std::uint32_t walk_aggregation(PlanWalk *walk, ExprScope *scope, Agg *agg) {
  Plan *plan = &agg->plan;
  const NodeFlow *rows = scope->outer;
  scope->disclosing = disclosing_aggregates(walk, *scope, plan);
  std::uint32_t mask = key_decides(walk, rows, outerPlan(plan), agg->numCols, agg->grpColIdx, Keys::together);
  ListCell *cell = nullptr;
  foreach (cell, agg->chain) {
    const auto *set = static_cast<Agg *>(lfirst(cell));
    mask |= key_decides(walk, rows, outerPlan(plan), set->numCols, set->grpColIdx, Keys::together);
  }
  scope->taken |= mask | rows->order;  // the keys decide where a row is kept
  const auto [kept, ordered] = kept_rows(walk, *scope, plan);
  if (ordered) mask |= rows->order;
  if (sorts_again(agg)) {
    scope->input_paid = true;
    meter_rows(walk, &plan->lefttree, disclosed_input(walk, *scope, plan));
  }
  if (!DO_AGGSPLIT_COMBINE(agg->aggsplit)) meter_kept(walk, &plan->lefttree, kept);
  return mask | kept;
}

std::uint32_t walk_window(PlanWalk *walk, ExprScope *scope, WindowAgg *window) {
  const NodeFlow *rows = scope->outer;
  const std::uint32_t keys =
      rows->order |
      key_decides(walk, rows, outerPlan(&window->plan), window->partNumCols, window->partColIdx, Keys::in_turn) |
      key_decides(walk, rows, outerPlan(&window->plan), window->ordNumCols, window->ordColIdx, Keys::in_turn);
  scope->taken |= keys;
  return keys | walk_window_input(walk, *scope, &window->plan) | walk_quals(walk, *scope, window->runCondition) |
         walk_quals(walk, *scope, list_make2(window->startOffset, window->endOffset));
}

NodeFlow walk_recursion(PlanWalk *walk, const NodeFlow &outer, const NodeFlow &inner, RecursiveUnion *plan) {
  const NodeFlow terms[] = {outer, inner};
  NodeFlow rows = node_flow_alternatives(terms, lengthof(terms), walk->analysis->source);
  NodeFlow *table = plan->wtParam < walk->params ? &walk->work_table[plan->wtParam] : nullptr;
  if (table != nullptr) {
    const Growth *growth = limit_growth(walk, outer, table, &rows);
    bool same =
        table->valid && table->size == rows.size && table->implicit == rows.implicit && table->order == rows.order;
    for (int i = 0; same && i < rows.size; ++i) same = memcmp(&rows.column[i], &table->column[i], sizeof(Flow)) == 0;
    if (!same) walk->changed = true;
    *table = rows;
    meter_growth(walk, plan, growth, table);
    meter_steps(walk, plan, table);
  }
  return rows;
}

}  // namespace redoubt::pg
