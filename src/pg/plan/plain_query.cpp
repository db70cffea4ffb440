// plan/plain_query.cpp - see plan/plain_query.h.
//
// Every statement passes here, so the usual kinds of expression are looked at without PostgreSQL's walker.
// Invariant: a kind of node, or part of a query, that is not named here makes the query one that is not plain.
// Frames here hold plain data only.
// Covered by sql/search.sql and test/metering, which find what is overlooked; what it costs, by test/bench/plan.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/plan/plain_query.h"

extern "C" {
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext_data.h"
}

namespace redoubt::pg {
namespace {

constexpr bool is_builtin(Oid object) noexcept { return object < FirstNormalObjectId; }

template <typename T>
const T &as(const void *node) noexcept {
  return *static_cast<const T *>(node);
}

bool is_plain_node(const void *expression);
bool is_plain_but_for_results(const Query *query);

// Of an expression, a column of a result, a list or FROM; null is plain.  Most are columns and constants.
[[gnu::hot]] inline bool is_plain(const void *expression) {
  if (expression == nullptr) return true;
  if (IsA(expression, TargetEntry)) expression = as<TargetEntry>(expression).expr;
  switch (nodeTag(expression)) {
    case T_Var:  // a row of a subquery may have tokens in it
      return is_builtin(as<Var>(expression).vartype) && as<Var>(expression).vartype != RECORDOID;
    case T_Const:
      return is_builtin(as<Const>(expression).consttype);
    case T_Param:
      return is_builtin(as<Param>(expression).paramtype);
    case T_RangeTblRef:
      return true;
    default:
      return is_plain_node(expression);
  }
}

[[gnu::hot]] bool items_plain(const List *list) {
  ListCell *cell = nullptr;
  foreach (cell, list)
    if (!is_plain(lfirst(cell))) return false;
  return true;
}

// Most lists of a query are empty.
[[gnu::hot]] inline bool all_plain(const List *list) { return list == NIL || items_plain(list); }

bool all_builtin(const List *types) {
  ListCell *cell = nullptr;
  foreach (cell, types)
    if (!is_builtin(lfirst_oid(cell))) return false;
  return true;
}

[[gnu::hot]] bool is_plain_call(Oid function, Oid result, const List *arguments) {
  return is_builtin(function) && is_builtin(result) && all_plain(arguments);
}

bool is_plain_aggregate(const Aggref &aggregate) {
  return is_plain_call(aggregate.aggfnoid, aggregate.aggtype, aggregate.args) && all_plain(aggregate.aggdirectargs) &&
         is_plain(aggregate.aggfilter);
}

bool is_plain_case(const CaseExpr &chosen) {
  ListCell *cell = nullptr;
  foreach (cell, chosen.args) {
    const auto *when = static_cast<const CaseWhen *>(lfirst(cell));
    if (!is_plain(when->expr) || !is_plain(when->result)) return false;
  }
  return is_plain(chosen.arg) && is_plain(chosen.defresult);
}

[[gnu::hot]] bool is_plain_node(const void *expression) {
  check_stack_depth();
  switch (nodeTag(expression)) {
    case T_List:
      return all_plain(static_cast<const List *>(expression));
    case T_OpExpr:
    case T_DistinctExpr:
    case T_NullIfExpr:  // one structure
      return is_plain_call(as<OpExpr>(expression).opno, as<OpExpr>(expression).opresulttype,
                           as<OpExpr>(expression).args);
    case T_ScalarArrayOpExpr:
      return is_plain_call(as<ScalarArrayOpExpr>(expression).opno, BOOLOID, as<ScalarArrayOpExpr>(expression).args);
    case T_FuncExpr:
      return is_plain_call(as<FuncExpr>(expression).funcid, as<FuncExpr>(expression).funcresulttype,
                           as<FuncExpr>(expression).args);
    case T_Aggref:
      return is_plain_aggregate(as<Aggref>(expression));
    case T_BoolExpr:
      return all_plain(as<BoolExpr>(expression).args);
    case T_RelabelType:
      return is_builtin(as<RelabelType>(expression).resulttype) && is_plain(as<RelabelType>(expression).arg);
    case T_CoerceViaIO:
      return is_builtin(as<CoerceViaIO>(expression).resulttype) && is_plain(as<CoerceViaIO>(expression).arg);
    case T_NullTest:
      return is_plain(as<NullTest>(expression).arg);
    case T_BooleanTest:
      return is_plain(as<BooleanTest>(expression).arg);
    case T_CoalesceExpr:
      return all_plain(as<CoalesceExpr>(expression).args);
    case T_ArrayExpr:
      return is_builtin(as<ArrayExpr>(expression).array_typeid) && all_plain(as<ArrayExpr>(expression).elements);
    case T_CaseExpr:
      return is_plain_case(as<CaseExpr>(expression));
    case T_CaseTestExpr:
      return is_builtin(as<CaseTestExpr>(expression).typeId);
    case T_SQLValueFunction:
      return true;
    case T_SubLink:
      return is_plain(as<SubLink>(expression).testexpr) && is_plain(as<SubLink>(expression).subselect);
    case T_FromExpr:
      return all_plain(as<FromExpr>(expression).fromlist) && is_plain(as<FromExpr>(expression).quals);
    case T_JoinExpr:
      return is_plain(as<JoinExpr>(expression).larg) && is_plain(as<JoinExpr>(expression).rarg) &&
             is_plain(as<JoinExpr>(expression).quals);
    case T_Query:
      return is_plain_but_for_results(&as<Query>(expression)) && all_plain(as<Query>(expression).targetList);
    default:
      return false;
  }
}

[[gnu::hot]] bool is_plain_entry(const RangeTblEntry &entry) {
  if (!all_plain(entry.securityQuals)) return false;
  ListCell *cell = nullptr;
  switch (entry.rtekind) {
    case RTE_RELATION:
      return entry.relid != StatisticRelationId && entry.relid != StatisticExtDataRelationId &&
             entry.tablesample == nullptr;
    case RTE_SUBQUERY:
      return is_plain_query(entry.subquery);
    case RTE_JOIN:  // of columns of other entries
    case RTE_CTE:
    case RTE_NAMEDTUPLESTORE:
    case RTE_RESULT:
      return true;
    case RTE_VALUES:
      return all_plain(entry.values_lists);
    case RTE_FUNCTION:
      foreach (cell, entry.functions) {
        const auto *function = static_cast<const RangeTblFunction *>(lfirst(cell));
        if (!is_plain(function->funcexpr) || !all_builtin(function->funccoltypes)) return false;
      }
      return true;
    default: {
      const List *grouped = compat_group_expressions(&entry);
      return grouped != NIL && all_plain(grouped);
    }
  }
}

// Results: a column of a table, of whatever type, is handed on as it is where nothing sorts or groups by it.
[[gnu::hot]] inline bool all_plain_or_columns(const List *targets) {
  ListCell *cell = nullptr;
  foreach (cell, targets) {
    const auto &target = as<TargetEntry>(lfirst(cell));
    if (target.ressortgroupref == 0 && IsA(target.expr, Var)) continue;
    if (!is_plain(target.expr)) return false;
  }
  return true;
}

[[gnu::hot]] bool is_plain_but_for_results(const Query *query) {
  check_stack_depth();
  if (query->commandType == CMD_UTILITY || query->mergeActionList != NIL || query->onConflict != nullptr ||
      query->withCheckOptions != NIL)
    return false;
  ListCell *cell = nullptr;
  foreach (cell, query->rtable)
    if (!is_plain_entry(as<RangeTblEntry>(lfirst(cell)))) return false;
  foreach (cell, query->cteList) {
    const auto *cte = static_cast<const CommonTableExpr *>(lfirst(cell));
    if (cte->search_clause != nullptr || cte->cycle_clause != nullptr || !is_plain(cte->ctequery)) return false;
  }
  return is_plain(query->jointree) && all_plain_or_columns(query->returningList) && is_plain(query->havingQual) &&
         is_plain(query->limitOffset) && is_plain(query->limitCount);
}

}  // namespace

[[gnu::hot]] bool is_plain_query(const Query *query) {
  return is_plain_but_for_results(query) && all_plain_or_columns(query->targetList);
}

}  // namespace redoubt::pg
