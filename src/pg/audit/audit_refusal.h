// audit_refusal.h - refusals on their way to the audit trail: denials and blocks, which anybody can cause at will.
//
// The first refusal of a kind in a client's statement is written at once.  Those that follow in the same statement are
// counted, and one record at its end says how many.  A session writes kRefusalRecordsPerSecond of these records a
// second at most; what comes beyond is counted as well, and written by a later statement or at the end of the session.
// Nothing but a crash loses a count, and no crash loses the first refusal of a session.
//
// Invariant: the counts of all records of a kind add up to what was refused.
// Locks: none; all state is per process.
// Covered by test/tap/audit_flood.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_REFUSAL_H
#define REDOUBT_PG_AUDIT_AUDIT_REFUSAL_H

#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"

namespace redoubt::pg {

constexpr int kRefusalRecordsPerSecond = 50;

// audit_refused records or counts a refusal: `event.count` values of it, 1 where that is -1.  Refusals are of one kind
// where event, type, operation, detail and the users are the same.  Raises as audit_write does.
void audit_refused(AuditEvent event);

// The same where an error is on its way already: writes to the server log what keeps it from the trail.
void audit_try_refused(AuditEvent event);

// audit_refusals_flush writes the counts.  True of audit_refusals_pending, there are some.  With `raise` it raises as
// audit_write does; what could not be written is kept for the next time.
inline constinit bool audit_refusals_pending = false;
void audit_refusals_flush(bool raise);

}  // namespace redoubt::pg
#endif
