// limit_rows.cpp - see limit_rows.h; the types of the columns of redoubt.limit_rule that name a role and a token type,
// and the trigger that meets each row of a restore.
//
// redoubt.limit_role is regrole, but for one thing: a name that no role has is no error.  COPY would end with one, and
// the database would have no limit at all.  The name becomes a number that no role has, the trigger leaves the row out
// with a warning, and keeps what it was in redoubt.expected, for check_restore().  So with redoubt.limit_type and
// regtype.
//
// Invariant: a row that the trigger takes names a role and a token type that exist, or all of them.  A number in the
// place of a name is what a dump has of a role that was dropped before: it means nobody here.
// Locks: none of ours.
// Covered by sql/limit_rows.sql and test/tap/restore.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/catalog.h"
#include "pg/base/own_tables.h"
#include "pg/base/shared_memory.h"
#include "pg/limits/limit_rows.h"
#include "pg/limits/limit_rules.h"

extern "C" {
#include "commands/trigger.h"
}

namespace redoubt::pg {
namespace {

// Columns of redoubt.limit_rule that are looked at here.
enum : int { kRole = 2, kTokenType = 3, kOperation = 4, kPer = 6, kCreatedBy = 11 };

// Names that were not found, kept until a trigger asks: kUnknown + i stands for the i-th.  OIDs that high are taken by
// nothing until four thousand million others are.
constexpr Oid kUnknown = 0xffff0000;
constexpr int kKept = 1024;
constexpr std::size_t kLongest = 4 * NAMEDATALEN;  // schema and name, quoted
struct State {
  char *name[kKept];
  int next;
};
constinit State state = {};

Oid unknown_name(const char *name) {
  char *const copy = static_cast<char *>(MemoryContextAllocZero(TopMemoryContext, kLongest + 1));
  strlcpy(copy, name, static_cast<std::size_t>(pg_mbcliplen(name, static_cast<int>(strlen(name)), kLongest)) + 1);
  if (state.name[state.next] != nullptr) pfree(state.name[state.next]);
  state.name[state.next] = copy;
  return kUnknown + static_cast<Oid>(std::exchange(state.next, (state.next + 1) % kKept));
}

const char *kept_name(Oid value) {
  const char *const name = value >= kUnknown && value < kUnknown + kKept ? state.name[value - kUnknown] : nullptr;
  return name != nullptr ? name : psprintf("%u", value);
}

bool is_number(const char *name) { return name[0] != '\0' && strspn(name, "0123456789") == strlen(name); }

// What a function such as to_regrole() makes of a name; InvalidOid for none.
Oid found_by(PGFunction lookup, const char *name) {
  LOCAL_FCINFO(call, 1);
  InitFunctionCallInfoData(*call, nullptr, 1, InvalidOid, nullptr, nullptr);
  call->args[0] = {CStringGetTextDatum(name), false};
  const Datum result = lookup(call);
  return call->isnull ? InvalidOid : DatumGetObjectId(result);
}

// "-" is how a reg type shows InvalidOid: created_by of a role that was dropped.
Oid oid_in(PGFunction lookup, const char *name, const char *kind) {
  if (strcmp(name, "-") == 0) return InvalidOid;
  const bool number = is_number(name);
  const Oid found = number ? InvalidOid : found_by(lookup, name);
  if (OidIsValid(found)) return found;
  if (!number) ereport(WARNING, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("%s %s does not exist", kind, name)));
  return unknown_name(name);
}

bool role_exists(Oid role) { return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)); }
bool type_exists(Oid type) { return SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)); }

// A role or type as it is named in redoubt.expected.
const char *role_name(Oid role) {
  if (!OidIsValid(role)) return "every role";
  const char *name = GetUserNameFromId(role, true);
  return name != nullptr ? quote_identifier(name) : kept_name(role);
}
const char *type_name(Oid type) {
  if (!OidIsValid(type)) return "every type";
  return type_exists(type) ? format_type_be_qualified(type) : kept_name(type);
}

// A limit as it is named in redoubt.expected.
const char *limit_object(Oid role, Oid type, const char *operation, uint64 per_ns) {
  const char *window = per_ns == 0 ? "statement" : psprintf("%.15g s", static_cast<double>(per_ns) / 1e9);
  return psprintf("%s of %s by %s per %s", operation, type_name(type), role_name(role), window);
}

