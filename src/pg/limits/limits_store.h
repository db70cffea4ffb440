// limits_store.h - the file that buckets and usage counters survive in.
//
// redoubt_limits in the data directory: a header and the records of limits_shmem.h as they are in
// memory, under one CRC-32C.  It is replaced as a whole (temporary file, fsync, rename,
// fsync of the directory), so a crash leaves the one before.  A server's own: a standby and its
// primary each keep their own.
#ifndef REDOUBT_PG_LIMITS_LIMITS_STORE_H
#define REDOUBT_PG_LIMITS_LIMITS_STORE_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// limits_store_load fills the tables from the file, at server start, in the postmaster, and has
// them saved once more when the server ends.  Where the file is damaged, or is missing although the
// audit trail shows that the server ran before, a warning is logged and every bucket begins empty.
void limits_store_load();

// limits_store_save writes the file if the tables differ from what this process wrote last.
// False, and a LOG line, where it could not.  Does not raise; allocates in the current context.
bool limits_store_save(bool wait);

}  // namespace redoubt::pg
#endif
