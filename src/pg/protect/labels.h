// labels.h - plaintext columns protected by SECURITY LABEL.
//
//   SECURITY LABEL FOR redoubt ON COLUMN t.c IS '<token type>'
//
// meters reads of a legacy plaintext column under that token type's limits, and so does
// a label on a domain for every column of the domain ('token' stands for text_token).
//
// Labels on functions are function_trust.h.
#ifndef REDOUBT_PG_PROTECT_LABELS_H
#define REDOUBT_PG_PROTECT_LABELS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Registers the label provider `redoubt`.  Call while preloading.
void labels_init();

struct LabelledColumn {
  AttrNumber attno;
  Oid token_type;
};

// labels_of_columns returns the columns of a table that are labelled, on the table itself or on
// one it inherits from, nearest first: a List of LabelledColumn *, palloc'd.  Reads the catalog.
List *labels_of_columns(Oid relid);

// label_domain_type returns the token type that a domain is labelled with, or InvalidOid.
Oid label_domain_type(Oid domain);

struct Label {
  ObjectAddress object;
  const char *text;
};

// labels_in_use returns the labels of columns and domains of this database: a List of Label *, palloc'd.
List *labels_in_use();

// labels_types_in_use returns the token types that columns or domains of this database are labelled with, or that
// columns are made of: a List of OIDs.
List *labels_types_in_use();

// labels_lock locks what a label on the column protects: the table, those above that have the column, those that
// inherit from any of these or hold their rows; of attno 0, none above.  A statement that locks or writes rows delivers
// their newest versions by a plan of before it waited for them, so it ends before the label is there; reads go on, with
// their snapshots.  Whatever makes code on a table waits and then sees the label, or is seen.
void labels_lock(Oid relid, AttrNumber attno);

// labels_derive labels a column that was filled or computed from protected values and is not protected yet, under
// labels_lock, and records it.
void labels_derive(Oid relid, AttrNumber attno, Oid token_type);

// labels_copy labels a column of a table as another one of it is, or not at all; labels_remove takes the label off. For
// the token column beside one that is being protected.
void labels_copy(Oid relid, AttrNumber from, AttrNumber to);
void labels_remove(Oid relid, AttrNumber attno);

// labels_take_labelled returns what the SECURITY LABEL command at hand has labelled, once; no class otherwise.
ObjectAddress labels_take_labelled();

}  // namespace redoubt::pg
#endif
