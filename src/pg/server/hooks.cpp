// hooks.cpp - saves, chains and dispatches; every decision is elsewhere.
//
// What every statement passes is marked hot: the linker puts it together, here and elsewhere, so that it costs few
// lines of cache and few pages.
//
// Plain data only: no object with a destructor may be alive while the previous
// hook or the standard executor runs, because either may longjmp.
// Invariant: each hook leaves the frame stack as it found it, errors included.
// Covered by sql/reveal.sql, sql/no_reveal.sql and test/metering; what it costs, by test/bench/hook.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/ddl/ddl_command.h"
#include "pg/ddl/protection.h"
#include "pg/meter/deferred_errors.h"
#include "pg/base/delivery.h"
#include "pg/protect/counters.h"
#include "pg/protect/table_code.h"
#include "pg/reveal/disclosure.h"
#include "pg/meter/explain.h"
#include "pg/reveal/authors.h"
#include "pg/reveal/gate.h"
#include "pg/limits/lease.h"
#include "pg/limits/limits.h"
#include "pg/meter/call_guard.h"
#include "pg/meter/meter_function.h"
#include "pg/meter/query_meter.h"
#include "pg/server/hooks.h"
#include "pg/limits/limit_statement.h"
#include "pg/base/log_guard.h"
#include "pg/base/node_session.h"
#include "pg/base/parser_errors.h"
#include "pg/meter/plan_cache.h"
#include "pg/meter/planner_hooks.h"
#include "pg/plan/inlined.h"
#include "pg/plan/out_of_sight.h"
#include "pg/plan/pending_values.h"
#include "pg/meter/read_meter.h"
#include "pg/base/settings.h"
#include "pg/server/utility.h"
#include "pg/types/token_family.h"
#include "pg/vault/vault_store.h"
#include "pg/vault/vault_audit.h"

