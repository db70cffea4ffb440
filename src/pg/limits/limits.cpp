// limits.cpp - charges values: from "about to leave" to "accounted for", or refused.
//
// With a warm binding a charge is one atomic addition, plus one clock reading and one
// compare-and-swap per limit that applies.
//
// Not here: which limits apply (limit_bindings), what one of them admits (limit_window), the tables
// (limits_shmem.cpp), the arithmetic (core/gcra).
//
// Invariant: no value is granted that any applying throttle or block rule has not
// admitted at that moment.  All rules are charged or none; when a rule refuses after
// another was charged, the charge is undone, so a concurrent session can be refused
// too early by a race, never admitted too much.  Where redoubt.budget_server is set, no value is granted that the
// server there has not lent (borrow.h): that comes beside the rules, in the place of none.
//
// Locks: none is held here, in particular not while sleeping or writing to the audit
// trail.  All frames hold plain data only, so an ERROR may jump over them.
// Covered by sql/limits.sql, test/isolation and test/tap.
#include "pg/base/boundary.h"

#include "pg/audit/audit_refusal.h"
#include "pg/limits/borrow.h"
#include "pg/limits/lease.h"
#include "pg/limits/limit_bindings.h"
#include "pg/limits/limit_clock.h"
#include "pg/limits/limit_rules.h"
#include "pg/limits/throttled_sessions.h"
#include "pg/limits/limit_statement.h"
#include "pg/limits/limit_window.h"
#include "pg/limits/limits.h"
#include "pg/base/node_session.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"

extern "C" {
#include "storage/pmsignal.h"
}

namespace redoubt::pg {
namespace {

// One call of limits_lease or limits_charge.
struct Charge {
  Oid subject;
  Oid type;
  Operation operation;
  bool may_degrade;        // a degrade rule ends it without an error
  uint32 done;             // values charged by earlier rounds, undone if this one is blocked
  TimestampTz began;       // time of the first round
  TimestampTz charged_at;  // time of the first that charged any
  TimestampTz asked_at;    // time at which values to borrow were first asked for; 0: they came since
};

// Why one round was refused.  Of blocking rules a degrading one comes last.
struct Refusal {
  BoundRule *blocking;    // the rule that ends the statement, if any
  BoundRule *throttling;  // else the one that asks for the longest sleep, if any
  uint64 wait_ns;         // until every refusing rule admits; kGcraNever
};

constexpr uint64 kNsPerMs = 1'000'000;
constexpr int64 kLongestAskingUs = 30 * USECS_PER_SEC;
constexpr long kLongestNapMs = 1000;  // so that a sleeper hears of changed rules within a second

// Time slept in the current statement, whatever it was charged for: a sleeper
// holds the statement's snapshot and locks, so this is what max_delay bounds.
struct State {
  TimestampTz statement;
  uint64 slept_ns;
  Oid owner;  // whose code ran last in others' maintenance, in the statement that began then
  TimestampTz maintained;
};
constinit State state = {};

// What a statement of another node reads is charged by the node that delivers it.
bool charged_elsewhere(Operation op) noexcept {
  return (op == Operation::read || op == Operation::probe) && node_statement();
}

// So much without a charge: nothing is given back of it.
constexpr TimestampTz kLeasedFree = DT_NOEND;
uint32 lease_free(uint32 want, TimestampTz *leased_at) noexcept {
  if (leased_at != nullptr) *leased_at = kLeasedFree;
  return want;
}

// ---- mode

bool learning() noexcept { return setting_mode == static_cast<int>(Mode::learn); }

// True of a rule that charges but refuses nothing, by itself or because redoubt.mode is observe.
bool only_logs(const BoundRule &rule) noexcept {
  return rule.on_excess == OnExcess::log || setting_mode == static_cast<int>(Mode::observe);
}

// ---- audit and errors

// Writes the rule's event to the audit trail: a refusal counts each time, all else is told once per statement.
void notice(const Binding *binding, BoundRule *rule, Notice what, int64 count) {
  const TimestampTz statement = GetCurrentStatementStartTimestamp();
  if (what != kBlocked && rule->noticed[what] == statement) return;
  constexpr const char *kEvents[kNotices] = {"limit exceeded", "throttle", "degrade", "block", "suspend"};
  char rate[128];
  char detail[192 + 2 * NAMEDATALEN];
  rate_describe(rule->rate, rate, sizeof rate);
  const bool observed = what == kExceeded && rule->on_excess != OnExcess::log;
  const char *const role = binding->key.lent != 0 ? GetUserNameFromId(binding->key.subject, true) : nullptr;
  snprintf(detail, sizeof detail, "%s%s%slimit " INT64_FORMAT ": %s%s%s", role != nullptr ? "of role " : "",
           role != nullptr ? role : "", role != nullptr ? ", " : "", rule->id, rate,
           observed ? "; observed, else " : "", observed ? on_excess_name(rule->on_excess) : "");
  AuditEvent event;
  event.event = kEvents[what];
  event.outcome = what >= kBlocked ? "denied" : "success";
  event.token_type = binding->key.type;
  event.operation = operation_name(static_cast<Operation>(binding->key.operation));
  event.count = count;
  event.detail = detail;
  if (what == kBlocked) return audit_refused(event);
  audit_write(event);
  rule->noticed[what] = statement;
}

bool is_suspended(const BoundRule *rule) noexcept {
  return rule->on_excess == OnExcess::suspend && pg_atomic_read_u64(&rule->bucket->suspended) != 0;
}

[[noreturn]] void raise_blocked(const Binding *binding, const Refusal &refusal, TimestampTz now, uint32 least) {
  const BoundRule *const rule = refusal.blocking;
  const char *const role = GetUserNameFromId(binding->key.subject, true);
  char rate[128];
  rate_describe(rule->rate, rate, sizeof rate);
  const bool never = refusal.wait_ns == kGcraNever;
  const bool suspended = is_suspended(rule);
  const char *const when =
      never || suspended || limit_per_statement(rule->rate)
          ? ""
          : timestamptz_to_str(limit_clock_wall(limit_timestamp(limit_time_ns(now) + refusal.wait_ns)));
  ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("limit on %s of %s exceeded for role \"%s\"",
                         operation_name(static_cast<Operation>(binding->key.operation)),
                         format_type_be_qualified(binding->key.type), role != nullptr ? role : "?"),
                  rule->on_excess == OnExcess::throttle
                      ? errdetail("At most %s; waiting would take longer than the limit allows.", rate)
                      : errdetail("At most %s.", rate),
                  suspended                         ? errhint("It suspends the role: see redoubt.lift_suspension().")
                  : limit_per_statement(rule->rate) ? errhint("Ask for fewer values in one statement.")
                  : never ? errhint("More than " UINT64_FORMAT " values at once are never allowed.", rule->rate.burst)
                  : least == 1 ? errhint("The next value is allowed at %s.", when)
                               : errhint("%u values at once are allowed at %s.", least, when),
                  // For programs: which type, and when to come back.
                  errdatatype(binding->key.type), *when != '\0' ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, when) : 0,
                  errhidestmt(true)));
  pg_unreachable();
}

