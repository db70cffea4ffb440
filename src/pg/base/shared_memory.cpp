// shared_memory.cpp - asks for and attaches the extension's shared memory.
//
// Holds no state of its own beyond the lock array; each module owns its part.
// Covered by test/tap/restart.pl, test/tap/crash.pl and test/tap/not_preloaded.pl.
#include "pg/base/boundary.h"

#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

constinit LWLockPadded *locks = nullptr;
constinit std::span<const SharedPart> parts;
constinit shmem_request_hook_type prev_request = nullptr;
constinit shmem_startup_hook_type prev_startup = nullptr;

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void redoubt_shmem_request(void) {
  using namespace redoubt::pg;
  if (prev_request) prev_request();
  for (const SharedPart &part : parts) RequestAddinShmemSpace(part.size());
  RequestNamedLWLockTranche("redoubt", kSharedLocks);
}

static void redoubt_shmem_startup(void) {
  using namespace redoubt::pg;
  if (prev_startup) prev_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  locks = GetNamedLWLockTranche("redoubt");
  for (const SharedPart &part : parts) part.attach();
  LWLockRelease(AddinShmemInitLock);
}
}

namespace redoubt::pg {

void shared_memory_init(std::span<const SharedPart> all) {
  parts = all;
  prev_request = shmem_request_hook;
  shmem_request_hook = shielded<redoubt_shmem_request>;
  prev_startup = shmem_startup_hook;
  shmem_startup_hook = shielded<redoubt_shmem_startup>;
}

bool shared_memory_ready() noexcept { return locks != nullptr; }

LWLock *shared_lock(SharedLock which) noexcept { return &locks[which].lock; }

void require_preloaded() {
  if (shared_memory_ready()) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("redoubt is not preloaded"),
                  errhint("Add redoubt to shared_preload_libraries and restart the server."), errhidestmt(true)));
}

}  // namespace redoubt::pg
