// plan/nodes.cpp - the flow of one plan node and of all below it, from the scans up.
//
// Scans are in plan/scans.cpp, nodes that put rows together in plan/grouping.cpp; plan/analysis.cpp walks the whole
// plan, as often as it has to. Invariant: a node type that is not known here is taken to hold and to depend on every
// protected value of the statement. Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

namespace redoubt::pg {

NodeFlow walk_branches(PlanWalk *walk, const List *plans, bool charged) {
  auto *branches = static_cast<NodeFlow *>(palloc0(sizeof(NodeFlow) * static_cast<Size>(list_length(plans) + 1)));
  int n = 0;
  ListCell *cell = nullptr;
  foreach (cell, plans) branches[n++] = walk_plan(walk, static_cast<Plan *>(lfirst(cell)), charged);
  return node_flow_alternatives(branches, n, walk->analysis->source);
}

std::uint32_t walk_quals(PlanWalk *walk, const ExprScope &scope, const List *quals) {
  // Each sees the rows that those before it let pass.
  ExprScope own = scope;
  std::uint32_t mask = 0;
  ListCell *cell = nullptr;
  foreach (cell, quals) {
    mask |= flow_decides(walk_expression(walk, own, static_cast<Node *>(lfirst(cell))));
    own.rows = scope.rows | mask;
  }
  walk->analysis->statement_decides |= mask;
  return mask;
}

namespace {

// Is its target list computed once for each row that it lets out, whatever comes in?
bool computes_for_each_row(const Plan *plan) {
  return !IsA(plan, Agg) && !IsA(plan, WindowAgg) && !IsA(plan, ProjectSet) && !IsA(plan, ModifyTable);
}

}  // namespace

NodeFlow walk_target_list(PlanWalk *walk, const ExprScope &scope, const List *targets) {
  NodeFlow rows = node_flow_uniform(kNoFlow, list_length(targets));
  int i = 0;
  ListCell *cell = nullptr;
  foreach (cell, targets) {
    rows.column[i++] = walk_expression(walk, scope, static_cast<Node *>(lfirst(cell)));
  }
  return rows;
}

bool is_sorted(const Plan *plan) {
  while (IsA(plan, Limit) || IsA(plan, LockRows)) plan = outerPlan(plan);
  return IsA(plan, Sort) || IsA(plan, IncrementalSort);
}

std::uint32_t order_decides(const NodeFlow *rows, const Plan *plan) {
  std::uint32_t mask = 0;
  ListCell *cell = nullptr;
  if (is_sorted(plan)) return 0;
  foreach (cell, plan->targetlist)
    if (static_cast<const TargetEntry *>(lfirst(cell))->ressortgroupref != 0)
      mask |= flow_decides(node_flow_column(rows, static_cast<AttrNumber>(foreach_current_index(cell) + 1)));
  return mask;
}

namespace {

// The other conditions of a join see the pairs that `clauses` let pass.
std::uint32_t walk_join(PlanWalk *walk, const ExprScope &scope, Plan *plan, std::uint32_t clauses) {
  ExprScope pairs = scope;
  pairs.rows |= clauses;
  return clauses | walk_quals(walk, pairs, reinterpret_cast<Join *>(plan)->joinqual);
}

// The executor computes what partitions are compared with, before their scans do.  Returns what decides which of them
// are run.
std::uint32_t walk_pruning(PlanWalk *walk, const ExprScope &scope, const PartitionPruneInfo *pruning) {
  std::uint32_t mask = 0;
  const auto walk_steps = [&](const List *steps) {
    ListCell *cell = nullptr;
    foreach (cell, steps)
      if (IsA(lfirst(cell), PartitionPruneStepOp))
        mask |= flow_decides(walk_expression(
            walk, scope, reinterpret_cast<Node *>(static_cast<PartitionPruneStepOp *>(lfirst(cell))->exprs)));
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
  return mask;
}

// The plans of an Append, of which `mask` decides which are run.
NodeFlow walk_pruned(PlanWalk *walk, const List *plans, std::uint32_t mask, bool charged) {
  const std::uint32_t context = walk->context;
  walk->context |= mask;
  const NodeFlow rows = walk_branches(walk, plans, charged);
  walk->context = context;
  return rows;
}

// What decides that the input of a node is run, before it has a row.
std::uint32_t walk_gate(PlanWalk *walk, const ExprScope &scope, Plan *plan) {
  if (IsA(plan, Result))
    return walk_quals(walk, scope, reinterpret_cast<List *>(reinterpret_cast<::Result *>(plan)->resconstantqual));
  if (IsA(plan, Memoize))  // rows that it has already are not made again
    return flow_decides(
        walk_expression(walk, scope, reinterpret_cast<Node *>(reinterpret_cast<Memoize *>(plan)->param_exprs)));
  return 0;
}

// What decides how far the rows of a nested loop's inner plan are asked for, as the last walk has found out.
std::uint32_t *stops_of(PlanWalk *walk, const Plan *plan) {
  if (plan->plan_node_id >= walk->nodes) {
    const int nodes = plan->plan_node_id + 64;
    auto *grown = static_cast<std::uint32_t *>(
        MemoryContextAllocZero(walk->memory, sizeof(std::uint32_t) * static_cast<Size>(nodes)));
    std::copy_n(walk->stops, walk->nodes, grown);
    walk->stops = grown;
    walk->nodes = nodes;
  }
  return &walk->stops[plan->plan_node_id];
}

// Does the node let out every row that its input is asked for, as it is?
bool passes_rows_on(const Plan *plan) {
  if (plan->qual != NIL) return false;
  return IsA(plan, Gather) || IsA(plan, LockRows) || IsA(plan, Append) ||
         (IsA(plan, Limit) && reinterpret_cast<const Limit *>(plan)->limitOffset == nullptr) ||
         (IsA(plan, Result) && reinterpret_cast<const ::Result *>(plan)->resconstantqual == nullptr);
}

// A lock stays in its row, where xmax shows it: what decided on the rows is told by each of them.
std::uint32_t walk_locks(PlanWalk *walk, const ExprScope &scope, Plan *plan, bool charged) {
  if (charged) return 0;
  const std::uint32_t decides = node_flow_decides(*scope.outer);
  meter_kept(walk, &outerPlan(plan), decides);
  return decides;
}

// Who names a partition itself is told of each of its rows that it is within the bounds; of the rows of a table, those
// of one partition come after those of another.
std::uint32_t partition_decides(PlanWalk *walk, const Plan *scan, bool named) {
  const Index rti = reinterpret_cast<const Scan *>(scan)->scanrelid;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind != RTE_RELATION || compat_is_in_query_text(entry) != named) return 0;
  return relation_flow(walk, rti, TableOidAttributeNumber).implicit;
}

// What the node itself adds to what decides on its rows.
std::uint32_t walk_upper(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan, bool charged) {
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
      return key_decides(walk, rows, outerPlan(plan), reinterpret_cast<Group *>(plan)->numCols,
                         reinterpret_cast<Group *>(plan)->grpColIdx, Keys::together);
    case T_WindowAgg:
      return walk_window(walk, scope, reinterpret_cast<WindowAgg *>(plan));
    case T_Sort:
    case T_IncrementalSort:
      inputs->sorted = key_decides(walk, rows, outerPlan(plan), reinterpret_cast<Sort *>(plan)->numCols,
                                   reinterpret_cast<Sort *>(plan)->sortColIdx, Keys::in_turn);
      return 0;
    case T_Unique: {
      const auto *unique = reinterpret_cast<Unique *>(plan);
      const bool alike = unique->numCols == list_length(plan->targetlist);
      return (alike ? 0 : rows->order) |  // the first of those that are equal in some columns
             key_decides(walk, rows, outerPlan(plan), unique->numCols, unique->uniqColIdx, Keys::together);
    }
    case T_SetOp: {
      // From 18 on the second term is an input of its own, before it is appended to the first.
      const NodeFlow terms[] = {inputs->outer, inputs->inner};
      inputs->outer = node_flow_alternatives(terms, lengthof(terms), walk->analysis->source);
      return key_decides(walk, rows, innerPlan(plan) != nullptr ? plan : outerPlan(plan),
                         reinterpret_cast<SetOp *>(plan)->numCols,
                         compat_set_op_columns(reinterpret_cast<SetOp *>(plan)), Keys::together);
    }
    case T_GatherMerge:
      inputs->sorted = key_decides(walk, rows, outerPlan(plan), reinterpret_cast<GatherMerge *>(plan)->numCols,
                                   reinterpret_cast<GatherMerge *>(plan)->sortColIdx, Keys::in_turn);
      return 0;
    case T_Limit:
      return rows->order | order_decides(rows, outerPlan(plan)) |
             walk_quals(
                 walk, *scope,
                 list_make2(reinterpret_cast<Limit *>(plan)->limitCount, reinterpret_cast<Limit *>(plan)->limitOffset));
    case T_ProjectSet: {
      std::uint32_t mask = 0;
      bool bare = false;
      ListCell *cell = nullptr;
      foreach (cell, plan->targetlist) {
        auto *value = reinterpret_cast<Node *>(static_cast<TargetEntry *>(lfirst(cell))->expr);
        bare |= expression_returns_set(value) && is_bare_call(walk, *scope, value);
        if (expression_returns_set(value)) mask |= set_decides(walk, *scope, value);
      }
      if (bare) meter_kept(walk, &outerPlan(plan), scope->rows | walk->context);  // called for each row taken in
      return mask;
    }
    case T_Result:
      return walk_gate(walk, *scope, plan);
    case T_Append:
      inputs->outer =
          walk_pruned(walk, reinterpret_cast<Append *>(plan)->appendplans,
                      walk_pruning(walk, *scope, compat_append_pruning(walk->plan, reinterpret_cast<Append *>(plan))),
                      charged && passes_rows_on(plan));
      scope->outer = &inputs->outer;
      return inputs->outer.implicit;
    case T_MergeAppend: {
      const auto *merge = reinterpret_cast<MergeAppend *>(plan);
      inputs->outer = walk_pruned(walk, merge->mergeplans,
                                  walk_pruning(walk, *scope, compat_append_pruning(walk->plan, merge)), false);
      scope->outer = &inputs->outer;
      inputs->sorted = key_decides(walk, &inputs->outer, plan, merge->numCols, merge->sortColIdx, Keys::in_turn);
      return inputs->outer.implicit;
    }
    case T_RecursiveUnion:
      inputs->outer = walk_recursion(walk, inputs->outer, inputs->inner, reinterpret_cast<RecursiveUnion *>(plan));
      scope->outer = &inputs->outer;
      return 0;
    case T_LockRows:
      return walk_locks(walk, *scope, plan, charged);
    default:  // Material, Memoize, Gather: rows pass as they are
      return 0;
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

NodeFlow walk_node(PlanWalk *walk, Plan *plan, bool charged) {
  walk->largest_node_id = std::max(walk->largest_node_id, plan->plan_node_id);
  ExprScope scope = {};
  scope.plan = plan;
  ListCell *cell = nullptr;
  foreach (cell, plan->initPlan) walk_initplan(walk, scope, static_cast<SubPlan *>(lfirst(cell)));

  Inputs inputs = {};
  const std::uint32_t context = walk->context;
  walk->context |= walk_gate(walk, scope, plan);
  inputs.outer = walk_plan(walk, outerPlan(plan), charged && passes_rows_on(plan));
  walk->context = context;
  scope.outer = &inputs.outer;
  if (IsA(plan, NestLoop))
    foreach (cell, reinterpret_cast<NestLoop *>(plan)->nestParams) {
      const auto *param = static_cast<NestLoopParam *>(lfirst(cell));
      walk_set_param(walk, param->paramno, walk_expression(walk, scope, reinterpret_cast<Node *>(param->paramval)));
    }
  if (IsA(plan, NestLoop)) {
    walk->context |= *stops_of(walk, plan);
    if (reinterpret_cast<NestLoop *>(plan)->nestParams != NIL) walk->context |= inputs.outer.implicit;
  }
  inputs.inner = walk_plan(walk, innerPlan(plan));
  walk->context = context;
  scope.inner = &inputs.inner;
  if (is_bitmap(plan)) return walk_bitmap(walk, scope, plan);
  if (IsA(plan, ModifyTable)) return walk_modify(walk, scope, reinterpret_cast<ModifyTable *>(plan), inputs.outer);

  std::uint32_t decides = inputs.outer.implicit | inputs.inner.implicit;
  if (!is_scan(plan) && !is_upper(plan)) {
    const Flow flow = everything(walk);
    walk->analysis->statement_decides |= flow.implicit;
    return node_flow_uniform(flow, list_length(plan->targetlist));
  }
  if (is_base_scan(plan)) decides |= partition_decides(walk, plan, true);
  scope.rows = scope.taken = decides;
  decides |= is_scan(plan) ? walk_scan(walk, &scope, &inputs, plan) : walk_upper(walk, &scope, &inputs, plan, charged);
  walk->analysis->statement_decides |= decides;
  if (IsA(plan, NestLoop)) {
    const std::uint32_t stops = decides & ~inputs.outer.implicit;
    walk->changed |= (stops & ~*stops_of(walk, plan)) != 0;
    *stops_of(walk, plan) |= stops;
  }
  scope.rows = scope.taken = decides;
  const std::uint32_t filters = walk_quals(walk, scope, plan->qual);
  decides |= filters;
  scope.rows |= filters;
  if (is_base_scan(plan)) walk_policies(walk, plan);
  NodeFlow rows = walk_target_list(walk, scope, plan->targetlist);
  for (int i = 0; i < rows.size && !(charged && computes_for_each_row(plan)); ++i) rows.column[i].paid = 0;
  rows.implicit = decides;
  rows.order = inputs.sorted;
  if (!IsA(plan, Sort) && !IsA(plan, Agg))
    rows.order |= inputs.outer.order | inputs.inner.order | inputs.scan.order | index_order(walk, plan, rows) |
                  (is_base_scan(plan) ? partition_decides(walk, plan, false) : 0);
  walk->analysis->statement_decides |= decides;
  return rows;
}

}  // namespace

NodeFlow walk_plan(PlanWalk *walk, Plan *plan, bool charged) {
  if (plan == nullptr) return {};
  check_stack_depth();
  const int open_above = std::exchange(walk->open_below, list_length(walk->open));
  const NodeFlow rows = walk_node(walk, plan, charged);
  walk->open_below = open_above;
  return rows;
}

}  // namespace redoubt::pg
