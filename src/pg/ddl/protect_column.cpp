// protect_column.cpp - the ways into the cage in which a column is protected.
//
// redoubt.protect_step(), protect_undo_step(), check_protect() and unprotect_column() are for the owner of a table, or
// who has the owner's rights.  Each opens the cage (protection.h) and calls a function in PL/pgSQL there
// (sql/redoubt--0.1--0.2.sql).  Settings that change inside of it are put back.
// Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/ddl/protection.h"
#include "pg/reveal/gate.h"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_type_d.h"
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

// A step decides by the catalog as it is when it has its locks.
void require_fresh_snapshots() {
  if (!IsolationUsesXactSnapshot()) return;
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("a column cannot be protected in a transaction that is REPEATABLE READ or SERIALIZABLE"),
                  errhint("SET default_transaction_isolation = 'read committed'; then call again.")));
}

// The lock keeps the owner.
Datum in_cage(FunctionCallInfo fcinfo, Datum (*run)(FunctionCallInfo)) {
  const Oid relid = PG_GETARG_OID(0);
  if (entered)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("a step of redoubt.protect_column() cannot be taken within another one")));
  require_fresh_snapshots();
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
  protection_record("unprotect", was, -1);
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
