// key_store.cpp - see key_store.h; redoubt.rewrap_keys(), which wraps every data key of a database by the server's
// KEK; and redoubt.verify_keys(), which says of each whether the server can open it.
//
// Order of work of a change of KEK: the server starts with the new one as its KEK and the old one as the previous;
// data keys that either wraps can be used from then on, and what is new is wrapped by the new one; rewrap_keys() wraps
// the others, in every database; the server starts without the old one.  A crash at any point leaves every row wrapped
// by one of the two, because rewrap_keys() is one transaction.
//
// Invariant: no row of redoubt.key is replaced by one that was not unwrapped again and found equal.
// Locks: rewrap_keys() holds SHARE ROW EXCLUSIVE on redoubt.key to the end of its transaction, so that no key is being
// made or rotated meanwhile; who uses keys does not wait.
//
// Covered by sql/keys.sql, test/tap/keys.pl and test/tap/replication.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/base/own_tables.h"
#include "core/keywrap.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/catalog.h"
#include "pg/keys/key_store.h"
#include "pg/types/token_type.h"
#include "pg/base/shared_memory.h"
#include "pg/base/varlena_view.h"

extern "C" {
#include "storage/lmgr.h"
}

namespace redoubt::pg {
namespace {

// Columns of redoubt.key.
enum : int { kName = 1, kVersion, kWrapped, kKekFingerprint, kCreatedBy, kCreatedAt, kState };

int version_of(const CatalogRow &row) {
  const int version = DatumGetInt32(own_value(row, kVersion, INT4OID));
  if (version < 1 || version > kMaxKeyVersion)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a version in redoubt.key is not between 1 and 65535"),
                    errhint("The row was changed by hand; restore it from a backup."), errhidestmt(true)));
  return version;
}

WrappedKey wrapped_of(const CatalogRow &row) {
  WrappedKey result;
  const std::string_view state = varlena_text(DatumGetTextPP(own_value(row, kState, TEXTOID)));
  result.state = state == "in use" ? KeyState::in_use : state == "retired" ? KeyState::retired : KeyState::destroyed;
  result.version = version_of(row);
  if (result.state != KeyState::destroyed) {
    const bytea *wrapped = DatumGetByteaPP(own_value(row, kWrapped, BYTEAOID));
    result.size = VARSIZE_ANY_EXHDR(wrapped);
    memcpy(result.bytes.data(), VARDATA_ANY(wrapped), std::min(result.size, result.bytes.size()));
  }
  strlcpy(result.kek, text_to_cstring(DatumGetTextPP(own_value(row, kKekFingerprint, TEXTOID))), sizeof result.kek);
  return result;
}

Oid key_table() {
  const Oid relid = catalog_relation("key");
  if (!OidIsValid(relid)) elog(ERROR, "table redoubt.key is missing");
  return relid;
}

Datum bytea_datum(std::span<const std::uint8_t, kWrappedSize> wrapped) {
  auto *bytes = static_cast<bytea *>(palloc(VARHDRSZ + kWrappedSize));
  SET_VARSIZE(bytes, VARHDRSZ + kWrappedSize);
  memcpy(VARDATA(bytes), wrapped.data(), kWrappedSize);
  return PointerGetDatum(bytes);
}

// Runs a statement and returns the number of rows.
uint64 write_key(OwnChange change, const char *sql, std::span<Oid> types, Datum *values) {
  const uint64 processed = own_table_as_owner(key_table(), [=] {
    if (own_table_write(change, sql, types, values) < 0) elog(ERROR, "could not write redoubt.key");
  });
  CommandCounterIncrement();
  return processed;
}

int by_name_and_version(const ListCell *a, const ListCell *b) {
  const auto *left = static_cast<const KeyRow *>(lfirst(a));
  const auto *right = static_cast<const KeyRow *>(lfirst(b));
  const int names = strcmp(left->name, right->name);
  return names != 0 ? names : left->wrapped.version - right->wrapped.version;
}

// The keys that the server's KEK does not wrap.
List *keys_of_other_keks() {
  List *keys = NIL;
  const List *rows = key_store_rows();
  for (auto *row : list_of<KeyRow>(rows)) {
    if (strcmp(row->wrapped.kek, kek_fingerprint()) != 0) keys = lappend(keys, row);
  }
  return keys;
}

// Unwraps a key whose KEK the server has.
bool unwraps(const WrappedKey &wrapped, DataKey &out) noexcept {
  // key_unwrap may write whole blocks: give it the wrapped size.
  SecretBytes<kWrappedSize> plain;
  std::size_t length = 0;
  if (wrapped.size != kWrappedSize ||
      key_unwrap(kek_bytes(wrapped.kek), wrapped.bytes, plain.span(), length) != Status::ok || length != 2 * kKeySize)
    return false;
  std::copy_n(plain.span().begin(), out.span().size(), out.span().begin());
  return true;
}

