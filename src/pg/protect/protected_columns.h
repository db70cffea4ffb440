// protected_columns.h - which columns of a relation are protected, and by what.
//
// A column is protected if it is of a token type (or an array, domain, composite or
// range of one), if it is labelled or inherits a label, if its domain is labelled, if
// it is generated from a protected column of its table, or if it is of the row type
// of a table with protected columns.
#ifndef REDOUBT_PG_PROTECT_PROTECTED_COLUMNS_H
#define REDOUBT_PG_PROTECT_PROTECTED_COLUMNS_H

#include "pg/protect/source.h"

namespace redoubt::pg {

struct ProtectedColumn {
  AttrNumber attno;
  std::uint16_t count;  // values in one value of the column; of arrays, per element
  bool is_array;
  bool borrowed;  // protected only because its row type is: a copy into it is charged
  Source source;
  bool computed = false;  // a generated column: an expression, stored or not

  bool operator==(const ProtectedColumn &) const = default;
};

struct ProtectedRelation {
  Oid relid;  // hash key
  bool valid;
  bool is_partition;
  bool row_security;  // ALTER TABLE ... ENABLE ROW LEVEL SECURITY
  int size;
  ProtectedColumn *column;  // ascending by attno; a column of several token types has several entries
};

// Moved on by whatever may protect a column, or no longer protect it.
inline constinit std::uint64_t protected_generation = 1;

// protected_relation returns the protected columns of a relation, or null where there
// are none.  Cached; valid until the next call.  Costs a few nanoseconds for relations
// without any.
const ProtectedRelation *protected_relation_find(Oid relid);
constexpr Size kUnprotectedSize = 1024;
inline constinit Oid unprotected_relations[kUnprotectedSize] = {};     // known to have none, by the low bits of the OID
inline constinit const ProtectedRelation *protected_latest = nullptr;  // found; entries stay where they are
inline const ProtectedRelation *protected_relation(Oid relid) {
  if (relid < FirstNormalObjectId || unprotected_relations[relid % kUnprotectedSize] == relid) return nullptr;
  const ProtectedRelation *latest = protected_latest;
  if (latest != nullptr && latest->relid == relid && latest->valid && latest->size > 0) return latest;
  return protected_relation_find(relid);
}

// Calls visit(column) for each protected column of the relation; what it does, a charge for one, may read them anew.
template <typename Visit>
void each_protected_column(Oid relid, Visit &&visit) {
  for (int i = 0;; ++i) {
    const ProtectedRelation *relation = protected_relation(relid);
    if (relation == nullptr || i >= relation->size) return;
    const ProtectedColumn column = relation->column[i];
    visit(column);
  }
}

// True for arrays and for domains over them.
bool is_array_type(Oid type);

// The token type that pays for a column, or InvalidOid.
Oid protected_column_type(Oid relid, AttrNumber attno);

// The token type that a domain, or one that it is over, is labelled with; InvalidOid for any other type.
Oid protected_domain_type(Oid type);

// True if a value of `source` stays protected in the column: one that the type's label is on, or that holds nothing but
// its tokens.  In a row type with other fields besides, a value of which nothing else is known (`copied` is not its
// type) could be in any of them.
bool column_keeps(Oid relid, AttrNumber attno, const Source &source, Oid copied);

// What the module is told by events.h.
void protected_relation_changed(Oid relid);

}  // namespace redoubt::pg
#endif
