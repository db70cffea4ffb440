// audit_worker.cpp - signs segments of the trail that were closed, within seconds, packs them where
// redoubt.audit_compress is on, sends anchors, and archives those that are older than redoubt.audit_retention, once a
// minute.
//
// Connected to no database, so it works on a standby.  What goes wrong ends the process with an ERROR in the server
// log, and the postmaster starts it again a minute later: so the reason is logged once a minute, and status() shows it.
// Locks: those of audit_archive.  Covered by test/tap/audit_archive.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_anchor.h"
#include "pg/audit/audit_archive.h"
#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_heads.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/audit_worker.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/base/worker.h"

namespace redoubt::pg {
namespace {

constexpr long kRoundMs = 2 * 1000;
constexpr int kArchiveMs = 60 * 1000;

// What was signed last: the segment that was written to, and the size of archived.jsonl.
struct Seen {
  std::uint64_t segment = 0;
  off_t archived = -1;
  bool operator==(const Seen &) const = default;
};

Seen look() noexcept {
  Seen seen;
  AuditPosition position;
  if (audit_position(position, false) == 0) seen.segment = position.head.segment;
  struct stat st;
  if (lstat(audit_path_beside(kAuditArchivedFile).text, &st) == 0) seen.archived = st.st_size;
  return seen;
}

// Waits; returns false when the process has to end.  `reloaded` is set where the settings were read anew.
bool rest(bool &reloaded) {
  const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH,
                               std::min(kRoundMs, setting_anchor_interval * 1000L), PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  if (ConfigReloadPending) {
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
    reloaded = true;
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
  Seen signed_at, packed_at;
  TimestampTz archived_at = 0;
  bool due = true;
  do {
    if (!kek_available()) continue;
    if (const Seen seen = look(); seen.segment != 0 && seen != signed_at) {
      in_transaction(audit_heads_sign);
      signed_at = seen;
    }
    if (!setting_audit_compress) packed_at = {};
    if (setting_audit_compress && packed_at != signed_at) {
      in_transaction(audit_heads_pack);
      packed_at = signed_at;
    }
    audit_catch_up();
    audit_anchor_send(signed_at.segment);
    due = due || TimestampDifferenceExceeds(archived_at, GetCurrentTimestamp(), kArchiveMs);
    if (setting_audit_retention == 0 || !due) continue;
    in_transaction(archive);
    archived_at = GetCurrentTimestamp();
    due = false;
  } while (rest(due));
  proc_exit(1);
}

namespace redoubt::pg {

void audit_worker_register() {
  const BackgroundWorker worker =
      worker_description("redoubt_audit_main", "redoubt audit", BgWorkerStart_ConsistentState, 60);
  worker_register(worker, "segments of the audit trail are archived by redoubt.archive_audit() alone");
}

}  // namespace redoubt::pg
