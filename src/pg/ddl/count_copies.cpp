// count_copies.cpp - how many values of text columns are in a token column, too: for redoubt.find_plaintext().
//
// Columns are read as the tables hold them, in the name of the caller, who must be allowed to read all rows of them: no
// query is planned, so that no policy, view, index or operator of a table's has a say.  Each value is tokenized, which
// asks for the privilege and charges; of a vaulted type, looked up.  What is kept of the token column is a hash of each
// token.  Covered by sql/protect_column.sql.
#include "pg/base/boundary.h"

#include "pg/base/array_items.h"
#include "pg/base/varlena_view.h"
#include "pg/ddl/protection.h"
#include "pg/protect/protected_columns.h"
#include "pg/tokens/fpe_value.h"
#include "pg/tokens/token_value.h"

extern "C" {
#include "access/tableam.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_type_d.h"
#include "parser/parse_coerce.h"
#include "utils/rls.h"
}

namespace redoubt::pg {
namespace {

struct Copies {
  const TokenType *type;
  FmgrInfo tokenize;
  FmgrInfo *hash;
  HTAB *tokens;
  MemoryContext each;
};

bool may_read_all(Relation relation, AttrNumber column) {
  const Oid relid = RelationGetRelid(relation);
  const FormData_pg_class *form = relation->rd_rel;
  return (form->relkind == RELKIND_RELATION || form->relkind == RELKIND_MATVIEW) && form->relam == HEAP_TABLE_AM_OID &&
         !RELATION_IS_OTHER_TEMP(relation) &&
         (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
          pg_attribute_aclcheck(relid, column, GetUserId(), ACL_SELECT) == ACLCHECK_OK) &&
         check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED;
}

// Visits the values of a column, in a context that is reset after each.
template <typename Visit>
void each_value(Copies *copies, Relation relation, AttrNumber column, Visit &&visit) {
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<Visit>>);
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    bool none = false;
    const Datum value = slot_getattr(slot, column, &none);
    if (none) continue;
    MemoryContext outer = MemoryContextSwitchTo(copies->each);
    visit(value);
    MemoryContextSwitchTo(outer);
    MemoryContextReset(copies->each);
  }
  ExecDropSingleTupleTableSlot(slot);
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
}

uint64 hash_of(Copies *copies, Datum token) {
  return DatumGetUInt64(FunctionCall2Coll(copies->hash, DEFAULT_COLLATION_OID, token, Int64GetDatum(0)));
}

// The token that a value of another column has, or would have; false where none has that value.
bool token_of(Copies *copies, Datum value, Datum *token) {
  const TokenType *type = copies->type;
  const std::string_view plain = varlena_text(DatumGetTextPP(value));
  if (plain.empty() || (type->format == nullptr && plain.substr(0, 4) == "tok_")) return false;
  const redoubt::Refusal problem = type->format != nullptr ? fpe_problem(type, plain) : value_problem(type, plain);
  if (!problem.ok() && !(type->keeps_invalid && type->format == nullptr)) return false;
  if (type->vaulted) {
    const bytea *found = token_find_text(type, plain.data(), plain.size());
    *token = PointerGetDatum(found);
    return found != nullptr;
  }
  *token = FunctionCall1(&copies->tokenize, value);
  return true;
}

bool holds_text(Oid type) {
  return type == BPCHAROID || (IsBinaryCoercible(type, TEXTOID) && token_type_find(type) == nullptr);
}

// Negative where the caller may not read it, or pays for reading it.
int64 count_in(Copies *copies, Oid relid, AttrNumber column) {
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr) return 0;
  const Oid declared = column > 0 ? get_atttype(relid, column) : InvalidOid;
  const Oid type = OidIsValid(declared) ? getBaseType(declared) : InvalidOid;
  int64 count = -1;
  if (OidIsValid(type) && may_read_all(relation, column) && holds_text(type) &&
      !OidIsValid(protected_column_type(relid, column))) {
    count = 0;
    each_value(copies, relation, column, [copies, type, &count](Datum value) {
      Datum token = 0;
      if (!token_of(copies, type == BPCHAROID ? DirectFunctionCall1(rtrim1, value) : value, &token)) return;
      const uint64 hash = hash_of(copies, token);
      if (hash_search(copies->tokens, &hash, HASH_FIND, nullptr) != nullptr) ++count;
    });
  }
  relation_close(relation, AccessShareLock);
  return count;
}

Copies copies_of(Oid relid, AttrNumber column) {
  Copies copies = {};
  Relation relation = table_open(relid, AccessShareLock);
  copies.type = column > 0 ? token_type_find(get_atttype(relid, column)) : nullptr;
  if (!may_read_all(relation, column))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("permission denied for table %s", RelationGetRelationName(relation))));
  if (copies.type == nullptr || !copies.type->deterministic || copies.type->is_bytes || copies.type->is_integer)
    ereport(ERROR,
            (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("that is no column of a deterministic token type on text")));
  TypeCacheEntry *cache = lookup_type_cache(copies.type->type, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
  if (!OidIsValid(cache->hash_extended_proc)) elog(ERROR, "the type has no hash function");
  copies.hash = &cache->hash_extended_proc_finfo;
  fmgr_info(copies.type->gate[static_cast<int>(Privilege::tokenize)], &copies.tokenize);
  HASHCTL control = {};
  control.keysize = control.entrysize = sizeof(uint64);
  control.hcxt = CurrentMemoryContext;
  copies.tokens = hash_create("redoubt tokens", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  copies.each = AllocSetContextCreate(CurrentMemoryContext, "redoubt value", ALLOCSET_DEFAULT_SIZES);
  each_value(&copies, relation, column, [&copies](Datum token) {
    const uint64 hash = hash_of(&copies, token);
    hash_search(copies.tokens, &hash, HASH_ENTER, nullptr);
  });
  table_close(relation, AccessShareLock);
  return copies;
}

}  // namespace
}  // namespace redoubt::pg

// count_copies(table oid, column smallint, tables oid[], columns smallint[])
REDOUBT_FUNCTION(redoubt_count_copies) {
  using namespace redoubt::pg;
  const ArrayItems tables = array_items(PG_GETARG_ARRAYTYPE_P(2));
  const ArrayItems columns = array_items(PG_GETARG_ARRAYTYPE_P(3));
  const int size = tables.size;
  if (size != columns.size)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there must be a column for each table")));
  Copies copies = copies_of(PG_GETARG_OID(0), PG_GETARG_INT16(1));
  auto *counts = static_cast<Datum *>(palloc0(sizeof(Datum) * (size + 1)));
  auto *unknown = static_cast<bool *>(palloc0(sizeof(bool) * (size + 1)));
  for (int i = 0; i < size; ++i) {
    const bool unnamed = tables.null[i] || columns.null[i];
    const int64 count =
        unnamed ? -1 : count_in(&copies, DatumGetObjectId(tables.value[i]), DatumGetInt16(columns.value[i]));
    counts[i] = Int64GetDatum(count);
    unknown[i] = count < 0;
  }
  hash_destroy(copies.tokens);
  int dimensions[] = {size};
  int lower[] = {1};
  PG_RETURN_ARRAYTYPE_P(construct_md_array(counts, unknown, 1, dimensions, lower, INT8OID, sizeof(int64),
                                           FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
