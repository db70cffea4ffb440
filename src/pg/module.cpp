// module.cpp - load time: settings, key, shared memory, workers, hooks.  Nothing else.
//
// Loaded on demand (not preloaded), the library defines nothing: tokens can be
// read, written, compared and dumped, and whatever reveals or tokenizes calls
// require_preloaded() and fails.
// Covered by test/tap/not_preloaded.pl.
#include "pg/boundary.h"

#include "pg/compat.h"
#include "pg/hooks.h"
#include "pg/kek.h"
#include "pg/settings.h"
#include "pg/shared_memory.h"
#include "pg/vault_sweep.h"
#include "pg/worker.h"

extern "C" {
REDOUBT_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
  using namespace redoubt::pg;
  if (!process_shared_preload_libraries_in_progress) return;
  settings_define();
  kek_load();
  shared_memory_init();
  worker_register();
  vault_sweep_register();
  hooks_install();
}
