// limits.cpp - charges values: the hot path from "about to leave" to "accounted for".
//
// A binding says what one login role is charged for one token type and operation: the
// usage entry and the bucket of every rule that applies.  Bindings are cached per
// backend and made again after a change of rules, roles or memberships.  With a warm
// binding a charge is one atomic addition, plus one clock reading and one
// compare-and-swap per applying rule.
//
// Not here: reading rules (limit_rules.cpp), the tables (limits_shmem.cpp), the
// arithmetic (core/gcra).
//
// Invariant: no value is granted that any applying throttle or block rule has not
// admitted at that moment.  All rules are charged or none; when a rule refuses after
// another was charged, the charge is undone, so a concurrent session can be refused
// too early by a race, never admitted too much.
//
// Locks: none is held here, in particular not while sleeping or writing to the audit
// trail.  All frames hold plain data only, so an ERROR may jump over them.
// Covered by sql/limits.sql, test/isolation and test/tap.
#include "pg/boundary.h"

#include "pg/audit_trail.h"
#include "pg/limit_rules.h"
#include "pg/limit_sleepers.h"
#include "pg/limits.h"
#include "pg/limits_shmem.h"
#include "pg/settings.h"
#include "pg/shared_memory.h"

extern "C" {
#include "storage/pmsignal.h"
}

namespace redoubt::pg {
namespace {

// The audit events a rule can cause, each written once per statement.
enum Notice : int { kExceeded, kThrottled, kDegraded, kBlocked, kSuspended, kNotices };

struct BoundRule {
  GcraRate rate;
  BucketKey key;   // of the subject's own bucket
  Bucket *bucket;  // pinned; an overflow bucket where there was no room for its own
  uint64 max_delay_ns;
  int64 id;
  OnExcess on_excess;
  TimestampTz noticed[kNotices];  // start of the statement in which the event was last written
};

struct BindingKey {
  Oid subject;
  Oid type;
  uint32 operation;
  bool operator==(const BindingKey &) const = default;
};
static_assert(std::has_unique_object_representations_v<BindingKey>);

struct Binding {
  BindingKey key;
  uint64 generation;  // of the rules it was made from; 0 = not made yet
  TimestampTz made_at;
  TimestampTz last_lease;
  UsageEntry *usage;
  BoundRule *rule;
  int rules;      // that are charged: the first ones
  int watched;    // after those: rules of other operations that may have suspended the subject
  bool suspends;  // any of all these may
};
static_assert(std::is_trivially_destructible_v<Binding>);

// One call of limits_lease or limits_charge.
struct Charge {
  Oid type;
  Operation operation;
  bool may_degrade;   // a degrade rule ends it without an error
  uint32 done;        // values charged by earlier rounds, undone if this one is blocked
  TimestampTz began;  // time of the first round
};

// Why one round was refused.  Of blocking rules a degrading one comes last.
struct Refusal {
  BoundRule *blocking;    // the rule that ends the statement, if any
  BoundRule *throttling;  // else the one that asks for the longest sleep, if any
  uint64 wait_ns;         // until every refusing rule admits; kGcraNever
};

constexpr uint64 kNsPerMs = 1'000'000;
constexpr long kLongestNapMs = 1000;  // so that a sleeper hears of changed rules within a second

constinit MemoryContext context = nullptr;
constinit HTAB *bindings = nullptr;
constinit Binding *recent[kOperations] = {};  // the last binding used, per operation

// Time slept in the current statement, whatever it was charged for: a sleeper
// holds the statement's snapshot and locks, so this is what max_delay bounds.
constinit TimestampTz slept_statement = 0;
constinit uint64 slept_ns = 0;

// ---- bindings

enum class Role : char { none, charged, watched };  // of a rule in a binding

// Appends to `to` the rules whose role is `wanted`, without their buckets; returns how many.
int copy_rules(std::span<const LimitRule> rules, const Role *role, Role wanted, Oid subject, BoundRule *to) noexcept {
  int count = 0;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (role[i] != wanted) continue;
    BoundRule &rule = to[count++];
    rule.rate = rules[i].rate;
    rule.key = limit_bucket_key(rules[i], subject);
    rule.max_delay_ns = rules[i].max_delay_ns;
    rule.id = rules[i].id;
    rule.on_excess = rules[i].on_excess;
  }
  return count;
}

// The rules of `into`, without their buckets; allocated in `context`.
void find_rules(const BindingKey &key, Binding *into) {
  const std::span<const LimitRule> rules = limit_rules();
  auto *role = static_cast<Role *>(palloc0(rules.size() + 1));
  Size count = 0;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (limit_rule_applies(rules[i], key.subject, key.type, static_cast<Operation>(key.operation)))
      role[i] = Role::charged;
    else if (limit_rule_suspends(rules[i], key.subject, key.type))
      role[i] = Role::watched;
    count += role[i] == Role::none ? 0 : 1;
  }
  into->rule = static_cast<BoundRule *>(MemoryContextAllocZero(context, sizeof(BoundRule) * count + 1));
  into->rules = copy_rules(rules, role, Role::charged, key.subject, into->rule);
  into->watched = copy_rules(rules, role, Role::watched, key.subject, into->rule + into->rules);
  pfree(role);
}

