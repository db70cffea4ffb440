// shared_memory.h - the extension's shared memory: one request, one start-up.
#ifndef REDOUBT_PG_BASE_SHARED_MEMORY_H
#define REDOUBT_PG_BASE_SHARED_MEMORY_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// The LWLocks of the named tranche "redoubt", by index.
enum SharedLock : int { kAuditLock, kAuditFlushLock, kLimitsLock, kSharedLocks };

// A module's part: its size, and what attaches it (with AddinShmemInitLock held).
struct SharedPart {
  Size (*size)();
  void (*attach)();
};

// Chains shmem_request_hook and shmem_startup_hook for these parts, attached in this order.  `parts` is kept.  Call
// while preloading.
void shared_memory_init(std::span<const SharedPart> parts);

// True once this library was preloaded and its shared memory is attached.
bool shared_memory_ready() noexcept;

LWLock *shared_lock(SharedLock which) noexcept;

// Raises 55000 with a hint unless shared_memory_ready().
void require_preloaded();

}  // namespace redoubt::pg
#endif
