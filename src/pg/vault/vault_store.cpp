// vault_store.cpp - see vault_store.h.
//
// Reading is an index scan of our own, writing SPI with plans kept per backend, as the
// table's owner and with every name qualified.  What SPI and those who listen to it
// (auto_explain, pg_stat_statements) see of a value is its fingerprint and its sealed form.
//
// Locks: heap and index locks of PostgreSQL alone.  A transaction that adds a row makes others that add
// the same token or fingerprint wait until it ends; one that deletes or disables it, those that would hand its token
// out.
// Covered by sql/vault.sql, test/isolation/specs/vault_first.spec and test/tap/vault.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/base/own_tables.h"
#include "core/vault.h"
#include "pg/base/catalog.h"
#include "pg/protect/protected_columns.h"
#include "pg/base/varlena_view.h"
#include "pg/vault/vault_store.h"

extern "C" {
#include "storage/lmgr.h"
}

namespace redoubt::pg {
namespace {

// Columns of redoubt.vault.
enum : AttrNumber {
  kClassIdColumn = 1,
  kTokenColumn,
  kFingerprintColumn,
  kSealedColumn,
  kExpiresColumn,
  kDisabledColumn
};

enum Statement : int {
  kInsert,
  kDeleteToken,
  kDeleteFingerprint,
  kSetSome,
  kSetAll,
  kDeleteDead,
  kReseal,
  kSweep,
  kStatements
};

struct StatementText {
  const char *sql;
  int arguments;
  Oid types[5];
};

#define VAULT_IS " OPERATOR(pg_catalog.=) "
constexpr StatementText kText[kStatements] = {
    {"INSERT INTO redoubt.vault (class_id, token, fingerprint, sealed, expires_at) VALUES ($1, $2, $3, $4, $5) "
     "ON CONFLICT DO NOTHING",
     5,
     {UUIDOID, BYTEAOID, BYTEAOID, BYTEAOID, TIMESTAMPTZOID}},
    {"DELETE FROM redoubt.vault WHERE class_id" VAULT_IS "$1 AND token" VAULT_IS "$2", 2, {UUIDOID, BYTEAOID}},
    {"DELETE FROM redoubt.vault WHERE class_id" VAULT_IS "$1 AND fingerprint" VAULT_IS "$2", 2, {UUIDOID, BYTEAOID}},
    {"UPDATE redoubt.vault SET disabled = $2 WHERE class_id" VAULT_IS
     "$1 AND disabled OPERATOR(pg_catalog.<>) $2 AND token" VAULT_IS "ANY ($3)",
     3,
     {UUIDOID, BOOLOID, BYTEAARRAYOID}},
    {"UPDATE redoubt.vault SET disabled = $2 WHERE class_id" VAULT_IS "$1 AND disabled OPERATOR(pg_catalog.<>) $2",
     2,
     {UUIDOID, BOOLOID}},
    {"DELETE FROM redoubt.vault WHERE class_id" VAULT_IS "$1 AND (disabled OR expires_at OPERATOR(pg_catalog.<=) $2)",
     2,
     {UUIDOID, TIMESTAMPTZOID}},
    {"UPDATE redoubt.vault SET sealed = $4 WHERE class_id" VAULT_IS "$1 AND token" VAULT_IS "$2 AND sealed" VAULT_IS
     "$3",
     4,
     {UUIDOID, BYTEAOID, BYTEAOID, BYTEAOID}},
    {"DELETE FROM redoubt.vault WHERE ctid" VAULT_IS
     "ANY (ARRAY(SELECT ctid FROM redoubt.vault WHERE expires_at OPERATOR(pg_catalog.<=) $1 LIMIT $2 "
     "FOR UPDATE SKIP LOCKED))",
     2,
     {TIMESTAMPTZOID, INT8OID}},
};
#undef VAULT_IS

struct State {
  SPIPlanPtr plans[kStatements] = {};
  Oid relation = InvalidOid;
  Oid toast = InvalidOid;
  bool relation_known = false;
};
constinit State state;

}  // namespace

void vault_catalog_changed() {
  state.relation_known = false;
  ++protected_generation;
}

namespace {

Datum uuid_datum(const ClassId &class_id) { return PointerGetDatum(class_id.data()); }

Oid toast_of(Oid relid) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return InvalidOid;
  const Oid found = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->reltoastrelid;
  ReleaseSysCache(tuple);
  return found;
}

void run_plan(Statement statement, Datum *values, const char *nulls) {
  const StatementText &text = kText[statement];
  if (state.plans[statement] == nullptr) {
    SPIPlanPtr plan = SPI_prepare(text.sql, text.arguments, const_cast<Oid *>(text.types));
    if (plan == nullptr || SPI_keepplan(plan) != 0) elog(ERROR, "could not prepare a statement on redoubt.vault");
    state.plans[statement] = plan;
  }
  vault_own_query = true;
  PG_TRY();
  {
    if (SPI_execute_plan(state.plans[statement], values, nulls, false, 0) < 0)
      elog(ERROR, "could not write redoubt.vault");
  }
  PG_FINALLY();
  { vault_own_query = false; }
  PG_END_TRY();
}

// Runs a statement and returns the number of rows.
uint64 execute(Statement statement, Datum *values, const char *nulls = nullptr) {
  const Oid relid = vault_relation();
  if (!OidIsValid(relid)) elog(ERROR, "table redoubt.vault is missing");
  return own_table_as_owner(relid, [=] { run_plan(statement, values, nulls); });
}

void copy_row(VaultRow *row, const CatalogRow &stored) {
  bool null = false;
  row->found = true;
  row->token = DatumGetByteaPCopy(own_value(stored, kTokenColumn, BYTEAOID));
  row->sealed = DatumGetByteaPCopy(own_value(stored, kSealedColumn, BYTEAOID));
  row->disabled = DatumGetBool(own_value(stored, kDisabledColumn, BOOLOID));
  const Datum expires = own_value_or_null(stored, kExpiresColumn, TIMESTAMPTZOID, &null);
  row->expired = !null && DatumGetTimestampTz(expires) <= GetCurrentTimestamp();
}

// Opened for a scan by class id and token or fingerprint.
Relation open_table(Oid relid) {
  Relation table = table_open(relid, AccessShareLock);
  own_column_require(RelationGetDescr(table), kClassIdColumn, UUIDOID);
  own_column_require(RelationGetDescr(table), kTokenColumn, BYTEAOID);
  own_column_require(RelationGetDescr(table), kFingerprintColumn, BYTEAOID);
  return table;
}

Oid index_of(VaultBy by) {
  const Oid index = catalog_relation(by == VaultBy::token ? "vault_pkey" : "vault_fingerprint");
  if (!OidIsValid(index) || IndexGetRelation(index, true) != vault_relation())
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("an index of redoubt.vault is missing"),
                    errhint("It was dropped by hand; restore it from a dump of the extension.")));
  return index;
}

