// limit_rules.cpp - reads, caches and matches the rules of redoubt.limit_rule.
//
// The cache is one array per backend, read again as a whole after an invalidation:
// there are few rules and they change rarely.  A new array is complete before it
// replaces the old one, so an error while reading leaves the cache stale, not empty.
// Covered by sql/limits.sql and test/isolation.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/each.h"
#include "pg/base/settings.h"
#include "pg/limits/limit_rules.h"

namespace redoubt::pg {
namespace {

// Columns of redoubt.limit_rule.
enum : int {
  kId = 1,
  kRole,
  kTokenType,
  kOperation,
  kMaxValues,
  kPer,
  kBurst,
  kOnExcess,
  kMaxDelay,
  kShared,
  kCreatedBy,
  kCreatedAt
};

constexpr uint64 kNsPerUs = 1000;
constexpr uint64 kUsPerDay = USECS_PER_DAY;
constexpr uint64 kLongestDays = 36525;  // a hundred years
constexpr uint64 kDefaultMaxDelayNs = 10'000'000'000;

// The rules as this backend read them last.
struct State {
  MemoryContext context = nullptr;
  LimitRule *rules = nullptr;
  int rule_count = 0;
  Oid relation = InvalidOid;  // of redoubt.limit_rule, as last seen
  double share = 1;           // redoubt.budget_share, as last seen
  Oid own_role = InvalidOid;  // redoubt.limit_role, redoubt.limit_type, once seen
  Oid own_type = InvalidOid;
  uint64 generation = 1;       // moved on by invalidations
  uint64 read_generation = 0;  // generation in which `rules` was read
};
constinit State state;

}  // namespace

void limit_rules_relation_changed(Oid relid) {
  if (!OidIsValid(relid) || !OidIsValid(state.relation) || relid == state.relation) ++state.generation;
}
void limit_rules_roles_changed() { ++state.generation; }

namespace {

[[noreturn]] void raise_unreadable(int64 id) {
  ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("limit rule " INT64_FORMAT " is not readable", id),
                  errhint("The row of redoubt.limit_rule was changed by hand; drop the limit with "
                          "redoubt.drop_limit() and set it again."),
                  errhidestmt(true)));
  pg_unreachable();
}

// A column that names a role or a type: of 0.2's own type (limit_rows.cpp) or, in a database of 0.1, of PostgreSQL's.
// Either is an OID.  `own_type` remembers what was found to be the former.
Oid read_name(const CatalogRow &row, int attribute, Oid type_of_0_1, const char *input, Oid *own_type) {
  const FormData_pg_attribute *column =
      attribute <= row.descriptor->natts ? TupleDescAttr(row.descriptor, attribute - 1) : nullptr;
  if (column != nullptr && column->atttypid >= FirstNormalObjectId && column->atttypid != *own_type) {
    const char *symbol = catalog_input_symbol(column->atttypid);
    if (symbol != nullptr && strcmp(symbol, input) == 0) *own_type = column->atttypid;
  }
  bool null = false;
  const Oid expected =
      OidIsValid(*own_type) && column != nullptr && column->atttypid == *own_type ? *own_type : type_of_0_1;
  const Datum value = own_value_or_null(row, attribute, expected, &null);
  return null ? InvalidOid : DatumGetObjectId(value);
}

// A share of a rate: as many values at once as it comes to, but one at least, and the longer until they are back.  A
// statement runs on one server, so its limit is not shared.
void take_share(GcraRate *rate) noexcept {
  if (state.share >= 1 || limit_per_statement(*rate)) return;
  GcraRate share = *rate;
  share.burst = std::max<uint64>(static_cast<uint64>(static_cast<double>(rate->burst) * state.share), 1);
  const double longer = static_cast<double>(rate->per_ns) / state.share;
  share.per_ns = static_cast<uint64>(longer);
  if (static_cast<double>(share.per_ns) < longer) ++share.per_ns;
  if (limit_rate_problem(share) != nullptr) share.burst = 1;
  if (limit_rate_problem(share) == nullptr) *rate = share;
}

