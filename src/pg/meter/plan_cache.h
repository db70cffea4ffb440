// plan_cache.h - what the hooks have to know of a plan each time it runs, found out once.
//
// Kept beside the plan, in its memory, so whatever makes the server plan a statement anew drops it; and looked at
// again after any relation has changed, because a plan that reads nothing protected may do so from then on.
//
// The planner hook analyses each plan to put meters in.  Where none was due and nobody else may change the plan before
// it runs, that analysis describes the plan as it is, and is kept: a statement planned and run once is analysed once.
#ifndef REDOUBT_PG_METER_PLAN_CACHE_H
#define REDOUBT_PG_METER_PLAN_CACHE_H

#include "pg/plan/analysis.h"
#include "pg/protect/protected_columns.h"

namespace redoubt::pg {

struct PlanFacts {
  PlannedStmt *plan;
  const Plan *tree;              // of the plan: another one at the same place is another plan
  PlanFacts *next;               // in the same slot
  std::uint64_t generation;      // protected_generation when this was found out
  const PlanAnalysis *analysis;  // null until asked for
  bool from_planner;             // the analysis was made before the plan first ran
  bool touches;                  // plan_touches_protected
  bool reads_vault;              // or writes it
  bool shows_tokens;             // delivery_shows_tokens, or calls what prints definitions
  MemoryContextCallback forget;
};

constexpr Size kPlanSlots = 1024;
inline constinit PlanFacts *plan_slots[kPlanSlots] = {};

inline PlanFacts **plan_slot(const PlannedStmt *plan) noexcept {
  constexpr int kBits = 10;
  static_assert(kPlanSlots == 1ULL << kBits);
  return &plan_slots[(reinterpret_cast<std::uintptr_t>(plan) >> 6) * 0x9E3779B97F4A7C15ULL >> (64 - kBits)];
}

// Finds out what is not known, or not any more; `known` may be null.
PlanFacts *plan_facts_find_out(PlannedStmt *plan, PlanFacts *known);

// plan_facts never returns null.  The result lives as long as the plan.
inline PlanFacts *plan_facts(PlannedStmt *plan) {
  PlanFacts *facts = *plan_slot(plan);
  while (facts != nullptr && facts->plan != plan) facts = facts->next;
  if (facts != nullptr && facts->tree == plan->planTree && facts->generation == protected_generation) [[likely]]
    return facts;
  return plan_facts_find_out(plan, facts);
}

// plan_facts_analyzed keeps what plan_analyze, called with `inject` in the plan's memory context, found out of the
// finished plan.  Call only where the plan runs as it is.
void plan_facts_analyzed(PlanFacts *facts, const PlanAnalysis *analysis);

// plan_analysis returns the analysis of a plan, null for one that does not touch anything protected.
const PlanAnalysis *plan_analysis(PlanFacts *facts);

}  // namespace redoubt::pg
#endif
