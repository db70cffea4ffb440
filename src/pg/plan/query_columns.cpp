// plan/query_columns.cpp - see plan/query_columns.h.
//
// Frames here hold plain data only.
// Covered by sql/fpe_input.sql and test/citus.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/hash_table.h"
#include "pg/plan/query_columns.h"

extern "C" {
#include "optimizer/tlist.h"
}

namespace redoubt::pg {

bool seen_add(Seen *seen, const Node *node) {
  if (seen->nodes == nullptr)
    seen->nodes = hash_table_make<const Node *, const Node *>("redoubt origins seen", 32, CurrentMemoryContext);
  bool found = false;
  (void)hash_search(seen->nodes, &node, HASH_ENTER, &found);
  return !found;
}

void seen_free(Seen *seen) {
  if (seen->nodes != nullptr) hash_destroy(seen->nodes);
  seen->nodes = nullptr;
}

namespace {

void add(List **origins, const QueryLevel *level, const void *value) {
  auto *origin = static_cast<Origin *>(palloc(sizeof(Origin)));
  *origin = {level, static_cast<const Node *>(value)};
  *origins = lappend(*origins, origin);
}

void add_column(List **origins, const QueryLevel *outer, const Query *query, AttrNumber attno) {
  check_stack_depth();
  auto *inner = static_cast<QueryLevel *>(palloc(sizeof(QueryLevel)));
  *inner = {query, outer};
  if (query->setOperations == nullptr) {
    const TargetEntry *column =
        get_tle_by_resno(query->commandType == CMD_SELECT ? query->targetList : query->returningList, attno);
    return add(origins, inner, column != nullptr ? column->expr : nullptr);
  }
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable))
    if (entry->rtekind == RTE_SUBQUERY) add_column(origins, inner, entry->subquery, attno);
}

const Query *with_query(const QueryLevel *of, const char *name) {
  for (const auto *cte : list_of<const CommonTableExpr>(of != nullptr ? of->query->cteList : NIL))
    if (strcmp(cte->ctename, name) == 0 && IsA(cte->ctequery, Query))
      return reinterpret_cast<const Query *>(cte->ctequery);
  return nullptr;
}

void *nth(const List *columns, int n) { return n <= list_length(columns) ? list_nth(columns, n - 1) : nullptr; }

}  // namespace

List *column_origins(const QueryLevel *outer, const Query *query, AttrNumber attno) {
  List *origins = NIL;
  add_column(&origins, outer, query, attno);
  return origins;
}

List *origin_itself(const QueryLevel *level, const Node *value) {
  List *origins = NIL;
  add(&origins, level, value);
  return origins;
}

List *origins_of(const QueryLevel *level, const Var *variable) {
  List *origins = NIL;
  const AttrNumber attno = variable->varattno;
  level = level_up(level, variable->varlevelsup);
  if (level == nullptr || IS_SPECIAL_VARNO(variable->varno) || attno <= 0) return origin_itself(level, nullptr);
  const RangeTblEntry *entry = table_entry(level, variable);
  switch (entry->rtekind) {
    case RTE_SUBQUERY:
      add_column(&origins, level, entry->subquery, attno);
      break;
    case RTE_JOIN:
      add(&origins, level, nth(entry->joinaliasvars, attno));
      break;
    case RTE_CTE: {
      if (entry->self_reference) break;  // its rows are those of the other terms
      const QueryLevel *of = level_up(level, entry->ctelevelsup);
      if (const Query *query = with_query(of, entry->ctename); query != nullptr)
        add_column(&origins, of, query, attno);
      else
        add(&origins, of, nullptr);
      break;
    }
    case RTE_VALUES:
      for (const auto *row : list_of<const List>(entry->values_lists)) add(&origins, level, nth(row, attno));
      break;
    case RTE_FUNCTION:
      for (const auto *function : list_of<const RangeTblFunction>(entry->functions))
        add(&origins, level, function->funcexpr);
      break;
    default:
      add(&origins, level, nth(compat_group_expressions(entry), attno));
      break;
  }
  return origins;
}

namespace {

Oid copied(const QueryLevel *level, const Node *value, AttrNumber *attno) {
  check_stack_depth();
  const auto *variable = reinterpret_cast<const Var *>(value);
  if (value == nullptr || !IsA(value, Var) || variable->varlevelsup != 0 || variable->varattno <= 0) return InvalidOid;
  if (const RangeTblEntry *entry = table_entry(level, variable); entry->rtekind == RTE_RELATION) {
    *attno = variable->varattno;
    return entry->relid;
  }
  const List *origins = origins_of(level, variable);
  if (list_length(origins) != 1) return InvalidOid;
  const auto *origin = static_cast<const Origin *>(linitial(origins));
  return copied(origin->level, origin->value, attno);
}

}  // namespace

Oid column_copied(const Query *query, const Node *value, AttrNumber *attno) {
  const QueryLevel level = {query, nullptr};
  return copied(&level, value, attno);
}

}  // namespace redoubt::pg
