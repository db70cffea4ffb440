// protect_column.cpp - the ways into a step of redoubt.protect_column(), and the order of its parts.
//
// redoubt.protect_step(), protect_undo_step(), check_protect() and unprotect_column() are for the owner of a table, or
// who has the owner's rights.  Each runs as the owner (protection.h), with settings that decide nothing of what is made
// anew; these are put back.  Code of the table that PostgreSQL calls meanwhile can begin no step.
// Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/ddl/protect_step.h"
#include "pg/protect/protected_columns.h"
#include "pg/reveal/gate.h"

extern "C" {
#include "catalog/pg_type_d.h"
#include "storage/lmgr.h"
#include "utils/timestamp.h"
}

namespace redoubt::pg {
namespace {

// A step decides by the catalog as it is when it has its locks.
void require_fresh_snapshots() {
  if (!IsolationUsesXactSnapshot()) return;
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("a column cannot be protected in a transaction that is REPEATABLE READ or SERIALIZABLE"),
                  errhint("SET default_transaction_isolation = 'read committed'; then call again.")));
}

// What the caller has set must not change what statements and their texts mean.
constexpr const char *kSearchPath = "pg_catalog, pg_temp";
constexpr const char *kSettings[][2] = {{"search_path", kSearchPath},
                                        {"row_security", "off"},
                                        {"client_min_messages", "warning"},
                                        {"quote_all_identifiers", "off"},
                                        {"default_tablespace", ""},
                                        {"datestyle", "ISO, YMD"},
                                        {"intervalstyle", "postgres"},
                                        {"extra_float_digits", "1"},
                                        {"transform_null_equals", "off"},
                                        {"array_nulls", "on"},
                                        {"jit", "off"},
                                        {"redoubt.reveal", "token"}};

// Is there a step that runs: code of the table that it calls may begin none.
constinit bool stepping = false;

// Runs something as the owner of a table.  No lock keeps the owner: the parts look again when they have theirs.
class AsOwner {
 public:
  explicit AsOwner(Oid owner) {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(owner, context_ | SECURITY_RESTRICTED_OPERATION | SECURITY_LOCAL_USERID_CHANGE);
    stepping = true;
  }
  ~AsOwner() {
    stepping = false;
    SetUserIdAndSecContext(user_, context_);
  }
  AsOwner(const AsOwner &) = delete;
  AsOwner &operator=(const AsOwner &) = delete;

 private:
  Oid user_ = InvalidOid;
  int context_ = 0;
};

// The owner, whose rights the current user must have.  Asked once: another one may come at any time.
Oid owner_for_current_user(Oid relid) {
  const char *name = get_rel_name(relid);
  if (name == nullptr) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no such table")));
  const Oid owner = catalog_owner(relid);
  if (!has_privs_of_role(GetUserId(), owner))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", name)));
  return owner;
}

template <typename Run>
void as_owner(Oid relid, Run &&run) {
  if (stepping)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("a step of redoubt.protect_column() cannot be taken within another one")));
  require_fresh_snapshots();
  const Oid owner = owner_for_current_user(relid);
  const AsOwner guard(owner);
  call([&run] {
    const int settings = NewGUCNestLevel();
    for (const auto &setting : kSettings) step_set(setting[0], setting[1]);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    run();
    SPI_finish();
    AtEOXact_GUC(false, settings);
  });
}

AttrNumber column_number(Oid relid, const char *name) {
  const AttrNumber column = get_attnum(relid, name);
  if (column > 0) return column;
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                  errmsg("column %s of table %s does not exist", quote_identifier(name), step_table_name(relid))));
}

// The columns that go together, as they are now.
void read_group(StepCall *step) {
  Oid types[] = {REGCLASSOID, INT2OID};
  Datum values[] = {ObjectIdGetDatum(step->column.relid), Int16GetDatum(step->column.source)};
  step_ask("SELECT g.relation, g.source FROM redoubt.protect_group($1, $2) AS g", types, values);
  step->members = static_cast<int>(SPI_processed);
  step->member = static_cast<StepMember *>(palloc(sizeof(StepMember) * (SPI_processed + 1)));
  for (uint64 i = 0; i < SPI_processed; ++i) {
    bool null = false;
    step->member[i].relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
    step->member[i].source = DatumGetInt16(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &null));
  }
}

