// vault_sweep.cpp - two background workers: a launcher, and what it starts in one database after the other.
//
// A process of PostgreSQL's stays in one database, so the launcher, connected to none, reads pg_database every
// redoubt.sweep_interval and starts a worker per database, one at a time; databases that are templates or allow no
// connections are left out.  The worker deletes expired rows in batches of kBatch, each in a transaction of its own
// with an audit event, skips rows that somebody has locked, rests between batches, and ends; after kStayMs at the
// latest, to be started again, so that whoever wants the database for himself gets it in between.  On its way it
// deletes limits of roles that were dropped from another database (limit_rows.h).
//
// At server start the launcher makes a round in which the workers sweep nothing, but warn in the log of keys that this
// server cannot open, because its KEK is not that of the database.
//
// What is expired cannot be detokenized whether swept or not (vault.cpp): a sweep that is late, off, or finds no free
// worker slot leaves sealed rows lying about, no more.  Neither runs on a standby; without the KEK nothing is swept,
// since it could not be recorded.
//
// Locks: none of ours.  Covered by test/tap/vault.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/keys/key_store.h"
#include "pg/limits/limit_rows.h"
#include "pg/vault/vault_store.h"
#include "pg/vault/vault_sweep.h"
#include "pg/base/worker.h"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
}

namespace redoubt::pg {
namespace {

constexpr int kBatch = 1000;
constexpr long kRestMs = 10;             // between batches
constexpr int kStayMs = 2000;            // in a database at a stretch: DROP DATABASE gives up after 5 seconds
constexpr long kOffMs = 60 * 60 * 1000;  // while the sweep is off, a reload of the settings wakes the launcher

constexpr int kHalfDropped = -2;  // pg_database.datconnlimit after a DROP DATABASE that did not get through

struct Setting {
  const char *name, *value;
};
constexpr Setting kSettings[] = {{"default_transaction_read_only", "off"},
                                 {"default_transaction_isolation", "read committed"},
                                 {"lock_timeout", "0"}};

// Waits; returns false when the process has to end.
bool rest(long ms) {
  const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH, ms, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  return (events & WL_POSTMASTER_DEATH) == 0 && !ShutdownRequestPending;
}

// Waits for an interval, anew whenever the settings change; returns false when the process has to end.
bool rest_interval() {
  TimestampTz began = GetCurrentTimestamp();
  while (true) {
    const long interval = setting_sweep_interval > 0 ? setting_sweep_interval * 1000L : kOffMs;
    const long left = interval - static_cast<long>(TimestampDifferenceMilliseconds(began, GetCurrentTimestamp()));
    if (left <= 0) return true;
    if (!rest(left)) return false;
    if (!ConfigReloadPending) continue;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
    began = GetCurrentTimestamp();
  }
}

// The databases to visit, in `context`.
List *databases(MemoryContext context) {
  List *found = NIL;
  StartTransactionCommand();
  (void)GetTransactionSnapshot();
  Relation relation = table_open(DatabaseRelationId, AccessShareLock);
  TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
  while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
    const auto *database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
    if (database->datistemplate || !database->datallowconn || database->datconnlimit == kHalfDropped) continue;
    MemoryContext old = MemoryContextSwitchTo(context);
    found = lappend_oid(found, database->oid);
    MemoryContextSwitchTo(old);
  }
  table_endscan(scan);
  table_close(relation, AccessShareLock);
  CommitTransactionCommand();
  return found;
}

bool stayed(TimestampTz began) { return TimestampDifferenceExceeds(began, GetCurrentTimestamp(), kStayMs); }

// What a worker does in its database, the first byte of bgw_extra.
enum class Task : char { sweep, check_keys };

// Starts a worker in the database and waits for its end; false when this process has to end.
bool start_worker(Oid database, Task task) {
  BackgroundWorker worker =
      worker_description("redoubt_sweep_main", task == Task::sweep ? "redoubt sweep" : "redoubt key check",
                         BgWorkerStart_RecoveryFinished, BGW_NEVER_RESTART);
  worker.bgw_extra[0] = static_cast<char>(task);
  worker.bgw_main_arg = ObjectIdGetDatum(database);
  worker.bgw_notify_pid = MyProcPid;
  BackgroundWorkerHandle *handle = nullptr;
  if (!RegisterDynamicBackgroundWorker(&worker, &handle)) return true;  // no slot is free: the next round tries again
  pid_t pid = 0;
  while (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
    if (!rest(1000)) return false;
  pfree(handle);
  return true;
}

// A worker that was long away may not have come to the end of it.
bool visit(Oid database) {
  while (true) {
    const TimestampTz began = GetCurrentTimestamp();
    if (!start_worker(database, Task::sweep)) return false;
    if (!stayed(began)) return true;
  }
}

// A round over the databases; false when this process has to end.
bool round(MemoryContext context, Task task) {
  bool alive = true;
  for (const Oid database : oids_of(databases(context)))
    if (alive) alive = task == Task::sweep ? visit(database) : start_worker(database, task);
  MemoryContextReset(context);
  return alive;
}

}  // namespace
}  // namespace redoubt::pg

REDOUBT_WORKER(redoubt_sweep_launcher_main) {
  using namespace redoubt::pg;
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  MemoryContext context = AllocSetContextCreate(TopMemoryContext, "redoubt sweep", ALLOCSET_DEFAULT_SIZES);
  bool alive = !kek_available() || round(context, Task::check_keys);
  while (alive && rest_interval()) {
    if (setting_sweep_interval == 0 || !kek_available()) continue;
    alive = round(context, Task::sweep);
  }
  proc_exit(1);  // the postmaster starts it again, unless it is shutting down
}

REDOUBT_WORKER(redoubt_sweep_main) {
  using namespace redoubt::pg;
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(argument), InvalidOid, 0);
  // A database may have defaults for its users that are none for a sweep.
  for (const auto &[name, value] : kSettings) SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
  if (MyBgworkerEntry->bgw_extra[0] == static_cast<char>(Task::check_keys)) {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    key_store_warn();
    PopActiveSnapshot();
    CommitTransactionCommand();
    proc_exit(0);
  }
  const TimestampTz began = GetCurrentTimestamp();
  uint64 deleted = 0;
  do {
    CHECK_FOR_INTERRUPTS();
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    pgstat_report_activity(STATE_RUNNING, "deleting expired rows of redoubt.vault");
    deleted = OidIsValid(vault_relation()) ? vault_sweep(kBatch) : 0;
    limits_forget_gone();
    if (deleted > 0) audit_write({.event = "vault", .operation = "sweep", .count = static_cast<int64>(deleted)});
    PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_stat(true);
    pgstat_report_activity(STATE_IDLE, nullptr);
  } while (deleted == kBatch && !stayed(began) && rest(kRestMs));
  proc_exit(0);
}

namespace redoubt::pg {

void vault_sweep_register() {
  const BackgroundWorker worker =
      worker_description("redoubt_sweep_launcher_main", "redoubt sweep launcher", BgWorkerStart_RecoveryFinished, 60);
  worker_register(worker, "expired values stay in redoubt.vault, though nobody can detokenize them");
}

}  // namespace redoubt::pg
