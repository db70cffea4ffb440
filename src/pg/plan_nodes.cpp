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
  NodeFlow rows = {true, false, size, nullptr, flow.implicit, 0};
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

// Columns that the rows of a query are sorted by carry a mark, also where an index has sorted them.
std::uint32_t order_decides(const NodeFlow *rows, const List *targets) {
  std::uint32_t mask = 0;
  ListCell *cell = nullptr;
  foreach (cell, targets)
    if (static_cast<const TargetEntry *>(lfirst(cell))->ressortgroupref != 0)
      mask |= flow_decides(node_flow_column(rows, static_cast<AttrNumber>(foreach_current_index(cell) + 1)));
  return mask;
}

// The planner takes the mark away where it drops the subquery that is sorted; then the key is left
// among the columns of the scan whose index has sorted it.
std::uint32_t index_order(PlanWalk *walk, const Plan *plan, const NodeFlow &rows) {
  Oid index = InvalidOid;
  if (IsA(plan, IndexScan)) index = reinterpret_cast<const IndexScan *>(plan)->indexid;
  if (IsA(plan, IndexOnlyScan)) index = reinterpret_cast<const IndexOnlyScan *>(plan)->indexid;
  if (!OidIsValid(index)) return 0;
  std::uint32_t columns = 0;
  for (int i = 0; i < rows.size; ++i) columns |= flow_explicit(rows.column[i]);
  return columns != 0 ? columns & index_itself(walk, reinterpret_cast<const Scan *>(plan)->scanrelid, index, true) : 0;
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

// The other conditions of a join see the pairs that `clauses` let pass.
std::uint32_t walk_join(PlanWalk *walk, const ExprScope &scope, Plan *plan, std::uint32_t clauses) {
  ExprScope pairs = scope;
  pairs.rows |= clauses;
  return clauses | walk_quals(walk, pairs, reinterpret_cast<Join *>(plan)->joinqual);
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
      return walk_join(walk, *scope, plan, walk_quals(walk, *scope, reinterpret_cast<MergeJoin *>(plan)->mergeclauses));
    case T_HashJoin:
      return walk_join(walk, *scope, plan,
                       walk_quals(walk, *scope, reinterpret_cast<HashJoin *>(plan)->hashclauses) |
                           walk_quals(walk, *scope, reinterpret_cast<HashJoin *>(plan)->hashkeys));
    case T_Hash: {
      ExprScope own = *scope;
      return walk_quals(walk, own, reinterpret_cast<Hash *>(plan)->hashkeys);
    }
    case T_Agg:
      return walk_aggregation(walk, scope, reinterpret_cast<Agg *>(plan));
    case T_Group:
      return key_decides(rows, reinterpret_cast<Group *>(plan)->numCols, reinterpret_cast<Group *>(plan)->grpColIdx);
    case T_WindowAgg:
      return walk_window(walk, scope, reinterpret_cast<WindowAgg *>(plan));
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
      return rows->order | order_decides(rows, outerPlan(plan)->targetlist) |
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
      inputs->outer = walk_recursion(walk, inputs->outer, inputs->inner, reinterpret_cast<RecursiveUnion *>(plan));
      scope->outer = &inputs->outer;
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
  const std::uint32_t charged = walk_writes(walk, modify, &rows);
  const int n = list_length(modify->returningLists);
  auto *returned = static_cast<NodeFlow *>(palloc0(sizeof(NodeFlow) * static_cast<Size>(n + 1)));
  for (int i = 0; i < n; ++i)
    returned[i] = walk_target_list(walk, scope, static_cast<List *>(list_nth(modify->returningLists, i)));
  NodeFlow result = node_flow_alternatives(returned, n, walk->analysis->source);
  result.implicit = rows.implicit & ~charged;
  walk->analysis->statement_decides |= rows.implicit;
  return result;
}

bool is_bitmap(const Plan *plan) { return IsA(plan, BitmapIndexScan) || IsA(plan, BitmapAnd) || IsA(plan, BitmapOr); }

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

}  // namespace

