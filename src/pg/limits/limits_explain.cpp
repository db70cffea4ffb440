// limits_explain.cpp - why a role is limited as it is, and who is held back right now.
//
// Reads rules and buckets; charges and changes nothing.  What it says holds for the moment
// of the call, in the order in which limits.cpp decides.
//
// Locks: kLimitsLock, inside limits_shmem.cpp only.
// Covered by sql/limits_explain.sql and test/isolation/specs/limits_activity.spec.
#include "pg/base/boundary.h"

#include "pg/base/roles.h"
#include "pg/limits/limit_clock.h"
#include "pg/limits/limit_rules.h"
#include "pg/limits/throttled_sessions.h"
#include "pg/limits/limits.h"
#include "pg/limits/limits_shmem.h"
#include "pg/limits/limits_sql.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

Verdict verdict_of(const LimitRule &rule, uint64 wait_ns) noexcept {
  if (rule.on_excess == OnExcess::log) return Verdict::logs;
  if (wait_ns == 0) return Verdict::admits;
  switch (rule.on_excess) {
    case OnExcess::throttle:
      return wait_ns > rule.max_delay_ns ? Verdict::blocks : Verdict::delays;
    case OnExcess::degrade:
      return Verdict::degrades;
    case OnExcess::suspend:
      return Verdict::suspends;
    default:
      return Verdict::blocks;
  }
}

}  // namespace

LimitStanding limit_standing(const LimitRule &rule, Oid role, bool charged, uint64 now) {
  const auto [tat, suspended] = bucket_peek(limit_bucket_key(rule, role), limit_full_ns(rule.rate), rule.made_at);
  LimitStanding standing = {&rule, Verdict::admits, rule.rate.max_values, 0, 0, charged};
  if (!limit_per_statement(rule.rate)) {  // else a statement to come has all of it
    standing.remaining = gcra_remaining(rule.rate, tat, now);
    standing.wait_ns = gcra_next_allowed(rule.rate, tat, now) - now;
  }
  standing.verdict = charged ? verdict_of(rule, standing.wait_ns) : Verdict::logs;
  if (rule.on_excess == OnExcess::suspend && suspended != 0) {
    standing.verdict = Verdict::suspended;
    standing.suspended = suspended;
  }
  return standing;
}

namespace {

bool stricter(const LimitStanding &a, const LimitStanding &b) noexcept {
  if (a.verdict != b.verdict) return a.verdict > b.verdict;
  if (a.wait_ns != b.wait_ns) return a.wait_ns > b.wait_ns;
  return a.remaining < b.remaining;
}

// Of a limit per statement, which always admits the first values.
const char *effect_name(OnExcess action) noexcept {
  return action == OnExcess::suspend ? "suspends the role" : action == OnExcess::degrade ? "shows less" : "blocks";
}

const char *reason(const LimitStanding &standing) {
  switch (standing.verdict) {
    case Verdict::suspended:
      return "suspended until an administrator lifts it";
    case Verdict::suspends:
      return "the next value suspends the role";
    case Verdict::blocks:
      return standing.rule->on_excess == OnExcess::throttle ? "blocks: waiting would take longer than max_delay"
                                                            : "blocks until it has refilled";
    case Verdict::degrades:
      return "shows less until it has refilled";
    case Verdict::delays:
      return "the next value waits";
    case Verdict::admits:
      if (!limit_per_statement(standing.rule->rate))
        return psprintf("admits " UINT64_FORMAT " more at once", standing.remaining);
      return psprintf("%s after " UINT64_FORMAT " in one statement", effect_name(standing.rule->on_excess),
                      standing.remaining);
    default:
      return standing.charged ? "only logs" : "not charged by this operation; would suspend it";
  }
}

void put_standing(ReturnSetInfo *result, const LimitStanding &standing, bool strictest, TimestampTz now) {
  enum : int { kId, kStrictest, kReason, kRemaining, kNextAllowed, kSuspended, kColumns };
  Datum values[kColumns] = {};
  bool nulls[kColumns] = {};
  values[kId] = Int64GetDatum(standing.rule->id);
  values[kStrictest] = BoolGetDatum(strictest);
  values[kReason] = CStringGetTextDatum(reason(standing));
  values[kRemaining] = Int64GetDatum(static_cast<int64>(standing.remaining));
  values[kNextAllowed] = TimestampTzGetDatum(limit_timestamp(limit_time_ns(now) + standing.wait_ns));
  nulls[kNextAllowed] = standing.wait_ns == 0 || standing.verdict == Verdict::suspended;
  values[kSuspended] = TimestampTzGetDatum(standing.suspended);
  nulls[kSuspended] = standing.suspended == 0;
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace
}  // namespace redoubt::pg

// limit_standing(role regrole, token_type regtype, operation text) returns setof (id, strictest, reason,
// remaining, next_allowed, suspended_since): every rule that applies, for the role itself, an administrator
// or an auditor.
REDOUBT_FUNCTION(redoubt_limit_standing) {
  using namespace redoubt::pg;
  require_preloaded();
  const Oid role = limits_role_argument(fcinfo, 0);
  const Oid type = limits_token_type_argument(fcinfo, 1);
  const Operation operation = limits_operation_argument(fcinfo, 2);
  if (role != GetSessionUserId() && !sees_every_role())
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to see the limits of other roles"),
             errhint("Members of redoubt_admin and redoubt_auditor see those of every role.")));
  InitMaterializedSRF(fcinfo, 0);
  const std::span<const LimitRule> rules = limit_rules();
  const TimestampTz now = GetCurrentTimestamp();
  auto *standing = static_cast<LimitStanding *>(palloc(sizeof(LimitStanding) * (rules.size() + 1)));
  int count = 0;
  for (const LimitRule &rule : rules) {
    const bool charged = limit_rule_applies(rule, role, type, operation);
    if (charged || limit_rule_suspends(rule, role, type))
      standing[count++] = limit_standing(rule, role, charged, limit_time_ns(limit_clock_now()));
  }
  int strictest = 0;
  for (int i = 1; i < count; ++i)
    if (stricter(standing[i], standing[strictest])) strictest = i;
  for (int i = 0; i < count; ++i)
    put_standing(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo), standing[i],
                 i == strictest && standing[i].verdict != Verdict::logs, now);
  return static_cast<Datum>(0);
}

// sleepers() returns setof: the rows of the view redoubt.activity that the caller may see.
REDOUBT_FUNCTION(redoubt_sleepers) {
  using namespace redoubt::pg;
  enum : int { kPid, kRole, kTokenType, kOperation, kRule, kSince, kUntil, kColumns };
  InitMaterializedSRF(fcinfo, 0);
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const bool everyone = sees_every_role();
  Sleeper *sleepers = nullptr;
  const int count = throttled_sessions(&sleepers);
  for (const Sleeper &sleeper : std::span(sleepers, static_cast<std::size_t>(count))) {
    if (!everyone && sleeper.subject != GetSessionUserId()) continue;
    Datum values[kColumns] = {};
    bool nulls[kColumns] = {};
    values[kPid] = Int32GetDatum(sleeper.pid);
    values[kRole] = ObjectIdGetDatum(sleeper.subject);
    values[kTokenType] = ObjectIdGetDatum(sleeper.type);
    values[kOperation] = CStringGetTextDatum(operation_name(static_cast<Operation>(sleeper.operation)));
    values[kRule] = Int64GetDatum(sleeper.rule);
    values[kSince] = TimestampTzGetDatum(sleeper.since);
    values[kUntil] = TimestampTzGetDatum(sleeper.until);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}
