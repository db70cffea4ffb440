// ddl_maintenance.cpp - see ddl_maintenance.h.
//
// Autovacuum passes no utility hook; there the object access hook, which PostgreSQL calls
// when an expression with a function is made ready, refuses.
// Covered by sql/ddl_metering.sql and test/tap/autovacuum.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/ddl/ddl_maintenance.h"
#include "pg/ddl/ddl_meter.h"
#include "pg/protect/function_trust.h"
#include "pg/base/settings.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "access/tableam.h"
#include "commands/defrem.h"
#include "optimizer/optimizer.h"
#include "postmaster/autovacuum.h"
}

namespace redoubt::pg {
namespace {

uint64 count_rows(Oid relid, Rows counted) {
  uint64 rows = 0;
  Relation relation = table_open(relid, AccessShareLock);
  if (relation->rd_rel->relkind == RELKIND_RELATION || relation->rd_rel->relkind == RELKIND_MATVIEW) {
    Snapshot snapshot = counted == Rows::visible ? RegisterSnapshot(GetLatestSnapshot()) : SnapshotAny;
    TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
    TupleTableSlot *slot = table_slot_create(relation, nullptr);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
      CHECK_FOR_INTERRUPTS();
      ++rows;
    }
    ExecDropSingleTupleTableSlot(slot);
    table_endscan(scan);
    if (counted == Rows::visible) UnregisterSnapshot(snapshot);
  }
  table_close(relation, AccessShareLock);
  return rows;
}

[[noreturn]] void refuse(const char *table) {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("indexes or statistics of table \"%s\" would give protected values to a function that is not trusted",
                  table),
           errhint("A member of redoubt_admin may label the function as trusted; or drop the index or the statistics, "
                   "or let the table's owner run the command, who is charged.")));
}

// Is what the owner's functions see at the session's expense?
bool is_owners_session(Oid owner) { return is_member_of_role_nosuper(GetSessionUserId(), owner); }

// `columns`: attribute numbers that untrusted functions are given.
void meter_columns(List **types, Oid relid, Oid owner, const Bitmapset *columns) {
  for (int i = 0;; ++i) {
    const ProtectedRelation *relation = protected_relation(relid);  // a charge may rebuild it
    if (relation == nullptr || i >= relation->size) return;
    const ProtectedColumn column = relation->column[i];
    if (!bms_is_member(column.attno, columns)) continue;
    if (setting_mode == static_cast<int>(Mode::enforce) && !is_owners_session(owner)) refuse(get_rel_name(relid));
    ddl_touch(types, column.source.token_type);
    ddl_charge_rows(relid, column, Rows::every_version);
  }
}

void meter_table(List **types, Oid relid, bool rewritten) {
  if (protected_relation(relid) == nullptr) return;
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr) return;
  Bitmapset *columns = maintenance_columns(relation, InvalidOid);
  const Oid owner = relation->rd_rel->relowner;
  relation_close(relation, AccessShareLock);
  if (rewritten) columns = bms_add_members(columns, table_code(relid, CMD_UPDATE).columns);
  if (!bms_is_empty(columns)) meter_columns(types, relid, owner, columns);
}

void meter_tables(List **types, Oid relid) {
  ListCell *cell = nullptr;
  const List *tables = find_all_inheritors(relid, AccessShareLock, nullptr);
  foreach (cell, tables) meter_table(types, lfirst_oid(cell), false);
}

void meter_named(List **types, const RangeVar *name) {
  Oid relid = RangeVarGetRelid(name, NoLock, true);
  if (!OidIsValid(relid)) return;
  const char kind = get_rel_relkind(relid);
  if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX) relid = IndexGetRelation(relid, true);
  if (OidIsValid(relid)) meter_tables(types, relid);
}

// CLUSTER leaves the rows in the order of an index, which a scan of the table then tells: a probe for
// each row, of each protected column in the key.
void meter_order(List **types, Oid relid, const Bitmapset *columns) {
  ListCell *cell = nullptr;
  uint64 rows = 0;
  const List *tables = find_all_inheritors(relid, AccessShareLock, nullptr);
  foreach (cell, tables) rows += count_rows(lfirst_oid(cell), Rows::visible);
  for (int i = 0;; ++i) {
    const ProtectedRelation *relation = protected_relation(relid);  // a charge may rebuild it
    if (relation == nullptr || i >= relation->size) return;
    const ProtectedColumn column = relation->column[i];
    if (!bms_is_member(column.attno - FirstLowInvalidHeapAttributeNumber, columns)) continue;
    ddl_touch(types, column.source.token_type);
    limits_charge(column.source.token_type, Operation::probe,
                  static_cast<uint32>(std::min<uint64>(rows, PG_INT32_MAX)));
  }
}

// The columns of the index that the table is clustered by: of that name, or the one it was clustered by before.
Bitmapset *cluster_columns(Oid relid, const char *name) {
  Bitmapset *columns = nullptr;
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr) return columns;
  ListCell *cell = nullptr;
  const List *indexes = RelationGetIndexList(relation);
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    const Form_pg_index form = index->rd_index;
    if (name != nullptr ? strcmp(RelationGetRelationName(index), name) == 0 : form->indisclustered) {
      for (int i = 0; i < form->indnkeyatts; ++i)
        columns = bms_add_member(columns, form->indkey.values[i] - FirstLowInvalidHeapAttributeNumber);
      pull_varattnos(reinterpret_cast<Node *>(RelationGetIndexExpressions(index)), 1, &columns);
    }
    index_close(index, AccessShareLock);
  }
  relation_close(relation, AccessShareLock);
  return columns;
}

