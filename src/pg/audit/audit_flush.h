// audit_flush.h - which part of the audit trail is on disk, for redoubt.audit_durability = sync.
//
// Group commit: a writer whose event is not on disk yet waits for the flush in progress, or makes one itself, which
// covers everything that all writers have written by then.  A flush goes through the segments in order, so what is
// durable is one position, and everything before it is durable as well.
//
// A flush that failed is never repeated: the kernel may have dropped the pages and report success the next time.  What
// was written to these segments after the last good flush counts as lost for ever, its writers get the error, and
// writing goes on in a new segment.
//
// Where there is a sync journal (audit_journal.h), a flush goes there; else to the segments.
//
// Locks: who flushes holds kAuditFlushLock, and who waits waits for it, as for WAL; kAuditLock is not held meanwhile,
// so others go on writing.  `mutex` guards the fields of AuditFlush; no system call is made under it. Covered by
// test/tap/audit_sync.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_FLUSH_H
#define REDOUBT_PG_AUDIT_AUDIT_FLUSH_H

#include "pg/base/boundary.h"

#include "pg/audit/audit_journal.h"

extern "C" {
#include "storage/spin.h"
}

namespace redoubt::pg {

// In shared memory.
struct AuditFlush {
  slock_t mutex;
  AuditMark durable;           // on disk up to here
  std::uint64_t listed;        // segments up to this one are on disk in the directory, too
  AuditMark lost_after;        // after this, up to the end of segment lost_through, nothing becomes durable
  std::uint64_t lost_through;  // 0: no flush has failed
  int lost_error;              // errno of the last flush that failed
  AuditJournal journal;        // has a lock of its own
};
static_assert(std::is_trivially_destructible_v<AuditFlush>);

void audit_flush_init(AuditFlush *flush) noexcept;

// audit_flush_begin says what is durable when the trail is opened, before anything is written.
void audit_flush_begin(AuditFlush *flush, AuditMark durable) noexcept;

// True of a segment of which a part is lost: nothing more is to be written to it.
bool audit_flush_left(AuditFlush *flush, std::uint64_t segment) noexcept;

// audit_flush_to returns when everything up to `mine` is on disk, or what failed in words (null: nothing), with errno.
// `written` tells how far the trail is written now, `fd` is this process's descriptor of a segment.  Waits for two
// flushes at most, without listening to interrupts, as a commit does.
const char *audit_flush_to(AuditFlush *flush, AuditMark mine, AuditMark (*written)(), int fd,
                           std::uint64_t fd_segment) noexcept;

}  // namespace redoubt::pg
#endif