// ---- suspension

// The rule that suspended the subject, if any.
BoundRule *find_suspension(const Binding *binding) noexcept {
  if (!binding->suspends || !enforcing()) return nullptr;
  for (BoundRule &rule : limit_binding_all(binding))
    if (is_suspended(&rule)) return &rule;
  return nullptr;
}

[[noreturn]] void raise_suspended(const Binding *binding, const BoundRule *rule) {
  const char *const role = GetUserNameFromId(binding->key.subject, true);
  const auto since = static_cast<TimestampTz>(pg_atomic_read_u64(&rule->bucket->suspended));
  ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("role \"%s\" is suspended from %s", role != nullptr ? role : "?",
                         format_type_be_qualified(binding->key.type)),
                  errdetail("It exceeded limit " INT64_FORMAT " at %s.", rule->id, timestamptz_to_str(since)),
                  errhint("A member of redoubt_admin lifts it with redoubt.lift_suspension()."), errhidestmt(true)));
  pg_unreachable();
}

// Suspends the subject for good.  A bucket shared for want of room suspends nobody: then the rule blocks.
void suspend(const Binding *binding, BoundRule *rule, TimestampTz now) {
  uint64 never = 0;
  if (rule->bucket->key.kind != BucketKind::own) return;
  if (!pg_atomic_compare_exchange_u64(&rule->bucket->suspended, &never, static_cast<uint64>(GetCurrentTimestamp())))
    return;
  suspensions_note();
  const char *const role = GetUserNameFromId(binding->key.subject, true);
  ereport(LOG, (errmsg("redoubt: role \"%s\" is suspended from %s", role != nullptr ? role : "?",
                       format_type_be_qualified(binding->key.type)),
                errdetail("It exceeded limit " INT64_FORMAT ".", rule->id), errhidestmt(true)));
  notice(binding, rule, kSuspended, -1);
}

