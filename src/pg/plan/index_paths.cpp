// plan/index_paths.cpp - see plan/index_paths.h.
//
// A path is left as it is where its conditions compare the column, which is paid for, or where the query has a use for
// the order. What is left costs what plan/indexes.cpp says.
// Frames here hold plain data only.
// Covered by sql/index_paths.sql.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/plan/index_paths.h"
#include "pg/plan/query_parts.h"
#include "pg/protect/protected_columns.h"

extern "C" {
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
}

namespace redoubt::pg {
namespace {

// Is it a labelled column, or (attno 0) a table with any?
bool is_labelled(Oid relid, AttrNumber attno) {
  const ProtectedRelation *relation = protected_relation(relid);
  if (relation == nullptr) return false;
  return std::any_of(relation->column, relation->column + relation->size, [attno](const ProtectedColumn &column) {
    return (column.attno == attno || attno == 0) && !column.source.is_token;
  });
}

// Does the expression read a labelled column of one of `relations`?
bool reads_labelled(const PlannerInfo *root, const Relids relations, Expr *expression) {
  for (const auto *variable : list_of<const Var>(variables_of(expression))) {
    if (variable->varlevelsup != 0 || !bms_is_member(variable->varno, relations)) continue;
    if (is_labelled(root->simple_rte_array[variable->varno]->relid, variable->varattno)) return true;
  }
  return false;
}

// Is the index sorted by a labelled column, beside what the conditions compare?
bool sorts_by_labelled(const PlannerInfo *root, const IndexPath *path) {
  const IndexOptInfo *index = path->indexinfo;
  const Oid relid = root->simple_rte_array[index->rel->relid]->relid;
  bool sorts = false;
  const ListCell *expression = list_head(index->indexprs);
  for (int i = 0; i < index->nkeycolumns; ++i) {
    bool labelled = false;
    if (index->indexkeys[i] != 0) {
      labelled = is_labelled(relid, static_cast<AttrNumber>(index->indexkeys[i]));
    } else {
      labelled = reads_labelled(root, index->rel->relids, static_cast<Expr *>(lfirst(expression)));
      expression = lnext(index->indexprs, expression);
    }
    if (!labelled) continue;
    for (const auto *clause : list_of<const IndexClause>(path->indexclauses))
      if (clause->indexcol == i && !IsA(clause->rinfo->clause, NullTest)) return false;  // whether it is null is free
    sorts = true;
  }
  return sorts;
}

bool is_asked_for(const PlannerInfo *root, const IndexPath *path) {
  if (path->indexorderbys != NIL) return true;
  const RelOptInfo *relation = path->path.parent;
  const Relids relations = bms_union(relation->relids, relation->top_parent_relids);
  for (const auto *key : list_of<const PathKey>(path->path.pathkeys))
    for (const auto *member : list_of<const EquivalenceMember>(key->pk_eclass->ec_members))
      if (reads_labelled(root, relations, member->em_expr)) return true;
  return false;
}

// Takes paths away.  Their indexes are left for bitmaps.
bool take_away(const PlannerInfo *root, List **paths) {
  bool any = false;
  ListCell *cell = nullptr;
  foreach (cell, *paths) {
    auto *path = static_cast<IndexPath *>(lfirst(cell));
    if (!IsA(path, IndexPath) || !sorts_by_labelled(root, path) || is_asked_for(root, path)) continue;
    path->indexinfo->amhasgettuple = path->indexinfo->amcanparallel = false;
    any = true;
    *paths = foreach_delete_current(*paths, cell);
  }
  return any;
}

}  // namespace

void replace_unasked_orders(PlannerInfo *root, RelOptInfo *relation, const RangeTblEntry *entry) {
  if (entry->rtekind != RTE_RELATION || entry->inh || relation->indexlist == NIL) return;
  if (!is_labelled(entry->relid, 0)) return;
  bool any = take_away(root, &relation->pathlist);
  any |= take_away(root, &relation->partial_pathlist);
  if (!any) return;
  // Those that were dearer are gone.
  const Relids outer = relation->lateral_relids;
  add_path(relation, create_seqscan_path(root, relation, outer, 0));
  const int workers = relation->consider_parallel && outer == nullptr
                          ? compute_parallel_worker(relation, relation->pages, -1, max_parallel_workers_per_gather)
                          : 0;
  if (workers > 0) add_partial_path(relation, create_seqscan_path(root, relation, nullptr, workers));
  create_index_paths(root, relation);
  create_tidscan_paths(root, relation);
}

}  // namespace redoubt::pg
