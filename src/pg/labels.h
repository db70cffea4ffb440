// labels.h - plaintext columns protected by SECURITY LABEL.
//
//   SECURITY LABEL FOR redoubt ON COLUMN t.c IS '<token type>'
//
// meters reads of a legacy plaintext column under that token type's limits.
#ifndef REDOUBT_PG_LABELS_H
#define REDOUBT_PG_LABELS_H

#include "pg/boundary.h"

namespace redoubt::pg {

// Registers the label provider `redoubt`.  Call while preloading.
void labels_init();

// label_token_type returns the token type that a column is labelled with, on
// the table itself or on a table it inherits from, or InvalidOid.  Cached.
Oid label_token_type(Oid relid, AttrNumber attno);

}  // namespace redoubt::pg
#endif
