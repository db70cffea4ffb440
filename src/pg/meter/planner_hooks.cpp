// planner_hooks.cpp - see planner_hooks.h.
//
// Frames here hold plain data only: the planner may longjmp over them.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/meter/plan_cache.h"
#include "pg/meter/planner_hooks.h"
#include "pg/plan/as_text.h"
#include "pg/plan/pending_values.h"
#include "pg/plan/by_index.h"
#include "pg/plan/index_paths.h"
#include "pg/plan/plain_query.h"
#include "pg/plan/row_by_row.h"
#include "pg/plan/split_query.h"
#include "pg/protect/collations.h"
#include "pg/protect/protected_columns.h"
#include "pg/meter/statistics_meter.h"
#include "pg/vault/vault_planner.h"

extern "C" {
#include "catalog/pg_statistic_ext.h"
#include "foreign/fdwapi.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "utils/selfuncs.h"
}

namespace redoubt::pg {
namespace {

constinit get_relation_info_hook_type prev_relation_info = nullptr;
constinit get_relation_stats_hook_type prev_relation_stats = nullptr;
constinit get_index_stats_hook_type prev_index_stats = nullptr;
constinit set_rel_pathlist_hook_type prev_rel_pathlist = nullptr;

bool column_is_protected(Oid relid, AttrNumber attno) {
  return attno > 0 ? OidIsValid(protected_column_type(relid, attno)) : protected_relation(relid) != nullptr;
}

// Statistics found by us leave acl_ok unset, so the planner gives the values in them to
// leakproof functions only.
void offer_statistics(VariableStatData *data, Oid relid, AttrNumber attno, bool inherited) {
  data->statsTuple =
      SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(attno), BoolGetDatum(inherited));
  data->freefunc = ReleaseSysCache;
}

// The planner hands values of extended statistics to any operator of a query that may read
// the columns; it does without those of protected ones.
void hide_statistics(Oid relid, RelOptInfo *relation) {
  ListCell *cell = nullptr;
  foreach (cell, relation->statlist) {
    const auto *statistics = static_cast<const StatisticExtInfo *>(lfirst(cell));
    if (statistics->kind != STATS_EXT_MCV && statistics->kind != STATS_EXT_EXPRESSIONS) continue;
    const Bitmapset *columns = statistics_columns(statistics->statOid);
    bool shows = false;
    const ProtectedRelation *known = protected_relation(relid);
    for (int i = 0; known != nullptr && i < known->size; ++i) shows |= bms_is_member(known->column[i].attno, columns);
    if (shows) relation->statlist = foreach_delete_current(relation->statlist, cell);
  }
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
// A foreign server's aggregate hides its input: 1 row comes back for 1000 read.  Where a
// query that aggregates reads protected columns, foreign servers are not asked for more
// than scans and joins.
[[gnu::hot]] static void redoubt_relation_info(PlannerInfo *root, Oid relid, bool inherited, RelOptInfo *relation) {
  using namespace redoubt::pg;
  if (prev_relation_info != nullptr) prev_relation_info(root, relid, inherited, relation);
  show_orders(relation);
  // An index is about to be built, of which this is all that is planned: workers would warn of collations by the rows.
  if (root->parse->jointree == nullptr && protected_relation(relid) != nullptr && collations_warn())
    relation->rel_parallel_workers = 0;
  if (relation->statlist != NIL && protected_relation(relid) != nullptr) hide_statistics(relid, relation);
  if (relation->fdwroutine == nullptr || !root->parse->hasAggs || !reads_protected(root->parse)) return;
  auto *routine = static_cast<FdwRoutine *>(palloc(sizeof(FdwRoutine)));
  *routine = *relation->fdwroutine;
  routine->GetForeignUpperPaths = nullptr;
  relation->fdwroutine = routine;
}

[[gnu::hot]] static bool redoubt_relation_stats(PlannerInfo *root, RangeTblEntry *entry, AttrNumber attno,
                                                VariableStatData *data) {
  using namespace redoubt::pg;
  if (prev_relation_stats != nullptr && prev_relation_stats(root, entry, attno, data)) return true;
  if (entry->rtekind != RTE_RELATION || !column_is_protected(entry->relid, attno)) return false;
  offer_statistics(data, entry->relid, attno, entry->inh);
  return true;
}

[[gnu::hot]] static bool redoubt_index_stats(PlannerInfo *root, Oid index, AttrNumber attno, VariableStatData *data) {
  using namespace redoubt::pg;
  if (prev_index_stats != nullptr && prev_index_stats(root, index, attno, data)) return true;
  if (!column_is_protected(IndexGetRelation(index, true), 0)) return false;
  offer_statistics(data, index, attno, false);
  return true;
}

[[gnu::hot]] static void redoubt_rel_pathlist(PlannerInfo *root, RelOptInfo *relation, Index rti,
                                              RangeTblEntry *entry) {
  using namespace redoubt::pg;
  if (prev_rel_pathlist != nullptr) prev_rel_pathlist(root, relation, rti, entry);
  replace_unasked_orders(root, relation, entry);
}
}

namespace redoubt::pg {

[[gnu::hot]] int planner_begin(Query *query, int options) {
  if (!IsTransactionState() || is_plain_query(query)) return options;
  statistics_meter(query);
  pending_values(query);
  as_text(query);
  row_by_row(query, options);
  const bool serial = (options & CURSOR_OPT_PARALLEL_OK) != 0 && vault_tokenizes(query);
  return serial ? options & ~CURSOR_OPT_PARALLEL_OK : options;
}

namespace {

// Tables of which a plan had a hidden scan, by the low bits of their OIDs: a query that has to be split anyway is not
// planned as a whole first.  Split, it means the same, whoever reads the table; so nothing is lost where one has
// changed.
constexpr Size kHiddenTables = 256;
constinit Oid hidden_tables[kHiddenTables] = {};

Oid first_table(const Query *query) {
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable))
    if (entry->rtekind == RTE_RELATION) return entry->relid;
  return InvalidOid;
}

}  // namespace

