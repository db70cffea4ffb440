// protect_swap.cpp - the steps of redoubt.protect_column() at its beginning and its end that SQL cannot do.
//
// The trigger is PostgreSQL's own kind ("internal"): a role that may make triggers cannot replace it, its owner cannot
// drop it by itself, and no dump takes it along.
// What the swap decides by is locked before it is looked at: protect_freeze() keeps a relation, the privileges on it
// and the name of its schema as they are, because GRANT and ALTER SCHEMA ... RENAME do not lock relations. Covered by
// sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/ddl/protection.h"
#include "pg/reveal/gate.h"

extern "C" {
#include "access/heapam.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/inval.h"
}

namespace redoubt::pg {
namespace {

// A trigger that nobody can replace or drop, and that fires for replicas, too.  After the application's own.
Oid make_trigger(Oid relid, AttrNumber source) {
  auto *statement = makeNode(CreateTrigStmt);
  statement->trigname = psprintf("~redoubt_protect_%d", source);
  statement->funcname = list_make2(makeString(pstrdup("redoubt")), makeString(pstrdup("keep_token")));
  statement->row = true;
  statement->timing = TRIGGER_TYPE_BEFORE;
  statement->events = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE;
  const Oid function = LookupFuncName(statement->funcname, 0, nullptr, false);
  const ObjectAddress made = CreateTriggerFiringOn(statement, nullptr, relid, InvalidOid, InvalidOid, InvalidOid,
                                                   function, InvalidOid, nullptr, true, false, TRIGGER_FIRES_ALWAYS);
  CommandCounterIncrement();
  return made.objectId;
}

// Keeps the rows of a catalog that `keys` find as they are, to the end of the transaction; false where somebody else is
// changing one of them, or has.
bool keep_rows(Oid catalog, Oid index, std::span<ScanKeyData> keys, LockTupleMode mode) {
  Relation relation = table_open(catalog, RowExclusiveLock);
  bool kept = true;
  catalog_scan(catalog, index, keys, [relation, mode, &kept](const CatalogRow &row) {
    HeapTupleData tuple = *row.tuple;
    Buffer buffer = InvalidBuffer;
    TM_FailureData failure;
    if (!kept) return;
    kept = heap_lock_tuple(relation, &tuple, GetCurrentCommandId(true), mode, LockWaitSkip, false, &buffer, &failure) ==
           TM_Ok;
    if (BufferIsValid(buffer)) ReleaseBuffer(buffer);
  });
  table_close(relation, NoLock);
  return kept;
}

bool keep_privileges(Oid relid) {
  ScanKeyData of_relation[] = {catalog_key(Anum_pg_class_oid, relid)};
  ScanKeyData of_columns[] = {catalog_key(Anum_pg_attribute_attrelid, relid)};
  ScanKeyData of_schema[] = {catalog_key(Anum_pg_namespace_oid, get_rel_namespace(relid))};
  return keep_rows(RelationRelationId, ClassOidIndexId, of_relation, LockTupleExclusive) &&
         keep_rows(AttributeRelationId, AttributeRelidNumIndexId, of_columns, LockTupleExclusive) &&
         keep_rows(NamespaceRelationId, NamespaceOidIndexId, of_schema, LockTupleKeyShare);
}

// No snapshot and no transaction is older than the filling, here or at a standby or subscriber that tells of its own.
bool is_settled(const Protection &protection, Relation relation) {
  if (protection.step != ProtectStep::swap || protection.horizon == 0) return false;
  const TransactionId oldest = GetOldestNonRemovableTransactionId(relation);
  const FullTransactionId next = ReadNextFullTransactionId();  // read later, so never less
  const std::uint64_t age = XidFromFullTransactionId(next) - oldest;
  return U64FromFullTransactionId(next) - age >= protection.horizon;
}

}  // namespace
}  // namespace redoubt::pg

