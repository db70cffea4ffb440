// plan/scans.cpp - the flow of scans: of tables, functions, subqueries, foreign and other extensions' nodes.
//
// A scan says what the variables of its relation mean, and returns what decided on its rows.  (What an index tells is
// in plan/indexes.cpp.)
// Invariant: the conditions of a scan whose work cannot be seen depend on every protected value of its relations.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/protect/function_trust.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/out_of_sight.h"
#include "pg/plan/query_parts.h"
#include "pg/plan/walk.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/table_code.h"

namespace redoubt::pg {

std::uint32_t set_decides(PlanWalk *walk, const ExprScope &scope, Node *set) {
  if (!expression_returns_set(set)) return walk_expression(walk, scope, set).implicit;
  if (IsA(set, FuncExpr)) set = reinterpret_cast<Node *>(reinterpret_cast<FuncExpr *>(set)->args);
  return flow_decides(walk_expression(walk, scope, set));
}

namespace {

// Every column of a function's result carries the flow of its arguments.
NodeFlow same_everywhere(const Flow &flow) {
  NodeFlow rows = node_flow_uniform(flow, 1);
  rows.uniform = true;
  return rows;
}

// May making a value of one of the types run code?
bool run_code(PlanWalk *walk, const List *types) {
  bool any = false;
  for (const Oid type : oids_of(types)) {
    any |= type_runs_code(type);
    foresee_type(walk, type);
  }
  return any;
}

// All that is protected in the relations.
std::uint32_t sources_of(PlanWalk *walk, const Bitmapset *relations) {
  std::uint32_t mask = 0;
  for (const int rti : members_of(relations)) mask |= flow_explicit(relation_flow(walk, static_cast<Index>(rti), 0));
  return mask;
}

void scan_rows(ExprScope *scope, Inputs *inputs, const NodeFlow &rows, Index relid) {
  inputs->scan = rows;
  scope->scan = &inputs->scan;
  scope->scan_relid = relid;
}

}  // namespace

std::uint32_t walk_function_scan(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  auto *scan = reinterpret_cast<FunctionScan *>(plan);
  Flow flow = kNoFlow;
  std::uint32_t decides = 0;
  for (const auto *function : list_of<const RangeTblFunction>(scan->functions)) {
    if (is_bare_call(walk, *scope, function->funcexpr)) {
      walk->run |= handed_probes(walk, *scope, kNoFlow);
      flow_add(&flow, bare_call_flow(walk, *scope, reinterpret_cast<FuncExpr *>(function->funcexpr)));
      continue;
    }
    // A column definition list can name a domain: json_to_record(...) AS r(c some_domain).
    if (run_code(walk, function->funccoltypes) && IsA(function->funcexpr, FuncExpr)) {
      List *arguments = reinterpret_cast<FuncExpr *>(function->funcexpr)->args;
      (void)hand_over(walk, *scope, arguments, list_flow(walk, *scope, arguments), 0);
    }
    flow_add(&flow, walk_expression(walk, *scope, function->funcexpr));
    decides |= set_decides(walk, *scope, function->funcexpr);
  }
  scan_rows(scope, inputs, same_everywhere(flow), scan->scan.scanrelid);
  return decides;
}

std::uint32_t walk_table_function(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  auto *scan = reinterpret_cast<TableFuncScan *>(plan);
  TableFunc *function = scan->tablefunc;
  Flow flow = walk_expression(walk, *scope, reinterpret_cast<Node *>(function));
  const bool runs_code = run_code(walk, function->coltypes) ||
                         exprType(function->docexpr) == XMLOID;  // parsed, with warnings that quote it
  const std::uint32_t told = runs_code ? handed_probes(walk, *scope, flow) : 0;
  // A column of a domain, or an array that any of the rows may hold an element of.
  if (told != 0 || ((runs_code || flow.many) && flow_explicit(flow) != 0)) {
    Node **const given_document = compat_document(function);
    List *document = list_make1(*given_document);
    meter_call(walk, *scope, document, told);
    meter_arguments(walk, *scope, document, runs_code ? 0 : kMeterReveals);
    // Columns are given what was passed by expressions of their own.
    List **const given = compat_passed_values(function);
    List *const passed = flow.many && given != nullptr ? *given : NIL;
    meter_arguments(walk, *scope, passed, kMeterReveals);
    // What columns hold besides.
    Flow rest = table_rest(walk, scope_after(*scope, flow_decides(flow)), function, passed);
    rest.implicit |= flow.implicit;
    flow = rest;
    *given_document = static_cast<Node *>(linitial(document));
  }
  scan_rows(scope, inputs, same_everywhere(flow), scan->scan.scanrelid);
  return flow_decides(flow);
}

std::uint32_t walk_values(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  auto *scan = reinterpret_cast<ValuesScan *>(plan);
  scan_rows(scope, inputs, walk_lists(walk, *scope, scan->values_lists), scan->scan.scanrelid);
  return 0;
}

std::uint32_t walk_foreign(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  auto *scan = reinterpret_cast<ForeignScan *>(plan);
  // Parameters are sent to the foreign server, which is disclosing them, and that it is asked at all.
  const Flow sent = list_flow(walk, *scope, scan->fdw_exprs);
  if (const std::uint32_t told = handed_probes(walk, *scope, sent); scan->fdw_exprs == NIL)
    walk->run |= told;
  else if (told != 0 || flow_explicit(sent) != 0)
    (void)hand_over(walk, *scope, scan->fdw_exprs, sent, 0);
  if (scan->fdw_scan_tlist != NIL) {
    ExprScope remote = *scope;
    remote.foreign = true;
    inputs->index = walk_target_list(walk, remote, scan->fdw_scan_tlist);
    scope->index = &inputs->index;
  }
  // The conditions of a join made by the foreign server cannot be seen.
  return scan->scan.scanrelid == 0 ? sources_of(walk, scan->fs_relids) : 0;
}

namespace {

// Copies of protected columns that a column of the type may be.
Flow columns_of_type(PlanWalk *walk, Oid type) {
  Flow flow = kNoFlow;
  for (int rti = 1; rti <= list_length(walk->plan->rtable); ++rti) {
    const RelationFacts *facts = relation_facts(walk, static_cast<Index>(rti));
    const Oid relid = rt_fetch(rti, walk->plan->rtable)->relid;
    for (int i = 0; i < facts->size; ++i)
      if (get_atttype(relid, facts->column[i].attno) == type)
        flow_max(&flow, relation_flow(walk, static_cast<Index>(rti), facts->column[i].attno));
  }
  return flow;
}

// A column of rows that another extension's node makes in a way of its own: the column of a table where the parser has
// said so, or else anything that the query lets it be.
Flow custom_column(PlanWalk *walk, const CustomScan *scan, AttrNumber attno) {
  if ((scan->flags & kNothingCarried) != 0) return kNoFlow;
  Oid type = InvalidOid;
  for (const auto *target : list_of<const TargetEntry>(scan->scan.plan.targetlist)) {
    const auto *variable = reinterpret_cast<const Var *>(target->expr);
    if (!IsA(variable, Var) || variable->varno != INDEX_VAR || variable->varattno != attno) continue;
    type = variable->vartype;
    for (Index rti = 1; rti <= static_cast<Index>(list_length(walk->plan->rtable)); ++rti)
      if (const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
          entry->rtekind == RTE_RELATION && entry->relid == target->resorigtbl)
        return relation_flow(walk, rti, target->resorigcol);
  }
  if ((scan->flags & kOnlyCopies) != 0 && OidIsValid(type)) return columns_of_type(walk, type);
  // The target list may take it in an expression, or not at all.
  if (!OidIsValid(type) && attno <= list_length(scan->custom_scan_tlist))
    type = exprType(reinterpret_cast<Node *>(list_nth_node(TargetEntry, scan->custom_scan_tlist, attno - 1)->expr));
  Flow flow = everything(walk);
  flow.many |= !OidIsValid(type) || OidIsValid(get_element_type(getBaseType(type)));
  return flow;
}

// A library whose planner is called before Redoubt's puts its scan around what Redoubt has seen: how many values there
// are in a value of its rows, nobody says.
[[noreturn]] void refuse_above() {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("another library has hidden what this query does with protected values"),
                  errhint("Name redoubt after that library in shared_preload_libraries.")));
  pg_unreachable();
}