void meter_clustered(List **types, Oid relid, const char *index) {
  if (!compat_owns_relation(relid, GetUserId()) || protected_relation(relid) == nullptr) return;
  if (const Bitmapset *columns = cluster_columns(relid, index); columns != nullptr) meter_order(types, relid, columns);
}

// The tables with rows in the database; in one schema, unless that is InvalidOid.
List *tables_in(Oid schema) {
  List *tables = NIL;
  catalog_scan(RelationRelationId, InvalidOid, {}, [&tables, schema](const CatalogRow &row) {
    const auto *relation = row.as<Form_pg_class>();
    if (relation->relkind != RELKIND_RELATION && relation->relkind != RELKIND_MATVIEW) return;
    if (OidIsValid(schema) && relation->relnamespace != schema) return;
    tables = lappend_oid(tables, relation->oid);
  });
  return tables;
}

void meter_all_clustered(List **types) {
  ListCell *cell = nullptr;
  const List *tables = tables_in(InvalidOid);
  foreach (cell, tables) meter_clustered(types, lfirst_oid(cell), nullptr);
}

// Those that the user maintains.
void meter_all(List **types, Oid schema) {
  ListCell *cell = nullptr;
  const List *tables = tables_in(schema);
  foreach (cell, tables)
    if (compat_owns_relation(lfirst_oid(cell), GetUserId())) meter_table(types, lfirst_oid(cell), false);
}

bool evaluates(const VacuumStmt *vacuum) {
  bool any = !vacuum->is_vacuumcmd;
  ListCell *cell = nullptr;
  foreach (cell, vacuum->options) {
    auto *option = static_cast<DefElem *>(lfirst(cell));
    if (strcmp(option->defname, "analyze") == 0 || strcmp(option->defname, "full") == 0) any |= defGetBoolean(option);
  }
  return any;
}

void meter_vacuum(List **types, const VacuumStmt *vacuum) {
  if (!evaluates(vacuum)) return;
  if (vacuum->rels == NIL) return meter_all(types, InvalidOid);
  ListCell *cell = nullptr;
  foreach (cell, vacuum->rels)
    if (const RangeVar *name = static_cast<const VacuumRelation *>(lfirst(cell))->relation) meter_named(types, name);
}

void meter_reindex(List **types, const ReindexStmt *reindex) {
  if (reindex->relation != nullptr) return meter_named(types, reindex->relation);
  const bool schema = reindex->kind == REINDEX_OBJECT_SCHEMA;
  const Oid only = schema ? get_namespace_oid(reindex->name, true) : InvalidOid;
  if (!schema || OidIsValid(only)) meter_all(types, only);
}

// A table of the current user, whose maintenance gives `function` protected values?
bool maintenance_gives(const FormData_pg_class *table, Oid function) {
  if (table->relowner != GetUserId() || protected_relation(table->oid) == nullptr) return false;
  Relation relation = try_relation_open(table->oid, AccessShareLock);
  if (relation == nullptr) return false;
  const Bitmapset *columns = maintenance_columns(relation, function);
  relation_close(relation, AccessShareLock);
  const ProtectedRelation *known = protected_relation(table->oid);
  for (int i = 0; known != nullptr && i < known->size; ++i)
    if (bms_is_member(known->column[i].attno, columns)) return true;
  return false;
}

// In an autovacuum worker, which has switched to the owner of the table at hand.
void refuse_autovacuum(Oid function) {
  if (function_is_trusted(function)) return;
  catalog_scan(RelationRelationId, InvalidOid, {}, [function](const CatalogRow &row) {
    const auto *relation = row.as<Form_pg_class>();
    if (maintenance_gives(relation, function)) refuse(NameStr(relation->relname));
  });
}

}  // namespace
}  // namespace redoubt::pg

namespace redoubt::pg {

void ddl_touch(List **types, Oid token_type) {
  if (list_member_oid(*types, token_type)) return;
  limits_require_no_debt(token_type, Operation::read);
  *types = lappend_oid(*types, token_type);
}

void ddl_charge_rows(Oid relid, const ProtectedColumn &column, Rows counted) {
  const uint64 values = count_rows(relid, counted) * column.count;
  limits_charge(column.source.token_type, Operation::read, static_cast<uint32>(std::min<uint64>(values, PG_INT32_MAX)));
}

void ddl_meter_maintenance(List **types, const Node *statement) {
  switch (nodeTag(statement)) {
    case T_VacuumStmt:
      return meter_vacuum(types, reinterpret_cast<const VacuumStmt *>(statement));
    case T_ReindexStmt:
      return meter_reindex(types, reinterpret_cast<const ReindexStmt *>(statement));
    case T_ClusterStmt:
      if (const RangeVar *table = reinterpret_cast<const ClusterStmt *>(statement)->relation) {
        meter_named(types, table);
        return meter_clustered(types, RangeVarGetRelid(table, AccessShareLock, true),
                               reinterpret_cast<const ClusterStmt *>(statement)->indexname);
      }
      meter_all(types, InvalidOid);
      return meter_all_clustered(types);
    case T_RefreshMatViewStmt:
      return meter_named(types, reinterpret_cast<const RefreshMatViewStmt *>(statement)->relation);
    default:
      return;
  }
}

void ddl_meter_rewrite(List **types, Oid relid) { meter_table(types, relid, true); }

void ddl_meter_autovacuum(Oid function) {
  if (setting_mode == static_cast<int>(Mode::enforce)) refuse_autovacuum(function);
}

}  // namespace redoubt::pg