constexpr int kListed = 20;

constexpr const char *kRightKek =
    "Start the server with the key-encryption key this database was made with, or with it as the previous one.";

// Throws where the new row would not open to the same key.
void wrap_again(const WrappedKey &old, WrappedKey &made) {
  DataKey key;
  DataKey again;
  key_store_unwrap(old, key);
  made.version = old.version;
  made.size = kWrappedSize;
  strlcpy(made.kek, kek_fingerprint(), sizeof made.kek);
  key_store_wrap(key, made.bytes);
  key_store_unwrap(made, again);
  if (!secret_equal(key.span(), again.span()))
    throw Failure(ERRCODE_INTERNAL_ERROR, "a data key that was wrapped anew does not open to itself");
}

}  // namespace

WrappedKey key_store_read(const char *name, int version) {
  WrappedKey result;
  catalog_scan("key", [&result, name, version](const CatalogRow &row) {
    if (varlena_text(DatumGetTextPP(own_value(row, kName, TEXTOID))) != name) return;
    const int row_version = version_of(row);
    if (version != 0 ? row_version != version : row_version <= result.version) return;
    result = wrapped_of(row);
  });
  return result;
}

List *key_store_rows() {
  List *rows = NIL;
  catalog_scan("key", [&rows](const CatalogRow &row) {
    const WrappedKey wrapped = wrapped_of(row);
    if (wrapped.state == KeyState::destroyed) return;
    auto *found = static_cast<KeyRow *>(palloc(sizeof(KeyRow)));
    *found = {text_to_cstring(DatumGetTextPP(own_value(row, kName, TEXTOID))), wrapped};
    rows = lappend(rows, found);
  });
  list_sort(rows, by_name_and_version);
  return rows;
}

const char *key_store_problem(const WrappedKey &wrapped) noexcept {
  if (kek_bytes(wrapped.kek).empty())
    return kek_available() ? "another key-encryption key wrapped it" : "the server has no key-encryption key";
  DataKey key;
  return unwraps(wrapped, key) ? nullptr : "it is damaged";
}

char *key_store_unopened(const List *rows, int *count) {
  StringInfoData lines;
  initStringInfo(&lines);
  int unopened = 0;
  for (const auto *row : list_of<const KeyRow>(rows)) {
    const char *problem = key_store_problem(row->wrapped);
    if (problem == nullptr || ++unopened > kListed) continue;
    appendStringInfo(&lines, "%sversion %d of key \"%s\", key-encryption key %s: %s", unopened == 1 ? "" : "\n",
                     row->wrapped.version, row->name, row->wrapped.kek, problem);
  }
  if (unopened > kListed) appendStringInfo(&lines, "\nand %d more", unopened - kListed);
  *count = unopened;
  return lines.data;
}

void key_store_warn() {
  const List *rows = key_store_rows();
  int count = 0;
  const char *lines = key_store_unopened(rows, &count);
  if (count == 0) return;
  ereport(WARNING, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("%d of %d keys of database \"%s\" cannot be opened", count, list_length(rows),
                           get_database_name(MyDatabaseId)),
                    errdetail("%s", lines), errhint("%s", kRightKek)));
}

void key_store_require_fit() {
  const List *rows = key_store_rows();
  int count = 0;
  const char *lines = key_store_unopened(rows, &count);
  if (count == 0 || count < list_length(rows)) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("a new key was refused because the server can open no key of this database"),
                  errdetail("%s", lines), errhint("%s", kRightKek), errhidestmt(true)));
}

void key_store_check(const char *name, const WrappedKey &wrapped) {
  if (wrapped.state == KeyState::destroyed)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("version %d of key \"%s\" was destroyed", wrapped.version, name),
                    errhint("Its values are lost for good. redoubt.create_key() makes a new version for new values."),
                    errhidestmt(true)));
  if (wrapped.state == KeyState::retired)
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("version %d of key \"%s\" is retired", wrapped.version, name),
         errhint(
             "The token is a copy from before its column was sealed anew, or in an index that REINDEX has not rebuilt "
             "since. A superuser takes the version back into use."),
         errhidestmt(true)));
  if (!kek_bytes(wrapped.kek).empty()) return;
  const bool two = kek_available(KekRole::previous);
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("key \"%s\" was wrapped by the key-encryption key with fingerprint %s, but the server has %s%s%s",
                  name, wrapped.kek, kek_fingerprint(), two ? " and " : "", kek_fingerprint(KekRole::previous)),
           errhint("%s", kRightKek), errhidestmt(true)));
}

void key_store_unwrap(const WrappedKey &wrapped, DataKey &out) {
  if (!unwraps(wrapped, out))
    throw Failure(ERRCODE_DATA_CORRUPTED, "a wrapped key in redoubt.key is damaged",
                  "Restore the row of redoubt.key from a backup.");
}

