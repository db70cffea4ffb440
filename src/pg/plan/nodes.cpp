// plan/nodes.cpp - the engine: the flow of one plan node and of all below it, from the scans up.
//
// The kinds of node are in plan/node_table; what only some of them do is here, in plan/scans.cpp and in
// plan/grouping.cpp.  plan/analysis.cpp walks the whole plan, as often as it has to. Invariant: a node of a kind that
// is not in the table is taken to hold and to depend on every protected value of the statement.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

namespace redoubt::pg {

namespace {

// How many rows the places stand for that rows share.  A row is of one branch, so that is as many as in the branch with
// most of them.
class BranchRows {
 public:
  explicit BranchRows(const PlanWalk *walk) noexcept
      : sources_(walk->analysis->sources), met_(walk->here->met), told_(walk->here->told) {
    std::copy_n(walk->analysis->weight, sources_, weight_.of);
  }
  // `fresh` is the weight of sources that are new since.
  void put_back(PlanWalk *walk, std::uint16_t fresh) const noexcept {
    std::copy_n(weight_.of, sources_, walk->analysis->weight);
    for (int i = sources_; i < walk->analysis->sources; ++i) walk->analysis->weight[i] = fresh;
    walk->here->met = met_;
    walk->here->told = told_;
  }
  void raise(const PlanWalk *walk) noexcept {
    for (int i = sources_; i < walk->analysis->sources; ++i) weight_.of[i] = 1;
    sources_ = walk->analysis->sources;
    for (int i = 0; i < sources_; ++i) {
      weight_.of[i] = std::max(weight_.of[i], walk->analysis->weight[i]);
      met_.of[i] = std::max(met_.of[i], walk->here->met.of[i]);
      told_.of[i] = std::max(told_.of[i], walk->here->told.of[i]);
    }
  }