LimitRule read_rule(const CatalogRow &row) {
  LimitRule rule = {};
  bool null = false;
  const auto required = [&](int attribute, Oid type) {
    const Datum value = own_value_or_null(row, attribute, type, &null);
    if (null) raise_unreadable(rule.id);
    return value;
  };
  rule.id = DatumGetInt64(required(kId, INT8OID));
  if (rule.id < 1) raise_unreadable(rule.id);
  rule.role = read_name(row, kRole, REGROLEOID, "redoubt_limit_role_in", &state.own_role);
  rule.type = read_name(row, kTokenType, REGTYPEOID, "redoubt_limit_type_in", &state.own_type);

  const int64 max_values = DatumGetInt64(required(kMaxValues, INT8OID));
  int64 burst = DatumGetInt64(own_value_or_null(row, kBurst, INT8OID, &null));
  if (null) burst = max_values;
  if (max_values < 1 || burst < 1) raise_unreadable(rule.id);
  rule.rate.max_values = static_cast<uint64>(max_values);
  rule.rate.burst = static_cast<uint64>(burst);
  const Datum per = own_value_or_null(row, kPer, INTERVALOID, &null);
  if (!null && (!interval_ns(DatumGetIntervalP(per), &rule.rate.per_ns) || rule.rate.per_ns == 0))
    raise_unreadable(rule.id);
  if (limit_rate_problem(rule.rate) != nullptr) raise_unreadable(rule.id);

  const Datum max_delay = own_value_or_null(row, kMaxDelay, INTERVALOID, &null);
  rule.max_delay_ns = kDefaultMaxDelayNs;
  if (!null && !interval_ns(DatumGetIntervalP(max_delay), &rule.max_delay_ns)) raise_unreadable(rule.id);
  rule.shared = DatumGetBool(required(kShared, BOOLOID));
  rule.made_at = limit_time_ns(DatumGetTimestampTz(required(kCreatedAt, TIMESTAMPTZOID)));
  if (!operation_parse(TextDatumGetCString(required(kOperation, TEXTOID)), &rule.operation) ||
      !on_excess_parse(TextDatumGetCString(required(kOnExcess, TEXTOID)), &rule.on_excess) ||
      on_excess_problem(rule) != nullptr)
    raise_unreadable(rule.id);
  take_share(&rule.rate);
  return rule;
}

// A table that is missing although the extension is there means that someone took it
// away; that must not lift every limit.
void require_table() {
  if (OidIsValid(state.relation) || !OidIsValid(get_extension_oid("redoubt", true))) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the table redoubt.limit_rule is missing"),
                  errhint("Limits cannot be enforced without it; restore it, or create the extension again."),
                  errhidestmt(true)));
}

}  // namespace

void limit_rules_init() {
  if (state.context != nullptr) return;
  state.context = AllocSetContextCreate(TopMemoryContext, "redoubt limit rules", ALLOCSET_SMALL_SIZES);
}

std::span<const LimitRule> limit_rules() {
  limit_rules_init();
  (void)limit_rules_generation();
  if (state.read_generation == state.generation) return {state.rules, static_cast<std::size_t>(state.rule_count)};

  const uint64 reading = state.generation;  // a change that arrives meanwhile makes this reading stale
  state.relation = catalog_relation("limit_rule");
  require_table();
  List *found = NIL;
  catalog_scan("limit_rule", [&found](const CatalogRow &row) {
    auto *rule = static_cast<LimitRule *>(palloc(sizeof(LimitRule)));
    *rule = read_rule(row);
    found = lappend(found, rule);
  });

  auto *rules = static_cast<LimitRule *>(
      MemoryContextAlloc(state.context, sizeof(LimitRule) * static_cast<Size>(list_length(found) + 1)));
  int count = 0;
  for (const auto *rule : list_of<const LimitRule>(found)) rules[count++] = *rule;
  list_free_deep(found);
  if (state.rules != nullptr) pfree(state.rules);
  state.rules = rules;
  state.rule_count = count;
  state.read_generation = reading;
  return {state.rules, static_cast<std::size_t>(state.rule_count)};
}

Oid limit_rules_relation() noexcept { return state.relation; }
uint64 limit_rules_generation() noexcept {
  if (state.share != setting_budget_share) {
    state.share = setting_budget_share;
    ++state.generation;
  }
  return state.generation;
}

namespace {
bool covers(const LimitRule &rule, Oid login_role, Oid type) {
  if (OidIsValid(rule.type) && rule.type != type) return false;
  return !OidIsValid(rule.role) || is_member_of_role_nosuper(login_role, rule.role);
}
}  // namespace

bool limit_rule_applies(const LimitRule &rule, Oid login_role, Oid type, Operation operation) {
  return rule.operation == operation && covers(rule, login_role, type);
}