// The tables of the group that are the current user's, in an order.  Nobody waits for a turn of somebody else's.
std::span<const Oid> tables_of(const StepCall &step) {
  auto *tables = static_cast<Oid *>(palloc(sizeof(Oid) * (step.members + 1)));
  Oid *end = tables;
  for (int i = 0; i < step.members; ++i)
    if (catalog_owner(step.member[i].relid) == GetUserId()) *end++ = step.member[i].relid;
  std::sort(tables, end);
  return {tables, static_cast<std::size_t>(std::unique(tables, end) - tables)};
}

// False where another step is at work, or foreign keys or the column changed meanwhile.
bool take_turn(StepCall *step) {
  read_group(step);
  const std::span<const Oid> tables = tables_of(*step);
  if (!step_take_turn(*step, tables)) return false;
  read_group(step);
  const std::span<const Oid> now = tables_of(*step);
  if (get_attnum(step->column.relid, step->name) != step->column.source) return false;
  return std::equal(tables.begin(), tables.end(), now.begin(), now.end());
}

void require_same_type(const StepCall &step, const Protection &protection) {
  if (protection.token_type == step.type->type) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("column %s of table %s is being protected with another token type",
                         step_column_name({protection.relid, protection.source}), step_table_name(protection.relid)),
                  errhint("CALL redoubt.protect_undo(...), then begin anew.")));
}

// Filled and verified: the planner knows the column when it takes the other one's place.  It can do without.
void analyze(const StepCall &step, const StepMember &member) {
  Protection protection = {};
  if (!protection_of_column(member.relid, member.source, &protection)) return;
  const char *statement = psprintf("ANALYZE %s (%s)", step_table_name(member.relid),
                                   quote_identifier(get_attname(member.relid, protection.target, false)));
  (void)step_try(step, [&] {
    step_set("client_min_messages", "error");  // of extended statistics that have another column, too
    step_run(statement);
  });
}

// Indexes and constraints of the token columns; null where none is left to be made.
const char *make_next(const StepCall &step) {
  Oid types[] = {REGCLASSOID, INT2OID};
  Datum values[] = {ObjectIdGetDatum(step.column.relid), Int16GetDatum(step.column.source)};
  char *statement = nullptr;
  const bool looked = step_look(step, [&] {
    const char *text =
        step_ask_text("SELECT p.statement FROM redoubt.protect_pending($1, $2) AS p LIMIT 1", types, values);
    if (text != nullptr) statement = pstrdup(text);
    if (text == nullptr || strstr(text, "UNIQUE INDEX CONCURRENTLY ") == nullptr) return;
    step_ask_text("SELECT redoubt.protect_twins($1, $2)", types, values);
  });
  if (!looked) return "retry";
  if (statement == nullptr) return nullptr;
  constexpr const char *kConcurrently = " CONCURRENTLY ";
  if (char *word = strstr(statement, kConcurrently); word != nullptr && strncmp(statement, "ALTER", 5) != 0) {
    if (!step.build_indexes) return "indexes";
    const char *rest = word + strlen(kConcurrently);
    memmove(word + 1, rest, strlen(rest) + 1);
  }
  for (int i = 0; i < step.members; ++i)
    if (!step_wait_for_vacuum(step, step.member[i].relid)) return "retry";
  const bool done = step_try(step, [&] { step_run(statement); });
  return done ? "next" : "retry";
}

const char *take_step(StepCall *step) {
  if (!take_turn(step)) return "retry";
  for (int i = 0; i < step->members; ++i) {
    Protection protection = {};
    if (protection_of_column(step->member[i].relid, step->member[i].source, &protection))
      require_same_type(*step, protection);
    else
      return protect_begin(*step, step->member[i]);
  }
  for (int i = 0; i < step->members; ++i) {
    protect_require_limits(step->member[i], step->type->type);
    const char *state = protect_rows(*step, step->member[i]);
    if (strcmp(state, "next") == 0) analyze(*step, step->member[i]);
    if (strcmp(state, "ready") != 0) return state;
  }
  if (const char *state = make_next(*step); state != nullptr) return state;
  return step->swap ? protect_swap(*step) : "ready";
}

