// protection.cpp - see protection.h.
//
// Covered by sql/protect_column.sql, test/tap/protect_online.pl and test/tap/own_tables.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"
#include "pg/base/catalog.h"
#include "pg/base/own_tables.h"
#include "pg/base/varlena_view.h"
#include "pg/ddl/protection.h"

extern "C" {
#include "catalog/catalog.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type_d.h"
#include "utils/fmgroids.h"
}

namespace redoubt::pg {
namespace {

// Columns of redoubt.protection.
enum : int {
  kTrigger = 1,
  kRelation,
  kSource,
  kTarget,
  kTokenType,
  kStep,
  kNextBlock,
  kBlocks,
  kRowsDone,
  kFile,
  kVersion,
  kHorizon
};

constexpr const char *kSteps[] = {"fill", "verify", "swap"};

BlockNumber block_of(int64 value) { return static_cast<BlockNumber>(std::clamp<int64>(value, 0, MaxBlockNumber)); }

ProtectStep step_of(Datum value) {
  const char *name = TextDatumGetCString(value);
  for (int i = 0; i < static_cast<int>(std::size(kSteps)); ++i)
    if (strcmp(name, kSteps[i]) == 0) return static_cast<ProtectStep>(i);
  ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a row of redoubt.protection is corrupt"),
                  errhint("Drop the trigger that redoubt.protect_column() made, and the token column.")));
}

Protection protection_of_row(const CatalogRow &row) {
  return {DatumGetObjectId(own_value(row, kTrigger, OIDOID)),
          DatumGetObjectId(own_value(row, kRelation, OIDOID)),
          DatumGetInt16(own_value(row, kSource, INT2OID)),
          DatumGetInt16(own_value(row, kTarget, INT2OID)),
          DatumGetObjectId(own_value(row, kTokenType, REGTYPEOID)),
          step_of(own_value(row, kStep, TEXTOID)),
          block_of(DatumGetInt64(own_value(row, kNextBlock, INT8OID))),
          block_of(DatumGetInt64(own_value(row, kBlocks, INT8OID))),
          DatumGetInt64(own_value(row, kRowsDone, INT8OID)),
          DatumGetObjectId(own_value(row, kFile, OIDOID)),
          static_cast<TransactionId>(DatumGetInt64(own_value(row, kVersion, INT8OID))),
          static_cast<std::uint64_t>(DatumGetInt64(own_value(row, kHorizon, INT8OID)))};
}

[[noreturn]] void not_protected_now(Relation relation) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("that column of table %s is not being protected", RelationGetRelationName(relation)),
                  errhint("CALL redoubt.protect_column(...) begins it.")));
}

ObjectAddress column_address(Oid relid, AttrNumber column) { return {RelationRelationId, relid, column}; }

// What makes no sense without another one goes with it.  The trigger first, because ALTER COLUMN ... TYPE says of a
// trigger why it cannot be.
void tie_together(const Protection &protection) {
  const ObjectAddress source = column_address(protection.relid, protection.source);
  const ObjectAddress target = column_address(protection.relid, protection.target);
  const ObjectAddress trigger = {TriggerRelationId, protection.trigger, 0};
  recordDependencyOn(&trigger, &source, DEPENDENCY_AUTO);
  recordDependencyOn(&trigger, &target, DEPENDENCY_INTERNAL);
  recordDependencyOn(&target, &source, DEPENDENCY_AUTO);
  CommandCounterIncrement();
}

// Without the trigger, the token column is like any other.
void untie(const Protection &protection) {
  Relation relation = table_open(DependRelationId, RowExclusiveLock);
  ScanKeyData keys[] = {catalog_key(Anum_pg_depend_classid, RelationRelationId),
                        catalog_key(Anum_pg_depend_objid, protection.relid)};
  catalog_scan(DependRelationId, DependDependerIndexId, keys, [&](const CatalogRow &row) {
    const auto *found = row.as<Form_pg_depend>();
    if (found->objsubid == protection.target && found->refclassid == RelationRelationId &&
        found->refobjid == protection.relid && found->refobjsubid == protection.source &&
        found->deptype == DEPENDENCY_AUTO)
      CatalogTupleDelete(relation, &row.tuple->t_self);
  });
  table_close(relation, RowExclusiveLock);
}

