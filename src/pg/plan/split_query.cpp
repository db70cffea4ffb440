// plan/split_query.cpp - see plan/split_query.h.
//
// The upper part is planned over a scan of a tuple store that does not exist; the library's plan is put in its place,
// as a subquery.  All else that has to do with tables and parameters of the executor is in the library's part, so the
// two plans become one without any number in that being changed. Frames here hold plain data only. Covered by
// test/citus.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/plan/query_columns.h"
#include "pg/plan/query_parts.h"
#include "pg/plan/split_query.h"
#include "pg/plan/walk.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "optimizer/planmain.h"
#include "parser/parsetree.h"
}

namespace redoubt::pg {
namespace {

[[noreturn]] void refuse(const char *detail) {
  ereport(
      ERROR,
      (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
       errmsg("this query would compute with protected values where they are not metered"), errdetail("%s", detail),
       errhint("Open values, aggregate them, and call functions that are not trusted, in the outermost SELECT, over "
               "columns of a subquery or a materialized WITH.")));
  pg_unreachable();
}

// What the upper part takes from the rows of the lower one.
struct Rows {
  const Query *query;
  List *target;  // TargetEntry, of the lower part
  bool whole;    // aggregates and window functions are values of a row, too
};

// The value as a column of the rows.
Var *column_of_rows(Rows *rows, Node *value) {
  TargetEntry *target = nullptr;
  for (auto *known : list_of<TargetEntry>(rows->target))
    if (equal(known->expr, value)) target = known;
  if (target == nullptr) {
    const int n = list_length(rows->target) + 1;
    target = makeTargetEntry(reinterpret_cast<Expr *>(copyObjectImpl(value)), static_cast<AttrNumber>(n),
                             psprintf("value%d", n), false);
    target->resorigtbl = column_copied(rows->query, value, &target->resorigcol);
    rows->target = lappend(rows->target, target);
  }
  return makeVarFromTargetEntry(1, target);
}

bool has_parameter(const Node *expression) {
  return any_node(expression, [](Node *node) {
    return IsA(node, Param) && reinterpret_cast<const Param *>(node)->paramkind == PARAM_EXTERN ? Step::found
                                                                                                : Step::into;
  });
}

bool is_value_of_row(const Rows *rows, const Node *node) {
  if (IsA(node, Var)) return true;
  return rows->whole && (IsA(node, Aggref) || IsA(node, WindowFunc) || IsA(node, GroupingFunc));
}

// Computes what depends on parameters alone, and would have to be computed here.
Query *folded(Query *query, PlannerInfo *root) {
  return mapped(query, [root](Node *node) -> Node * {
    if ((!IsA(node, FuncExpr) && !IsA(node, CoerceViaIO) && !IsA(node, ArrayCoerceExpr)) || !holds_tokens(node) ||
        contain_var_clause(node) || contain_subplans(node) || contain_volatile_functions(node) || !has_parameter(node))
      return nullptr;
    Node *value = estimate_expression_value(root, node);
    return IsA(value, Const) ? value : nullptr;
  });
}

// Variables of the scan that stands for the rows get the number that these have in the whole.
List *renumbered(List *expressions, Index number) {
  return mapped(expressions, [number](Node *node) -> Node * {
    if (!IsA(node, Var)) return nullptr;
    auto *variable = static_cast<Var *>(copyObjectImpl(node));
    variable->varno = static_cast<int>(number);
    variable->varnosyn = 0;
    variable->varattnosyn = 0;
    return reinterpret_cast<Node *>(variable);
  });
}

template <typename T>
T *upper(Rows *rows, T *part) {
  return mapped(part, [rows](Node *node) -> Node * {
    if (is_value_of_row(rows, node)) return reinterpret_cast<Node *>(column_of_rows(rows, node));
    if (IsA(node, SubLink) || IsA(node, Query)) refuse("It has a subquery beside them.");
    return nullptr;
  });
}

// ---- the two queries

// Of a query that groups, the columns that its groups have.
bool is_grouped_by(const Query *query, const Node *value) {
  for (const auto *target : list_of<const TargetEntry>(query->targetList)) {
    if (target->ressortgroupref != 0 && is_among(target->ressortgroupref, query->groupClause) &&
        equal(target->expr, value))
      return true;
  }
  return false;
}

// Can the library's part be the whole query, with plain values in the place of some columns of the result?
bool only_columns(const Query *query) {
  if (query->hasTargetSRFs || query->groupingSets != NIL) return false;
  for (Node *part : {query->jointree->quals, query->havingQual, query->limitCount, query->limitOffset,
                     reinterpret_cast<Node *>(query->windowClause)})
    if (stays_in_sight(query, part)) return false;
  for (const auto *target : list_of<const TargetEntry>(query->targetList)) {
    auto *expression = reinterpret_cast<Node *>(target->expr);
    if (!stays_in_sight(query, expression)) continue;
    if (target->resjunk || target->ressortgroupref != 0) return false;
    for (auto *node : list_of<Node>(pull_var_clause(
             expression, PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_WINDOWFUNCS | PVC_RECURSE_PLACEHOLDERS))) {
      if (stays_in_sight(query, node)) return false;
      if (IsA(node, Var) && (query->hasAggs || query->groupClause != NIL) && !is_grouped_by(query, node)) return false;
    }
  }
  return true;
}

// Its FROM entry is put there when it is known how many rows there are.
Query *upper_query(const Query *query) {
  Query *made = select_from(makeNode(RangeTblEntry));
  made->querySource = query->querySource;
  made->canSetTag = query->canSetTag;
  return made;
}

// The columns of the result, over rows of the whole query.
Query *split_columns(Query *query, Rows *rows) {
  Query *made = upper_query(query);
  List *junk = NIL;
  rows->whole = true;
  for (auto *target : list_of<TargetEntry>(query->targetList)) {
    TargetEntry *shown = flatCopyTargetEntry(target);
    if (target->resjunk) {
      junk = lappend(junk, target);
      continue;
    }
    if (!stays_in_sight(query, reinterpret_cast<Node *>(target->expr))) {
      target->resno = static_cast<AttrNumber>(list_length(rows->target) + 1);
      rows->target = lappend(rows->target, target);
      shown->expr = reinterpret_cast<Expr *>(makeVarFromTargetEntry(1, target));
    } else {
      shown->expr = upper(rows, target->expr);
    }
    shown->ressortgroupref = 0;
    made->targetList = lappend(made->targetList, shown);
  }
  for (auto *target : list_of<TargetEntry>(junk)) {
    target->resno = static_cast<AttrNumber>(list_length(rows->target) + 1);
    rows->target = lappend(rows->target, target);
  }
  query->targetList = rows->target;
  return made;
}

// Everything but FROM and the conditions that may be checked out of sight.
Query *split_rows(Query *query, Rows *rows) {
  if (query->rowMarks != NIL) refuse("It locks rows.");
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable))
    if (compat_group_expressions(entry) != NIL) refuse("It groups rows.");
  Query *made = upper_query(query);
  List *left = NIL;
  List *kept = NIL;
  for (auto *condition : list_of<Node>(make_ands_implicit(reinterpret_cast<Expr *>(query->jointree->quals)))) {
    if (stays_in_sight(query, condition))
      kept = lappend(kept, condition);
    else
      left = lappend(left, condition);
  }
  made->jointree->quals = upper(rows, kept != NIL ? reinterpret_cast<Node *>(make_ands_explicit(kept)) : nullptr);
  made->targetList = upper(rows, query->targetList);
  made->havingQual = upper(rows, query->havingQual);
  made->windowClause = upper(rows, query->windowClause);
  made->limitOffset = upper(rows, query->limitOffset);
  made->limitCount = upper(rows, query->limitCount);
  made->limitOption = query->limitOption;
  made->groupClause = query->groupClause;
  made->groupDistinct = query->groupDistinct;
  made->groupingSets = query->groupingSets;
  made->distinctClause = query->distinctClause;
  made->sortClause = query->sortClause;
  made->hasAggs = query->hasAggs;
  made->hasWindowFuncs = query->hasWindowFuncs;
  made->hasTargetSRFs = query->hasTargetSRFs;
  made->hasDistinctOn = query->hasDistinctOn;
  if (rows->target == NIL) (void)column_of_rows(rows, reinterpret_cast<Node *>(makeBoolConst(true, false)));

