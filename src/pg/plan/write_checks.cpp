// plan/write_checks.cpp - what the checks tell that a row passes when a statement writes it, and the conditions of
// triggers.
//
// CHECK constraints, the bounds of partitions, WITH CHECK of policies and CHECK OPTION of views are looked at for every
// row; one that fails is an error, so a statement that ends tells that all were passed.  A check tells of the columns
// that it reads, unless an UPDATE sets none of them and it is valid.  What the reader has written there himself is no
// news to him, and so is what he has paid for.  What a trigger does, row by row, tells of the columns that its
// condition reads, also where its function is trusted; and what a foreign key does, of the key that it looks for.
// So does what a partial index holds.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"
#include "pg/protect/standing_code.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "catalog/pg_trigger.h"
#include "optimizer/optimizer.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "utils/partcache.h"
#include "utils/reltrigger.h"
}

namespace redoubt::pg {
namespace {

// Columns of a table: a whole row is all of them, a generated column what it is computed from.
Bitmapset *columns_read(Relation relation, Node *expression, Index varno = 1) {
  const TupleDesc descriptor = RelationGetDescr(relation);
  const Bitmapset *read = columns_in(expression, varno);
  Bitmapset *columns = nullptr;
  const bool row = bms_is_member(0, read);
  for (int attno = 1; attno <= descriptor->natts; ++attno) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, attno - 1);
    if (attribute->attisdropped || (!row && !bms_is_member(attno, read))) continue;
    if (attribute->attgenerated == '\0')
      columns = bms_add_member(columns, attno);
    else if (!row)
      columns = bms_add_members(columns, columns_read(relation, build_column_default(relation, attno)));
  }
  return columns;
}

// The column of the row's table that is column `attno` of `relation`: a partition may number its columns otherwise.
AttrNumber column_of_row(const WrittenRow &row, Relation relation, int attno) {
  const AttrNumber own = catalog_same_column(RelationGetRelid(relation), attno, row.relid);
  return own <= row.columns ? own : AttrNumber{InvalidAttrNumber};
}

// The sources in columns of `relation` once the row is written; nothing where the check was passed before.
std::uint32_t columns_tell(const WrittenRow &row, Relation relation, const Bitmapset *columns, bool passed_before) {
  std::uint32_t mask = 0;
  bool changed = false;
  for (const int attno : members_of(columns)) {
    const AttrNumber own = column_of_row(row, relation, attno);
    if (own <= 0) continue;
    mask |= row.holds[own];
    changed |= bms_is_member(own, row.written);
  }
  return changed || !passed_before ? mask : 0;
}

// A trigger's condition, of which OLD and NEW of a column that has not changed are known to be alike.
struct Condition {
  const WrittenRow *row;
  Relation relation;
  std::uint32_t mask;
};

// OLD.c <> NEW.c or the like, also of whole rows: the Var, else null.
const Var *compared_with_itself(const Node *node) {
  if (!IsA(node, OpExpr) && !IsA(node, DistinctExpr)) return nullptr;
  const List *arguments = reinterpret_cast<const OpExpr *>(node)->args;
  if (list_length(arguments) != 2) return nullptr;
  const auto variable = [](const void *argument) {
    const Node *value = without_relabelling(static_cast<const Node *>(argument));
    return IsA(value, Var) ? reinterpret_cast<const Var *>(value) : nullptr;
  };
  const Var *a = variable(linitial(arguments));
  const Var *b = variable(lsecond(arguments));
  return a != nullptr && b != nullptr && a->varattno == b->varattno && a->varno != b->varno ? a : nullptr;
}

// Adds the sources in a column of OLD or NEW.
void add_variable(Condition *condition, const Var *variable, bool only_changed) {
  const WrittenRow &row = *condition->row;
  auto *node = reinterpret_cast<Node *>(const_cast<Var *>(variable));
  for (const int attno : members_of(columns_read(condition->relation, node, static_cast<Index>(variable->varno)))) {
    const AttrNumber own = column_of_row(row, condition->relation, attno);
    if (own <= 0 || (only_changed && !bms_is_member(own, row.written))) continue;
    if (only_changed || variable->varno == PRS2_OLD_VARNO) condition->mask |= row.held[own];
    if (only_changed || variable->varno == PRS2_NEW_VARNO) condition->mask |= row.holds[own];
  }
}

void add_condition(Condition *condition, const char *stored) {
  (void)any_node(stringToNode(stored), [condition](Node *node) {
    const Var *alike = compared_with_itself(node);
    if (alike == nullptr && !IsA(node, Var)) return Step::into;
    add_variable(condition, alike != nullptr ? alike : reinterpret_cast<const Var *>(node), alike != nullptr);
    return Step::past;
  });
}

