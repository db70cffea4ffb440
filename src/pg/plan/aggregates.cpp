// plan/aggregates.cpp - the flow of aggregates and window functions.
//
// An aggregate that can carry its input out (string_agg, json_agg, any of a user's) is
// paid for at the input; one that returns a count, or at most one of its inputs, is not.
// One whose result grows with its input (string_agg, sum of numeric, any of a user's) keeps
// the rows it is given: they cost the probes that they would as rows of the result.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/protect/function_trust.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

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
  ExprScope input = scope;  // evaluated for every row taken in that the filter lets pass
  input.rows = scope.taken;
  input.charged = false;
  if (filter != nullptr) decides = flow_decides(walk_expression(walk, input, reinterpret_cast<Node *>(filter)));
  input.rows |= decides;
  ListCell *cell = nullptr;
  foreach (cell, arguments) {
    auto *node = static_cast<Node *>(lfirst(cell));
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
  foreach (cell, direct) flow_add(&flow, walk_expression(walk, scope, static_cast<Node *>(lfirst(cell))));
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
  if (compat_is_any_value(aggregate)) return true;
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

// Of these built-in functions it is known that only null makes them null; of trusted ones of
// anyone's it is believed, for their nulls disclose no more than their values.
bool null_for_null_only(Oid function) {
  switch (function) {
    case F_LOWER_TEXT:
    case F_UPPER_TEXT:
    case F_INITCAP:
    case F_LENGTH_TEXT:
    case F_MD5_TEXT:
    case F_LEFT:
    case F_RIGHT:
    case F_BTRIM_TEXT:
    case F_TEXT_BPCHAR:
    case F_VARCHAR_VARCHAR_INT4_BOOL:
    case F_BPCHAR_BPCHAR_INT4_BOOL:
      return true;
    default:
      return function >= FirstNormalObjectId && function_is_trusted(function);
  }
}

// Is an expression null only where a column is?  Then counting it tells no more than counting that.
bool counts_as_column(PlanWalk *walk, const ExprScope &scope, Node *node) {
  if (IsA(node, TargetEntry)) node = reinterpret_cast<Node *>(reinterpret_cast<TargetEntry *>(node)->expr);
  const Flow flow = walk_expression(walk, scope, node);
  if (flow_explicit(flow) == 0 || flow.pure || IsA(node, RowExpr)) return true;
  if (IsA(node, CoerceViaIO))
    return counts_as_column(walk, scope, reinterpret_cast<Node *>(reinterpret_cast<CoerceViaIO *>(node)->arg));
  if (!IsA(node, FuncExpr) || !null_for_null_only(reinterpret_cast<FuncExpr *>(node)->funcid)) return false;
  ListCell *cell = nullptr;
  foreach (cell, reinterpret_cast<FuncExpr *>(node)->args)
    if (!counts_as_column(walk, scope, static_cast<Node *>(lfirst(cell)))) return false;
  return true;
}

// A column of a table that the statement names once, with nothing of the reader's own put in.
bool is_plain_column(const Flow &flow) noexcept { return flow.pure && !flow.mixed && flow.elsewhere == 0; }

// How many different ones there are tells which are equal: to one another, and to a guess put beside them.
Flow count_result(PlanWalk *walk, const ExprScope &scope, Oid aggregate, List *arguments, bool distinct, Flow flow) {
  if (!is_count(aggregate)) return flow;
  if (distinct && !is_plain_column(flow)) flow.implicit |= flow_explicit(flow);
  ListCell *cell = nullptr;
  foreach (cell, arguments)
    if (!counts_as_column(walk, scope, static_cast<Node *>(lfirst(cell)))) flow.implicit |= flow_explicit(flow);
  return flow;
}

Flow aggregate_result(Oid aggregate, Flow flow, AggSplit split) {
  if (is_count(aggregate)) flow_clear_explicit(&flow);
  if (split == AGGSPLIT_SIMPLE && is_array_agg(aggregate) && flow_explicit(flow) != 0) flow.many = true;
  flow.pure = false;
  flow_set_elsewhere(&flow, ~0U);
  return flow;
}

struct FindAggregates {
  PlanWalk *walk;
  const ExprScope *scope;
  Bitmapset *disclosing = nullptr;
  Flow input = kNoFlow;    // of those without a FILTER
  std::uint32_t kept = 0;  // by those without a FILTER
  bool ordered = false;    // in what order they are given their rows is seen from a result
};

// Of the sources in `decides`, those that an input row is a probe of where it is kept; `metered` where its values are.
std::uint32_t kept_probes(std::uint32_t decides, const Flow &input, bool metered) noexcept {
  return metered ? flow_probes(decides, input) : flow_kept_probes(decides, input);
}

// A value of 64 bits or so.
bool is_narrow(const Node *value) {
  const Oid type = exprType(value);
  const int length = get_typlen(type);
  if (length > 0) return length <= 8;
  const int modifier = exprTypmod(value);
  return type == NUMERICOID && modifier >= VARHDRSZ && ((modifier - VARHDRSZ) >> 16 & 0xFFFF) <= 18;
}

// Can the result hold something of every input row?  Of a user's aggregate nothing is known.
bool keeps_rows(Oid aggregate, const List *arguments) {
  if (aggregate >= FirstNormalObjectId) return true;
  if (is_count(aggregate) || is_single_valued(aggregate, kNoFlow)) return false;
  const Oid type = get_func_rettype(aggregate);
  if (const int length = get_typlen(type); length > 0) return length > 8;
  if (type != NUMERICOID) return true;
  ListCell *cell = nullptr;
  foreach (cell, arguments) {
    const auto *node = static_cast<const Node *>(lfirst(cell));
    if (IsA(node, TargetEntry))
      node = reinterpret_cast<const Node *>(reinterpret_cast<const TargetEntry *>(node)->expr);
    if (!is_narrow(node)) return true;
  }
  return false;
}

// Is one row's result another one's where the rows come in another order?  Sums of floating point numbers are rounded
// on the way.  (What keeps its rows is judged as such.)
bool depends_on_order(const Aggref *aggregate) {
  return aggregate->aggorder == NIL && (aggregate->aggtype == FLOAT4OID || aggregate->aggtype == FLOAT8OID ||
                                        compat_is_any_value(aggregate->aggfnoid));
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool plan_aggregates_find(Node *node, void *context) {
  using namespace redoubt::pg;
  if (node == nullptr) return false;
  auto *find = static_cast<FindAggregates *>(context);
  if (IsA(node, Aggref)) {
    auto *aggregate = reinterpret_cast<Aggref *>(node);
    find->ordered |= depends_on_order(aggregate);
    if (DO_AGGSPLIT_COMBINE(aggregate->aggsplit)) {
      // The rows were paid for where they were taken in.
      if (aggregate->aggfilter == nullptr && keeps_rows(aggregate->aggfnoid, NIL)) find->kept |= find->scope->taken;
      return false;
    }
    const bool last = find->walk->last;
    const bool unmetered = find->walk->analysis->unmetered;
    find->walk->last = false;  // only looking: nothing is put in
    const Flow input =
        aggregate_input(find->walk, *find->scope, aggregate->args, aggregate->aggdirectargs, aggregate->aggfilter);
    find->walk->last = last;
    find->walk->analysis->unmetered = unmetered;
    const bool metered = carries_out(aggregate->aggfnoid, input, aggregate->aggsplit);
    if ((aggregate->aggfilter == nullptr || aggregate->args == NIL) && keeps_rows(aggregate->aggfnoid, aggregate->args))
      find->kept |= kept_probes(find->scope->taken | input.implicit, input, metered);
    if (metered) {
      const bool again = bms_is_member(aggregate->aggtransno, find->disclosing);
      find->disclosing = bms_add_member(find->disclosing, aggregate->aggtransno);
      if (aggregate->aggfilter == nullptr && !again) flow_add(&find->input, input);
    }
    return false;
  }
  return expression_tree_walker(node, tree_walker(plan_aggregates_find), context);
}
}

namespace redoubt::pg {

namespace {

// The aggregate and the functions that it is made of.
void foresee_aggregate(PlanWalk *walk, Oid aggregate) {
  if (!walk->last || aggregate < FirstNormalObjectId) return;
  foresee_function(walk, aggregate);
  HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
  if (!HeapTupleIsValid(tuple)) return;
  const auto *form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
  const Oid parts[] = {form->aggtransfn,    form->aggfinalfn,  form->aggcombinefn,   form->aggserialfn,
                       form->aggdeserialfn, form->aggmtransfn, form->aggminvtransfn, form->aggmfinalfn};
  ReleaseSysCache(tuple);
  for (const Oid part : parts)
    if (OidIsValid(part)) foresee_function(walk, part);
}

}  // namespace

Flow aggregate_flow(PlanWalk *walk, const ExprScope &scope, Aggref *aggregate) {
  foresee_aggregate(walk, aggregate->aggfnoid);
  const Flow input = aggregate_input(walk, scope, aggregate->args, aggregate->aggdirectargs, aggregate->aggfilter);
  // What a partial aggregate below has passed up was judged there.
  if (DO_AGGSPLIT_COMBINE(aggregate->aggsplit)) return input;
  const std::uint32_t decides = scope.taken | input.implicit;
  const bool carried = carries_out(aggregate->aggfnoid, input, aggregate->aggsplit);
  if (!scope.foreign && aggregate->aggfilter != nullptr && keeps_rows(aggregate->aggfnoid, aggregate->args)) {
    ExprScope filtered = scope;
    filtered.sometimes = true;
    meter_handed(walk, filtered, aggregate->args, kept_probes(decides, input, carried));
  }
  const bool shared = bms_is_member(aggregate->aggtransno, scope.disclosing);
  if (!scope.foreign && (carried || (shared && flow_explicit(input) != 0))) {
    if (scope.input_paid && aggregate->aggfilter == nullptr) return flow_paid(input);
    const bool built_in = aggregate->aggfnoid < FirstNormalObjectId;
    ExprScope taken = scope_after(scope, decides);
    taken.charged = false;
    meter_arguments(walk, taken, aggregate->args, built_in ? kMeterReveals : 0);
    meter_arguments(walk, taken, aggregate->aggdirectargs, built_in ? kMeterReveals : 0);
    return flow_paid(input);
  }
  return aggregate_result(
      aggregate->aggfnoid,
      count_result(walk, scope, aggregate->aggfnoid, aggregate->args, aggregate->aggdistinct != NIL, input),
      aggregate->aggsplit);
}

// The input of a window aggregate is paid for at the child, see plan/grouping.cpp.
Flow window_flow(PlanWalk *walk, const ExprScope &scope, WindowFunc *function) {
  foresee_aggregate(walk, function->winfnoid);
  Flow input = aggregate_input(walk, scope, function->args, NIL, function->aggfilter);
  if (!function->winagg) {
    // lag, first_value...: one value per output row; a user's window function sees all of them.
    if (function->winfnoid < FirstNormalObjectId) {
      flow_set_elsewhere(&input, ~0U);  // there may be no such row
      return input;
    }
    return walk_call(walk, scope, function->winfnoid, function->wintype, false, function->args, input);
  }
  if (carries_out(function->winfnoid, input, AGGSPLIT_SIMPLE)) return flow_paid(input);
  return aggregate_result(function->winfnoid,
                          count_result(walk, scope, function->winfnoid, function->args, false, input), AGGSPLIT_SIMPLE);
}

namespace {

FindAggregates find_aggregates(PlanWalk *walk, const ExprScope &scope, const Plan *plan) {
  FindAggregates find = {walk, &scope};
  plan_aggregates_find(reinterpret_cast<Node *>(plan->targetlist), &find);
  plan_aggregates_find(reinterpret_cast<Node *>(plan->qual), &find);
  return find;
}

}  // namespace

// Aggregates with the same input share one transition state, made from either's
// arguments: where one of them discloses, all of them are metered.
Bitmapset *disclosing_aggregates(PlanWalk *walk, const ExprScope &scope, const Plan *plan) {
  return find_aggregates(walk, scope, plan).disclosing;
}

KeptRows kept_rows(PlanWalk *walk, const ExprScope &scope, const Plan *plan) {
  const FindAggregates found = find_aggregates(walk, scope, plan);
  return {found.kept, found.ordered};
}

Flow disclosed_input(PlanWalk *walk, const ExprScope &scope, const Plan *plan) {
  return find_aggregates(walk, scope, plan).input;
}

std::uint32_t window_kept_rows(PlanWalk *walk, const ExprScope &scope, WindowFunc *function) {
  if (function->winagg ? !keeps_rows(function->winfnoid, function->args) : function->winfnoid < FirstNormalObjectId)
    return 0;
  const Flow input = aggregate_input(walk, scope, function->args, NIL, function->aggfilter);
  const bool metered = !function->winagg || carries_out(function->winfnoid, input, AGGSPLIT_SIMPLE);
  return kept_probes(scope.taken | input.implicit, input, metered);
}

Flow window_input(PlanWalk *walk, const ExprScope &scope, WindowFunc *function) {
  Flow input = kNoFlow;
  if (!function->winagg) return input;
  input = aggregate_input(walk, scope, function->args, NIL, function->aggfilter);
  return carries_out(function->winfnoid, input, AGGSPLIT_SIMPLE) ? input : kNoFlow;
}

}  // namespace redoubt::pg
