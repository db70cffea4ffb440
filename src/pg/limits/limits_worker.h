// limits_worker.h - the background worker that keeps limit counters on disk.
#ifndef REDOUBT_PG_LIMITS_LIMITS_WORKER_H
#define REDOUBT_PG_LIMITS_LIMITS_WORKER_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Registers the worker.  Call while preloading.
void limits_worker_register();

}  // namespace redoubt::pg
#endif