// A foreign key looks for the row's key in the other table, and locks, changes or deletes what it finds there, by a
// query of its own that is given the value.  Where the column of that table is protected alike, that query pays, and so
// does the one that NO ACTION begins with, for another row with the key; otherwise the row does.
std::uint32_t foreign_key_tells(const WrittenRow &row, Relation relation, const Trigger &trigger) {
  if (trigger.tgfoid == F_RI_FKEY_NOACTION_DEL || trigger.tgfoid == F_RI_FKEY_NOACTION_UPD) return 0;
  const bool referenced = RI_FKey_trigger_type(trigger.tgfoid) == RI_TRIGGER_PK;
  const ForeignKey key = foreign_key(trigger.tgconstraint);
  std::uint32_t mask = 0;
  bool changed = row.command != CMD_UPDATE;
  for (int k = 0; k < key.keys; ++k) {
    const AttrNumber own = column_of_row(row, relation, (referenced ? key.to : key.from)[k]);
    if (own <= 0) continue;
    changed |= bms_is_member(own, row.written) || get_attgenerated(row.relid, own) != '\0';
    if (protected_column_type(trigger.tgconstrrelid, (referenced ? key.from : key.to)[k]) !=
        protected_column_type(row.relid, own))
      mask |= (referenced ? row.held : row.holds)[own];
  }
  return changed ? mask : 0;
}

bool fires(const WrittenRow &row, Relation relation, const Trigger &trigger) {
  if (!TRIGGER_FOR_ROW(trigger.tgtype) || trigger.tgenabled == TRIGGER_DISABLED) return false;
  if (row.command == CMD_INSERT) return TRIGGER_FOR_INSERT(trigger.tgtype);
  if (row.command == CMD_DELETE) return TRIGGER_FOR_DELETE(trigger.tgtype);
  bool named = trigger.tgnattr == 0;
  for (int i = 0; i < trigger.tgnattr; ++i)
    named |= bms_is_member(column_of_row(row, relation, trigger.tgattr[i]), row.written);
  return TRIGGER_FOR_UPDATE(trigger.tgtype) && named;
}

std::uint32_t triggers_tell(const WrittenRow &row, Relation relation) {
  Condition condition = {&row, relation, 0};
  const TriggerDesc *triggers = catalog_triggers(relation);
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
    const Trigger &trigger = triggers->triggers[i];
    if (!fires(row, relation, trigger)) continue;
    if (trigger.tgqual != nullptr) add_condition(&condition, trigger.tgqual);
    if (trigger.tgisinternal && RI_FKey_trigger_type(trigger.tgfoid) != RI_TRIGGER_NONE)
      condition.mask |= foreign_key_tells(row, relation, trigger);
  }
  return condition.mask;
}

// Does a condition ask whether a column is null that is not a generated one?
bool is_null_of_stored(Relation relation, const Node *condition) {
  if (!IsA(condition, NullTest)) return false;
  const auto *variable = reinterpret_cast<const Var *>(reinterpret_cast<const NullTest *>(condition)->arg);
  return IsA(variable, Var) && variable->varattno > 0 &&
         TupleDescAttr(RelationGetDescr(relation), variable->varattno - 1)->attgenerated == '\0';
}

// How many rows a partial index has is in the catalog, so each row that comes or goes tells what its predicate reads;
// not whether a stored column is null, which is free elsewhere, too.  That a statement ends tells that expressions of
// indexes were computed, and that no key was there already: of tokens anybody sees that.
Told indexes_tell(const WrittenRow &row, Relation relation) {
  Told told = {};
  if (std::none_of(row.holds, row.holds + row.columns + 1, [](std::uint32_t sources) { return sources != 0; }))
    return told;
  const bool update = row.command == CMD_UPDATE;
  each_index(relation, [&](Relation index) {
    Bitmapset *read = nullptr;
    for (auto *condition : list_of<Node>(RelationGetIndexPredicate(index)))
      if (!is_null_of_stored(relation, condition)) read = bms_join(read, columns_read(relation, condition));
    told.by_each |= columns_tell(row, relation, read, update);
    const Bitmapset *keys =
        bms_join(columns_read(relation, reinterpret_cast<Node *>(RelationGetIndexExpressions(index))),
                 unique_keys(relation, index));
    if (row.command != CMD_DELETE) told.by_end |= columns_tell(row, relation, keys, update);
  });
  return told;
}