void write_row(OwnChange change, const char *sql, std::span<Oid> types, Datum *values) {
  const Oid relid = catalog_relation("protection");
  if (!OidIsValid(relid)) elog(ERROR, "table redoubt.protection is missing");
  const uint64 processed = own_table_as_owner(relid, [=] {
    if (own_table_write(change, sql, types, values) < 0) elog(ERROR, "could not write redoubt.protection");
  });
  if (processed != 1) elog(ERROR, "could not write redoubt.protection");
  CommandCounterIncrement();
}

}  // namespace

void protection_require_owner(Oid relid) {
  if (OidIsValid(relid) && catalog_owner(relid) == GetUserId()) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("a table got another owner meanwhile"),
                  errhint("CALL redoubt.protect_column(...) again.")));
}

bool protection_of_trigger(Oid trigger, Protection *found) {
  bool any = false;
  catalog_scan("protection", [&](const CatalogRow &row) {
    if (DatumGetObjectId(own_value(row, kTrigger, OIDOID)) != trigger) return;
    *found = protection_of_row(row);
    any = true;
  });
  return any;
}

bool protection_of_column(Oid relid, AttrNumber source, Protection *found) {
  bool any = false;
  catalog_scan("protection", [&](const CatalogRow &row) {
    const Protection one = protection_of_row(row);
    TransactionId version = InvalidTransactionId;
    if (one.relid != relid || one.source != source) return;
    // Left over from a time when the library did not hear of the trigger's end.
    if (!protection_trigger_is_sound(one.trigger, relid, &version) && !TransactionIdIsValid(version)) return;
    *found = one;
    any = true;
  });
  return any;
}

bool protection_trigger_is_sound(Oid trigger, Oid relid, TransactionId *version) {
  bool sound = false;
  *version = InvalidTransactionId;
  ScanKeyData keys[] = {catalog_key(Anum_pg_trigger_oid, trigger)};
  catalog_scan(TriggerRelationId, TriggerOidIndexId, keys, [&](const CatalogRow &row) {
    const auto *found = row.as<Form_pg_trigger>();
    const char *symbol = catalog_library_symbol(found->tgfoid);
    if (found->tgrelid != relid || symbol == nullptr || strcmp(symbol, "redoubt_keep_token") != 0) return;
    bool unconditional = true;
    row.get(Anum_pg_trigger_tgqual, &unconditional);
    *version = HeapTupleHeaderGetRawXmin(row.tuple->t_data);
    sound = found->tgisinternal &&
            found->tgtype == (TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE) &&
            found->tgenabled == TRIGGER_FIRES_ALWAYS && found->tgattr.dim1 == 0 && unconditional;
  });
  return sound;
}

void protection_require_ordinary(Relation relation) {
  const FormData_pg_class *form = relation->rd_rel;
  if (form->relkind == RELKIND_RELATION && form->relam == HEAP_TABLE_AM_OID && relation->rd_rules == nullptr &&
      !form->relispartition && form->relpersistence != RELPERSISTENCE_TEMP && !IsSystemRelation(relation) &&
      !has_superclass(RelationGetRelid(relation)) &&
      find_inheritance_children(RelationGetRelid(relation), NoLock) == NIL)
    return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("table %s cannot have a column protected online", RelationGetRelationName(relation)),
           errdetail("It has rules, inherits, is a partition, partitioned or temporary, or is no ordinary table."),
           errhint("redoubt.check_protect() says what stands in the way.")));
}

bool protection_fits(const TokenType *type, Oid source_type) {
  if (type->format != nullptr || type->vaulted) return false;
  if (type->is_bytes) return source_type == BYTEAOID;
  return source_type == TEXTOID || source_type == VARCHAROID || source_type == BPCHAROID;
}

Datum protection_value(Oid source_type, Datum value) {
  return source_type == BPCHAROID ? DirectFunctionCall1(rtrim1, value) : value;
}

bool protection_looks_like_token(const TokenType *type, Datum value) {
  return !type->is_bytes && varlena_text(DatumGetTextPP(value)).substr(0, 4) == "tok_";
}

void protection_raise_unfit(const Protection &protection) {
  const char *name = get_rel_name(protection.relid);
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("a column of table %s was changed while it is being protected", name != nullptr ? name : "?"),
                  errhint("CALL redoubt.protect_undo(...), then begin anew.")));
}

