// plan/query_parts.h - parts of a query that more than one rewrite before planning looks for.
#ifndef REDOUBT_PG_PLAN_QUERY_PARTS_H
#define REDOUBT_PG_PLAN_QUERY_PARTS_H

#include "pg/base/boundary.h"

#include "pg/base/each.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
}

namespace redoubt::pg {

// What a target is called where others refer to it.
inline Node *name_of(const TargetEntry *target) {
  return reinterpret_cast<Node *>(makeString(pstrdup(target->resname != nullptr ? target->resname : "?column?")));
}

// A SELECT of nothing yet FROM the entry, or from nothing where that is null.
inline Query *select_from(RangeTblEntry *entry) {
  auto *query = makeNode(Query);
  query->commandType = CMD_SELECT;
  query->canSetTag = true;
  List *from = NIL;
  if (entry != nullptr) {
    auto *reference = makeNode(RangeTblRef);
    reference->rtindex = 1;
    from = list_make1(reference);
    query->rtable = list_make1(entry);
  }
  query->jointree = makeFromExpr(from, nullptr);
  return query;
}

// A subquery in FROM, whose columns have these names.
inline RangeTblEntry *entry_of(Query *subquery, const char *name, List *columns) {
  auto *entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_SUBQUERY;
  entry->subquery = subquery;
  entry->eref = makeAlias(name, columns);
  entry->inFromCl = true;
  return entry;
}

// The variables in an expression, those within aggregates and the like, too.
inline List *variables_of(const void *expression) {
  return pull_var_clause(static_cast<Node *>(const_cast<void *>(expression)),
                         PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_RECURSE_PLACEHOLDERS);
}

// Do clauses sort or group by the target with the mark?
inline bool is_among(Index mark, const List *clauses) {
  return get_sortgroupref_clause_noerr(mark, const_cast<List *>(clauses)) != nullptr;
}

// Puts visit(expression) in the place of each expression of a list.
template <typename Visit>
void each_in_place(const List *expressions, Visit &&visit) {
  ListCell *cell = nullptr;
  foreach (cell, expressions) lfirst(cell) = visit(static_cast<Expr *>(lfirst(cell)));
}

// The same with visit(expression, is_key) of each target that is not a key alone.
template <typename Visit>
void each_target_in_place(const List *targets, Visit &&visit) {
  for (auto *target : list_of<TargetEntry>(targets))
    if (!target->resjunk) target->expr = visit(target->expr, target->ressortgroupref != 0);
}

// The same of those that a CASE or COALESCE chooses among.
template <typename Visit>
void each_chosen_in_place(Expr *chosen, Visit &&visit) {
  if (IsA(chosen, CoalesceExpr)) return each_in_place(reinterpret_cast<CoalesceExpr *>(chosen)->args, visit);
  auto *cases = reinterpret_cast<CaseExpr *>(chosen);
  for (auto *when : list_of<CaseWhen>(cases->args)) when->result = visit(when->result);
  if (cases->defresult != nullptr) cases->defresult = visit(cases->defresult);
}

// The same with visit(expression, is_key) of what a statement writes, wherever it is listed.
template <typename Visit>
void each_written_in_place(const Query *query, Visit &&visit) {
  for (const auto *action : list_of<const MergeAction>(query->mergeActionList))
    each_target_in_place(action->targetList, visit);
  if (query->commandType != CMD_INSERT && query->commandType != CMD_UPDATE) return;
  each_target_in_place(query->targetList, visit);
  if (query->commandType != CMD_INSERT) return;
  if (query->onConflict != nullptr) each_target_in_place(query->onConflict->onConflictSet, visit);
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable)) {
    if (entry->rtekind == RTE_SUBQUERY) each_target_in_place(entry->subquery->targetList, visit);
    if (entry->rtekind == RTE_VALUES)
      for (const auto *row : list_of<const List>(entry->values_lists))
        each_in_place(row, [&visit](Expr *value) { return visit(value, false); });
  }
}

}  // namespace redoubt::pg
#endif