std::span<BoundRule> all_rules(const Binding *binding) noexcept {
  return {binding->rule, static_cast<std::size_t>(binding->rules + binding->watched)};
}

void unpin(const Binding *binding) noexcept {
  for (const BoundRule &rule : all_rules(binding)) bucket_unpin(rule.bucket);
}

// Tells of a bucket that is not the subject's own, because the table is full.
void report_overflow(const Binding *binding) {
  for (const BoundRule &rule : all_rules(binding)) {
    if (rule.bucket->key.kind == BucketKind::own || !bucket_overflow_due(GetCurrentTimestamp())) continue;
    ereport(LOG, (errmsg("redoubt: no room for another limit bucket; roles share one"),
                  errdetail("All %d buckets are in use.", setting_max_subjects),
                  errhint("Raise redoubt.max_subjects and restart the server."), errhidestmt(true)));
    char detail[96];
    snprintf(detail, sizeof detail, "limit " INT64_FORMAT ": all %d buckets are in use", rule.id, setting_max_subjects);
    audit_write({.event = "limit overflow",
                 .token_type = binding->key.type,
                 .operation = operation_name(static_cast<Operation>(binding->key.operation)),
                 .detail = detail});
  }
}

// Makes a binding, or makes it again.  The old one stays whole until the new one is;
// nothing raises between the first pin and the swap.
void bind(Binding *binding) {
  const uint64 generation = limit_rules_generation();  // a change that arrives meanwhile counts as after
  UsageEntry *const usage = usage_get({MyDatabaseId, binding->key.subject, binding->key.type, binding->key.operation});
  Binding fresh = {};
  find_rules(binding->key, &fresh);
  for (BoundRule &rule : all_rules(&fresh)) {
    rule.bucket = bucket_pin(rule.key, limit_full_ns(rule.rate));
    fresh.suspends |= rule.on_excess == OnExcess::suspend;
  }

  unpin(binding);
  if (binding->rule != nullptr) pfree(binding->rule);
  binding->rule = fresh.rule;
  binding->rules = fresh.rules;
  binding->watched = fresh.watched;
  binding->suspends = fresh.suspends;
  binding->usage = usage;
  binding->made_at = GetCurrentTimestamp();
  binding->generation = generation;
  report_overflow(binding);
}

Binding *find_cached(const BindingKey &key) noexcept {
  if (bindings == nullptr) return nullptr;
  auto *binding = static_cast<Binding *>(hash_search(bindings, &key, HASH_FIND, nullptr));
  return binding != nullptr && binding->generation != 0 ? binding : nullptr;
}

Binding *find_or_bind(const BindingKey &key) {
  limits_backend_init();
  bool found = false;
  auto *binding = static_cast<Binding *>(hash_search(bindings, &key, HASH_ENTER, &found));
  if (!found) {
    *binding = {};
    binding->key = key;
  }
  if (binding->generation != limit_rules_generation()) bind(binding);
  recent[key.operation] = binding;
  return binding;
}

