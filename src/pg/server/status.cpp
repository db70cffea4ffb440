// server/status.cpp - status(): is this server in working order, and what does it not cover?
//
// It names no path of a key, no key and no value.  Nothing raises because something is out of order: that is a row.
// Covered by sql/status.sql, test/tap/check.pl, keys.pl, limits_durable.pl and not_preloaded.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_anchor.h"
#include "pg/audit/audit_archive.h"
#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_server.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/compat.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"
#include "pg/keys/key_store.h"
#include "pg/limits/borrow.h"
#include "pg/limits/limits_shmem.h"
#include "pg/server/metering_gaps.h"
#include "pg/vault/vault_store.h"

extern "C" {
#include <sys/statvfs.h>
#include <unistd.h>
}

namespace redoubt::pg {
namespace {

// How long the worker may have saved nothing before that is said.
constexpr int64 kCountersOverdue = 10 * USECS_PER_SEC;

// Free space of the trail's file system below which it is low, and nearly gone, in bytes.
constexpr std::uint64_t kLowSpace = std::uint64_t{1} << 30;
constexpr std::uint64_t kNoSpace = std::uint64_t{1} << 26;

// What a row means to whoever is on call.
enum class Severity : std::uint8_t { info, ok, warning, error };

class Rows {
 public:
  explicit Rows(ReturnSetInfo *result) noexcept : result_(result) {}
  void put(const char *item, const char *value, Severity severity) {
    constexpr const char *kNames[] = {"info", "ok", "warning", "error"};
    Datum values[] = {CStringGetTextDatum(item), CStringGetTextDatum(value),
                      CStringGetTextDatum(kNames[static_cast<int>(severity)])};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
  }

