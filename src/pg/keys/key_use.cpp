// key_use.cpp - which columns hold tokens of which version of which key; and what ends a key: retire_key(), which is
// refused while any does, and destroy_key(), which asks nobody.
//
// What it is not: a way to values.  Of a token the header is read, which says the version; no key is used, and what
// comes out are counts.  So no privilege on the tables is asked.
// Tables are read as a dirty snapshot has them: also rows that another transaction has not committed yet hold a
// version in use.  Not seen are tokens in columns of other types (text, jsonb), temporary tables of other sessions,
// foreign tables, and backups.
//
// Locks: ACCESS SHARE on each table while it is read; retire_key() and destroy_key() lock redoubt.key against other
// changes.  Covered by sql/key_use.sql.
#include "pg/base/boundary.h"

#include "pg/base/array_items.h"
#include "pg/base/each.h"
#include "core/token.h"
#include "core/vault.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/catalog.h"
#include "pg/base/shared_memory.h"
#include "pg/base/varlena_view.h"
#include "pg/keys/key_store.h"
#include "pg/types/token_type.h"

extern "C" {
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "utils/rangetypes.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"
}

namespace redoubt::pg {
namespace {

struct Use {
  Oid relid;
  AttrNumber column;
  NameData key;
  int version;  // 0: not to be read
  int64 tokens;
};

struct Counter {
  List *uses;  // of Use
  Oid relid;
  AttrNumber column;
  MemoryContext context;  // of `uses`
  MemoryContext row;      // for what the values of a row take
};

void count(Counter &counter, const NameData &key, int version, int64 tokens) {
  for (auto *use : list_of<Use>(counter.uses)) {
    if (use->relid != counter.relid || use->column != counter.column || use->version != version ||
        strcmp(NameStr(use->key), NameStr(key)) != 0)
      continue;
    use->tokens += tokens;
    return;
  }
  MemoryContext old = MemoryContextSwitchTo(counter.context);
  auto *use = static_cast<Use *>(palloc(sizeof(Use)));
  *use = {counter.relid, counter.column, key, version, tokens};
  counter.uses = lappend(counter.uses, use);
  MemoryContextSwitchTo(old);
}

// The beginning of a token or record, however long it is.
std::span<const std::uint8_t> beginning(Datum value, std::size_t size) {
  return varlena_bytes(PG_DETOAST_DATUM_SLICE(value, 0, static_cast<int32>(size)));
}

void count_token(Counter &counter, const TokenType *type, Datum token) {
  if (type->format != nullptr) {
    if (!type->vaulted) count(counter, type->key, type->key_version, 1);
    return;
  }
  const auto view = token_parse(beginning(token, kTokenTypedOverhead));
  if (view.ok() && view->vaulted) return;  // the vault says
  count(counter, type->key, view.ok() ? view->key_version : 0, 1);
}

void count_value(Counter &counter, Oid declared, Datum value);

void count_array(Counter &counter, Oid element, Datum value) {
  each_item(DatumGetArrayTypeP(value), [&counter, element](Datum item) { count_value(counter, element, item); });
}

void count_row(Counter &counter, Datum value) {
  HeapTupleHeader header = DatumGetHeapTupleHeader(value);
  TupleDesc descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
  HeapTupleData tuple = {};
  tuple.t_len = HeapTupleHeaderGetDatumLength(header);
  ItemPointerSetInvalid(&tuple.t_self);
  tuple.t_data = header;
  for (int i = 0; i < descriptor->natts; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
    if (attribute->attisdropped || type_carried(attribute->atttypid)->size == 0) continue;
    bool null = false;
    const Datum field = heap_getattr(&tuple, i + 1, descriptor, &null);
    if (!null) count_value(counter, attribute->atttypid, field);
  }
  ReleaseTupleDesc(descriptor);
}

void count_range(Counter &counter, Oid type, Datum value) {
  TypeCacheEntry *cache = lookup_type_cache(type, TYPECACHE_RANGE_INFO);
  RangeBound lower;
  RangeBound upper;
  bool empty = false;
  range_deserialize(cache, DatumGetRangeTypeP(value), &lower, &upper, &empty);
  if (empty) return;
  if (!lower.infinite) count_value(counter, cache->rngelemtype->type_id, lower.val);
  if (!upper.infinite) count_value(counter, cache->rngelemtype->type_id, upper.val);
}

// Of what cannot be taken apart (a multirange) it is not known which versions its tokens have.
void count_unknown(Counter &counter, Oid type) {
  const CarriedTokens *carried = type_carried(type);
  for (int i = 0; i < carried->size; ++i) {
    const TokenType *token_type = token_type_find(carried->item[i].token_type);
    if (token_type != nullptr) count(counter, token_type->key, 0, 1);
  }
}

void count_value(Counter &counter, Oid declared, Datum value) {
  const Oid type = getBaseType(declared);
  const TokenType *token_type = token_type_find(type);
  if (token_type != nullptr) return count_token(counter, token_type, value);
  const Oid element = get_element_type(type);
  if (OidIsValid(element)) return count_array(counter, element, value);
  switch (get_typtype(type)) {
    case TYPTYPE_COMPOSITE:
      return count_row(counter, value);
    case TYPTYPE_RANGE:
      return count_range(counter, type, value);
    default:
      return count_unknown(counter, type);
  }
}

// Visits the rows of a relation as a dirty snapshot has them.
template <typename Visit>
void each_row(Counter &counter, Relation relation, Visit &&visit) {
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<Visit>>);
  SnapshotData dirty;
  InitDirtySnapshot(dirty);
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  TableScanDesc scan = table_beginscan(relation, &dirty, 0, nullptr);
  MemoryContext old = MemoryContextSwitchTo(counter.row);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    visit(slot);
    MemoryContextReset(counter.row);
  }
  MemoryContextSwitchTo(old);
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
}

