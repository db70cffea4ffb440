// call_guard.h - the second guard against unknown code: no function runs that the plan did not foresee.
//
// The analysis puts a meter before every function of a plan that is not trusted, and notes which those are.  What
// happens after it (a domain that is given a CHECK, a type that is given another field) may still bring an expression
// to run that nobody looked at.  PostgreSQL tells the object-access hook of every function that an expression is about
// to run; while a statement is reading protected values, one that is neither trusted nor foreseen is refused.
//
// What a foreseen function runs itself is its own business: it has been given only what was paid for.  fmgr's hook says
// when one is entered and left.  It also says when one is called that was trusted and may not be any more, as under a
// cursor that stays open.  Functions in C are not refused, because only a superuser can make them.
#ifndef REDOUBT_PG_METER_CALL_GUARD_H
#define REDOUBT_PG_METER_CALL_GUARD_H

#include "pg/meter/plan_cache.h"

namespace redoubt::pg {

// An executor call in progress.  Lives on the hook's C stack.
struct CallGuard {
  CallGuard *parent;
  const PlannedStmt *plan;
  const PlanAnalysis *analysis;  // null: nothing protected is read
  bool in_function;              // a function of the plan that is not trusted is running
};

inline constinit CallGuard *call_guard_innermost = nullptr;

inline void call_guard_push(CallGuard *guard, PlanFacts *facts) {
  *guard = {call_guard_innermost, facts->plan, facts->touches ? plan_analysis(facts) : nullptr, false};
  call_guard_innermost = guard;
}
inline void call_guard_pop(const CallGuard *guard) noexcept { call_guard_innermost = guard->parent; }

// Is a statement reading protected values, and not inside a function that may do as it likes?
inline bool call_guard_watches() noexcept {
  const CallGuard *guard = call_guard_innermost;
  return guard != nullptr && guard->analysis != nullptr && guard->analysis->sources > 0 && !guard->in_function;
}

// call_guard_check is told of a function that an expression is about to run.  Raises 42501 where it must not.
void call_guard_check(Oid function);

// Chains fmgr's hooks.  Call while preloading.
void call_guard_install();

}  // namespace redoubt::pg
#endif
