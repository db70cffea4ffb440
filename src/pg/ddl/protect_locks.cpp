// protect_locks.cpp - the locks of a step of redoubt.protect_column(), and what tells that nothing changed before them.
//
// A step takes its turn first, when it holds no lock of a table, so that two of them never wait for each other.  Tables
// are locked in the order in which readers and writers lock them: views from the top down, then tables that refer to
// others before those.  What is decided by is looked up before; step_stamp tells under the locks that it is still so.
// GRANT and ALTER SCHEMA ... RENAME lock no relation, so the rows that they would change are locked.
// Covered by test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/ddl/protect_step.h"

extern "C" {
#include "access/heapam.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
}

namespace redoubt::pg {
namespace {

[[noreturn]] void raise_locked() {
  ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("canceling statement due to lock timeout")));
}

// Keeps the rows of a catalog that `keys` find as they are, to the end of the transaction.
void keep_rows(Oid catalog, Oid index, std::span<ScanKeyData> keys, LockTupleMode mode) {
  Relation relation = table_open(catalog, RowExclusiveLock);
  catalog_scan(catalog, index, keys, [relation, mode](const CatalogRow &row) {
    HeapTupleData tuple = *row.tuple;
    Buffer buffer = InvalidBuffer;
    TM_FailureData failure;
    const TM_Result result =
        heap_lock_tuple(relation, &tuple, GetCurrentCommandId(true), mode, LockWaitSkip, false, &buffer, &failure);
    if (BufferIsValid(buffer)) ReleaseBuffer(buffer);
    if (result != TM_Ok) raise_locked();
  });
  table_close(relation, NoLock);
}

void keep_privileges(Oid relid) {
  ScanKeyData of_relation[] = {catalog_key(Anum_pg_class_oid, relid)};
  ScanKeyData of_columns[] = {catalog_key(Anum_pg_attribute_attrelid, relid)};
  ScanKeyData of_schema[] = {catalog_key(Anum_pg_namespace_oid, get_rel_namespace(relid))};
  keep_rows(RelationRelationId, ClassOidIndexId, of_relation, LockTupleExclusive);
  keep_rows(AttributeRelationId, AttributeRelidNumIndexId, of_columns, LockTupleExclusive);
  keep_rows(NamespaceRelationId, NamespaceOidIndexId, of_schema, LockTupleKeyShare);
}

// A catalog whose rows hang on a relation, by its OID in the first column of an index.
struct Hanging {
  Oid catalog;
  Oid index;
  AttrNumber relation;
  AttrNumber class_id;  // the column that says that the OID is a relation's; 0: it always is
};
constexpr Hanging kHanging[] = {
    {RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, 0},
    {AttributeRelationId, AttributeRelidNumIndexId, Anum_pg_attribute_attrelid, 0},
    {AttrDefaultRelationId, AttrDefaultIndexId, Anum_pg_attrdef_adrelid, 0},
    {IndexRelationId, IndexIndrelidIndexId, Anum_pg_index_indrelid, 0},
    {ConstraintRelationId, ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, 0},
    {TriggerRelationId, TriggerRelidNameIndexId, Anum_pg_trigger_tgrelid, 0},
    {PolicyRelationId, PolicyPolrelidPolnameIndexId, Anum_pg_policy_polrelid, 0},
    {RewriteRelationId, RewriteRelRulenameIndexId, Anum_pg_rewrite_ev_class, 0},
    {StatisticExtRelationId, StatisticExtRelidIndexId, Anum_pg_statistic_ext_stxrelid, 0},
    {PublicationRelRelationId, PublicationRelPrrelidPrpubidIndexId, Anum_pg_publication_rel_prrelid, 0},
    {DependRelationId, DependReferenceIndexId, Anum_pg_depend_refobjid, Anum_pg_depend_refclassid},
    {SecLabelRelationId, SecLabelObjectIndexId, Anum_pg_seclabel_objoid, Anum_pg_seclabel_classoid},
    {DescriptionRelationId, DescriptionObjIndexId, Anum_pg_description_objoid, Anum_pg_description_classoid},
};

// Where a row is and who wrote it: another version of it has another of these.
std::uint64_t row_stamp(const CatalogRow &row) {
  const struct {
    Oid catalog;
    BlockNumber block;
    std::uint32_t line;
    TransactionId writer;
  } version = {row.tuple->t_tableOid, ItemPointerGetBlockNumber(&row.tuple->t_self),
               ItemPointerGetOffsetNumber(&row.tuple->t_self), HeapTupleHeaderGetRawXmin(row.tuple->t_data)};
  return hash_bytes_extended(reinterpret_cast<const unsigned char *>(&version), sizeof version, 0);
}

}  // namespace

bool step_take_turn(const StepCall &step, std::span<const Oid> tables) {
  const Oid own = catalog_relation("protection");
  if (!OidIsValid(own)) elog(ERROR, "table redoubt.protection is missing");
  // Nobody else locks an object by this class.
  return step_try(step, [&] {
    for (const Oid table : tables) LockDatabaseObject(own, table, 0, ExclusiveLock);
  });
}

bool step_wait_for_vacuum(const StepCall &step, Oid relid) {
  return step_try(step, [relid] {
    step_set("lock_timeout", psprintf("%d", DeadlockTimeout + 2000));  // autovacuum is asked after deadlock_timeout
    LockRelationOid(relid, ShareUpdateExclusiveLock);
    UnlockRelationOid(relid, ShareUpdateExclusiveLock);
  });
}

void step_lock(std::span<const Oid> relations, int milliseconds) {
  const TimestampTz started = GetCurrentTimestamp();
  for (const Oid relid : relations) {
    const long left = milliseconds - TimestampDifferenceMilliseconds(started, GetCurrentTimestamp());
    if (left < 1) raise_locked();
    step_set("lock_timeout", psprintf("%ld", left));
    LockRelationOid(relid, AccessExclusiveLock);
    if (get_rel_name(relid) == nullptr) raise_locked();  // dropped meanwhile: the next try sees that
    protection_require_owner(relid);
  }
  for (const Oid relid : relations)
    if (get_rel_relkind(relid) != RELKIND_INDEX) keep_privileges(relid);
}

std::uint64_t step_stamp(std::span<const Oid> relations) {
  std::uint64_t sum = 0;
  for (const Oid relid : relations) {
    for (const Hanging &hanging : kHanging) {
      ScanKeyData keys[2] = {catalog_key(hanging.relation, relid)};
      int size = 1;
      if (hanging.class_id != 0) {
        keys[size++] = catalog_key(hanging.class_id, RelationRelationId);
        if (hanging.class_id < hanging.relation) std::swap(keys[0], keys[1]);  // in the order of the index
      }
      catalog_scan(hanging.catalog, hanging.index, std::span(keys, size),
                   [&sum](const CatalogRow &row) { sum += row_stamp(row); });
    }
    ScanKeyData schema[] = {catalog_key(Anum_pg_namespace_oid, get_rel_namespace(relid))};
    catalog_scan(NamespaceRelationId, NamespaceOidIndexId, schema,
                 [&sum](const CatalogRow &row) { sum += row_stamp(row); });
  }
  // GRANT and CREATE POLICY name roles.
  catalog_scan(AuthIdRelationId, InvalidOid, {}, [&sum](const CatalogRow &row) { sum += row_stamp(row); });
  return sum;
}

}  // namespace redoubt::pg
