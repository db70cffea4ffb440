// plan/query_columns.h - what the columns of a query's subqueries, joins and WITH queries are values of.
//
// Before planning only: a query as the parser and the rewriter leave it.
#ifndef REDOUBT_PG_PLAN_QUERY_COLUMNS_H
#define REDOUBT_PG_PLAN_QUERY_COLUMNS_H

#include "pg/base/boundary.h"

#include "pg/base/each.h"

extern "C" {
#include "parser/parsetree.h"
}

namespace redoubt::pg {

// A query, and those around it; null where they are not known.
struct QueryLevel {
  const Query *query;
  const QueryLevel *outer;
};

// Nodes that were looked at, however many ways lead to them.
struct Seen {
  HTAB *nodes;
};

// Is it new?  Then it is seen from now on.
bool seen_add(Seen *seen, const Node *node);
void seen_free(Seen *seen);

// look(seen), where nothing is seen yet.
template <typename Look>
auto with_seen(Look look) {
  Seen seen = {};
  const auto found = look(&seen);
  seen_free(&seen);
  return found;
}

// The query that a variable, or the name of a WITH query, is of; null where it is not known.
inline const QueryLevel *level_up(const QueryLevel *level, Index up) {
  for (; up > 0 && level != nullptr; --up) level = level->outer;
  return level;
}

// The entry that a variable of the level is a column of.
inline const RangeTblEntry *table_entry(const QueryLevel *level, const Var *variable) {
  return rt_fetch(static_cast<Index>(variable->varno), level->query->rtable);
}

// An expression that a column may be the value of, and the query that it is of; null where it is not known.
struct Origin {
  const QueryLevel *level;
  const Node *value;
};

// Those of a column of `query`, and of a variable that is no column of a table; a List of Origin *.
List *column_origins(const QueryLevel *outer, const Query *query, AttrNumber attno);
List *origins_of(const QueryLevel *level, const Var *variable);
// An expression itself as a list of one.
List *origin_itself(const QueryLevel *level, const Node *value);

// The table and column that a value of `query` is an unchanged copy of; InvalidOid where it is none.
Oid column_copied(const Query *query, const Node *value, AttrNumber *attno);

}  // namespace redoubt::pg
#endif
