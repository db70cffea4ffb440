// plan_checks.cpp - what the checks tell that a row passes when a statement writes it.
//
// CHECK constraints, the bounds of partitions, WITH CHECK of policies and CHECK OPTION of views are looked at for every
// row; one that fails is an error, so a statement that ends tells that all were passed.  A check tells of the columns
// that it reads, unless it was passed before and none of them has changed.  What the reader has written there himself
// is no news to him, and so is what he has paid for.
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/compat.h"
#include "pg/meter_function.h"
#include "pg/plan_walk.h"

extern "C" {
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/partcache.h"
}

namespace redoubt::pg {
namespace {

// Columns of a table by name or number, as pull_varattnos has them: a whole row is all of them, a generated column
// what it is computed from.
Bitmapset *columns_read(Relation relation, Node *expression, Index varno) {
  const TupleDesc descriptor = RelationGetDescr(relation);
  Bitmapset *members = nullptr;
  Bitmapset *columns = nullptr;
  pull_varattnos(expression, varno, &members);
  const bool row = bms_is_member(-FirstLowInvalidHeapAttributeNumber, members);
  for (int attno = 1; attno <= descriptor->natts; ++attno) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, attno - 1);
    if (attribute->attisdropped) continue;
    if (!row && !bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, members)) continue;
    if (attribute->attgenerated == '\0')
      columns = bms_add_member(columns, attno);
    else if (!row)
      columns = bms_add_members(columns, columns_read(relation, build_column_default(relation, attno), 1));
  }
  return columns;
}

// The sources in columns of `relation` once the row is written; nothing where the check was passed before.
std::uint32_t columns_tell(const WrittenRow &row, Relation relation, const Bitmapset *columns, bool passed_before) {
  std::uint32_t mask = 0;
  bool changed = false;
  int attno = -1;
  while ((attno = bms_next_member(columns, attno)) >= 0) {
    // A partition may number its columns otherwise.
    const AttrNumber own =
        RelationGetRelid(relation) == row.relid
            ? static_cast<AttrNumber>(attno)
            : get_attnum(row.relid, NameStr(TupleDescAttr(RelationGetDescr(relation), attno - 1)->attname));
    if (own <= 0 || own > row.columns) continue;
    mask |= row.holds[own];
    changed |= bms_is_member(own, row.changed);
  }
  return changed || !passed_before ? mask : 0;
}

std::uint32_t constraints_tell(const WrittenRow &row, Oid relid, bool passed_before) {
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr) return 0;
  std::uint32_t mask = 0;
  const TupleConstr *constraints = RelationGetDescr(relation)->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; ++i) {
    const ConstrCheck &check = constraints->check[i];
    if (!compat_is_enforced(check)) continue;
    const Bitmapset *columns = columns_read(relation, static_cast<Node *>(stringToNode(check.ccbin)), 1);
    mask |= columns_tell(row, relation, columns, passed_before && check.ccvalid);
  }
  if (relation->rd_rel->relispartition) {
    auto *bounds = reinterpret_cast<Node *>(RelationGetPartitionQual(relation));
    mask |= columns_tell(row, relation, columns_read(relation, bounds, 1), passed_before);
  }
  relation_close(relation, AccessShareLock);
  return mask;
}

// Those of a table, or of the partitions that the row may be put into.
std::uint32_t all_constraints_tell(const WrittenRow &row, Oid relid, bool passed_before) {
  if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE) return constraints_tell(row, relid, passed_before);
  std::uint32_t mask = 0;
  ListCell *cell = nullptr;
  const List *tables = find_all_inheritors(relid, AccessShareLock, nullptr);
  foreach (cell, tables) mask |= constraints_tell(row, lfirst_oid(cell), passed_before);
  return mask;
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
  Relation relation = try_relation_open(rt_fetch(rti, walk->plan->rtable)->relid, AccessShareLock);
  if (relation == nullptr) return 0;
  // Other tables that it reads, in a subquery.
  std::uint32_t mask =
      flow_decides(walk_expression(walk, scope, option->qual)) & ~flow_explicit(relation_flow(walk, rti, 0));
  const Bitmapset *columns = columns_read(relation, option->qual, rti);
  int attno = -1;
  if (looks == Looks::after)  // the rows that an UPDATE finds through a view satisfy its conditions
    mask |= columns_tell(row, relation, columns, row.command == CMD_UPDATE && option->kind == WCO_VIEW_CHECK);
  else
    while ((attno = bms_next_member(columns, attno)) >= 0)
      mask |= flow_explicit(relation_flow(walk, rti, static_cast<AttrNumber>(attno)));
  relation_close(relation, AccessShareLock);
  return mask;
}

}  // namespace