  query->jointree->quals = left != NIL ? reinterpret_cast<Node *>(make_ands_explicit(left)) : nullptr;
  query->targetList = rows->target;
  query->havingQual = query->limitOffset = query->limitCount = nullptr;
  query->windowClause = query->groupClause = query->groupingSets = query->distinctClause = query->sortClause = NIL;
  query->groupDistinct = query->hasAggs = query->hasWindowFuncs = query->hasTargetSRFs = query->hasDistinctOn = false;
  query->limitOption = LIMIT_OPTION_COUNT;
  return made;
}

// ---- the two plans

// What stands for the library's rows while the upper part is planned.
RangeTblEntry *store_of(const List *targets, Cardinality rows) {
  auto *entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_NAMEDTUPLESTORE;
  entry->enrname = pstrdup("rows");
  entry->enrtuples = rows;
  entry->eref = makeAlias("rows", NIL);
  entry->inFromCl = true;
  for (const auto *target : list_of<const TargetEntry>(targets)) {
    if (target->resjunk) continue;
    const auto *value = reinterpret_cast<const Node *>(target->expr);
    entry->coltypes = lappend_oid(entry->coltypes, exprType(value));
    entry->coltypmods = lappend_int(entry->coltypmods, exprTypmod(value));
    entry->colcollations = lappend_oid(entry->colcollations, exprCollation(value));
    entry->eref->colnames = lappend(entry->eref->colnames, name_of(target));
  }
  return entry;
}

