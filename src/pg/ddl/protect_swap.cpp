// protect_swap.cpp - the beginning and the end of redoubt.protect_column(): the parts of a step that change the table.
//
// The trigger is PostgreSQL's own kind ("internal"): a role that may make triggers cannot replace it, its owner cannot
// drop it by itself, and no dump takes it along.
// All that the swap does is put together before it locks anything, and done where the catalog is as it was then
// (protect_locks.cpp).  It gives up where it would hold its locks for longer than a step may.
// Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/ddl/protect_step.h"
#include "pg/protect/labels.h"
#include "pg/protect/protected_columns.h"
#include "pg/reveal/gate.h"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/ruleutils.h"
}

namespace redoubt::pg {
namespace {

[[noreturn]] void give_up() {
  ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("a table was changed meanwhile"),
                  errhint("CALL redoubt.protect_column(...) again.")));
}

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

void add_column(const StepCall &step, const StepMember &member) {
  Protection protection = {};
  protection.relid = member.relid;
  protection.source = member.source;
  protection.token_type = step.type->type;
  Relation relation = relation_open(member.relid, NoLock);
  protection_require_ordinary(relation);
  relation_close(relation, NoLock);
  const char *table = step_table_name(member.relid);
  const char *target = psprintf("redoubt_protect_%d", member.source);
  const Oid collation = catalog_column(member.relid, member.source, &FormData_pg_attribute::attcollation);
  const bool keeps = OidIsValid(collation) && OidIsValid(get_typcollation(step.type->type));
  step_run(psprintf("ALTER TABLE %s ADD COLUMN %s %s%s%s", table, target,
                    format_type_extended(step.type->type, -1, FORMAT_TYPE_FORCE_QUALIFY), keeps ? " COLLATE " : "",
                    keeps ? generate_collation_name(collation) : ""));
  step_run(psprintf("COMMENT ON COLUMN %s.%s IS 'made by redoubt.protect_column(), which is at work'", table, target));
  protection.target = get_attnum(member.relid, target);
  protection_require_fit(protection, step.type);
  protection.trigger = make_trigger(member.relid, member.source);
  if (!protection_trigger_is_sound(protection.trigger, member.relid, &protection.version))
    elog(ERROR, "the trigger is not the one of redoubt.protect_column()");
  relation = relation_open(member.relid, NoLock);
  protection.file = relation->rd_rel->relfilenode;
  protection.blocks = RelationGetNumberOfBlocks(relation);
  relation_close(relation, NoLock);
  protection_insert(protection);
  labels_copy(member.relid, member.source, protection.target);
  protection_record("begin", protection, -1);
}

// No snapshot and no transaction is older than the filling, here or at a standby or subscriber that tells of its own.
bool is_settled(const Protection &protection, Relation relation) {
  if (protection.step != ProtectStep::swap || protection.horizon == 0) return false;
  const TransactionId oldest = GetOldestNonRemovableTransactionId(relation);
  const FullTransactionId next = ReadNextFullTransactionId();  // read later, so never less
  const std::uint64_t age = XidFromFullTransactionId(next) - oldest;
  return U64FromFullTransactionId(next) - age >= protection.horizon;
}

bool all_are_settled(const StepCall &step) {
  for (int i = 0; i < step.members; ++i) {
    Protection protection = {};
    Relation relation = protection_open(step.member[i].relid, step.member[i].source, AccessShareLock, &protection);
    const bool settled = is_settled(protection, relation);
    relation_close(relation, AccessShareLock);
    if (!settled) return false;
  }
  return true;
}

// What the swap does, as it was put together before it locks anything.
struct Plan {
  std::uint64_t stamp;
  std::span<Oid> relations;  // in the order in which they are locked
  int removals;
  Datum *removal;  // statements: what hangs on the old columns goes
  int makings;
  Datum *making;  // and is made anew on the token columns
  int valid;
  Datum *valid_table;  // foreign keys that are valid: by table and name
  Datum *valid_name;
};

int array_of(Datum array, Oid element, Datum **values) {
  int16 length = 0;
  bool by_value = false;
  char align = 0;
  int size = 0;
  get_typlenbyvalalign(element, &length, &by_value, &align);
  deconstruct_array(DatumGetArrayTypeP(array), element, length, by_value, align, values, nullptr, &size);
  return size;
}

// A column of the one row of a query, copied to where the subtransaction's end leaves it.
Datum taken(int column) {
  bool null = false;
  const Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &null);
  if (null) elog(ERROR, "the plan of a swap has a null");
  return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
}

