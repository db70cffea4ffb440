// worker.h - the background worker that keeps limit counters on disk, and how all workers of the library are described.
#ifndef REDOUBT_PG_WORKER_H
#define REDOUBT_PG_WORKER_H

#include "pg/boundary.h"

namespace redoubt::pg {

// What the postmaster is told of a worker of this library that is connected to a database or to none: the C function
// that it runs, its name in pg_stat_activity, from when on it may run, and after how many seconds it is started again.
BackgroundWorker worker_description(const char *function, const char *name, BgWorkerStartTime start, int restart);

// Registers the worker.  Call while preloading.
void worker_register();

}  // namespace redoubt::pg
#endif
