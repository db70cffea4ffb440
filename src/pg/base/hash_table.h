// hash_table.h - makes the hash tables in which a backend remembers what it has found out.
//
// Backend-local, no locks.  An entry begins with its key, which is compared byte by byte.
#ifndef REDOUBT_PG_BASE_HASH_TABLE_H
#define REDOUBT_PG_BASE_HASH_TABLE_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// hash_table_make returns an empty table with room for about `entries`, in `context`.
template <typename Key, typename Entry>
HTAB *hash_table_make(const char *name, long entries, MemoryContext context) {
  HASHCTL control = {};
  control.keysize = sizeof(Key);
  control.entrysize = sizeof(Entry);
  control.hcxt = context;
  return hash_create(name, entries, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

}  // namespace redoubt::pg
#endif
