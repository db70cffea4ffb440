// limits_sql.cpp - limits and usage as SQL sees them.
//
// set_limit and drop_limit write redoubt.limit_rule through SPI: they are SECURITY
// DEFINER, and EXECUTE on them is granted to redoubt_admin alone.  A statement trigger
// on the table tells every backend.  Replacing a rule keeps its id and so its
// buckets: a blocked role does not get a fresh burst by a changed number; dropping a
// rule and setting it anew does, and is the way to lift a block.
//
// Locks: kLimitsLock, inside limits_shmem.cpp only.
// Covered by sql/limits.sql and test/isolation.
#include "pg/base/boundary.h"

#include "pg/base/roles.h"
#include "pg/base/own_tables.h"
#include "pg/audit/audit_trail.h"
#include "pg/limits/limit_clock.h"
#include "pg/limits/limit_rows.h"
#include "pg/limits/limit_rules.h"
#include "pg/limits/limits.h"
#include "pg/limits/limits_shmem.h"
#include "pg/limits/limits_sql.h"
#include "pg/types/token_type.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

[[noreturn]] void raise_invalid(const char *message, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message), errhint("%s", hint)));
  pg_unreachable();
}

void require_argument(FunctionCallInfo fcinfo, int argument, const char *name) {
  if (!PG_ARGISNULL(argument)) return;
  ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
}

// Names come from regrole and regtype input, but those take numbers as well, 0 among them: no role and no type, where
// null is every one.
void require_role(Oid role) {
  if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role with OID %u does not exist", role),
                    errhint("The view pg_roles lists the roles.")));
}

void require_token_type(Oid type) {
  if (!OidIsValid(type) || token_type_find(type) == nullptr)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("type %s is not a token type",
                           format_type_extended(type, -1, FORMAT_TYPE_ALLOW_INVALID | FORMAT_TYPE_FORCE_QUALIFY)),
                    errhint("Limits are set per token type; null stands for all of them.")));
}

// A null argument is InvalidOid: every role, every type.
Oid oid_or_any(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? InvalidOid : PG_GETARG_OID(argument);
}

Oid role_or_any(FunctionCallInfo fcinfo, int argument) {
  if (!PG_ARGISNULL(argument)) require_role(PG_GETARG_OID(argument));
  return oid_or_any(fcinfo, argument);
}

Oid token_type_or_any(FunctionCallInfo fcinfo, int argument) {
  if (!PG_ARGISNULL(argument)) require_token_type(PG_GETARG_OID(argument));
  return oid_or_any(fcinfo, argument);
}

}  // namespace

Oid limits_role_argument(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "role");
  require_role(PG_GETARG_OID(argument));
  return PG_GETARG_OID(argument);
}

Oid limits_token_type_argument(FunctionCallInfo fcinfo, int argument) {
  require_argument(fcinfo, argument, "token_type");
  require_token_type(PG_GETARG_OID(argument));
  return PG_GETARG_OID(argument);
}

Operation limits_operation_argument(FunctionCallInfo fcinfo, int argument) {
  Operation operation = Operation::read;
  require_argument(fcinfo, argument, "operation");
  if (!operation_parse(text_to_cstring(PG_GETARG_TEXT_PP(argument)), &operation))
    raise_invalid("unrecognized operation", "Operations are read, reveal, masked, tokenize and probe.");
  return operation;
}