// The binding of the session's login role.  Neither a long statement nor one that only
// calls functions takes locks, so neither would hear of changed rules: every charge
// listens.  Without news that costs a few nanoseconds and no lock.  For a value that is
// revealed or tokenized the gate has just done so.
Binding *current_binding(Oid type, Operation operation) {
  if (operation == Operation::read || operation == Operation::probe) AcceptInvalidationMessages();
  const BindingKey key = {GetSessionUserId(), type, static_cast<uint32>(operation)};
  Binding *const binding = recent[key.operation];
  if (binding != nullptr && binding->key == key && binding->generation == limit_rules_generation()) return binding;
  return find_or_bind(key);
}

// ---- mode

bool learning() noexcept { return setting_mode == static_cast<int>(Mode::learn); }

// True of a rule that charges but refuses nothing, by itself or because redoubt.mode is observe.
bool only_logs(const BoundRule &rule) noexcept {
  return rule.on_excess == OnExcess::log || setting_mode == static_cast<int>(Mode::observe);
}

// ---- audit and errors

// Writes the rule's event to the audit trail, once per statement.
void notice(const Binding *binding, BoundRule *rule, Notice what, int64 count) {
  const TimestampTz statement = GetCurrentStatementStartTimestamp();
  if (rule->noticed[what] == statement) return;
  constexpr const char *kEvents[kNotices] = {"limit exceeded", "throttle", "degrade", "block", "suspend"};
  char rate[128];
  char detail[192];
  rate_describe(rule->rate, rate, sizeof rate);
  const bool observed = what == kExceeded && rule->on_excess != OnExcess::log;
  snprintf(detail, sizeof detail, "limit " INT64_FORMAT ": %s%s%s", rule->id, rate, observed ? "; observed, else " : "",
           observed ? on_excess_name(rule->on_excess) : "");
  AuditEvent event;
  event.event = kEvents[what];
  event.outcome = what >= kBlocked ? "denied" : "success";
  event.token_type = binding->key.type;
  event.operation = operation_name(static_cast<Operation>(binding->key.operation));
  event.count = count;
  event.detail = detail;
  audit_write(event);
  rule->noticed[what] = statement;
}

[[noreturn]] void raise_blocked(const Binding *binding, const Refusal &refusal, TimestampTz now, uint32 least) {
  const BoundRule *const rule = refusal.blocking;
  const char *const role = GetUserNameFromId(binding->key.subject, true);
  char rate[128];
  rate_describe(rule->rate, rate, sizeof rate);
  const bool never = refusal.wait_ns == kGcraNever;
  const char *const when = never ? "" : timestamptz_to_str(limit_timestamp(limit_time_ns(now) + refusal.wait_ns));
  ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("limit on %s of %s exceeded for role \"%s\"",
                         operation_name(static_cast<Operation>(binding->key.operation)),
                         format_type_be_qualified(binding->key.type), role != nullptr ? role : "?"),
                  rule->on_excess == OnExcess::throttle
                      ? errdetail("At most %s; waiting would take longer than the limit allows.", rate)
                      : errdetail("At most %s.", rate),
                  never ? errhint("More than " UINT64_FORMAT " values at once are never allowed.", rule->rate.burst)
                  : least == 1 ? errhint("The next value is allowed at %s.", when)
                               : errhint("%u values at once are allowed at %s.", least, when),
                  errhidestmt(true)));
  pg_unreachable();
}

// ---- suspension