// The last column that the node's expressions take from such rows.
int highest_index(const CustomScan *scan) {
  int highest = 0;
  const List *variables = variables_of(list_concat_copy(scan->scan.plan.targetlist, scan->scan.plan.qual));
  for (const auto *variable : list_of<const Var>(variables))
    if (variable->varno == INDEX_VAR) highest = std::max<int>(highest, variable->varattno);
  return highest;
}

}  // namespace

// Another extension's node: what it reads is known from its relations and children, and what its target list carries.
std::uint32_t walk_custom(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  auto *scan = reinterpret_cast<CustomScan *>(plan);
  std::uint32_t mask = 0;
  for (auto *below : list_of<Plan>(scan->custom_plans)) mask |= walk_plan(walk, below).implicit;
  walk_expression(walk, *scope, reinterpret_cast<Node *>(scan->custom_exprs));
  mask |= sources_of(walk, scan->custom_relids);
  if (scan->scan.scanrelid != 0 && scan->custom_scan_tlist == NIL) return mask;
  if (says_what_it_reads(walk->plan, scan)) {
    inputs->index = walk_target_list(walk, *scope, scan->custom_scan_tlist);
  } else {
    if ((scan->flags & kPlannedBelow) == 0 && scan->custom_plans == NIL) refuse_above();
    if ((scan->flags & kNothingDecides) == 0) mask |= everything(walk).implicit;
    inputs->index = node_flow_uniform(kNoFlow, std::max(list_length(scan->custom_scan_tlist), highest_index(scan)));
    for (int i = 0; i < inputs->index.size; ++i)
      inputs->index.column[i] = custom_column(walk, scan, static_cast<AttrNumber>(i + 1));
  }
  scope->index = &inputs->index;
  return mask;
}

