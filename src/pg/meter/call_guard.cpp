// call_guard.cpp - see call_guard.h.
//
// Invariant: in_function is true exactly while a call of an untrusted function of the guard's own plan is on the stack.
// Backend-local, no locks.  Covered by sql/unknown_code.sql.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/settings.h"
#include "pg/meter/call_guard.h"
#include "pg/protect/function_trust.h"
#include "pg/protect/table_code.h"

namespace redoubt::pg {
namespace {

constinit needs_fmgr_hook_type prev_needs_fmgr = nullptr;
constinit fmgr_hook_type prev_fmgr = nullptr;

// Does standing code of a table that the statement writes call it?  A check of one that is not protected may call
// anything, as what is written there has been paid for.
bool belongs_to_written_table(const PlannedStmt *plan, Oid function) {
  for (const int rti : ints_of(plan->resultRelations))
    if (table_calls(rt_fetch(static_cast<Index>(rti), plan->rtable)->relid, function)) return true;
  return false;
}

// What is kept for a call where another library listens, too.
struct Call {
  CallGuard *guard;
  Datum theirs;
};

// The call is over.  A guard that is gone already was passed by an error.
void leave(const CallGuard *left) noexcept {
  for (CallGuard *guard = call_guard_innermost; guard != nullptr; guard = guard->parent)
    if (guard == left) guard->in_function = false;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
[[gnu::hot]] static bool redoubt_needs_fmgr_hook(Oid function) {
  using namespace redoubt::pg;
  if (prev_needs_fmgr != nullptr && prev_needs_fmgr(function)) return true;
  // Also of one that is trusted: it is looked at whenever it is called whether it still is.
  return call_guard_watches() && function >= FirstNormalObjectId && !function_is_in_c(function);
}

static void redoubt_fmgr(FmgrHookEventType event, FmgrInfo *info, Datum *kept) {
  using namespace redoubt::pg;
  Call *call = nullptr;
  if (prev_fmgr != nullptr) {
    if (event == FHET_START) *kept = PointerGetDatum(MemoryContextAllocZero(info->fn_mcxt, sizeof(Call)));
    call = reinterpret_cast<Call *>(DatumGetPointer(*kept));
    prev_fmgr(event, info, &call->theirs);
  }
  if (event == FHET_START) {
    CallGuard *const guard =
        call_guard_watches() && !function_is_trusted(info->fn_oid) ? call_guard_innermost : nullptr;
    if (guard != nullptr) {
      if (info->fn_expr != nullptr) call_guard_check(info->fn_oid);  // no trigger or the like, which no plan foresees
      guard->in_function = true;
    }
    if (call != nullptr)
      call->guard = guard;
    else
      *kept = PointerGetDatum(guard);
  } else {
    leave(call != nullptr ? call->guard : reinterpret_cast<CallGuard *>(DatumGetPointer(*kept)));
  }
}
}

namespace redoubt::pg {

void call_guard_check(Oid function) {
  if (function < FirstNormalObjectId || !call_guard_watches() || function_is_trusted(function)) return;
  const CallGuard *guard = call_guard_innermost;
  if (!enforcing() || plan_foresees(guard->analysis, function)) return;
  if (function_is_in_c(function) || belongs_to_written_table(guard->plan, function)) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("function %s is not trusted with protected values, and was not foreseen when the statement was "
                  "planned",
                  format_procedure(function)),
           errhint("A domain or type that the statement uses may have changed; run it again, or have a member of "
                   "redoubt_admin label the function as trusted.")));
}

void call_guard_install() {
  prev_needs_fmgr = needs_fmgr_hook;
  needs_fmgr_hook = shielded<redoubt_needs_fmgr_hook>;
  prev_fmgr = fmgr_hook;
  fmgr_hook = shielded<redoubt_fmgr>;
}

}  // namespace redoubt::pg
