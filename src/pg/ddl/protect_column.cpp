// protect_column.cpp - the ways into the cage in which a column is protected, and the steps that SQL cannot do.
//
// redoubt.protect_step(), protect_undo_step(), check_protect() and unprotect_column() are for the owner of a table, or
// who has the owner's rights.  Each opens the cage (protection.h) and calls a function in PL/pgSQL there
// (sql/redoubt--0.1--0.2.sql).  Settings that change inside of it are put back.
// Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/ddl/protection.h"
#include "pg/reveal/gate.h"

extern "C" {
#include "catalog/pg_type_d.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
}

namespace redoubt::pg {
namespace {

void require_owner(Oid relid) {
  const char *name = get_rel_name(relid);
  if (name == nullptr) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no such table")));
  if (!compat_owns_relation(relid, GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", name)));
}

// One of the ways in is being taken: code that runs in the cage may take none.
constinit bool entered = false;

// The lock keeps the owner.
Datum in_cage(FunctionCallInfo fcinfo, Datum (*run)(FunctionCallInfo)) {
  const Oid relid = PG_GETARG_OID(0);
  if (entered)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("a step of redoubt.protect_column() cannot be taken within another one")));
  require_owner(relid);
  LockRelationOid(relid, AccessShareLock);
  require_owner(relid);
  Oid user = InvalidOid;
  int context = 0;
  GetUserIdAndSecContext(&user, &context);
  const int settings = NewGUCNestLevel();
  Datum result = 0;
  PG_TRY();
  {
    SetUserIdAndSecContext(catalog_owner(relid),
                           context | SECURITY_RESTRICTED_OPERATION | SECURITY_LOCAL_USERID_CHANGE);
    entered = true;
    protection_set_caged(true);
    result = run(fcinfo);
  }
  PG_FINALLY();
  {
    entered = false;
    protection_set_caged(false);
    SetUserIdAndSecContext(user, context);
  }
  PG_END_TRY();
  AtEOXact_GUC(false, settings);
  return result;
}

Oid step_function(FunctionCallInfo fcinfo, const char *name) {
  Oid *types = nullptr;
  int count = 0;
  get_func_signature(fcinfo->flinfo->fn_oid, &types, &count);
  return LookupFuncName(list_make2(makeString(pstrdup("redoubt")), makeString(pstrdup(name))), count, types, false);
}

// Calls the function of that name and of the same arguments, for which nobody needs a privilege.
template <const char *name>
Datum call_step(FunctionCallInfo fcinfo) {
  FmgrInfo step;
  fmgr_info(step_function(fcinfo, name), &step);
  LOCAL_FCINFO(inner, FUNC_MAX_ARGS);
  InitFunctionCallInfoData(*inner, &step, fcinfo->nargs, fcinfo->fncollation, nullptr, nullptr);
  std::copy_n(fcinfo->args, fcinfo->nargs, inner->args);
  const Datum result = FunctionCallInvoke(inner);
  fcinfo->isnull = inner->isnull;
  return result;
}

constexpr char kWork[] = "protect_work";
constexpr char kUndo[] = "protect_undo_work";
constexpr char kUnprotect[] = "unprotect_work";

Datum list_findings(FunctionCallInfo fcinfo) {
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Oid types[] = {REGCLASSOID, NAMEOID, REGTYPEOID, INT4OID};
  Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)};
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  if (SPI_execute_with_args("SELECT * FROM redoubt.protect_findings($1, $2, $3, $4)", 4, types, values, nullptr, false,
                            0) != SPI_OK_SELECT)
    elog(ERROR, "could not look at a table");
  const int columns = result->setDesc->natts;
  if (SPI_tuptable->tupdesc->natts != columns) elog(ERROR, "wrong result type");
  auto *row = static_cast<Datum *>(palloc(sizeof(Datum) * columns));
  auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * columns));
  for (uint64 i = 0; i < SPI_tuptable->numvals; ++i) {
    heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row, nulls);
    tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
  }
  SPI_finish();
  return 0;
}

void record(const char *operation, const Protection &protection, int64 count) {
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

}  // namespace
}  // namespace redoubt::pg

REDOUBT_FUNCTION(redoubt_protect_step) {
  using namespace redoubt::pg;
  return in_cage(fcinfo, call_step<kWork>);
}

