// limits/throttled_sessions.cpp - see limits/throttled_sessions.h.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/limits/throttled_sessions.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

struct Slot {
  pg_atomic_uint32 changes;  // odd while the owner writes
  Sleeper sleeper;           // pid 0: awake
};

constinit Slot *slots = nullptr;

Slot *own_slot() noexcept {
  const int number = compat_process_number(MyProc);
  return number >= 0 && number < MaxBackends ? &slots[number] : nullptr;
}

void write_own(const Sleeper &sleeper) noexcept {
  Slot *const slot = own_slot();
  if (slot == nullptr) return;
  pg_atomic_fetch_add_u32(&slot->changes, 1);  // a full barrier, as is the next
  slot->sleeper = sleeper;
  pg_atomic_fetch_add_u32(&slot->changes, 1);
}

Sleeper read_slot(Slot *slot) {
  while (true) {
    const uint32 before = pg_atomic_read_u32(&slot->changes);
    pg_read_barrier();
    const Sleeper sleeper = slot->sleeper;
    pg_read_barrier();
    if (before % 2 == 0 && pg_atomic_read_u32(&slot->changes) == before) return sleeper;
    CHECK_FOR_INTERRUPTS();
  }
}

}  // namespace

Size throttled_sessions_shmem_size() { return mul_size(sizeof(Slot), static_cast<Size>(MaxBackends)); }

void throttled_sessions_shmem_startup() {
  bool found = false;
  slots = static_cast<Slot *>(ShmemInitStruct("redoubt sleepers", throttled_sessions_shmem_size(), &found));
  if (found) return;
  for (Slot &slot : std::span(slots, static_cast<std::size_t>(MaxBackends))) {
    pg_atomic_init_u32(&slot.changes, 0);
    slot.sleeper = {};
  }
}

void throttled_session_begin(const Sleeper &sleeper) noexcept {
  Sleeper own = sleeper;
  own.pid = MyProcPid;
  own.database = MyDatabaseId;
  write_own(own);
}

void throttled_session_end() noexcept { write_own({}); }

int throttled_sessions(Sleeper **sleepers) {
  require_preloaded();
  *sleepers = static_cast<Sleeper *>(palloc(sizeof(Sleeper) * static_cast<Size>(MaxBackends)));
  int count = 0;
  for (Slot &slot : std::span(slots, static_cast<std::size_t>(MaxBackends))) {
    const Sleeper sleeper = read_slot(&slot);
    if (sleeper.pid != 0 && sleeper.database == MyDatabaseId) (*sleepers)[count++] = sleeper;
  }
  return count;
}

uint32 limit_wait_event() {
  static constinit uint32 event = 0;
  return compat_wait_event(&event, "RedoubtThrottle");
}

}  // namespace redoubt::pg
