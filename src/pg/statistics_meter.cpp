// statistics_meter.cpp - see statistics_meter.h.
//
// Done before planning, where a reference still stands for its use: pg_stats chooses one
// of five arrays by CASE, and only the one that is chosen is evaluated and charged.  The
// function is STABLE so that columns of the view that nobody reads stay dropped.
// Extended statistics (pg_statistic_ext_data) are not seen here.
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/compat.h"
#include "pg/limits.h"
#include "pg/protected_columns.h"
#include "pg/statistics_meter.h"

namespace redoubt::pg {
namespace {

struct Rewrite {
  Oid function;
  List *queries;  // enclosing ones, innermost first
};

bool reads_statistics(const Query *query) {
  ListCell *cell = nullptr;
  foreach (cell, query->rtable) {
    const auto *entry = static_cast<const RangeTblEntry *>(lfirst(cell));
    if (entry->rtekind == RTE_RELATION && entry->relid == StatisticRelationId) return true;
    if (entry->rtekind == RTE_SUBQUERY && reads_statistics(entry->subquery)) return true;
  }
  foreach (cell, query->cteList)
    if (reads_statistics(reinterpret_cast<Query *>(static_cast<CommonTableExpr *>(lfirst(cell))->ctequery)))
      return true;
  return query->hasSubLinks;  // not looked into here: they may
}

bool is_values_column(const Rewrite *rewrite, const Var *variable) {
  if (variable->varattno < Anum_pg_statistic_stavalues1 || variable->varattno > Anum_pg_statistic_stavalues5)
    return false;
  if (static_cast<int>(variable->varlevelsup) >= list_length(rewrite->queries)) return false;
  const auto *query = static_cast<Query *>(list_nth(rewrite->queries, static_cast<int>(variable->varlevelsup)));
  const RangeTblEntry *entry = rt_fetch(static_cast<Index>(variable->varno), query->rtable);
  return entry->rtekind == RTE_RELATION && entry->relid == StatisticRelationId;
}

Node *metered(const Rewrite *rewrite, Var *values) {
  const auto column = [values](int attno, Oid type) {
    return makeVar(values->varno, static_cast<AttrNumber>(attno), type, -1, InvalidOid, values->varlevelsup);
  };
  List *arguments =
      list_make3(values, column(Anum_pg_statistic_starelid, OIDOID), column(Anum_pg_statistic_staattnum, INT2OID));
  return reinterpret_cast<Node *>(makeFuncExpr(rewrite->function, values->vartype, arguments, values->varcollid,
                                               values->varcollid, COERCE_EXPLICIT_CALL));
}

// The token type that pays for a column, or for what an index computes from one.
Oid paying_type(Oid relid, AttrNumber attno) {
  if (get_rel_relkind(relid) != RELKIND_INDEX) return protected_column_type(relid, attno);
  const ProtectedRelation *table = protected_relation(IndexGetRelation(relid, true));
  return table != nullptr ? table->column[0].source.token_type : InvalidOid;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static Node *statistics_meter_mutator(Node *node, void *context) {
  using namespace redoubt::pg;
  auto *rewrite = static_cast<Rewrite *>(context);
  if (node == nullptr) return nullptr;
  if (IsA(node, Var) && is_values_column(rewrite, reinterpret_cast<Var *>(node)))
    return metered(rewrite, reinterpret_cast<Var *>(node));
  if (IsA(node, Query)) {
    rewrite->queries = lcons(node, rewrite->queries);
    Node *copy = reinterpret_cast<Node *>(
        query_tree_mutator(reinterpret_cast<Query *>(node), tree_mutator(statistics_meter_mutator), context, 0));
    rewrite->queries = list_delete_first(rewrite->queries);
    return copy;
  }
  return expression_tree_mutator(node, tree_mutator(statistics_meter_mutator), context);
}
}

namespace redoubt::pg {

void statistics_meter(Query *query) {
  if (query->commandType == CMD_UTILITY || !reads_statistics(query)) return;
  const Oid types[] = {ANYARRAYOID, OIDOID, INT2OID};
  List *name = list_make2(makeString(pstrdup("redoubt")), makeString(pstrdup("meter_statistics")));
  if (!OidIsValid(get_namespace_oid("redoubt", true))) return;
  Rewrite rewrite = {LookupFuncName(name, lengthof(types), types, true), list_make1(query)};
  if (!OidIsValid(rewrite.function)) return;
  (void)query_tree_mutator(query, tree_mutator(statistics_meter_mutator), &rewrite, QTW_DONT_COPY_QUERY);
}

}  // namespace redoubt::pg

// meter_statistics(anyarray, oid, int2) returns its first argument, charged for as read
// of the column that the others name.
REDOUBT_FUNCTION(redoubt_meter_statistics) {
  using namespace redoubt::pg;
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  const Datum values = PG_GETARG_DATUM(0);
  if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2)) {
    const Oid type = paying_type(PG_GETARG_OID(1), PG_GETARG_INT16(2));
    const ArrayType *array = OidIsValid(type) ? DatumGetArrayTypeP(values) : nullptr;
    if (array != nullptr)
      limits_charge(type, Operation::read, static_cast<uint32>(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array))));
  }
  PG_RETURN_DATUM(values);
}
