// lease_worker.h - the background worker that borrows values from another server.
#ifndef REDOUBT_PG_LIMITS_LEASE_WORKER_H
#define REDOUBT_PG_LIMITS_LEASE_WORKER_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// lease_worker_keep starts the worker where redoubt.budget_server is set and none of this process runs.  Called about
// twice a second by one process, the worker that saves counters.
void lease_worker_keep();

}  // namespace redoubt::pg
#endif