// The rule that suspended the subject, if any.
BoundRule *find_suspension(const Binding *binding) noexcept {
  if (!binding->suspends || setting_mode != static_cast<int>(Mode::enforce)) return nullptr;
  for (BoundRule &rule : all_rules(binding))
    if (rule.on_excess == OnExcess::suspend && pg_atomic_read_u64(&rule.bucket->suspended) != 0) return &rule;
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
  if (!pg_atomic_compare_exchange_u64(&rule->bucket->suspended, &never, static_cast<uint64>(now))) return;
  const char *const role = GetUserNameFromId(binding->key.subject, true);
  ereport(LOG, (errmsg("redoubt: role \"%s\" is suspended from %s", role != nullptr ? role : "?",
                       format_type_be_qualified(binding->key.type)),
                errdetail("It exceeded limit " INT64_FORMAT ".", rule->id), errhidestmt(true)));
  notice(binding, rule, kSuspended, -1);
}

// ---- buckets

// How many of `want` values every throttle and block rule admits now.  Any but a throttle
// rule counts as empty when it does not admit `least`.
uint32 affordable(const Binding *binding, uint64 now, uint32 want, uint32 least) noexcept {
  uint64 n = want;
  for (const BoundRule &rule : std::span(binding->rule, static_cast<std::size_t>(binding->rules))) {
    if (only_logs(rule)) continue;
    const uint64 left = gcra_remaining(rule.rate, pg_atomic_read_u64(&rule.bucket->tat), now);
    if (rule.on_excess != OnExcess::throttle && left < least) return 0;
    n = std::min(n, left);
  }
  return static_cast<uint32>(n);
}

bool take(const BoundRule &rule, uint64 now, uint32 n) noexcept {
  uint64 tat = pg_atomic_read_u64(&rule.bucket->tat);
  while (true) {
    uint64 new_tat = 0;
    if (only_logs(rule)) {
      new_tat = gcra_force(rule.rate, tat, now, n);
    } else {
      const GcraDecision decision = gcra_take(rule.rate, tat, now, n);
      if (!decision.admitted) return false;
      new_tat = decision.new_tat;
    }
    if (pg_atomic_compare_exchange_u64(&rule.bucket->tat, &tat, new_tat)) return true;
  }
}

void give_back(const BoundRule &rule, uint32 n, uint64 elapsed_ns) noexcept {
  uint64 tat = pg_atomic_read_u64(&rule.bucket->tat);
  while (!pg_atomic_compare_exchange_u64(&rule.bucket->tat, &tat, gcra_refund(rule.rate, tat, n, elapsed_ns))) {
  }
}

// Takes `n` from every rule, or from none.
bool take_all(const Binding *binding, uint64 now, uint32 n) noexcept {
  for (int i = 0; i < binding->rules; ++i) {
    if (take(binding->rule[i], now, n)) continue;
    while (--i >= 0) give_back(binding->rule[i], n, 0);
    return false;
  }
  return true;
}

// ---- refusals

