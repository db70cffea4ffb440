// plan_writes.cpp - values that a data-modifying statement moves.
//
// A value written into a column that the same token type protects stays protected and is
// free; into any other column it is charged, target column by target column.  Code that
// the table runs on its rows (triggers, constraints, indexes) and that is not trusted is
// charged for what it is given.
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/compat.h"
#include "pg/meter_function.h"
#include "pg/plan_walk.h"
#include "pg/protected_columns.h"
#include "pg/table_code.h"

extern "C" {
#include "optimizer/optimizer.h"
}

namespace redoubt::pg {
namespace {

struct Target {
  Index rti;
  Oid relid;
  TableCode code;
  const List *columns;  // of an UPDATE: the attribute number of each value
};

// What of `flow` is disclosed by writing it to a column.  Of several values put together into a
// protected one, all but one: it is read for the price of one.
Flow escapes(PlanWalk *walk, const Flow &flow, const Target &target, AttrNumber attno) {
  Flow rest = flow;
  if (target.code.row_trigger || target.code.foreign || bms_is_member(attno, target.code.columns) ||
      bms_is_member(attno, target.code.cascaded))
    return rest;
  for (int i = 0; i < walk->analysis->sources; ++i) {
    const Source &source = walk->analysis->source[i];
    if (rest.count[i] == 0 || !column_keeps(target.relid, attno, source.token_type)) continue;
    bool first = !flow.many;
    for (int k = 0; k < i; ++k)
      first &= flow.count[k] == 0 || walk->analysis->source[k].token_type != source.token_type;
    rest.count[i] = static_cast<std::uint16_t>(flow.many ? 0 : rest.count[i] - (first ? 1 : 0));
  }
  return rest;
}

// The columns of the table that its own untrusted code sees of every row changed.
Flow seen_by_code(PlanWalk *walk, const Target &target) {
  Flow flow = kNoFlow;
  if (target.code.row_trigger) return relation_flow(walk, target.rti, 0);
  int attno = -1;
  while ((attno = bms_next_member(target.code.columns, attno)) >= 0)
    flow_add(&flow, relation_flow(walk, target.rti, static_cast<AttrNumber>(attno)));
  return flow;
}

// An INSTEAD OF trigger sees the old row of its view, which the child plan hands it as a whole.
Flow old_view_row(const Plan *child, const NodeFlow *rows) {
  Flow flow = kNoFlow;
  ListCell *cell = nullptr;
  foreach (cell, child->targetlist) {
    const auto *entry = static_cast<const TargetEntry *>(lfirst(cell));
    if (entry->resjunk && entry->resname != nullptr && strcmp(entry->resname, "wholerow") == 0)
      flow_add(&flow, node_flow_column(rows, static_cast<AttrNumber>(foreach_current_index(cell) + 1)));
  }
  return flow;
}

// Values that the child plan computes for INSERT and UPDATE.  Returns those that are charged.
Flow walk_moved(PlanWalk *walk, Plan **child, const NodeFlow *rows, std::span<const Target> targets,
                std::uint32_t decides) {
  int value = 0;
  Flow charged = kNoFlow;
  for (int position = 0; position < list_length((*child)->targetlist); ++position) {
    const auto *entry = static_cast<const TargetEntry *>(list_nth((*child)->targetlist, position));
    if (entry->resjunk) continue;
    const Flow flow = node_flow_column(rows, static_cast<AttrNumber>(position + 1));
    Flow rest = kNoFlow;
    for (const Target &target : targets) {
      const AttrNumber attno = value < list_length(target.columns)
                                   ? static_cast<AttrNumber>(list_nth_int(target.columns, value))
                                   : entry->resno;
      flow_max(&rest, escapes(walk, flow, target, attno));
    }
    rest.pure = flow.pure;
    rest.paid = flow_surely_paid(flow);
    rest.elsewhere = flow.elsewhere & decides;
    meter_target(walk, child, position, rest, kMeterKeeps);
    flow_add(&charged, rest);
    ++value;
  }
  return charged;
}

// What decided on the rows that are changed, and on values written to them.
std::uint32_t change_decides(const ModifyTable *modify, const NodeFlow *rows) {
  std::uint32_t mask = rows->implicit | rows->order;
  ListCell *cell = nullptr;
  foreach (cell, outerPlan(modify)->targetlist)
    if (!static_cast<const TargetEntry *>(lfirst(cell))->resjunk)
      mask |= node_flow_column(rows, static_cast<AttrNumber>(foreach_current_index(cell) + 1)).implicit;
  return mask;
}

// Columns that a row's checks read: those of policies and views, and CHECK constraints.  That the rows there are
// satisfy one is known once it is valid.
struct Checked {
  Bitmapset *of_rows;    // as pull_varattnos has it
  Bitmapset *of_values;  // where the statement writes them
};

Checked checked_columns(Index rti, Oid relid, const List *options) {
  Checked checked = {nullptr, nullptr};
  ListCell *cell = nullptr;
  foreach (cell, options)
    pull_varattnos(static_cast<const WithCheckOption *>(lfirst(cell))->qual, rti, &checked.of_rows);
  checked.of_values = bms_copy(checked.of_rows);
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr) return checked;
  const TupleConstr *constraints = RelationGetDescr(relation)->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; ++i) {
    auto *check = static_cast<Node *>(stringToNode(constraints->check[i].ccbin));
    pull_varattnos(check, 1, &checked.of_values);
    if (!constraints->check[i].ccvalid) pull_varattnos(check, 1, &checked.of_rows);
  }
  relation_close(relation, AccessShareLock);
  return checked;
}

