// worker.cpp - how the background workers of the library are described to the postmaster.
//
// What each of them does is elsewhere: limits_worker.cpp, vault_sweep.cpp.
// Covered by test/tap/neighbours.pl.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/worker.h"

namespace redoubt::pg {

BackgroundWorker worker_description(const char *function, const char *name, BgWorkerStartTime start, int restart) {
  BackgroundWorker worker = {};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = start;
  worker.bgw_restart_time = restart;
  strlcpy(worker.bgw_library_name, "redoubt", sizeof worker.bgw_library_name);
  strlcpy(worker.bgw_function_name, function, sizeof worker.bgw_function_name);
  strlcpy(worker.bgw_name, name, sizeof worker.bgw_name);
  strlcpy(worker.bgw_type, name, sizeof worker.bgw_type);
  return worker;
}

void worker_register(const BackgroundWorker &worker, const char *without) {
  BackgroundWorker copy = worker;
  RegisterBackgroundWorker(&copy);
  if (compat_worker_is_registered(worker.bgw_name)) return;
  ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                    errmsg("redoubt: no background worker is left for \"%s\": %s", worker.bgw_name, without),
                    errhint("Raise max_worker_processes and restart the server.")));
}

}  // namespace redoubt::pg