PlannedStmt *planner_beside(Query *query, const NextPlanner &next) {
  const InSight found = IsTransactionState() ? find_in_sight(query) : InSight{};
  if (!found.reads) return next.plan(query, next.text, next.options, next.parameters);
  const Oid table = first_table(query);
  Oid *known = &hidden_tables[table % kHiddenTables];
  if (found.here && !found.below && query->setOperations == nullptr && OidIsValid(table) && *known == table) {
    PlannedStmt *plan = split_query(query, found, next);
    if (!hides_scans(plan)) *known = InvalidOid;
    return plan;
  }
  const Outputs outputs = outputs_of(query);
  auto *asked = found.any() ? static_cast<Query *>(copyObjectImpl(query)) : nullptr;
  PlannedStmt *plan = next.plan(query, next.text, next.options, next.parameters);
  if (!hides_scans(plan)) return plan;
  *known = table;
  if (found.written) refuse_out_of_sight_command();
  if (asked != nullptr) return split_query(asked, found, next);
  tell_outputs(plan, outputs);
  return plan;
}

[[gnu::hot]] void planner_end(PlannedStmt *plan, bool as_it_is) {
  if (!IsTransactionState()) return;
  statistics_guard(plan);
  PlanFacts *const facts = plan_facts(plan);
  if (!facts->touches) return;
  const PlanAnalysis *analysis = plan_analyze(plan, true);
  if (as_it_is) plan_facts_analyzed(facts, analysis);
}

void planner_hooks_install() {
  prev_relation_info = get_relation_info_hook;
  get_relation_info_hook = shielded<redoubt_relation_info>;
  prev_relation_stats = get_relation_stats_hook;
  get_relation_stats_hook = shielded<redoubt_relation_stats>;
  prev_index_stats = get_index_stats_hook;
  get_index_stats_hook = shielded<redoubt_index_stats>;
  prev_rel_pathlist = set_rel_pathlist_hook;
  set_rel_pathlist_hook = shielded<redoubt_rel_pathlist>;
}

}  // namespace redoubt::pg