REDOUBT_FUNCTION(redoubt_protect_undo_step) {
  using namespace redoubt::pg;
  return in_cage(fcinfo, call_step<kUndo>);
}

// check_protect(table regclass, column name, type regtype, values integer)
REDOUBT_FUNCTION(redoubt_check_protect) {
  using namespace redoubt::pg;
  call([fcinfo] {
    InitMaterializedSRF(fcinfo, 0);
    in_cage(fcinfo, list_findings);
  });
  return 0;
}

// unprotect_column(table regclass, column name): both who calls and the owner must be allowed to reveal.
REDOUBT_FUNCTION(redoubt_unprotect_column) {
  using namespace redoubt::pg;
  require_owner(PG_GETARG_OID(0));
  const AttrNumber source = get_attnum(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)));
  const TokenType *type = source > 0 ? token_type_find(get_atttype(PG_GETARG_OID(0), source)) : nullptr;
  if (type == nullptr)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("that column of table %s is no token column", get_rel_name(PG_GETARG_OID(0)))));
  gate_require(type, Privilege::reveal);
  const Datum result = in_cage(fcinfo, call_step<kUnprotect>);
  Protection was = {};
  was.relid = PG_GETARG_OID(0);
  was.source = source;
  was.token_type = type->type;
  record("unprotect", was, -1);
  return result;
}

// protect_inside(table oid) is for the steps in PL/pgSQL.
REDOUBT_FUNCTION(redoubt_protect_inside) {
  using namespace redoubt::pg;
  protection_require_cage(PG_GETARG_OID(0));
  PG_RETURN_VOID();
}

// protect_lock(table oid, exclusive boolean)
REDOUBT_FUNCTION(redoubt_protect_lock) {
  using namespace redoubt::pg;
  protection_require_cage(PG_GETARG_OID(0));
  LockRelationOid(PG_GETARG_OID(0), PG_GETARG_BOOL(1) ? AccessExclusiveLock : ShareUpdateExclusiveLock);
  protection_require_cage(PG_GETARG_OID(0));
  PG_RETURN_VOID();
}

// protect_begin(table oid, source smallint, target smallint, type regtype, trigger oid)
REDOUBT_FUNCTION(redoubt_protect_begin) {
  using namespace redoubt::pg;
  Protection protection = {};
  protection.relid = PG_GETARG_OID(0);
  protection.source = PG_GETARG_INT16(1);
  protection.target = PG_GETARG_INT16(2);
  protection.token_type = PG_GETARG_OID(3);
  protection.trigger = PG_GETARG_OID(4);
  protection_require_cage(protection.relid);
  Relation relation = relation_open(protection.relid, AccessExclusiveLock);
  protection_require_ordinary(relation);
  const TokenType *type = token_type_require(protection.token_type);
  protection_require_fit(protection, type);
  gate_require(type, Privilege::tokenize);
  if (!protection_trigger_is_sound(protection.trigger, protection.relid, &protection.version))
    elog(ERROR, "the trigger is not the one of redoubt.protect_column()");
  protection.file = relation->rd_rel->relfilenode;
  protection.blocks = RelationGetNumberOfBlocks(relation);
  relation_close(relation, NoLock);
  protection_insert(protection);
  record("begin", protection, -1);
  PG_RETURN_VOID();
}

// protect_check(table oid, source smallint) locks the table; may the columns change places?  False where rows moved
// since they were verified.
REDOUBT_FUNCTION(redoubt_protect_check) {
  using namespace redoubt::pg;
  Protection protection = {};
  protection_require_cage(PG_GETARG_OID(0));
  Relation relation = protection_open(PG_GETARG_OID(0), PG_GETARG_INT16(1), AccessExclusiveLock, &protection);
  const bool same = protection.step == ProtectStep::swap && protection.file == relation->rd_rel->relfilenode;
  relation_close(relation, NoLock);
  PG_RETURN_BOOL(same);
}

// protect_record(trigger oid, operation text): what is about to end.
REDOUBT_FUNCTION(redoubt_protect_record) {
  using namespace redoubt::pg;
  Protection protection = {};
  if (!protection_of_trigger(PG_GETARG_OID(0), &protection)) protection.relid = InvalidOid;
  protection_require_cage(protection.relid);
  record(text_to_cstring(PG_GETARG_TEXT_PP(1)), protection, protection.rows_done);
  PG_RETURN_VOID();
}
