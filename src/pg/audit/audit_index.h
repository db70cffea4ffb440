// audit_index.h - what a closed segment holds: the first and the last sequence number and time of its lines.
//
// segment-0000000001.jsonl.index beside a segment is one line and its authenticator under the audit key.  The first
// query that reads a closed segment writes it, so that later ones can pass the segment over.  It is an index of the
// file as it was read: another size, inode, or time of change, and it counts for nothing.  Nothing but queries use it:
// verify_audit() reads the segments.
// Locks: none; the file is put in place by a rename.
// Covered by test/tap/audit_query.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_INDEX_H
#define REDOUBT_PG_AUDIT_AUDIT_INDEX_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Of the lines that have both; first > last where none has.  Times are milliseconds since the Unix epoch.
struct AuditExtent {
  std::int64_t first_sequence = INT64_MAX, last_sequence = -1;
  std::int64_t first_time = INT64_MAX, last_time = -1;
};

// Widens the extent by what a line has of both; -1: nothing.
void audit_extent_add(AuditExtent &extent, std::int64_t sequence, std::int64_t time) noexcept;

// False where there is no index, or none that can be relied on.
bool audit_index_read(std::uint64_t segment, AuditExtent &extent) noexcept;

// `read` says which file `extent` was read out of.  Writes nothing where the file is younger than two seconds, whose
// next change its times might not tell.  What fails here costs time alone, so it is not reported.
void audit_index_write(std::uint64_t segment, const struct stat &read, const AuditExtent &extent) noexcept;

// The extent of a closed segment, by its index or by reading it, which writes one.  False where there is no such file.
// Raises where it cannot be read.
bool audit_index_extent(std::uint64_t segment, AuditExtent &extent);

// Removes the index of a segment that is gone.
void audit_index_remove(std::uint64_t segment) noexcept;

}  // namespace redoubt::pg
#endif