// ---- buckets

// Of what a limit has left, a lease takes at most this part ahead of its first value.
constexpr uint64 kLeasedPart = 16;

// How many of `want` values every throttle and block rule admits now.  Any but a throttle
// rule counts as empty when it does not admit `least`.  A rule that only logs is not exceeded by what is leased ahead.
uint32 affordable(const Binding *binding, uint64 now, uint32 want, uint32 least) noexcept {
  uint64 n = want;
  for (const BoundRule &rule : limit_binding_charged(binding)) {
    const uint64 left = limit_window_left(rule, now);
    const uint64 ahead = std::max<uint64>(least, left / kLeasedPart);
    if (only_logs(rule)) {
      if (left > 0) n = std::min(n, ahead);
      continue;
    }
    if (rule.on_excess != OnExcess::throttle && left < least) return 0;
    n = std::min(n, std::min(left, ahead));
  }
  return static_cast<uint32>(n);
}

bool take(const BoundRule &rule, uint64 now, uint32 n) noexcept {
  if (!only_logs(rule)) return limit_window_take(rule, now, n);
  limit_window_force(rule, now, n);
  return true;
}

// Takes `n` from every rule, or from none.
bool take_all(const Binding *binding, uint64 now, uint32 n) noexcept {
  for (int i = 0; i < binding->rules; ++i) {
    if (take(binding->rule[i], now, n)) continue;
    while (--i >= 0) limit_window_give_back(binding->rule[i], n, 0);
    return false;
  }
  return true;
}

// ---- refusals

// Audits the rules that only log, where `n` values exceed them, before they are charged.
void notice_exceeded(const Binding *binding, uint64 now, uint32 n) {
  for (BoundRule &rule : limit_binding_charged(binding))
    if (only_logs(rule) && limit_window_left(rule, now) < n) notice(binding, &rule, kExceeded, -1);
}

// Which of two rules that end the statement it is blamed on: one that suspends, else one that blocks,
// else one that degrades; among equals the one with the longer wait.
bool comes_before(const BoundRule *rule, uint64 wait_ns, const BoundRule *other, uint64 other_wait_ns) noexcept {
  const auto rank = [](const BoundRule *of) {
    return of->on_excess == OnExcess::suspend ? 2 : of->on_excess == OnExcess::degrade ? 0 : 1;
  };
  if (other == nullptr || rank(rule) != rank(other)) return other == nullptr || rank(rule) > rank(other);
  return wait_ns > other_wait_ns;
}

// Of the longest delay that a limit allows, what the statement at hand has not slept yet.
uint64 patience(uint64 longest_ns) noexcept {
  if (state.statement != GetCurrentStatementStartTimestamp()) {
    state.statement = GetCurrentStatementStartTimestamp();
    state.slept_ns = 0;
  }
  return longest_ns > state.slept_ns ? longest_ns - state.slept_ns : 0;
}

Refusal find_refusal(const Binding *binding, uint64 now, uint32 least) noexcept {
  Refusal refusal = {};
  uint64 longest_block = 0;
  uint64 longest_sleep = 0;
  for (BoundRule &rule : limit_binding_charged(binding)) {
    if (only_logs(rule)) continue;
    const bool block = rule.on_excess != OnExcess::throttle;
    const uint64 wait_ns = limit_window_wait(rule, now, block ? least : 1);
    if (wait_ns == 0) continue;
    refusal.wait_ns = std::max(refusal.wait_ns, wait_ns);
    if (block || wait_ns > patience(rule.max_delay_ns)) {
      if (comes_before(&rule, wait_ns, refusal.blocking, longest_block)) {
        refusal.blocking = &rule;
        longest_block = wait_ns;
      }
    } else {
      if (wait_ns > longest_sleep) refusal.throttling = &rule;
      longest_sleep = std::max(longest_sleep, wait_ns);
    }
  }
  return refusal;
}