// Finds the row that is committed now, or our own; any row of the class where `key` is null.  *changing: who is
// deleting or changing it and has not ended; not asked for where null.
VaultRow find(const ClassId &class_id, VaultBy by, const bytea *key, TransactionId *changing) {
  VaultRow row = {};
  const Oid relid = vault_relation();
  if (!OidIsValid(relid)) return row;
  const Oid index = index_of(by);
  Relation table = open_table(relid);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], kClassIdColumn, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(class_id));
  ScanKeyInit(&keys[1], by == VaultBy::token ? kTokenColumn : kFingerprintColumn, BTEqualStrategyNumber, F_BYTEAEQ,
              PointerGetDatum(key));
  // A catalog snapshot is a fresh one, whatever the isolation level.  A dirty one protects no long values.
  Snapshot fresh = RegisterSnapshot(GetCatalogSnapshot(relid));
  SnapshotData dirty;
  InitDirtySnapshot(dirty);
  SysScanDesc scan = systable_beginscan(table, index, true, changing != nullptr ? &dirty : fresh,
                                        key != nullptr ? lengthof(keys) : 1, keys);
  while (HeapTuple tuple = systable_getnext(scan)) {
    if (changing != nullptr && TransactionIdIsValid(dirty.xmin)) continue;  // being added by another
    if (changing != nullptr) *changing = dirty.xmax;
    copy_row(&row, {tuple, RelationGetDescr(table)});
    break;
  }
  systable_endscan(scan);
  UnregisterSnapshot(fresh);
  table_close(table, AccessShareLock);
  return row;
}

Datum expiry(const TokenType *type) {
  auto *ttl = static_cast<Interval *>(palloc(sizeof(Interval)));
  *ttl = type->ttl;
  return DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()),
                             IntervalPGetDatum(ttl));
}

}  // namespace

Oid vault_relation() {
  if (!state.relation_known) {
    state.relation_known = true;  // unless the news comes while we look
    const Oid found = catalog_relation("vault");
    state.toast = toast_of(found);
    state.relation = found;
  }
  return state.relation;
}

bool vault_holds(Oid relid) {
  return OidIsValid(relid) && OidIsValid(vault_relation()) && (relid == state.relation || relid == state.toast);
}

