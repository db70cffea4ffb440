// derived_columns.cpp - see derived_columns.h.
//
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/ddl/ddl_expressions.h"
#include "pg/ddl/ddl_meter.h"
#include "pg/ddl/derived_columns.h"
#include "pg/protect/labels.h"
#include "pg/protect/protected_columns.h"

namespace redoubt::pg {

struct ProtectionSnapshot {
  int size;
  struct Column {
    Oid relid;
    AttrNumber attno;
    Oid token_type;
  } column[FLEXIBLE_ARRAY_MEMBER];
};

namespace {

// Of the new table's columns, the token type each holds values of.  Set at the end of the
// query that fills it, used at the end of the command around.
constinit int filled_columns = 0;
constinit Oid filled[MaxTupleAttributeNumber] = {};

const CreateTableAsStmt *create_table_as(const Node *statement) {
  if (IsA(statement, CreateTableAsStmt)) return reinterpret_cast<const CreateTableAsStmt *>(statement);
  if (!IsA(statement, ExplainStmt)) return nullptr;
  const Node *query = reinterpret_cast<const ExplainStmt *>(statement)->query;
  if (query == nullptr || !IsA(query, Query)) return nullptr;
  const Node *inner = reinterpret_cast<const Query *>(query)->utilityStmt;
  return inner != nullptr && IsA(inner, CreateTableAsStmt) ? reinterpret_cast<const CreateTableAsStmt *>(inner)
                                                           : nullptr;
}

const RangeVar *filled_table(const Node *statement) {
  if (const CreateTableAsStmt *create = create_table_as(statement)) return create->into->rel;
  return IsA(statement, RefreshMatViewStmt) ? reinterpret_cast<const RefreshMatViewStmt *>(statement)->relation
                                            : nullptr;
}

void label_filled(const RangeVar *table) {
  const int n = filled_columns;
  filled_columns = 0;
  const Oid relid = n > 0 ? RangeVarGetRelid(table, NoLock, true) : InvalidOid;
  if (!OidIsValid(relid)) return;
  CommandCounterIncrement();
  for (int i = 0; i < n; ++i) {
    const auto attno = static_cast<AttrNumber>(i + 1);
    if (OidIsValid(filled[i]) && !OidIsValid(protected_column_type(relid, attno)))
      labels_derive(relid, attno, filled[i]);
  }
}

// The tables whose columns an ALTER TABLE may take out of protection.
List *altered_tables(const AlterTableStmt *alter) {
  List *tables = NIL;
  const Oid relid = RangeVarGetRelid(alter->relation, NoLock, true);
  if (OidIsValid(relid)) tables = ddl_tables(relid);
  ListCell *cell = nullptr;
  foreach (cell, alter->cmds) {
    const auto *command = static_cast<const AlterTableCmd *>(lfirst(cell));
    if (command->subtype != AT_DetachPartition) continue;
    const auto *partition = reinterpret_cast<const PartitionCmd *>(command->def);
    const Oid child = RangeVarGetRelid(partition->name, NoLock, true);
    if (OidIsValid(child)) tables = list_concat_unique_oid(tables, find_all_inheritors(child, NoLock, nullptr));
  }
  return tables;
}

bool is_noted(const ProtectionSnapshot *snapshot, Oid relid, AttrNumber attno) noexcept {
  for (int i = 0; i < snapshot->size; ++i)
    if (snapshot->column[i].relid == relid && snapshot->column[i].attno == attno) return true;
  return false;
}

// Columns that ALTER COLUMN ... TYPE ... USING fills from protected ones.
void add_moved(ProtectionSnapshot *snapshot, Oid relid, const List *commands) {
  ListCell *cell = nullptr;
  foreach (cell, commands) {
    const auto *command = static_cast<const AlterTableCmd *>(lfirst(cell));
    const Oid token_type = ddl_expressions_moved_type(relid, command);
    const AttrNumber attno = OidIsValid(token_type) ? get_attnum(relid, command->name) : InvalidAttrNumber;
    if (attno > 0 && !is_noted(snapshot, relid, attno)) snapshot->column[snapshot->size++] = {relid, attno, token_type};
  }
}

}  // namespace

void derived_columns_remember(const PlanAnalysis *analysis) {
  filled_columns = std::min(analysis->columns, MaxTupleAttributeNumber);
  for (int c = 0; c < filled_columns; ++c) {
    filled[c] = InvalidOid;
    for (int i = analysis->sources - 1; i >= 0; --i)
      if (analysis->column[c].flow.count[i] != 0) filled[c] = analysis->source[i].token_type;
  }
}

ProtectionSnapshot *derived_columns_begin(const Node *statement) {
  if (filled_table(statement) != nullptr) filled_columns = 0;
  if (!IsA(statement, AlterTableStmt)) return nullptr;
  const List *tables = altered_tables(reinterpret_cast<const AlterTableStmt *>(statement));
  int n = 0;
  ListCell *cell = nullptr;
  foreach (cell, tables)
    if (const ProtectedRelation *relation = protected_relation(lfirst_oid(cell))) n += relation->size;
  const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
  n += list_length(tables) * list_length(alter->cmds);
  if (n == 0) return nullptr;
  auto *snapshot = static_cast<ProtectionSnapshot *>(
      palloc(offsetof(ProtectionSnapshot, column) + sizeof(ProtectionSnapshot::Column) * static_cast<Size>(n)));
  snapshot->size = 0;
  foreach (cell, tables) {
    const ProtectedRelation *relation = protected_relation(lfirst_oid(cell));
    for (int i = 0; relation != nullptr && i < relation->size; ++i)
      if (!relation->column[i].borrowed && !is_noted(snapshot, relation->relid, relation->column[i].attno))
        snapshot->column[snapshot->size++] = {relation->relid, relation->column[i].attno,
                                              relation->column[i].source.token_type};
    add_moved(snapshot, lfirst_oid(cell), alter->cmds);
  }
  return snapshot;
}

void derived_columns_end(const Node *statement, const ProtectionSnapshot *before) {
  if (const RangeVar *table = filled_table(statement)) label_filled(table);
  if (before == nullptr) return;
  CommandCounterIncrement();
  for (int i = 0; i < before->size; ++i) {
    const auto &column = before->column[i];
    if (!OidIsValid(get_atttype(column.relid, column.attno))) continue;  // dropped
    if (!OidIsValid(protected_column_type(column.relid, column.attno)))
      labels_derive(column.relid, column.attno, column.token_type);
  }
}

}  // namespace redoubt::pg