// Audits the rules that only log, where `n` values exceed them, before they are charged.
void notice_exceeded(const Binding *binding, uint64 now, uint32 n) {
  for (int i = 0; i < binding->rules; ++i) {
    BoundRule *const rule = &binding->rule[i];
    if (!only_logs(*rule)) continue;
    if (gcra_remaining(rule->rate, pg_atomic_read_u64(&rule->bucket->tat), now) < n)
      notice(binding, rule, kExceeded, -1);
  }
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

Refusal find_refusal(const Binding *binding, uint64 now, uint32 least) noexcept {
  Refusal refusal = {};
  uint64 longest_block = 0;
  uint64 longest_sleep = 0;
  for (int i = 0; i < binding->rules; ++i) {
    BoundRule *const rule = &binding->rule[i];
    if (only_logs(*rule)) continue;
    const bool block = rule->on_excess != OnExcess::throttle;
    const GcraDecision decision = gcra_take(rule->rate, pg_atomic_read_u64(&rule->bucket->tat), now, block ? least : 1);
    if (decision.admitted) continue;
    refusal.wait_ns = std::max(refusal.wait_ns, decision.wait_ns);
    const uint64 patience = rule->max_delay_ns > slept_ns ? rule->max_delay_ns - slept_ns : 0;
    if (block || decision.wait_ns > patience) {
      if (comes_before(rule, decision.wait_ns, refusal.blocking, longest_block)) {
        refusal.blocking = rule;
        longest_block = decision.wait_ns;
      }
    } else {
      if (decision.wait_ns > longest_sleep) refusal.throttling = rule;
      longest_sleep = std::max(longest_sleep, decision.wait_ns);
    }
  }
  return refusal;
}

// Sleeps about `wait_ns`, less when woken; returns the time slept.  A cancel, a
// statement timeout or a shutdown ends it with an error.
uint64 nap(const Binding *binding, const Charge *charge, const Refusal &refusal) {
  const TimestampTz began = GetCurrentTimestamp();
  Sleeper sleeper = {};
  sleeper.subject = binding->key.subject;
  sleeper.type = binding->key.type;
  sleeper.operation = binding->key.operation;
  sleeper.rule = refusal.throttling->id;
  sleeper.since = charge->began != 0 ? charge->began : began;
  sleeper.until = began + static_cast<int64>(refusal.wait_ns / 1000);
  limit_sleeper_begin(sleeper);
  const auto ms = static_cast<long>(std::min<uint64>((refusal.wait_ns + kNsPerMs - 1) / kNsPerMs, kLongestNapMs));
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, limit_wait_event());
  ResetLatch(MyLatch);
  limit_sleeper_end();
  AcceptInvalidationMessages();
  const int64 slept_us = std::max<int64>(GetCurrentTimestamp() - began, 0);
  pg_atomic_fetch_add_u64(&binding->usage->delayed_us, slept_us);
  CHECK_FOR_INTERRUPTS();
  return static_cast<uint64>(slept_us) * 1000;
}

// Nothing could be granted: sleeps, or raises, or returns false where the charge is to be
// given up for a milder operation.
bool refuse(const Binding *binding, Charge *charge, TimestampTz now, uint32 want, uint32 least) {
  if (slept_statement != GetCurrentStatementStartTimestamp()) {
    slept_statement = GetCurrentStatementStartTimestamp();
    slept_ns = 0;
  }
  const Refusal refusal = find_refusal(binding, limit_time_ns(now), least);
  if (refusal.blocking != nullptr) {
    const OnExcess action = refusal.blocking->on_excess;
    limits_refund(charge->type, charge->operation, charge->done, charge->began);
    if (action == OnExcess::degrade && charge->may_degrade) {
      notice(binding, refusal.blocking, kDegraded, -1);
      return false;
    }
    if (action == OnExcess::suspend) suspend(binding, refusal.blocking, now);
    notice(binding, refusal.blocking, kBlocked, want);
    raise_blocked(binding, refusal, now, least);
  }
  if (refusal.throttling == nullptr) return true;  // another session gave values back meanwhile
  notice(binding, refusal.throttling, kThrottled, -1);
  slept_ns += nap(binding, charge, refusal);
  return true;
}

// Raises where the subject is suspended.
void require_not_suspended(const Binding *binding, Charge *charge) {
  BoundRule *const rule = find_suspension(binding);
  if (rule == nullptr) return;
  limits_refund(charge->type, charge->operation, charge->done, charge->began);
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
uint32 grant(Charge *charge, uint32 want, uint32 least, TimestampTz *leased_at) {
  while (true) {
    require_postmaster();
    Binding *const binding = current_binding(charge->type, charge->operation);
    uint32 n = want;
    TimestampTz now = DT_NOBEGIN;  // charged to no bucket, so none gives anything back
    require_not_suspended(binding, charge);
    if (binding->rules > 0 && !learning()) {
      now = GetCurrentTimestamp();
      const uint64 now_ns = limit_time_ns(now);
      if (charge->began == 0) charge->began = now;
      n = affordable(binding, now_ns, want, least);
      if (n == 0) {
        if (!refuse(binding, charge, now, want, least)) return 0;
        continue;
      }
      notice_exceeded(binding, now_ns, n);
      if (!take_all(binding, now_ns, n)) continue;  // another session was faster
    }
    binding->last_lease = now;
    if (leased_at != nullptr) *leased_at = now;
    usage_add(binding->usage, n);
    return n;
  }
}

}  // namespace

}  // namespace redoubt::pg