namespace redoubt::pg {
namespace {

constinit planner_hook_type prev_planner = nullptr;
constinit planner_hook_type own_planner = nullptr;  // no other library comes after it, where it is planner_hook
constinit ExecutorStart_hook_type own_start = nullptr;
constinit object_access_hook_type prev_object_access = nullptr;
constinit ExecutorStart_hook_type prev_start = nullptr;
constinit ExecutorRun_hook_type prev_run = nullptr;
constinit ExecutorFinish_hook_type prev_finish = nullptr;
constinit ExecutorEnd_hook_type prev_end = nullptr;
constinit ProcessUtility_hook_type prev_utility = nullptr;
constinit ExecutorCheckPerms_hook_type prev_check_perms = nullptr;

// Executors that are being started: the permissions checked there are a plan's.
constinit int starting = 0;

// Runs of plans that read protected values.  Where a scan of a large table has stopped, the next one of that table
// begins, whoever asks for it: that would tell how far a subquery was read.
constinit int unsynchronized = 0;

// An error passes every frame on its way out; it is looked at once.
constinit bool error_observed = false;

ErrorData *observe_error() {
  if (error_observed) return nullptr;
  error_observed = true;
  return gate_refusal();
}

// A CREATE TABLE AS or REFRESH must not have workers that reveal: they cannot
// know where their rows go.  Nor can they know, in a SECURITY DEFINER function,
// who set redoubt.reveal, nor, in a query that a view's or policy's code runs, whose code that is.  (execute_once does
// not keep workers away: the minor releases of December 2024 and later ignore it there.)
bool needs_serial(const DeliveryFrame *frame) {
  return setting_reveal != static_cast<int>(Reveal::token) && !IsParallelWorker() &&
         (frame->veto || InLocalUserIdChange() || authors_any(frame->parent));
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool redoubt_check_synchronize_seqscans(bool *, void **, GucSource) {
  if (redoubt::pg::unsynchronized == 0) return true;
  GUC_check_errdetail("A statement that reads protected values is running.");
  return false;
}

// Constants are folded here, for a plan that may be kept and write to a table.
[[gnu::hot]] static PlannedStmt *redoubt_planner(Query *query, const char *text, int options,
                                                 ParamListInfo parameters) {
  using namespace redoubt::pg;
  DeliveryFrame frame = delivery_frame_veto();
  PlannedStmt *volatile plan = nullptr;
  const int allowed = planner_begin(query, options);
  const bool of_node = node_session() && IsTransactionState() && !calls_untrusted(query, true);
  const bool planning = inlining_guard();
  delivery_push(&frame);
  PG_TRY();
  {
    plan = shield([=] {
      return prev_planner != nullptr ? planner_beside(query, {prev_planner, text, allowed, parameters})
                                     : standard_planner(query, text, allowed, parameters);
    });
  }
  PG_FINALLY();
  {
    delivery_pop(&frame);
    inlining_restore(planning);
  }
  PG_END_TRY();
  protection_add_arbiters(plan);
  if (of_node) plan->jitFlags |= kNodeStatement;
  planner_end(plan, planner_hook == own_planner && ExecutorStart_hook == own_start);
  return plan;
}

// Called for each function when an expression is made ready, so for those of a plan in ExecutorStart.
[[gnu::hot]] static void redoubt_object_access(ObjectAccessType access, Oid class_id, Oid object, int column,
                                               void *argument) {
  using namespace redoubt::pg;
  if (prev_object_access != nullptr) prev_object_access(access, class_id, object, column, argument);
  if (access == OAT_DROP) {
    token_family_drop(class_id, object);
    protection_forget(class_id, object);
  }
  if (access != OAT_FUNCTION_EXECUTE) return ddl_object_access(access, class_id, object, column, argument);
  delivery_note_function(object);
  if (InSecurityRestrictedOperation()) limits_note_owner();
  call_guard_check(object);
  counters_check(object);
  if (ddl_is_maintenance(object)) ddl_maintenance_called(starting > 0);
  if (ddl_command != nullptr && ddl_command->only_trusted) ddl_function_called(object);
}

// Called by the executor for each plan, and by COPY for the table that it opened.
[[gnu::hot]] static bool redoubt_ExecutorCheckPerms(REDOUBT_PERMISSION_PARAMETERS) {
  using namespace redoubt::pg;
  if (starting == 0 && ddl_command != nullptr && IsA(ddl_command->statement, CopyStmt)) utility_copy_opens(tables);
  return prev_check_perms == nullptr || prev_check_perms(REDOUBT_PERMISSION_ARGUMENTS);
}

[[gnu::hot]] static void redoubt_ExecutorStart(QueryDesc *query, int eflags) {
  using namespace redoubt::pg;
  error_observed = false;
  const int starting_before = starting;
  delivery_set_ending(false);  // an error may have come between the end of a query and its ExecutorEnd
  CallGuard guard;
  CallGuard *const guarded = call_guard_innermost;
  ErrorData *volatile refusal = nullptr;
  node_statement_outside = delivery_outermost() && starting == 0 && is_node_statement(query->plannedstmt);
  PG_TRY();
  {
    shield([=, &guard] {
      PlanFacts *const facts = plan_facts(query->plannedstmt);
      const bool own = vault_own_query && vault_is_own(query->plannedstmt);
      const bool around = delivery_calls_definition;
      delivery_calls_definition = false;
      call_guard_push(&guard, facts);
      ++starting;
      (prev_start ? prev_start : standard_ExecutorStart)(query, eflags);
      --starting;
      call_guard_pop(&guard);
      if (facts->reads_vault && !own) vault_audit_query(query, eflags);  // who may not has been refused
      facts->shows_tokens |= delivery_calls_definition;
      delivery_calls_definition |= around;
      if (facts->touches) query_meter_start(query, facts, eflags);
      node_statement_outside = false;
    });
  }
  PG_CATCH();
  {
    node_statement_outside = false;
    call_guard_innermost = guarded;
    starting = starting_before;
    refusal = observe_error();
    if (refusal == nullptr) PG_RE_THROW();
  }
  PG_END_TRY();
  if (refusal != nullptr) gate_refused(refusal, query->plannedstmt);
}

[[gnu::hot]] static void redoubt_ExecutorRun(REDOUBT_RUN_PARAMETERS) {
  using namespace redoubt::pg;
  PlannedStmt *const plan = query->plannedstmt;
  const bool outermost = delivery_outermost();
  PlanFacts *const facts = plan_facts(plan);
  DeliveryFrame frame = delivery_frame_query(query, facts->shows_tokens);
  ReadMeter meter;
  error_observed = false;
  node_statement_outside = false;  // an error may have left it
  if (plan->parallelModeNeeded || limit_statement_unbound()) limit_statement_load();
  if (plan->parallelModeNeeded) disclosure_give_back_all();
  const bool metered = read_meter_attach(&meter, query, &frame);
  // The plan may be a cached one: what is changed here is put back.
  const bool parallel = plan->parallelModeNeeded;
  if (parallel && needs_serial(&frame)) plan->parallelModeNeeded = false;
  const bool synchronized = std::exchange(synchronize_seqscans, synchronize_seqscans && !facts->touches);
  const int unsynchronized_before = std::exchange(unsynchronized, unsynchronized + (facts->touches ? 1 : 0));
  delivery_push(&frame);
  CallGuard guard;
  call_guard_push(&guard, facts);
  ErrorData *volatile refusal = nullptr;
  PG_TRY();
  {
    shield([=] { (prev_run ? prev_run : standard_ExecutorRun)(REDOUBT_RUN_ARGUMENTS); });
  }
  PG_CATCH();
  {
    call_guard_pop(&guard);
    delivery_pop(&frame);
    plan->parallelModeNeeded = parallel;
    synchronize_seqscans = synchronized;
    unsynchronized = unsynchronized_before;
    if (metered) read_meter_detach(&meter, query);
    query_meter_error(query);
    ddl_maintenance_error();
    refusal = observe_error();
    if (refusal == nullptr) PG_RE_THROW();
  }
  PG_END_TRY();
  if (refusal != nullptr) gate_refused(refusal, nullptr);
  call_guard_pop(&guard);
  delivery_pop(&frame);
  plan->parallelModeNeeded = parallel;
  synchronize_seqscans = synchronized;
  unsynchronized = unsynchronized_before;
  if (metered) {
    read_meter_detach(&meter, query);
    if (meter.query != nullptr) {
      node_statement_outside = outermost && is_node_statement(plan);
      query_meter_finish(meter.query, query);
      node_statement_outside = false;
      const CommandDest dest = query->dest->mydest;
      if (dest == DestIntoRel || dest == DestTransientRel) ddl_command_filled(meter.query->analysis);
    }
  }
  if (outermost) disclosure_flush();
}

// AFTER triggers run here: what they evaluate never goes to the reader.  A query that only reads
// evaluates nothing, and needs no frame where no other extension listens.
[[gnu::hot]] static void redoubt_ExecutorFinish(QueryDesc *query) {
  using namespace redoubt::pg;
  if (prev_finish == nullptr && query->operation == CMD_SELECT && !query->plannedstmt->hasModifyingCTE) {
    standard_ExecutorFinish(query);
    delivery_set_ending(true);
    return;
  }
  const bool outermost = delivery_outermost();
  DeliveryFrame frame = delivery_frame_veto();
  delivery_push(&frame);
  CallGuard guard;
  call_guard_push(&guard, plan_facts(query->plannedstmt));
  PG_TRY();
  {
    shield([=] { (prev_finish ? prev_finish : standard_ExecutorFinish)(query); });
  }
  PG_CATCH();
  {
    call_guard_pop(&guard);
    delivery_pop(&frame);
    query_meter_error(query);
    PG_RE_THROW();
  }
  PG_END_TRY();
  call_guard_pop(&guard);
  delivery_pop(&frame);
  deferred_errors_note(query->plannedstmt);
  if (outermost) disclosure_flush();
  delivery_set_ending(true);
}

// The same for what listens to the end of a query.  Without that, nothing is evaluated here.
[[gnu::hot]] static void redoubt_ExecutorEnd(QueryDesc *query) {
  using namespace redoubt::pg;
  explain_query_end(query);
  if (prev_end == nullptr) {
    standard_ExecutorEnd(query);
    delivery_set_ending(false);
    return;
  }
  DeliveryFrame frame = delivery_frame_veto();
  delivery_push(&frame);
  PG_TRY();
  {
    shield([=] { prev_end(query); });
  }
  PG_FINALLY();
  {
    delivery_pop(&frame);
    delivery_set_ending(false);
  }
  PG_END_TRY();
}

static void redoubt_ProcessUtility(PlannedStmt *statement, const char *text, bool read_only_tree,
                                   ProcessUtilityContext context, ParamListInfo parameters,
                                   QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion) {
  using namespace redoubt::pg;
  const bool outermost = delivery_outermost();
  DeliveryFrame frame = delivery_frame_utility(statement->utilityStmt);
  error_observed = false;
  delivery_set_ending(false);
  pending_values_refuse(statement->utilityStmt, parameters);
  UtilityCommand command;
  utility_begin(&command, statement, &read_only_tree);
  const int starting_before = starting;
  starting = 0;
  delivery_push(&frame);
  ErrorData *volatile refusal = nullptr;
  PG_TRY();
  {
    shield([&] {
      (prev_utility ? prev_utility : standard_ProcessUtility)(command.statement, text, read_only_tree, context,
                                                              parameters, environment, dest, completion);
    });
  }
  PG_CATCH();
  {
    delivery_pop(&frame);
    starting = starting_before;
    utility_error(&command);
    refusal = observe_error();
    if (refusal == nullptr) PG_RE_THROW();
  }
  PG_END_TRY();
  if (refusal != nullptr) gate_refused(refusal, nullptr);
  delivery_pop(&frame);
  starting = starting_before;
  utility_end(&command);
  if (outermost) disclosure_flush();
}
}

namespace redoubt::pg {

void hooks_install() {
  prev_planner = planner_hook;
  planner_hook = own_planner = shielded<redoubt_planner>;
  prev_object_access = object_access_hook;
  object_access_hook = shielded<redoubt_object_access>;
  prev_check_perms = ExecutorCheckPerms_hook;
  ExecutorCheckPerms_hook = shielded<redoubt_ExecutorCheckPerms>;
  prev_start = ExecutorStart_hook;
  ExecutorStart_hook = own_start = shielded<redoubt_ExecutorStart>;
  prev_run = ExecutorRun_hook;
  ExecutorRun_hook = shielded<redoubt_ExecutorRun>;
  prev_finish = ExecutorFinish_hook;
  ExecutorFinish_hook = shielded<redoubt_ExecutorFinish>;
  prev_end = ExecutorEnd_hook;
  ExecutorEnd_hook = shielded<redoubt_ExecutorEnd>;
  prev_utility = ProcessUtility_hook;
  ProcessUtility_hook = shielded<redoubt_ProcessUtility>;
  if (config_generic *setting = compat_find_setting("synchronize_seqscans"); setting != nullptr)
    reinterpret_cast<config_bool *>(setting)->check_hook = shielded<redoubt_check_synchronize_seqscans>;
  call_guard_install();
  leases_register(disclosure_give_back);
  leases_register(query_meters_give_back);
  leases_register(meters_give_back);
  planner_hooks_install();
  inlined_install();
  explain_install();
  log_guard_install();
  node_session_install();
  parser_errors_install();
}

}  // namespace redoubt::pg
