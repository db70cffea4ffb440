// standing_objects.h - what stands on a table and runs code on its rows, as the catalogs have it.
//
// Whether that is allowed to be there is decided in standing_code.
#ifndef REDOUBT_PG_PROTECT_STANDING_OBJECTS_H
#define REDOUBT_PG_PROTECT_STANDING_OBJECTS_H

#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/each.h"

namespace redoubt::pg {

constexpr int kWhole = 0;  // among attribute numbers: the row as a whole

// One object that runs code on rows of a table.
struct StandingCode {
  Oid class_id = InvalidOid;   // catalog of the object
  Oid object = InvalidOid;     // its OID there
  Oid relid = InvalidOid;      // table that it belongs to, if any
  Oid domain = InvalidOid;     // domain that a constraint belongs to, if any
  const char *kind = nullptr;  // "index", "trigger", ...
  const char *name = nullptr;
  Bitmapset *columns = nullptr;  // attribute numbers that it mentions; 0 is the whole row
  Bitmapset *decides = nullptr;  // those whose values decide whether the command succeeds
  Oid function = InvalidOid;     // the first that is not trusted, if any
  bool copies = false;           // a rule: its own commands get the values, without any function
  bool inherited = false;        // runs on rows of children, too
};

// Is the column among such, or the whole row?
inline bool columns_hold(const Bitmapset *columns, AttrNumber attno) {
  return bms_is_member(attno, columns) || bms_is_member(0, columns);
}

// standing_code_read returns what the object is, as it is after the current command's own changes; palloc'd in the
// current context.  False for an object that runs no code on rows.
bool standing_code_read(Oid class_id, Oid object, StandingCode *code);

// The columns of `relid` by the names that `columns` have in `from`; 0 stays the whole row.
Bitmapset *standing_code_columns(Oid from, Oid relid, const Bitmapset *columns);

// What would hand columns of the table, were they protected, to code that nobody vouches for: on the table and its
// ancestors.  A List of StandingCode *.
List *unvouched_code(Oid relid);

// Would the object hand on what it gets?
inline bool is_unvouched(const StandingCode &code) { return OidIsValid(code.function) || code.copies; }

// The key of a partitioned table; null where there is none.
Bitmapset *partition_key_columns(Oid relid);
// Of a partition, or a table that is going to be one or no more one of `parent`: the columns that say by the bounds of
// `parent` and those above it which rows it has.
Bitmapset *partition_tells(Oid relid, Oid parent);

// The first function that is not trusted and that evaluating the node itself, not what is below it, may call: by name,
// by a cast that a built-in function or SQL/JSON prints by, or to make a value of its type.  InvalidOid: none.
Oid node_untrusted(Node *node);

// The name of a relation that the current command may have made.
const char *relation_name(Oid relid);

// Calls visit(column) for each column of a relation that is not dropped.
template <typename Visit>
void each_column(Oid relid, Visit &&visit) {
  ScanKeyData keys[] = {catalog_key(Anum_pg_attribute_attrelid, relid)};
  catalog_scan(AttributeRelationId, AttributeRelidNumIndexId, keys, [&visit](const CatalogRow &row) {
    const auto *column = row.as<Form_pg_attribute>();
    if (column->attnum > 0 && !column->attisdropped) visit(*column);
  });
}

}  // namespace redoubt::pg
#endif