Told table_tells(const WrittenRow &row, Relation relation) {
  const bool update = row.command == CMD_UPDATE;
  Told told = indexes_tell(row, relation);
  told.by_each |= triggers_tell(row, relation);
  if (row.command == CMD_DELETE) return told;
  const auto add_end = [&](const Bitmapset *columns, bool passed_before) {
    told.by_end |= columns_tell(row, relation, columns, passed_before);
  };
  const TupleConstr *constraints = RelationGetDescr(relation)->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; ++i)
    if (const ConstrCheck &check = constraints->check[i]; compat_is_enforced(check))
      add_end(columns_read(relation, static_cast<Node *>(stringToNode(check.ccbin))), update && check.ccvalid);
  const TupleDesc columns = RelationGetDescr(relation);
  for (int attno = 1; compat_has_generated(constraints) && attno <= columns->natts; ++attno)
    if (const FormData_pg_attribute *column = TupleDescAttr(columns, attno - 1);
        column->attgenerated != '\0' && column->attnotnull && !column->attisdropped)
      add_end(columns_read(relation, build_column_default(relation, attno)),
              update && compat_has_no_nulls(columns, attno));
  if (relation->rd_rel->relispartition)
    add_end(columns_read(relation, reinterpret_cast<Node *>(RelationGetPartitionQual(relation))), update);
  if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
    add_end(partition_key_columns(RelationGetRelid(relation)), update);
  return told;
}

// The table, or the partitions that the row may be put into.
void add_tables(Told *told, const WrittenRow &row, Oid relid) {
  each_table_part(relid, [&](Relation part) { told_add(told, table_tells(row, part)); });
}

// Whether a policy or view looks at a row before or after it is changed, if at all.
enum class Looks { never, before, after };

Looks option_looks(WCOKind kind, CmdType command) {
  switch (kind) {
    case WCO_VIEW_CHECK:
      return command == CMD_DELETE ? Looks::never : Looks::after;
    case WCO_RLS_INSERT_CHECK:
      return command == CMD_INSERT ? Looks::after : Looks::never;
    case WCO_RLS_UPDATE_CHECK:
      return command == CMD_UPDATE ? Looks::after : Looks::never;
    case WCO_RLS_MERGE_UPDATE_CHECK:
      return command == CMD_UPDATE ? Looks::before : Looks::never;
    case WCO_RLS_MERGE_DELETE_CHECK:
      return command == CMD_DELETE ? Looks::before : Looks::never;
    default:  // at a row in conflict, for which the conflict is paid
      return Looks::never;
  }
}

std::uint32_t option_tells(PlanWalk *walk, const ExprScope &scope, const WrittenRow &row, const WithCheckOption *option,
                           Index rti) {
  const Looks looks = option_looks(option->kind, row.command);
  if (looks == Looks::never) return 0;
  Relation relation = try_relation_open(rt_fetch(rti, walk->plan->rtable)->relid, NoLock);  // the statement has one
  if (relation == nullptr) return 0;
  // Other tables that it reads, in a subquery.
  std::uint32_t mask =
      flow_decides(walk_expression(walk, scope, option->qual)) & ~flow_explicit(relation_flow(walk, rti, 0));
  const Bitmapset *columns = columns_read(relation, option->qual, rti);
  if (looks == Looks::after)  // the rows that an UPDATE finds through a view satisfy its conditions
    mask |= columns_tell(row, relation, columns, row.command == CMD_UPDATE && option->kind == WCO_VIEW_CHECK);
  else
    for (const int attno : members_of(columns))
      mask |= flow_explicit(relation_flow(walk, rti, static_cast<AttrNumber>(attno)));
  relation_close(relation, NoLock);
  return mask;
}

}  // namespace

WrittenRow written_row(PlanWalk *walk, CmdType command, Index rti) {
  WrittenRow row = {command, rt_fetch(rti, walk->plan->rtable)->relid, 0, nullptr, nullptr, nullptr};
  row.columns = catalog_field(RELOID, row.relid, &FormData_pg_class::relnatts);
  const Size size = sizeof(std::uint32_t) * static_cast<Size>(row.columns + 1);
  row.held = static_cast<std::uint32_t *>(palloc0(size));
  row.holds = static_cast<std::uint32_t *>(palloc0(size));
  for (int attno = 1; command != CMD_INSERT && attno <= row.columns; ++attno)
    row.held[attno] = row.holds[attno] = flow_explicit(relation_flow(walk, rti, static_cast<AttrNumber>(attno)));
  return row;
}

void written_row_set(WrittenRow *row, AttrNumber attno, std::uint32_t sources) {
  if (attno <= 0 || attno > row->columns) return;
  row->written = bms_add_member(row->written, attno);
  row->holds[attno] = sources;
}

Told written_row_tells(PlanWalk *walk, const ExprScope &scope, const WrittenRow &row, Oid moved_below,
                       const List *options, Index options_rti) {
  Told told = {};
  add_tables(&told, row, row.relid);
  if (row.command == CMD_UPDATE && OidIsValid(moved_below)) {  // taken out of one partition and put into another
    WrittenRow moved = row;
    moved.command = CMD_DELETE;
    add_tables(&told, moved, row.relid);
    moved.command = CMD_INSERT;
    add_tables(&told, moved, moved_below);
  }
  for (const auto *each : list_of<const WithCheckOption>(options))
    told.by_end |= option_tells(walk, scope, row, each, options_rti);
  return told;
}

}  // namespace redoubt::pg
