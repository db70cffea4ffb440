// collations.cpp - see collations.h.
//
// Invariant: PostgreSQL keeps what is open until the session ends, so what was opened once is warned of no more.
// Backend-local, no locks.
// Covered by sql/collations.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/each.h"
#include "pg/protect/collations.h"

extern "C" {
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgrprotos.h"
#include "utils/typcache.h"

// Of utils/pg_locale.h, which wants the headers of ICU.
struct pg_locale_struct;
extern struct pg_locale_struct *pg_newlocale_from_collation(Oid collation);
}

namespace redoubt::pg {
namespace {

void open_each(const List *collations) {
  for (const Oid each : oids_of(collations)) collation_open(each);
}

void open_row(TupleDesc row, List **seen);

// Ranges and rows are compared by collations of their types.  Each row type is looked at once: a row of rows that are
// alike, and so on, has as many parts as nobody could wait for.
void open_type(Oid type, List **seen) {
  if (type < FirstNormalObjectId) return;
  check_stack_depth();
  switch (get_typtype(type)) {
    case TYPTYPE_DOMAIN:
      return open_type(getBaseType(type), seen);
    case TYPTYPE_MULTIRANGE:
      return open_type(get_multirange_range(type), seen);
    case TYPTYPE_RANGE:
      collation_open(get_range_collation(type));
      return open_type(get_range_subtype(type), seen);
    case TYPTYPE_COMPOSITE:
      if (list_member_oid(*seen, type)) return;
      *seen = lappend_oid(*seen, type);
      return open_row(lookup_rowtype_tupdesc_copy(type, -1), seen);
    default:
      return open_type(get_element_type(type), seen);
  }
}

void open_row(TupleDesc row, List **seen) {
  for (int i = 0; i < row->natts; ++i) {
    const FormData_pg_attribute *column = TupleDescAttr(row, i);
    if (column->attisdropped) continue;
    collation_open(column->attcollation);
    open_type(column->atttypid, seen);
  }
}

// Those that objects depend on, by the current command's own changes as well.
List *stored() {
  List *collations = NIL;
  ScanKeyData keys[] = {catalog_key(Anum_pg_depend_refclassid, CollationRelationId)};
  catalog_scan_self(DependRelationId, DependReferenceIndexId, keys, [&collations](const CatalogRow &row) {
    const Oid collation = row.as<Form_pg_depend>()->refobjid;  // in order
    if (collations == NIL || llast_oid(collations) != collation) collations = lappend_oid(collations, collation);
  });
  return collations;
}

bool warns(Oid collation) {
  HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
  if (!HeapTupleIsValid(tuple)) return false;
  bool null = true;
  const Datum recorded = SysCacheGetAttr(COLLOID, tuple, Anum_pg_collation_collversion, &null);
  LOCAL_FCINFO(actual, 1);
  InitFunctionCallInfoData(*actual, nullptr, 1, InvalidOid, nullptr, nullptr);
  actual->args[0] = {ObjectIdGetDatum(collation), false};
  const Datum version = null ? Datum{0} : pg_collation_actual_version(actual);
  const bool other =
      !null && (actual->isnull || strcmp(TextDatumGetCString(version), TextDatumGetCString(recorded)) != 0);
  ReleaseSysCache(tuple);
  return other;
}

}  // namespace

void collation_open(Oid collation) {
  if (OidIsValid(collation) && collation != DEFAULT_COLLATION_OID && collation != C_COLLATION_OID)
    (void)pg_newlocale_from_collation(collation);
}

void collations_open(const Node *node) {
  switch (nodeTag(node)) {
    case T_Var:
    case T_Const:
    case T_RelabelType:
      collation_open(exprCollation(node));
      break;
    case T_Param:
    case T_FuncExpr:
    case T_OpExpr:
    case T_CoerceViaIO:
    case T_RowExpr:
      collation_open(exprInputCollation(node));
      break;
    default:
      return collation_open(exprInputCollation(node));
  }
  List *seen = NIL;
  open_type(exprType(node), &seen);
}

void collations_open_row(TupleDesc row) {
  List *seen = NIL;
  open_row(row, &seen);
}

void collations_open_stored() { open_each(stored()); }

void collations_open_all() {
  List *collations = NIL;
  catalog_scan(CollationRelationId, CollationOidIndexId, {}, [&collations](const CatalogRow &row) {
    const auto *collation = row.as<Form_pg_collation>();
    bool null = true;
    (void)row.get(Anum_pg_collation_collversion, &null);
    if (!null && (collation->collencoding == -1 || collation->collencoding == GetDatabaseEncoding()))
      collations = lappend_oid(collations, collation->oid);
  });
  open_each(collations);
}

bool collations_warn() {
  for (const Oid each : oids_of(stored()))
    if (warns(each)) return true;
  return false;
}

}  // namespace redoubt::pg