void ask_for(const StepCall &step, const char *sql) {
  Oid types[] = {REGCLASSOID, INT2OID};
  Datum values[] = {ObjectIdGetDatum(step.column.relid), Int16GetDatum(step.column.source)};
  step_ask(sql, types, values);
  if (SPI_processed != 1) elog(ERROR, "could not look at a table");
}

std::span<Oid> touched(const StepCall &step) {
  Datum *relations = nullptr;
  ask_for(step, "SELECT redoubt.protect_touched($1, $2)");
  const int size = array_of(taken(1), OIDOID, &relations);
  auto *found = static_cast<Oid *>(palloc(sizeof(Oid) * (size + 1)));
  for (int i = 0; i < size; ++i) found[i] = DatumGetObjectId(relations[i]);
  return {found, static_cast<std::size_t>(size)};
}

void put_together(const StepCall &step, Plan *plan) {
  plan->relations = touched(step);
  plan->stamp = step_stamp(plan->relations);
  ask_for(step,
          "SELECT p.object, p.what, p.remedy, p.removals, p.makings, p.valid_tables, p.valid_names"
          " FROM redoubt.protect_plan($1, $2) AS p");
  const auto text = [](int column) { return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column); };
  if (const char *object = text(1); object != nullptr) {
    const char *remedy = text(3);
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s stands in the way", object),
                    errdetail("%s", text(2)),
                    errhint("%s", remedy != nullptr ? remedy : "redoubt.check_protect() lists everything.")));
  }
  plan->removals = array_of(taken(4), TEXTOID, &plan->removal);
  plan->makings = array_of(taken(5), TEXTOID, &plan->making);
  plan->valid = array_of(taken(6), OIDOID, &plan->valid_table);
  if (array_of(taken(7), TEXTOID, &plan->valid_name) != plan->valid) elog(ERROR, "the plan of a swap is odd");
  // One that came between is in the plan, and would not be locked.
  const std::span<const Oid> now = touched(step);
  if (!std::equal(now.begin(), now.end(), plan->relations.begin(), plan->relations.end())) give_up();
}

// A token is made of its value, and each was compared with it: what held of the values holds of the tokens.
void vouch_for(Oid relid, const char *name) {
  const Oid foreign_key = get_relation_constraint_oid(relid, name, false);
  Relation constraints = table_open(ConstraintRelationId, RowExclusiveLock);
  HeapTuple tuple = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(foreign_key));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for constraint %u", foreign_key);
  auto *constraint = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
  if (constraint->contype != CONSTRAINT_FOREIGN) elog(ERROR, "not a foreign key");
  constraint->convalidated = true;
  CatalogTupleUpdate(constraints, &tuple->t_self, tuple);
  CacheInvalidateRelcacheByRelid(relid);
  table_close(constraints, RowExclusiveLock);
  CommandCounterIncrement();
}

// For how long the locks are held.
struct Watch {
  TimestampTz started;
  int milliseconds;
  bool *slow;
};

void run_in_time(const Watch &watch, const char *sql) {
  step_run(sql);
  *watch.slow = TimestampDifferenceExceeds(watch.started, GetCurrentTimestamp(), watch.milliseconds);
  if (*watch.slow) give_up();
}

bool column_is(Oid relid, AttrNumber column, const char *name, Oid type, bool needed) {
  HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(column));
  if (!HeapTupleIsValid(tuple)) return false;
  const auto *form = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple));
  const bool is = strcmp(NameStr(form->attname), name) == 0 && form->atttypid == type && form->attnotnull == needed;
  ReleaseSysCache(tuple);
  return is;
}

