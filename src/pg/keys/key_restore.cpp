// key_restore.cpp - keys of a dump that meet those of the database, and whether the keys of a database fit its tokens.
//
// A database may have keys before a dump is restored into it: it was made from a template that had some, or was used.
// A row of the dump that is here already is left out, where the key is the same; where it is another one, the restore
// of redoubt.key is refused, since one of the two would open nothing.  Equal are keys with equal bytes, wrapped or not:
// a dump from before a change of the KEK has the same keys wrapped otherwise.
//
// check_tokens() looks at the first tokens of each column and tries to open them.  It reads tables itself, so no
// privilege on them is asked, no code of theirs runs, and nothing is charged; no value leaves it.
//
// Locks: ACCESS SHARE on each table while it is looked at.
// Covered by test/tap/restore.pl.
#include "pg/base/boundary.h"

#include "core/token.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/own_tables.h"
#include "pg/base/plaintext.h"
#include "pg/base/shared_memory.h"
#include "pg/base/varlena_view.h"
#include "pg/keys/key_store.h"
#include "pg/keys/keys.h"
#include "pg/types/token_type.h"

extern "C" {
#include "access/tableam.h"
#include "commands/trigger.h"
#include "utils/snapmgr.h"
}

namespace redoubt::pg {
namespace {

// Columns of redoubt.key that are looked at here.
enum : int { kName = 1, kVersion, kWrapped, kKekFingerprint };

// Whether two rows hold the same key; false also where that cannot be told, for want of a KEK.
bool same_key(const WrappedKey &here, const WrappedKey &dumped) {
  if (here.size != dumped.size) return false;
  if (strcmp(here.kek, dumped.kek) == 0)
    return memcmp(here.bytes.data(), dumped.bytes.data(), std::min(here.size, here.bytes.size())) == 0;
  if (key_store_problem(here) != nullptr || key_store_problem(dumped) != nullptr) return false;
  DataKey ours;
  DataKey theirs;
  key_store_unwrap(here, ours);
  key_store_unwrap(dumped, theirs);
  return secret_equal(ours.span(), theirs.span());
}

Datum column(const TriggerData *data, int attribute, Oid type, bool *null) {
  own_column_require(RelationGetDescr(data->tg_relation), attribute, type);
  return heap_getattr(data->tg_trigtuple, attribute, RelationGetDescr(data->tg_relation), null);
}

// The key in the row at hand; version 0 where the row is not whole, which its constraints say.
WrappedKey dumped_key(const TriggerData *data) {
  WrappedKey key;
  bool null = false;
  const Datum version = column(data, kVersion, INT4OID, &null);
  if (null) return key;
  key.version = DatumGetInt32(version);
  const Datum wrapped = column(data, kWrapped, BYTEAOID, &null);
  if (null) {
    key.state = KeyState::destroyed;
  } else {
    const bytea *bytes = DatumGetByteaPP(wrapped);
    key.size = VARSIZE_ANY_EXHDR(bytes);
    memcpy(key.bytes.data(), VARDATA_ANY(bytes), std::min(key.size, key.bytes.size()));
  }
  const Datum kek = column(data, kKekFingerprint, TEXTOID, &null);
  if (!null) strlcpy(key.kek, text_to_cstring(DatumGetTextPP(kek)), sizeof key.kek);
  return key;
}

// How many tokens of a column are looked at.
constexpr int kLookedAt = 20;

struct Finding {
  Oid relid;
  AttrNumber column;
  const TokenType *type;
  int version;
  const char *problem;
};

// What keeps a token from being opened; null where nothing does.
const char *token_problem(const TokenType *type, Datum value, int *version) {
  const auto bytes = varlena_bytes(PG_DETOAST_DATUM(value));
  const auto view = token_parse(bytes);
  *version = 0;
  if (!view.ok()) return "is damaged";
  if (view->vaulted) return nullptr;
  *version = view->key_version;
  const WrappedKey key = key_store_read(NameStr(type->key), view->key_version);
  if (key.version == 0) return "names a version of its key that is missing";
  if (key.state == KeyState::destroyed) return "is of a version of its key that was destroyed";
  if (key_store_problem(key) != nullptr) return nullptr;  // verify_keys() says so
  if (key.state == KeyState::retired) return "is of a version of its key that is retired";
  std::string &out = plaintext_buffer(PlaintextStep::result, view->ciphertext.size());
  out.resize(view->ciphertext.size());
  std::size_t size = 0;
  const Status opened = keys_sealer(type, view->key_version)
                            ->open(*view, {reinterpret_cast<std::uint8_t *>(out.data()), out.size()}, size);
  (void)plaintext_buffer(PlaintextStep::result, 0);
  return opened == Status::ok ? nullptr : "is of another key with this name and version, or of another type";
}

List *note(List *findings, const Finding &finding, MemoryContext context) {
  const ListCell *cell = nullptr;
  foreach (cell, findings) {
    const auto *known = static_cast<const Finding *>(lfirst(cell));
    if (known->relid == finding.relid && known->column == finding.column && known->version == finding.version)
      return findings;
  }
  MemoryContext old = MemoryContextSwitchTo(context);
  auto *kept = static_cast<Finding *>(palloc(sizeof(Finding)));
  *kept = finding;
  findings = lappend(findings, kept);
  MemoryContextSwitchTo(old);
  return findings;
}

// The first tokens of each sealed column of a table.
List *look_at(List *findings, Relation relation, MemoryContext context, MemoryContext row) {
  const TupleDesc descriptor = RelationGetDescr(relation);
  int columns = 0;
  auto **types =
      static_cast<const TokenType **>(palloc0(sizeof(TokenType *) * static_cast<Size>(descriptor->natts + 1)));
  for (int i = 0; i < descriptor->natts; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
    if (attribute->attisdropped || compat_is_virtual(RelationGetRelid(relation), static_cast<AttrNumber>(i + 1)))
      continue;
    const TokenType *type = token_type_find(getBaseType(attribute->atttypid));
    if (type == nullptr || type->format != nullptr || type->vaulted) continue;
    types[i] = type;
    ++columns;
  }
  if (columns == 0) return findings;
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
  MemoryContext old = MemoryContextSwitchTo(row);
  for (int rows = 0; rows < kLookedAt && table_scan_getnextslot(scan, ForwardScanDirection, slot); ++rows) {
    CHECK_FOR_INTERRUPTS();
    for (int i = 0; i < descriptor->natts; ++i) {
      if (types[i] == nullptr) continue;
      bool null = false;
      const Datum value = slot_getattr(slot, i + 1, &null);
      if (null) continue;
      int version = 0;
      const char *problem = token_problem(types[i], value, &version);
      if (problem != nullptr)
        findings =
            note(findings, {RelationGetRelid(relation), static_cast<AttrNumber>(i + 1), types[i], version, problem},
                 context);
    }
    MemoryContextReset(row);
  }
  MemoryContextSwitchTo(old);
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  return findings;
}

}  // namespace
}  // namespace redoubt::pg

