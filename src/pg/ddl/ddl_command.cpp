// ddl_command.cpp - see ddl_command.h.
//
// The hook is called before the command's own changes are visible, with few exceptions that are named below: what a
// relation's protection was is still found, and what became of an object is read with SnapshotSelf.
// Covered by sql/standing_code.sql, sql/ddl_metering.sql and test/isolation/specs/standing_code.spec.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/each.h"
#include "pg/base/events.h"
#include "pg/base/roles.h"
#include "pg/base/settings.h"
#include "pg/ddl/alter_type.h"
#include "pg/ddl/ddl_charge.h"
#include "pg/ddl/ddl_command.h"
#include "pg/ddl/index_command.h"
#include "pg/ddl/protection.h"
#include "pg/limits/limits.h"
#include "pg/meter/deferred_errors.h"
#include "pg/meter/query_meter.h"
#include "pg/protect/collations.h"
#include "pg/protect/function_trust.h"
#include "pg/protect/labels.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/standing_code.h"
#include "pg/types/token_type.h"

extern "C" {
#include "catalog/dependency.h"
#include "catalog/partition.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/tablecmds.h"
#include "storage/lmgr.h"
}

namespace redoubt::pg {

constinit DdlCommand *ddl_command = nullptr;

// Columns that the command may take out of protection, or fills from protected ones.
struct ProtectedBefore {
  ProtectedBefore *next;
  Oid relid;
  AttrNumber attno;
  Oid token_type;
  bool moved;  // values of the type were put there in the clear
};

namespace {

// Of the new table's columns, the token type each holds values of.  Set at the end of the query that fills it, used at
// the end of the command around.
struct State {
  int filled_columns;
  Oid filled[MaxTupleAttributeNumber];
  List *maintained;  // OIDs of token types that maintenance in a query may quote, in the transaction's memory
};
constinit State state = {};

void remember(List **list, Oid object) {
  MemoryContext old = MemoryContextSwitchTo(ddl_command->context);
  *list = list_append_unique_oid(*list, object);
  MemoryContextSwitchTo(old);
}

bool runs(NodeTag tag) noexcept { return ddl_command != nullptr && nodeTag(ddl_command->statement) == tag; }

// A statement finds the partitions of a partition, and what stands on one, when its first row gets there, long after
// what that costs was found out.  So the tables above a protected partition are written to by nobody when it changes;
// what would wait with a lock on the partition does not.
void require_no_writers(Oid parent, bool waits) {
  if (query_meters != nullptr)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                    errmsg("partitions of \"%s\" do not change within a statement that reads protected values",
                           get_rel_name(parent))));
  List *tables = get_rel_relispartition(parent) ? get_partition_ancestors(parent) : NIL;
  tables = lcons_oid(parent, tables);
  for (int i = list_length(tables) - 1; i >= 0; --i) {
    const Oid table = list_nth_oid(tables, i);
    CacheInvalidateRelcacheByRelid(table);  // plans that are kept
    if (waits)
      LockRelationOid(table, ShareLock);
    else if (!ConditionalLockRelationOid(table, ShareLock))
      ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                      errmsg("table \"%s\" is being written to, and so may be its partitions", get_rel_name(table)),
                      errhint("LOCK TABLE %s IN SHARE MODE before, in the same transaction.", get_rel_name(table))));
  }
}

// Does the command let others write to the table itself meanwhile, so that it can wait for those who write above?
bool lets_write() {
  if (runs(T_IndexStmt)) return reinterpret_cast<const IndexStmt *>(ddl_command->statement)->concurrent;
  return runs(T_AlterTableStmt) &&
         AlterTableGetLockLevel(reinterpret_cast<const AlterTableStmt *>(ddl_command->statement)->cmds) < ShareLock;
}

// The table that a partition is of, which was there before the command; or InvalidOid.
Oid partition_of(Oid relid) {
  const bool made = list_member_oid(ddl_command->made, relid);
  return !made && get_rel_relispartition(relid) ? get_partition_parent(relid, true) : InvalidOid;
}

