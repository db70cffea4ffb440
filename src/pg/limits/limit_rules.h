// limit_rules.h - the rules of redoubt.limit_rule, cached, and whom they apply to.
//
// Reads the table whatever the current user may read: in output functions,
// parallel workers and on a standby alike.  Writing is limits_sql.cpp; charging
// is limits.cpp.
#ifndef REDOUBT_PG_LIMITS_LIMIT_RULES_H
#define REDOUBT_PG_LIMITS_LIMIT_RULES_H

#include "pg/base/boundary.h"

#include "core/gcra.h"
#include "pg/limits/limits.h"
#include "pg/limits/limits_shmem.h"

namespace redoubt::pg {

// From the mildest to the strictest.
enum class OnExcess : std::uint8_t { log, throttle, degrade, block, suspend };

struct LimitRule {
  int64 id;
  Oid role;  // InvalidOid: every role
  Oid type;  // InvalidOid: every token type
  Operation operation;
  OnExcess on_excess;
  bool shared;          // one bucket for all login roles it applies to
  uint64 max_delay_ns;  // the longest sleep a throttling rule may impose on one charge
  uint64 made_at;       // limit time
  GcraRate rate;        // per_ns 0: the window is one statement
};
static_assert(std::is_trivially_copyable_v<LimitRule>);

// limit_rules returns every rule of this database; valid until the next call.  Empty
// where the extension is not installed.  A table that is missing although it is
// installed raises 55000, a row out of its documented range XX001: never "no limit".
std::span<const LimitRule> limit_rules();

// OID of redoubt.limit_rule as of the last limit_rules().
Oid limit_rules_relation() noexcept;

// Moves on whenever rules or role memberships may have changed; never 0.  Changes of
// other sessions arrive when PostgreSQL accepts invalidation messages.
uint64 limit_rules_generation() noexcept;

// Makes room for the rules, once per backend.
void limit_rules_init();

// What the module is told by events.h: any relation; roles and memberships.
void limit_rules_relation_changed(Oid relid);
void limit_rules_roles_changed();

// limit_rule_applies: the role is null, the login role itself or one it is a member of
// (a superuser is not a member of everything); the type is null or the same; the
// operation is the same.
bool limit_rule_applies(const LimitRule &rule, Oid login_role, Oid type, Operation operation);

// limit_rule_suspends: the rule applies to the role and type and may suspend, which stops
// every operation on the type, not only its own.
bool limit_rule_suspends(const LimitRule &rule, Oid login_role, Oid type);

// What is wrong with a rule's action for its operation and window, for people; null when nothing is.
const char *on_excess_problem(const LimitRule &rule) noexcept;

// The bucket that `login_role` draws on under `rule` of the last limit_rules().
BucketKey limit_bucket_key(const LimitRule &rule, Oid login_role) noexcept;

// A time as core/gcra takes it: nanoseconds since 2000-01-01 UTC, 0 for anything earlier.
inline uint64 limit_time_ns(TimestampTz at) noexcept { return at > 0 ? static_cast<uint64>(at) * 1000 : 0; }

// The first moment that is not earlier than limit time `ns`.
inline TimestampTz limit_timestamp(uint64 ns) noexcept {
  return static_cast<TimestampTz>(ns / 1000 + (ns % 1000 != 0 ? 1 : 0));
}

// True of a limit whose window is one statement: it has no bucket, only a suspension.  Its burst is
// max_values.  core/gcra would admit nothing at such a rate.
inline bool limit_per_statement(const GcraRate &rate) noexcept { return rate.per_ns == 0; }

// The time a bucket takes from empty to full; bounded by limit_rate_problem.
inline uint64 limit_full_ns(const GcraRate &rate) noexcept {
  return limit_per_statement(rate) ? 0 : gcra_cost(rate) * rate.burst;
}

// The bounds of a rule, checked when it is made and again when it is read.  Null when
// they hold, else what is wrong, for people.  They keep every time within the 584
// years that 64 bits of nanoseconds hold.
const char *limit_rate_problem(const GcraRate &rate) noexcept;

// interval_ns converts an interval of days (24 hours each) and smaller units; false for
// one that is negative, longer than 36525 days, or holds months, which have no fixed length.
bool interval_ns(const Interval *interval, uint64 *ns) noexcept;

// The words used in SQL; parse functions return false for an unknown word.
const char *on_excess_name(OnExcess action);
bool on_excess_parse(const char *word, OnExcess *action) noexcept;
bool operation_parse(const char *word, Operation *operation) noexcept;

// rate_describe writes "100 values per hour, 20 at once" or "5 values per statement" to `out`.
void rate_describe(const GcraRate &rate, char *out, Size size);

}  // namespace redoubt::pg
#endif
