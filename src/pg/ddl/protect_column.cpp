// protect_column.cpp - see protect_column.h.
//
// Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/own_tables.h"
#include "pg/base/varlena_view.h"
#include "pg/ddl/protect_column.h"
#include "pg/limits/limits.h"
#include "pg/reveal/gate.h"
#include "pg/tokens/token_value.h"
#include "pg/types/token_type.h"

extern "C" {
#include "access/tableam.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "parser/parse_coerce.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/datum.h"
}

namespace redoubt::pg {
namespace {

// Columns of redoubt.protection.
enum : int { kTable = 1, kSource, kTarget, kTokenType, kStartedBy };

[[noreturn]] void not_protected_now(Oid relid) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("that column of table %s is not being protected", quote_identifier(get_rel_name(relid))),
                  errhint("CALL redoubt.protect_column(...) begins it.")));
}

void require_owner(Oid relid) {
  const char *name = get_rel_name(relid);
  if (name == nullptr) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no such table")));
  if (!compat_owns_relation(relid, GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", name)));
}

Oid own_table() {
  const Oid relid = catalog_relation("protection");
  if (!OidIsValid(relid)) elog(ERROR, "table redoubt.protection is missing");
  return relid;
}

uint64 write_protection(OwnChange change, const char *sql, std::span<Oid> types, Datum *values) {
  const uint64 processed = own_table_as_owner(own_table(), [=] {
    if (own_table_write(change, sql, types, values) < 0) elog(ERROR, "could not write redoubt.protection");
  });
  CommandCounterIncrement();
  return processed;
}

// The value of the source column as the type's tokenizing function takes it.
Datum as_base(const TokenType *type, Oid source, Datum value) {
  if (type->is_integer) return source == INT4OID ? Int64GetDatum(DatumGetInt32(value)) : value;
  return source == BPCHAROID ? DirectFunctionCall1(rtrim1, value) : value;
}

// May columns of that type be protected by the token type?  Of domains, the base type is given.
bool fits(const TokenType *type, Oid source) {
  if (type->is_integer) return source == INT4OID || source == INT8OID;
  if (type->is_bytes) return source == BYTEAOID;
  return source == BPCHAROID || IsBinaryCoercible(source, TEXTOID);
}

void require_fit(const Protection &protection, const TokenType *type) {
  if (type != nullptr && get_atttype(protection.relid, protection.target) == type->type &&
      fits(type, getBaseType(get_atttype(protection.relid, protection.source))))
    return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("a column of table %s was changed while it is being protected",
                         quote_identifier(get_rel_name(protection.relid))),
                  errhint("CALL redoubt.protect_undo(...), then begin anew.")));
}

Protection require_protection(Oid relid, AttrNumber source) {
  Protection protection = {};
  require_owner(relid);
  if (!protection_find(relid, source, &protection)) not_protected_now(relid);
  require_fit(protection, token_type_find(protection.token_type));
  return protection;
}

const char *column_name(const Protection &protection, AttrNumber attno) {
  return quote_identifier(get_attname(protection.relid, attno, false));
}

void record(const char *operation, const Protection &protection, int64 count) {
  audit_write({.event = "protect",
               .token_type = protection.token_type,
               .operation = operation,
               .count = count,
               .detail = psprintf("column %s of %s", column_name(protection, protection.source),
                                  quote_qualified_identifier(get_namespace_name(get_rel_namespace(protection.relid)),
                                                             get_rel_name(protection.relid)))});
}

// ---- the trigger

// What the trigger knows of its column for the time of a query.
struct Keeper {
  bool found;
  Protection protection;
  FmgrInfo tokenize;
  Oid source_type;
};

AttrNumber trigger_column(const Trigger *trigger) {
  const long column = trigger->tgnargs == 1 ? strtol(trigger->tgargs[0], nullptr, 10) : 0;
  return column > 0 && column <= MaxHeapAttributeNumber ? static_cast<AttrNumber>(column) : InvalidAttrNumber;
}

Keeper *keeper_of(FunctionCallInfo fcinfo, const TriggerData *data) {
  auto *keeper = static_cast<Keeper *>(fcinfo->flinfo->fn_extra);
  if (keeper != nullptr) return keeper;
  const Oid relid = RelationGetRelid(data->tg_relation);
  keeper = static_cast<Keeper *>(MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Keeper)));
  keeper->found = protection_find(relid, trigger_column(data->tg_trigger), &keeper->protection);
  if (keeper->found) {
    const TokenType *type = token_type_find(keeper->protection.token_type);
    require_fit(keeper->protection, type);
    keeper->source_type = getBaseType(get_atttype(relid, keeper->protection.source));
    fmgr_info_cxt(type->gate[static_cast<int>(Privilege::tokenize)], &keeper->tokenize, fcinfo->flinfo->fn_mcxt);
  }
  fcinfo->flinfo->fn_extra = keeper;
  return keeper;
}

