// worker.h - the background worker that keeps limit counters on disk.
#ifndef REDOUBT_PG_WORKER_H
#define REDOUBT_PG_WORKER_H

namespace redoubt::pg {

// Registers the worker.  Call while preloading.
void worker_register();

}  // namespace redoubt::pg
#endif
