// ddl_charge.cpp - see ddl_charge.h.
//
// Covered by sql/ddl_metering.sql and sql/standing_code.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/each.h"
#include "pg/ddl/ddl_charge.h"
#include "pg/ddl/ddl_command.h"
#include "pg/limits/limits.h"
#include "pg/meter/deferred_errors.h"
#include "pg/protect/collations.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/standing_code.h"

extern "C" {
#include "access/tableam.h"
#include "catalog/partition.h"
}

namespace redoubt::pg {
namespace {

// Has the table an exclusion constraint, be it one that the command itself has made?  It compares two rows, and quotes
// both.
bool excludes(Oid relid) {
  bool any = false;
  ScanKeyData keys[] = {catalog_key(Anum_pg_index_indrelid, relid)};
  catalog_scan_self(IndexRelationId, IndexIndrelidIndexId, keys,
                    [&any](const CatalogRow &row) { any |= row.as<Form_pg_index>()->indisexclusion; });
  return any;
}

// One evaluation may put values of all columns that it uses into a message; how many an array has nobody knows.
std::uint32_t quotable_values(Oid relid, Oid token_type, const Bitmapset *used) {
  std::uint32_t values = 0;
  each_protected_column(relid, [&](const ProtectedColumn &column) {
    if (column.source.token_type != token_type || !columns_hold(used, column.attno) || values == kAnyNumber) return;
    values = column.is_array ? kAnyNumber : values + column.count;
  });
  return values != kAnyNumber && excludes(relid) ? values * 2 : values;
}

// Partitions share a column: one of the name is charged once in a command.
bool probed_before(const char *name) {
  for (const auto *known : list_of<const char>(ddl_command->probed))
    if (strcmp(known, name) == 0) return true;
  MemoryContext old = MemoryContextSwitchTo(ddl_command->context);
  ddl_command->probed = lappend(ddl_command->probed, pstrdup(name));
  MemoryContextSwitchTo(old);
  return false;
}

uint64 count_rows(Oid relid) {
  uint64 rows = 0;
  Relation relation = table_open(relid, AccessShareLock);
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    ++rows;
  }
  ExecDropSingleTupleTableSlot(slot);
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
  table_close(relation, AccessShareLock);
  return rows;
}

void charge_many(Oid token_type, Operation operation, uint64 values) {
  while (values > 0) {
    const auto some = static_cast<uint32>(std::min<uint64>(values, PG_INT32_MAX));
    limits_charge(token_type, operation, some);
    values -= some;
  }
}

}  // namespace

void touch(Oid token_type, std::uint32_t values) {
  if (!IsA(ddl_command->statement, CopyStmt)) collations_open_stored();
  if (!quotable_is_among(ddl_command->quotable, token_type)) limits_require_no_debt(token_type, Operation::read);
  quotable_add(&ddl_command->quotable, ddl_command->context, {token_type, values});
}

void touch_all(Oid relid) {
  const Bitmapset *all = bms_make_singleton(0);
  each_protected_column(relid, [&](const ProtectedColumn &column) {
    touch(column.source.token_type, quotable_values(relid, column.source.token_type, all));
  });
}

bool has_protected(Oid relid, const Bitmapset *columns) {
  bool any = false;
  each_protected_column(relid, [&](const ProtectedColumn &column) { any |= columns_hold(columns, column.attno); });
  return any;
}

void charge_columns(Oid relid, const Bitmapset *used, const Bitmapset *decides) {
  if (list_member_oid(ddl_command->made, relid)) return;  // without rows
  // Whatever a command tells of the rows of a partition, it tells of those that the bound has chosen.
  if (!bms_is_empty(decides) && get_rel_relispartition(relid))
    decides = bms_union(decides, partition_tells(relid, get_partition_parent(relid, true)));
  each_protected_column(relid, [&](const ProtectedColumn &column) {
    const Oid type = column.source.token_type;
    if (columns_hold(used, column.attno)) touch(type, quotable_values(relid, type, used));
    const char *name = get_attname(relid, column.attno, true);
    if (columns_hold(decides, column.attno) && name != nullptr && !probed_before(name))
      limits_charge(type, Operation::probe, 1);
  });
}

void charge_bound(Oid parent, Oid partition) {
  const Bitmapset *key = partition_key_columns(parent);
  if (bms_is_empty(key)) return;
  List *tables = find_all_inheritors(partition, NoLock, nullptr);
  if (const Oid rest = get_default_partition_oid(parent); OidIsValid(rest)) tables = lappend_oid(tables, rest);
  for (const Oid table : oids_of(tables)) {
    const Bitmapset *columns = standing_code_columns(parent, table, key);
    charge_columns(table, columns, columns);
  }
}

void charge_rows(Oid relid, const Bitmapset *columns, Operation operation) {
  const char kind = get_rel_relkind(relid);
  if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) return;
  bool counted = false;
  uint64 rows = 0;
  each_protected_column(relid, [&](const ProtectedColumn &column) {
    if (!columns_hold(columns, column.attno) || (operation == Operation::read && column.source.is_token)) return;
    if (!counted) rows = count_rows(relid);
    counted = true;
    charge_many(column.source.token_type, operation, rows);
  });
}

void charge_computed(Oid relid, const Bitmapset *columns) {
  if (!list_member_oid(ddl_command->made, relid)) charge_rows(relid, columns, Operation::read);  // else without rows
}

void charge_detached(Oid partition, Oid parent) {
  if (get_rel_relkind(parent) != RELKIND_PARTITIONED_TABLE) return;
  for (const Oid table : oids_of(find_all_inheritors(partition, NoLock, nullptr)))
    charge_rows(table, partition_tells(table, parent), Operation::probe);
}

}  // namespace redoubt::pg
