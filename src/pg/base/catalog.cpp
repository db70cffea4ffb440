// catalog.cpp - see catalog.h.
//
// Of functions it remembers what catalog_function says; backend-local, no locks but PostgreSQL's own.
// Covered by sql/token_types.sql and sql/custom_types.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"

extern "C" {
#include "catalog/pg_language.h"
}

namespace redoubt::pg {
namespace {

struct KnownFunction {
  CatalogFunction facts;
  std::uint64_t generation;  // as it was read
};

struct State {
  std::uint64_t generation = 1;  // moves on where pg_proc changes
  KnownFunction known[32] = {};  // each at the place of its OID
};
constinit State state;

}  // namespace

void own_column_require(TupleDesc descriptor, int attribute, Oid type) {
  const FormData_pg_attribute *column =
      attribute <= descriptor->natts ? TupleDescAttr(descriptor, attribute - 1) : nullptr;
  if (column == nullptr || column->attisdropped || column->atttypid != type)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("column %d of an own table of redoubt is missing or of another type", attribute),
                    errhint("The table was altered by hand; give it back the definition in the extension's script."),
                    errhidestmt(true)));
}

Datum own_value_or_null(const CatalogRow &row, int attribute, Oid type, bool *null) {
  own_column_require(row.descriptor, attribute, type);
  return row.get(attribute, null);
}

Datum own_value(const CatalogRow &row, int attribute, Oid type) {
  bool null = true;
  const Datum value = own_value_or_null(row, attribute, type, &null);
  if (null)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("a row of redoubt.%s has no value in column \"%s\"", get_rel_name(row.tuple->t_tableOid),
                           NameStr(TupleDescAttr(row.descriptor, attribute - 1)->attname)),
                    errhint("The table was altered by hand; restore the row from a backup."), errhidestmt(true)));
  return value;
}

void catalog_function_changed() { ++state.generation; }

CatalogFunction catalog_function(Oid function) {
  KnownFunction *known = &state.known[function % lengthof(state.known)];
  if (known->facts.oid == function && known->generation == state.generation) return known->facts;
  const std::uint64_t reading = state.generation;  // reading may bring news
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return {};
  const auto *row = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
  CatalogFunction facts = {
      function, row->prolang, row->prorettype, row->pronargs > 0 ? row->proargtypes.values[0] : InvalidOid, {}};
  bool none = true;
  const Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &none);
  if (!none && (facts.language == INTERNALlanguageId || facts.language == ClanguageId))
    strlcpy(facts.symbol, TextDatumGetCString(source), sizeof facts.symbol);
  ReleaseSysCache(tuple);
  *known = {facts, reading};
  return facts;
}

const char *catalog_library_symbol(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return nullptr;
  const char *symbol = nullptr;
  if (reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang == ClanguageId) {
    bool no_library = true;
    bool no_symbol = true;
    const Datum library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &no_library);
    const Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &no_symbol);
    if (!no_library && !no_symbol && strcmp(TextDatumGetCString(library), "$libdir/redoubt") == 0)
      symbol = TextDatumGetCString(source);
  }
  ReleaseSysCache(tuple);
  return symbol;
}

Acl *catalog_function_acl(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return nullptr;
  bool null = true;
  const Datum value = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proacl, &null);
  Acl *acl = null ? nullptr : DatumGetAclPCopy(value);
  ReleaseSysCache(tuple);
  return acl;
}

const char *catalog_input_symbol(Oid type) {
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple)) return nullptr;
  const Oid input = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typinput;
  ReleaseSysCache(tuple);
  return catalog_library_symbol(input);
}

Oid catalog_relation(const char *name) {
  const Oid schema = get_namespace_oid("redoubt", true);
  return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

ScanKeyData catalog_key(AttrNumber attribute, Oid value) {
  ScanKeyData key;
  ScanKeyInit(&key, attribute, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
  return key;
}

Node *catalog_node(int cache, HeapTuple tuple, AttrNumber column) {
  bool null = true;
  const Datum written = SysCacheGetAttr(cache, tuple, column, &null);
  return null ? nullptr : static_cast<Node *>(stringToNode(TextDatumGetCString(written)));
}

Oid catalog_owner(Oid relid) {
  const Oid owner = catalog_field(RELOID, relid, &FormData_pg_class::relowner);
  if (!OidIsValid(owner)) elog(ERROR, "cache lookup failed for relation %u", relid);
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

AttrNumber catalog_same_column(Oid from, int attno, Oid relid) {
  if (from == relid) return static_cast<AttrNumber>(attno);
  const char *name = attno > 0 ? get_attname(from, static_cast<AttrNumber>(attno), true) : nullptr;
  return name != nullptr ? get_attnum(relid, name) : AttrNumber{InvalidAttrNumber};
}

Oid called_token_type(FunctionCallInfo fcinfo, CallSite which) {
  FmgrInfo *const info = fcinfo->flinfo;
  if (info == nullptr || !OidIsValid(info->fn_oid)) elog(ERROR, "redoubt function called without a catalog entry");
  if (info->fn_extra == nullptr) {
    const CatalogFunction function = catalog_function(info->fn_oid);
    if (!OidIsValid(function.oid)) elog(ERROR, "cache lookup failed for function %u", info->fn_oid);
    const Oid type = which == CallSite::result ? function.result : function.first_argument;
    auto *cached = static_cast<Oid *>(MemoryContextAlloc(info->fn_mcxt, sizeof(Oid)));
    *cached = type;
    info->fn_extra = cached;
  }
  return *static_cast<Oid *>(info->fn_extra);
}

}  // namespace redoubt::pg
