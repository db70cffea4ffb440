// audit_heads.h - signed heads of closed segments, by which a trail is verified without the key that chains it.
//
// heads.jsonl in the audit directory has a line for each closed segment (core/audit_archive), signed with a key that is
// derived from the KEK, so nothing is stored that has to be kept secret.  The worker of the trail writes it: it
// verifies and digests a segment once it is closed, outside of every lock.  While the previous KEK is configured,
// segments that it chained are verified by it and signed anew by the present one.
//
// Who has the public key alone can check the file against the segments: bin/redoubt-verify-audit.  The server uses it
// for segments of a KEK that it has not any more. Locks: flock on heads.jsonl.  Covered by test/tap/audit_heads.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_HEADS_H
#define REDOUBT_PG_AUDIT_AUDIT_HEADS_H

#include "pg/base/boundary.h"

#include "core/audit_archive.h"

namespace redoubt::pg {

// Signs what is closed and not signed yet.  Needs a transaction and the KEK; raises 58030.
void audit_heads_sign();

// Packs what is closed and signed.  As above.
void audit_heads_pack();

// Where the heads are that name this server's key, by segment.
struct AuditHeadPlaces {
  struct Place {
    std::uint64_t segment, offset;
    std::size_t size;
    bool archived;
  };
  Place *places = nullptr;
  std::size_t count = 0;
  bool read = false;
};

// What `fd` holds is the segment that a head in the file tells of, signed with this server's key, and verified then.
// `found` is what the verifier made of its lines, without the key that chains them.  `places` is read at the first
// call.
bool audit_heads_vouch(AuditHeadPlaces &places, int fd, std::uint64_t segment, const AuditHead &found,
                       std::uint64_t &records);

}  // namespace redoubt::pg
#endif