void forget_expected(const char *kind, const char *object) {
  const Oid table = catalog_relation("expected");
  if (!OidIsValid(table)) return;  // the database is one of 0.1
  bool any = false;
  catalog_scan("expected", [&any](const CatalogRow &) { any = true; });
  if (!any) return;
  (void)own_table_as_owner(table, [kind, object] {
    Oid types[] = {TEXTOID, TEXTOID};
    Datum values[] = {CStringGetTextDatum(kind), CStringGetTextDatum(object)};
    if (own_table_write(OwnChange::deletes,
                        "DELETE FROM redoubt.expected WHERE kind OPERATOR(pg_catalog.=) $1"
                        " AND object OPERATOR(pg_catalog.=) $2",
                        types, values) < 0)
      elog(ERROR, "could not write redoubt.expected");
  });
}

// A superuser may have given the column another type.
void require_name(TupleDesc descriptor, int column) {
  const FormData_pg_attribute *found = column <= descriptor->natts ? TupleDescAttr(descriptor, column - 1) : nullptr;
  const char *symbol = found != nullptr ? catalog_input_symbol(found->atttypid) : nullptr;
  if (symbol == nullptr || strncmp(symbol, "redoubt_limit_", strlen("redoubt_limit_")) != 0)
    own_column_require(descriptor, column, column == kTokenType ? REGTYPEOID : REGROLEOID);
}

// A column of the row at hand; InvalidOid for null.
Oid oid_of(const TriggerData *data, int column) {
  bool null = false;
  const Datum value = heap_getattr(data->tg_trigtuple, column, RelationGetDescr(data->tg_relation), &null);
  return null ? InvalidOid : DatumGetObjectId(value);
}

bool is_null(const TriggerData *data, int column) {
  return heap_attisnull(data->tg_trigtuple, column, RelationGetDescr(data->tg_relation));
}

// What is left out may be set once its role and type are there: kept as the statement that does so.
void keep_left_out(const TriggerData *data, const char *object, const char *role, const char *type) {
  Oid types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INTERVALOID, INT8OID, TEXTOID, INTERVALOID, BOOLOID};
  constexpr int kValues = lengthof(types);
  Datum values[kValues] = {CStringGetTextDatum(object), role != nullptr ? CStringGetTextDatum(role) : 0,
                           type != nullptr ? CStringGetTextDatum(type) : 0};
  char nulls[kValues + 1] = {' ', role != nullptr ? ' ' : 'n', type != nullptr ? ' ' : 'n'};
  for (int i = 3; i < kValues; ++i) {
    bool null = false;
    values[i] = heap_getattr(data->tg_trigtuple, i + 1, RelationGetDescr(data->tg_relation), &null);
    nulls[i] = null ? 'n' : ' ';
  }
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  if (SPI_execute_with_args(
          "INSERT INTO redoubt.expected (kind, object, statement) SELECT 'limit', $1,"
          " pg_catalog.format('SELECT redoubt.set_limit(%L, %L, %L, %s, %L%s, on_excess => %L, max_delay => %L,"
          " shared => %L);', $2, $3, $4, $5, coalesce($6::pg_catalog.text, 'statement'),"
          " ', burst => ' OPERATOR(pg_catalog.||) $7::pg_catalog.text, $8, $9, $10)"
          " WHERE NOT EXISTS (SELECT FROM redoubt.expected AS e WHERE e.kind OPERATOR(pg_catalog.=) 'limit'"
          " AND e.object OPERATOR(pg_catalog.=) $1)",
          kValues, types, values, nulls, false, 0) != SPI_OK_INSERT)
    elog(ERROR, "could not write redoubt.expected");
  SPI_finish();
}

// Who made a limit may be missing: nobody, then.
HeapTuple without_unknown_maker(const TriggerData *data) {
  if (is_null(data, kCreatedBy) || oid_of(data, kCreatedBy) < kUnknown) return data->tg_trigtuple;
  int column = kCreatedBy;
  Datum nobody = ObjectIdGetDatum(InvalidOid);
  bool null = false;
  return heap_modify_tuple_by_cols(data->tg_trigtuple, RelationGetDescr(data->tg_relation), 1, &column, &nobody, &null);
}

// Records rows of limits that go or are left out.
void record(const char *operation, int64 count, const char *detail) {
  if (shared_memory_ready() && kek_available())
    audit_write({.event = "limit", .operation = operation, .count = count, .detail = detail});
}

}  // namespace