std::uint32_t walk_quals(PlanWalk *walk, const ExprScope &scope, const List *quals) {
  // Each sees the rows that those before it let pass.
  ExprScope own = scope;
  std::uint32_t mask = 0;
  ListCell *cell = nullptr;
  foreach (cell, quals) {
    mask |= flow_decides(walk_expression(walk, own, static_cast<Node *>(lfirst(cell))));
    own.rows = scope.rows | (mask & ~scope.kept);
  }
  walk->analysis->statement_decides |= mask;
  return mask;
}

NodeFlow walk_target_list(PlanWalk *walk, const ExprScope &scope, const List *targets) {
  NodeFlow rows = uniform(kNoFlow, list_length(targets));
  int i = 0;
  ListCell *cell = nullptr;
  foreach (cell, targets) {
    rows.column[i] = walk_expression(walk, scope, static_cast<Node *>(lfirst(cell)));
    rows.column[i++].paid = 0;  // of this expression, not of the rows
  }
  return rows;
}

namespace {

// Is each row of the plan charged for anyway, one by one: as a row of the result, or as one written?
bool is_charged_for(const PlanWalk *walk, const Plan *plan) {
  if (plan == walk->written) return true;
  if (walk->plan->commandType != CMD_SELECT) return false;
  const Plan *top = walk->plan->planTree;
  while (top != nullptr && top != plan) {
    const bool passes = IsA(top, Gather) || IsA(top, LockRows) ||
                        (IsA(top, Limit) && reinterpret_cast<const Limit *>(top)->limitOffset == nullptr) ||
                        (IsA(top, Result) && reinterpret_cast<const ::Result *>(top)->resconstantqual == nullptr);
    if (!passes || top->qual != NIL) return false;
    top = outerPlan(top);
  }
  return top == plan;
}

}  // namespace

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
  if (IsA(plan, ModifyTable) && plan == walk->plan->planTree) walk->written = outerPlan(plan);
  inputs.outer = walk_plan(walk, outerPlan(plan));
  scope.outer = &inputs.outer;
  if (IsA(plan, NestLoop))
    foreach (cell, reinterpret_cast<NestLoop *>(plan)->nestParams) {
      const auto *param = static_cast<NestLoopParam *>(lfirst(cell));
      walk_set_param(walk, param->paramno, walk_expression(walk, scope, reinterpret_cast<Node *>(param->paramval)));
    }
  const std::uint32_t context = walk->context;
  if (IsA(plan, NestLoop) && reinterpret_cast<NestLoop *>(plan)->nestParams != NIL)
    walk->context |= inputs.outer.implicit;
  inputs.inner = walk_plan(walk, innerPlan(plan));
  walk->context = context;
  scope.inner = &inputs.inner;
  if (is_bitmap(plan)) return walk_bitmap(walk, scope, plan);
  if (IsA(plan, ModifyTable)) return walk_modify(walk, scope, reinterpret_cast<ModifyTable *>(plan), inputs.outer);

  std::uint32_t decides = inputs.outer.implicit | inputs.inner.implicit;
  if (!is_scan(plan) && !is_upper(plan)) {
    const Flow flow = everything(walk);
    walk->analysis->statement_decides |= flow.implicit;
    return uniform(flow, list_length(plan->targetlist));
  }
  scope.rows = scope.taken = decides;
  decides |= is_scan(plan) ? walk_scan(walk, &scope, &inputs, plan) : walk_upper(walk, &scope, &inputs, plan);
  walk->analysis->statement_decides |= decides;
  decides &= ~scope.spent;
  scope.rows = scope.taken = decides & ~scope.kept;
  const std::uint32_t filters = walk_quals(walk, scope, plan->qual);
  decides |= filters;
  scope.rows |= filters;
  scope.charged = is_charged_for(walk, plan);
  if (is_base_scan(plan)) walk_policies(walk, plan);
  NodeFlow rows = walk_target_list(walk, scope, plan->targetlist);
  for (int i = 0; i < rows.size; ++i) rows.column[i].implicit &= ~scope.spent;
  rows.implicit = decides;
  if (!IsA(plan, Sort) && !IsA(plan, Agg))
    rows.order = inputs.outer.order | inputs.inner.order | inputs.scan.order | index_order(walk, plan, rows);
  walk->analysis->statement_decides |= decides;
  return rows;
}

}  // namespace redoubt::pg