// protect_begin(table oid, source smallint, target smallint, type regtype)
REDOUBT_FUNCTION(redoubt_protect_begin) {
  using namespace redoubt::pg;
  Protection protection = {};
  protection.relid = PG_GETARG_OID(0);
  protection.source = PG_GETARG_INT16(1);
  protection.target = PG_GETARG_INT16(2);
  protection.token_type = PG_GETARG_OID(3);
  protection_require_cage(protection.relid);
  Relation relation = relation_open(protection.relid, AccessExclusiveLock);
  protection_require_cage(protection.relid);
  protection_require_ordinary(relation);
  const TokenType *type = token_type_require(protection.token_type);
  protection_require_fit(protection, type);
  gate_require(type, Privilege::tokenize);
  protection.trigger = make_trigger(protection.relid, protection.source);
  if (!protection_trigger_is_sound(protection.trigger, protection.relid, &protection.version))
    elog(ERROR, "the trigger is not the one of redoubt.protect_column()");
  protection.file = relation->rd_rel->relfilenode;
  protection.blocks = RelationGetNumberOfBlocks(relation);
  relation_close(relation, NoLock);
  protection_insert(protection);
  protection_record("begin", protection, -1);
  PG_RETURN_VOID();
}

// protect_freeze(relation oid)
REDOUBT_FUNCTION(redoubt_protect_freeze) {
  using namespace redoubt::pg;
  const Oid relid = PG_GETARG_OID(0);
  protection_require_cage(relid);
  LockRelationOid(relid, AccessExclusiveLock);
  protection_require_cage(relid);
  PG_RETURN_BOOL(keep_privileges(relid));
}

// protect_settled(table oid, source smallint)
REDOUBT_FUNCTION(redoubt_protect_settled) {
  using namespace redoubt::pg;
  Protection protection = {};
  protection_require_cage(PG_GETARG_OID(0));
  Relation relation = protection_open(PG_GETARG_OID(0), PG_GETARG_INT16(1), AccessShareLock, &protection);
  const bool settled = is_settled(protection, relation);
  relation_close(relation, NoLock);
  PG_RETURN_BOOL(settled);
}

// protect_check(table oid, source smallint) locks the table; may the columns change places?  False where rows moved
// since they were verified.
REDOUBT_FUNCTION(redoubt_protect_check) {
  using namespace redoubt::pg;
  Protection protection = {};
  protection_require_cage(PG_GETARG_OID(0));
  Relation relation = protection_open(PG_GETARG_OID(0), PG_GETARG_INT16(1), AccessExclusiveLock, &protection);
  const bool same = protection.file == relation->rd_rel->relfilenode && is_settled(protection, relation);
  relation_close(relation, NoLock);
  PG_RETURN_BOOL(same);
}

// protect_vouch(foreign_key oid)
REDOUBT_FUNCTION(redoubt_protect_vouch) {
  using namespace redoubt::pg;
  Relation constraints = table_open(ConstraintRelationId, RowExclusiveLock);
  HeapTuple tuple = SearchSysCacheCopy1(CONSTROID, PG_GETARG_DATUM(0));
  auto *constraint = HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple)) : nullptr;
  protection_require_cage(constraint != nullptr ? constraint->conrelid : InvalidOid);
  if (constraint->contype != CONSTRAINT_FOREIGN) elog(ERROR, "not a foreign key");
  constraint->convalidated = true;
  CatalogTupleUpdate(constraints, &tuple->t_self, tuple);
  CacheInvalidateRelcacheByRelid(constraint->conrelid);
  table_close(constraints, RowExclusiveLock);
  PG_RETURN_VOID();
}

// protect_end(trigger oid, operation text)
REDOUBT_FUNCTION(redoubt_protect_end) {
  using namespace redoubt::pg;
  Protection protection = {};
  if (!protection_of_trigger(PG_GETARG_OID(0), &protection)) protection.relid = InvalidOid;
  protection_require_cage(protection.relid);
  protection_record(text_to_cstring(PG_GETARG_TEXT_PP(1)), protection, protection.rows_done);
  protection_drop_trigger(protection.trigger);
  PG_RETURN_VOID();
}
