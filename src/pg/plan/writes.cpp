// plan/writes.cpp - values that a data-modifying statement moves.
//
// A copy that is written into a column that the same token type protects stays protected and is
// free; what is computed, and what goes into any other column, is charged, target column by target column.  Code that
// the table runs on its rows (triggers, constraints, indexes) and that is not trusted is
// charged for what it is given.  What the checks tell that rows pass is plan/write_checks.cpp.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/table_code.h"

namespace redoubt::pg {
namespace {

struct Target {
  Index rti;
  Oid relid;
  TableCode code;
  const List *columns;  // of an UPDATE: the attribute number of each value
  WrittenRow row;
  List *options;  // checks of policies and views
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
    if (rest.count[i] == 0) continue;
    if (source.opened != Opened::no) {  // into a column of its type it goes as a token again
      if (getBaseType(get_atttype(target.relid, attno)) == source.token_type)
        rest.count[i] = 0;
      else if (walk->last)
        refuse_opened(source.token_type);
      continue;
    }
    if (!column_keeps(target.relid, attno, source, copied_type(flow, source))) continue;
    // What is computed from a value is read: whether it is null, and what numbers add up to, is told for less than a
    // read.
    if (is_labelled(walk, i) && (!flow.pure || bms_is_member(attno, target.code.computed))) continue;
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
  for (const int attno : members_of(target.code.columns))
    flow_add(&flow, relation_flow(walk, target.rti, static_cast<AttrNumber>(attno)));
  return flow;
}

// The protected values that generated columns are computed from anew, where an UPDATE sets others beside them.
Flow computed_anew(PlanWalk *walk, const Target &target) {
  Flow flow = kNoFlow;
  Bitmapset *set = nullptr;
  for (const int attno : ints_of(target.columns)) set = bms_add_member(set, attno);
  if (!bms_overlap(set, target.code.computed)) return flow;
  for (const int attno : members_of(target.code.computed))
    if (!bms_is_member(attno, set)) flow_add(&flow, relation_flow(walk, target.rti, static_cast<AttrNumber>(attno)));
  for (const int i : bits_of(flow_explicit(flow)))
    if (!is_labelled(walk, i)) flow.count[i] = 0;
  return flow;
}

// An INSTEAD OF trigger sees the old row of its view, which the child plan hands it as a whole.
Flow old_view_row(const Plan *child, const NodeFlow *rows) {
  Flow flow = kNoFlow;
  for (const auto *entry : list_of<const TargetEntry>(child->targetlist))
    if (entry->resjunk && entry->resname != nullptr && strcmp(entry->resname, "wholerow") == 0)
      flow_add(&flow, node_flow_column(rows, entry->resno));
  return flow;
}

// Where the trigger is trusted, what it returns, for RETURNING, holds that row, beside values that were paid for as
// they were written.  Otherwise the row is paid for.
void note_view_row(PlanWalk *walk, const Target &target, const Plan *child, const NodeFlow *rows, Flow *seen) {
  if (get_rel_relkind(target.relid) != RELKIND_VIEW) return;
  if (target.code.row_trigger) return flow_add(seen, old_view_row(child, rows));
  Flow **written = &relation_facts(walk, target.rti)->written;
  if (*written == nullptr) *written = static_cast<Flow *>(MemoryContextAlloc(walk->memory, sizeof(Flow)));
  **written = old_view_row(child, rows);
}

// Values that the child plan computes for INSERT and UPDATE.  Returns those that are charged.
Flow walk_moved(PlanWalk *walk, Plan **child, const NodeFlow *rows, std::span<Target> targets, std::uint32_t decides) {
  int value = 0;
  Flow charged = kNoFlow;
  for (int position = 0; position < list_length((*child)->targetlist); ++position) {
    const auto *entry = static_cast<const TargetEntry *>(list_nth((*child)->targetlist, position));
    if (entry->resjunk) continue;
    const Flow flow = node_flow_column(rows, static_cast<AttrNumber>(position + 1));
    Flow rest = kNoFlow;
    for (Target &target : targets) {
      const AttrNumber attno = value < list_length(target.columns)
                                   ? static_cast<AttrNumber>(list_nth_int(target.columns, value))
                                   : entry->resno;
      const Flow out = escapes(walk, flow, target, attno);
      flow_max(&rest, out);
      written_row_set(&target.row, attno, flow_explicit(flow) & ~flow_explicit(out));
    }
    rest.pure = flow.pure;
    meter_target(walk, child, position, rest, decides);
    flow_add(&charged, rest);
    ++value;
  }
  return charged;
}

// What decided on the rows that are changed, and on values written to them.
std::uint32_t change_decides(const ModifyTable *modify, const NodeFlow *rows) {
  std::uint32_t mask = node_flow_decides(*rows);
  for (const auto *entry : list_of<const TargetEntry>(outerPlan(modify)->targetlist))
    if (!entry->resjunk) mask |= node_flow_column(rows, entry->resno).implicit;
  return mask;
}

// EXCLUDED's value of the same column: paid for as written, if at all, when the row was proposed.
bool is_proposed_value(const Expr *value, AttrNumber attno, const Target &target) {
  while (is_meter(reinterpret_cast<const Node *>(value)) && !has_meter(value, 0))
    value = reinterpret_cast<const Expr *>(metered(reinterpret_cast<const Node *>(value)));
  if (!IsA(value, Var) || target.code.row_trigger || bms_is_member(attno, target.code.columns)) return false;
  const auto *variable = reinterpret_cast<const Var *>(value);
  return variable->varno == INNER_VAR && variable->varattno == attno;
}

// Expressions that the ModifyTable node itself evaluates: ON CONFLICT SET, MERGE.  Returns what decided on the values.
std::uint32_t walk_set_list(PlanWalk *walk, const ExprScope &scope, List *set, const List *columns, Target *target,
                            bool on_conflict) {
  std::uint32_t mask = 0;
  int column = 0;
  for (auto *entry : list_of<TargetEntry>(set)) {
    if (entry->resjunk) continue;
    const AttrNumber attno =
        column < list_length(columns) ? static_cast<AttrNumber>(list_nth_int(columns, column++)) : entry->resno;
    const Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(entry->expr));
    const Flow out = escapes(walk, flow, *target, attno);
    mask |= flow_probes(flow.implicit, out);
    written_row_set(&target->row, attno, flow_explicit(flow) & ~flow_explicit(out));
    if (flow_explicit(out) == 0) continue;
    if (on_conflict && is_proposed_value(entry->expr, attno, *target)) continue;
    meter_arguments(walk, scope_after(scope, node_flow_decides(*scope.outer)), list_make1(entry), 0);
  }
  return mask;
}

Target make_target(PlanWalk *walk, const ModifyTable *modify, Index rti, CmdType row) {
  Target target = {};
  target.rti = rti;
  target.relid = rt_fetch(rti, walk->plan->rtable)->relid;
  target.code = table_code(target.relid, modify->operation == CMD_INSERT ? row : modify->operation);
  target.row = written_row(walk, row, rti);
  return target;
}

// Where an UPDATE may move rows to another partition: the table that these are of.
Oid moved_below(const PlanWalk *walk, const ModifyTable *modify) {
  const bool moves = modify->partColsUpdated && modify->rootRelation != 0;
  return moves ? rt_fetch(modify->rootRelation, walk->plan->rtable)->relid : InvalidOid;
}

// By the conditions of the actions, by what decided on the values that they write, and by the checks that these pass.
Told walk_merge(PlanWalk *walk, const ExprScope &scope, const ModifyTable *modify, const List *actions, Index rti,
                const List *options) {
  Told told = {};
  for (auto *action : list_of<MergeAction>(actions)) {
    told.by_each |= flow_decides(walk_expression(walk, scope, action->qual));
    if (action->commandType == CMD_NOTHING) continue;
    const bool update = action->commandType == CMD_UPDATE;
    // A new row is put into the table that the statement names.
    const bool above = action->commandType == CMD_INSERT && modify->rootRelation != 0;
    Target target = make_target(walk, modify, above ? modify->rootRelation : rti, action->commandType);
    told.by_each |= walk_set_list(walk, scope, action->targetList, update ? action->updateColnos : NIL, &target, false);
    told_add(&told, written_row_tells(walk, scope, target.row, moved_below(walk, modify), options, rti));
  }
  return told;
}

// The same for ON CONFLICT DO UPDATE.  What the row there holds, the conflict pays for.
Told walk_conflict(PlanWalk *walk, const ExprScope &scope, ModifyTable *modify, Index rti, const List *options,
                   const Flow &proposed) {
  Target target = make_target(walk, modify, rti, CMD_UPDATE);
  Told told = {};
  told.by_each = flow_decides(walk_expression(walk, scope, modify->onConflictWhere)) |
                 walk_set_list(walk, scope, modify->onConflictSet, modify->onConflictCols, &target, true);
  told_add(&told, written_row_tells(walk, scope, target.row, InvalidOid, options, rti));
  Flow paid = relation_flow(walk, rti, 0);
  flow_add(&paid, proposed);
  told.by_each = flow_probes(told.by_each, paid);
  told.by_end = flow_probes(told.by_end, paid);
  // The table's own code sees the row that was there.
  if (modify->onConflictSet != NIL)
    meter_value(walk, &static_cast<TargetEntry *>(linitial(modify->onConflictSet))->expr, seen_by_code(walk, target), 0,
                kMeterRows);
  meter_call(walk, scope, modify->onConflictSet, told.by_each);
  return told;
}

}  // namespace

