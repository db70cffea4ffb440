// worker.h - how the background workers of the library are described to the postmaster.
#ifndef REDOUBT_PG_BASE_WORKER_H
#define REDOUBT_PG_BASE_WORKER_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// What the postmaster is told of a worker of this library that is connected to a database or to none: the C function
// that it runs, its name in pg_stat_activity, from when on it may run, and after how many seconds it is started again.
BackgroundWorker worker_description(const char *function, const char *name, BgWorkerStartTime start, int restart);

// worker_register hands such a worker to the postmaster.  Call while preloading.  Where all max_worker_processes are
// taken it warns of `without`, which is what the server then goes without.
void worker_register(const BackgroundWorker &worker, const char *without);

}  // namespace redoubt::pg
#endif