// Tokenizes in the name of who began; that function asks for the privilege, charges and records.
Datum tokenize_for(const Protection &protection, FmgrInfo *tokenize, Datum value) {
  Oid user = InvalidOid;
  int context = 0;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(protection.started_by, context | SECURITY_LOCAL_USERID_CHANGE);
  const Datum token = FunctionCall1(tokenize, value);
  SetUserIdAndSecContext(user, context);
  return token;
}

HeapTuple keep(Keeper *keeper, const TriggerData *data) {
  const bool updates = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  HeapTuple row = updates ? data->tg_newtuple : data->tg_trigtuple;
  if (!keeper->found) return row;
  const Protection &protection = keeper->protection;
  TupleDesc descriptor = RelationGetDescr(data->tg_relation);
  bool none = false;
  const Datum value = heap_getattr(row, protection.source, descriptor, &none);
  Datum token = 0;
  bool kept = false;
  if (updates && !none) {
    bool no_value = false;
    bool no_token = false;
    const Datum before = heap_getattr(data->tg_trigtuple, protection.source, descriptor, &no_value);
    token = heap_getattr(data->tg_trigtuple, protection.target, descriptor, &no_token);
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, protection.source - 1);
    kept = !no_value && !no_token && datumIsEqual(before, value, attribute->attbyval, attribute->attlen);
  }
  if (!none && !kept) {
    const TokenType *type = token_type_require(protection.token_type);
    token = tokenize_for(protection, &keeper->tokenize, as_base(type, keeper->source_type, value));
  }
  int column = protection.target;
  return heap_modify_tuple_by_cols(row, descriptor, 1, &column, &token, &none);
}

// ---- filling

// Of the triggers of a table that is about to be updated, leaves none but ours.  The executor has a copy of its own.
void quiet_triggers(PlanState *top) {
  if (top == nullptr || !IsA(top, ModifyTableState)) elog(ERROR, "could not fill a token column");
  const TriggerDesc *triggers = reinterpret_cast<ModifyTableState *>(top)->resultRelInfo->ri_TrigDesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
    const char *symbol = catalog_library_symbol(triggers->triggers[i].tgfoid);
    if (symbol == nullptr || strcmp(symbol, "redoubt_keep_token") != 0)
      triggers->triggers[i].tgenabled = TRIGGER_DISABLED;
  }
}

uint64 run_update(const char *sql) {
  auto *raw = linitial_node(RawStmt, pg_parse_query(sql));
  const List *queries = pg_analyze_and_rewrite_fixedparams(raw, sql, nullptr, 0, nullptr);
  if (list_length(queries) != 1) elog(ERROR, "could not fill a token column");
  PlannedStmt *plan = pg_plan_query(linitial_node(Query, queries), sql, 0, nullptr);
  PushCopiedSnapshot(GetTransactionSnapshot());
  UpdateActiveSnapshotCommandId();
  QueryDesc *query =
      CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot, None_Receiver, nullptr, nullptr, 0);
  ExecutorStart(query, 0);
  quiet_triggers(query->planstate);
  compat_executor_run(query);
  const uint64 rows = query->estate->es_processed;
  ExecutorFinish(query);
  ExecutorEnd(query);
  FreeQueryDesc(query);
  PopActiveSnapshot();
  CommandCounterIncrement();
  return rows;
}

