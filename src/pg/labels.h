// labels.h - plaintext columns protected by SECURITY LABEL.
//
//   SECURITY LABEL FOR redoubt ON COLUMN t.c IS '<token type>'
//
// meters reads of a legacy plaintext column under that token type's limits, and so does
// a label on a domain for every column of the domain ('token' stands for text_token).
//
// Labels on functions are function_trust.h.
#ifndef REDOUBT_PG_LABELS_H
#define REDOUBT_PG_LABELS_H

#include "pg/boundary.h"

namespace redoubt::pg {

// Registers the label provider `redoubt`.  Call while preloading.
void labels_init();

// label_token_type returns the token type that a column is labelled with, on
// the table itself or on a table it inherits from, or InvalidOid.  Cached.
Oid label_token_type(Oid relid, AttrNumber attno);

// label_domain_type returns the token type that a domain is labelled with, or InvalidOid.
Oid label_domain_type(Oid domain);

// labels_derive labels a column that was filled or computed from protected values, and
// records it; does nothing where the column is protected already.
void labels_derive(Oid relid, AttrNumber attno, Oid token_type);

}  // namespace redoubt::pg
#endif
