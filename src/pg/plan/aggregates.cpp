// plan/aggregates.cpp - the flow of aggregates and window functions.
//
// An aggregate that can carry its input out (string_agg, sum, any of a user's) is paid for at the input; one that
// returns a count, or at most one of its inputs, is not. One whose result grows with its input (string_agg, sum of
// numeric, any of a user's) keeps the rows it is given: they cost the probes that they would as rows of the result.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/protect/function_trust.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "optimizer/optimizer.h"
}

namespace redoubt::pg {
namespace {

// An Aggref or a WindowFunc.
struct Call {
  const void *node;  // or the plan node, of which it is the nth
  int nth;
  bool first;  // of its row
  Oid function;
  List *arguments;
  List *direct;  // arguments that are computed once
  Expr *filter;
  AggSplit split;
  int transition;  // number of its transition state, which aggregates of the same input share; -1: a window's
  bool distinct;
  bool aggregates;  // not a window function proper
};

Call call_of(const Plan *plan, Aggref *node) {
  return {plan,
          node->aggno,
          node->aggno == 0,
          node->aggfnoid,
          node->args,
          node->aggdirectargs,
          node->aggfilter,
          node->aggsplit,
          node->aggtransno,
          node->aggdistinct != NIL,
          true};
}

// Window functions pass their rows on to those above, so there is one first in a statement.
Call call_of(const PlanWalk *walk, WindowFunc *node) {
  return {node,
          0,
          node == walk->first_window,
          node->winfnoid,
          node->args,
          NIL,
          node->aggfilter,
          AGGSPLIT_SIMPLE,
          -1,
          false,
          node->winagg};
}

// What a call needs of its input: the arguments, and what its order and filter look at.
Flow input_flow(PlanWalk *walk, const ExprScope &scope, const Call &call) {
  Flow flow = kNoFlow;
  std::uint32_t decides = 0;
  bool first = true;
  ExprScope input = scope;  // evaluated for every row taken in that the filter lets pass
  input.rows = scope.taken;
  if (call.filter != nullptr)
    decides = flow_decides(walk_expression(walk, input, reinterpret_cast<Node *>(call.filter)));
  input.rows |= decides;
  for (auto *node : list_of<Node>(call.arguments)) {
    const bool junk = IsA(node, TargetEntry) && reinterpret_cast<TargetEntry *>(node)->resjunk;
    const Flow argument = walk_expression(walk, input, node);
    if (junk) {
      decides |= flow_decides(argument);
    } else if (first) {
      flow = argument;
      first = false;
    } else {
      flow_add(&flow, argument);
    }
  }
  for (auto *node : list_of<Node>(call.direct)) flow_add(&flow, walk_expression(walk, scope, node));
  flow.implicit |= decides;
  return flow;
}

bool is_array_agg(Oid aggregate) { return aggregate == F_ARRAY_AGG_ANYNONARRAY || aggregate == F_ARRAY_AGG_ANYARRAY; }

// The result is at most one of the inputs, or one bit.  (A sum is not: what it is given many times can pack many values
// into one number.)
bool is_single_valued(Oid aggregate) {
  return aggregate == F_MODE || aggregate == F_PERCENTILE_DISC_FLOAT8_ANYELEMENT || compat_is_any_value(aggregate) ||
         is_extreme(aggregate);
}

// Does the call carry its input out, so that every input row is charged?
bool carries_out(const Call &call, const Flow &input) {
  if (flow_explicit(input) == 0 || is_count(call.function) || is_single_valued(call.function)) return false;
  return call.split != AGGSPLIT_SIMPLE || !is_array_agg(call.function);
}

// Can the result hold something of every input row?  A sum of numbers that a protected value chose can.
bool keeps_rows(const Call &call) {
  if (call.function >= FirstNormalObjectId) return true;
  return call.aggregates && !is_count(call.function) && !is_single_valued(call.function);
}

// Is the result another one where the rows come in another order?  Of numbers only those of floating point are rounded
// on the way.
bool depends_on_order(const Call &call, Oid type) {
  if (call.function >= FirstNormalObjectId || compat_is_any_value(call.function)) return true;
  if (type == FLOAT4OID || type == FLOAT8OID) return true;
  return keeps_rows(call) && type != NUMERICOID && get_typlen(type) < 0;
}

// What is told with a row besides what its first call tells.
Flow further_flow(PlanWalk *walk, const ExprScope &scope, const Call &call, Flow flow) {
  if (call.first || keeps_rows(call)) return flow;
  flow.implicit |= scope.taken;
  return flow_of_others(walk, flow, call.node, call.nth);
}

// What a call returns that does not carry its input out.
Flow result_flow(PlanWalk *walk, const ExprScope &scope, const Call &call, Flow flow) {
  if (is_count(call.function)) {
    // How many different ones there are tells which are equal; of an expression, which ones are null tells something.
    const auto *argument = static_cast<const TargetEntry *>(call.arguments != NIL ? linitial(call.arguments) : nullptr);
    const bool row = argument != nullptr && IsA(argument, TargetEntry) && IsA(argument->expr, RowExpr);
    if (call.distinct || (!flow.pure && !row)) flow.implicit |= flow_explicit(flow);
    flow_clear_explicit(&flow);
  }
  if (is_array_agg(call.function) && flow_explicit(flow) != 0) flow.many = true;
  // The least or greatest of opened values is one of them.
  flow.pure = flow.pure && !flow.sometimes && (call.function == F_MIN_TEXT || call.function == F_MAX_TEXT) &&
              is_opened_only(walk->analysis, flow);
  if (flow.pure) flow.implicit |= order_compares(walk, flow) & ~flow_explicit(flow);
  flow.paid = 0;
  return further_flow(walk, scope, call, flow);
}

// The call and the functions that it is made of; of a built-in one, such as json_agg, casts of what it is given.
void foresee_call(PlanWalk *walk, Oid function, const List *arguments) {
  foresee_casts(walk, function, arguments);
  if (!walk->last || function < FirstNormalObjectId) return;
  foresee_function(walk, function);
  HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return;
  const auto *form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
  const Oid parts[] = {form->aggtransfn,    form->aggfinalfn,  form->aggcombinefn,   form->aggserialfn,
                       form->aggdeserialfn, form->aggmtransfn, form->aggminvtransfn, form->aggmfinalfn};
  ReleaseSysCache(tuple);
  for (const Oid part : parts)
    if (OidIsValid(part)) foresee_function(walk, part);
}

Flow call_flow(PlanWalk *walk, const ExprScope &scope, const Call &call) {
  foresee_call(walk, call.function, call.arguments);
  const Flow input = input_flow(walk, scope, call);
  // What a partial aggregate below has passed up was judged there.
  if (DO_AGGSPLIT_COMBINE(call.split)) return input;
  const bool shared = call.transition >= 0 && bms_is_member(call.transition, scope.disclosing);
  if (scope.foreign || flow_explicit(input) == 0 || !(shared || carries_out(call, input)))
    return result_flow(walk, scope, call, input);
  const ExprScope taken = scope_after(scope, scope.taken | input.implicit);
  const std::uint16_t flags = call.function < FirstNormalObjectId ? meter_reveals(get_func_rettype(call.function)) : 0;
  meter_arguments(walk, taken, call.arguments, flags);
  meter_arguments(walk, taken, call.direct, flags);
  return flow_paid(input);
}

}  // namespace

// A user's aggregate can claim anything, a sort operator, too.
bool is_extreme(Oid aggregate) {
  return aggregate < FirstNormalObjectId &&
         OidIsValid(catalog_field(AGGFNOID, aggregate, &FormData_pg_aggregate::aggsortop));
}

Flow aggregate_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  return call_flow(walk, scope, call_of(scope.plan, reinterpret_cast<Aggref *>(node)));
}

