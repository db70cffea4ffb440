// limit_bindings.h - what one login role is charged for one token type and operation.
//
// A binding holds the usage entry and every limit that applies, with its bucket pinned.  It is
// cached per backend and made again after a change of rules, roles or memberships; with a
// warm one a charge looks nothing up.
//
// Not here: reading rules (limit_rules.cpp), the tables (limits_shmem.cpp), charging (limit_window.cpp,
// limits.cpp).
//
// Locks: kLimitsLock, inside limits_shmem.cpp only, while a binding is made.
// Covered by sql/limits.sql, test/isolation and test/tap/limits_overflow.pl.
#ifndef REDOUBT_PG_LIMITS_LIMIT_BINDINGS_H
#define REDOUBT_PG_LIMITS_LIMIT_BINDINGS_H

#include "pg/base/boundary.h"

#include "pg/limits/limit_rules.h"
#include "pg/limits/limits.h"
#include "pg/limits/limits_shmem.h"

namespace redoubt::pg {

// The audit events a rule can cause, each written once per statement.
enum Notice : int { kExceeded, kThrottled, kDegraded, kBlocked, kSuspended, kNotices };

struct BoundRule {
  GcraRate rate;
  BucketKey key;   // of the subject's own bucket
  Bucket *bucket;  // pinned; an overflow bucket where there was no room for its own
  uint64 max_delay_ns;
  uint64 made_at;
  int64 id;
  OnExcess on_excess;
  TimestampTz noticed[kNotices];  // start of the statement in which the event was last written
};

struct BindingKey {
  Oid subject;
  Oid type;
  uint32 operation;
  uint32 lent;  // 1: what is charged is lent to another server, so limits per statement are none of it
  bool operator==(const BindingKey &) const = default;
};
static_assert(std::has_unique_object_representations_v<BindingKey>);

struct Binding {
  BindingKey key;
  uint64 generation;  // of the rules it was made from; 0 = not made yet
  TimestampTz made_at;
  TimestampTz last_lease;
  TimestampTz last_alone;  // the last lease for which nothing was borrowed
  uint32 lent;             // of a binding that lends: what the last lease granted and nobody gave back
  uint64 last_statement;   // limit_statement_generation of the last lease
  UsageEntry *usage;
  BoundRule *rule;
  int rules;           // that are charged: the first ones
  int watched;         // after those: rules of other operations that may have suspended the subject
  bool suspends;       // any of all these may
  bool per_statement;  // any that is charged is
};
static_assert(std::is_trivially_destructible_v<Binding>);

inline std::span<BoundRule> limit_binding_charged(const Binding *binding) noexcept {
  return {binding->rule, static_cast<std::size_t>(binding->rules)};
}
inline std::span<BoundRule> limit_binding_all(const Binding *binding) noexcept {
  return {binding->rule, static_cast<std::size_t>(binding->rules + binding->watched)};
}

// limit_binding returns the binding of a login role, as a rule the session's, made if need be; valid until the next
// call.  It hears of changed rules, since neither a long statement nor one that only calls functions
// takes locks that would: without news that costs a few nanoseconds.
Binding *limit_binding(Oid type, Operation operation, Oid subject);

// The same without listening, where a lock was just taken or a charge follows that does.
Binding *limit_binding_as_known(Oid type, Operation operation, Oid subject);

// That by which values are lent to another server, of any login role.
Binding *limit_binding_lent(Oid subject, Oid type, Operation operation);

// That of a login role where it is made already, else null.  Touches no catalog.
Binding *limit_binding_cached(Oid subject, Oid type, Operation operation) noexcept;

// limit_binding_load makes the windows of the statement at hand those that limit_window charges.
void limit_binding_load(const Binding *binding);

}  // namespace redoubt::pg
#endif
