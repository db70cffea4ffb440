// plan/grouping.cpp - nodes that put rows together: aggregates, windows, recursions.
//
// What they keep of a row is paid for where they take it in: values that an aggregate carries
// out more than once, and a probe of each column that decided on a row of which the result
// holds something.
// Covered by test/metering and sql/probes.sql.
#include "pg/base/boundary.h"

#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

namespace redoubt::pg {
namespace {

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

// The rows that a step makes of the work table as it is now.  Only looks: nothing is put in, or missed.
NodeFlow look_at_step(PlanWalk *walk, RecursiveUnion *plan) {
  const bool unmetered = walk->analysis->unmetered;
  walk->last = false;
  ++walk->memo_turn;
  const NodeFlow step = walk_plan(walk, innerPlan(plan));
  ++walk->memo_turn;
  walk->last = true;
  walk->analysis->unmetered = unmetered;
  return step;
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
    for (const int i : bits_of(growth[k].beyond)) table->column[k].count[i] = growth[k].first.count[i];
  const NodeFlow step = look_at_step(walk, plan);
  *table = grown;
  for (int k = 0; k < size; ++k) {
    Flow added = node_flow_column(&step, static_cast<AttrNumber>(k + 1));
    for (int i = 0; i < kMaxSources; ++i) {
      const int more = (growth[k].beyond & 1U << i) != 0 ? added.count[i] - growth[k].first.count[i] : 0;
      added.count[i] = static_cast<std::uint16_t>(std::max(more, 0));
    }
    added.pure = false;
    meter_target(walk, &innerPlan(plan), k, added, 0);
  }
}

// Rows of a recursion may put together what many conditions have decided, on a row or on a value in it: a row pays for
// those of each step when it is made, and for `keys`, by which it is told from those before it.
void meter_steps(PlanWalk *walk, RecursiveUnion *plan, NodeFlow *table, std::uint32_t keys) {
  std::uint32_t decides = table->implicit | keys;
  for (int k = 0; k < table->size; ++k) decides |= table->column[k].implicit;
  if (!walk->last || decides == 0) return;
  const NodeFlow whole = *table;
  *table = node_flow_uniform(kNoFlow, whole.size);
  table->order = whole.order;
  for (int k = 0; k < whole.size; ++k) {
    table->column[k] = whole.column[k];
    table->column[k].implicit = 0;
  }
  const NodeFlow step = look_at_step(walk, plan);
  *table = whole;
  decides = step.implicit | keys;
  for (int k = 0; k < step.size; ++k) decides |= flow_probes(step.column[k].implicit, step.column[k]);
  meter_row(walk, &innerPlan(plan), kNoFlow, decides);
}

}  // namespace

std::uint32_t walk_aggregation(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const auto *agg = reinterpret_cast<Agg *>(plan);
  const NodeFlow *rows = &inputs->outer;
  std::uint32_t mask = 0;
  const auto add_set = [&](const Agg *set) {
    mask |= key_decides(walk, rows, outerPlan(plan), set->numCols, set->grpColIdx, Keys::together, 0);
    if (set->aggstrategy == AGG_HASHED) inputs->sorted |= hashed_order(walk, *rows, plan, set->numCols, set->grpColIdx);
  };
  add_set(agg);
  for (const auto *set : list_of<const Agg>(agg->chain)) add_set(set);
  const std::uint32_t order = rows->order & ~(scope->taken | mask);
  scope->taken |= mask | order;  // the keys decide where a row is kept
  const TakenRows taken = taken_rows(walk, *scope, order, plan);
  scope->disclosing = taken.disclosing;
  if (taken.ordered) mask |= rows->order;
  if (!DO_AGGSPLIT_COMBINE(agg->aggsplit)) meter_row(walk, &plan->lefttree, kNoFlow, taken.decides);
  return mask | taken.decides;
}

std::uint32_t walk_window(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const auto *window = reinterpret_cast<WindowAgg *>(plan);
  const NodeFlow *rows = &inputs->outer;
  const std::uint32_t keys = rows->order |
                             key_decides(walk, rows, outerPlan(plan), window->partNumCols, window->partColIdx,
                                         Keys::in_turn, window->partNumCols) |
                             key_decides(walk, rows, outerPlan(plan), window->ordNumCols, window->ordColIdx,
                                         Keys::in_turn, window->ordNumCols);
  scope->taken |= keys;
  if (walk->last) walk->analysis->computed |= keys;  // each row may be told how it compares with those beside it
  const TakenRows taken = taken_rows(walk, *scope, 0, plan);
  meter_row(walk, &outerPlan(plan), kNoFlow, taken.decides);
  return keys | taken.decides;
}

std::uint32_t walk_recursion(PlanWalk *walk, ExprScope *, Inputs *inputs, Plan *node) {
  auto *plan = reinterpret_cast<RecursiveUnion *>(node);
  const NodeFlow terms[] = {inputs->outer, inputs->inner};
  NodeFlow rows = node_flow_alternatives(terms, lengthof(terms), walk->analysis->source);
  // Of a UNION, rows that were there before are left out.
  const std::uint32_t keys = key_decides(walk, &rows, node, plan->numCols, plan->dupColIdx, Keys::together, 0);
  rows.implicit |= keys;
  if (ParamFacts *param = param_facts(walk, plan->wtParam); param != nullptr) {
    NodeFlow *table = &param->work_table;
    const Growth *growth = limit_growth(walk, inputs->outer, table, &rows);
    bool same =
        table->valid && table->size == rows.size && table->implicit == rows.implicit && table->order == rows.order;
    for (int i = 0; same && i < rows.size; ++i) same = rows.column[i] == table->column[i];
    if (!same) walk->changed = true;
    *table = rows;
    meter_growth(walk, plan, growth, table);
    meter_steps(walk, plan, table, keys);
  }
  inputs->outer = rows;
  return keys;
}

}  // namespace redoubt::pg