WrittenRow written_row(PlanWalk *walk, CmdType command, Index rti) {
  WrittenRow row = {command, rt_fetch(rti, walk->plan->rtable)->relid, 0, nullptr, nullptr};
  if (Relation relation = try_relation_open(row.relid, AccessShareLock); relation != nullptr) {
    row.columns = RelationGetNumberOfAttributes(relation);
    relation_close(relation, AccessShareLock);
  }
  row.holds = static_cast<std::uint32_t *>(palloc0(sizeof(std::uint32_t) * static_cast<Size>(row.columns + 1)));
  for (int attno = 1; command != CMD_INSERT && attno <= row.columns; ++attno)
    row.holds[attno] = flow_explicit(relation_flow(walk, rti, static_cast<AttrNumber>(attno)));
  return row;
}

void written_row_set(WrittenRow *row, AttrNumber attno, std::uint32_t sources) {
  if (attno <= 0 || attno > row->columns) return;
  row->holds[attno] = sources;
  row->changed = bms_add_member(row->changed, attno);
}

std::uint32_t checks_tell(PlanWalk *walk, const ExprScope &scope, const WrittenRow &row, Oid moved_below,
                          const List *options, Index options_rti) {
  std::uint32_t mask = 0;
  if (row.command != CMD_DELETE) mask |= all_constraints_tell(row, row.relid, row.command == CMD_UPDATE);
  if (row.command == CMD_UPDATE && OidIsValid(moved_below)) mask |= all_constraints_tell(row, moved_below, false);
  ListCell *cell = nullptr;
  foreach (cell, options)
    mask |= option_tells(walk, scope, row, static_cast<const WithCheckOption *>(lfirst(cell)), options_rti);
  return mask;
}

bool is_column_itself(const Plan *plan, const Expr *value, Index rti, AttrNumber attno) {
  if (const auto *node = reinterpret_cast<const Node *>(value); meter_of(node) >= 0)
    value = static_cast<const Expr *>(linitial(reinterpret_cast<const FuncExpr *>(value)->args));
  if (!IsA(value, Var)) return false;
  const auto *variable = reinterpret_cast<const Var *>(value);
  if (!IS_SPECIAL_VARNO(variable->varno))
    return static_cast<Index>(variable->varno) == rti && variable->varattno == attno;
  const auto below = [&](const Plan *from) {
    if (from == nullptr || variable->varattno < 1 || variable->varattno > list_length(from->targetlist)) return false;
    const auto *entry = static_cast<const TargetEntry *>(list_nth(from->targetlist, variable->varattno - 1));
    return is_column_itself(from, entry->expr, rti, attno);
  };
  if (variable->varno == INNER_VAR) return below(innerPlan(plan));
  if (variable->varno != OUTER_VAR) return false;
  // Rows of one relation come from one branch.
  const List *branches = IsA(plan, Append)        ? reinterpret_cast<const Append *>(plan)->appendplans
                         : IsA(plan, MergeAppend) ? reinterpret_cast<const MergeAppend *>(plan)->mergeplans
                                                  : NIL;
  ListCell *cell = nullptr;
  foreach (cell, branches)
    if (below(static_cast<const Plan *>(lfirst(cell)))) return true;
  return below(outerPlan(plan));
}

}  // namespace redoubt::pg
