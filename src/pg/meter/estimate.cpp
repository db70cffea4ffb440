// meter/estimate.cpp - see meter/estimate.h.
//
// Goes down the plan with three factors: how often the node is run, which part of its rows
// a LIMIT above will ask for, and how many processes share its work.  An expression is
// taken to be evaluated for each row that its node lets out, a condition for each row that
// comes in where that is known.
// Invariant: reads the plan, changes nothing, allocates nothing that outlives the call.
// Covered by sql/explain.sql.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/protect/function_trust.h"
#include "pg/meter/meter_function.h"
#include "pg/meter/estimate.h"
#include "pg/meter/read_meter.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {
namespace {

struct Factors {
  double loops;     // runs of the node
  double fraction;  // of its rows, asked for by a LIMIT above
  double share;     // processes that run it
};

struct Estimate {
  const PlannedStmt *plan;
  const PlanAnalysis *analysis;
  ProbeTree<double> probes;
  VisitCharge visit;
  void *to;
  bool in_workers = false;     // the nodes at hand are run by parallel workers
  bool workers_meter = false;  // a meter was met there
  double times = 0;            // evaluations of the expression at hand
  double input = 0;            // evaluations of the arguments of aggregates in it
};

void estimate_plan(Estimate *estimate, const Plan *plan, Factors factors);

bool charges_itself(const FuncExpr *call, Oid *token_type, Operation *operation) {
  if (!is_redoubt_function(call->funcid) || list_length(call->args) != 1) return false;
  const Oid types[] = {exprType(static_cast<Node *>(linitial(call->args))), call->funcresulttype};
  constexpr Operation operations[] = {Operation::reveal, Operation::masked, Operation::tokenize};
  for (const Oid type : types) {
    const TokenType *policy = token_type_find(type);
    for (int i = 0; policy != nullptr && i < kPrivileges; ++i) {
      if (policy->gate[static_cast<std::size_t>(i)] != call->funcid) continue;
      *token_type = type;
      *operation = operations[i];
      return true;
    }
  }
  return false;
}

void estimate_call(Estimate *estimate, const FuncExpr *call) {
  const auto *node = reinterpret_cast<const Node *>(call);
  Oid token_type = InvalidOid;
  Operation operation = Operation::read;
  if (const MeterSpec *meter = meter_spec(node); meter != nullptr) {
    estimate->workers_meter |= estimate->in_workers;
    for (const MeterItem &item : std::span(meter->item, meter->items)) {
      if (item.operation == Operation::probe) {
        if (const int type = plan_type(estimate->analysis, item.token_type); type >= 0)
          estimate->probes.ask(meter->point, type, estimate->times);
        continue;
      }
      const bool revealed = item.is_token && (meter->flags & kMeterReveals) != 0 && read_is_revealed(item.token_type);
      estimate->visit(estimate->to, item.token_type, revealed ? read_revealed_as(item.token_type) : Operation::read,
                      estimate->times * item.count);
    }
  } else if (charges_itself(call, &token_type, &operation)) {
    estimate->visit(estimate->to, token_type, operation, estimate->times);
  }
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool plan_estimate_expression(Node *node, void *context) {
  using namespace redoubt::pg;
  if (node == nullptr) return false;
  auto *estimate = static_cast<Estimate *>(context);
  if (IsA(node, FuncExpr)) estimate_call(estimate, reinterpret_cast<const FuncExpr *>(node));
  if (IsA(node, Aggref)) {
    const double times = std::exchange(estimate->times, estimate->input);
    expression_tree_walker(node, tree_walker(plan_estimate_expression), context);
    estimate->times = times;
    return false;
  }
  if (IsA(node, SubPlan)) {
    const auto *subplan = reinterpret_cast<const SubPlan *>(node);
    const double times = estimate->times;
    const double input = estimate->input;
    const double runs = subplan->parParam != NIL ? times : 1;  // without parameters it is run once
    const auto *plan = static_cast<const Plan *>(list_nth(estimate->plan->subplans, subplan->plan_id - 1));
    estimate_plan(estimate, plan, {runs, 1, 1});
    estimate->times = times;
    estimate->input = input;
  }
  return expression_tree_walker(node, tree_walker(plan_estimate_expression), context);
}
}

namespace redoubt::pg {
namespace {

void estimate_expressions(Estimate *estimate, const void *expressions, double times, double input) {
  estimate->times = times;
  estimate->input = input;
  plan_estimate_expression(static_cast<Node *>(const_cast<void *>(expressions)), estimate);
}

double relation_rows(const Estimate *estimate, const Scan *scan) {
  const RangeTblEntry *entry = rt_fetch(scan->scanrelid, estimate->plan->rtable);
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(entry->relid));
  if (!HeapTupleIsValid(tuple)) return 0;
  const double rows = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->reltuples;
  ReleaseSysCache(tuple);
  return rows;
}

// Rows that the conditions of a node see.
double rows_in(const Estimate *estimate, const Plan *plan, const Factors &factors) {
  const double out = plan->plan_rows * factors.share;
  double in = 0;
  switch (nodeTag(plan)) {
    case T_SeqScan:
    case T_SampleScan:
    case T_TidScan:
    case T_TidRangeScan:
      in = relation_rows(estimate, reinterpret_cast<const Scan *>(plan));
      break;
    case T_SubqueryScan:
      in = reinterpret_cast<const SubqueryScan *>(plan)->subplan->plan_rows * factors.share;
      break;
    default:
      if (outerPlan(plan) != nullptr) in = outerPlan(plan)->plan_rows * factors.share;
      break;
  }
  return std::max(in, out) * factors.loops * factors.fraction;
}

bool reads_all_input(const Plan *plan) {
  return IsA(plan, Sort) || IsA(plan, Hash) || IsA(plan, ModifyTable) ||
         (IsA(plan, Agg) && reinterpret_cast<const Agg *>(plan)->aggstrategy != AGG_SORTED);
}

void estimate_list(Estimate *estimate, const List *plans, const Factors &factors) {
  ListCell *cell = nullptr;
  foreach (cell, plans) estimate_plan(estimate, static_cast<const Plan *>(lfirst(cell)), factors);
}

// What kinds of node evaluate besides target list and conditions.
void estimate_own(Estimate *estimate, const Plan *plan, const Factors &factors, double in) {
  const double runs = factors.loops;
  switch (nodeTag(plan)) {
    case T_IndexScan:
      return estimate_expressions(estimate, reinterpret_cast<const IndexScan *>(plan)->indexqual, runs, runs);
    case T_IndexOnlyScan:
      return estimate_expressions(estimate, reinterpret_cast<const IndexOnlyScan *>(plan)->indexqual, runs, runs);
    case T_BitmapIndexScan:
      return estimate_expressions(estimate, reinterpret_cast<const BitmapIndexScan *>(plan)->indexqual, runs, runs);
    case T_FunctionScan: {
      const auto *scan = reinterpret_cast<const FunctionScan *>(plan);
      ListCell *cell = nullptr;
      foreach (cell, scan->functions)
        estimate_expressions(estimate, static_cast<const RangeTblFunction *>(lfirst(cell))->funcexpr, runs, runs);
      return;
    }
    case T_TableFuncScan:
      return estimate_expressions(estimate, reinterpret_cast<const TableFuncScan *>(plan)->tablefunc, runs, runs);
    case T_ValuesScan:
      return estimate_expressions(estimate, reinterpret_cast<const ValuesScan *>(plan)->values_lists, runs, runs);
    case T_NestLoop: {
      const double pairs = in * innerPlan(plan)->plan_rows;
      return estimate_expressions(estimate, reinterpret_cast<const Join *>(plan)->joinqual, pairs, pairs);
    }
    case T_MergeJoin:
    case T_HashJoin:
      return estimate_expressions(estimate, reinterpret_cast<const Join *>(plan)->joinqual, in, in);
    case T_ForeignScan:
      return estimate_expressions(estimate, reinterpret_cast<const ForeignScan *>(plan)->fdw_exprs, runs, runs);
    case T_SubqueryScan:
      return estimate_plan(estimate, reinterpret_cast<const SubqueryScan *>(plan)->subplan, factors);
    case T_Append:
      return estimate_list(estimate, reinterpret_cast<const Append *>(plan)->appendplans, factors);
    case T_MergeAppend:
      return estimate_list(estimate, reinterpret_cast<const MergeAppend *>(plan)->mergeplans, factors);
    case T_BitmapAnd:
      return estimate_list(estimate, reinterpret_cast<const BitmapAnd *>(plan)->bitmapplans, factors);
    case T_BitmapOr:
      return estimate_list(estimate, reinterpret_cast<const BitmapOr *>(plan)->bitmapplans, factors);
    case T_CustomScan:
      return estimate_list(estimate, reinterpret_cast<const CustomScan *>(plan)->custom_plans, factors);
    case T_ModifyTable: {
      const auto *modify = reinterpret_cast<const ModifyTable *>(plan);
      estimate_expressions(estimate, modify->returningLists, in, in);
      ListCell *cell = nullptr;
      foreach (cell, modify->mergeActionLists) estimate_expressions(estimate, lfirst(cell), in, in);
      return;  // ON CONFLICT: the planner expects no conflict
    }
    default:
      return;
  }
}

void estimate_children(Estimate *estimate, const Plan *plan, Factors factors) {
  const Plan *outer = outerPlan(plan);
  if (outer == nullptr) return;
  const bool gathers = IsA(plan, Gather) || IsA(plan, GatherMerge);
  const bool in_workers = std::exchange(estimate->in_workers, estimate->in_workers || gathers);
  Factors below = factors;
  if (reads_all_input(plan)) below.fraction = 1;
  if (IsA(plan, Limit)) below.fraction *= std::min(1.0, plan->plan_rows / std::max(outer->plan_rows, 1.0));
  if (gathers) below.share = std::max(1.0, plan->plan_rows / std::max(outer->plan_rows, 1.0));
  estimate_plan(estimate, outer, below);
  if (innerPlan(plan) != nullptr) {
    below.fraction = 1;
    if (IsA(plan, NestLoop) && !IsA(innerPlan(plan), Material))
      below.loops *= std::max(outer->plan_rows * factors.fraction * factors.share, 1.0);
    estimate_plan(estimate, innerPlan(plan), below);
  }
  estimate->in_workers = in_workers;
}

void estimate_plan(Estimate *estimate, const Plan *plan, Factors factors) {
  if (plan == nullptr) return;
  check_stack_depth();
  const double in = rows_in(estimate, plan, factors);
  const double out = plan->plan_rows * factors.loops * factors.fraction * factors.share;
  ListCell *cell = nullptr;
  foreach (cell, plan->initPlan) estimate_expressions(estimate, lfirst(cell), 1, 1);
  estimate_expressions(estimate, plan->targetlist, out, in);
  estimate_expressions(estimate, plan->qual, in, in);
  estimate_own(estimate, plan, factors, in);
  estimate_children(estimate, plan, factors);
}

void visit_nothing(void *, Oid, Operation, double) {}

}  // namespace

void plan_estimate(const PlannedStmt *plan, const PlanAnalysis *analysis, VisitCharge visit, void *to) {
  Estimate estimate = {plan, analysis, {analysis, palloc0(ProbeTree<double>::size(analysis))}, visit, to};
  estimate_plan(&estimate, plan->planTree, {1, 1, 1});
  for (int i = 0; i < analysis->types; ++i)
    visit(to, analysis->type[i], Operation::probe, estimate.probes.answer(i).below);
}

bool plan_meters_in_workers(const PlannedStmt *plan, const PlanAnalysis *analysis) {
  if (!plan->parallelModeNeeded) return false;
  Estimate estimate = {plan, analysis, {analysis, palloc0(ProbeTree<double>::size(analysis))}, visit_nothing, nullptr};
  estimate_plan(&estimate, plan->planTree, {1, 1, 1});
  return estimate.workers_meter;
}

}  // namespace redoubt::pg