namespace {

uint64 interval_argument(FunctionCallInfo fcinfo, int argument, const char *name) {
  uint64 ns = 0;
  require_argument(fcinfo, argument, name);
  if (!interval_ns(PG_GETARG_INTERVAL_P(argument), &ns))
    raise_invalid(psprintf("%s is out of range", name),
                  "Use days or smaller units, up to 36525 days; months and years have no fixed length.");
  return ns;
}

int64 positive_argument(FunctionCallInfo fcinfo, int argument, const char *name) {
  require_argument(fcinfo, argument, name);
  const int64 value = PG_GETARG_INT64(argument);
  if (value < 1) raise_invalid(psprintf("%s must be positive", name), "Use drop_limit() to remove a limit.");
  return value;
}

// The window of a limit as SQL has it: an interval, or null for one statement.
struct Window {
  Datum per;
  bool null;
};

// Of a text: the word "statement", or an interval.
Window window_of_text(const text *per) {
  char *const word = text_to_cstring(per);
  if (pg_strcasecmp(word, "statement") == 0) return {0, true};
  return {DirectFunctionCall3(interval_in, CStringGetDatum(word), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)),
          false};
}

uint64 window_ns(const Window &per) {
  uint64 ns = 0;
  if (per.null) return 0;
  if (!interval_ns(DatumGetIntervalP(per.per), &ns) || ns == 0)
    raise_invalid("per is out of range",
                  "Use days or smaller units, up to 36525 days, or statement; months and years have no fixed length.");
  return ns;
}

// Arguments 0 to 8 of set_limit, checked.
LimitRule rule_arguments(FunctionCallInfo fcinfo, const Window &per) {
  LimitRule rule = {};
  rule.role = role_or_any(fcinfo, 0);
  rule.type = token_type_or_any(fcinfo, 1);
  rule.operation = limits_operation_argument(fcinfo, 2);
  rule.rate.max_values = static_cast<uint64>(positive_argument(fcinfo, 3, "max_values"));
  rule.rate.per_ns = window_ns(per);
  if (per.null && !PG_ARGISNULL(5))
    raise_invalid("a limit per statement has no burst", "Leave burst out, or choose an interval for per.");
  rule.rate.burst = PG_ARGISNULL(5) ? rule.rate.max_values : static_cast<uint64>(positive_argument(fcinfo, 5, "burst"));
  if (const char *problem = limit_rate_problem(rule.rate))
    raise_invalid(problem, "Choose other values of max_values, per and burst.");
  require_argument(fcinfo, 6, "on_excess");
  if (!on_excess_parse(text_to_cstring(PG_GETARG_TEXT_PP(6)), &rule.on_excess))
    raise_invalid("unrecognized action on_excess", "Actions are log, throttle, degrade, block and suspend.");
  if (const char *problem = on_excess_problem(rule))
    raise_invalid(problem,
                  per.null ? "Use log, block or suspend, or degrade for reveal and masked: waiting admits nothing more."
                           : "Use throttle or block for read, tokenize and probe.");
  rule.max_delay_ns = interval_argument(fcinfo, 7, "max_delay");
  require_argument(fcinfo, 8, "shared");
  rule.shared = PG_GETARG_BOOL(8);
  return rule;
}

const char *role_text(Oid role) {
  if (!OidIsValid(role)) return "every role";
  const char *name = GetUserNameFromId(role, true);
  return psprintf("role %s", name != nullptr ? quote_identifier(name) : "unknown");
}

void audit_limit_command(const char *command, Oid type, int64 count, const char *detail) {
  AuditEvent event;
  event.event = "limit";
  event.operation = command;
  event.token_type = type;
  event.count = count;
  event.detail = detail;
  audit_write(event);
}

void run(const char *sql, std::span<Oid> types, Datum *values, const char *nulls, int expected) {
  const OwnChange change = expected == SPI_OK_DELETE ? OwnChange::deletes : OwnChange::inserts_or_updates;
  const int result = own_table_write(change, sql, types, values, nulls);
  if (result != expected) elog(ERROR, "writing redoubt.limit_rule failed: %s", SPI_result_code_string(result));
}

char null_flag(bool null) { return null ? 'n' : ' '; }

