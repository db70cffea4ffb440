// plan_cache.cpp - see plan_cache.h.
//
// Invariant: an analysis that is kept describes the plan as it runs.  One that the planner hook made is kept where no
// meter was put in after it and no library is called after ours; it is dropped when any relation has changed since.
// An entry is in its slot's list from the moment that it is whole until the plan's memory goes, of which a reset
// callback tells.  So none outlives its plan, and a plan has one.
// Backend-local, no locks.
// Covered by test/metering and sql/reads.sql.
#include "pg/base/boundary.h"

#include "pg/base/delivery.h"
#include "pg/meter/plan_cache.h"
#include "pg/vault/vault_audit.h"

extern "C" {
static void plan_facts_forget(void *argument) {
  using namespace redoubt::pg;
  const auto *facts = static_cast<PlanFacts *>(argument);
  PlanFacts **link = plan_slot(facts->plan);
  while (*link != facts) link = &(*link)->next;
  *link = facts->next;
}
}

namespace redoubt::pg {
namespace {

PlanFacts *make(PlannedStmt *plan) {
  MemoryContext context = GetMemoryChunkContext(plan);
  auto *facts = static_cast<PlanFacts *>(MemoryContextAllocZero(context, sizeof(PlanFacts)));
  PlanFacts **slot = plan_slot(plan);
  facts->plan = plan;
  facts->tree = plan->planTree;
  facts->next = *slot;
  facts->forget.func = shielded<plan_facts_forget, WARNING>;
  facts->forget.arg = facts;
  MemoryContextRegisterResetCallback(context, &facts->forget);
  *slot = facts;
  return facts;
}

}  // namespace

[[gnu::hot]] PlanFacts *plan_facts_find_out(PlannedStmt *plan, PlanFacts *known) {
  const std::uint64_t reading = protected_generation;  // a change that arrives meanwhile makes this stale
  if (known != nullptr && known->tree != plan->planTree) {
    known->tree = plan->planTree;
    known->analysis = nullptr;
    known->shows_tokens = false;
  }
  // A column may have been labelled since the statement was planned; and partitions, or tables that a key cascades to,
  // may have changed since it was looked at, of which the server tells no plan.
  const bool writes = plan->commandType != CMD_SELECT || plan->hasModifyingCTE;
  if (known != nullptr && (known->from_planner || writes)) known->analysis = nullptr;
  const bool touches = (known != nullptr && known->analysis != nullptr) || plan_touches_protected(plan);
  const bool reads_vault = vault_watched(plan);
  const bool shows_tokens = (known != nullptr && known->shows_tokens) || delivery_shows_tokens(plan);
  PlanFacts *const facts = known != nullptr ? known : make(plan);
  facts->touches = touches;
  facts->reads_vault = reads_vault;
  facts->shows_tokens = shows_tokens;
  facts->from_planner = false;
  facts->generation = reading;
  return facts;
}

void plan_facts_analyzed(PlanFacts *facts, const PlanAnalysis *analysis) {
  if (analysis->unmetered || facts->generation != protected_generation) return;
  facts->analysis = analysis;
  facts->from_planner = true;
}

const PlanAnalysis *plan_analysis(PlanFacts *facts) {
  if (facts->analysis != nullptr || !facts->touches) return facts->analysis;
  MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "redoubt plan analysis", ALLOCSET_SMALL_SIZES);
  MemoryContext old = MemoryContextSwitchTo(scratch);
  facts->analysis = plan_analyze(facts->plan, false);
  MemoryContextSwitchTo(old);
  MemoryContextDelete(scratch);
  return facts->analysis;
}

}  // namespace redoubt::pg
