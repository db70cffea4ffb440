// call_guard.cpp - see call_guard.h.
//
// Invariant: in_function is true exactly while a call of an untrusted function of the guard's own plan is on the stack.
// Backend-local, no locks.  Covered by sql/unknown_code.sql.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/settings.h"
#include "pg/meter/call_guard.h"
#include "pg/protect/function_trust.h"

extern "C" {
#include "catalog/pg_language_d.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/partcache.h"
}

namespace redoubt::pg {
namespace {

constinit needs_fmgr_hook_type prev_needs_fmgr = nullptr;
constinit fmgr_hook_type prev_fmgr = nullptr;

bool is_in_c(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return false;
  const Oid language = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang;
  ReleaseSysCache(tuple);
  return language == ClanguageId || language == INTERNALlanguageId;
}

bool calls(Node *expression, Oid function);

bool table_calls(Relation relation, Oid function) {
  bool found =
      relation->rd_rel->relispartition && calls(reinterpret_cast<Node *>(RelationGetPartitionQual(relation)), function);
  const TupleConstr *constraints = RelationGetDescr(relation)->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; ++i)
    found |= calls(static_cast<Node *>(stringToNode(constraints->check[i].ccbin)), function);
  for (int i = 1; compat_has_generated(constraints) && i <= RelationGetNumberOfAttributes(relation); ++i)
    if (TupleDescAttr(RelationGetDescr(relation), i - 1)->attgenerated != '\0')
      found |= calls(build_column_default(relation, i), function);
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i)
    if (triggers->triggers[i].tgqual != nullptr)
      found |= calls(static_cast<Node *>(stringToNode(triggers->triggers[i].tgqual)), function);
  if (const PartitionKey key = RelationGetPartitionKey(relation); key != nullptr)
    found |= calls(reinterpret_cast<Node *>(key->partexprs), function);
  ListCell *cell = nullptr;
  const List *indexes = RelationGetIndexList(relation);
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    found |= calls(reinterpret_cast<Node *>(RelationGetIndexExpressions(index)), function) ||
             calls(reinterpret_cast<Node *>(RelationGetIndexPredicate(index)), function);
    index_close(index, AccessShareLock);
  }
  return found;
}

// Does standing code of a table that the statement writes call it?  A check of one that is not protected may call
// anything, as what is written there has been paid for.
bool belongs_to_written_table(const PlannedStmt *plan, Oid function) {
  bool found = false;
  ListCell *cell = nullptr;
  foreach (cell, plan->resultRelations) {
    ListCell *table = nullptr;
    const List *tables = find_all_inheritors(rt_fetch(static_cast<Index>(lfirst_int(cell)), plan->rtable)->relid,
                                             AccessShareLock, nullptr);
    foreach (table, tables) {
      Relation relation = try_relation_open(lfirst_oid(table), NoLock);
      if (relation == nullptr) continue;
      found |= table_calls(relation, function);
      relation_close(relation, NoLock);
    }
  }
  return found;
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
  return call_guard_watches() && function >= FirstNormalObjectId && !function_is_trusted(function);
}

static bool call_guard_is(Oid function, void *wanted) { return function == *static_cast<Oid *>(wanted); }
static bool call_guard_walker(Node *node, void *wanted) {
  if (node == nullptr) return false;
  return check_functions_in_node(node, call_guard_is, wanted) ||
         expression_tree_walker(node, redoubt::pg::tree_walker(call_guard_walker), wanted);
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
    if (guard != nullptr) guard->in_function = true;
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
namespace {
bool calls(Node *expression, Oid function) { return call_guard_walker(expression, &function); }
}  // namespace
}  // namespace redoubt::pg

namespace redoubt::pg {

void call_guard_check(Oid function) {
  if (function < FirstNormalObjectId || !call_guard_watches() || function_is_trusted(function)) return;
  const CallGuard *guard = call_guard_innermost;
  if (setting_mode != static_cast<int>(Mode::enforce) || plan_foresees(guard->analysis, function)) return;
  if (is_in_c(function) || belongs_to_written_table(guard->plan, function)) return;
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