int64 store_rule(FunctionCallInfo fcinfo, const Window &per) {
  Oid types[] = {REGROLEOID, REGTYPEOID, TEXTOID,     INT8OID, INTERVALOID,
                 INT8OID,    TEXTOID,    INTERVALOID, BOOLOID, REGROLEOID};
  constexpr int kArguments = lengthof(types);
  Datum values[kArguments];
  char nulls[kArguments + 1] = {};
  for (int i = 0; i < kArguments - 1; ++i) {
    values[i] = PG_GETARG_DATUM(i);
    nulls[i] = null_flag(PG_ARGISNULL(i));
  }
  values[4] = per.per;
  nulls[4] = null_flag(per.null);
  values[kArguments - 1] = ObjectIdGetDatum(GetSessionUserId());
  nulls[kArguments - 1] = ' ';
  run("INSERT INTO redoubt.limit_rule"
      " (role, token_type, operation, max_values, per, burst, on_excess, max_delay, shared, created_by, created_at)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, pg_catalog.now())"
      " ON CONFLICT (role, token_type, operation, per) DO UPDATE SET max_values = excluded.max_values,"
      " burst = excluded.burst, on_excess = excluded.on_excess, max_delay = excluded.max_delay,"
      " shared = excluded.shared"
      " RETURNING id",
      types, values, nulls, SPI_OK_INSERT_RETURNING);
  bool null = true;
  if (SPI_processed != 1) elog(ERROR, "redoubt.limit_rule took %d rows for one", static_cast<int>(SPI_processed));
  return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

int64 set_limit(FunctionCallInfo fcinfo, const Window &per) {
  const LimitRule rule = rule_arguments(fcinfo, per);
  SPI_connect();
  const int64 id = store_rule(fcinfo, per);
  SPI_finish();
  limit_was_set(rule.role, rule.type, operation_name(rule.operation), rule.rate.per_ns);

  char rate[128];
  rate_describe(rule.rate, rate, sizeof rate);
  const char *const delay =
      per.null ? "" : psprintf(", longest delay " UINT64_FORMAT " ms", rule.max_delay_ns / 1000000);
  audit_limit_command("set_limit", rule.type, -1,
                      psprintf("limit " INT64_FORMAT ": %s, %s, %s, on excess %s%s%s", id, role_text(rule.role),
                               operation_name(rule.operation), rate, on_excess_name(rule.on_excess), delay,
                               rule.shared ? ", one bucket for all" : ""));
  return id;
}

// `per` null: of every window.
int32 drop_limit(FunctionCallInfo fcinfo, const Window *per) {
  const Operation operation = limits_operation_argument(fcinfo, 2);
  Oid types[] = {REGROLEOID, REGTYPEOID, TEXTOID, BOOLOID, INTERVALOID};
  constexpr int kArguments = lengthof(types);
  Datum values[kArguments] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), BoolGetDatum(per == nullptr),
                              per != nullptr ? per->per : 0};
  const char nulls[kArguments + 1] = {
      null_flag(PG_ARGISNULL(0)), null_flag(PG_ARGISNULL(1)), ' ', ' ', null_flag(per == nullptr || per->null), '\0'};
  SPI_connect();
  run("DELETE FROM redoubt.limit_rule WHERE role IS NOT DISTINCT FROM $1 AND token_type IS NOT DISTINCT FROM $2"
      " AND operation = $3 AND ($4 OR per IS NOT DISTINCT FROM $5)",
      types, values, nulls, SPI_OK_DELETE);
  const auto dropped = static_cast<int32>(SPI_processed);
  SPI_finish();
  audit_limit_command(
      "drop_limit", oid_or_any(fcinfo, 1), -1,
      psprintf("%s, %s: %d limits dropped", role_text(oid_or_any(fcinfo, 0)), operation_name(operation), dropped));
  return dropped;
}

// What the rules leave to one login role at this moment.
struct Left {
  bool limited;
  bool blocked;      // one more value would be refused with an error
  uint64 remaining;  // least over the rules that apply
  uint64 wait_ns;    // until the next value is allowed; 0 = now
};