int milliseconds_of(const Interval *interval) {
  const double milliseconds = (static_cast<double>(interval->month) * 30 + interval->day) * 86'400'000.0 +
                              static_cast<double>(interval->time) / 1000;
  if (!(milliseconds >= 1) || milliseconds > 3'600'000)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid lock_timeout of protect_column"),
                    errhint("It is from 1 ms to 1 hour.")));
  return static_cast<int>(milliseconds);
}

const TokenType *type_of(Oid type) {
  const TokenType *found = token_type_find(type);
  if (found != nullptr) return found;
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not a token type", format_type_be(type)),
                  errhint("redoubt.token_types lists them.")));
}

// ---- undo

// Those of the group that are being protected, and are the current user's.
std::span<Protection> protections_of(const StepCall &step) {
  auto *found = static_cast<Protection *>(palloc(sizeof(Protection) * (step.members + 1)));
  std::size_t size = 0;
  for (int i = 0; i < step.members; ++i)
    if (catalog_owner(step.member[i].relid) == GetUserId() &&
        protection_of_column(step.member[i].relid, step.member[i].source, &found[size]))
      ++size;
  return {found, size};
}

void undo_locked(const Protection &protection) {
  Protection now = {};
  if (!protection_of_trigger(protection.trigger, &now)) return;
  const Oid relid = protection.relid;
  const char *target = get_attname(relid, protection.target, true);
  protection_drop_trigger(protection.trigger);
  if (target != nullptr)
    step_run(psprintf("ALTER TABLE %s DROP COLUMN %s", step_table_name(relid), quote_identifier(target)));
  protection_record("undo", protection, protection.rows_done);
}

const char *undo(StepCall *step) {
  if (!take_turn(step)) return "retry";
  const std::span<Protection> found = protections_of(*step);
  if (found.empty())
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("column %s of table %s is not being protected", step_column_name(step->column),
                           step_table_name(step->column.relid)),
                    errhint("After the swap there is nothing to undo.")));
  auto *relations = static_cast<Oid *>(palloc(sizeof(Oid) * found.size()));
  for (std::size_t i = 0; i < found.size(); ++i) {
    relations[i] = found[i].relid;
    if (!step_wait_for_vacuum(*step, relations[i])) return "retry";
  }
  const std::span<const Oid> tables(relations, found.size());
  const bool done = step_try(*step, [&] {
    step_lock(tables, step->lock_timeout);
    for (const Protection &protection : found) undo_locked(protection);
  });
  return done ? "done" : "retry";
}

// ---- unprotect_column

// The ordinary way: ALTER TABLE reads each value by detokenize(), which asks, charges and records.
void unprotect(Oid relid, const char *name) {
  LockRelationOid(relid, AccessExclusiveLock);
  if (get_rel_name(relid) == nullptr)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no such table")));
  protection_require_owner(relid);
  Oid types[] = {OIDOID, NAMEOID};
  Datum values[] = {ObjectIdGetDatum(relid), CStringGetDatum(name)};
  const char *base = step_ask_text(
      "SELECT t.base FROM pg_attribute AS a JOIN redoubt.token_type AS t ON t.typ = a.atttypid"
      " WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.atthasdef",
      types, values);
  if (base == nullptr)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("column %s of table %s has a default, or is no token column", quote_identifier(name),
                           step_table_name(relid)),
                    errhint("Drop the default, which is a token, and set it anew afterwards.")));
  step_run(psprintf("ALTER TABLE %s ALTER COLUMN %s TYPE %s USING redoubt.detokenize(%s)", step_table_name(relid),
                    quote_identifier(name), base, quote_identifier(name)));
}

// ---- check_protect

void list_findings(FunctionCallInfo fcinfo) {
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Oid types[] = {REGCLASSOID, NAMEOID, REGTYPEOID, INT4OID};
  Datum values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)};
  step_ask("SELECT * FROM redoubt.protect_findings($1, $2, $3, $4)", types, values);
  const int columns = result->setDesc->natts;
  if (SPI_tuptable->tupdesc->natts != columns) elog(ERROR, "wrong result type");
  auto *row = static_cast<Datum *>(palloc(sizeof(Datum) * columns));
  auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * columns));
  for (uint64 i = 0; i < SPI_tuptable->numvals; ++i) {
    heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row, nulls);
    tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
  }
}

}  // namespace

