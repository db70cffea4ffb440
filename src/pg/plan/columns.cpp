// plan/columns.cpp - where values come from: columns of tables and of the rows below, and the partition of a row.
//
// Invariant: a source is listed once in the analysis, and its place there is the bit and the index that flows know it
// by.  Where there are more columns than places, those of a token type share one.
//
// A row that is put together from several rows of a table (a self-join, subqueries, aggregates side by side) may tell
// of each of them.  So each entry of the range table has sources of its own, and so has each aggregate.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/hash_table.h"
#include "pg/plan/walk.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/standing_code.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "catalog/partition.h"
}

namespace redoubt::pg {

namespace {

// The table that an entry of the range table is a partition or child of; 0: none.
Index parent_of(const PlanWalk *walk, Index rti) {
  const AppendRelInfo *child = walk->relation[rti].child;
  return child != nullptr ? child->parent_relid : 0;
}

bool shares_columns(const RelationFacts &one, const RelationFacts &other) noexcept {
  return std::any_of(one.column, one.column + one.size, [&other](const ProtectedColumn &column) {
    return std::any_of(other.column, other.column + other.size,
                       [&column](const ProtectedColumn &same) { return same.source.is_same_column(column.source); });
  });
}

// 0 for the first entry with a column, and what tells the others apart.  A partition or child goes with its table, or,
// where a statement names it, is an entry like that.
Index copy_of(PlanWalk *walk, Index rti) {
  while (parent_of(walk, rti) != 0) rti = parent_of(walk, rti);
  const RelationFacts *facts = relation_facts(walk, rti);
  for (Index before = 1; before < rti; ++before)
    if (parent_of(walk, before) == 0 && shares_columns(*relation_facts(walk, before), *facts)) return rti;
  return 0;
}

}  // namespace

RelationFacts *relation_find_out(PlanWalk *walk, Index rti) {
  RelationFacts *facts = &walk->relation[rti];
  facts->known = true;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  const bool stored =
      (entry->rtekind == RTE_RELATION && entry->relkind != RELKIND_VIEW) || entry->rtekind == RTE_NAMEDTUPLESTORE;
  if (!stored) return facts;
  const Index parent = parent_of(walk, rti);
  const RelationFacts *above = parent != 0 ? relation_facts(walk, parent) : nullptr;
  const ProtectedRelation *relation = protected_relation(entry->relid);
  if (relation == nullptr) return facts;
  facts->size = relation->size;
  facts->is_partition = relation->is_partition;
  facts->row_security = relation->row_security;
  if (above != nullptr &&
      std::equal(relation->column, relation->column + relation->size, above->column, above->column + above->size)) {
    facts->column = above->column;
    facts->source = above->source;
    facts->copy = above->copy;
    return facts;
  }
  // A copy, because a look-up of another relation may read this one anew.
  const Size size = static_cast<Size>(relation->size);
  auto *column =
      static_cast<ProtectedColumn *>(MemoryContextAlloc(walk->memory, (sizeof(ProtectedColumn) + sizeof(int)) * size));
  facts->column = column;
  facts->source = reinterpret_cast<int *>(column + size);
  std::copy_n(relation->column, size, column);
  std::fill_n(facts->source, size, 0);
  facts->copy = copy_of(walk, rti);
  return facts;
}

namespace {

// The place stands for n rows more.
void add_weight(PlanWalk *walk, int source, int n) noexcept {
  std::uint16_t &weight = walk->analysis->weight[source];
  weight = static_cast<std::uint16_t>(std::min<int>(weight + n, kMaxFlowCount - 1));
}

void meet_rows(PlanWalk *walk, int source, int n) noexcept {
  walk->here->met.add(source, n);
  walk->here->told.add(source, n);
}

struct CopyKey {
  const void *node;
  int nth;
  int source;  // or below 0: the number of the copies of sources that are a copy already
};
static_assert(std::has_unique_object_representations_v<CopyKey>, "it is hashed and compared as bytes");

struct CopyEntry {
  CopyKey key;
  int value;
};

// What is known of a copy, which `make` finds out once.
template <typename Make>
int remembered(PlanWalk *walk, const CopyKey &key, Make &&make) {
  if (walk->copied == nullptr)
    walk->copied = hash_table_make<CopyKey, CopyEntry>("redoubt copies of sources", 32, walk->memory);
  bool known = false;
  if (const auto *entry = static_cast<CopyEntry *>(hash_search(walk->copied, &key, HASH_FIND, &known)); known)
    return entry->value;
  const int value = make();
  static_cast<CopyEntry *>(hash_search(walk->copied, &key, HASH_ENTER, &known))->value = value;
  return value;
}

// A row of which columns share a source counts there once, be it read in many partitions.
void share_row(PlanWalk *walk, const Source &wanted, int shared, bool is_first) {
  remembered(walk, {nullptr, wanted.copy * kMaxSources + shared, static_cast<int>(wanted.relid)}, [&] {
    if (!is_first) add_weight(walk, shared, 1);
    meet_rows(walk, shared, 1);
    return shared;
  });
}

}  // namespace

int source_index(PlanWalk *walk, const Source &wanted) {
  PlanAnalysis *analysis = walk->analysis;
  const Source *end = analysis->source + analysis->sources;
  const Source *known = std::find(static_cast<const Source *>(analysis->source), end, wanted);
  if (known != end) return static_cast<int>(known - analysis->source);
  if (analysis->sources >= kNamedSources && OidIsValid(wanted.relid)) {
    const int named = analysis->sources;
    const int shared =
        source_index(walk, {InvalidOid, InvalidAttrNumber, wanted.token_type, wanted.is_token, wanted.opened});
    share_row(walk, wanted, shared, analysis->sources > named);
    return shared;
  }
  if (analysis->sources == kMaxSources)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many token types in one statement"),
                    errhint("Split the statement.")));
  analysis->weight[analysis->sources] = 1;
  analysis->held[analysis->sources] = analysis->figures[analysis->sources] = 0;
  analysis->source[analysis->sources] = wanted;
  return analysis->sources++;
}