// Puts the library's plan where `upper` scans the store, as a subquery with that number.
Plan *join_plans(Plan *upper, Plan *lower, Index number) {
  check_stack_depth();
  if (upper == nullptr) return nullptr;
  upper->startup_cost += lower->startup_cost;
  upper->total_cost += lower->total_cost;
  if (!IsA(upper, NamedTuplestoreScan)) {
    upper->lefttree = join_plans(upper->lefttree, lower, number);
    return upper;
  }
  auto *scan = makeNode(SubqueryScan);
  scan->scan.plan = *upper;
  NodeSetTag(scan, T_SubqueryScan);
  scan->scan.plan.targetlist = renumbered(upper->targetlist, number);
  scan->scan.plan.qual = renumbered(upper->qual, number);
  scan->scan.scanrelid = number;
  scan->subplan = lower;
  return &scan->scan.plan;
}

}  // namespace

PlannedStmt *split_query(Query *query, const InSight &found, const NextPlanner &next) {
  PlannerGlobal global = {};
  global.type = T_PlannerGlobal;
  global.boundParams = next.parameters;
  PlannerInfo root = {};
  root.type = T_PlannerInfo;
  root.glob = &global;
  InSight left = found;
  if (next.parameters != nullptr) {
    query = folded(query, &root);
    left = find_in_sight(query);
  }
  if (!left.any()) {
    const Outputs outputs = outputs_of(query);
    PlannedStmt *plan = next.plan(query, next.text, next.options, next.parameters);
    tell_outputs(plan, outputs);
    return plan;
  }
  if (left.below) refuse("It does so in a subquery, in the condition of a JOIN, in a WITH, or beside a foreign table.");
  if (query->setOperations != nullptr) refuse("It puts the rows of several queries together.");

  Rows rows = {static_cast<const Query *>(copyObjectImpl(query)), NIL, false};
  Query *upper = !left.several && only_columns(query) ? split_columns(query, &rows) : split_rows(query, &rows);
  const int options = next.options & ~(CURSOR_OPT_SCROLL | CURSOR_OPT_PARALLEL_OK);
  auto *columns = static_cast<List *>(copyObjectImpl(query->targetList));
  const Outputs outputs = outputs_of(query);
  PlannedStmt *lower = next.plan(query, next.text, options, next.parameters);
  tell_outputs(lower, outputs);
  if (lower->commandType != CMD_SELECT || lower->rowMarks != NIL) refuse("It locks rows.");
  upper->rtable = list_make1(store_of(columns, lower->planTree->plan_rows));
  PlannedStmt *made = standard_planner(upper, next.text, options, next.parameters);
  if (made->subplans != NIL || made->paramExecTypes != NIL || made->rowMarks != NIL)
    refuse("It has a subquery beside them.");
  // As the planner leaves subqueries.
  auto *entry = static_cast<RangeTblEntry *>(copyObjectImpl(linitial(upper->rtable)));
  entry->rtekind = RTE_SUBQUERY;
  entry->enrname = nullptr;
  entry->coltypes = entry->coltypmods = entry->colcollations = NIL;
  lower->rtable = lappend(lower->rtable, entry);
  Plan *plan = join_plans(made->planTree, lower->planTree, static_cast<Index>(list_length(lower->rtable)));
  if ((next.options & CURSOR_OPT_SCROLL) != 0 && !ExecSupportsBackwardScan(plan))
    plan = materialize_finished_plan(plan);
  lower->planTree = plan;
  lower->transientPlan |= made->transientPlan;
  lower->dependsOnRole |= made->dependsOnRole;
  lower->invalItems = list_concat(lower->invalItems, made->invalItems);
  return lower;
}

void refuse_out_of_sight_command() {
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("this command would copy protected values, or hand them to functions, where that is not metered"),
           errhint("Read the values first, and write them in a statement of their own; a function may be labelled "
                   "as trusted.")));
  pg_unreachable();
}

}  // namespace redoubt::pg