// Trigger before each row that is put into redoubt.key, but for what the functions of the extension put there.
REDOUBT_FUNCTION(redoubt_key_restored) {
  using namespace redoubt::pg;
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "redoubt_key_restored must be called as a trigger");
  const auto *data = reinterpret_cast<const TriggerData *>(fcinfo->context);
  if (own_table_inserting()) PG_RETURN_POINTER(data->tg_trigtuple);
  bool null = false;
  const Datum name_datum = column(data, kName, TEXTOID, &null);
  const WrappedKey dumped = dumped_key(data);
  if (null || dumped.version < 1) PG_RETURN_POINTER(data->tg_trigtuple);
  const char *name = text_to_cstring(DatumGetTextPP(name_datum));
  const WrappedKey here = key_store_read(name, dumped.version);
  if (here.version == 0) PG_RETURN_POINTER(data->tg_trigtuple);
  const bool same = here.state == KeyState::destroyed || dumped.state == KeyState::destroyed
                        ? here.state == dumped.state
                        : same_key(here, dumped);
  if (!same)
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("version %d of key \"%s\" is in this database already, and is another key or cannot be compared",
                dumped.version, name),
         errdetail("No row of redoubt.key was taken: tokens that came with these keys do not open here."),
         errhint("If no token of this database needs its own key, which redoubt.key_use() says of a database before "
                 "a restore, delete it as a superuser, DELETE FROM redoubt.key WHERE name = '%s', and restore the "
                 "table redoubt.key again: pg_restore --data-only --schema=redoubt --table=key.",
                 name),
         errhidestmt(true)));
  PG_RETURN_POINTER(nullptr);
}

// check_tokens() -> setof (table_name, column_name, key, version, problem)
REDOUBT_FUNCTION(redoubt_check_tokens) {
  using namespace redoubt::pg;
  require_preloaded();
  InitMaterializedSRF(fcinfo, 0);
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  List *relations = NIL;
  catalog_scan(RelationRelationId, InvalidOid, {}, [&relations](const CatalogRow &row) {
    const auto *form = row.as<Form_pg_class>();
    if ((form->relkind == RELKIND_RELATION || form->relkind == RELKIND_MATVIEW) && form->oid >= FirstNormalObjectId)
      relations = lappend_oid(relations, form->oid);
  });
  list_sort(relations, list_oid_cmp);
  MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "redoubt check tokens", ALLOCSET_DEFAULT_SIZES);
  List *findings = NIL;
  const ListCell *cell = nullptr;
  foreach (cell, relations) {
    Relation relation = try_relation_open(lfirst_oid(cell), AccessShareLock);
    if (relation == nullptr) continue;  // dropped meanwhile
    if (!RELATION_IS_OTHER_TEMP(relation)) findings = look_at(findings, relation, CurrentMemoryContext, row);
    relation_close(relation, AccessShareLock);
  }
  MemoryContextDelete(row);
  foreach (cell, findings) {
    const auto *found = static_cast<const Finding *>(lfirst(cell));
    const char *attribute = get_attname(found->relid, found->column, true);
    if (attribute == nullptr) continue;  // dropped meanwhile
    NameData column_name;
    namestrcpy(&column_name, attribute);
    Datum values[] = {ObjectIdGetDatum(found->relid), NameGetDatum(&column_name),
                      CStringGetTextDatum(NameStr(found->type->key)), Int32GetDatum(found->version),
                      CStringGetTextDatum(found->problem)};
    bool nulls[lengthof(values)] = {};
    nulls[3] = found->version == 0;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}