std::uint32_t walk_index_scan(PlanWalk *walk, ExprScope *scope, Inputs *, Plan *plan) {
  const auto *scan = reinterpret_cast<IndexScan *>(plan);
  std::uint32_t mask =
      index_itself(walk, scan->scan.scanrelid, scan->indexid, scan->indexqual == NIL && plan->targetlist != NIL);
  mask |= index_quals(walk, *scope, scan->indexqualorig, scan->indexqual, true);
  return mask | index_quals(walk, *scope, scan->indexorderbyorig, scan->indexorderby);
}

std::uint32_t walk_index_only_scan(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const auto *scan = reinterpret_cast<IndexOnlyScan *>(plan);
  walk->of_index = OfIndex::asked;
  inputs->index = walk_target_list(walk, *scope, scan->indextlist);
  walk->of_index = OfIndex::no;
  scope->index = &inputs->index;
  std::uint32_t mask =
      index_itself(walk, scan->scan.scanrelid, scan->indexid, scan->indexqual == NIL && plan->targetlist != NIL);
  mask |= index_quals(walk, *scope, scan->indexqual, scan->indexqual);
  return mask | index_quals(walk, *scope, scan->indexorderby, scan->indexorderby);
}

std::uint32_t walk_bitmap_scan(PlanWalk *walk, ExprScope *scope, Inputs *, Plan *plan) {
  return index_quals(walk, *scope, reinterpret_cast<BitmapHeapScan *>(plan)->bitmapqualorig, NIL, true);
}

std::uint32_t walk_subquery(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const auto *scan = reinterpret_cast<SubqueryScan *>(plan);
  scan_rows(scope, inputs, walk_plan(walk, scan->subplan), scan->scan.scanrelid);
  return inputs->scan.implicit | order_decides(walk, &inputs->scan, scan->subplan);
}

std::uint32_t walk_cte(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const auto *scan = reinterpret_cast<CteScan *>(plan);
  const int id = scan->ctePlanId;
  SubplanFacts *cte = subplan_facts(walk, id);
  if (cte == nullptr) return 0;
  if (cte->cte_scan == nullptr) cte->cte_scan = plan;
  // What is joined of two scans is of different rows.
  const bool first = cte->cte_scan == plan;
  if (first) tell_of_subplan(walk, id);
  scan_rows(scope, inputs, first ? cte->rows : rows_of_others(walk, cte->rows, plan), scan->scan.scanrelid);
  walk->open = list_concat(walk->open, std::exchange(cte->open, NIL));  // its rows go on from here
  walk_called(walk, id, walk->context);
  return inputs->scan.implicit;
}

std::uint32_t walk_work_table(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan) {
  const auto *scan = reinterpret_cast<WorkTableScan *>(plan);
  if (const ParamFacts *param = param_facts(walk, scan->wtParam); param != nullptr)
    scan_rows(scope, inputs, param->work_table, scan->scan.scanrelid);
  return inputs->scan.implicit;
}

// A row-level security policy that names an untrusted function is paid for with every row
// of the scan where the planner has folded the call away: it may have called it to do so.
void walk_policies(PlanWalk *walk, Plan *plan) {
  const Index rti = reinterpret_cast<Scan *>(plan)->scanrelid;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind != RTE_RELATION || !relation_facts(walk, rti)->row_security) return;
  Bitmapset *columns = rls_policy_columns(entry->relid, compat_check_as_user(walk->plan, entry));
  if (columns == nullptr || calls_untrusted(reinterpret_cast<Node *>(plan->qual))) return;
  Flow flow = kNoFlow;
  for (const int attno : members_of(columns)) flow_add(&flow, relation_flow(walk, rti, static_cast<AttrNumber>(attno)));
  meter_row(walk, &plan, flow, 0);
}

}  // namespace redoubt::pg