// The columns in the key of the index that the table is clustered by.
Bitmapset *cluster_key(Oid relid) {
  Oid index = InvalidOid;
  ScanKeyData keys[] = {catalog_key(Anum_pg_index_indrelid, relid)};
  catalog_scan(IndexRelationId, IndexIndrelidIndexId, keys, [&index](const CatalogRow &row) {
    if (row.as<Form_pg_index>()->indisclustered) index = row.as<Form_pg_index>()->indexrelid;
  });
  StandingCode code = {};
  return OidIsValid(index) && standing_code_read(RelationRelationId, index, &code) ? code.columns : nullptr;
}

// The order of rows is charged when they are there, still under the command's lock.  CLUSTER of many tables has
// committed by then.
void note_clustered(Oid relid) {
  if (!has_protected(relid, cluster_key(relid))) return;
  if (enforcing() && (reinterpret_cast<const ClusterStmt *>(ddl_command->statement)->relation == nullptr ||
                      get_rel_relispartition(relid)))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("table \"%s\" is clustered by a protected column", get_rel_name(relid)),
                    errhint("CLUSTER such tables one by one, by name; a partition while it is detached.")));
  touch_all(relid);
  ddl_command->clustered = relid;
}

// ---- labels that follow values

void add_before(Oid relid, AttrNumber attno, Oid token_type, bool moved) {
  for (ProtectedBefore *known = ddl_command->before; known != nullptr; known = known->next) {
    if (known->relid != relid || known->attno != attno) continue;
    known->moved |= moved;
    return;
  }
  auto *column = static_cast<ProtectedBefore *>(MemoryContextAlloc(ddl_command->context, sizeof(ProtectedBefore)));
  *column = {ddl_command->before, relid, attno, token_type, moved};
  ddl_command->before = column;
}

void remember_protected(Oid relid) {
  each_protected_column(relid, [relid](const ProtectedColumn &column) {
    if (!column.borrowed) add_before(relid, column.attno, column.source.token_type, false);
  });
}

const AlterTableCmd *alteration(AlterTableType kind, const char *column) {
  if (!runs(T_AlterTableStmt) || column == nullptr) return nullptr;
  for (const auto *command :
       list_of<const AlterTableCmd>(reinterpret_cast<const AlterTableStmt *>(ddl_command->statement)->cmds))
    if (command->subtype == kind && strcmp(command->name, column) == 0) return command;
  return nullptr;
}

void column_altered(Oid relid, AttrNumber attno) {
  if (!runs(T_AlterTableStmt)) return;
  remember(&ddl_command->changed, relid);
  remember_protected(relid);
  const char *name = get_attname(relid, attno, true);
  const bool generated = get_attgenerated(relid, attno) != '\0';
  if (alteration(AT_DropExpression, name) != nullptr) {
    const TypeChange kept = expression_dropped(relid, attno);
    require_single(kept);
    charge_computed(relid, kept.moved);
  } else if (generated) {
    // NOT NULL tells of what it is computed from; a primary key sets it without saying so.
    charge_columns(relid, nullptr, bms_make_singleton(attno));
  }
  const AlterTableCmd *command = alteration(AT_AlterColumnType, name);
  if (command == nullptr) return;
  const TypeChange change = type_change(relid, attno, reinterpret_cast<const ColumnDef *>(command->def)->raw_default);
  require_using(change);
  if (protected_relation(relid) == nullptr) return;
  if (!generated) require_single(change);
  ddl_command->only_trusted = true;
  if (change.expression != nullptr) collations_open_all();  // functions may have been inlined in it
  touch_all(relid);
  if (!keeps_values(change)) charge_computed(relid, change.moved);
  if (const Oid token_type = type_moved(change); OidIsValid(token_type)) add_before(relid, attno, token_type, true);
}

// ---- events

bool inherits_now(Oid child, Oid parent) {
  bool any = false;
  ScanKeyData keys[] = {catalog_key(Anum_pg_inherits_inhrelid, child)};
  catalog_scan_self(InheritsRelationId, InheritsRelidSeqnoIndexId, keys,
                    [&](const CatalogRow &row) { any |= row.as<Form_pg_inherits>()->inhparent == parent; });
  return any;
}

