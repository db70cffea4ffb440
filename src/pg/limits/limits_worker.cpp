// limits_worker.cpp - saves buckets and usage counters twice a second, where they changed, and tells when somebody has
// set the clock.  It also keeps the worker that borrows values from another server (lease_worker.h).
//
// Charges made since the last save are what a crash loses: half a second and the time a save
// takes.  A large table must not keep the disk busy, so the worker rests at least four
// times as long as the save took; then the loss grows with the table.
//
// Shown in pg_stat_activity, but connected to no database, so it works on a standby.  It ends with status 1: the
// postmaster starts it again, unless it is shutting down.  After the postmaster's death it saves once more; charges are
// refused from then on (limits.cpp).
//
// Locks: kLimitsLock, inside limits_store_save.  Covered by test/tap/limits_durable.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/limits/limit_clock.h"
#include "pg/limits/lease_worker.h"
#include "pg/limits/limits_store.h"
#include "pg/base/worker.h"
#include "pg/limits/limits_worker.h"

namespace redoubt::pg {
namespace {

constexpr long kRestMs = 500;
constexpr long kRestPerSave = 4;

// Returns false when the postmaster is gone.
bool rest(long ms) {
  const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH, ms, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();  // DROP DATABASE and others wait until every process has seen their barrier
  if (ConfigReloadPending) {
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
  }
  return (events & WL_POSTMASTER_DEATH) == 0;
}

// Limits go by a clock of their own, so that no budget has changed; the trail's times have.
void tell_step() {
  const int64 step = limit_clock_step();
  if (step == 0) return;
  char what[96];
  snprintf(what, sizeof what, "the clock was set %s by %.3f s", step > 0 ? "forward" : "back",
           std::abs(static_cast<double>(step)) / USECS_PER_SEC);
  ereport(WARNING, (errmsg("redoubt: %s", what), errdetail("Limits go on as if it had not been."),
                    errhint("Times in the audit trail before and after do not compare.")));
  if (!kek_available()) return;
  StartTransactionCommand();
  audit_note("clock", "set", "%s", what);
  CommitTransactionCommand();
}

}  // namespace
}  // namespace redoubt::pg

REDOUBT_WORKER(redoubt_worker_main) {
  using namespace redoubt::pg;
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);  // to no database; makes it visible
  MemoryContext context = AllocSetContextCreate(TopMemoryContext, "redoubt worker", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(context);
  bool alive = true;
  while (alive && !ShutdownRequestPending) {
    const TimestampTz began = GetCurrentTimestamp();
    tell_step();
    lease_worker_keep();
    MemoryContextSwitchTo(context);
    (void)limits_store_save(true);
    MemoryContextReset(context);
    alive = rest(std::max(kRestMs, kRestPerSave * TimestampDifferenceMilliseconds(began, GetCurrentTimestamp())));
  }
  (void)limits_store_save(true);
  proc_exit(1);
}

namespace redoubt::pg {

void limits_worker_register() {
  const BackgroundWorker worker =
      worker_description("redoubt_worker_main", "redoubt limits", BgWorkerStart_ConsistentState, 1);
  worker_register(worker, "limit counters are not saved, and a crash loses them");
}

}  // namespace redoubt::pg
