// audit_worker.h - the background worker of the audit trail: what is to be done without anybody's asking.
#ifndef REDOUBT_PG_AUDIT_AUDIT_WORKER_H
#define REDOUBT_PG_AUDIT_AUDIT_WORKER_H

namespace redoubt::pg {

// Hands the worker to the postmaster.  Call while preloading.
void audit_worker_register();

}  // namespace redoubt::pg
#endif
