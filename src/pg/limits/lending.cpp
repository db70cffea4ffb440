// lending.cpp - redoubt.lease_budget(): charges values here that another server delivers.
//
// Who may call it can use up budgets, and give back what the same session took; nothing else.  Values are charged and
// recorded as any, by limits_lend.  Roles and types go by name: OIDs are another thing on another server.
//
// Locks: none.  Covered by sql/lease_budget.sql and test/tap/borrowed_budget.pl.
#include "pg/base/boundary.h"

#include "core/gcra.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"
#include "pg/limits/borrow.h"
#include "pg/limits/limits.h"
#include "pg/limits/limits_sql.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {
namespace {

constexpr uint64 kNsPerMs = 1'000'000;

// Needs no privilege on the schema: the name is looked up for the other server, not for who asks.
Oid token_type_named(const text *name) {
  const List *const names = textToQualifiedNameList(const_cast<text *>(name));
  Oid type = InvalidOid;
  if (list_length(names) == 2) {
    const Oid schema = get_namespace_oid(strVal(linitial(names)), true);
    type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(strVal(lsecond(names))),
                           ObjectIdGetDatum(schema));
  }
  if (!OidIsValid(type) || token_type_find(type) == nullptr)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                    errmsg("type %s is no token type of this server", text_to_cstring(name)),
                    errhint("The name is qualified by its schema.")));
  return type;
}

uint32 count_argument(FunctionCallInfo fcinfo, int argument, int32 least) {
  const int32 value = PG_ARGISNULL(argument) ? -1 : PG_GETARG_INT32(argument);
  if (value < least || value > static_cast<int32>(kLargestLot))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("number of values out of range"),
                    errhint("At most %u values are lent at once.", kLargestLot)));
  return static_cast<uint32>(value);
}

Lending lend(FunctionCallInfo fcinfo) {
  enum : int { kRole, kType, kOperation, kLeast, kWanted, kUnused };
  const uint32 wanted = count_argument(fcinfo, kWanted, 0);
  const uint32 least = count_argument(fcinfo, kLeast, wanted > 0 ? 1 : 0);
  const uint32 unused = count_argument(fcinfo, kUnused, 0);
  if (wanted == 0 && unused == 0)
    return {0, OnExcess::log, 0, 0, 0};  // whether this server lends at all was the question
  if (PG_ARGISNULL(kRole) || PG_ARGISNULL(kType) || least > wanted)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("role, type or number of values is missing")));
  const char *const role = text_to_cstring(PG_GETARG_TEXT_PP(kRole));
  const Oid subject = get_role_oid(role, false);
  const Oid type = token_type_named(PG_GETARG_TEXT_PP(kType));
  const Operation operation = limits_operation_argument(fcinfo, kOperation);
  const Lending lent = limits_lend(subject, type, operation, least, wanted, unused);
  if (lent.granted > 0 || lent.returned > 0)
    audit_write({.event = "lease",
                 .token_type = type,
                 .operation = operation_name(operation),
                 .count = lent.granted,
                 .detail = lent.returned > 0 ? psprintf("to role %s; %u came back unused", role, lent.returned)
                                             : psprintf("to role %s", role)});
  return lent;
}

}  // namespace
}  // namespace redoubt::pg

// lease_budget(role text, token_type text, operation text, needed int4, wanted int4, unused int4,
//              OUT granted int4, OUT on_excess text, OUT retry_ms int8, OUT longest_ms int8)
REDOUBT_FUNCTION(redoubt_lease_budget) {
  using namespace redoubt::pg;
  enum : int { kGranted, kOnExcess, kRetry, kLongest, kColumns };
  require_preloaded();
  if (setting_budget_server[0] != '\0')
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("this server borrows its own budget"),
                    errhint("A server lends where redoubt.budget_server is empty.")));
  TupleDesc descriptor = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE || descriptor->natts != kColumns)
    elog(ERROR, "redoubt.lease_budget() does not return what it should");
  const Lending lent = lend(fcinfo);
  Datum values[kColumns] = {Int32GetDatum(static_cast<int32>(lent.granted)),
                            CStringGetTextDatum(on_excess_name(lent.on_excess)),
                            Int64GetDatum(static_cast<int64>(lent.wait_ns / kNsPerMs + 1)),
                            Int64GetDatum(static_cast<int64>(lent.longest_ns / kNsPerMs))};
  const bool refused = lent.granted == 0 && lent.on_excess != OnExcess::log;
  bool nulls[kColumns] = {false, !refused, !refused || lent.wait_ns == redoubt::kGcraNever, !refused};
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}
