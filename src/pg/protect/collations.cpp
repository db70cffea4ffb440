// collations.cpp - see collations.h.
//
// Invariant: PostgreSQL keeps what is open until the session ends, so what was opened once is warned of no more.
// Backend-local, no locks.
// Covered by sql/collations.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/each.h"
#include "pg/base/type_parts.h"
#include "pg/protect/collations.h"

extern "C" {
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgrprotos.h"

// Of utils/pg_locale.h, which wants the headers of ICU.
struct pg_locale_struct;
extern struct pg_locale_struct *pg_newlocale_from_collation(Oid collation);
}

namespace redoubt::pg {
namespace {

void open_each(const List *collations) {
  for (const Oid each : oids_of(collations)) collation_open(each);
}

// Ranges and rows are compared by collations of their types.
void open_type(Oid type, List **seen, Oid collation = InvalidOid) {
  (void)any_type(
      type, seen,
      [](Oid, Oid each) {
        collation_open(each);
        return Step::into;
      },
      collation);
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
  for (int i = 0; i < row->natts; ++i)
    if (const FormData_pg_attribute *column = TupleDescAttr(row, i); !column->attisdropped)
      open_type(column->atttypid, &seen, column->attcollation);
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