void step_ask(const char *sql, std::span<Oid> types, Datum *values) {
  step_set("search_path", kSearchPath);  // code of the table may have changed it
  if (SPI_execute_with_args(sql, static_cast<int>(types.size()), types.data(), values, nullptr, false, 0) !=
      SPI_OK_SELECT)
    elog(ERROR, "could not look at a table");
}

const char *step_ask_text(const char *sql, std::span<Oid> types, Datum *values) {
  step_ask(sql, types, values);
  return SPI_processed == 0 ? nullptr : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

void step_run(const char *sql) {
  if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY) elog(ERROR, "a statement of a step is none that it takes");
}

const char *step_table_name(Oid relid) {
  const char *name = get_rel_name(relid);
  if (name == nullptr) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no such table")));
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

const char *step_column_name(const StepMember &member) {
  const char *name = get_attname(member.relid, member.source, true);
  return name != nullptr ? quote_identifier(name) : "?";
}

void step_set(const char *setting, const char *value) {
  (void)set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

namespace {

// The step that a function with the arguments (table regclass, column name, ...) is asked for; `timeout` is the number
// of the one that is the lock_timeout.
StepCall step_of(FunctionCallInfo fcinfo, int timeout) {
  StepCall step = {};
  step.name = NameStr(*PG_GETARG_NAME(1));
  step.column = {PG_GETARG_OID(0), column_number(PG_GETARG_OID(0), step.name)};
  step.lock_timeout = milliseconds_of(PG_GETARG_INTERVAL_P(timeout));
  return step;
}

}  // namespace
}  // namespace redoubt::pg

// protect_step(table regclass, column name, type regtype, batch integer, lock_timeout interval, build_indexes boolean,
// swap boolean)
REDOUBT_FUNCTION(redoubt_protect_step) {
  using namespace redoubt::pg;
  const char *state = nullptr;
  as_owner(PG_GETARG_OID(0), [&] {
    StepCall step = step_of(fcinfo, 4);
    step.type = type_of(PG_GETARG_OID(2));
    step.batch = PG_GETARG_INT32(3);
    step.build_indexes = PG_GETARG_BOOL(5);
    step.swap = PG_GETARG_BOOL(6);
    state = take_step(&step);
  });
  PG_RETURN_TEXT_P(cstring_to_text(state));
}

// protect_undo_step(table regclass, column name, lock_timeout interval)
REDOUBT_FUNCTION(redoubt_protect_undo_step) {
  using namespace redoubt::pg;
  const char *state = nullptr;
  as_owner(PG_GETARG_OID(0), [&] {
    StepCall step = step_of(fcinfo, 2);
    state = undo(&step);
  });
  PG_RETURN_TEXT_P(cstring_to_text(state));
}

// check_protect(table regclass, column name, type regtype, values integer)
REDOUBT_FUNCTION(redoubt_check_protect) {
  using namespace redoubt::pg;
  call([fcinfo] { InitMaterializedSRF(fcinfo, 0); });
  as_owner(PG_GETARG_OID(0), [fcinfo] { list_findings(fcinfo); });
  return 0;
}

// unprotect_column(table regclass, column name): both who calls and the owner must be allowed to reveal.
REDOUBT_FUNCTION(redoubt_unprotect_column) {
  using namespace redoubt::pg;
  const Oid relid = PG_GETARG_OID(0);
  const char *name = NameStr(*PG_GETARG_NAME(1));
  (void)owner_for_current_user(relid);
  const AttrNumber source = get_attnum(relid, name);
  const TokenType *type = source > 0 ? token_type_find(get_atttype(relid, source)) : nullptr;
  if (type == nullptr)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("column %s of table %s is no token column", quote_identifier(name), get_rel_name(relid))));
  gate_require(type, Privilege::reveal);
  as_owner(relid, [=] { unprotect(relid, name); });
  Protection was = {};
  was.relid = relid;
  was.source = source;
  was.token_type = type->type;
  protection_record("unprotect", was, -1);
  PG_RETURN_VOID();
}

// protect_label(table oid, column smallint): the token type that pays for a column, as metering has it; null for none.
REDOUBT_FUNCTION(redoubt_protect_label) {
  using namespace redoubt::pg;
  const Oid type = protected_column_type(PG_GETARG_OID(0), PG_GETARG_INT16(1));
  if (!OidIsValid(type)) PG_RETURN_NULL();
  PG_RETURN_OID(type);
}