void count_relation(Counter &counter, Relation relation) {
  TupleDesc descriptor = RelationGetDescr(relation);
  Bitmapset *columns = nullptr;
  for (int i = 0; i < descriptor->natts; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
    if (!attribute->attisdropped && type_carried(attribute->atttypid)->size > 0) columns = bms_add_member(columns, i);
  }
  if (columns == nullptr) return;
  each_row(counter, relation, [&counter, columns, descriptor](TupleTableSlot *slot) {
    int i = -1;
    while ((i = bms_next_member(columns, i)) >= 0) {
      bool null = false;
      const Datum value = slot_getattr(slot, i + 1, &null);
      counter.column = static_cast<AttrNumber>(i + 1);
      if (!null) count_value(counter, TupleDescAttr(descriptor, i)->atttypid, value);
    }
  });
}

// Columns of redoubt.vault.
constexpr int kClassId = 1;
constexpr int kSealed = 4;

void count_vault(Counter &counter, Relation relation) {
  counter.column = kSealed;
  const List *types = token_types();
  each_row(counter, relation, [&counter, types](TupleTableSlot *slot) {
    bool null = false;
    const Datum class_id = slot_getattr(slot, kClassId, &null);
    const Datum sealed = null ? static_cast<Datum>(0) : slot_getattr(slot, kSealed, &null);
    if (null) return;
    const NameData *key = nullptr;
    for (const auto *type : list_of<const TokenType>(types))
      if (memcmp(type->class_id.data(), DatumGetUUIDP(class_id)->data, UUID_LEN) == 0) key = &type->key;
    if (key == nullptr) return;  // of no type any more: nothing opens it
    const auto version = vault_key_version(beginning(sealed, kVaultOverhead));
    count(counter, *key, version.ok() ? *version : 0, 1);
  });
}

// All uses in this database, a List of Use.
const List *find_uses() {
  Counter counter = {NIL, InvalidOid, 0, CurrentMemoryContext,
                     AllocSetContextCreate(CurrentMemoryContext, "redoubt key use", ALLOCSET_DEFAULT_SIZES)};
  const Oid vault = catalog_relation("vault");
  catalog_each_relation("rm", [&counter, vault](Relation relation) {
    counter.relid = RelationGetRelid(relation);
    if (counter.relid == vault)
      count_vault(counter, relation);
    else if (!RELATION_IS_OTHER_TEMP(relation))
      count_relation(counter, relation);
  });
  MemoryContextDelete(counter.row);
  return counter.uses;
}

