// limits.h - charges values against the budget of the session's login role.
//
// Rules live in the table redoubt.limit_rule; running state (GCRA buckets,
// usage counters) lives in shared memory and is touched with atomics only once
// an entry is found.  The arithmetic is core/gcra.
#ifndef REDOUBT_PG_LIMITS_H
#define REDOUBT_PG_LIMITS_H

#include "pg/boundary.h"

namespace redoubt::pg {

enum class Operation : std::uint8_t { read, reveal, masked, tokenize };
constexpr int kOperations = 4;
const char *operation_name(Operation op);

Size limits_shmem_size();
void limits_shmem_startup();  // AddinShmemInitLock held by the caller
void limits_backend_init();   // registers cache callbacks; once per backend, cheap to call again

// limits_lease charges at least one and at most `want` values of `type` to the
// subject, before they leave, and returns how many.  Near a limit it grants
// fewer, so the budget is exact.  Sleeps where a limit says throttle; raises
// 53400 where it says block.  Charges every window that applies, or none.
uint32 limits_lease(Oid type, Operation op, uint32 want);

// limits_charge charges exactly `n` values (by leases), sleeping or raising.
void limits_charge(Oid type, Operation op, uint32 n);

// limits_refund gives back leased values that were not delivered.  Atomics
// only: safe while an error is in flight and in reset callbacks.
void limits_refund(Oid type, Operation op, uint32 n) noexcept;

}  // namespace redoubt::pg
#endif
