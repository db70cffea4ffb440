// plan/columns.cpp - where values come from: columns of tables and of the rows below, and the partition of a row.
//
// Invariant: a source is listed once in the analysis, and its place there is the bit and the index that flows know it
// by.  Where there are more columns than places, those of a token type share one.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/walk.h"
#include "pg/protect/protected_columns.h"

extern "C" {
#include "catalog/partition.h"
#include "optimizer/optimizer.h"
#include "utils/partcache.h"
}

namespace redoubt::pg {
namespace {

// The table whose partitions and children share its rows.
Index root_of(const PlanWalk *walk, Index rti) {
  ListCell *cell = nullptr;
  foreach (cell, walk->plan->appendRelations) {
    const auto *child = static_cast<const AppendRelInfo *>(lfirst(cell));
    if (child->child_relid == rti && rt_fetch(child->parent_relid, walk->plan->rtable)->rtekind == RTE_RELATION)
      return root_of(walk, child->parent_relid);
  }
  return rti;
}

// May two values of the source be of different rows of one table?  What has no column of its own may.
bool is_repeated(const PlanWalk *walk, const Source &source) {
  if (source.attno == InvalidAttrNumber) return true;
  Index found = 0;
  for (Index rti = 1; rti <= static_cast<Index>(list_length(walk->plan->rtable)); ++rti) {
    const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
    if ((entry->rtekind != RTE_RELATION || entry->relkind == RELKIND_VIEW) && entry->rtekind != RTE_NAMEDTUPLESTORE)
      continue;
    const ProtectedRelation *relation = protected_relation(entry->relid);
    bool holds = false;
    for (int i = 0; relation != nullptr && i < relation->size; ++i)
      holds |= source_is(relation->column[i].source, source);
    if (!holds) continue;
    const Index root = root_of(walk, rti);
    if (found != 0 && found != root) return true;
    found = root;
  }
  return false;
}

int source_index(PlanWalk *walk, const Source &wanted) {
  PlanAnalysis *analysis = walk->analysis;
  for (int i = 0; i < analysis->sources; ++i)
    if (source_is(analysis->source[i], wanted)) return i;
  if (analysis->sources >= kNamedSources && OidIsValid(wanted.relid))
    return source_index(walk, {InvalidOid, InvalidAttrNumber, wanted.token_type, wanted.is_token});
  if (analysis->sources == kMaxSources)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many token types in one statement"),
                    errhint("Split the statement.")));
  analysis->source[analysis->sources] = wanted;
  if (is_repeated(walk, wanted)) walk->repeated |= 1U << analysis->sources;
  return analysis->sources++;
}

// What the partition that a row is in tells: values of the keys above it.  A row inserted into a partitioned table
// may be in any below that.
Flow partition_flow(PlanWalk *walk, Index rti) {
  Flow flow = kNoFlow;
  const Oid relid = rt_fetch(rti, walk->plan->rtable)->relid;
  if (protected_relation(relid) == nullptr) return flow;
  ListCell *cell = nullptr;
  List *keyed = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
  if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
    keyed = list_concat(keyed, find_all_inheritors(relid, AccessShareLock, nullptr));
  foreach (cell, keyed) {
    const Oid ancestor = lfirst_oid(cell);
    Relation relation = try_relation_open(ancestor, AccessShareLock);
    if (relation == nullptr) continue;
    const PartitionKey key = RelationGetPartitionKey(relation);
    if (key == nullptr) {
      relation_close(relation, AccessShareLock);
      continue;
    }
    Bitmapset *columns = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(key->partexprs), 1, &columns);
    for (int i = 0; i < key->partnatts; ++i)
      if (key->partattrs[i] != 0)
        columns = bms_add_member(columns, key->partattrs[i] - FirstLowInvalidHeapAttributeNumber);
    int member = -1;
    while ((member = bms_next_member(columns, member)) >= 0) {
      const char *name =
          get_attname(ancestor, static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber), true);
      if (name != nullptr) flow.implicit |= flow_explicit(relation_flow(walk, rti, get_attnum(relid, name)));
    }
    relation_close(relation, AccessShareLock);
  }
  return flow;
}

}  // namespace

Flow source_flow(PlanWalk *walk, const Source &source, int count) {
  Flow flow = kNoFlow;
  flow.count[source_index(walk, source)] = static_cast<std::uint16_t>(std::min<int>(count, kMaxFlowCount));
  return flow;
}

Flow relation_flow(PlanWalk *walk, Index rti, AttrNumber attno) {
  Flow flow = kNoFlow;
  if (rti < 1 || rti > static_cast<Index>(list_length(walk->plan->rtable))) return flow;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind == RTE_RELATION && attno == TableOidAttributeNumber) return partition_flow(walk, rti);
  if (attno < 0 || (entry->rtekind != RTE_RELATION && entry->rtekind != RTE_NAMEDTUPLESTORE)) return flow;
  const ProtectedRelation *relation = protected_relation(entry->relid);
  int columns = 0;
  bool many = false;
  for (int i = 0; relation != nullptr && i < relation->size; ++i) {
    const ProtectedColumn &column = relation->column[i];
    if (attno != 0 && column.attno != attno) continue;
    flow_add(&flow, source_flow(walk, column.source, column.count));
    many |= column.is_array;
    ++columns;
  }
  flow.pure = columns == 1 || (attno == 0 && columns > 0);
  if (attno == 0) flow.row_of = entry->relid;
  flow.many = many;
  flow_set_elsewhere(&flow, walk->repeated);
  return flow;
}

Flow everything(PlanWalk *walk) {
  Flow flow = kNoFlow;
  for (int rti = 1; rti <= list_length(walk->plan->rtable); ++rti)
    flow_add(&flow, relation_flow(walk, static_cast<Index>(rti), 0));
  flow.implicit = flow_decides(flow);
  return flow;
}

Flow variable_flow(PlanWalk *walk, const ExprScope &scope, const Var *variable) {
  switch (variable->varno) {
    case OUTER_VAR: {
      Flow flow = node_flow_column(scope.outer, variable->varattno);
      flow.paid = node_flow_paid(scope.outer, variable->varattno);
      return flow;
    }
    case INNER_VAR:
      return node_flow_column(scope.inner, variable->varattno);
    case INDEX_VAR:
      return node_flow_column(scope.index, variable->varattno);
    default:
      break;
  }
  if (scope.scan != nullptr && static_cast<Index>(variable->varno) == scope.scan_relid) {
    Flow flow = node_flow_column(scope.scan, variable->varattno);
    if (variable->varattno == 0) flow.pure = true;  // a whole row is there, whatever is in it
    return flow;
  }
  return relation_flow(walk, static_cast<Index>(variable->varno), variable->varattno);
}

}  // namespace redoubt::pg