// Statistics of a table hold values of those that inherit from it, and stay when these do so no more.
void label_ancestors(Oid relid) {
  check_stack_depth();
  if (protected_relation(relid) == nullptr) return;  // nor is any that it inherits from
  for (const Oid parent : oids_of(catalog_parents(relid))) {
    List *tables = list_make1_oid(parent);
    each_protected_column(relid, [relid, parent, &tables](const ProtectedColumn &column) {
      const AttrNumber attno = catalog_same_column(relid, column.attno, parent);
      if (attno == InvalidAttrNumber) return;
      require_same_types(parent, attno, get_atttype(parent, attno), list_make1_oid(column.source.token_type));
      if (OidIsValid(protected_column_type(parent, attno))) return;
      labels_derive(parent, attno, column.source.token_type);
      CommandCounterIncrement();
      standing_code_check(parent);
      tables = find_all_inheritors(parent, NoLock, nullptr);  // what is protected with it may inherit from others, too
    });
    for (const Oid table : oids_of(tables)) label_ancestors(table);
  }
}

// What the parent runs gets the rows of the child from now on, and the child's code what the parent protects.
void inheritance_changed(Oid child, Oid parent) {
  const bool inherits = inherits_now(child, parent);
  if (inherits) {
    CommandCounterIncrement();
    if (protected_relation(parent) != nullptr) labels_lock(child, InvalidAttrNumber);
  }
  const List *tables = find_all_inheritors(child, NoLock, nullptr);
  if (!inherits) {
    for (const Oid table : oids_of(tables)) remember_protected(table);
    charge_detached(child, parent);
    return;
  }
  bool late = get_rel_relispartition(parent);
  for (const Oid table : oids_of(tables)) {
    standing_code_require(table);
    late |= get_rel_relkind(table) == RELKIND_FOREIGN_TABLE;
  }
  if (late && get_rel_relkind(parent) == RELKIND_PARTITIONED_TABLE && protected_relation(parent) != nullptr)
    require_no_writers(parent, true);
  charge_bound(parent, child);
  remember(&ddl_command->changed, parent);
}

// A domain's constraint is tried on the columns of the domain.
void charge_domain(const StandingCode &code) {
  for (const auto *use : list_of<const TypeUse>(type_uses(code.domain))) {
    if (use->attno <= 0) continue;
    const Bitmapset *column = bms_make_singleton(use->attno);
    charge_columns(use->relid, column, bms_is_empty(code.decides) ? nullptr : column);
  }
}

void code_made(Oid class_id, Oid object, bool created) {
  StandingCode code = {};
  if (!standing_code_read(class_id, object, &code)) return;
  if (created) standing_code_made(code);
  if (ddl_command == nullptr || IsA(ddl_command->statement, RenameStmt)) return;
  if (OidIsValid(code.domain)) return charge_domain(code);
  const bool all = class_id == ConstraintRelationId && code.decides != nullptr;
  if (class_id != ConstraintRelationId && class_id != RelationRelationId && class_id != AttrDefaultRelationId) return;
  if (all && !created && !runs(T_AlterTableStmt)) return;
  // An index that is made anew CONCURRENTLY tells what the one before it does.
  const bool of_rows = class_id == ConstraintRelationId || (!bms_is_empty(code.decides) && !runs(T_ReindexStmt));
  if (const Oid parent = of_rows ? partition_of(code.relid) : InvalidOid;
      OidIsValid(parent) && !list_member_oid(ddl_command->changed, parent) && has_protected(code.relid, code.columns))
    require_no_writers(parent, lets_write());
  charge_columns(code.relid, code.columns, code.decides);
  if (class_id == AttrDefaultRelationId &&
      get_attgenerated(code.relid, get_attnum(code.relid, code.name)) == ATTRIBUTE_GENERATED_STORED)
    charge_computed(code.relid, code.columns);
}

// The table or materialised view whose new contents the relation is made for: PostgreSQL calls it pg_temp_<OID>.
Oid rewritten_by(Oid relid) {
  Oid view = InvalidOid;
  ScanKeyData keys[] = {catalog_key(Anum_pg_class_oid, relid)};
  catalog_scan_self(RelationRelationId, ClassOidIndexId, keys, [&view](const CatalogRow &row) {
    const char *name = NameStr(row.as<Form_pg_class>()->relname);
    if (strncmp(name, "pg_temp_", 8) == 0) view = static_cast<Oid>(strtoul(name + 8, nullptr, 10));
  });
  return view;
}