void protection_require_fit(const Protection &protection, const TokenType *type) {
  if (type == nullptr || protection.source <= 0 || protection.target <= 0 ||
      get_atttype(protection.relid, protection.target) != type->type ||
      !protection_fits(type, get_atttype(protection.relid, protection.source)))
    protection_raise_unfit(protection);
}

Relation protection_open(Oid relid, AttrNumber source, LOCKMODE mode, Protection *found) {
  Relation relation = try_relation_open(relid, mode);
  if (relation == nullptr) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no such table")));
  protection_require_owner(relid);
  protection_require_ordinary(relation);
  if (!protection_of_column(relid, source, found)) not_protected_now(relation);
  protection_require_fit(*found, token_type_find(found->token_type));
  TransactionId version = InvalidTransactionId;
  if (!protection_trigger_is_sound(found->trigger, relid, &version) || version != found->version)
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("the trigger that keeps a token column of %s current was changed", RelationGetRelationName(relation)),
         errhint("Rows may have been written without it: CALL redoubt.protect_undo(...), then begin anew.")));
  return relation;
}

void protection_insert(const Protection &protection) {
  tie_together(protection);
  Oid types[] = {OIDOID, OIDOID, INT2OID, INT2OID, REGTYPEOID, INT8OID, OIDOID, INT8OID};
  Datum values[] = {ObjectIdGetDatum(protection.trigger),    ObjectIdGetDatum(protection.relid),
                    Int16GetDatum(protection.source),        Int16GetDatum(protection.target),
                    ObjectIdGetDatum(protection.token_type), Int64GetDatum(protection.blocks),
                    ObjectIdGetDatum(protection.file),       Int64GetDatum(protection.version)};
  write_row(OwnChange::inserts,
            "INSERT INTO redoubt.protection (trigger, relation, source, target, token_type, blocks, file, version)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            types, values);
}

void protection_update(const Protection &protection) {
  Oid types[] = {OIDOID, TEXTOID, INT8OID, INT8OID, INT8OID, OIDOID, INT8OID};
  Datum values[] = {ObjectIdGetDatum(protection.trigger),
                    CStringGetTextDatum(kSteps[static_cast<int>(protection.step)]),
                    Int64GetDatum(protection.next_block),
                    Int64GetDatum(protection.blocks),
                    Int64GetDatum(protection.rows_done),
                    ObjectIdGetDatum(protection.file),
                    Int64GetDatum(static_cast<int64>(protection.horizon))};
  write_row(
      OwnChange::updates,
      "UPDATE redoubt.protection SET step = $2, next_block = $3, blocks = $4, rows_done = $5, file = $6, horizon = $7,"
      " updated_at = pg_catalog.clock_timestamp() WHERE trigger OPERATOR(pg_catalog.=) $1",
      types, values);
}

void protection_forget(Oid class_id, Oid object) {
  if (class_id != TriggerRelationId) return;
  const Oid relid = catalog_relation("protection");
  if (!OidIsValid(relid)) return;
  Relation relation = try_relation_open(relid, RowExclusiveLock);
  if (relation == nullptr) return;
  own_column_require(RelationGetDescr(relation), kTrigger, OIDOID);
  ScanKeyData keys[] = {catalog_key(kTrigger, object)};
  catalog_scan(relid, InvalidOid, keys, [relation](const CatalogRow &row) {
    untie(protection_of_row(row));
    CatalogTupleDelete(relation, &row.tuple->t_self);
  });
  relation_close(relation, NoLock);
}

void protection_drop_trigger(Oid trigger) {
  Protection protection = {};
  if (!protection_of_trigger(trigger, &protection)) elog(ERROR, "the trigger is not one of redoubt.protect_column()");
  deleteDependencyRecordsForSpecific(TriggerRelationId, trigger, DEPENDENCY_INTERNAL, RelationRelationId,
                                     protection.relid);
  CommandCounterIncrement();
  const ObjectAddress address = {TriggerRelationId, trigger, 0};
  performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
  CommandCounterIncrement();
}

void protection_record(const char *operation, const Protection &protection, int64 count) {
  const Oid relid = protection.relid;
  const char *column = get_attname(relid, protection.source, true);
  audit_write({.event = "protect",
               .token_type = protection.token_type,
               .operation = operation,
               .count = count,
               .detail = psprintf(
                   "column %s of %s", column != nullptr ? quote_identifier(column) : "?",
                   quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid)))});
}

}  // namespace redoubt::pg
