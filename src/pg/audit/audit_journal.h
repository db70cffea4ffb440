// audit_journal.h - the sync journal: what makes a flush of the trail as cheap as one of WAL.
//
// Flushing a file that grows waits for the journal of the file system, because the file's size changes; WAL's segments
// do not grow.  So `journal` in the audit directory has a fixed size and is filled with zeros when it is made.  A flush
// copies to it what was written to the segment since the flush before, and waits for that alone.  The segment itself is
// flushed when the journal is full, when another segment has begun, and where there is no journal.
//
// The journal holds a part of one segment, without gaps, from a position up to which all segments are on disk.  After a
// crash of the operating system, what the segment lost is copied back from it, if it continues the chain there.
//
// What it is not: a part of the trail. It proves nothing, and verification does not read it.  Nothing read from it is
// believed: checksums tell what was written whole, the chain what belongs to the trail.
// Locks: kAuditFlushLock guards AuditJournal; it is recovered by the process that opens the trail.
// Covered by test/tap/audit_journal.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_JOURNAL_H
#define REDOUBT_PG_AUDIT_AUDIT_JOURNAL_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// A position in the trail: the first `offset` bytes of a segment, and all segments before it.
struct AuditMark {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  auto operator<=>(const AuditMark &) const = default;
};

// In shared memory.
struct AuditJournal {
  bool ready;          // entries can be put
  bool kept;           // a segment could not be flushed: what the journal holds of it is kept until the restart
  ino_t inode;         // of the file
  AuditMark from, to;  // what the entries hold
  std::uint64_t at;    // where the next one goes
  int problem;         // errno: why it is not ready; 0: not known
};

// audit_journal_put copies a part of a segment, read from `fd`, and returns when it is on disk; false: the segment has
// to be flushed itself.
bool audit_journal_put(AuditJournal &journal, AuditMark from, AuditMark to, int fd) noexcept;

// audit_journal_restart: all segments are on disk up to `mark`, where the next entry begins.  With `make`, a file that
// is missing is made, and another thing in its place set aside.  True: it was made, and the directory is to be flushed.
bool audit_journal_restart(AuditJournal &journal, AuditMark mark, bool make) noexcept;

// What audit_journal_recover has to say: bytes that it gave back to a segment, or why the file was set aside.
struct AuditJournalNotes {
  std::uint64_t segment = 0;
  std::uint64_t restored = 0;
  const char *problem = nullptr;
};

// audit_journal_recover gives back to a segment what it lost; where the trail is opened, under a KEK.  Returns 0, or
// errno where the segment could not be read or written, nor the journal be opened now: the trail is not to be opened.
int audit_journal_recover(AuditJournalNotes &notes) noexcept;

}  // namespace redoubt::pg
#endif
