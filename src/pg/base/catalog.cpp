// catalog.cpp - see catalog.h.
//
// No state, no locks but PostgreSQL's own.
// Covered by sql/token_types.sql and sql/custom_types.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"

namespace redoubt::pg {

Oid catalog_relation(const char *name) {
  const Oid schema = get_namespace_oid("redoubt", true);
  return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

ScanKeyData catalog_key(AttrNumber attribute, Oid value) {
  ScanKeyData key;
  ScanKeyInit(&key, attribute, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
  return key;
}

Oid catalog_owner(Oid relid) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for relation %u", relid);
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

List *catalog_parents(Oid relid) {
  List *parents = NIL;
  ScanKeyData keys[] = {catalog_key(Anum_pg_inherits_inhrelid, relid)};
  catalog_scan(InheritsRelationId, InheritsRelidSeqnoIndexId, keys, [&parents](const CatalogRow &row) {
    parents = lappend_oid(parents, row.as<Form_pg_inherits>()->inhparent);
  });
  return parents;
}

Oid called_token_type(FunctionCallInfo fcinfo, CallSite which) {
  FmgrInfo *const info = fcinfo->flinfo;
  if (info == nullptr || !OidIsValid(info->fn_oid)) elog(ERROR, "redoubt function called without a catalog entry");
  if (info->fn_extra == nullptr) {
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(info->fn_oid));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for function %u", info->fn_oid);
    const auto *proc = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    const Oid type = which == CallSite::result ? proc->prorettype
                     : proc->pronargs > 0      ? proc->proargtypes.values[0]
                                               : InvalidOid;
    ReleaseSysCache(tuple);
    auto *cached = static_cast<Oid *>(MemoryContextAlloc(info->fn_mcxt, sizeof(Oid)));
    *cached = type;
    info->fn_extra = cached;
  }
  return *static_cast<Oid *>(info->fn_extra);
}

}  // namespace redoubt::pg
