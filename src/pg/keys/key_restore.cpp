// key_restore.cpp - keys of a dump that meet those of the database.
//
// A database may have keys before a dump is restored into it: it was made from a template that had some, or was used.
// A row of the dump that is here already is left out, where the key is the same; where it is another one, the restore
// of redoubt.key is refused, since one of the two would open nothing.  Equal are keys with equal bytes, wrapped or not:
// a dump from before a change of the KEK has the same keys wrapped otherwise.
//
// Locks: none of ours.  Covered by sql/keys.sql and test/tap/restore.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/own_tables.h"
#include "pg/keys/key_store.h"

extern "C" {
#include "commands/trigger.h"
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
