// shared_memory.h - the extension's shared memory: one request, one start-up.
#ifndef REDOUBT_PG_SHARED_MEMORY_H
#define REDOUBT_PG_SHARED_MEMORY_H

#include "pg/boundary.h"

namespace redoubt::pg {

// The LWLocks of the named tranche "redoubt", by index.
enum SharedLock : int { kAuditLock, kLimitsLock, kSharedLocks };

// Chains shmem_request_hook and shmem_startup_hook.  Call while preloading.
void shared_memory_init();

// True once this library was preloaded and its shared memory is attached.
bool shared_memory_ready() noexcept;

LWLock *shared_lock(SharedLock which) noexcept;

// Raises 55000 with a hint unless shared_memory_ready().
void require_preloaded();

}  // namespace redoubt::pg
#endif