extern "C" {
// After the transaction's abort, which may still give values back.
static void redoubt_limits_backend_ends(int, Datum) {
  using namespace redoubt::pg;
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, bindings);
  while (const auto *binding = static_cast<Binding *>(hash_seq_search(&status))) unpin(binding);
}
}

namespace redoubt::pg {

void limits_backend_init() {
  if (bindings != nullptr) return;
  require_preloaded();
  limit_rules_init();
  if (context == nullptr)
    context = AllocSetContextCreate(TopMemoryContext, "redoubt limit bindings", ALLOCSET_SMALL_SIZES);
  HASHCTL control = {};
  control.keysize = sizeof(BindingKey);
  control.entrysize = sizeof(Binding);
  control.hcxt = context;
  bindings = hash_create("redoubt limit bindings", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  on_shmem_exit(redoubt_limits_backend_ends, static_cast<Datum>(0));
}

uint32 limits_lease(Oid type, Operation op, uint32 want, TimestampTz *leased_at) {
  if (want == 0) return 0;
  Charge charge = {type, op, false, 0, 0};
  return grant(&charge, want, 1, leased_at);
}

void limits_charge(Oid type, Operation op, uint32 n) {
  Charge charge = {type, op, false, 0, 0};
  while (charge.done < n) {
    const uint32 rest = n - charge.done;
    charge.done += grant(&charge, rest, rest, nullptr);
  }
}

bool limits_charge_or_degrade(Oid type, Operation op) {
  Charge charge = {type, op, true, 0, 0};
  return grant(&charge, 1, 1, nullptr) == 1;
}

void limits_refund(Oid type, Operation op, uint32 n, TimestampTz leased_at) noexcept {
  if (n == 0) return;
  const Binding *const binding = find_cached({GetSessionUserId(), type, static_cast<uint32>(op)});
  if (binding == nullptr) return;
  usage_give_back(binding->usage, n);
  if (leased_at == 0) leased_at = binding->last_lease;
  // Other rules may apply now than did then; those charged keep the values.
  if (leased_at < binding->made_at) return;
  const int64 elapsed_us = std::max<int64>(GetCurrentTimestamp() - leased_at, 0);
  for (int i = 0; i < binding->rules; ++i) give_back(binding->rule[i], n, static_cast<uint64>(elapsed_us) * 1000);
}

void limits_force(Oid type, Operation op, uint32 n) noexcept {
  const Binding *const binding = find_cached({GetSessionUserId(), type, static_cast<uint32>(op)});
  if (binding == nullptr) return;
  const uint64 now = limit_time_ns(GetCurrentTimestamp());
  usage_add(binding->usage, n);
  if (learning()) return;
  for (int i = 0; i < binding->rules; ++i) {
    const BoundRule &rule = binding->rule[i];
    uint64 tat = pg_atomic_read_u64(&rule.bucket->tat);
    while (!pg_atomic_compare_exchange_u64(&rule.bucket->tat, &tat, gcra_force(rule.rate, tat, now, n))) {
    }
  }
}

void limits_admit(Oid type, Operation op) {
  Charge charge = {type, op, false, 0, 0};
  while (true) {
    const Binding *const binding = current_binding(type, op);
    require_not_suspended(binding, &charge);
    if (binding->rules == 0 || learning()) return;
    const TimestampTz now = GetCurrentTimestamp();
    bool debt = false;
    for (int i = 0; i < binding->rules && !debt; ++i) {
      const BoundRule &rule = binding->rule[i];
      // A bucket that is merely empty admits its next value after one value's time at most.
      const uint64 tat = pg_atomic_read_u64(&rule.bucket->tat);
      debt = !only_logs(rule) && gcra_take(rule.rate, tat, limit_time_ns(now), 1).wait_ns > gcra_cost(rule.rate);
    }
    if (!debt) return;
    (void)refuse(binding, &charge, now, 1, 1);
  }
}

}  // namespace redoubt::pg
