// module.cpp - load time: settings, key, shared memory, workers, hooks.  Nothing else.
//
// Loaded on demand (not preloaded), the library defines nothing: tokens can be
// read, written, compared and dumped, and whatever reveals or tokenizes calls
// require_preloaded() and fails.
// Covered by test/tap/not_preloaded.pl.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/server/hooks.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"
#include "pg/vault/vault_sweep.h"
#include "pg/audit/audit_trail.h"
#include "pg/limits/limit_statement.h"
#include "pg/limits/limits.h"
#include "pg/limits/limits_worker.h"
#include "pg/limits/throttled_sessions.h"

namespace redoubt::pg {
namespace {
constexpr SharedPart kSharedParts[] = {
    {audit_trail_shmem_size, audit_trail_shmem_startup},
    {limits_shmem_size, limits_shmem_startup},
    {throttled_sessions_shmem_size, throttled_sessions_shmem_startup},
    {limit_statement_shmem_size, limit_statement_shmem_startup},
};
}  // namespace
}  // namespace redoubt::pg

extern "C" {
REDOUBT_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
  using namespace redoubt::pg;
  if (!process_shared_preload_libraries_in_progress) return;
  settings_define();
  kek_load();
  shared_memory_init(kSharedParts);
  limits_worker_register();
  vault_sweep_register();
  hooks_install();
}