void limit_was_set(Oid role, Oid type, const char *operation, uint64 per_ns) {
  forget_expected("limit", limit_object(role, type, operation, per_ns));
}

void label_was_set(const char *object) { forget_expected("label", object); }

uint64 limits_forget_gone() {
  const Oid table = catalog_relation("limit_rule");
  if (!OidIsValid(table)) return 0;
  bool any = false;
  catalog_scan(table, InvalidOid, {}, [&any](const CatalogRow &row) {
    bool null = false;
    const Oid role = DatumGetObjectId(row.get(kRole, &null));
    any |= !null && !role_exists(role);
    const Oid type = DatumGetObjectId(row.get(kTokenType, &null));
    any |= !null && !type_exists(type);
  });
  if (!any) return 0;
  const uint64 gone = own_table_as_owner(table, [] {
    if (own_table_write(
            OwnChange::deletes,
            "DELETE FROM redoubt.limit_rule AS l WHERE l.role IS NOT NULL AND NOT EXISTS"
            " (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid OPERATOR(pg_catalog.=) l.role::pg_catalog.oid)"
            " OR l.token_type IS NOT NULL AND NOT EXISTS"
            " (SELECT FROM pg_catalog.pg_type AS t WHERE t.oid OPERATOR(pg_catalog.=) l.token_type::pg_catalog.oid)",
            {}, nullptr) < 0)
      elog(ERROR, "could not write redoubt.limit_rule");
  });
  record("drop_limit", static_cast<int64>(gone), "limits of roles or token types that were dropped");
  return gone;
}

}  // namespace redoubt::pg

// limit_role_in(cstring) -> redoubt.limit_role
REDOUBT_FUNCTION(redoubt_limit_role_in) {
  PG_RETURN_OID(redoubt::pg::oid_in(to_regrole, PG_GETARG_CSTRING(0), "role"));
}

// limit_type_in(cstring) -> redoubt.limit_type
REDOUBT_FUNCTION(redoubt_limit_type_in) {
  PG_RETURN_OID(redoubt::pg::oid_in(to_regtype, PG_GETARG_CSTRING(0), "type"));
}

// Trigger before each row that is put into redoubt.limit_rule.
REDOUBT_FUNCTION(redoubt_limit_restored) {
  using namespace redoubt::pg;
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "redoubt_limit_restored must be called as a trigger");
  const auto *data = reinterpret_cast<const TriggerData *>(fcinfo->context);
  own_column_require(RelationGetDescr(data->tg_relation), kOperation, TEXTOID);
  own_column_require(RelationGetDescr(data->tg_relation), kPer, INTERVALOID);
  for (const int name : {kRole, kTokenType, kCreatedBy}) require_name(RelationGetDescr(data->tg_relation), name);
  const bool any_role = is_null(data, kRole);
  const bool any_type = is_null(data, kTokenType);
  const Oid role = oid_of(data, kRole);
  const Oid type = oid_of(data, kTokenType);
  if ((any_role || role_exists(role)) && (any_type || type_exists(type)))
    PG_RETURN_POINTER(without_unknown_maker(data));
  if (is_null(data, kOperation)) PG_RETURN_POINTER(data->tg_trigtuple);  // the constraint refuses it

  bool null = false;
  const char *operation =
      TextDatumGetCString(heap_getattr(data->tg_trigtuple, kOperation, RelationGetDescr(data->tg_relation), &null));
  uint64 per_ns = 0;
  const Datum per = heap_getattr(data->tg_trigtuple, kPer, RelationGetDescr(data->tg_relation), &null);
  if (!null && !interval_ns(DatumGetIntervalP(per), &per_ns)) per_ns = 0;
  const char *object = limit_object(any_role ? InvalidOid : role, any_type ? InvalidOid : type, operation, per_ns);
  // Of what was dropped before the dump nothing is to come.
  const bool gone = (!any_role && !role_exists(role) && is_number(kept_name(role))) ||
                    (!any_type && !type_exists(type) && is_number(kept_name(type)));
  if (!gone) keep_left_out(data, object, any_role ? nullptr : role_name(role), any_type ? nullptr : type_name(type));
  record("left_out", -1, object);
  ereport(WARNING, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("a limit was left out: %s", object),
                    gone ? errdetail("Its role or token type was dropped before it was dumped.")
                         : errhint("Create the role or type, and set the limit as redoubt.check_restore() says.")));
  PG_RETURN_POINTER(nullptr);
}