 private:
  int sources_;
  SharedRows weight_ = {};
  SharedRows met_;
  SharedRows told_;
};

}  // namespace

NodeFlow walk_branches(PlanWalk *walk, const List *plans, bool charged) {
  auto *branches = static_cast<NodeFlow *>(palloc0(sizeof(NodeFlow) * static_cast<Size>(list_length(plans) + 1)));
  const BranchRows before(walk);
  BranchRows most = before;
  int n = 0;
  for (auto *plan : list_of<Plan>(plans)) {
    before.put_back(walk, walk->last ? 1 : 0);
    branches[n++] = walk_plan(walk, plan, charged);
    most.raise(walk);
  }
  most.put_back(walk, 1);
  walk->terms = 0;
  for (int i = 0; i < n; ++i) walk->terms |= branches[i].implicit;
  const NodeFlow rows = node_flow_alternatives(branches, n, walk->analysis->source);
  pfree(branches);
  return rows;
}

std::uint32_t walk_quals(PlanWalk *walk, const ExprScope &scope, const List *quals) {
  if (quals == NIL) return 0;
  // Each sees the rows that those before it let pass.
  ExprScope own = scope;
  std::uint32_t mask = 0;
  for (auto *condition : list_of<Node>(quals)) {
    walk->in_condition = true;
    mask |= condition_decides(walk, condition, flow_decides(walk_expression(walk, own, condition)));
    walk->in_condition = false;
    own.rows = scope.rows | mask;
  }
  walk->analysis->statement_decides |= mask;
  return mask;
}

NodeFlow walk_target_list(PlanWalk *walk, const ExprScope &scope, const List *targets) {
  NodeFlow rows = node_flow_uniform(kNoFlow, list_length(targets));
  int i = 0;
  for (auto *target : list_of<Node>(targets)) rows.column[i++] = walk_expression(walk, scope, target);
  return rows;
}

NodeFlow walk_lists(PlanWalk *walk, const ExprScope &scope, const List *lists) {
  auto *rows = static_cast<NodeFlow *>(palloc(sizeof(NodeFlow) * static_cast<Size>(list_length(lists) + 1)));
  int n = 0;
  for (const auto *list : list_of<const List>(lists)) rows[n++] = walk_target_list(walk, scope, list);
  return node_flow_alternatives(rows, n, walk->analysis->source);
}

bool is_sorted(const Plan *plan) {
  while (IsA(plan, Limit) || IsA(plan, LockRows) || IsA(plan, Unique) || IsA(plan, WindowAgg)) plan = outerPlan(plan);
  return IsA(plan, Sort) || IsA(plan, IncrementalSort);
}

std::uint32_t order_decides(PlanWalk *walk, const NodeFlow *rows, const Plan *plan) {
  std::uint32_t mask = 0;
  if (is_sorted(plan)) return 0;
  AttrNumber position = 0;
  for (const auto *target : list_of<const TargetEntry>(plan->targetlist)) {
    ++position;
    if (target->ressortgroupref != 0) mask |= order_compares(walk, node_flow_column(rows, position), false);
  }
  return mask;
}

namespace {

// The executor computes what partitions are compared with, before their scans do.  Returns what decides which of them
// are run.
std::uint32_t walk_pruning(PlanWalk *walk, const ExprScope &scope, const PartitionPruneInfo *pruning) {
  std::uint32_t mask = 0;
  const auto walk_steps = [&](const List *steps) {
    for (const auto *step : list_of<const PartitionPruneStepOp>(steps))
      if (IsA(step, PartitionPruneStepOp))
        mask |= flow_decides(walk_expression(walk, scope, reinterpret_cast<Node *>(step->exprs)));
  };
  if (pruning == nullptr) return 0;
  for (const auto *hierarchy : list_of<const List>(pruning->prune_infos))
    for (const auto *relation : list_of<const PartitionedRelPruneInfo>(hierarchy)) {
      walk_steps(relation->initial_pruning_steps);
      walk_steps(relation->exec_pruning_steps);
    }
  return mask;
}

}  // namespace

std::uint32_t walk_append(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const PartitionPruneInfo *pruning = IsA(plan, Append)
                                          ? compat_append_pruning(walk->plan, reinterpret_cast<Append *>(plan))
                                          : compat_append_pruning(walk->plan, reinterpret_cast<MergeAppend *>(plan));
  const std::uint32_t context = walk->context;
  walk->context |= walk_pruning(walk, *scope, pruning);
  inputs->outer =
      walk_branches(walk, member_of<List *>(plan, plan_kind(plan)->plans), inputs->charged && passes_rows_on(plan));
  walk->context = context;
  return inputs->outer.implicit;
}

std::uint32_t walk_limit(PlanWalk *walk, ExprScope *, Inputs *inputs, Plan *plan) {
  return inputs->outer.order | order_decides(walk, &inputs->outer, outerPlan(plan));
}

// The first of those that are equal in some columns.
std::uint32_t walk_unique(PlanWalk *, ExprScope *, Inputs *inputs, Plan *plan) {
  return reinterpret_cast<Unique *>(plan)->numCols == list_length(plan->targetlist) ? 0 : inputs->outer.order;
}

std::uint32_t hashed_order(const PlanWalk *walk, const NodeFlow &rows, const Plan *plan, int n,
                           const AttrNumber *keys) {
  std::uint32_t mask = 0;
  for (int i = 0; i < n; ++i) {
    std::uint32_t values = labelled_among(walk, flow_explicit(node_flow_column(&rows, keys[i])));
    for (const auto *target : list_of<const TargetEntry>(plan->targetlist)) {
      const auto *variable = reinterpret_cast<const Var *>(target->expr);
      if (target->ressortgroupref != 0 && IsA(variable, Var) && variable->varattno == keys[i]) values = 0;
    }
    mask |= values;
  }
  return mask;
}

// From 18 on the second term is an input of its own, before it is appended to the first.
std::uint32_t walk_set_operation(PlanWalk *walk, ExprScope *, Inputs *inputs, Plan *plan) {
  const NodeFlow terms[] = {inputs->outer, inputs->inner};
  inputs->outer = node_flow_alternatives(terms, lengthof(terms), walk->analysis->source);
  const NodeKeys &keys = plan_kind(plan)->keys;
  if (reinterpret_cast<const SetOp *>(plan)->strategy == SETOP_HASHED)
    inputs->sorted |= hashed_order(walk, inputs->outer, plan, member_of<int>(plan, keys.count),
                                   member_of<const AttrNumber *>(plan, keys.columns));
  // A row of INTERSECT and EXCEPT tells of all terms.
  return innerPlan(plan) != nullptr ? inputs->inner.implicit : walk->terms;
}

// A lock stays in its row, where xmax shows it: what decided on the rows is told by each of them.
std::uint32_t walk_locks(PlanWalk *walk, ExprScope *, Inputs *inputs, Plan *plan) {
  const std::uint32_t decides = node_flow_decides(inputs->outer);
  meter_row(walk, &outerPlan(plan), kNoFlow, decides | walk->context);
  return decides;
}

// Sets in a target list.
std::uint32_t walk_sets(PlanWalk *walk, ExprScope *scope, Inputs *, Plan *plan) {
  std::uint32_t mask = 0;
  bool bare = false;
  for (const auto *target : list_of<const TargetEntry>(plan->targetlist)) {
    auto *value = reinterpret_cast<Node *>(target->expr);
    if (!expression_returns_set(value)) continue;
    bare |= is_bare_call(walk, *scope, value);
    mask |= set_decides(walk, *scope, value);
  }
  if (bare) meter_row(walk, &outerPlan(plan), kNoFlow, scope->rows | walk->context);  // called for each row taken in
  return mask;
}

namespace {

// What an expression, or a list of conditions, of a node decides.
std::uint32_t member_decides(PlanWalk *walk, const ExprScope &scope, const Plan *plan, Member member) {
  return walk_quals(walk, scope, list_at(plan, member));
}

// What decides how far a node asks its inputs for rows, or in what turn, as the last walk has found out.
std::uint32_t *turns_of(PlanWalk *walk, const Plan *plan) {
  if (plan->plan_node_id >= walk->nodes) {
    const int nodes = 2 * plan->plan_node_id + 64;
    auto *grown = static_cast<std::uint32_t *>(
        MemoryContextAllocZero(walk->memory, sizeof(std::uint32_t) * static_cast<Size>(nodes)));
    std::copy_n(walk->turns, walk->nodes, grown);
    if (walk->turns != nullptr) pfree(walk->turns);
    walk->turns = grown;
    walk->nodes = nodes;
  }
  return &walk->turns[plan->plan_node_id];
}

void note_turns(PlanWalk *walk, const Plan *plan, std::uint32_t mask) {
  std::uint32_t *turns = turns_of(walk, plan);
  walk->changed |= (mask & ~*turns) != 0;
  *turns |= mask;
}

// Does it take rows of its inputs by turns, as it compares them?
bool merges(const Plan *plan) {
  return IsA(plan, MergeJoin) || IsA(plan, MergeAppend) || (IsA(plan, SetOp) && innerPlan(plan) != nullptr);
}

// What a nested loop hands to its inner plan, whose rows it asks for once for each outer row.
void walk_loop(PlanWalk *walk, const ExprScope &scope, const NestLoop *loop) {
  for (const auto *param : list_of<const NestLoopParam>(loop->nestParams))
    walk_set_param(walk, param->paramno, walk_expression(walk, scope, reinterpret_cast<Node *>(param->paramval)));
  walk->context |= *turns_of(walk, &loop->join.plan) | scope.outer->implicit;
}

// Who names a partition itself is told of each of its rows that it is within the bounds; of the rows of a table, those
// of one partition come after those of another.
std::uint32_t partition_decides(PlanWalk *walk, const Plan *scan, bool named) {
  const Index rti = reinterpret_cast<const Scan *>(scan)->scanrelid;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind != RTE_RELATION || compat_is_in_query_text(entry) != named) return 0;
  return partition_tells(walk, rti);
}

// How many keys of a node its input is sorted by already.
int sorted_keys(const Plan *plan, int keys) {
  return IsA(plan, Sort)              ? 0
         : IsA(plan, IncrementalSort) ? reinterpret_cast<const IncrementalSort *>(plan)->nPresortedCols
                                      : keys;
}

// What the node itself adds to what decides on its rows.
std::uint32_t walk_own(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan, const PlanKind &kind) {
  std::uint32_t decides = kind.transfer != nullptr ? kind.transfer(walk, scope, inputs, plan) : 0;
  if (kind.keys.count != 0) {
    const Plan *input = outerPlan(plan) != nullptr && innerPlan(plan) == nullptr ? outerPlan(plan) : plan;
    const int n = member_of<int>(plan, kind.keys.count);
    const std::uint32_t keys =
        key_decides(walk, &inputs->outer, input, n, member_of<const AttrNumber *>(plan, kind.keys.columns),
                    kind.keys.looked_at, sorted_keys(plan, n));
    (kind.keys.looked_at == Keys::in_turn ? inputs->sorted : decides) |= keys;
  }
  for (const Member member : kind.each_row)
    if (member != 0) decides |= member_decides(walk, scope_after(*scope, decides), plan, member);
  return decides;
}

NodeFlow walk_modify(PlanWalk *walk, const ExprScope &scope, ModifyTable *modify, const NodeFlow &rows) {
  walk_writes(walk, modify, &rows);
  NodeFlow result = walk_lists(walk, scope, modify->returningLists);
  result.implicit = rows.implicit;
  return result;
}

NodeFlow walk_node(PlanWalk *walk, Plan *plan, bool charged) {
  walk->largest_node_id = std::max(walk->largest_node_id, plan->plan_node_id);
  const PlanKind *kind = plan_kind(plan);
  ExprScope scope = {};
  scope.plan = plan;
  for (auto *initplan : list_of<SubPlan>(plan->initPlan)) walk_initplan(walk, scope, initplan);

  Inputs inputs = {};
  inputs.charged = charged;
  const std::uint32_t context = walk->context;
  const std::uint32_t turns = merges(plan) ? *turns_of(walk, plan) : 0;
  const std::uint32_t gate = kind != nullptr ? member_decides(walk, scope, plan, kind->gate) : 0;
  walk->context |= gate | turns;
  inputs.outer = walk_plan(walk, outerPlan(plan), charged && passes_rows_on(plan));
  walk->context = context | turns;
  scope.outer = &inputs.outer;
  if (IsA(plan, NestLoop)) walk_loop(walk, scope, reinterpret_cast<const NestLoop *>(plan));
  inputs.inner = walk_plan(walk, innerPlan(plan));
  walk->context = context | turns;
  scope.inner = &inputs.inner;
  if (kind == nullptr) {
    const Flow flow = everything(walk);
    walk->analysis->statement_decides |= flow.implicit;
    return node_flow_uniform(flow, list_length(plan->targetlist));
  }
  if (kind->role == NodeRole::bitmap) return walk_bitmap(walk, scope, plan);
  if (kind->role == NodeRole::writes)
    return walk_modify(walk, scope, reinterpret_cast<ModifyTable *>(plan), inputs.outer);

  const bool table = kind->role == NodeRole::table;
  std::uint32_t decides = inputs.outer.implicit | inputs.inner.implicit | gate;
  if (table) decides |= partition_decides(walk, plan, true);
  scope.rows = scope.taken = decides;
  decides |= walk_own(walk, &scope, &inputs, plan, *kind);
  walk->context = context;
  walk->analysis->statement_decides |= decides;
  if (IsA(plan, NestLoop)) note_turns(walk, plan, decides & ~inputs.outer.implicit);
  if (merges(plan)) note_turns(walk, plan, decides | inputs.sorted);
  scope.rows = scope.taken = decides;
  if (table) scope.order = index_order(walk, plan) | partition_decides(walk, plan, false);
  const std::uint32_t filters = walk_quals(walk, scope, plan->qual);
  decides |= filters;
  scope.rows |= filters;
  if (table) walk_policies(walk, plan);
  NodeFlow rows = table ? scanned_columns(walk, plan) : NodeFlow{};
  if (!rows.valid) rows = walk_target_list(walk, scope, plan->targetlist);
  if (rows.targets == NIL && (!charged || (kind->traits & kOtherRows) != 0))
    for (int i = 0; i < rows.size; ++i) rows.column[i].paid = 0;
  rows.implicit = decides;
  rows.order = inputs.sorted;
  if (!IsA(plan, Agg) || reinterpret_cast<const Agg *>(plan)->aggstrategy != AGG_PLAIN)  // more than one row
    rows.order |= inputs.outer.order | inputs.inner.order | inputs.scan.order | scope.order |
                  (table ? index_order_shown(walk, plan, rows) : 0);
  return rows;
}

}  // namespace

