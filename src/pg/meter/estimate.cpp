// meter/estimate.cpp - see meter/estimate.h.
//
// Goes down the plan with three factors: how often the node is run, which part of its rows
// a LIMIT above will ask for, and how many processes share its work.  An expression is
// taken to be evaluated for each row that its node lets out, a condition for each row that
// comes in where that is known.
// Invariant: reads the plan, changes nothing, allocates nothing that outlives the call.
// Covered by sql/explain.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/each.h"
#include "pg/base/node_walk.h"
#include "pg/protect/function_trust.h"
#include "pg/meter/meter_function.h"
#include "pg/meter/estimate.h"
#include "pg/meter/read_meter.h"
#include "pg/plan/node_table.h"
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
};

void estimate_plan(Estimate *estimate, const Plan *plan, Factors factors);

bool charges_itself(const FuncExpr *call, Oid *token_type, Operation *operation) {
  if (!is_redoubt_function(call->funcid) || list_length(call->args) != 1) return false;
  const Oid types[] = {exprType(static_cast<Node *>(linitial(call->args))), call->funcresulttype};
  constexpr Operation operations[] = {Operation::reveal, Operation::masked, Operation::tokenize};
  for (const Oid type : types) {
    const TokenType *of = token_type_find(type);
    for (int i = 0; of != nullptr && i < kPrivileges; ++i) {
      if (of->gate[static_cast<std::size_t>(i)] != call->funcid) continue;
      *token_type = type;
      *operation = operations[i];
      return true;
    }
  }
  return false;
}

void estimate_call(Estimate *estimate, const FuncExpr *call, double times) {
  const auto *node = reinterpret_cast<const Node *>(call);
  Oid token_type = InvalidOid;
  Operation operation = Operation::read;
  if (const MeterSpec *meter = meter_spec(node); meter != nullptr) {
    estimate->workers_meter |= estimate->in_workers;
    for (const MeterItem &item : std::span(meter->item, meter->items)) {
      if (item.operation == Operation::probe) {
        if (const int type = plan_type(estimate->analysis, item.token_type); type >= 0)
          estimate->probes.ask(meter->point, type, times * item.count);
        continue;
      }
      const bool revealed = item.is_token && (meter->flags & kMeterReveals) != 0 && read_is_revealed(item.token_type);
      estimate->visit(estimate->to, item.token_type, revealed ? read_revealed_as(item.token_type) : Operation::read,
                      times * item.count);
    }
  } else if (charges_itself(call, &token_type, &operation)) {
    estimate->visit(estimate->to, token_type, operation, times);
  }
}

// `times`: evaluations of the expressions; `input`: of the arguments of aggregates in them.
void estimate_expressions(Estimate *estimate, const void *expressions, double times, double input) {
  auto *node = static_cast<Node *>(const_cast<void *>(expressions));
  if (node == nullptr) return;
  if (IsA(node, FuncExpr)) estimate_call(estimate, reinterpret_cast<const FuncExpr *>(node), times);
  if (const auto *subplan = reinterpret_cast<const SubPlan *>(node); IsA(node, SubPlan)) {
    const double runs = subplan->parParam != NIL ? times : 1;  // without parameters it is run once
    const auto *plan = static_cast<const Plan *>(list_nth(estimate->plan->subplans, subplan->plan_id - 1));
    estimate_plan(estimate, plan, {runs, 1, 1});
  }
  if (IsA(node, Aggref)) times = input;
  each_child(node, [=](Node *child) { estimate_expressions(estimate, child, times, input); });
}

double relation_rows(const Estimate *estimate, const Scan *scan) {
  const RangeTblEntry *entry = rt_fetch(scan->scanrelid, estimate->plan->rtable);
  return catalog_field(RELOID, entry->relid, &FormData_pg_class::reltuples);
}

// Rows that the conditions of a node see.
double rows_in(const Estimate *estimate, const Plan *plan, const PlanKind *kind, const Factors &factors) {
  double in = 0;
  if (kind != nullptr && (kind->traits & kReadsTable) != 0)
    in = relation_rows(estimate, reinterpret_cast<const Scan *>(plan));
  else if (IsA(plan, SubqueryScan))
    in = reinterpret_cast<const SubqueryScan *>(plan)->subplan->plan_rows * factors.share;
  else if (outerPlan(plan) != nullptr)
    in = outerPlan(plan)->plan_rows * factors.share;
  return std::max(in, plan->plan_rows * factors.share) * factors.loops * factors.fraction;
}

bool reads_all_input(const Plan *plan, const PlanKind *kind) {
  return (kind != nullptr && (kind->traits & kReadsAll) != 0) ||
         (IsA(plan, Agg) && reinterpret_cast<const Agg *>(plan)->aggstrategy != AGG_SORTED);
}

// What kinds of node evaluate besides target list and conditions, and plans that are neither outer nor inner.  (Of ON
// CONFLICT nothing: the planner expects no conflict.)
void estimate_own(Estimate *estimate, const Plan *plan, const PlanKind &kind, const Factors &factors, double in) {
  const double seen = IsA(plan, NestLoop) ? in * innerPlan(plan)->plan_rows : in;
  for (const Member member : kind.each_row)
    if (member != 0) estimate_expressions(estimate, member_of(plan, member), seen, seen);
  for (const Member member : {kind.each_run, kind.gate})
    if (member != 0) estimate_expressions(estimate, member_of(plan, member), factors.loops, factors.loops);
  for (const auto *branch : list_of<const Plan>(list_at(plan, kind.plans))) estimate_plan(estimate, branch, factors);
}

void estimate_children(Estimate *estimate, const Plan *plan, const PlanKind *kind, Factors factors) {
  const Plan *outer = outerPlan(plan);
  if (outer == nullptr) return;
  const bool gathers = IsA(plan, Gather) || IsA(plan, GatherMerge);
  const bool in_workers = std::exchange(estimate->in_workers, estimate->in_workers || gathers);
  Factors below = factors;
  if (reads_all_input(plan, kind)) below.fraction = 1;
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
  const PlanKind *kind = plan_kind(plan);
  const double in = rows_in(estimate, plan, kind, factors);
  const double out = plan->plan_rows * factors.loops * factors.fraction * factors.share;
  estimate_expressions(estimate, plan->initPlan, 1, 1);
  estimate_expressions(estimate, plan->targetlist, out, in);
  estimate_expressions(estimate, plan->qual, in, in);
  if (kind != nullptr) estimate_own(estimate, plan, *kind, factors, in);
  estimate_children(estimate, plan, kind, factors);
}

}  // namespace

bool plan_estimate(const PlannedStmt *plan, const PlanAnalysis *analysis, VisitCharge visit, void *to) {
  Estimate estimate = {plan, analysis, {analysis, palloc0(ProbeTree<double>::size(analysis))}, visit, to};
  estimate_plan(&estimate, plan->planTree, {1, 1, 1});
  for (int i = 0; i < analysis->types; ++i)
    visit(to, analysis->type[i], Operation::probe, estimate.probes.answer(i).below);
  return plan->parallelModeNeeded && estimate.workers_meter;
}

}  // namespace redoubt::pg
