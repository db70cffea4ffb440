// plan/analysis.cpp - the analysis of a whole plan.
//
// A function of the plan and the catalogs; plan_cache keeps the result.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"
#include "pg/types/token_type.h"
#include "pg/protect/protected_columns.h"

namespace redoubt::pg {
namespace {

constexpr int kMaxWalks = 20000;  // more than columns and parameters of any plan take

// Null for none.
template <typename T>
T *zeroed(int n, MemoryContext context = CurrentMemoryContext) {
  if (n <= 0) return nullptr;
  const Size size = sizeof(T) * static_cast<Size>(n);
  return static_cast<T *>(std::memset(MemoryContextAlloc(context, size), 0, size));  // faster than palloc0's loop
}

void walk_begins(PlanWalk *walk, SubplanFacts *here) noexcept {
  walk->here = here;
  walk->context = here->called;
  here->told = here->met;
  walk->used = nullptr;
}

NodeFlow walk_all(PlanWalk *walk) {
  ++walk->memo_turn;
  SubplanFacts *subplan = walk->subplan;
  for (auto *plan : list_of<Plan>(walk->plan->subplans)) {
    walk_begins(walk, subplan);
    subplan->rows = walk_plan(walk, plan);
    subplan->open = std::exchange(walk->open, NIL);
    ++subplan;
  }
  walk_begins(walk, subplan);
  return walk_plan(walk, walk->plan->planTree, walk->plan->commandType == CMD_SELECT);
}

void describe_output(PlanWalk *walk, PlannedStmt *plan, const NodeFlow &top) {
  PlanAnalysis *analysis = walk->analysis;
  const List *targets = plan->planTree->targetlist;
  if (plan->commandType != CMD_SELECT && !plan->hasReturning) return;
  analysis->column = zeroed<OutputColumn>(list_length(targets), GetMemoryChunkContext(plan));
  int position = 0;
  for (const auto *target : list_of<const TargetEntry>(targets)) {
    const Oid type = exprType(reinterpret_cast<const Node *>(target->expr));
    Flow flow = node_flow_column(&top, static_cast<AttrNumber>(++position));
    if (flow.paid != 0 && OidIsValid(get_element_type(type))) flow.paid = 0;
    if (target->resjunk) {
      // Sorted by an index, perhaps.
      if (target->ressortgroupref != 0 && !is_sorted(plan->planTree))
        analysis->row_decides |= order_compares(walk, flow, false);
      continue;
    }
    analysis->column[analysis->columns++] = {flow, type, flow_explicit(flow), 0, 0, 0};
    analysis->row_decides |= flow.implicit;
    analysis->statement_decides |= flow.implicit;
  }
  analysis->row_decides |= node_flow_decides(top);
}

// What is known of an output column from its type alone, looked up once for all runs of the plan.
void describe_types(PlanAnalysis *analysis) {
  for (int c = 0; c < analysis->columns; ++c) {
    OutputColumn *column = &analysis->column[c];
    for (const int i : bits_of(column->carries)) {
      const Source &source = analysis->source[i];
      if (!source.is_token) continue;
      const bool carries = type_carries(column->type, source.token_type);
      if (type_holds_tokens(column->type)) column->holds |= 1U << i;
      if (carries && (type_is_tokens(column->type) || copied_type(column->flow, source) == column->type))
        column->stays |= 1U << i;
      if (carries || (!column->flow.direct && type_meets_output(column->type, source.token_type)))
        column->reveals |= 1U << i;
    }
  }
}

void describe_probes(PlanWalk *walk) {
  PlanAnalysis *analysis = walk->analysis;
  for (int i = 0; i < analysis->sources; ++i) {
    const Oid type = analysis->source[i].token_type;
    if (plan_type(analysis, type) < 0) analysis->type[analysis->types++] = type;
    analysis->type_of[i] = static_cast<std::uint8_t>(plan_type(analysis, type));
  }
  analysis->points = static_cast<int>(walk->points);
  analysis->above = zeroed<MeterPoint>(analysis->points + 1, GetMemoryChunkContext(walk->plan));
  for (const auto *meter : list_of<const MeterSpec>(walk->found)) {
    // The rows of a point below go on upwards.
    if (meter->above > meter->point && meter->above <= walk->points) analysis->above[meter->point] = meter->above;
  }
}

bool is_beyond_count(const PlanAnalysis &analysis) noexcept {
  const auto is_full = [](const std::uint16_t *count, std::uint32_t sources) {
    for (const int i : bits_of(sources))
      if (count[i] == kMaxFlowCount) return true;
    return false;
  };
  const auto all = static_cast<std::uint32_t>((std::uint64_t{1} << analysis.sources) - 1);
  return is_full(analysis.held, all) ||
         std::any_of(analysis.column, analysis.column + analysis.columns,
                     [&](const OutputColumn &column) { return is_full(column.flow.count, column.carries); });
}

// The others are marks of the executor's own: those of a ModifyTable, a Gather or a recursive union, which is a
// subplan.
bool has_values_in_params(const PlannedStmt *plan) noexcept {
  for (const Oid each : oids_of(plan->paramExecTypes))
    if (OidIsValid(each)) return true;
  return false;
}

// Entries of the range table that rows are taken from, with all parts of a table as one.
int relations_joined(const PlannedStmt *plan) noexcept {
  int relations = -list_length(plan->appendRelations);
  for (const auto *entry : list_of<const RangeTblEntry>(plan->rtable))
    if (entry->rtekind != RTE_RESULT) ++relations;
  return relations;
}

// Does it merge the parts of a table?
bool merges_parts(const Plan *plan) {
  while (plan != nullptr && !IsA(plan, MergeAppend))
    plan = IsA(plan, SubqueryScan) ? reinterpret_cast<const SubqueryScan *>(plan)->subplan : outerPlan(plan);
  return plan != nullptr;
}

}  // namespace

[[gnu::hot]] bool plan_touches_protected(const PlannedStmt *plan) {
  for (const auto *entry : list_of<const RangeTblEntry>(plan->rtable)) {
    if (entry->rtekind == RTE_RELATION || entry->rtekind == RTE_NAMEDTUPLESTORE) {
      if (protected_relation(entry->relid) != nullptr) return true;
    } else if (entry->rtekind == RTE_FUNCTION) {
      for (auto *each : list_of<RangeTblFunction>(entry->functions))
        if (holds_tokens(each->funcexpr)) return true;
    }
  }
  if (plan->planTree == nullptr) return false;
  for (const auto *target : list_of<const TargetEntry>(plan->planTree->targetlist))
    if (holds_tokens(reinterpret_cast<const Node *>(target->expr))) return true;
  return false;
}

std::uint32_t plan_columns(const PlanAnalysis *analysis, std::uint32_t mask) noexcept {
  std::uint32_t columns = 0;
  for (const int i : bits_of(mask)) {
    const Source &source = analysis->source[i];
    bool first = true;
    for (const int k : bits_of(columns)) first &= !analysis->source[k].is_copy_of(source);
    if (first) columns |= 1U << i;
  }
  return columns;
}

int plan_type(const PlanAnalysis *analysis, Oid token_type) noexcept {
  const Oid *end = analysis->type + analysis->types;
  const Oid *found = std::find(static_cast<const Oid *>(analysis->type), end, token_type);
  return found != end ? static_cast<int>(found - analysis->type) : -1;
}

bool plan_foresees(const PlanAnalysis *analysis, Oid function) noexcept {
  const Oid *end = analysis->foreseen_function + analysis->foreseen;
  return std::find(static_cast<const Oid *>(analysis->foreseen_function), end, function) != end;
}

PlanAnalysis *plan_analyze(PlannedStmt *plan, bool inject) {
  MemoryContext kept = GetMemoryChunkContext(plan);
  auto *analysis = static_cast<PlanAnalysis *>(MemoryContextAlloc(kept, sizeof(PlanAnalysis)));
  memset(static_cast<void *>(analysis), 0, offsetof(PlanAnalysis, source));
  PlanWalk walk = {};
  walk.plan = plan;
  walk.analysis = analysis;
  walk.inject = inject;
  walk.params = list_length(plan->paramExecTypes);
  walk.subplans = list_length(plan->subplans);
  walk.param = zeroed<ParamFacts>(walk.params);
  walk.subplan = zeroed<SubplanFacts>(walk.subplans + 1);
  walk.memory = CurrentMemoryContext;
  walk.relation = zeroed<RelationFacts>(list_length(plan->rtable) + 1);
  ListCell *cell = nullptr;
  for (const auto *child : list_of<const AppendRelInfo>(plan->appendRelations)) {
    if (rt_fetch(child->parent_relid, plan->rtable)->rtekind == RTE_RELATION)
      walk.relation[child->child_relid].child = child;
  }

  MemoryContext scratch[2] = {};
  // Without parameters, subplans, joins and merges nothing depends on what is further up, and one walk is exact.  A
  // table and its partitions are no join, nor is the row of a VALUES that is written to a table.
  if (has_values_in_params(plan) || walk.subplans > 0 || relations_joined(plan) > 1 || merges_parts(plan->planTree)) {
    // A walk still looks at rows that the one before has described, so two contexts take turns.
    for (MemoryContext &context : scratch)
      context = AllocSetContextCreate(walk.memory, "redoubt plan walk", ALLOCSET_DEFAULT_SIZES);
    do {
      if (walk.walks == kMaxWalks) elog(ERROR, "redoubt: plan analysis does not end");
      MemoryContext context = scratch[walk.walks++ % 2];
      MemoryContextReset(context);
      MemoryContextSwitchTo(context);
      walk.changed = false;
      walk_all(&walk);
      MemoryContextSwitchTo(walk.memory);
    } while (walk.changed || walk.walks < 2);
  }
  walk.last = true;
  analysis->unmetered = false;  // walks before this one did not know all that parameters hold
  const NodeFlow top = walk_all(&walk);
  describe_output(&walk, plan, top);
  describe_probes(&walk);
  analysis->foreseen = list_length(walk.foreseen);
  analysis->foreseen_function = zeroed<Oid>(analysis->foreseen, kept);
  foreach (cell, walk.foreseen) analysis->foreseen_function[foreach_current_index(cell)] = lfirst_oid(cell);
  for (int c = 0; c < analysis->columns; ++c)
    analysis->values += std::popcount(analysis->column[c].carries | analysis->column[c].flow.paid);
  analysis->beyond_count = is_beyond_count(*analysis);
  describe_types(analysis);
  for (MemoryContext context : scratch)
    if (context != nullptr) MemoryContextDelete(context);
  pfree(walk.relation);  // large where a table has many partitions
  return analysis;
}

}  // namespace redoubt::pg