namespace {

// What has as many rows as its inputs, or one, shows nothing new.
bool shows_its_input(const Plan *plan) {
  if (IsA(plan, Append) || IsA(plan, MergeAppend) || IsA(plan, BitmapAnd) || IsA(plan, BitmapOr)) return true;
  if (plan->qual != NIL || outerPlan(plan) == nullptr || innerPlan(plan) != nullptr) return false;
  return passes_rows_on(plan) || IsA(plan, Hash) || IsA(plan, Sort) || IsA(plan, Material) || IsA(plan, WindowAgg) ||
         (IsA(plan, Agg) && reinterpret_cast<const Agg *>(plan)->aggstrategy == AGG_PLAIN);
}

void count_figures(PlanWalk *walk, const Plan *plan, std::uint32_t decides) {
  if (!walk->last) return;
  if (IsA(plan, BitmapIndexScan)) decides |= bitmap_shows(walk, reinterpret_cast<const BitmapIndexScan *>(plan));
  if (decides == 0 || shows_its_input(plan)) return;
  for (const int i : bits_of(decides)) {
    std::uint16_t &figures = walk->analysis->figures[i];
    figures = static_cast<std::uint16_t>(std::min(figures + 1, PG_UINT16_MAX));
  }
}

}  // namespace

NodeFlow walk_plan(PlanWalk *walk, Plan *plan, bool charged) {
  if (plan == nullptr) return {};
  check_stack_depth();
  const int open_above = std::exchange(walk->open_below, list_length(walk->open));
  const bool in_condition = std::exchange(walk->in_condition, false);  // of which it is a subquery
  const bool gated = std::exchange(walk->gated, is_gate(plan));
  const NodeFlow rows = walk_node(walk, plan, charged);
  if (const std::uint32_t run = std::exchange(walk->run, 0); !gated) meter_run(walk, plan, run);
  walk->gated = gated;
  count_figures(walk, plan, rows.implicit | walk->context);
  walk->in_condition = in_condition;
  walk->open_below = open_above;
  return rows;
}

}  // namespace redoubt::pg
