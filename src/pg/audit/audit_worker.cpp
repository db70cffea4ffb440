// audit_worker.cpp - archives segments of the trail that are older than redoubt.audit_retention, once a minute.
//
// Connected to no database, so it works on a standby.  What goes wrong ends the process with an ERROR in the server
// log, and the postmaster starts it again a minute later: so the reason is logged once a minute, and status() shows it.
// Locks: those of audit_archive.  Covered by test/tap/audit_archive.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_archive.h"
#include "pg/audit/audit_worker.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/base/worker.h"

namespace redoubt::pg {
namespace {

constexpr long kRoundMs = 60 * 1000;

// Waits; returns false when the process has to end.
bool rest() {
  const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH, kRoundMs, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  if (ConfigReloadPending) {
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
  }
  return (events & WL_POSTMASTER_DEATH) == 0 && !ShutdownRequestPending;
}

void in_transaction(void (*run)()) {
  SetCurrentStatementStartTimestamp();
  StartTransactionCommand();
  run();
  CommitTransactionCommand();
}

void archive() {
  const TimestampTz before = GetCurrentTimestamp() - setting_audit_retention * USECS_PER_SEC;
  audit_archive_before(
      before, [](const AuditArchived &, void *) {}, nullptr);
}

}  // namespace
}  // namespace redoubt::pg

REDOUBT_WORKER(redoubt_audit_main) {
  using namespace redoubt::pg;
  pqsignal(SIGTERM, die);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  if (kek_available()) in_transaction(audit_archive_reseal);
  do {
    if (setting_audit_retention > 0 && kek_available()) in_transaction(archive);
  } while (rest());
  proc_exit(1);
}

namespace redoubt::pg {

void audit_worker_register() {
  const BackgroundWorker worker =
      worker_description("redoubt_audit_main", "redoubt audit", BgWorkerStart_ConsistentState, 60);
  worker_register(worker, "segments of the audit trail are archived by redoubt.archive_audit() alone");
}

}  // namespace redoubt::pg