// The table's own code gets the rights of the table's owner, and no other trigger of the table fires.
uint64 run_quietly(Oid relid, const char *sql) {
  Oid user = InvalidOid;
  int context = 0;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(catalog_owner(relid),
                         context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
  const uint64 rows = run_update(sql);
  SetUserIdAndSecContext(user, context);
  return rows;
}

// ---- verifying

struct Verified {
  int64 rows;     // with a value
  int64 pending;  // with a value and without a token
  int64 wrong;
};

// Is the token that of the value?  A vaulted token that is another one each time cannot be told from any.
bool is_token_of(const Protection &protection, const TokenType *type, FmgrInfo *tokenize, Datum value, Datum token) {
  if (type->is_integer) return DatumGetInt64(tokenize_for(protection, tokenize, value)) == DatumGetInt64(token);
  if (type->format == nullptr && !type->vaulted) {
    const varlena *opened = token_open(type, DatumGetByteaPP(token), true);
    return varlena_text(opened) == varlena_text(DatumGetTextPP(value));
  }
  if (type->vaulted && !type->deterministic) return true;
  const Datum made = tokenize_for(protection, tokenize, value);
  return varlena_text(DatumGetTextPP(made)) == varlena_text(DatumGetTextPP(token));
}

// Charges a tokenization for each row that is compared, because that is what a comparison tells.
Verified verify(const Protection &protection, BlockNumber first, BlockNumber last) {
  Verified result = {};
  const TokenType *type = token_type_require(protection.token_type);
  const bool opens = type->format == nullptr && !type->vaulted;
  const Oid source_type = getBaseType(get_atttype(protection.relid, protection.source));
  FmgrInfo tokenize;
  fmgr_info(type->gate[static_cast<int>(Privilege::tokenize)], &tokenize);
  Relation relation = table_open(protection.relid, AccessShareLock);
  ItemPointerData from;
  ItemPointerData to;
  ItemPointerSet(&from, first, FirstOffsetNumber);
  ItemPointerSet(&to, last, MaxOffsetNumber);
  Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
  TableScanDesc scan = table_beginscan_tidrange(relation, snapshot, &from, &to);
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "redoubt verify", ALLOCSET_DEFAULT_SIZES);
  while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    bool none = false;
    bool no_token = false;
    const Datum value = slot_getattr(slot, protection.source, &none);
    const Datum token = slot_getattr(slot, protection.target, &no_token);
    if (!none) ++result.rows;
    if (none || no_token) {
      result.pending += no_token && !none ? 1 : 0;
      result.wrong += none && !no_token ? 1 : 0;
      continue;
    }
    if (opens) limits_charge(type->type, Operation::tokenize, 1);
    MemoryContext outer = MemoryContextSwitchTo(context);
    if (!is_token_of(protection, type, &tokenize, as_base(type, source_type, value), token)) ++result.wrong;
    MemoryContextSwitchTo(outer);
    MemoryContextReset(context);
  }
  MemoryContextDelete(context);
  ExecDropSingleTupleTableSlot(slot);
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
  table_close(relation, AccessShareLock);
  return result;
}

BlockNumber block_argument(int64 value) {
  return static_cast<BlockNumber>(std::clamp<int64>(value, 0, MaxBlockNumber));
}

}  // namespace

bool protection_find(Oid relid, AttrNumber source, Protection *found) {
  bool any = false;
  catalog_scan("protection", [&](const CatalogRow &row) {
    if (DatumGetObjectId(own_value(row, kTable, OIDOID)) != relid ||
        DatumGetInt16(own_value(row, kSource, INT2OID)) != source)
      return;
    *found = {relid, source, DatumGetInt16(own_value(row, kTarget, INT2OID)),
              DatumGetObjectId(own_value(row, kTokenType, REGTYPEOID)),
              DatumGetObjectId(own_value(row, kStartedBy, OIDOID))};
    any = true;
  });
  return any;
}

}  // namespace redoubt::pg

// Row trigger of a table with a column that is being protected; its argument is the column's number.
REDOUBT_FUNCTION(redoubt_keep_token) {
  using namespace redoubt::pg;
  if (!CALLED_AS_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("keep_token is a trigger function"),
                    errhint("redoubt.protect_column() makes its trigger.")));
  const auto *data = reinterpret_cast<const TriggerData *>(fcinfo->context);
  if (!TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
      TRIGGER_FIRED_BY_DELETE(data->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("keep_token fires for each row before INSERT or UPDATE"),
                    errhint("redoubt.protect_column() makes its trigger.")));
  PG_RETURN_POINTER(keep(keeper_of(fcinfo, data), data));
}

// protect_begin(table oid, source smallint, target smallint, type regtype, blocks bigint, file oid, trigger_version
// text)
REDOUBT_FUNCTION(redoubt_protect_begin) {
  using namespace redoubt::pg;
  const Protection protection = {PG_GETARG_OID(0), PG_GETARG_INT16(1), PG_GETARG_INT16(2), PG_GETARG_OID(3),
                                 GetUserId()};
  require_owner(protection.relid);
  const TokenType *type = token_type_require(protection.token_type);
  require_fit(protection, type);
  gate_require(type, Privilege::tokenize);
  Oid types[] = {OIDOID, INT2OID, INT2OID, REGTYPEOID, OIDOID, INT8OID, OIDOID, TEXTOID};
  Datum values[] = {
      PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3), ObjectIdGetDatum(GetUserId()),
      PG_GETARG_DATUM(4), PG_GETARG_DATUM(5), PG_GETARG_DATUM(6)};
  write_protection(OwnChange::inserts,
                   "INSERT INTO redoubt.protection (relation, source, target, token_type, started_by, blocks, file,"
                   " trigger_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                   types, values);
  record("begin", protection, -1);
  PG_RETURN_VOID();
}