// Sleeps about `wait_ns`, less when woken; notes the time slept.  `rule`: of the limit, 0 where that is another
// server's.  A cancel, a statement timeout or a shutdown ends it with an error.
void nap(const Binding *binding, const Charge *charge, int64 rule, uint64 wait_ns) {
  const TimestampTz began = GetCurrentTimestamp();
  const TimestampTz lay_down = limit_clock_now();
  Sleeper sleeper = {};
  sleeper.subject = binding->key.subject;
  sleeper.type = binding->key.type;
  sleeper.operation = binding->key.operation;
  sleeper.rule = rule;
  sleeper.since = charge->began != 0 ? limit_clock_wall(charge->began) : began;
  sleeper.until = began + static_cast<int64>(wait_ns / 1000);
  throttled_session_begin(sleeper);
  const auto ms = static_cast<long>(std::min<uint64>((wait_ns + kNsPerMs - 1) / kNsPerMs, kLongestNapMs));
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, limit_wait_event());
  ResetLatch(MyLatch);
  throttled_session_end();
  AcceptInvalidationMessages();
  const int64 slept_us = std::max<int64>(limit_clock_now() - lay_down, 0);
  pg_atomic_fetch_add_u64(&binding->usage->delayed_us, slept_us);
  state.slept_ns += static_cast<uint64>(slept_us) * 1000;
  CHECK_FOR_INTERRUPTS();
}

// What earlier rounds have charged, before an error.
void undo(const Charge *charge) noexcept {
  limits_refund(charge->type, charge->operation, charge->done, charge->charged_at, charge->subject);
}

// Nothing could be granted: sleeps, or raises, or returns false where the charge is to be
// given up for a milder operation.
bool wait_or_raise(const Binding *binding, Charge *charge, TimestampTz now, uint32 least) {
  if (leases_give_back(charge->type, charge->operation)) return true;
  const Refusal refusal = find_refusal(binding, limit_time_ns(now), least);
  if (refusal.blocking != nullptr) {
    const OnExcess action = refusal.blocking->on_excess;
    undo(charge);
    if (action == OnExcess::degrade && charge->may_degrade) {
      notice(binding, refusal.blocking, kDegraded, -1);
      return false;
    }
    if (action == OnExcess::suspend) suspend(binding, refusal.blocking, now);
    notice(binding, refusal.blocking, kBlocked, least);
    raise_blocked(binding, refusal, now, least);
  }
  if (refusal.throttling == nullptr) return true;  // another session gave values back meanwhile
  notice(binding, refusal.throttling, kThrottled, -1);
  nap(binding, charge, refusal.throttling->id, refusal.wait_ns);
  return true;
}

// Too few values are lent: asks for more, sleeps, or raises, or returns false where the charge is to be given up for a
// milder operation.
[[gnu::cold, gnu::noinline]] bool borrow_or_raise(const Binding *binding, Charge *charge, uint32 least) {
  if (leases_give_back(charge->type, charge->operation)) return true;
  if (charge->asked_at == 0) charge->asked_at = limit_clock_now();
  BorrowAnswer answer = borrow(binding->usage, least);
  // What was lent may be void when it comes, or taken by others, but not for ever.
  if (answer.how == Borrowing::lent) {
    if (limit_clock_now() < charge->asked_at + kLongestAskingUs) return true;
    answer.how = Borrowing::failed;
  }
  charge->asked_at = 0;
  const uint64 wait_ns = borrow_wait_ns(answer);
  if (answer.how == Borrowing::refused && answer.on_excess == OnExcess::throttle &&
      wait_ns <= patience(answer.longest_ns)) {
    nap(binding, charge, 0, wait_ns);
    return true;
  }
  undo(charge);
  const bool failed = answer.how == Borrowing::failed;
  if (!failed && answer.on_excess == OnExcess::degrade && charge->may_degrade) return false;
  AuditEvent event;
  event.event = failed ? "lease" : "block";
  event.outcome = "denied";
  event.token_type = charge->type;
  event.operation = operation_name(charge->operation);
  event.count = least;
  event.detail = failed ? "the server of redoubt.budget_server does not lend" : "a limit of the server that lends";
  audit_refused(event);
  borrow_raise(binding->key, answer, wait_ns);
}

// Raises where the subject is suspended.
void require_not_suspended(const Binding *binding, Charge *charge) {
  BoundRule *const rule = find_suspension(binding);
  if (rule == nullptr) return;
  undo(charge);
  notice(binding, rule, kBlocked, -1);
  raise_suspended(binding, rule);
}

// Nobody saves what is charged after the postmaster's death.  Costs the reading of a flag.
void require_postmaster() {
  if (PostmasterIsAlive()) return;
  ereport(FATAL, (errcode(ERRCODE_ADMIN_SHUTDOWN), errmsg("terminating connection due to unexpected postmaster exit"),
                  errhidestmt(true)));
}