Left left_by(const UsageKey &who, std::span<const LimitRule> rules, uint64 now) {
  Left left = {false, false, UINT64_MAX, 0};
  const auto operation = static_cast<Operation>(who.operation);
  for (const LimitRule &rule : rules) {
    const bool charged = limit_rule_applies(rule, who.subject, who.type, operation);
    if (!charged && !limit_rule_suspends(rule, who.subject, who.type)) continue;
    const LimitStanding standing = limit_standing(rule, who.subject, charged, now);
    const bool suspended = standing.verdict == Verdict::suspended;
    left.limited |= charged || suspended;
    left.blocked |= standing.verdict > Verdict::delays;
    if (charged) left.remaining = std::min(left.remaining, standing.remaining);
    if (suspended) left.remaining = 0;
    if (charged && standing.verdict != Verdict::logs) left.wait_ns = std::max(left.wait_ns, standing.wait_ns);
  }
  return left;
}

void put_usage(ReturnSetInfo *result, UsageEntry *entry, std::span<const LimitRule> rules, uint64 now) {
  enum : int {
    kRole,
    kTokenType,
    kOperation,
    kCharged,
    kRemaining,
    kNextAllowed,
    kDelayedMs,
    kBlocked,
    kSince,
    kColumns
  };
  const Left left = left_by(entry->key, rules, now);
  Datum values[kColumns] = {};
  bool nulls[kColumns] = {};
  values[kRole] = ObjectIdGetDatum(entry->key.subject);
  values[kTokenType] = ObjectIdGetDatum(entry->key.type);
  values[kOperation] = CStringGetTextDatum(operation_name(static_cast<Operation>(entry->key.operation)));
  values[kCharged] = Int64GetDatum(usage_count(&entry->charged));
  values[kRemaining] = Int64GetDatum(static_cast<int64>(left.remaining));
  nulls[kRemaining] = !left.limited;
  values[kNextAllowed] = TimestampTzGetDatum(limit_clock_wall(limit_timestamp(now + left.wait_ns)));
  nulls[kNextAllowed] = left.wait_ns == 0;
  values[kDelayedMs] = Int64GetDatum(usage_count(&entry->delayed_us) / 1000);
  values[kBlocked] = BoolGetDatum(left.blocked);
  values[kSince] = TimestampTzGetDatum(static_cast<TimestampTz>(pg_atomic_read_u64(&entry->since)));
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace
}  // namespace redoubt::pg

// set_limit(role regrole, token_type regtype, operation text, max_values int8, per interval, burst int8,
//           on_excess text, max_delay interval, shared bool) returns int8: the id of the rule.
REDOUBT_FUNCTION(redoubt_set_limit) {
  using namespace redoubt::pg;
  require_preloaded();
  require_argument(fcinfo, 4, "per");
  PG_RETURN_INT64(set_limit(fcinfo, {PG_GETARG_DATUM(4), false}));
}

// set_limit(..., per text, ...): an interval, or statement.
REDOUBT_FUNCTION(redoubt_set_limit_per) {
  using namespace redoubt::pg;
  require_preloaded();
  require_argument(fcinfo, 4, "per");
  PG_RETURN_INT64(set_limit(fcinfo, window_of_text(PG_GETARG_TEXT_PP(4))));
}

// drop_limit(role regrole, token_type regtype, operation text, per interval) returns int4: how many were
// dropped.  A null role or type means the rule for every role or type; a null interval every window.
REDOUBT_FUNCTION(redoubt_drop_limit) {
  using namespace redoubt::pg;
  require_preloaded();
  const Window per = {PG_GETARG_DATUM(3), false};
  PG_RETURN_INT32(drop_limit(fcinfo, PG_ARGISNULL(3) ? nullptr : &per));
}

