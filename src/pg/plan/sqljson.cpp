// plan/sqljson.cpp - the flow of expressions that not every version of PostgreSQL has: SQL/JSON
// (16, 17), merge_action (17), RETURNING OLD and NEW (18).
//
// Invariant: an expression of a kind that nobody taught Redoubt is refused, never ignored.
// Covered by test/metering/since16.tsv, since17.tsv and since18.tsv.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/protect/function_trust.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

namespace redoubt::pg {
namespace {

// SQL/JSON.  Making a value of the type asked for may run code, and a text may hold all
// elements of an array.
Flow json_flow(PlanWalk *walk, const ExprScope &scope, Node *node, const CompatExpression &json) {
  ExprScope own = scope;  // what the document holds decides which of its defaults are computed
  if (json.document != nullptr) own.rows |= flow_decides(walk_expression(walk, scope, *json.document));
  Flow flow = children_flow(walk, own, node);
  foresee_type(walk, exprType(node));
  if (flow_explicit(flow) == 0) return flow;
  const Oid type = exprType(node);
  Oid input = InvalidOid;
  Oid parameter = InvalidOid;
  getTypeInputInfo(type, &input, &parameter);
  bool runs_code = type_runs_code(type) || !function_is_trusted(input);
  if (json.document != nullptr) runs_code |= type_casts_to_json(exprType(*json.document));
  ListCell *cell = nullptr;
  foreach (cell, json.arguments) runs_code |= type_casts_to_json(exprType(static_cast<Node *>(lfirst(cell))));
  if (runs_code || (flow.many && !is_fixed_size(type))) {
    const std::uint16_t flags = runs_code ? 0 : kMeterReveals;
    const ExprScope handed = scope_after(scope, flow.implicit);
    meter_arguments(walk, handed, json.arguments, flags);
    if (json.document != nullptr) {
      List *document = list_make1(*json.document);
      meter_arguments(walk, handed, document, flags);
      *json.document = static_cast<Node *>(linitial(document));
    }
    return flow_paid(flow);
  }
  flow.many = false;
  return flow;
}

Flow either_flow(PlanWalk *walk, const ExprScope &scope, const CompatExpression &forms) {
  Flow flow = walk_expression(walk, scope, forms.first);
  flow_max(&flow, walk_expression(walk, scope, forms.second));
  flow.pure = false;
  return flow;
}

}  // namespace

Flow later_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const CompatExpression found = compat_expression(node);
  switch (found.kind) {
    case CompatExpression::leaf:
      return kNoFlow;
    case CompatExpression::value:
      return walk_expression(walk, scope, found.first);
    case CompatExpression::either:
      return either_flow(walk, scope, found);
    case CompatExpression::json:
      return json_flow(walk, scope, node, found);
    case CompatExpression::unknown:
      break;
  }
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("a statement that reads protected columns holds an expression of unknown kind %d",
                         static_cast<int>(nodeTag(node))),
                  errhint("This version of Redoubt does not know how values pass through it.")));
}

}  // namespace redoubt::pg