namespace {

int source_copy(PlanWalk *walk, int source, const void *node, int nth) {
  return remembered(walk, {node, nth, source}, [&] {
    Source copy = walk->analysis->source[source];
    if (!OidIsValid(copy.relid)) {  // a shared one stays that
      const auto *scan = static_cast<const CteScan *>(node);
      const int rows = IsA(scan, CteScan) ? std::max<int>(subplan_facts(walk, scan->ctePlanId)->told.of[source], 1) : 1;
      add_weight(walk, source, rows);
      meet_rows(walk, source, rows);
      return source;
    }
    copy.copy = static_cast<std::uint16_t>(remembered(walk, {node, nth, -1 - copy.copy}, [walk] {
      return std::min(list_length(walk->plan->rtable) + ++walk->copies, PG_UINT16_MAX);
    }));
    return source_index(walk, copy);
  });
}

std::uint32_t mask_of_others(PlanWalk *walk, std::uint32_t mask, const void *node, int nth) {
  std::uint32_t others = 0;
  for (const int i : bits_of(mask)) others |= 1U << source_copy(walk, i, node, nth);
  return others;
}

}  // namespace

Flow flow_of_others(PlanWalk *walk, const Flow &flow, const void *node, int nth) {
  Flow others = flow;
  others.implicit = mask_of_others(walk, flow.implicit, node, nth);
  others.paid = mask_of_others(walk, flow.paid, node, nth);
  std::fill(std::begin(others.count), std::end(others.count), std::uint16_t{0});
  for (const int i : bits_of(flow_explicit(flow))) {
    std::uint16_t &count = others.count[source_copy(walk, i, node, nth)];
    count = flow_count_sum(count, flow.count[i]);
  }
  return others;
}

NodeFlow rows_of_others(PlanWalk *walk, const NodeFlow &rows, const void *node) {
  NodeFlow others = node_flow_uniform(kNoFlow, rows.size);
  for (int k = 0; k < rows.size; ++k)
    others.column[k] = flow_of_others(walk, node_flow_column(&rows, static_cast<AttrNumber>(k + 1)), node);
  others.valid = rows.valid;
  others.uniform = rows.uniform;
  others.implicit = mask_of_others(walk, rows.implicit, node, 0);
  others.order = mask_of_others(walk, rows.order, node, 0);
  return others;
}

void tell_of_subplan(PlanWalk *walk, int id) {
  if (walk->analysis->sources <= kNamedSources || bms_is_member(id, walk->used)) return;
  walk->used = bms_add_member(walk->used, id);
  const SharedRows &told = subplan_facts(walk, id)->told;
  for (int i = kNamedSources; i < walk->analysis->sources; ++i) walk->here->told.add(i, told.of[i]);
}

