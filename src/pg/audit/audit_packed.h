// audit_packed.h - closed segments of the trail as gzip files (RFC 1952), segment-0000000001.jsonl.gz.
//
// A packed segment is the file it was, byte for byte: digests, heads and chain are those of its content.  Who reads one
// gets the content in a file without a name, which is gone when it is closed.  Where both files are there, a crash came
// between making one and removing the other, and the plain one counts. What packs: the worker, where
// redoubt.audit_compress is on, or an operator's gzip. Locks: none; who packs or archives holds the one on heads.jsonl
// or archived.jsonl. Covered by test/tap/audit_packed.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_PACKED_H
#define REDOUBT_PG_AUDIT_AUDIT_PACKED_H

#include "pg/base/boundary.h"

#include "pg/audit/audit_directory.h"

namespace redoubt::pg {

AuditPath audit_packed_path(std::uint64_t segment) noexcept;

// Opens the content of a packed segment for reading, as a plain descriptor or as a transient one of PostgreSQL's.
// -1: errno; ENOENT where there is no such file.  The second may raise besides.  Where the file is damaged, or unpacks
// to more than a segment can hold, a line that is none says so.
int audit_unpack(std::uint64_t segment) noexcept;
int audit_unpack_transient(std::uint64_t segment);

// Packs a closed segment whose plain file is `fd`: when this returns, the packed file is on disk, was read back and
// compared, and the plain one is gone.  Raises.
void audit_pack(std::uint64_t segment, int fd);

}  // namespace redoubt::pg
#endif
