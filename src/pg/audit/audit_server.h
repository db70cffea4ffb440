// audit_server.h - which server writes this trail, and whether it is this one's to write.
//
// Two files say it, `server` in the audit directory and `redoubt_server` in the data directory.  Each holds the
// server's id and the inode and time of birth of the file itself, so that a copy (a base backup, a clone, what
// pg_rewind brings) is told from the original: a server whose files are both copies is another server, and takes an id
// of its own.
//
// `server` is locked for the life of the postmaster, so no second server writes to the directory.  `redoubt_server`
// also says in which directory the trail began, so a directory that is gone, or not mounted, is not taken for a first
// start. In both cases the trail is refused, and with it every reveal.
//
// What it is not: a protection against who writes these files.  They keep mistakes apart, and the chain proves the
// rest. Locks: flock on `server`; all state is the postmaster's, inherited by fork. Covered by
// test/tap/audit_server.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_SERVER_H
#define REDOUBT_PG_AUDIT_AUDIT_SERVER_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Finds out who this is, in the postmaster while preloading.  A problem is a WARNING, not a failed start.
void audit_server_load();

// The server's id, a uuid; the system identifier of its cluster; and whose trail this one was copied from, "" for none.
const char *audit_server_id() noexcept;
const char *audit_server_cluster() noexcept;
const char *audit_server_copied_from() noexcept;

// Why the trail must not be opened: what could not be done, as words for "could not … the audit trail", with errno, or
// null.
const char *audit_server_refuses() noexcept;

// The same for people: what is wrong, and how to mend it; null where nothing is.
struct AuditRefusal {
  const char *problem;
  const char *hint;
};
AuditRefusal audit_server_problem() noexcept;

// A segment was created: from now on the directory has to be there.
void audit_server_began() noexcept;

}  // namespace redoubt::pg
#endif