 private:
  ReturnSetInfo *result_;
};

const char *size_text(std::uint64_t bytes) {
  return TextDatumGetCString(DirectFunctionCall1(pg_size_pretty, Int64GetDatum(static_cast<int64>(bytes))));
}

void put_keys(Rows *rows, bool ready) {
  rows->put("key-encryption key", kek_available() ? kek_fingerprint() : psprintf("none: %s", kek_problem()),
            kek_available() ? Severity::ok : Severity::error);
  if (kek_available(KekRole::previous))
    rows->put("previous key-encryption key", kek_fingerprint(KekRole::previous), Severity::info);
  else if (kek_problem(KekRole::previous)[0] != '\0')
    rows->put("previous key-encryption key", psprintf("none: %s", kek_problem(KekRole::previous)), Severity::warning);
  if (!ready) return;
  const List *keys = key_store_rows();
  int unopened = 0;
  const char *lines = key_store_unopened(keys, &unopened);
  rows->put("keys that can be opened", psprintf("%d", list_length(keys) - unopened), Severity::info);
  rows->put("keys that cannot be opened", unopened == 0 ? "0" : psprintf("%d: %s", unopened, lines),
            unopened == 0 ? Severity::ok : Severity::error);
}

void put_trail(Rows *rows) {
  rows->put("server", audit_server_id(), Severity::info);
  rows->put("audit directory", setting_audit_directory, Severity::info);
  rows->put("audit durability", setting_audit_durability == static_cast<int>(Durability::sync) ? "sync" : "async",
            Severity::info);
  if (setting_audit_durability == static_cast<int>(Durability::sync)) {
    const AuditJournalState journal = audit_journal_state();
    rows->put("audit journal",
              journal.used           ? "used"
              : journal.problem == 0 ? "not used until the next flush"
                                     : psprintf("not used, flushes take longer: %s", strerror(journal.problem)),
              journal.problem == 0 ? Severity::ok : Severity::warning);
  }
  AuditRange range;
  const int failed = access(setting_audit_directory, R_OK | W_OK | X_OK) != 0 ? errno : audit_directory_list(range);
  if (const AuditRefusal refusal = audit_server_problem(); refusal.problem != nullptr)
    rows->put("audit trail", psprintf("%s: %s", refusal.problem, refusal.hint), Severity::error);
  else if (failed == ENOENT || (failed == 0 && range.last == 0))
    rows->put("audit trail", "not begun: nothing has been recorded", Severity::info);
  else if (failed != 0)
    rows->put("audit trail", psprintf("cannot be written: %s", strerror(failed)), Severity::error);
  else
    rows->put("audit trail",
              psprintf("%llu segments of up to %d kB", static_cast<unsigned long long>(range.last),
                       setting_audit_segment_size),
              Severity::ok);
  struct statvfs space = {};
  if (failed == 0 && statvfs(setting_audit_directory, &space) == 0) {
    const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
    rows->put("audit disk space", psprintf("%s free", size_text(free)),
              free < kNoSpace    ? Severity::error
              : free < kLowSpace ? Severity::warning
                                 : Severity::ok);
  }
  const AuditVerified verified = audit_last_verified();
  if (verified.at == 0)
    rows->put("audit verified", "not since the server started", Severity::info);
  else
    rows->put(
        "audit verified",
        psprintf("%s: %s", timestamptz_to_str(verified.at), verified.ok ? "whole" : "not whole; see verify_audit()"),
        verified.ok ? Severity::ok : Severity::error);
}

// Says nothing where nothing is to be archived, also where somebody tried.
void put_archive(Rows *rows) {
  const AuditArchiveState state = audit_archive_state();
  const char *const directory = setting_audit_archive_directory;
  if (directory[0] == '\0' && setting_audit_retention == 0) return;
  const char *const where = directory[0] != '\0' ? directory : "redoubt.audit_archive_directory is not set";
  if (state.at == 0)
    rows->put("audit archive", psprintf("%s: nothing was archived since the server started", where),
              directory[0] == '\0' && setting_audit_retention > 0 ? Severity::error : Severity::info);
  else if (state.ok)
    rows->put("audit archive", psprintf("%s: looked through %s", where, timestamptz_to_str(state.at)), Severity::ok);
  else
    rows->put("audit archive", psprintf("%s: failed %s; see the server log", where, timestamptz_to_str(state.at)),
              Severity::warning);
}

void put_anchor(Rows *rows) {
  if (setting_anchor_command[0] == '\0') return;
  const AuditAnchorState state = audit_anchor_state();
  const char *const sent = state.sent_at == 0 ? "none was sent since the server started"
                                              : psprintf("sent %s", pstrdup(timestamptz_to_str(state.sent_at)));
  if (state.failed_at != 0)
    rows->put("audit anchor",
              psprintf("failed %s; see the server log; %s", pstrdup(timestamptz_to_str(state.failed_at)), sent),
              Severity::warning);
  else
    rows->put("audit anchor", sent, state.sent_at == 0 ? Severity::info : Severity::ok);
}

void put_fill(Rows *rows, const char *item, long used, long capacity) {
  rows->put(item, psprintf("%ld of %ld", used, capacity),
            used >= capacity                 ? Severity::error
            : used > capacity - capacity / 5 ? Severity::warning
                                             : Severity::ok);
}

void put_limits(Rows *rows) {
  const bool recent = GetCurrentTimestamp() - limits_saved_at() < kCountersOverdue;
  rows->put("limit counters", recent ? "saved" : "not saved: a crash loses them; see the server log",
            recent ? Severity::ok : Severity::warning);
  const LimitsFill fill = limits_fill();
  put_fill(rows, "limit buckets", fill.buckets, fill.bucket_capacity);
  put_fill(rows, "usage entries", fill.usages, fill.usage_capacity);
}

// Whether the server of redoubt.budget_server lends: it is asked now.
void put_borrowing(Rows *rows) {
  if (setting_budget_server[0] == '\0') return;
  TimestampTz since = 0;
  const char *const problem = borrow_try(&since);
  if (problem == nullptr)
    return rows->put("borrowed budget", "the server of redoubt.budget_server lends", Severity::ok);
  rows->put(
      "borrowed budget",
      psprintf(
          "charges are refused since %s: %s%s", pstrdup(timestamptz_to_str(since)), problem,
          RecoveryInProgress() ? "" : "; this server is no standby: was it promoted with redoubt.budget_server set?"),
      Severity::error);
}

}  // namespace
}  // namespace redoubt::pg

// status() -> setof (item, value, severity)
REDOUBT_FUNCTION(redoubt_status) {
  using namespace redoubt::pg;
  InitMaterializedSRF(fcinfo, 0);
  Rows rows(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
  const bool ready = shared_memory_ready();
  rows.put("version", REDOUBT_VERSION, Severity::info);
  rows.put("preloaded", ready ? "yes" : "no: add redoubt to shared_preload_libraries and restart",
           ready ? Severity::ok : Severity::error);
  put_keys(&rows, ready);
  rows.put("superuser access", setting_superuser_access ? "on" : "off",
           setting_superuser_access ? Severity::warning : Severity::ok);
  if (!enforcing()) rows.put("mode", "nothing is refused: redoubt.mode is not enforce", Severity::warning);
  if (setting_budget_share < 1)
    rows.put("budget share", psprintf("%g of each limit", setting_budget_share), Severity::info);
  if (ready) {
    put_trail(&rows);
    put_archive(&rows);
    put_anchor(&rows);
    put_limits(&rows);
    put_borrowing(&rows);
  }
  if (const Oid vault = vault_relation(); OidIsValid(vault)) {
    const Datum size = DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(vault));
    rows.put("vault", size_text(static_cast<std::uint64_t>(DatumGetInt64(size))), Severity::info);
  }
  for (const Uncovered &gap : kUncovered) rows.put(psprintf("not covered: %s", gap.name), gap.what, Severity::info);
  return static_cast<Datum>(0);
}
