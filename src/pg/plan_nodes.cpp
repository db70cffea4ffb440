// plan_nodes.cpp - the flow of every plan node, and the analysis of a whole plan.
//
// Walks the plan forwards, from the scans up, until parameters, CTEs and work tables
// change nothing any more; then once more to put meters in and to record what is found.
// A node type that is not known here is taken to hold and to depend on every protected
// value of the statement.
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/compat.h"
#include "pg/function_trust.h"
#include "pg/meter_function.h"
#include "pg/plan_walk.h"
#include "pg/policy.h"
#include "pg/protected_columns.h"
#include "pg/table_code.h"

extern "C" {
#include "optimizer/optimizer.h"
}

namespace redoubt::pg {
namespace {

NodeFlow uniform(const Flow &flow, int size) {
  NodeFlow rows = {true, false, size, nullptr, flow.implicit};
  rows.column = static_cast<Flow *>(palloc(sizeof(Flow) * static_cast<Size>(std::max(size, 1))));
  std::fill_n(rows.column, size, flow);
  return rows;
}

// Every column of a function's result carries the flow of its arguments.
NodeFlow same_everywhere(const Flow &flow) {
  NodeFlow rows = uniform(flow, 1);
  rows.uniform = true;
  return rows;
}

NodeFlow walk_branches(PlanWalk *walk, const List *plans) {
  auto *branches = static_cast<NodeFlow *>(palloc0(sizeof(NodeFlow) * static_cast<Size>(list_length(plans) + 1)));
  int n = 0;
  ListCell *cell = nullptr;
  foreach (cell, plans) branches[n++] = walk_plan(walk, static_cast<Plan *>(lfirst(cell)));
  return node_flow_alternatives(branches, n, walk->analysis->source);
}

// What sort, group and distinct keys look at decides which rows there are, or their order.
std::uint32_t key_decides(const NodeFlow *rows, int n, const AttrNumber *keys) {
  std::uint32_t mask = 0;
  for (int i = 0; i < n; ++i) mask |= flow_decides(node_flow_column(rows, keys[i]));
  return mask;
}

// Columns that the rows of a query are sorted by carry a mark, also where an index has sorted them.
std::uint32_t order_decides(const NodeFlow *rows, const List *targets) {
  std::uint32_t mask = 0;
  ListCell *cell = nullptr;
  foreach (cell, targets)
    if (static_cast<const TargetEntry *>(lfirst(cell))->ressortgroupref != 0)
      mask |= flow_decides(node_flow_column(rows, static_cast<AttrNumber>(foreach_current_index(cell) + 1)));
  return mask;
}

// Everything protected in the relations of the statement.
Flow everything(PlanWalk *walk) {
  Flow flow = kNoFlow;
  for (int rti = 1; rti <= list_length(walk->plan->rtable); ++rti)
    flow_add(&flow, relation_flow(walk, static_cast<Index>(rti), 0));
  flow.implicit = flow_decides(flow);
  return flow;
}

// ---- scans: each sets what Vars of the scan mean, and returns what decided on the rows

struct Inputs {
  NodeFlow outer, inner, index, scan;
};

void scan_rows(ExprScope *scope, Inputs *inputs, const NodeFlow &rows, Index relid) {
  inputs->scan = rows;
  scope->scan = &inputs->scan;
  scope->scan_relid = relid;
}

// How many rows a set has is decided by what it is made from.  (That a function returns tokens
// says nothing about their number.)
std::uint32_t set_decides(PlanWalk *walk, const ExprScope &scope, Node *set) {
  if (!expression_returns_set(set)) return walk_expression(walk, scope, set).implicit;
  if (IsA(set, FuncExpr)) set = reinterpret_cast<Node *>(reinterpret_cast<FuncExpr *>(set)->args);
  return flow_decides(walk_expression(walk, scope, set));
}

std::uint32_t walk_function_scan(PlanWalk *walk, ExprScope *scope, Inputs *inputs, FunctionScan *scan) {
  Flow flow = kNoFlow;
  std::uint32_t decides = 0;
  ListCell *cell = nullptr;
  foreach (cell, scan->functions) {
    auto *function = static_cast<RangeTblFunction *>(lfirst(cell));
    // A column definition list can name a domain: json_to_record(...) AS r(c some_domain).
    bool runs_code = false;
    ListCell *type = nullptr;
    foreach (type, function->funccoltypes) runs_code |= type_runs_code(lfirst_oid(type));
    if (runs_code && IsA(function->funcexpr, FuncExpr))
      meter_arguments(walk, *scope, reinterpret_cast<FuncExpr *>(function->funcexpr)->args, 0);
    flow_add(&flow, walk_expression(walk, *scope, function->funcexpr));
    decides |= set_decides(walk, *scope, function->funcexpr);
  }
  scan_rows(scope, inputs, same_everywhere(flow), scan->scan.scanrelid);
  return decides;
}

std::uint32_t walk_table_function(PlanWalk *walk, ExprScope *scope, Inputs *inputs, TableFuncScan *scan) {
  Flow flow = walk_expression(walk, *scope, reinterpret_cast<Node *>(scan->tablefunc));
  bool runs_code = exprType(scan->tablefunc->docexpr) == XMLOID;  // parsed, with warnings that quote it
  ListCell *cell = nullptr;
  foreach (cell, scan->tablefunc->coltypes) runs_code |= type_runs_code(lfirst_oid(cell));
  // A column of a domain, or an array that any of the rows may hold an element of.
  if ((runs_code || flow.many) && flow_explicit(flow) != 0) {
    List *document = list_make1(scan->tablefunc->docexpr);
    meter_arguments(walk, *scope, document, runs_code ? 0 : kMeterReveals);
    scan->tablefunc->docexpr = static_cast<Node *>(linitial(document));
    // Columns are given what was passed by expressions of their own.
    if (flow.many) meter_arguments(walk, *scope, compat_passed_values(scan->tablefunc), kMeterReveals);
    flow = walk_expression(walk, *scope, reinterpret_cast<Node *>(scan->tablefunc));
  }
  scan_rows(scope, inputs, same_everywhere(flow), scan->scan.scanrelid);
  return flow_decides(flow);
}

std::uint32_t walk_values(PlanWalk *walk, ExprScope *scope, Inputs *inputs, ValuesScan *scan) {
  const int n = list_length(scan->values_lists);
  auto *rows = static_cast<NodeFlow *>(palloc0(sizeof(NodeFlow) * static_cast<Size>(n + 1)));
  for (int i = 0; i < n; ++i) {
    const auto *values = static_cast<List *>(list_nth(scan->values_lists, i));
    rows[i] = uniform(kNoFlow, list_length(values));
    for (int k = 0; k < rows[i].size; ++k)
      rows[i].column[k] = walk_expression(walk, *scope, static_cast<Node *>(list_nth(values, k)));
  }
  scan_rows(scope, inputs, node_flow_alternatives(rows, n, walk->analysis->source), scan->scan.scanrelid);
  return 0;
}

std::uint32_t walk_foreign(PlanWalk *walk, ExprScope *scope, Inputs *inputs, ForeignScan *scan) {
  std::uint32_t mask = walk_quals(walk, *scope, scan->fdw_recheck_quals);
  // Parameters are sent to the foreign server, which is disclosing them.
  if (const Flow sent = walk_expression(walk, *scope, reinterpret_cast<Node *>(scan->fdw_exprs));
      flow_explicit(sent) != 0)
    meter_arguments(walk, *scope, scan->fdw_exprs, 0);
  if (scan->fdw_scan_tlist != NIL) {
    ExprScope remote = *scope;
    remote.foreign = true;
    inputs->index = walk_target_list(walk, remote, scan->fdw_scan_tlist);
    scope->index = &inputs->index;
  }
  // The conditions of a join made by the foreign server cannot be seen.
  int rti = -1;
  while (scan->scan.scanrelid == 0 && (rti = bms_next_member(scan->fs_relids, rti)) >= 0)
    mask |= flow_explicit(relation_flow(walk, static_cast<Index>(rti), 0));
  return mask;
}

// Another extension's node: what it reads is known from its relations and children only.
std::uint32_t walk_custom(PlanWalk *walk, ExprScope *scope, Inputs *inputs, CustomScan *scan) {
  std::uint32_t mask = 0;
  ListCell *cell = nullptr;
  foreach (cell, scan->custom_plans) mask |= walk_plan(walk, static_cast<Plan *>(lfirst(cell))).implicit;
  walk_expression(walk, *scope, reinterpret_cast<Node *>(scan->custom_exprs));
  int rti = -1;
  while ((rti = bms_next_member(scan->custom_relids, rti)) >= 0)
    mask |= flow_explicit(relation_flow(walk, static_cast<Index>(rti), 0));
  if (scan->custom_scan_tlist != NIL) {
    inputs->index = walk_target_list(walk, *scope, scan->custom_scan_tlist);
    // Its Vars may mean the children's columns: then nothing is known of them.
    if (scan->custom_plans != NIL) inputs->index = uniform(everything(walk), list_length(scan->custom_scan_tlist));
    scope->index = &inputs->index;
  }
  return mask;
}

std::uint32_t walk_scan(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const Index relid = reinterpret_cast<Scan *>(plan)->scanrelid;
  switch (nodeTag(plan)) {
    case T_IndexScan: {
      const auto *scan = reinterpret_cast<IndexScan *>(plan);
      std::uint32_t mask = index_itself(walk, relid, scan->indexid, scan->indexqual == NIL && plan->targetlist != NIL);
      mask |= index_quals(walk, *scope, scan->indexqualorig, scan->indexqual);
      index_recheck(walk, *scope, scan->indexqualorig);
      return mask | index_quals(walk, *scope, scan->indexorderbyorig, scan->indexorderby);
    }
    case T_IndexOnlyScan: {
      const auto *scan = reinterpret_cast<IndexOnlyScan *>(plan);
      walk->index_condition = true;
      inputs->index = walk_target_list(walk, *scope, scan->indextlist);
      walk->index_condition = false;
      scope->index = &inputs->index;
      std::uint32_t mask = index_itself(walk, relid, scan->indexid, scan->indexqual == NIL && plan->targetlist != NIL);
      mask |= index_quals(walk, *scope, scan->indexqual, scan->indexqual);
      return mask | index_quals(walk, *scope, scan->indexorderby, scan->indexorderby);
    }
    case T_BitmapHeapScan: {
      const auto *scan = reinterpret_cast<BitmapHeapScan *>(plan);
      const std::uint32_t mask = index_quals(walk, *scope, scan->bitmapqualorig, NIL);
      index_recheck(walk, *scope, scan->bitmapqualorig);
      return mask;
    }
    case T_TidScan:
      return walk_quals(walk, *scope, reinterpret_cast<TidScan *>(plan)->tidquals);
    case T_TidRangeScan:
      return walk_quals(walk, *scope, reinterpret_cast<TidRangeScan *>(plan)->tidrangequals);
    case T_SampleScan:
      return flow_decides(
          walk_expression(walk, *scope, reinterpret_cast<Node *>(reinterpret_cast<SampleScan *>(plan)->tablesample)));
    case T_SubqueryScan: {
      const Plan *subplan = reinterpret_cast<SubqueryScan *>(plan)->subplan;
      scan_rows(scope, inputs, walk_plan(walk, const_cast<Plan *>(subplan)), relid);
      return inputs->scan.implicit | order_decides(&inputs->scan, subplan->targetlist);
    }
    case T_CteScan: {
      const int id = reinterpret_cast<CteScan *>(plan)->ctePlanId;
      if (id >= 1 && id <= walk->subplans) scan_rows(scope, inputs, walk->subplan[id - 1], relid);
      return inputs->scan.implicit;
    }
    case T_WorkTableScan: {
      const int id = reinterpret_cast<WorkTableScan *>(plan)->wtParam;
      if (id < walk->params) scan_rows(scope, inputs, walk->work_table[id], relid);
      return inputs->scan.implicit;
    }
    case T_FunctionScan:
      return walk_function_scan(walk, scope, inputs, reinterpret_cast<FunctionScan *>(plan));
    case T_TableFuncScan:
      return walk_table_function(walk, scope, inputs, reinterpret_cast<TableFuncScan *>(plan));
    case T_ValuesScan:
      return walk_values(walk, scope, inputs, reinterpret_cast<ValuesScan *>(plan));
    case T_ForeignScan:
      return walk_foreign(walk, scope, inputs, reinterpret_cast<ForeignScan *>(plan));
    case T_CustomScan:
      return walk_custom(walk, scope, inputs, reinterpret_cast<CustomScan *>(plan));
    default:  // SeqScan, NamedTuplestoreScan
      return 0;
  }
}

// ---- nodes above scans

// The input of window aggregates that carry it out is paid for once per input row: a
// moving frame evaluates the arguments again and again.
void walk_window_input(PlanWalk *walk, const ExprScope &scope, Plan *plan) {
  Flow input = kNoFlow;
  ListCell *cell = nullptr;
  List *functions = pull_var_clause(reinterpret_cast<Node *>(plan->targetlist),
                                    PVC_INCLUDE_WINDOWFUNCS | PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_PLACEHOLDERS);
  foreach (cell, functions)
    if (IsA(lfirst(cell), WindowFunc))
      flow_add(&input, window_input(walk, scope, static_cast<WindowFunc *>(lfirst(cell))));
  meter_rows(walk, &plan->lefttree, input);
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

bool is_saturated(const Flow &flow) noexcept {
  return std::any_of(std::begin(flow.count), std::end(flow.count), [](auto count) { return count == kMaxFlowCount; });
}

// A value that grows with every step of a recursion can hold more than a count can say: then
// what each step puts into it is charged besides.
void meter_growth(PlanWalk *walk, RecursiveUnion *plan, const NodeFlow &rows, NodeFlow *table) {
  if (!walk->last || !std::any_of(rows.column, rows.column + rows.size, is_saturated)) return;
  const NodeFlow grown = std::exchange(*table, NodeFlow{});
  walk->last = false;  // only looking
  const NodeFlow added = walk_plan(walk, innerPlan(plan));
  walk->last = true;
  *table = grown;
  for (int k = 0; k < rows.size; ++k)
    if (is_saturated(rows.column[k]))
      meter_target(walk, &innerPlan(plan), k, node_flow_column(&added, static_cast<AttrNumber>(k + 1)), kMeterKeeps);
}

void walk_recursive_union(PlanWalk *walk, ExprScope *scope, Inputs *inputs, RecursiveUnion *plan) {
  const NodeFlow terms[] = {inputs->outer, inputs->inner};
  const NodeFlow rows = node_flow_alternatives(terms, lengthof(terms), walk->analysis->source);
  NodeFlow *table = plan->wtParam < walk->params ? &walk->work_table[plan->wtParam] : nullptr;
  if (table != nullptr) {
    bool same = table->valid && table->size == rows.size && table->implicit == rows.implicit;
    for (int i = 0; same && i < rows.size; ++i) same = memcmp(&rows.column[i], &table->column[i], sizeof(Flow)) == 0;
    if (!same) walk->changed = true;
    *table = rows;
    meter_growth(walk, plan, rows, table);
  }
  inputs->outer = rows;
  scope->outer = &inputs->outer;
}

// The executor computes what partitions are compared with, before their scans do.
void walk_pruning(PlanWalk *walk, const ExprScope &scope, const PartitionPruneInfo *pruning) {
  const auto walk_steps = [&](const List *steps) {
    ListCell *cell = nullptr;
    foreach (cell, steps)
      if (IsA(lfirst(cell), PartitionPruneStepOp))
        (void)walk_expression(walk, scope,
                              reinterpret_cast<Node *>(static_cast<PartitionPruneStepOp *>(lfirst(cell))->exprs));
  };
  ListCell *hierarchy = nullptr;
  if (pruning != nullptr)
    foreach (hierarchy, pruning->prune_infos) {
      ListCell *cell = nullptr;
      foreach (cell, static_cast<List *>(lfirst(hierarchy))) {
        const auto *relation = static_cast<PartitionedRelPruneInfo *>(lfirst(cell));
        walk_steps(relation->initial_pruning_steps);
        walk_steps(relation->exec_pruning_steps);
      }
    }
}

// What the node itself adds to what decides on its rows.
std::uint32_t walk_upper(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const NodeFlow *rows = &inputs->outer;
  switch (nodeTag(plan)) {
    case T_NestLoop:
      return walk_quals(walk, *scope, reinterpret_cast<Join *>(plan)->joinqual);
    case T_MergeJoin:
      return walk_quals(walk, *scope, reinterpret_cast<Join *>(plan)->joinqual) |
             walk_quals(walk, *scope, reinterpret_cast<MergeJoin *>(plan)->mergeclauses);
    case T_HashJoin:
      return walk_quals(walk, *scope, reinterpret_cast<Join *>(plan)->joinqual) |
             walk_quals(walk, *scope, reinterpret_cast<HashJoin *>(plan)->hashclauses) |
             walk_quals(walk, *scope, reinterpret_cast<HashJoin *>(plan)->hashkeys);
    case T_Hash: {
      ExprScope own = *scope;
      return walk_quals(walk, own, reinterpret_cast<Hash *>(plan)->hashkeys);
    }
    case T_Agg: {
      const auto *agg = reinterpret_cast<Agg *>(plan);
      scope->disclosing = disclosing_aggregates(walk, *scope, plan);
      if (sorts_again(agg)) {
        scope->input_paid = true;
        meter_rows(walk, &plan->lefttree, disclosed_input(walk, *scope, plan));
      }
      std::uint32_t mask = key_decides(rows, agg->numCols, agg->grpColIdx);
      ListCell *cell = nullptr;
      foreach (cell, agg->chain) {
        const auto *set = static_cast<Agg *>(lfirst(cell));
        mask |= key_decides(rows, set->numCols, set->grpColIdx);
      }
      return mask;
    }
    case T_Group:
      return key_decides(rows, reinterpret_cast<Group *>(plan)->numCols, reinterpret_cast<Group *>(plan)->grpColIdx);
    case T_WindowAgg: {
      const auto *window = reinterpret_cast<WindowAgg *>(plan);
      walk_window_input(walk, *scope, plan);
      return key_decides(rows, window->partNumCols, window->partColIdx) |
             key_decides(rows, window->ordNumCols, window->ordColIdx) | walk_quals(walk, *scope, window->runCondition) |
             walk_quals(walk, *scope, list_make2(window->startOffset, window->endOffset));
    }
    case T_Sort:
    case T_IncrementalSort:
      return key_decides(rows, reinterpret_cast<Sort *>(plan)->numCols, reinterpret_cast<Sort *>(plan)->sortColIdx);
    case T_Unique:
      return key_decides(rows, reinterpret_cast<Unique *>(plan)->numCols, reinterpret_cast<Unique *>(plan)->uniqColIdx);
    case T_SetOp: {
      // From 18 on the second term is an input of its own, before it is appended to the first.
      const NodeFlow terms[] = {inputs->outer, inputs->inner};
      inputs->outer = node_flow_alternatives(terms, lengthof(terms), walk->analysis->source);
      return key_decides(rows, reinterpret_cast<SetOp *>(plan)->numCols,
                         compat_set_op_columns(reinterpret_cast<SetOp *>(plan)));
    }
    case T_GatherMerge:
      return key_decides(rows, reinterpret_cast<GatherMerge *>(plan)->numCols,
                         reinterpret_cast<GatherMerge *>(plan)->sortColIdx);
    case T_Limit:
      return order_decides(rows, outerPlan(plan)->targetlist) |
             walk_quals(
                 walk, *scope,
                 list_make2(reinterpret_cast<Limit *>(plan)->limitCount, reinterpret_cast<Limit *>(plan)->limitOffset));
    case T_ProjectSet: {
      std::uint32_t mask = 0;
      ListCell *cell = nullptr;
      foreach (cell, plan->targetlist) {
        auto *value = reinterpret_cast<Node *>(static_cast<TargetEntry *>(lfirst(cell))->expr);
        if (expression_returns_set(value)) mask |= set_decides(walk, *scope, value);
      }
      return mask;
    }
    case T_Result:
      return walk_quals(walk, *scope, reinterpret_cast<List *>(reinterpret_cast<::Result *>(plan)->resconstantqual));
    case T_Memoize:  // computes its keys itself; what they decide, the node below tells
      (void)walk_expression(walk, *scope, reinterpret_cast<Node *>(reinterpret_cast<Memoize *>(plan)->param_exprs));
      return 0;
    case T_Append:
      walk_pruning(walk, *scope, compat_pruning(walk->plan, reinterpret_cast<Append *>(plan)));
      inputs->outer = walk_branches(walk, reinterpret_cast<Append *>(plan)->appendplans);
      scope->outer = &inputs->outer;
      return inputs->outer.implicit;
    case T_MergeAppend: {
      const auto *merge = reinterpret_cast<MergeAppend *>(plan);
      walk_pruning(walk, *scope, compat_pruning(walk->plan, merge));
      inputs->outer = walk_branches(walk, merge->mergeplans);
      scope->outer = &inputs->outer;
      return inputs->outer.implicit | key_decides(&inputs->outer, merge->numCols, merge->sortColIdx);
    }
    case T_RecursiveUnion:
      walk_recursive_union(walk, scope, inputs, reinterpret_cast<RecursiveUnion *>(plan));
      return 0;
    default:  // Material, Gather, LockRows: rows pass as they are
      return 0;
  }
}

// A scan of one table.
bool is_base_scan(const Plan *plan) {
  switch (nodeTag(plan)) {
    case T_SeqScan:
    case T_SampleScan:
    case T_IndexScan:
    case T_IndexOnlyScan:
    case T_BitmapHeapScan:
    case T_TidScan:
    case T_TidRangeScan:
      return true;
    default:
      return false;
  }
}

bool is_scan(const Plan *plan) {
  switch (nodeTag(plan)) {
    case T_SubqueryScan:
    case T_FunctionScan:
    case T_ValuesScan:
    case T_TableFuncScan:
    case T_CteScan:
    case T_NamedTuplestoreScan:
    case T_WorkTableScan:
    case T_ForeignScan:
    case T_CustomScan:
      return true;
    default:
      return is_base_scan(plan);
  }
}

// The rest of the plan nodes that are known, named one by one: where a later version puts a
// new one among them, its place does not make it known.
bool is_upper(const Plan *plan) {
  switch (nodeTag(plan)) {
    case T_Result:
    case T_ProjectSet:
    case T_Append:
    case T_MergeAppend:
    case T_RecursiveUnion:
    case T_NestLoop:
    case T_MergeJoin:
    case T_HashJoin:
    case T_Material:
    case T_Memoize:
    case T_Sort:
    case T_IncrementalSort:
    case T_Group:
    case T_Agg:
    case T_WindowAgg:
    case T_Unique:
    case T_Gather:
    case T_GatherMerge:
    case T_Hash:
    case T_SetOp:
    case T_LockRows:
    case T_Limit:
      return true;
    default:
      return false;
  }
}

// A row-level security policy that names an untrusted function is paid for with every row
// of the scan where the planner has folded the call away: it may have called it to do so.
void walk_policies(PlanWalk *walk, Plan *plan) {
  const Index rti = reinterpret_cast<Scan *>(plan)->scanrelid;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind != RTE_RELATION || protected_relation(entry->relid) == nullptr) return;
  Bitmapset *columns = policy_columns(entry->relid, compat_check_as_user(walk->plan, entry));
  if (columns == nullptr || calls_untrusted(reinterpret_cast<Node *>(plan->qual))) return;
  Flow flow = kNoFlow;
  int attno = -1;
  while ((attno = bms_next_member(columns, attno)) >= 0)
    flow_add(&flow, relation_flow(walk, rti, static_cast<AttrNumber>(attno)));
  meter_rows(walk, &plan, flow);
}

NodeFlow walk_modify(PlanWalk *walk, const ExprScope &scope, ModifyTable *modify, const NodeFlow &rows) {
  walk_writes(walk, modify, &rows);
  const int n = list_length(modify->returningLists);
  auto *returned = static_cast<NodeFlow *>(palloc0(sizeof(NodeFlow) * static_cast<Size>(n + 1)));
  for (int i = 0; i < n; ++i)
    returned[i] = walk_target_list(walk, scope, static_cast<List *>(list_nth(modify->returningLists, i)));
  NodeFlow result = node_flow_alternatives(returned, n, walk->analysis->source);
  result.implicit = rows.implicit;
  walk->analysis->statement_decides |= rows.implicit;
  return result;
}

bool is_bitmap(const Plan *plan) { return IsA(plan, BitmapIndexScan) || IsA(plan, BitmapAnd) || IsA(plan, BitmapOr); }

NodeFlow walk_bitmap(PlanWalk *walk, const ExprScope &scope, Plan *plan) {
  NodeFlow rows = {true, false, 0, nullptr, 0};
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

}  // namespace

std::uint32_t walk_quals(PlanWalk *walk, const ExprScope &scope, const List *quals) {
  if (quals == NIL) return 0;
  const Flow flow = walk_expression(walk, scope, const_cast<Node *>(reinterpret_cast<const Node *>(quals)));
  walk->analysis->statement_decides |= flow_decides(flow);
  return flow_decides(flow);
}

NodeFlow walk_target_list(PlanWalk *walk, const ExprScope &scope, const List *targets) {
  NodeFlow rows = uniform(kNoFlow, list_length(targets));
  int i = 0;
  ListCell *cell = nullptr;
  foreach (cell, targets) rows.column[i++] = walk_expression(walk, scope, static_cast<Node *>(lfirst(cell)));
  return rows;
}

NodeFlow walk_plan(PlanWalk *walk, Plan *plan) {
  NodeFlow nothing = {};
  if (plan == nullptr) return nothing;
  check_stack_depth();
  walk->largest_node_id = std::max(walk->largest_node_id, plan->plan_node_id);
  ExprScope scope = {};
  scope.plan = plan;
  ListCell *cell = nullptr;
  foreach (cell, plan->initPlan) (void)walk_subplan(walk, scope, static_cast<SubPlan *>(lfirst(cell)));

  Inputs inputs = {};
  inputs.outer = walk_plan(walk, outerPlan(plan));
  scope.outer = &inputs.outer;
  if (IsA(plan, NestLoop))
    foreach (cell, reinterpret_cast<NestLoop *>(plan)->nestParams) {
      const auto *param = static_cast<NestLoopParam *>(lfirst(cell));
      walk_set_param(walk, param->paramno, walk_expression(walk, scope, reinterpret_cast<Node *>(param->paramval)));
    }
  inputs.inner = walk_plan(walk, innerPlan(plan));
  scope.inner = &inputs.inner;
  if (is_bitmap(plan)) return walk_bitmap(walk, scope, plan);
  if (IsA(plan, ModifyTable)) return walk_modify(walk, scope, reinterpret_cast<ModifyTable *>(plan), inputs.outer);

  std::uint32_t decides = inputs.outer.implicit | inputs.inner.implicit;
  if (!is_scan(plan) && !is_upper(plan)) {
    const Flow flow = everything(walk);
    walk->analysis->statement_decides |= flow.implicit;
    return uniform(flow, list_length(plan->targetlist));
  }
  decides |= is_scan(plan) ? walk_scan(walk, &scope, &inputs, plan) : walk_upper(walk, &scope, &inputs, plan);
  decides |= walk_quals(walk, scope, plan->qual);
  if (is_base_scan(plan)) walk_policies(walk, plan);
  NodeFlow rows = walk_target_list(walk, scope, plan->targetlist);
  rows.implicit = decides;
  walk->analysis->statement_decides |= decides;
  return rows;
}

}  // namespace redoubt::pg