// protect_note(table oid, source smallint, step text, next_block bigint, blocks bigint, stride integer, rows bigint,
// file oid)
REDOUBT_FUNCTION(redoubt_protect_note) {
  using namespace redoubt::pg;
  require_owner(PG_GETARG_OID(0));
  Oid types[] = {OIDOID, INT2OID, TEXTOID, INT8OID, INT8OID, INT4OID, INT8OID, OIDOID};
  Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3),
                    PG_GETARG_DATUM(4), PG_GETARG_DATUM(5), PG_GETARG_DATUM(6), PG_GETARG_DATUM(7)};
  if (write_protection(OwnChange::updates,
                       "UPDATE redoubt.protection SET step = $3, next_block = $4, blocks = $5, stride = $6,"
                       " rows_done = $7, file = $8, updated_at = pg_catalog.clock_timestamp()"
                       " WHERE relation OPERATOR(pg_catalog.=) $1 AND source OPERATOR(pg_catalog.=) $2",
                       types, values) != 1)
    not_protected_now(PG_GETARG_OID(0));
  PG_RETURN_VOID();
}

// protect_end(table oid, source smallint, operation text, rows bigint)
REDOUBT_FUNCTION(redoubt_protect_end) {
  using namespace redoubt::pg;
  require_owner(PG_GETARG_OID(0));
  Protection protection = {};
  if (!protection_find(PG_GETARG_OID(0), PG_GETARG_INT16(1), &protection)) not_protected_now(PG_GETARG_OID(0));
  const bool swapped = varlena_text(PG_GETARG_TEXT_PP(2)) == "swap";
  record(swapped ? "swap" : "undo", protection, PG_GETARG_INT64(3));
  Oid types[] = {OIDOID, INT2OID};
  Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
  write_protection(OwnChange::deletes,
                   "DELETE FROM redoubt.protection"
                   " WHERE relation OPERATOR(pg_catalog.=) $1 AND source OPERATOR(pg_catalog.=) $2",
                   types, values);
  PG_RETURN_VOID();
}

// protect_fill(table oid, source smallint, first bigint, last bigint) returns the number of rows filled.  Rows that
// another transaction has locked are passed by: where it changes them the trigger fills them.
REDOUBT_FUNCTION(redoubt_protect_fill) {
  using namespace redoubt::pg;
  LockRelationOid(PG_GETARG_OID(0), RowExclusiveLock);
  const Protection protection = require_protection(PG_GETARG_OID(0), PG_GETARG_INT16(1));
  const char *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(protection.relid)),
                                                 get_rel_name(protection.relid));
  const char *source = column_name(protection, protection.source);
  const char *target = column_name(protection, protection.target);
  const char *sql = psprintf(
      "UPDATE ONLY %s SET %s = NULL WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ctid FROM ONLY %s"
      " WHERE ctid OPERATOR(pg_catalog.>=) '(%u,0)'::pg_catalog.tid AND ctid OPERATOR(pg_catalog.<) "
      "'(%u,0)'::pg_catalog.tid"
      " AND %s IS NOT NULL AND %s IS NULL FOR NO KEY UPDATE SKIP LOCKED))",
      table, target, table, block_argument(PG_GETARG_INT64(2)), block_argument(PG_GETARG_INT64(3)), source, target);
  PG_RETURN_INT64(static_cast<int64>(run_quietly(protection.relid, sql)));
}

// protect_verify(table oid, source smallint, first bigint, last bigint, OUT rows, OUT pending, OUT wrong)
REDOUBT_FUNCTION(redoubt_protect_verify) {
  using namespace redoubt::pg;
  LockRelationOid(PG_GETARG_OID(0), AccessShareLock);
  const Protection protection = require_protection(PG_GETARG_OID(0), PG_GETARG_INT16(1));
  gate_require(token_type_require(protection.token_type), Privilege::tokenize);
  Verified result = {};
  if (PG_GETARG_INT64(3) > PG_GETARG_INT64(2))
    result = verify(protection, block_argument(PG_GETARG_INT64(2)), block_argument(PG_GETARG_INT64(3) - 1));
  TupleDesc descriptor = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) elog(ERROR, "wrong result type");
  Datum values[] = {Int64GetDatum(result.rows), Int64GetDatum(result.pending), Int64GetDatum(result.wrong)};
  bool nulls[] = {false, false, false};
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