namespace {

// The columns that follow and have no source of their own, either, share that of the column.
void share_source(const PlanWalk *walk, RelationFacts *facts, int at) noexcept {
  const Source like = facts->column[at].source;
  const int shared = facts->source[at];
  const ProtectedColumn *column = facts->column + at + 1;
  int *place = facts->source + at + 1;
  AttrNumber named = 0;  // the last column that has one
  for (const Source &source : std::span(walk->analysis->source, static_cast<std::size_t>(walk->analysis->sources)))
    if (source.relid == like.relid && source.copy == facts->copy) named = std::max(named, source.attno);
  for (int rest = facts->size - at - 1; rest > 0; --rest, ++column, ++place) {
    if (column->source.relid != like.relid || !column->source.is_like(like)) return;
    if (column->source.attno > named) *place = shared;
  }
}

}  // namespace

// The place of the source of an entry of a relation's columns.
int source_at(PlanWalk *walk, RelationFacts *facts, int at) {
  int &source = facts->source[at];
  if (source == 0) {
    Source wanted = facts->column[at].source;
    wanted.copy = static_cast<std::uint16_t>(facts->copy);
    source = source_index(walk, wanted) + 1;
    if (!OidIsValid(walk->analysis->source[source - 1].relid)) share_source(walk, facts, at);
  }
  return source - 1;
}

namespace {

// The sources in columns of the range table entry.
std::uint32_t sources_in(PlanWalk *walk, Index rti, const Bitmapset *columns) {
  std::uint32_t mask = 0;
  for (const int attno : members_of(columns))
    mask |= flow_explicit(relation_flow(walk, rti, static_cast<AttrNumber>(attno)));
  return mask;
}

bool has_source_of_its_own(const RelationFacts &facts, Oid relid) noexcept {
  return std::any_of(facts.column, facts.column + facts.size,
                     [relid](const ProtectedColumn &column) { return column.source.relid == relid; });
}

}  // namespace

std::uint32_t partition_tells(PlanWalk *walk, Index rti) {
  RelationFacts *facts = relation_facts(walk, rti);
  if (facts->size == 0) return 0;
  if (!facts->partition_known) {
    const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
    const Oid relid = entry->relid;
    const Index parent = parent_of(walk, rti);
    // Where every source is one of a table above, what is above was looked at for that.
    if (parent != 0 && !has_source_of_its_own(*facts, relid))
      facts->partition = partition_tells(walk, parent);
    else if (facts->is_partition)
      facts->partition = sources_in(walk, rti, partition_tells(relid, get_partition_parent(relid, true)));
    if (entry->relkind == RELKIND_PARTITIONED_TABLE) {
      bool expanded = false;
      for (Index child = 1; child <= static_cast<Index>(list_length(walk->plan->rtable)); ++child)
        expanded |= parent_of(walk, child) == rti;
      for (const Oid table :
           oids_of(expanded ? list_make1_oid(relid) : find_all_inheritors(relid, AccessShareLock, nullptr)))
        facts->partition |= sources_in(walk, rti, standing_code_columns(table, relid, partition_key_columns(table)));
    }
    facts->partition_known = true;
  }
  return facts->partition;
}

namespace {

// Where the entries of the column are, if it has any.  Mostly columns are looked for one after the other.
int place_of(const RelationFacts &facts, AttrNumber attno) noexcept {
  const int next = facts.latest;
  const bool here = next < facts.size && facts.column[next].attno >= attno;
  if (here && (next == 0 || facts.column[next - 1].attno < attno)) return next;
  const auto is_before = [](const ProtectedColumn &column, AttrNumber wanted) { return column.attno < wanted; };
  return static_cast<int>(std::lower_bound(facts.column, facts.column + facts.size, attno, is_before) - facts.column);
}

}  // namespace

Flow source_flow(PlanWalk *walk, const Source &source, int count) {
  Flow flow = kNoFlow;
  flow.count[source_index(walk, source)] = flow_count_sum(count, 0);
  return flow;
}