void relation_made(Oid relid) {
  if (ddl_command == nullptr) return;
  remember(&ddl_command->made, relid);
  // What stands on it is evaluated for all rows (CLUSTER, VACUUM FULL, ALTER TABLE, REFRESH).
  const Oid rewritten = rewritten_by(relid);
  if (OidIsValid(rewritten)) touch_all(rewritten);
  if (OidIsValid(ddl_command->filled)) return;
  if (runs(T_RefreshMatViewStmt)) {
    ddl_command->filled = rewritten;
  } else if (runs(T_CreateTableAsStmt) || runs(T_ExplainStmt)) {
    ddl_command->filled = relid;
  }
}

// A function whose trust somebody relies on changes through an admin only.  A look-up still finds what it was.
void function_changes(Oid function) {
  if (!function_is_vouched(function) || is_redoubt_admin(GetUserId())) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("function %s is trusted with protected values and cannot be changed", format_procedure(function)),
           errhint("A member of redoubt_admin may change it, or take the trust away: SECURITY LABEL FOR redoubt "
                   "ON FUNCTION ... IS NULL.")));
}

Oid column_default(Oid relid, int attno) {
  Oid found = InvalidOid;
  ScanKeyData keys[] = {catalog_key(Anum_pg_attrdef_adrelid, relid)};
  catalog_scan_self(AttrDefaultRelationId, AttrDefaultIndexId, keys, [&found, attno](const CatalogRow &row) {
    if (row.as<Form_pg_attrdef>()->adnum == attno) found = row.as<Form_pg_attrdef>()->oid;
  });
  return found;
}

// Where a child keeps the column as its own, it loses the protection that it had from the parent.
void column_dropped(Oid relid) {
  if (!runs(T_AlterTableStmt) || protected_relation(relid) == nullptr) return;
  for (const Oid table : oids_of(find_all_inheritors(relid, NoLock, nullptr))) {
    if (table == relid) continue;
    remember_protected(table);
    CacheInvalidateRelcacheByRelid(table);  // what it inherits is looked up again
  }
}

void created(Oid class_id, Oid object, int column) {
  if (class_id == ProcedureRelationId) return function_changes(object);
  if (class_id == RelationRelationId && column > 0) {
    if (ddl_command != nullptr) remember(&ddl_command->changed, object);
    return;
  }
  // Of a column's expression, PostgreSQL tells the table and the column.
  code_made(class_id, class_id == AttrDefaultRelationId ? column_default(object, column) : object, true);
  if (class_id != RelationRelationId) return;
  index_command_made(object);
  relation_made(object);
}

void altered(Oid class_id, Oid object, int column, const ObjectAccessPostAlter *more) {
  switch (class_id) {
    case ProcedureRelationId:
      return function_changes(object);
    case InheritsRelationId:
      if (ddl_command != nullptr) inheritance_changed(object, more->auxiliary_id);
      return;
    case RelationRelationId:
      if (column > 0 && ddl_command != nullptr) column_altered(object, static_cast<AttrNumber>(column));
      if (column == 0 && runs(T_ClusterStmt)) note_clustered(object);
      return;
    case IndexRelationId:
      return index_command_made(object);
    case PolicyRelationId:
    case RewriteRelationId:
    case TriggerRelationId:
    case StatisticExtRelationId:
      return code_made(class_id, object, true);
    case ConstraintRelationId:  // VALIDATE
      return code_made(class_id, object, runs(T_AlterTableStmt) || runs(T_AlterDomainStmt));
    default:
      return;
  }
}

bool is_harmless(Oid function) {
  if (function_is_trusted(function)) return true;
  int arguments = 0;
  Oid *types = nullptr;
  get_func_signature(function, &types, &arguments);
  return function < FirstNormalObjectId && arguments == 0;
}

void label_filled(Oid relid) {
  const int n = state.filled_columns;
  state.filled_columns = 0;
  for (int i = 0; i < n; ++i) {
    const auto attno = static_cast<AttrNumber>(i + 1);
    if (OidIsValid(state.filled[i]) && !OidIsValid(protected_column_type(relid, attno)))
      labels_derive(relid, attno, state.filled[i]);
  }
}