void walk_writes(PlanWalk *walk, ModifyTable *modify, const NodeFlow *source) {
  Plan **child = &outerPlan(modify);
  ExprScope scope = {};
  scope.plan = &modify->plan;
  scope.outer = scope.inner = source;  // EXCLUDED and the source of a MERGE
  const bool moves = modify->operation == CMD_INSERT || modify->operation == CMD_UPDATE;
  const int n = list_length(modify->resultRelations);
  auto *targets = static_cast<Target *>(palloc0(sizeof(Target) * static_cast<Size>(n)));
  const auto nth = [](const List *lists, int i) {
    return i < list_length(lists) ? static_cast<List *>(list_nth(lists, i)) : NIL;
  };
  Flow seen = kNoFlow;
  std::uint32_t decides = change_decides(modify, source);
  Told told = {};
  int used = 0;
  for (int i = 0; i < n; ++i) {
    if (bms_is_member(i, modify->fdwDirectModifyPlans)) continue;  // runs on the foreign server, which meters it
    Target *target = &targets[used++];
    *target =
        make_target(walk, modify, static_cast<Index>(list_nth_int(modify->resultRelations, i)), modify->operation);
    target->options = nth(modify->withCheckOptionLists, i);
    note_view_row(walk, *target, *child, source, &seen);
    // A row that moves to a partition on a foreign server goes there whole.
    if (const Oid root = moved_below(walk, modify); OidIsValid(root))
      target->code.row_trigger |= table_code(root, CMD_INSERT).foreign;
    target->columns = modify->operation == CMD_UPDATE ? nth(modify->updateColnosLists, i) : NIL;
    (void)relation_flow(walk, target->rti, 0);  // also: error messages can carry any column
    if (modify->operation == CMD_MERGE) {
      decides |= walk_quals(walk, scope, nth(compat_merge_conditions(modify), i));
      told_add(&told, walk_merge(walk, scope, modify, nth(modify->mergeActionLists, i), target->rti, target->options));
    }
    walk_expression(walk, scope, reinterpret_cast<Node *>(target->options));
    if (modify->operation == CMD_INSERT) continue;
    Flow code = seen_by_code(walk, *target);
    flow_add(&code, computed_anew(walk, *target));
    flow_alternative(&seen, code, walk->analysis->source);
  }
  const std::span<Target> all(targets, static_cast<std::size_t>(used));
  Flow charged = seen;
  if (moves) flow_add(&charged, walk_moved(walk, child, source, all, decides));
  for (const Target &target : all) {
    if (modify->operation != CMD_MERGE)
      told_add(&told,
               written_row_tells(walk, scope, target.row, moved_below(walk, modify), target.options, target.rti));
    if (modify->onConflictAction == ONCONFLICT_NONE) continue;
    walk->analysis->conflicts |= protected_relation(target.relid) != nullptr;
    if (modify->onConflictAction != ONCONFLICT_UPDATE) continue;
    const Told conflict = walk_conflict(walk, scope, modify, target.rti, target.options, charged);
    walk->analysis->statement_decides |= conflict.by_each;
    told.by_end |= conflict.by_end;
  }
  meter_row(walk, child, seen, 0);
  decides |= told.by_each;
  told.by_end = flow_probes(told.by_end, charged);
  walk->analysis->statement_decides |= decides | told.by_end;
  walk->analysis->row_decides |= told.by_end;
  if (used > 0) meter_row(walk, child, kNoFlow, flow_probes(decides, charged));
}

}  // namespace redoubt::pg
