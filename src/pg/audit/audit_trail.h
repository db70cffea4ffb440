// audit_trail.h - appends events to the tamper-evident audit trail.
//
// The trail is a directory of segment files of JSON lines, HMAC-chained; one
// LWLock in shared memory orders all writers.  Encoding and chaining are
// core/audit_record and core/audit_chain; files are audit_directory; reading and
// verifying are audit_view.cpp.
#ifndef REDOUBT_PG_AUDIT_AUDIT_TRAIL_H
#define REDOUBT_PG_AUDIT_AUDIT_TRAIL_H

#include "pg/base/boundary.h"

#include "core/audit_chain.h"
#include "pg/audit/audit_mac.h"

namespace redoubt::pg {

// One event.  Who, where and when (session, current and authenticated user,
// database, client address, application_name, query id, pid, time) are filled
// in by the writer.  No field may ever hold plaintext, a token or a key.
struct AuditEvent {
  const char *event = "";           // docs/reference.md, "Audit events", lists events, operations and outcomes
  const char *outcome = "success";  // "success", "aborted", "denied", "intent", "failure"
  Oid token_type = InvalidOid;      // the token type concerned, if any
  const char *operation = nullptr;  // that of a limit, or the command ("create_key"...)
  int64 count = -1;                 // values concerned; -1 = not applicable
  const char *detail = nullptr;     // short text for people; server encoding
  bool follows_intent = false;      // an intent that is on disk says that it comes: no flush is waited for
  Oid session_user = InvalidOid;    // who it was, where that is not who it is now
  Oid current_user = InvalidOid;
};

// Shared-memory sizing and start-up, for shared_memory.cpp; called in the
// postmaster while preloading / from shmem_startup_hook (with AddinShmemInitLock
// held by the caller).
Size audit_trail_shmem_size();
void audit_trail_shmem_startup();

// audit_write appends the event; when it returns the line has been write()n,
// and with redoubt.audit_durability = sync also flushed to disk.  Raises 55000 (not
// preloaded, no KEK) or 58030 (cannot be written, hint how to mend it).  Call
// through call() where destructors are alive.
void audit_write(const AuditEvent &event);

// audit_note is audit_write of what was done, for no token type, with a detail as of printf.  Where nothing can be
// recorded (no shared memory, no KEK) it does nothing.
[[gnu::format(gnu_printf, 3, 4)]] void audit_note(const char *event, const char *operation, const char *detail, ...);

// audit_pace waits, interruptibly, where this session has come here 50 times within a second; not for superusers.  It
// goes before records that anybody can cause at will, by commands that are allowed: or one role could soon fill the
// disk, and stop all reveals.  audit_note does it by itself.
void audit_pace();

// audit_make_durable returns when everything that is written is on disk, whatever redoubt.audit_durability says; raises
// 58030.
void audit_make_durable();

// The same with redoubt.audit_durability = sync alone, for what no writer has waited for.
void audit_catch_up();

// audit_try_write is audit_write for places that must not raise or look at the
// catalogs (abort callbacks, an error in flight): it returns false and writes a LOG
// line instead, once per reason.  Roles and types go by the names an earlier
// audit_write or audit_remember of this process saw; their OIDs are always right.
bool audit_try_write(const AuditEvent &event) noexcept;

// audit_remember looks up the names that a later audit_try_write may need: roles,
// database, and `token_type` if valid.  Needs a transaction; may raise.
void audit_remember(Oid token_type);

// Where the trail ends right now.  Everything up to here is complete on file.
struct AuditPosition {
  AuditHead head;
  std::uint64_t offset = 0;  // bytes of segment head.segment
};

// audit_position fetches the end of the trail.  If no event has been written since the server
// started there is none: with `open` the trail is then opened as the first writer would, without,
// head.segment is 0.  Returns 0, or errno when the trail cannot be opened.  Requires shared memory.
int audit_position(AuditPosition &position, bool open);

// The last verification of the trail since the server started.
struct AuditVerified {
  TimestampTz at;  // 0: there was none
  bool ok;
};
void audit_note_verified(bool ok) noexcept;
AuditVerified audit_last_verified() noexcept;

// audit_journal_state tells whether flushes go through the sync journal, and errno of what hinders it, or 0.
struct AuditJournalState {
  bool used;
  int problem;
};
AuditJournalState audit_journal_state() noexcept;

}  // namespace redoubt::pg
#endif
