// audit_archive.h - closed segments of the trail that were moved to an archive, and what is kept of them.
//
// archived.jsonl in the audit directory has an authenticated line for each segment that was moved (core/audit_archive):
// by it the segments after are verified, and it tells a segment that was moved from one that is gone.  Nothing else
// makes one, so a segment leaves the trail unseen by no way but the KEK.
//
// A segment is copied, the copy is read and verified, the event that names it and its digest is on disk, then its line
// is, and then alone the segment is removed.  A crash in between leaves both, and the next call goes on.  The archive
// is the operator's: nothing here reads, changes or removes what is in it, but for a copy of the same segment.
//
// Locks: flock on archived.jsonl and on the archive's directory, so that one process archives at a time.
// Covered by test/tap/audit_archive.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_ARCHIVE_H
#define REDOUBT_PG_AUDIT_AUDIT_ARCHIVE_H

#include "pg/base/boundary.h"

#include "core/audit_archive.h"

namespace redoubt::pg {

constexpr const char *kAuditArchivedFile = "archived.jsonl";

// What archived.jsonl says, by segment.
struct AuditArchivedList {
  AuditArchived *entries = nullptr;
  std::size_t count = 0;
  std::uint64_t damaged_line = 0;  // the first line that is none, or not authentic; 0: there is none
};

// Reads it.  Lines under a KEK that this server does not have count as not verified.  Raises where the file cannot be
// read, or is no file.
AuditArchivedList audit_archived_list();

// The entry of a segment, or null.
const AuditArchived *audit_archived_find(const AuditArchivedList &list, std::uint64_t segment) noexcept;

// The first entry after a segment, or null.
const AuditArchived *audit_archived_after(const AuditArchivedList &list, std::uint64_t segment) noexcept;

// Moves each closed segment whose events are all older than `before` to redoubt.audit_archive_directory, from the
// oldest on, and tells `moved` of each.  Needs a transaction, preloading and the KEK; raises 55000, 55006 or 58030.
void audit_archive_before(TimestampTz before, void (*moved)(const AuditArchived &, void *), void *argument);

// Seals the lines that the previous KEK authenticates by the current one as well.
void audit_archive_reseal();

// How the last attempt to archive ended, of a function or of the worker; by status().
struct AuditArchiveState {
  TimestampTz at;  // 0: there was none since the server started
  bool ok;
};
AuditArchiveState audit_archive_state() noexcept;

Size audit_archive_shmem_size();
void audit_archive_shmem_startup();

}  // namespace redoubt::pg
#endif