bool vault_is_own(const PlannedStmt *plan) {
  if (!vault_own_query) return false;
  vault_own_query = false;
  // A rule on the table may have put another query in the place of ours.
  if (plan->commandType == CMD_SELECT) return false;
  for (const Oid relid : oids_of(plan->relationOids))
    if (relid != vault_relation()) return false;
  return true;
}

VaultRow vault_find(const ClassId &class_id, VaultBy by, const bytea *key) { return find(class_id, by, key, nullptr); }

VaultRow vault_find_settled(const ClassId &class_id, VaultBy by, const bytea *key) {
  if (RecoveryInProgress()) return vault_find(class_id, by, key);
  while (true) {
    TransactionId changing = InvalidTransactionId;
    const VaultRow row = find(class_id, by, key, &changing);
    if (!TransactionIdIsValid(changing)) return row;
    XactLockTableWait(changing, nullptr, nullptr, XLTW_None);
  }
}

bool vault_insert(const ClassId &class_id, const bytea *token, const bytea *fingerprint, const bytea *sealed,
                  const TokenType *type) {
  Datum values[] = {uuid_datum(class_id), PointerGetDatum(token), PointerGetDatum(fingerprint), PointerGetDatum(sealed),
                    type->expires ? expiry(type) : static_cast<Datum>(0)};
  const char nulls[] = {' ', ' ', fingerprint == nullptr ? 'n' : ' ', ' ', type->expires ? ' ' : 'n', '\0'};
  return execute(kInsert, values, nulls) == 1;
}

bool vault_delete(const ClassId &class_id, VaultBy by, const bytea *key) {
  Datum values[] = {uuid_datum(class_id), PointerGetDatum(key)};
  return execute(by == VaultBy::token ? kDeleteToken : kDeleteFingerprint, values) != 0;
}

uint64 vault_set_disabled(const ClassId &class_id, ArrayType *tokens, bool disabled) {
  Datum values[] = {uuid_datum(class_id), BoolGetDatum(disabled), PointerGetDatum(tokens)};
  return execute(tokens != nullptr ? kSetSome : kSetAll, values);
}

VaultPart vault_rows_of_other_keys(const ClassId &class_id, std::uint16_t version, const bytea *after, int limit) {
  VaultPart part = {};
  Relation table = open_table(vault_relation());
  Relation index = index_open(index_of(VaultBy::token), AccessShareLock);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], kClassIdColumn, BTEqualStrategyNumber, F_UUID_EQ, uuid_datum(class_id));
  ScanKeyInit(&keys[1], kTokenColumn, BTGreaterStrategyNumber, F_BYTEAGT, PointerGetDatum(after));
  Snapshot fresh = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(table)));
  SysScanDesc scan = systable_beginscan_ordered(table, index, fresh, after != nullptr ? 2 : 1, keys);
  for (int looked = 0; looked < limit; ++looked) {
    CHECK_FOR_INTERRUPTS();
    HeapTuple tuple = systable_getnext_ordered(scan, ForwardScanDirection);
    const CatalogRow row = {tuple, RelationGetDescr(table)};
    part.last = HeapTupleIsValid(tuple) ? DatumGetByteaPCopy(own_value(row, kTokenColumn, BYTEAOID)) : nullptr;
    if (part.last == nullptr) break;
    const bytea *head = DatumGetByteaPSlice(own_value(row, kSealedColumn, BYTEAOID), 0, kVaultOverhead);
    const auto sealed_by = vault_key_version(varlena_bytes(head));
    if (!sealed_by.ok() || *sealed_by != version) part.tokens = lappend(part.tokens, part.last);
  }
  systable_endscan_ordered(scan);
  UnregisterSnapshot(fresh);
  index_close(index, AccessShareLock);
  table_close(table, AccessShareLock);
  return part;
}

bool vault_reseal(const ClassId &class_id, const bytea *token, const bytea *was, const bytea *sealed) {
  Datum values[] = {uuid_datum(class_id), PointerGetDatum(token), PointerGetDatum(was), PointerGetDatum(sealed)};
  return execute(kReseal, values) == 1;
}

uint64 vault_delete_dead(const ClassId &class_id) {
  Datum values[] = {uuid_datum(class_id), TimestampTzGetDatum(GetCurrentTimestamp())};
  return execute(kDeleteDead, values);
}

bool vault_has(const ClassId &class_id) { return find(class_id, VaultBy::token, nullptr, nullptr).found; }

uint64 vault_sweep(int batch) {
  Datum values[] = {TimestampTzGetDatum(GetCurrentTimestamp()), Int64GetDatum(batch)};
  return execute(kSweep, values);
}

}  // namespace redoubt::pg