// A column of a row type may be protected by the tokens in it alone, beside which a field holds values in the clear.
bool still_protected(const ProtectedBefore &before) {
  bool any = false;
  each_protected_column(before.relid, [&](const ProtectedColumn &column) {
    any |= column.attno == before.attno &&
           !(before.moved && column.source.is_token && !type_is_tokens(get_atttype(before.relid, before.attno)));
  });
  return any;
}

void label_freed(const ProtectedBefore *before) {
  for (; before != nullptr; before = before->next) {
    if (!OidIsValid(get_atttype(before->relid, before->attno))) continue;  // dropped
    if (still_protected(*before)) continue;
    labels_derive(before->relid, before->attno, before->token_type);
    remember(&ddl_command->changed, before->relid);
  }
}

// A label that an admin has set, or taken away.
void check_labelled() {
  const ObjectAddress object = labels_take_labelled();
  Protection protection = {};
  if (object.classId == RelationRelationId &&
      protection_of_column(object.objectId, static_cast<AttrNumber>(object.objectSubId), &protection))
    labels_copy(object.objectId, protection.source, protection.target);
  // Taking a label away protects nothing more, and has to work where another label of the table names no token type.
  if (object.classId != ProcedureRelationId && GetSecurityLabel(&object, "redoubt") == nullptr) return;
  if (object.classId == RelationRelationId) {
    for (const Oid table : oids_of(find_all_inheritors(object.objectId, NoLock, nullptr)))
      if (table == object.objectId || list_length(catalog_parents(table)) > 1) label_ancestors(table);
    return standing_code_check(object.objectId);
  }
  if (object.classId == TypeRelationId) return standing_code_check_type(object.objectId);
  if (object.classId != ProcedureRelationId) return;
  function_trust_bind(object.objectId);
  CommandCounterIncrement();
  if (!function_is_trusted(object.objectId)) standing_code_check_all(object.objectId);
}

// Tokens of values that a collation takes for equal are not equal.
void check_collations(Oid relid) {
  each_protected_column(relid, [relid](const ProtectedColumn &column) {
    const Oid collation = catalog_column(relid, column.attno, &FormData_pg_attribute::attcollation);
    if (!column.source.is_token || !OidIsValid(collation) || get_collation_isdeterministic(collation)) return;
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("column \"%s\" of a token type cannot have the nondeterministic collation \"%s\"",
                           get_attname(relid, column.attno, false), get_collation_name(collation)),
                    errhint("Equality of tokens is that of normal forms: give the column a deterministic collation, or "
                            "the type a normalize that makes equal what is to be equal.")));
  });
}

void check_changed() {
  for (const Oid relid : oids_of(list_concat_unique_oid(list_copy(ddl_command->made), ddl_command->changed))) {
    const char kind = get_rel_relkind(relid);
    if (kind == '\0') continue;  // gone meanwhile
    standing_code_lock_domains(relid);
    for (const Oid table : oids_of(find_all_inheritors(relid, NoLock, nullptr))) label_ancestors(table);
    check_collations(relid);
    if (kind == RELKIND_COMPOSITE_TYPE || protected_relation(relid) != nullptr) standing_code_check(relid);
  }
}

}  // namespace

void ddl_command_begin(DdlCommand *command, const Node *statement) {
  *command = {};
  command->statement = statement;
  command->outer = ddl_command;
  command->context = CurrentMemoryContext;
  if (IsA(statement, CreateTableAsStmt) || IsA(statement, RefreshMatViewStmt) || IsA(statement, ExplainStmt))
    state.filled_columns = 0;
  if (IsA(statement, TransactionStmt) &&
      reinterpret_cast<const TransactionStmt *>(statement)->kind == TRANS_STMT_ROLLBACK)
    deferred_errors_forget();
}

void ddl_command_quotes(DdlCommand *command) {
  if (IsA(command->statement, ConstraintsSetStmt))
    for (const auto *deferred : list_of<const Quotable>(deferred_errors_quotable()))
      touch(deferred->token_type, deferred->values);
  command->maintains = IsA(command->statement, VacuumStmt) || IsA(command->statement, ReindexStmt);
  if (!command->maintains) return;
  for (const Oid type : oids_of(labels_types_in_use())) touch(type, kAnyNumber);
}

