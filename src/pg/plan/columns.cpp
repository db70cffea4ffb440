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

// Entries of the protected columns of a range table entry by attribute number.
const RelationFacts *relation_facts(PlanWalk *walk, Index rti) {
  RelationFacts *facts = &walk->relation[rti];
  if (facts->known) return facts;
  facts->known = true;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  const bool stored =
      (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW) || entry->rtekind == RTE_NAMEDTUPLESTORE;
  const ProtectedRelation *relation = stored ? protected_relation(entry->relid) : nullptr;
  if (relation == nullptr) return facts;
  facts->size = relation->size;
  MemoryContext old = MemoryContextSwitchTo(walk->memory);
  auto *column = static_cast<ProtectedColumn *>(palloc(sizeof(ProtectedColumn) * static_cast<Size>(relation->size)));
  std::copy_n(relation->column, relation->size, column);
  for (int i = 0; i < facts->size; ++i) facts->columns = std::max<int>(facts->columns, column[i].attno);
  auto *first = static_cast<int *>(palloc0(sizeof(int) * static_cast<Size>(facts->columns + 1)));
  auto *next = static_cast<int *>(palloc0(sizeof(int) * static_cast<Size>(facts->size)));
  for (int i = facts->size - 1; i >= 0; --i) next[i] = std::exchange(first[column[i].attno], i + 1);
  facts->source = static_cast<int *>(palloc0(sizeof(int) * static_cast<Size>(facts->size)));
  MemoryContextSwitchTo(old);
  facts->column = column;
  facts->first = first;
  facts->next = next;
  return facts;
}

int source_index(PlanWalk *walk, const Source &wanted) {
  PlanAnalysis *analysis = walk->analysis;
  // Columns of one table after the other have sources of which one comes after the other.
  for (int n = 0, i = walk->latest_source; n < analysis->sources; ++n) {
    i = i + 1 < analysis->sources ? i + 1 : 0;
    if (source_is(analysis->source[i], wanted)) return walk->latest_source = i;
  }
  if (analysis->sources >= kNamedSources && OidIsValid(wanted.relid))
    return source_index(walk, {InvalidOid, InvalidAttrNumber, wanted.token_type, wanted.is_token});
  if (analysis->sources == kMaxSources)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many token types in one statement"),
                    errhint("Split the statement.")));
  analysis->source[analysis->sources] = wanted;
  return walk->latest_source = analysis->sources++;
}

// The sources in the columns of the range table entry that rows are put into partitions of `ancestor` by.
std::uint32_t partition_keys(PlanWalk *walk, Index rti, Oid ancestor) {
  Relation relation = try_relation_open(ancestor, AccessShareLock);
  if (relation == nullptr) return 0;
  std::uint32_t mask = 0;
  const Oid relid = rt_fetch(rti, walk->plan->rtable)->relid;
  if (const PartitionKey key = RelationGetPartitionKey(relation); key != nullptr) {
    Bitmapset *columns = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(key->partexprs), 1, &columns);
    for (int i = 0; i < key->partnatts; ++i)
      if (key->partattrs[i] != 0)
        columns = bms_add_member(columns, key->partattrs[i] - FirstLowInvalidHeapAttributeNumber);
    int member = -1;
    while ((member = bms_next_member(columns, member)) >= 0) {
      const auto attno = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
      const char *name = ancestor != relid ? get_attname(ancestor, attno, true) : nullptr;
      if (name != nullptr) mask |= flow_explicit(relation_flow(walk, rti, get_attnum(relid, name)));
      if (ancestor == relid) mask |= flow_explicit(relation_flow(walk, rti, attno));
    }
  }
  relation_close(relation, AccessShareLock);
  return mask;
}

bool has_source_of_its_own(const RelationFacts &facts, Oid relid) noexcept {
  return std::any_of(facts.column, facts.column + facts.size,
                     [relid](const ProtectedColumn &column) { return column.source.relid == relid; });
}

// What the partition that a row is in tells: values of the keys above it.  A row inserted into a partitioned table
// may be in any below that.
Flow partition_flow(PlanWalk *walk, Index rti) {
  Flow flow = kNoFlow;
  RelationFacts *facts = &walk->relation[rti];
  if (relation_facts(walk, rti)->size == 0) return flow;
  if (!facts->partition_known) {
    const Oid relid = rt_fetch(rti, walk->plan->rtable)->relid;
    const Index parent = parent_of(walk, rti);
    ListCell *cell = nullptr;
    // Where every source is one of a table above, what is above was looked at for that.
    if (parent != 0 && !has_source_of_its_own(*facts, relid)) {
      facts->partition = partition_flow(walk, parent).implicit;
    } else if (get_rel_relispartition(relid)) {
      const List *ancestors = get_partition_ancestors(relid);
      foreach (cell, ancestors) facts->partition |= partition_keys(walk, rti, lfirst_oid(cell));
    }
    if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE) {
      bool expanded = false;
      for (Index child = 1; child <= static_cast<Index>(list_length(walk->plan->rtable)); ++child)
        expanded |= parent_of(walk, child) == rti;
      const List *tables = expanded ? list_make1_oid(relid) : find_all_inheritors(relid, AccessShareLock, nullptr);
      foreach (cell, tables) facts->partition |= partition_keys(walk, rti, lfirst_oid(cell));
    }
    facts->partition_known = true;
  }
  flow.implicit = facts->partition;
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
  const RelationFacts *facts = relation_facts(walk, rti);
  int columns = 0;
  const auto add = [&](int at) {
    const ProtectedColumn &column = facts->column[at];
    int &source = facts->source[at];
    if (source == 0) source = source_index(walk, column.source) + 1;
    std::uint16_t &count = flow.count[source - 1];
    count = static_cast<std::uint16_t>(std::min<int>(count + column.count, kMaxFlowCount));
    flow.many |= column.is_array;
    ++columns;
  };
  if (attno == 0)
    for (int i = 0; i < facts->size; ++i) add(i);
  else if (attno <= facts->columns)
    for (int at = facts->first[attno]; at != 0; at = facts->next[at - 1]) add(at - 1);
  flow.pure = columns == 1 || (attno == 0 && columns > 0);
  return flow;
}

Flow everything(PlanWalk *walk) {
  Flow flow = kNoFlow;
  for (int rti = 1; rti <= list_length(walk->plan->rtable); ++rti)
    flow_add(&flow, relation_flow(walk, static_cast<Index>(rti), 0));
  flow.implicit = flow_decides(flow);
  return flow;
}

Flow variable_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const auto *variable = reinterpret_cast<const Var *>(node);
  switch (variable->varno) {
    case OUTER_VAR:
      return node_flow_column(scope.outer, variable->varattno);
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