// That the statement passes those checks tells of the values in its rows.
std::uint32_t checks_tell(PlanWalk *walk, const ModifyTable *modify, const NodeFlow *rows, const Target &target,
                          const List *options) {
  if (modify->operation != CMD_INSERT && modify->operation != CMD_UPDATE) return 0;
  const bool update = modify->operation == CMD_UPDATE;
  if (!update && flow_explicit(node_flow_column(rows, 0)) == 0) return 0;
  if (update && protected_relation(target.relid) == nullptr) return 0;  // what is written there is paid for
  const Checked checked = checked_columns(target.rti, target.relid, options);
  const auto has = [](const Bitmapset *columns, AttrNumber attno) {
    return bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, columns) ||
           bms_is_member(-FirstLowInvalidHeapAttributeNumber, columns);
  };
  std::uint32_t mask = 0;
  int value = 0;
  Bitmapset *written = nullptr;
  ListCell *cell = nullptr;
  foreach (cell, outerPlan(modify)->targetlist) {
    const auto *entry = static_cast<const TargetEntry *>(lfirst(cell));
    if (entry->resjunk) continue;
    const AttrNumber attno = value < list_length(target.columns)
                                 ? static_cast<AttrNumber>(list_nth_int(target.columns, value))
                                 : entry->resno;
    ++value;
    written = bms_add_member(written, attno);
    if (has(checked.of_values, attno))
      mask |= flow_explicit(node_flow_column(rows, static_cast<AttrNumber>(foreach_current_index(cell) + 1)));
  }
  const ProtectedRelation *relation = update ? protected_relation(target.relid) : nullptr;
  for (int i = 0; relation != nullptr && i < relation->size; ++i)
    if (const AttrNumber attno = relation->column[i].attno;
        has(checked.of_rows, attno) && !bms_is_member(attno, written))
      mask |= flow_explicit(relation_flow(walk, target.rti, attno));
  return mask;
}

// EXCLUDED's value of the same column: paid for as written, if at all, when the row was proposed.
bool is_proposed_value(const Expr *value, AttrNumber attno, const Target &target) {
  if (const auto *node = reinterpret_cast<const Node *>(value);
      meter_of(node) >= 0 && (meter_of(node) & kMeterRows) != 0)
    value = static_cast<const Expr *>(linitial(reinterpret_cast<const FuncExpr *>(value)->args));
  if (!IsA(value, Var) || target.code.row_trigger || bms_is_member(attno, target.code.columns)) return false;
  const auto *variable = reinterpret_cast<const Var *>(value);
  return variable->varno == INNER_VAR && variable->varattno == attno;
}

// Expressions that the ModifyTable node itself evaluates: ON CONFLICT SET, MERGE.
void walk_set_list(PlanWalk *walk, const ExprScope &scope, List *set, const List *columns, const Target &target,
                   bool on_conflict) {
  int column = 0;
  ListCell *cell = nullptr;
  foreach (cell, set) {
    auto *entry = static_cast<TargetEntry *>(lfirst(cell));
    if (entry->resjunk) continue;
    const AttrNumber attno =
        column < list_length(columns) ? static_cast<AttrNumber>(list_nth_int(columns, column++)) : entry->resno;
    const Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(entry->expr));
    if (flow_explicit(escapes(walk, flow, target, attno)) == 0) continue;
    if (on_conflict && is_proposed_value(entry->expr, attno, target)) continue;
    meter_arguments(walk, scope_after(scope, scope.outer->implicit | scope.outer->order), list_make1(entry), 0);
  }
}

// ON CONFLICT DO UPDATE: the table's own code sees the row that was there.
void meter_conflict_rows(PlanWalk *walk, List *set, const Flow &seen) {
  if (flow_explicit(seen) == 0 || set == NIL) return;
  auto *entry = static_cast<TargetEntry *>(linitial(set));
  const int flags = meter_of(reinterpret_cast<Node *>(entry->expr));
  if (flags >= 0 && (flags & kMeterRows) != 0) return;
  if (!walk->inject)
    walk->analysis->unmetered = true;
  else if (walk->last)
    entry->expr = meter_wrap(entry->expr, seen, 0, walk->analysis->source, kMeterKeeps | kMeterRows);
}

