// limit_window.cpp - see limit_window.h.
//
// Covered by sql/limits.sql, sql/limits_statement.sql and test/tap/limits_concurrent.pl.
#include "pg/base/boundary.h"

#include "pg/limits/limit_rules.h"
#include "pg/limits/limit_statement.h"
#include "pg/limits/limit_window.h"

namespace redoubt::pg {

[[gnu::hot]] uint64 limit_window_left(const BoundRule &rule, uint64 now) noexcept {
  if (!limit_per_statement(rule.rate)) return gcra_remaining(rule.rate, pg_atomic_read_u64(&rule.bucket->tat), now);
  const uint64 taken = limit_statement_taken(rule.id);
  return taken < rule.rate.max_values ? rule.rate.max_values - taken : 0;
}

uint64 limit_window_wait(const BoundRule &rule, uint64 now, uint32 n) noexcept {
  if (limit_per_statement(rule.rate)) return limit_window_left(rule, now) >= n ? 0 : kGcraNever;
  const GcraDecision decision = gcra_take(rule.rate, pg_atomic_read_u64(&rule.bucket->tat), now, n);
  return decision.admitted ? 0 : decision.wait_ns;
}

[[gnu::hot]] bool limit_window_take(const BoundRule &rule, uint64 now, uint32 n) noexcept {
  if (limit_per_statement(rule.rate)) return limit_statement_take(rule.id, n, rule.rate.max_values);
  uint64 tat = pg_atomic_read_u64(&rule.bucket->tat);
  while (true) {
    const GcraDecision decision = gcra_take(rule.rate, tat, now, n);
    if (!decision.admitted) return false;
    if (pg_atomic_compare_exchange_u64(&rule.bucket->tat, &tat, decision.new_tat)) return true;
  }
}

void limit_window_force(const BoundRule &rule, uint64 now, uint32 n) noexcept {
  if (limit_per_statement(rule.rate)) {
    (void)limit_statement_take(rule.id, n, UINT64_MAX);
    return;
  }
  uint64 tat = pg_atomic_read_u64(&rule.bucket->tat);
  while (!pg_atomic_compare_exchange_u64(&rule.bucket->tat, &tat, gcra_force(rule.rate, tat, now, n))) {
  }
}

void limit_window_give_back(const BoundRule &rule, uint32 n, uint64 elapsed_ns) noexcept {
  if (limit_per_statement(rule.rate)) return limit_statement_give_back(rule.id, n);
  uint64 tat = pg_atomic_read_u64(&rule.bucket->tat);
  while (!pg_atomic_compare_exchange_u64(&rule.bucket->tat, &tat, gcra_refund(rule.rate, tat, n, elapsed_ns))) {
  }
}

[[gnu::hot]] bool limit_window_in_debt(const BoundRule &rule, uint64 now) noexcept {
  if (limit_per_statement(rule.rate)) return limit_statement_taken(rule.id) > rule.rate.max_values;
  if (pg_atomic_read_u64(&rule.bucket->tat) <= now) return false;  // full
  // A bucket that is merely empty admits its next value after one value's time at most.
  return limit_window_wait(rule, now, 1) > gcra_cost(rule.rate);
}

}  // namespace redoubt::pg
