// plan_aggregates.cpp - the flow of aggregates and window functions.
//
// An aggregate that can carry its input out (string_agg, json_agg, any of a user's) is
// paid for at the input; one that returns a count, or at most one of its inputs, is not.
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/compat.h"
#include "pg/meter_function.h"
#include "pg/plan_walk.h"

extern "C" {
#include "catalog/pg_aggregate.h"
}

namespace redoubt::pg {
namespace {

// What of an aggregate's input it needs: the arguments, and what its order and filter look at.
Flow aggregate_input(PlanWalk *walk, const ExprScope &scope, const List *arguments, const List *direct, Expr *filter) {
  Flow flow = kNoFlow;
  std::uint32_t decides = 0;
  bool first = true;
  ListCell *cell = nullptr;
  foreach (cell, arguments) {
    auto *node = static_cast<Node *>(lfirst(cell));
    const bool junk = IsA(node, TargetEntry) && reinterpret_cast<TargetEntry *>(node)->resjunk;
    const Flow argument = walk_expression(walk, scope, node);
    if (junk) {
      decides |= flow_decides(argument);
    } else if (first) {
      flow = argument;
      first = false;
    } else {
      flow_add(&flow, argument);
    }
  }
  foreach (cell, direct) flow_add(&flow, walk_expression(walk, scope, static_cast<Node *>(lfirst(cell))));
  if (filter != nullptr) decides |= flow_decides(walk_expression(walk, scope, reinterpret_cast<Node *>(filter)));
  flow.implicit |= decides;
  return flow;
}

bool is_count(Oid aggregate) { return aggregate == F_COUNT_ || aggregate == F_COUNT_ANY; }
bool is_array_agg(Oid aggregate) { return aggregate == F_ARRAY_AGG_ANYNONARRAY || aggregate == F_ARRAY_AGG_ANYARRAY; }

// The result is at most one of the inputs, one bit, or a mean of bare values.  A user's
// aggregate can claim anything (a sort operator, too), so only built-in ones are believed.
bool is_single_valued(Oid aggregate, const Flow &input) {
  if (aggregate >= FirstNormalObjectId) return false;
  if (aggregate == F_MODE || aggregate == F_PERCENTILE_DISC_FLOAT8_ANYELEMENT) return true;
  HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
  if (!HeapTupleIsValid(tuple)) return false;
  const bool extreme = OidIsValid(reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple))->aggsortop);
  ReleaseSysCache(tuple);
  if (extreme || !input.pure) return extreme;  // of an expression, sum() can pack many values into one number
  const char *name = get_func_name(aggregate);
  return name != nullptr && (strcmp(name, "sum") == 0 || strcmp(name, "avg") == 0 || strncmp(name, "stddev", 6) == 0 ||
                             strncmp(name, "var", 3) == 0);
}

// Does the aggregate carry its input out, so that every input row is charged?
bool carries_out(Oid aggregate, const Flow &input, AggSplit split) {
  if (flow_explicit(input) == 0 || is_count(aggregate) || is_single_valued(aggregate, input)) return false;
  return split != AGGSPLIT_SIMPLE || !is_array_agg(aggregate);
}

Flow aggregate_result(Oid aggregate, Flow flow, AggSplit split) {
  if (is_count(aggregate)) flow_clear_explicit(&flow);
  if (split == AGGSPLIT_SIMPLE && is_array_agg(aggregate) && flow_explicit(flow) != 0) flow.many = true;
  flow.pure = false;
  return flow;
}

struct FindAggregates {
  PlanWalk *walk;
  const ExprScope *scope;
  Bitmapset *disclosing;
};

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool plan_aggregates_find(Node *node, void *context) {
  using namespace redoubt::pg;
  if (node == nullptr) return false;
  auto *find = static_cast<FindAggregates *>(context);
  if (IsA(node, Aggref)) {
    auto *aggregate = reinterpret_cast<Aggref *>(node);
    if (DO_AGGSPLIT_COMBINE(aggregate->aggsplit)) return false;
    const bool last = find->walk->last;
    find->walk->last = false;  // only looking: nothing is put in
    const Flow input =
        aggregate_input(find->walk, *find->scope, aggregate->args, aggregate->aggdirectargs, aggregate->aggfilter);
    find->walk->last = last;
    if (carries_out(aggregate->aggfnoid, input, aggregate->aggsplit))
      find->disclosing = bms_add_member(find->disclosing, aggregate->aggtransno);
    return false;
  }
  return expression_tree_walker(node, tree_walker(plan_aggregates_find), context);
}
}

namespace redoubt::pg {

Flow aggregate_flow(PlanWalk *walk, const ExprScope &scope, Aggref *aggregate) {
  const Flow input = aggregate_input(walk, scope, aggregate->args, aggregate->aggdirectargs, aggregate->aggfilter);
  // What a partial aggregate below has passed up was judged there.
  if (DO_AGGSPLIT_COMBINE(aggregate->aggsplit)) return input;
  const bool shared = bms_is_member(aggregate->aggtransno, scope.disclosing);
  if (!scope.foreign &&
      (carries_out(aggregate->aggfnoid, input, aggregate->aggsplit) || (shared && flow_explicit(input) != 0))) {
    const bool built_in = aggregate->aggfnoid < FirstNormalObjectId;
    meter_arguments(walk, scope, aggregate->args, built_in ? kMeterReveals : 0);
    meter_arguments(walk, scope, aggregate->aggdirectargs, built_in ? kMeterReveals : 0);
    return flow_paid(input);
  }
  return aggregate_result(aggregate->aggfnoid, input, aggregate->aggsplit);
}

// The input of a window aggregate is paid for at the child, see plan_nodes.cpp.
Flow window_flow(PlanWalk *walk, const ExprScope &scope, WindowFunc *function) {
  const Flow input = aggregate_input(walk, scope, function->args, NIL, function->aggfilter);
  if (!function->winagg) {
    // lag, first_value...: one value per output row; a user's window function sees all of them.
    if (function->winfnoid < FirstNormalObjectId) return input;
    return walk_call(walk, scope, function->winfnoid, function->wintype, false, function->args, input);
  }
  if (carries_out(function->winfnoid, input, AGGSPLIT_SIMPLE)) return flow_paid(input);
  return aggregate_result(function->winfnoid, input, AGGSPLIT_SIMPLE);
}

// Aggregates with the same input share one transition state, made from either's
// arguments: where one of them discloses, all of them are metered.
Bitmapset *disclosing_aggregates(PlanWalk *walk, const ExprScope &scope, const Plan *plan) {
  FindAggregates find = {walk, &scope, nullptr};
  plan_aggregates_find(reinterpret_cast<Node *>(plan->targetlist), &find);
  plan_aggregates_find(reinterpret_cast<Node *>(plan->qual), &find);
  return find.disclosing;
}

Flow window_input(PlanWalk *walk, const ExprScope &scope, WindowFunc *function) {
  Flow input = kNoFlow;
  if (!function->winagg) return input;
  input = aggregate_input(walk, scope, function->args, NIL, function->aggfilter);
  return carries_out(function->winfnoid, input, AGGSPLIT_SIMPLE) ? input : kNoFlow;
}

}  // namespace redoubt::pg