// drop_limit(..., per text): an interval, or statement; null means every window.
REDOUBT_FUNCTION(redoubt_drop_limit_per) {
  using namespace redoubt::pg;
  require_preloaded();
  if (PG_ARGISNULL(3)) PG_RETURN_INT32(drop_limit(fcinfo, nullptr));
  const Window per = window_of_text(PG_GETARG_TEXT_PP(3));
  PG_RETURN_INT32(drop_limit(fcinfo, &per));
}

// lift_suspension(role regrole) returns int4: ends every suspension of a login role in this database, those
// of shared limits that apply to it included, or of all roles; returns how many.  Their buckets begin full.
REDOUBT_FUNCTION(redoubt_lift_suspension) {
  using namespace redoubt::pg;
  require_preloaded();
  const Oid role = role_or_any(fcinfo, 0);
  audit_limit_command("lift_suspension", InvalidOid, -1, role_text(role));
  if (!OidIsValid(role)) PG_RETURN_INT32(buckets_lift_all());
  int lifted = buckets_lift(role, kEveryRule);
  for (const LimitRule &rule : limit_rules())
    if (rule.shared && limit_rule_suspends(rule, role, rule.type)) lifted += buckets_lift(InvalidOid, rule.id);
  PG_RETURN_INT32(lifted);
}

// lift_block(role regrole, token_type regtype, operation text) returns int4: fills the buckets that a login role draws
// on, those of shared limits included; a null type or operation means all.  Returns how many were not full.
REDOUBT_FUNCTION(redoubt_lift_block) {
  using namespace redoubt::pg;
  require_preloaded();
  const Oid role = limits_role_argument(fcinfo, 0);
  const Oid type = token_type_or_any(fcinfo, 1);
  const bool every = PG_ARGISNULL(2);
  const Operation operation = every ? Operation::read : limits_operation_argument(fcinfo, 2);
  audit_limit_command("lift_block", type, -1,
                      psprintf("%s, %s", role_text(role), every ? "every operation" : operation_name(operation)));
  int lifted = 0;
  for (const LimitRule &rule : limit_rules()) {
    if (!every && rule.operation != operation) continue;
    if (!limit_rule_applies(rule, role, OidIsValid(type) ? type : rule.type, rule.operation)) continue;
    if (limit_per_statement(rule.rate)) continue;
    lifted += bucket_fill(limit_bucket_key(rule, role), limit_full_ns(rule.rate), rule.made_at) ? 1 : 0;
  }
  PG_RETURN_INT32(lifted);
}

// reset_usage(role regrole) returns void: zeroes the counters of a login role, or of all, in this
// database.  Buckets keep their state: this gives nobody a new budget.
REDOUBT_FUNCTION(redoubt_reset_usage) {
  using namespace redoubt::pg;
  require_preloaded();
  const Oid role = role_or_any(fcinfo, 0);
  audit_limit_command("reset_usage", InvalidOid, -1, role_text(role));
  UsageEntry **entries = nullptr;
  const int count = usage_entries(&entries);
  const TimestampTz now = GetCurrentTimestamp();
  for (int i = 0; i < count; ++i)
    if (!OidIsValid(role) || entries[i]->key.subject == role) usage_reset(entries[i], now);
  PG_RETURN_VOID();
}

// usage_entries() returns setof: the rows of the view redoubt.usage that the caller may see.
REDOUBT_FUNCTION(redoubt_usage_entries) {
  using namespace redoubt::pg;
  require_preloaded();
  InitMaterializedSRF(fcinfo, 0);
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  const bool everyone = sees_every_role();
  UsageEntry **entries = nullptr;
  const int count = usage_entries(&entries);
  const std::span<const LimitRule> rules = limit_rules();
  const uint64 now = limit_time_ns(limit_clock_now());
  for (int i = 0; i < count; ++i)
    if (usage_is_sound(entries[i]) && !usage_is_empty(entries[i]) &&
        (everyone || entries[i]->key.subject == GetSessionUserId()))
      put_usage(result, entries[i], rules, now);
  return static_cast<Datum>(0);
}
