// rewrap_value.h - a stored value with its tokens sealed anew, by the newest version of their keys.
//
// What it is not: a way to values.  A token goes in and an equal one comes out; no SQL function takes one from a
// caller. Tokens of format-preserving types and of the vault, which name no version, stay as they are.
#ifndef REDOUBT_PG_KEYS_REWRAP_VALUE_H
#define REDOUBT_PG_KEYS_REWRAP_VALUE_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

struct Rewrap {
  List *keys;             // what is known of each key, in `context`
  MemoryContext context;  // lives as long as this struct
  int64 resealed;         // tokens that were sealed anew
  int64 unreadable;       // tokens of another version that do not open: damaged, forged, or of a version that has ended
};

// rewrap_require_column raises 0A000 or 42809 unless the column's tokens can be sealed anew: a sealed token type, or a
// domain, array or row type of such.
void rewrap_require_column(const char *column, Oid type);

// rewrap_value returns the value of a column of the type; itself where nothing is to be done.  Adds to the counters.
// Raises 55000 where a version's key is wrapped by a key-encryption key that the server does not have.
Datum rewrap_value(Rewrap *rewrap, Oid type, Datum value);

}  // namespace redoubt::pg
#endif