Flow window_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  auto *function = reinterpret_cast<WindowFunc *>(node);
  const Call call = call_of(walk, function);
  if (function->winagg) return call_flow(walk, scope, call);
  foresee_call(walk, function->winfnoid, function->args);
  const Flow input = input_flow(walk, scope, call);
  // lag, first_value...: one value per output row; a user's window function sees all of them.
  if (function->winfnoid < FirstNormalObjectId) {
    Flow one = input;
    one.sometimes |= list_length(function->args) > 2;  // lag() and lead() with a default
    return further_flow(walk, scope, call, one);
  }
  return walk_call(walk, scope, function->winfnoid, function->wintype, false, function->args, input);
}

TakenRows taken_rows(PlanWalk *walk, const ExprScope &scope, std::uint32_t order, const Plan *plan) {
  TakenRows taken = {};
  const bool unmetered = walk->analysis->unmetered;
  const bool last = std::exchange(walk->last, false);  // only looking: nothing is put in
  List *nodes = pull_var_clause(reinterpret_cast<Node *>(list_make2(plan->targetlist, plan->qual)),
                                PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_WINDOWFUNCS | PVC_INCLUDE_PLACEHOLDERS);
  for (auto *node : list_of<Node>(nodes)) {
    if (!IsA(node, Aggref) && !IsA(node, WindowFunc)) continue;
    if (IsA(node, WindowFunc) && walk->first_window == nullptr)
      walk->first_window = reinterpret_cast<const WindowFunc *>(node);
    const Call call = IsA(node, Aggref) ? call_of(plan, reinterpret_cast<Aggref *>(node))
                                        : call_of(walk, reinterpret_cast<WindowFunc *>(node));
    const bool ordered = depends_on_order(call, exprType(node));
    taken.ordered |= ordered;
    const std::uint32_t rows = ordered ? scope.taken : scope.taken & ~order;
    if (DO_AGGSPLIT_COMBINE(call.split)) {  // the rows were paid for where they were taken in
      if (keeps_rows(call)) taken.decides |= rows;
      continue;
    }
    const Flow input = input_flow(walk, scope, call);
    const bool metered = carries_out(call, input);
    const std::uint32_t decides = rows | input.implicit;
    // A null in an array may be there by another value.
    if (keeps_rows(call)) taken.decides |= metered ? flow_probes(decides, input) : decides;
    if (metered && call.transition >= 0) taken.disclosing = bms_add_member(taken.disclosing, call.transition);
  }
  walk->last = last;
  walk->analysis->unmetered = unmetered;
  return taken;
}

}  // namespace redoubt::pg