// One line for each use of a version; empty where nothing uses it.
char *describe_uses(const char *key, int version) {
  StringInfoData lines;
  initStringInfo(&lines);
  const auto next_line = [&lines] { return lines.len > 0 ? "\n" : ""; };
  // Tokens of a format-preserving type have no room for a version, so the type has one for ever, whatever is stored.
  for (const auto *type : list_of<const TokenType>(token_types()))
    if (type->format != nullptr && !type->vaulted && type->key_version == version &&
        strcmp(NameStr(type->key), key) == 0)
      appendStringInfo(&lines, "%stoken type %s", next_line(), type->name);
  for (const auto *use : list_of<const Use>(find_uses())) {
    if (strcmp(NameStr(use->key), key) != 0 || (use->version != version && use->version != 0)) continue;
    const char *column = get_attname(use->relid, use->column, true);
    const char *table = get_rel_name(use->relid);
    if (column == nullptr || table == nullptr) continue;  // dropped meanwhile
    appendStringInfo(&lines, "%s" INT64_FORMAT " in column %s of %s", next_line(), use->tokens,
                     quote_identifier(column),
                     quote_qualified_identifier(get_namespace_name(get_rel_namespace(use->relid)), table));
  }
  return lines.data;
}

[[noreturn]] void no_such_key(const char *name, int version) {
  if (version == 0)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("key \"%s\" does not exist", name),
                    errhint("redoubt.verify_keys() lists the keys.")));
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("key \"%s\" has no version %d", name, version),
                  errhint("redoubt.verify_keys() lists the keys.")));
  pg_unreachable();
}

}  // namespace
}  // namespace redoubt::pg

// key_use() -> setof (table_name, column_name, key, version, tokens)
REDOUBT_FUNCTION(redoubt_key_use) {
  using namespace redoubt::pg;
  require_preloaded();
  InitMaterializedSRF(fcinfo, 0);
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const List *uses = find_uses();
  for (auto *use : list_of<Use>(uses)) {
    const char *column = get_attname(use->relid, use->column, true);
    if (column == nullptr) continue;  // dropped meanwhile
    NameData column_name;
    namestrcpy(&column_name, column);
    Datum values[] = {ObjectIdGetDatum(use->relid), NameGetDatum(&column_name), CStringGetTextDatum(NameStr(use->key)),
                      Int32GetDatum(use->version), Int64GetDatum(use->tokens)};
    bool nulls[lengthof(values)] = {};
    nulls[3] = use->version == 0;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

// retire_key(name, version)
REDOUBT_FUNCTION(redoubt_retire_key) {
  using namespace redoubt::pg;
  const char *name = NameStr(*PG_GETARG_NAME(0));
  const int version = PG_GETARG_INT32(1);
  require_preloaded();
  require_kek();
  PreventCommandIfReadOnly("redoubt.retire_key()");
  key_store_lock();
  const WrappedKey key = version > 0 ? key_store_read(name, version) : WrappedKey{};
  if (key.version == 0) no_such_key(name, version);
  if (key.state != KeyState::in_use)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("version %d of key \"%s\" is %s already", version, name,
                           key.state == KeyState::retired ? "retired" : "destroyed"),
                    errhint("redoubt.key lists the versions and their states.")));
  if (key_store_read(name, 0).version == version)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                    errmsg("version %d of key \"%s\" is the newest one, which new values use", version, name),
                    errhint("Make another one with redoubt.rotate_key().")));
  const char *uses = describe_uses(name, version);
  if (uses[0] != '\0')
    ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                    errmsg("version %d of key \"%s\" is in use", version, name), errdetail("%s", uses),
                    errhint("Seal these values anew first with redoubt.rewrap_column(); those of the vault with "
                            "redoubt.reseal_vault().")));
  key_store_retire(name, version);
  audit_write({.event = "key", .operation = "retire_key", .detail = psprintf("%s, version %d", name, version)});
  PG_RETURN_VOID();
}

// destroy_key(name, confirm) -> integer: how many versions
REDOUBT_FUNCTION(redoubt_destroy_key) {
  using namespace redoubt::pg;
  if (PG_ARGISNULL(0)) ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the name must not be null")));
  const char *name = NameStr(*PG_GETARG_NAME(0));
  require_preloaded();
  require_kek();
  PreventCommandIfReadOnly("redoubt.destroy_key()");
  if (PG_ARGISNULL(1) || strcmp(NameStr(*PG_GETARG_NAME(1)), name) != 0)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("key \"%s\" is not destroyed unasked", name),
                    errdetail("Nobody will ever open a token again that was made with it."),
                    errhint("If that is what you want, give its name once more, as the argument confirm.")));
  key_store_lock();
  const int versions = key_store_destroy(name);
  if (versions == 0) no_such_key(name, 0);
  audit_write({.event = "key", .operation = "destroy_key", .count = versions, .detail = name});
  PG_RETURN_INT32(versions);
}