Flow relation_flow(PlanWalk *walk, Index rti, AttrNumber attno) {
  Flow flow = kNoFlow;
  if (rti < 1 || rti > static_cast<Index>(list_length(walk->plan->rtable))) return flow;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind == RTE_RELATION && attno == TableOidAttributeNumber) flow.implicit = partition_tells(walk, rti);
  if (attno < 0 || (entry->rtekind != RTE_RELATION && entry->rtekind != RTE_NAMEDTUPLESTORE)) return flow;
  RelationFacts *facts = relation_facts(walk, rti);
  if (facts->written != nullptr) return *facts->written;
  int columns = 0;
  bool computed = false;
  const auto add = [&](int at) {
    const ProtectedColumn &column = facts->column[at];
    computed |= column.computed;
    std::uint16_t &count = flow.count[source_at(walk, facts, at)];
    count = flow_count_sum(count, column.count);
    flow.many |= column.is_array;
    ++columns;
  };
  int at = attno == 0 ? 0 : place_of(*facts, attno);
  while (at < facts->size && (attno == 0 || facts->column[at].attno == attno)) add(at++);
  facts->latest = at;
  flow.pure = (columns == 1 && !computed) || (attno == 0 && columns > 0);
  return flow;
}

namespace {

// Makes the source of a column known, and that a message may quote a value of it, as walking the variable would.
// `at` is the place after that of the column before it: mostly they are those of the table, in order.
inline void note_column(PlanWalk *walk, RelationFacts *facts, Var *variable, int &at) {
  const AttrNumber attno = variable->varattno;
  const int size = facts->size;
  if (at >= size || facts->column[at].attno != attno) at = attno > 0 ? place_of(*facts, attno) : 0;
  if (attno > 0 && (at == size || facts->column[at].attno != attno)) return;
  if (attno <= 0 || (at + 1 < size && facts->column[at + 1].attno == attno))
    return (void)walk_expression(walk, {}, reinterpret_cast<Node *>(variable));
  const int known = facts->source[at];  // mostly it is, see share_source
  const int source = known != 0 ? known - 1 : source_at(walk, facts, at);
  if (walk->last && variable->vartype != BOOLOID) {
    std::uint16_t &held = walk->analysis->held[source];
    held = std::max(held, facts->column[at].count);
  }
  ++at;
}

}  // namespace

NodeFlow scanned_columns(PlanWalk *walk, const Plan *scan) {
  const Index rti = reinterpret_cast<const Scan *>(scan)->scanrelid;
  RelationFacts *facts = relation_facts(walk, rti);
  int at = 0;
  for (const auto *target : list_of<const TargetEntry>(scan->targetlist)) {
    auto *variable = reinterpret_cast<Var *>(target->expr);
    if (!IsA(variable, Var) || variable->varno != static_cast<int>(rti)) return {};
    if (facts->size > 0) note_column(walk, facts, variable, at);
  }
  NodeFlow rows = {scan->targetlist != NIL, false, list_length(scan->targetlist), nullptr, 0, 0};
  rows.walk = walk;
  rows.targets = scan->targetlist;
  return rows;
}

Flow scanned_column(const NodeFlow &rows, AttrNumber attno) {
  const auto *value =
      reinterpret_cast<const Node *>(static_cast<const TargetEntry *>(list_nth(rows.targets, attno - 1))->expr);
  while (is_meter(value)) value = metered(value);
  const auto *column = reinterpret_cast<const Var *>(value);
  return relation_flow(rows.walk, static_cast<Index>(column->varno), column->varattno);
}

bool same_columns(const NodeFlow &a, const NodeFlow &b) {
  if (a.targets == NIL || list_length(a.targets) != list_length(b.targets)) return false;
  int tables[2] = {};
  ListCell *left = nullptr;
  ListCell *right = nullptr;
  forboth(left, a.targets, right, b.targets) {
    const auto *one = reinterpret_cast<const Var *>(static_cast<const TargetEntry *>(lfirst(left))->expr);
    const auto *two = reinterpret_cast<const Var *>(static_cast<const TargetEntry *>(lfirst(right))->expr);
    if (!IsA(one, Var) || !IsA(two, Var) || one->varattno != two->varattno || one->varattno < 0) return false;
    tables[0] = one->varno;
    tables[1] = two->varno;
  }
  const RelationFacts *one = relation_facts(a.walk, static_cast<Index>(tables[0]));
  const RelationFacts *two = relation_facts(a.walk, static_cast<Index>(tables[1]));
  return std::equal(one->column, one->column + one->size, two->column, two->column + two->size);
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