// Charges at least one and at most `want` values.  Block rules admit `least` at once or raise.
// Returns 0 where the charge is given up for a milder operation.
[[gnu::hot]] uint32 charge_some(Charge *charge, uint32 want, uint32 least, TimestampTz *leased_at) {
  while (true) {
    require_postmaster();
    Binding *const binding = limit_binding(charge->type, charge->operation, charge->subject);
    uint32 n = want;
    TimestampTz now = DT_NOBEGIN;  // charged to no bucket, so none gives anything back
    require_not_suspended(binding, charge);
    const bool limited = binding->rules > 0 && !learning();
    const bool borrowing = borrows();
    if (limited || borrowing) {
      now = limit_clock_now();
      if (charge->began == 0) charge->began = now;
    }
    if (limited) {
      limit_binding_load(binding);
      n = affordable(binding, limit_time_ns(now), want, least);
      if (n == 0) {
        if (!wait_or_raise(binding, charge, now, least)) return 0;
        continue;
      }
    }
    if (borrowing) {
      n = borrowed_take(binding->usage, std::min(n, least), n);
      if (n == 0) {
        if (!borrow_or_raise(binding, charge, std::min(want, least))) return 0;
        continue;
      }
    } else {
      binding->last_alone = now;
    }
    if (limited) {
      notice_exceeded(binding, limit_time_ns(now), n);
      if (!take_all(binding, limit_time_ns(now), n)) {  // another session was faster
        if (borrowing) borrowed_give_back(binding->usage, n, now);
        continue;
      }
    }
    charge->asked_at = 0;
    if (charge->charged_at == 0) charge->charged_at = now;
    binding->last_lease = now;
    binding->last_statement = limit_statement_generation();
    if (leased_at != nullptr) *leased_at = now;
    usage_add(binding->usage, n);
    return n;
  }
}

// Gives back `n` values that were charged at `leased_at` and not delivered.
void give_back(const Binding *binding, uint32 n, TimestampTz leased_at) noexcept {
  usage_give_back(binding->usage, n);
  if (leased_at > binding->last_alone && binding->key.lent == 0) borrowed_give_back(binding->usage, n, leased_at);
  // Other rules may apply now than did then; those charged keep the values.  So does a statement that is over.
  if (leased_at < binding->made_at) return;
  const auto elapsed_us = static_cast<uint64>(std::max<int64>(limit_clock_now() - leased_at, 0));
  const bool same_statement = binding->last_statement == limit_statement_generation();
  for (const BoundRule &rule : limit_binding_charged(binding))
    if (same_statement || !limit_per_statement(rule.rate)) limit_window_give_back(rule, n, elapsed_us * 1000);
}

[[gnu::noinline]] void charge(Oid subject, Oid type, Operation op, uint32 n) {
  Charge charge = {subject, type, op, false, 0, 0, 0, 0};
  while (charge.done < n) {
    const uint32 rest = n - charge.done;
    charge.done += charge_some(&charge, rest, rest, nullptr);
  }
}

// What code of a table's owner takes while others maintain the table (autovacuum, REINDEX, REFRESH) counts for the
// owner as well.
bool counts_for_owner() noexcept { return InSecurityRestrictedOperation() && GetUserId() != GetSessionUserId(); }

// In a SECURITY DEFINER function that such code calls, the current user is another one.
void charge_owner(Oid type, Operation op, uint32 n) {
  charge(GetUserId(), type, op, n);
  if (state.maintained == GetCurrentStatementStartTimestamp() && state.owner != GetUserId())
    charge(state.owner, type, op, n);
}

[[gnu::hot, gnu::noinline]] uint32 lease(Oid type, Operation op, uint32 want, TimestampTz *leased_at,
                                         bool may_degrade) {
  if (want == 0 || charged_elsewhere(op)) return lease_free(want, leased_at);
  if (counts_for_owner()) {
    want = 1;  // nothing is given back of what the owner is charged
    charge_owner(type, op, 1);
  }
  Charge charge = {GetSessionUserId(), type, op, may_degrade, 0, 0, 0, 0};
  return charge_some(&charge, want, 1, leased_at);
}

}  // namespace

[[gnu::hot]] uint32 limits_lease(Oid type, Operation op, uint32 want, TimestampTz *leased_at) {
  return lease(type, op, want, leased_at, false);
}

uint32 limits_lease_or_degrade(Oid type, Operation op, uint32 want, TimestampTz *leased_at) {
  return lease(type, op, want, leased_at, true);
}

