// shared_memory.cpp - asks for and attaches the extension's shared memory.
//
// Holds no state of its own beyond the lock array; each module owns its part.
// Covered by test/tap/restart.pl, test/tap/crash.pl and test/tap/not_preloaded.pl.
#include "pg/base/boundary.h"

#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

struct State {
  LWLockPadded *locks;
  std::span<const SharedPart> parts;
  shmem_request_hook_type prev_request;
  shmem_startup_hook_type prev_startup;
};
constinit State state = {};

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void redoubt_shmem_request(void) {
  using namespace redoubt::pg;
  if (state.prev_request) state.prev_request();
  for (const SharedPart &part : state.parts) RequestAddinShmemSpace(part.size());
  RequestNamedLWLockTranche("redoubt", kSharedLocks);
}

static void redoubt_shmem_startup(void) {
  using namespace redoubt::pg;
  if (state.prev_startup) state.prev_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  state.locks = GetNamedLWLockTranche("redoubt");
  for (const SharedPart &part : state.parts) part.attach();
  LWLockRelease(AddinShmemInitLock);
}
}

namespace redoubt::pg {

void shared_memory_init(std::span<const SharedPart> all) {
  state.parts = all;
  state.prev_request = shmem_request_hook;
  shmem_request_hook = shielded<redoubt_shmem_request>;
  state.prev_startup = shmem_startup_hook;
  shmem_startup_hook = shielded<redoubt_shmem_startup>;
}

bool shared_memory_ready() noexcept { return state.locks != nullptr; }

LWLock *shared_lock(SharedLock which) noexcept { return &state.locks[which].lock; }

void require_preloaded() {
  if (shared_memory_ready()) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("redoubt is not preloaded"),
                  errhint("Add redoubt to shared_preload_libraries and restart the server."), errhidestmt(true)));
}

}  // namespace redoubt::pg