// The trigger and the old column go; the token column takes the name.
void change_places(const Watch &watch, const Protection &protection) {
  const Oid relid = protection.relid;
  const char *table = step_table_name(relid);
  const char *old = get_attname(relid, protection.source, false);
  const char *name = quote_identifier(old);
  const char *made = quote_identifier(get_attname(relid, protection.target, false));
  const bool needed = catalog_column(relid, protection.source, &FormData_pg_attribute::attnotnull);
  protection_drop_trigger(protection.trigger);
  labels_remove(relid, protection.target);
  run_in_time(watch, psprintf("ALTER TABLE %s DROP COLUMN %s", table, name));
  run_in_time(watch, psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", table, made, name));
  run_in_time(watch, psprintf("COMMENT ON COLUMN %s.%s IS NULL", table, name));
  if (needed) {
    run_in_time(watch, psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", table, name));
    run_in_time(watch, psprintf("ALTER TABLE %s DROP CONSTRAINT %s", table, made));
  }
  // Names led where they should.
  Protection gone = {};
  if (!column_is(relid, protection.target, old, protection.token_type, needed) ||
      OidIsValid(get_atttype(relid, protection.source)) || protection_of_trigger(protection.trigger, &gone))
    give_up();
}

const char *schema_of_type(Oid type) {
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for type %u", type);
  const char *name = get_namespace_name(reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typnamespace);
  ReleaseSysCache(tuple);
  return name;
}

void swap_locked(const StepCall &step, const Plan &plan, bool *slow) {
  step_lock(plan.relations, step.lock_timeout);
  const Watch watch = {GetCurrentTimestamp(), step.lock_timeout, slow};
  if (step_stamp(plan.relations) != plan.stamp) give_up();
  auto *protections = static_cast<Protection *>(palloc(sizeof(Protection) * step.members));
  for (int i = 0; i < step.members; ++i) {
    const StepMember &member = step.member[i];
    Relation relation = protection_open(member.relid, member.source, NoLock, &protections[i]);
    // Rows moved since they were verified, or a snapshot came with a transaction that is handed on.
    if (protections[i].file != relation->rd_rel->relfilenode || !is_settled(protections[i], relation)) give_up();
    relation_close(relation, NoLock);
    protect_require_limits(member, protections[i].token_type);
  }
  for (int i = 0; i < plan.removals; ++i) run_in_time(watch, TextDatumGetCString(plan.removal[i]));
  for (int i = 0; i < step.members; ++i) change_places(watch, protections[i]);
  // What is made anew finds the operators of the type, wherever they are.
  const char *schema = schema_of_type(step.type->type);
  step_set("search_path", psprintf("pg_catalog, %s, pg_temp", quote_identifier(schema)));
  for (int i = 0; i < plan.makings; ++i) run_in_time(watch, TextDatumGetCString(plan.making[i]));
  for (int i = 0; i < plan.valid; ++i)
    vouch_for(DatumGetObjectId(plan.valid_table[i]), TextDatumGetCString(plan.valid_name[i]));
  for (int i = 0; i < step.members; ++i) {
    protections[i].source = protections[i].target;  // which has the name
    protection_record("swap", protections[i], protections[i].rows_done);
  }
}

}  // namespace

void protect_require_limits(const StepMember &member, Oid token_type) {
  const Oid label = protected_column_type(member.relid, member.source);
  if (!OidIsValid(label)) return;
  Oid types[] = {REGTYPEOID, REGTYPEOID};
  Datum values[] = {ObjectIdGetDatum(label), ObjectIdGetDatum(token_type)};
  const char *lost = step_ask_text("SELECT redoubt.protect_lost_limits($1, $2)", types, values);
  if (lost != nullptr && strcmp(lost, "0") == 0) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("limits on read of %s would end with the label of column %s of table %s",
                         format_type_be(label), step_column_name(member), step_table_name(member.relid)),
                  errhint("redoubt.check_protect() says what limits an admin has to set before.")));
}

const char *protect_begin(const StepCall &step, const StepMember &member) {
  std::uint64_t stamp = 0;
  const std::span relations(&member.relid, 1);
  const bool looked = step_look(step, [&] {
    stamp = step_stamp(relations);
    Oid types[] = {REGCLASSOID, INT2OID, REGTYPEOID};
    Datum values[] = {ObjectIdGetDatum(step.column.relid), Int16GetDatum(step.column.source),
                      ObjectIdGetDatum(step.type->type)};
    const char *errors = step_ask_text("SELECT redoubt.protect_errors($1, $2, $3)", types, values);
    if (errors != nullptr)
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("column %s of table %s cannot be protected online as it is", step_column_name(step.column),
                             step_table_name(step.column.relid)),
                      errdetail("%s", errors), errhint("redoubt.check_protect() lists everything.")));
  });
  if (!looked) return "retry";
  gate_require(step.type, Privilege::tokenize);
  protect_require_limits(member, step.type->type);
  if (!step_wait_for_vacuum(step, member.relid)) return "retry";
  const bool done = step_try(step, [&] {
    step_lock(relations, step.lock_timeout);
    if (step_stamp(relations) != stamp) give_up();
    add_column(step, member);
  });
  return done ? "next" : "retry";
}

const char *protect_swap(const StepCall &step) {
  bool settled = false;
  if (!step_look(step, [&] { settled = all_are_settled(step); })) return "retry";
  if (!settled) return "older";
  Plan plan = {};
  if (!step_look(step, [&] { put_together(step, &plan); })) return "retry";
  for (int i = 0; i < step.members; ++i)
    if (!step_wait_for_vacuum(step, step.member[i].relid)) return "retry";
  bool slow = false;
  const bool done = step_try(step, [&] { swap_locked(step, plan, &slow); });
  return done ? "done" : slow ? "slow" : "retry";
}

}  // namespace redoubt::pg