void ddl_command_error(DdlCommand *command) noexcept {
  ddl_command = command->outer;
  if (command->quotable == NIL || !error_may_carry_values() || error_is_own()) return;
  if (command->maintains && !InSecurityRestrictedOperation()) return;  // before anything was evaluated
  const std::uint32_t room = error_room();
  for (const auto *quotable : list_of<const Quotable>(command->quotable))
    limits_force(quotable->token_type, Operation::read, std::min(quotable->values, room));
}

bool ddl_is_maintenance(Oid function) noexcept {
  return function == F_BRIN_SUMMARIZE_NEW_VALUES || function == F_BRIN_SUMMARIZE_RANGE;
}

void ddl_maintenance_called(bool in_query) {
  state.maintained = NIL;
  const List *types = labels_types_in_use();
  if (types == NIL) return;
  if (!in_query)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("maintenance of indexes is metered in queries only"),
                    errhint("Call the function by SELECT or PERFORM.")));
  collations_open_stored();
  for (const Oid type : oids_of(types)) limits_require_no_debt(type, Operation::read);
  MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
  state.maintained = list_copy(types);
  MemoryContextSwitchTo(old);
}

void ddl_maintenance_error() noexcept {
  if (state.maintained == NIL || !InSecurityRestrictedOperation() || !error_may_carry_values()) return;
  const std::uint32_t room = error_room();
  for (const Oid type : oids_of(state.maintained)) limits_force(type, Operation::read, room);
  state.maintained = NIL;  // once, however many queries the error passes
}

[[gnu::hot]] void ddl_maintenance_transaction(XactEvent event) {
  if (transaction_is_over(event)) state.maintained = NIL;
}

void ddl_command_end(DdlCommand *command) {
  const bool labels = IsA(command->statement, SecLabelStmt);
  const bool fills = OidIsValid(command->filled) && state.filled_columns > 0;
  if (labels || fills || command->before != nullptr || command->made != NIL || command->changed != NIL) {
    CommandCounterIncrement();
    if (labels) check_labelled();
    if (fills) label_filled(command->filled);
    label_freed(command->before);
    CommandCounterIncrement();
    if (fills) remember(&command->changed, command->filled);
    check_changed();
  }
  if (OidIsValid(command->clustered))
    charge_rows(command->clustered, cluster_key(command->clustered), Operation::probe);
}

void ddl_object_access(ObjectAccessType access, Oid class_id, Oid object, int column, void *argument) {
  if (IsParallelWorker()) return;
  switch (access) {
    case OAT_POST_CREATE:
      return created(class_id, object, column);
    case OAT_POST_ALTER:
      return altered(class_id, object, column, static_cast<const ObjectAccessPostAlter *>(argument));
    case OAT_DROP:
      if (class_id == RelationRelationId && column > 0 && ddl_command != nullptr) column_dropped(object);
      // What PostgreSQL drops by itself, such as the objects of a session's temporary schema, goes.
      if (class_id == ProcedureRelationId && argument != nullptr &&
          (static_cast<const ObjectAccessDrop *>(argument)->dropflags & PERFORM_DELETION_INTERNAL) == 0)
        function_changes(object);
      return;
    default:
      return;
  }
}

void ddl_function_called(Oid function) {
  if (is_harmless(function)) return;
  ereport(refusal_level(), (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                            errmsg("function %s is not trusted with protected values", format_procedure(function)),
                            errhint("A member of redoubt_admin can vouch for it: %s", function_vouch(function))));
}

bool ddl_copy_table(Oid relid) {
  if (protected_relation(relid) == nullptr) return false;
  touch_all(relid);
  deferred_errors_note_table(relid);
  return true;
}

void ddl_command_filled(const PlanAnalysis *analysis) {
  state.filled_columns = std::min(analysis->columns, MaxTupleAttributeNumber);
  bool any = false;
  for (int c = 0; c < state.filled_columns; ++c) {
    state.filled[c] = InvalidOid;
    for (int i = analysis->sources - 1; i >= 0; --i)
      if (analysis->column[c].flow.count[i] != 0) state.filled[c] = analysis->source[i].token_type;
    any |= OidIsValid(state.filled[c]);
  }
  // What follows builds the view's indexes of the new rows.
  if (any && runs(T_RefreshMatViewStmt)) ddl_command->only_trusted = true;
}

}  // namespace redoubt::pg
