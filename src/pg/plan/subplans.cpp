// plan/subplans.cpp - subqueries in expressions, and the parameters between them and what is around them.
//
// Invariant: the flow of a parameter only grows, and what makes it grow asks for another walk; so does what decided
// that a subplan is run.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

namespace redoubt::pg {

void walk_set_param(PlanWalk *walk, int id, const Flow &flow) {
  ParamFacts *facts = param_facts(walk, id);
  if (facts == nullptr) return;
  Flow *param = &facts->flow;
  const Flow before = *param;
  const bool fresh = flow_decides(before) == 0;
  if (fresh && flow_decides(flow) == 0) return;  // nothing, whatever it is a copy of
  flow_max(param, flow);
  if (fresh) param->pure = flow.pure;
  if (before != *param) walk->changed = true;
}

void walk_called(PlanWalk *walk, int id, std::uint32_t mask) {
  SubplanFacts *subplan = subplan_facts(walk, id);
  if (subplan == nullptr || (mask & ~subplan->called) == 0) return;
  subplan->called |= mask;
  walk->changed = true;
}

namespace {

// ARRAY(SELECT ...) keeps its rows; that it is empty is an answer, paid for as part of the row it is in.
void keep_rows(PlanWalk *walk, const SubPlan *subplan, const Flow &value) {
  ListCell *cell = list_nth_cell(walk->plan->subplans, subplan->plan_id - 1);
  auto *root = static_cast<Plan *>(lfirst(cell));
  meter_row(walk, &root, kNoFlow, value.implicit);
  lfirst(cell) = root;
}

}  // namespace

Flow subplan_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const auto *subplan = reinterpret_cast<SubPlan *>(node);
  walk->analysis->runs |= scope.rows;
  ListCell *parameter = nullptr;
  ListCell *argument = nullptr;
  forboth(parameter, subplan->parParam, argument, subplan->args)
      walk_set_param(walk, lfirst_int(parameter), walk_expression(walk, scope, static_cast<Node *>(lfirst(argument))));
  const bool compares = subplan->subLinkType == ANY_SUBLINK || subplan->subLinkType == ALL_SUBLINK;
  const bool again = subplan->parParam != NIL || (compares && !subplan->useHashTable);  // run for each row
  if (again) walk_called(walk, subplan->plan_id, scope.rows | walk->context);
  Flow flow = kNoFlow;
  const SubplanFacts *facts = subplan_facts(walk, subplan->plan_id);
  if (facts == nullptr || !facts->rows.valid) return flow;
  const NodeFlow *rows = &facts->rows;
  if (subplan->subLinkType != CTE_SUBLINK) tell_of_subplan(walk, subplan->plan_id);
  // What decides on a row decides as well whether the next one is asked for.
  if (again) walk_called(walk, subplan->plan_id, node_flow_decides(*rows));

  const auto column = [rows](int position) {
    Flow value = node_flow_column(rows, static_cast<AttrNumber>(position));
    value.implicit |= node_flow_decides(*rows);
    return value;
  };
  const auto set_each = [&](const List *params) {
    int position = 1;
    for (const int param : ints_of(params)) walk_set_param(walk, param, column(position++));
  };
  const auto set_all = [&](const Flow &value) {
    for (const int param : ints_of(subplan->setParam)) walk_set_param(walk, param, value);
  };
  ExprScope compared = scope;  // with each row that there is, but for those that are looked up in a hash table
  if (!subplan->useHashTable) compared.rows |= rows->implicit;
  switch (subplan->subLinkType) {
    case EXPR_SUBLINK:
      set_each(subplan->setParam);
      return column(1);
    case MULTIEXPR_SUBLINK:
    case ROWCOMPARE_SUBLINK:
      set_each(subplan->setParam);
      set_each(subplan->paramIds);
      if (subplan->testexpr != nullptr) flow = walk_expression(walk, compared, subplan->testexpr);
      return flow;
    case ARRAY_SUBLINK:
      flow = column(1);
      keep_rows(walk, subplan, flow);
      flow.many = flow_explicit(flow) != 0;
      flow.pure = false;
      break;
    case ANY_SUBLINK:
    case ALL_SUBLINK:
      set_each(subplan->paramIds);
      flow = walk_expression(walk, compared, subplan->testexpr);
      flow.implicit |= rows->implicit;
      if (again) walk_called(walk, subplan->plan_id, flow_decides(flow));
      break;
    case EXISTS_SUBLINK:
      flow.implicit = rows->implicit;
      break;
    case CTE_SUBLINK:
      return flow;
  }
  set_all(flow);
  return flow;
}

// It is run when one of its parameters is first looked at, and again where what it depends on has changed.
void walk_initplan(PlanWalk *walk, const ExprScope &scope, SubPlan *subplan) {
  for (const int param : ints_of(subplan->setParam))
    if (ParamFacts *facts = param_facts(walk, param); facts != nullptr) facts->initplan = subplan->plan_id;
  (void)subplan_flow(walk, scope, reinterpret_cast<Node *>(subplan));
}

}  // namespace redoubt::pg
