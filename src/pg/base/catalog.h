// catalog.h - reads the extension's own tables and the system catalog, and functions' identities.
//
// Works whatever the current user may read, without SPI: in output functions,
// parallel workers and on a hot standby alike.
#ifndef REDOUBT_PG_BASE_CATALOG_H
#define REDOUBT_PG_BASE_CATALOG_H

#include "pg/base/boundary.h"

extern "C" {
#include "commands/trigger.h"
}

namespace redoubt::pg {

// OID of a relation of schema redoubt, or InvalidOid where the extension is not
// installed in this database.
Oid catalog_relation(const char *name);

// A row, valid during the visit only.
struct CatalogRow {
  HeapTuple tuple;
  TupleDesc descriptor;
  Datum get(int attribute, bool *null) const { return heap_getattr(tuple, attribute, descriptor, null); }
  // The fixed part as the catalog's own struct, such as Form_pg_class.
  template <typename Form>
  Form as() const {
    return reinterpret_cast<Form>(GETSTRUCT(tuple));
  }
};

// catalog_scan visits the rows of a table, those with `keys` in `index` or all in no
// particular order, as of the latest committed state plus the own transaction's changes.
// `visit` must keep plain data only, for it may be jumped over.
template <typename Visit>
void catalog_scan(Oid table, Oid index, std::span<ScanKeyData> keys, Visit &&visit);
// The same, and what the current command itself has changed so far.
template <typename Visit>
void catalog_scan_self(Oid table, Oid index, std::span<ScanKeyData> keys, Visit &&visit);
// The same of all rows of redoubt.<table>; a missing table has none.
template <typename Visit>
void catalog_scan(const char *table, Visit &&visit);
// own_value is a column of a row of an own table.  A superuser may have altered the table by hand: a column that is
// missing, of another type, or null is XX001.  own_value_or_null takes a null.
Datum own_value(const CatalogRow &row, int attribute, Oid type);
Datum own_value_or_null(const CatalogRow &row, int attribute, Oid type, bool *null);
// The column alone, before a scan compares it.
void own_column_require(TupleDesc descriptor, int attribute, Oid type);

// A field of the row that the cache of a catalog has of an object, or of a column of a table; zero where there is none.
template <typename Row, typename Field>
Field catalog_field_of(HeapTuple tuple, Field Row::*field) {
  if (!HeapTupleIsValid(tuple)) return Field{};
  const Field value = reinterpret_cast<const Row *>(GETSTRUCT(tuple))->*field;
  ReleaseSysCache(tuple);
  return value;
}
template <typename Row, typename Field>
Field catalog_field(int cache, Oid object, Field Row::*field) {
  return catalog_field_of(SearchSysCache1(cache, ObjectIdGetDatum(object)), field);
}
template <typename Field>
Field catalog_column(Oid relid, AttrNumber attno, Field FormData_pg_attribute::*field) {
  return catalog_field_of(SearchSysCacheAttNum(relid, attno), field);
}

// What is written of an expression, or of a list of them, in such a row; null for none.
Node *catalog_node(int cache, HeapTuple tuple, AttrNumber column);

// That the attribute is this OID.
ScanKeyData catalog_key(AttrNumber attribute, Oid value);

Oid catalog_owner(Oid relid);

// What a function is.  Of one that there is not, all is InvalidOid.  Remembered until pg_proc changes.
struct CatalogFunction {
  Oid oid;
  Oid language;
  Oid result;
  Oid first_argument;  // InvalidOid: it has none
  char symbol[16];     // how the name of what it calls begins, of one that is built in or in C
};
CatalogFunction catalog_function(Oid function);
void catalog_function_changed();

// The C symbol of this library that a function calls, palloc'd; null where it calls something else.  Nobody but a
// superuser can make such a function.
const char *catalog_library_symbol(Oid function);

// A function's privileges, a copy; null where it has none of its own.
Acl *catalog_function_acl(Oid function);

// The C symbol of this library that is a type's input function; null where it is none.
const char *catalog_input_symbol(Oid type);

// The triggers of a relation, copied; null for none.  Those of the relation cache are gone as soon as anything that
// looks at a catalog hears of a change: autovacuum's is enough.
inline const TriggerDesc *catalog_triggers(Relation relation) { return CopyTriggerDesc(relation->trigdesc); }

// The tables that `relid` inherits from directly or is a partition of, a List of OIDs.
List *catalog_parents(Oid relid);

// The column of `relid` that is called as column `attno` of `from` is, which may be numbered otherwise there;
// InvalidAttrNumber for none.
AttrNumber catalog_same_column(Oid from, int attno, Oid relid);

// Calls visit(relation) for each relation that users have made and whose kind is one of `kinds`, in the order of their
// OIDs, each under AccessShareLock.
template <typename Visit>
void catalog_each_relation(const char *kinds, Visit &&visit);

// The token type that an SQL function handles: its result type, or its first
// argument type.  Looked up by the function's own OID, since what a caller
// passes (typioparam) is not to be trusted.  Cached in fn_extra.
enum class CallSite { result, argument };
Oid called_token_type(FunctionCallInfo fcinfo, CallSite which);

template <typename Visit>
void catalog_scan_as_of(Snapshot snapshot, Oid table, Oid index, std::span<ScanKeyData> keys, Visit &&visit) {
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<Visit>>);
  Relation relation = table_open(table, AccessShareLock);
  SysScanDesc scan =
      systable_beginscan(relation, index, OidIsValid(index), snapshot, static_cast<int>(keys.size()), keys.data());
  while (true) {
    HeapTuple tuple = systable_getnext(scan);
    if (!HeapTupleIsValid(tuple)) break;
    visit(CatalogRow{tuple, RelationGetDescr(relation)});
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
}

template <typename Visit>
void catalog_each_relation(const char *kinds, Visit &&visit) {
  List *relations = NIL;
  catalog_scan(RelationRelationId, InvalidOid, {}, [&relations, kinds](const CatalogRow &row) {
    const auto *form = row.as<Form_pg_class>();
    if (form->oid >= FirstNormalObjectId && strchr(kinds, form->relkind) != nullptr)
      relations = lappend_oid(relations, form->oid);
  });
  list_sort(relations, list_oid_cmp);
  for (int i = 0; i < list_length(relations); ++i) {
    Relation relation = try_relation_open(list_nth_oid(relations, i), AccessShareLock);
    if (relation == nullptr) continue;  // dropped meanwhile
    visit(relation);
    relation_close(relation, AccessShareLock);
  }
}

// No snapshot given: a fresh catalog snapshot.  GetLatestSnapshot() refuses to work in parallel mode.
template <typename Visit>
void catalog_scan(Oid table, Oid index, std::span<ScanKeyData> keys, Visit &&visit) {
  catalog_scan_as_of(nullptr, table, index, keys, visit);
}

template <typename Visit>
void catalog_scan_self(Oid table, Oid index, std::span<ScanKeyData> keys, Visit &&visit) {
  catalog_scan_as_of(SnapshotSelf, table, index, keys, visit);
}

// The own tables are small (a row per key version, token type or limit), so a
// sequential scan beats maintaining index assumptions here.
template <typename Visit>
void catalog_scan(const char *table, Visit &&visit) {
  const Oid relid = catalog_relation(table);
  if (OidIsValid(relid)) catalog_scan(relid, InvalidOid, {}, visit);
}

}  // namespace redoubt::pg
#endif
