// audit_trail.h - appends events to the tamper-evident audit trail.
//
// The trail is a directory of segment files of JSON lines, HMAC-chained; one
// LWLock in shared memory orders all writers.  Encoding and chaining are
// core/audit_record and core/audit_chain; reading and verifying are
// audit_view.cpp.
#ifndef REDOUBT_PG_AUDIT_TRAIL_H
#define REDOUBT_PG_AUDIT_TRAIL_H

#include "pg/boundary.h"

namespace redoubt::pg {

// One event.  Who, where and when (session, current and authenticated user,
// database, client address, application_name, query id, pid, time) are filled
// in by the writer.  No field may ever hold plaintext, a token or a key.
struct AuditEvent {
  const char *event =
      "";  // "reveal", "denial", "throttle", "block", "limit", "grant", "revoke", "key", "label", "type", "settings"
  const char *outcome = "success";  // "success", "denied", "intent", "failure"
  Oid token_type = InvalidOid;      // the token type concerned, if any
  const char *operation = nullptr;  // "read", "reveal", "masked", "tokenize", or the command ("create_key"...)
  int64 count = -1;                 // values concerned; -1 = not applicable
  const char *detail = nullptr;     // short text for people; server encoding
};

// Shared-memory sizing and start-up, for shared_memory.cpp; called in the
// postmaster while preloading / from shmem_startup_hook (with AddinShmemInitLock
// held by the caller).
Size audit_trail_shmem_size();
void audit_trail_shmem_startup();

// audit_write appends the event; when it returns the line has been write()n,
// and with redoubt.audit_durability = sync also fsync()ed.  Raises 55000 (not
// preloaded, no KEK) or 58030 (cannot be written, hint how to mend it).  Call
// through call() where destructors are alive.
void audit_write(const AuditEvent &event);

// audit_try_write is audit_write for places that must not raise (abort
// callbacks): it returns false and writes a LOG line instead.
bool audit_try_write(const AuditEvent &event) noexcept;

}  // namespace redoubt::pg
#endif