void key_store_wrap(const DataKey &key, std::span<std::uint8_t, kWrappedSize> out) {
  std::size_t length = 0;
  if (key_wrap(kek_bytes(kek_fingerprint()), key.span(), out, length) != Status::ok || length != kWrappedSize)
    throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL could not wrap a data key");
}

bool key_store_insert(const char *name, int version, std::span<const std::uint8_t, kWrappedSize> wrapped) {
  Oid types[] = {TEXTOID, INT4OID, BYTEAOID, TEXTOID, TEXTOID};
  Datum values[] = {CStringGetTextDatum(name), Int32GetDatum(version), bytea_datum(wrapped),
                    CStringGetTextDatum(kek_fingerprint()),
                    CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false))};
  return write_key(OwnChange::inserts,
                   "INSERT INTO redoubt.key (name, version, wrapped, kek_fingerprint, created_by) "
                   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                   types, values) == 1;
}

void key_store_replace(const KeyRow &old, const WrappedKey &made) {
  Oid types[] = {TEXTOID, INT4OID, BYTEAOID, BYTEAOID, TEXTOID};
  Datum values[] = {CStringGetTextDatum(old.name), Int32GetDatum(made.version), bytea_datum(old.wrapped.bytes),
                    bytea_datum(made.bytes), CStringGetTextDatum(made.kek)};
  if (write_key(OwnChange::updates,
                "UPDATE redoubt.key SET wrapped = $4, kek_fingerprint = $5 WHERE name OPERATOR(pg_catalog.=) $1"
                " AND version OPERATOR(pg_catalog.=) $2 AND wrapped OPERATOR(pg_catalog.=) $3",
                types, values) != 1)
    elog(ERROR, "a row of redoubt.key did not change as it should");
}

void key_store_lock() { LockRelationOid(key_table(), ShareRowExclusiveLock); }

void key_store_retire(const char *name, int version) {
  Oid types[] = {TEXTOID, INT4OID};
  Datum values[] = {CStringGetTextDatum(name), Int32GetDatum(version)};
  if (write_key(OwnChange::updates,
                "UPDATE redoubt.key SET state = 'retired' WHERE name OPERATOR(pg_catalog.=) $1"
                " AND version OPERATOR(pg_catalog.=) $2 AND state OPERATOR(pg_catalog.=) 'in use'",
                types, values) != 1)
    elog(ERROR, "a row of redoubt.key did not change as it should");
}

int key_store_destroy(const char *name) {
  Oid types[] = {TEXTOID};
  Datum values[] = {CStringGetTextDatum(name)};
  return static_cast<int>(
      write_key(OwnChange::updates,
                "UPDATE redoubt.key SET wrapped = NULL, state = 'destroyed' WHERE name OPERATOR(pg_catalog.=) $1"
                " AND state OPERATOR(pg_catalog.<>) 'destroyed'",
                types, values));
}

}  // namespace redoubt::pg

// rewrap_keys() -> bigint: how many
REDOUBT_FUNCTION(redoubt_rewrap_keys) {
  using namespace redoubt::pg;
  require_preloaded();
  require_kek();
  PreventCommandIfReadOnly("redoubt.rewrap_keys()");
  key_store_lock();
  const List *keys = keys_of_other_keks();
  int unopened = 0;
  const char *lines = key_store_unopened(keys, &unopened);
  if (unopened > 0)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("no key was wrapped anew, because %d of them cannot be opened", unopened),
                    errdetail("%s", lines), errhint("%s", kRightKek), errhidestmt(true)));
  for (const auto *old : list_of<const KeyRow>(keys)) {
    WrappedKey made;
    wrap_again(old->wrapped, made);
    key_store_replace(*old, made);
  }
  audit_write({.event = "key",
               .operation = "rewrap_keys",
               .count = list_length(keys),
               .detail = psprintf("by the key-encryption key %s", kek_fingerprint())});
  PG_RETURN_INT64(list_length(keys));
}

// verify_keys() -> setof (name, version, kek_fingerprint, opens, problem)
REDOUBT_FUNCTION(redoubt_verify_keys) {
  using namespace redoubt::pg;
  require_preloaded();
  InitMaterializedSRF(fcinfo, 0);
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const List *rows = key_store_rows();
  for (const auto *row : list_of<const KeyRow>(rows)) {
    const char *problem = key_store_problem(row->wrapped);
    Datum values[] = {CStringGetTextDatum(row->name), Int32GetDatum(row->wrapped.version),
                      CStringGetTextDatum(row->wrapped.kek), BoolGetDatum(problem == nullptr), static_cast<Datum>(0)};
    bool nulls[lengthof(values)] = {};
    nulls[4] = problem == nullptr;
    if (problem != nullptr) values[4] = CStringGetTextDatum(problem);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}
