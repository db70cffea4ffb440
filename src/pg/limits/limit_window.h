// limit_window.h - how much a limit admits, and charging it: one limit at a time.
//
// A limit's window is a time, with a GCRA bucket in shared memory, or one statement, with a
// count that starts at zero.  This is the only place where the two differ in a charge; a
// statement's window never refills, so its wait is for ever.
//
// Not here: which limits apply (limit_bindings), all of them or none, and what a refusal does (limits.cpp).
//
// Locks: none; compare-and-swap on one atomic.  None of these raises: a statement's window has been
// loaded and reserved by limit_binding_load.
#ifndef REDOUBT_PG_LIMITS_LIMIT_WINDOW_H
#define REDOUBT_PG_LIMITS_LIMIT_WINDOW_H

#include "pg/base/boundary.h"

#include "pg/limits/limit_bindings.h"

namespace redoubt::pg {

// How many values are admitted at `now`.
uint64 limit_window_left(const BoundRule &rule, uint64 now) noexcept;

// How long until `n` values are admitted at once: 0 now, kGcraNever never.
uint64 limit_window_wait(const BoundRule &rule, uint64 now, uint32 n) noexcept;

// Charges `n` values, or returns false where they are not admitted.
bool limit_window_take(const BoundRule &rule, uint64 now, uint32 n) noexcept;

// Charges `n` values whether admitted or not.
void limit_window_force(const BoundRule &rule, uint64 now, uint32 n) noexcept;

// Gives back `n` values that were charged `elapsed_ns` ago.
void limit_window_give_back(const BoundRule &rule, uint32 n, uint64 elapsed_ns) noexcept;

// True where more was charged than admitted: of a bucket that is merely empty it is not.
bool limit_window_in_debt(const BoundRule &rule, uint64 now) noexcept;

}  // namespace redoubt::pg
#endif