void limits_charge(Oid type, Operation op, uint32 n) {
  if (charged_elsewhere(op)) return;
  if (counts_for_owner()) charge_owner(type, op, n);
  charge(GetSessionUserId(), type, op, n);
}

void limits_note_owner() noexcept {
  if (InLocalUserIdChange()) return;
  state.owner = GetUserId();
  state.maintained = GetCurrentStatementStartTimestamp();
}

uint64 limits_news() noexcept {
  return (limit_rules_generation() + suspensions_noted()) * 4 + static_cast<uint64>(setting_mode);
}

void limits_refund(Oid type, Operation op, uint32 n, TimestampTz leased_at, Oid subject) noexcept {
  if (n == 0 || leased_at == kLeasedFree || charged_elsewhere(op)) return;
  const Binding *const binding = limit_binding_cached(OidIsValid(subject) ? subject : GetSessionUserId(), type, op);
  if (binding == nullptr) return;
  give_back(binding, n, leased_at == 0 ? binding->last_lease : leased_at);
}

void limits_force(Oid type, Operation op, uint32 n) noexcept {
  if (charged_elsewhere(op)) return;
  const Binding *const binding = limit_binding_cached(GetSessionUserId(), type, op);
  if (binding == nullptr) return;
  const uint64 now = limit_time_ns(limit_clock_now());
  usage_add(binding->usage, n);
  if (borrows()) borrowed_force(binding->usage, n);
  if (learning()) return;
  for (const BoundRule &rule : limit_binding_charged(binding)) limit_window_force(rule, now, n);
}

[[gnu::hot]] void limits_require_no_debt(Oid type, Operation op) {
  if (charged_elsewhere(op)) return;
  Charge charge = {GetSessionUserId(), type, op, false, 0, 0, 0, 0};
  // What was no debt when the statement began is none now.
  TimestampTz now = DT_NOBEGIN;
  for (bool exact = false;; exact = true) {
    const Binding *const binding = limit_binding_as_known(type, op, charge.subject);
    require_not_suspended(binding, &charge);
    if (borrows() && borrowed_in_debt(binding->usage)) {
      (void)borrow_or_raise(binding, &charge, 1);
      continue;
    }
    if (binding->rules == 0 || learning()) return;
    limit_binding_load(binding);
    now = exact ? limit_clock_now() : limit_clock_statement();
    bool debt = false;
    for (const BoundRule &rule : limit_binding_charged(binding))
      debt |= !only_logs(rule) && limit_window_in_debt(rule, limit_time_ns(now));
    if (!debt) return;
    if (exact) (void)wait_or_raise(binding, &charge, now, 1);
  }
}

[[gnu::cold]] Lending limits_lend(Oid subject, Oid type, Operation op, uint32 least, uint32 wanted, uint32 unused) {
  require_postmaster();
  Binding *const binding = limit_binding_lent(subject, type, op);
  const uint32 back = std::min(unused, binding->lent);
  if (back > 0) give_back(binding, back, binding->last_lease);
  binding->lent -= back;
  while (wanted > 0) {
    if (BoundRule *const rule = find_suspension(binding)) {
      notice(binding, rule, kBlocked, least);
      return {0, OnExcess::suspend, kGcraNever, 0, back};
    }
    const TimestampTz now = limit_clock_now();
    const uint64 now_ns = limit_time_ns(now);
    uint32 n = wanted;
    if (binding->rules > 0 && !learning()) {
      n = affordable(binding, now_ns, wanted, least);
      if (n == 0) {
        const Refusal refusal = find_refusal(binding, now_ns, least);
        BoundRule *const rule = refusal.blocking != nullptr ? refusal.blocking : refusal.throttling;
        if (rule == nullptr) continue;  // another session gave values back meanwhile
        if (rule->on_excess == OnExcess::suspend) suspend(binding, rule, now);
        notice(binding, rule, rule == refusal.throttling ? kThrottled : kBlocked, least);
        const uint64 wait_ns = find_suspension(binding) != nullptr ? kGcraNever : refusal.wait_ns;
        return {0, rule->on_excess, wait_ns, rule->max_delay_ns, back};
      }
      notice_exceeded(binding, now_ns, n);
      if (!take_all(binding, now_ns, n)) continue;
    }
    usage_add(binding->usage, n);
    binding->last_lease = now;
    binding->lent = n;
    return {n, OnExcess::log, 0, 0, back};
  }
  return {0, OnExcess::log, 0, 0, back};
}

}  // namespace redoubt::pg