// Returns what the conditions of the actions look at.
std::uint32_t walk_merge(PlanWalk *walk, const ExprScope &scope, const List *actions, const Target &target) {
  std::uint32_t mask = 0;
  ListCell *cell = nullptr;
  foreach (cell, actions) {
    auto *action = static_cast<MergeAction *>(lfirst(cell));
    mask |= flow_decides(walk_expression(walk, scope, action->qual));
    walk_set_list(walk, scope, action->targetList, action->commandType == CMD_UPDATE ? action->updateColnos : NIL,
                  target, false);
  }
  return mask;
}

}  // namespace

std::uint32_t walk_writes(PlanWalk *walk, ModifyTable *modify, const NodeFlow *source) {
  Plan **child = &outerPlan(modify);
  ExprScope scope = {};
  scope.plan = &modify->plan;
  scope.outer = scope.inner = source;  // EXCLUDED and the source of a MERGE
  const int n = list_length(modify->resultRelations);
  auto *targets = static_cast<Target *>(palloc0(sizeof(Target) * static_cast<Size>(n)));
  Flow seen = kNoFlow;
  std::uint32_t decides = change_decides(modify, source);
  int used = 0;
  for (int i = 0; i < n; ++i) {
    if (bms_is_member(i, modify->fdwDirectModifyPlans)) continue;  // runs on the foreign server, which meters it
    const auto nth = [i](const List *lists) {
      return i < list_length(lists) ? static_cast<List *>(list_nth(lists, i)) : NIL;
    };
    Target *target = &targets[used++];
    target->rti = static_cast<Index>(list_nth_int(modify->resultRelations, i));
    target->relid = rt_fetch(target->rti, walk->plan->rtable)->relid;
    target->code = table_code(target->relid, modify->operation);
    // A row that moves to a partition on a foreign server goes there whole.
    if (modify->partColsUpdated && modify->rootRelation != 0)
      target->code.row_trigger |=
          table_code(rt_fetch(modify->rootRelation, walk->plan->rtable)->relid, CMD_INSERT).foreign;
    target->columns = modify->operation == CMD_UPDATE ? nth(modify->updateColnosLists) : NIL;
    const Flow row = relation_flow(walk, target->rti, 0);  // also: error messages can carry any column
    if (modify->onConflictAction != ONCONFLICT_NONE) walk->analysis->conflict = row;
    if (modify->operation == CMD_MERGE) {
      decides |= walk_quals(walk, scope, nth(compat_merge_conditions(modify)));
      decides |= walk_merge(walk, scope, nth(modify->mergeActionLists), *target);
    }
    if (modify->onConflictAction == ONCONFLICT_UPDATE) {
      const Target updated = {target->rti, target->relid, table_code(target->relid, CMD_UPDATE), NIL};
      walk_set_list(walk, scope, modify->onConflictSet, modify->onConflictCols, updated, true);
      meter_conflict_rows(walk, modify->onConflictSet, seen_by_code(walk, updated));
    }
    walk->analysis->statement_decides |= flow_decides(walk_expression(walk, scope, modify->onConflictWhere));
    walk_expression(walk, scope, reinterpret_cast<Node *>(nth(modify->withCheckOptionLists)));
    const std::uint32_t told = checks_tell(walk, modify, source, *target, nth(modify->withCheckOptionLists));
    walk->analysis->statement_decides |= told;
    walk->analysis->row_decides |= told;
    if (target->code.row_trigger && get_rel_relkind(target->relid) == RELKIND_VIEW)
      flow_add(&seen, old_view_row(*child, source));
    if (modify->operation != CMD_INSERT) flow_alternative(&seen, seen_by_code(walk, *target), walk->analysis->source);
  }
  const std::span<const Target> all(targets, static_cast<std::size_t>(used));
  Flow charged = seen;
  if (modify->operation == CMD_INSERT || modify->operation == CMD_UPDATE)
    flow_add(&charged, walk_moved(walk, child, source, all, decides));
  meter_rows(walk, child, seen);
  walk->analysis->statement_decides |= decides;
  if (used == 0) return 0;
  // Of a command on its own the number of rows is the answer, or what it returns of them.
  std::uint16_t flags = 0;
  if (&modify->plan == walk->plan->planTree)
    flags = modify->returningLists == NIL ? kMeterAnswer | kMeterFirst : kMeterAnswer;
  const std::uint32_t probes = flow_probes(decides, charged);
  meter_kept(walk, child, probes, flags);
  return probes;
}

}  // namespace redoubt::pg