bool limit_rule_suspends(const LimitRule &rule, Oid login_role, Oid type) {
  return rule.on_excess == OnExcess::suspend && covers(rule, login_role, type);
}

const char *on_excess_problem(const LimitRule &rule) noexcept {
  const bool reveals = rule.operation == Operation::reveal || rule.operation == Operation::masked;
  if (rule.on_excess == OnExcess::degrade && !reveals) return "only reveal and masked can degrade";
  if (rule.on_excess == OnExcess::throttle && limit_per_statement(rule.rate))
    return "a limit per statement cannot throttle";
  return nullptr;
}

BucketKey limit_bucket_key(const LimitRule &rule, Oid login_role) noexcept {
  return {MyDatabaseId, state.relation, rule.shared ? InvalidOid : login_role, BucketKind::own, rule.id};
}

const char *limit_rate_problem(const GcraRate &rate) noexcept {
  if (limit_per_statement(rate))
    return rate.max_values < 1 || rate.burst != rate.max_values ? "a limit per statement has no burst" : nullptr;
  if (rate.max_values < 1 || rate.burst < 1) return "values and burst must be positive";
  if (rate.max_values > rate.per_ns) return "a limit cannot exceed 1000000000 values per second";
  const auto longest = static_cast<unsigned __int128>(kLongestDays * kUsPerDay) * kNsPerUs;
  if (static_cast<unsigned __int128>(gcra_cost(rate)) * rate.burst > longest)
    return "at this rate the burst takes more than 36525 days to come back";
  return nullptr;
}

bool interval_ns(const Interval *interval, uint64 *ns) noexcept {
  constexpr auto kLongest = static_cast<__int128>(kLongestDays) * kUsPerDay;
  if (interval->month != 0) return false;
  const __int128 us = static_cast<__int128>(interval->day) * static_cast<__int128>(kUsPerDay) + interval->time;
  if (us < 0 || us > kLongest) return false;
  *ns = static_cast<uint64>(us) * kNsPerUs;
  return true;
}

const char *operation_name(Operation op) {
  constexpr const char *kNames[kOperations] = {"read", "reveal", "masked", "tokenize", "probe"};
  const auto at = static_cast<unsigned>(op);
  return at < kOperations ? kNames[at] : "unknown";
}

bool operation_parse(const char *word, Operation *operation) noexcept {
  for (int i = 0; i < kOperations; ++i)
    if (strcmp(word, operation_name(static_cast<Operation>(i))) == 0) {
      *operation = static_cast<Operation>(i);
      return true;
    }
  return false;
}

const char *on_excess_name(OnExcess action) {
  constexpr const char *kNames[] = {"log", "throttle", "degrade", "block", "suspend"};
  return kNames[static_cast<int>(action)];
}

bool on_excess_parse(const char *word, OnExcess *action) noexcept {
  for (const OnExcess candidate :
       {OnExcess::log, OnExcess::throttle, OnExcess::degrade, OnExcess::block, OnExcess::suspend})
    if (strcmp(word, on_excess_name(candidate)) == 0) {
      *action = candidate;
      return true;
    }
  return false;
}

void rate_describe(const GcraRate &rate, char *out, Size size) {
  struct Unit {
    uint64 ns;
    const char *name;
  };
  constexpr Unit kUnits[] = {{86'400'000'000'000, "day"}, {3'600'000'000'000, "hour"}, {60'000'000'000, "minute"},
                             {1'000'000'000, "second"},   {1'000'000, "millisecond"},  {1000, "microsecond"}};
  const char *const plural = rate.max_values == 1 ? "" : "s";
  if (limit_per_statement(rate)) {
    snprintf(out, size, UINT64_FORMAT " value%s per statement", rate.max_values, plural);
    return;
  }
  const Unit *unit = &kUnits[0];
  while (unit->ns > 1000 && rate.per_ns % unit->ns != 0) ++unit;
  const uint64 count = rate.per_ns / unit->ns;
  if (count == 1)
    snprintf(out, size, UINT64_FORMAT " value%s per %s, " UINT64_FORMAT " at once", rate.max_values, plural, unit->name,
             rate.burst);
  else
    snprintf(out, size, UINT64_FORMAT " value%s per " UINT64_FORMAT " %ss, " UINT64_FORMAT " at once", rate.max_values,
             plural, count, unit->name, rate.burst);
}

}  // namespace redoubt::pg
