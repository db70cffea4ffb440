// plan/expressions.cpp - the flow of one expression, by its kind.
//
// The rules: a value computed from protected values holds all of them, unless it is one
// of several (CASE, COALESCE, GREATEST).  What is called, and what becomes of the arguments, is in plan/calls.cpp;
// variables are in plan/columns.cpp, subqueries in plan/subplans.cpp.
// Invariant: kinds that are not named here are for plan/sqljson.cpp, which refuses those it does not know.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/plan/walk.h"
#include "pg/protect/protected_columns.h"

namespace redoubt::pg {
namespace {

struct Children {
  PlanWalk *walk;
  const ExprScope *scope;
  Flow flow;
};

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool plan_expression_child(Node *node, void *context) {
  using namespace redoubt::pg;
  auto *children = static_cast<Children *>(context);
  flow_add(&children->flow, walk_expression(children->walk, *children->scope, node));
  return false;
}
}

namespace redoubt::pg {

Flow children_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  Children children = {walk, &scope, kNoFlow};
  expression_tree_walker(node, tree_walker(plan_expression_child), &children);
  return children.flow;
}

Flow list_flow(PlanWalk *walk, const ExprScope &scope, const List *list) {
  Flow flow = kNoFlow;
  ListCell *cell = nullptr;
  foreach (cell, list) flow_add(&flow, walk_expression(walk, scope, static_cast<Node *>(lfirst(cell))));
  return flow;
}

namespace {

// One of several values.
struct OneOf {
  Flow flow = kNoFlow;
  bool copies = true;  // each is a column as it is, or holds no value at all

  void add(const Flow &value) noexcept {
    copies = copies && (flow_decides(value) == 0 || value.pure);
    flow_max(&flow, value);
  }
  // Where no protected value decides which, a copy is delivered or a value of nobody's: a null is none.
  Flow chosen() const noexcept {
    Flow one = flow;
    one.pure = copies && one.implicit == 0 && flow_explicit(one) != 0;
    return one;
  }
};

}  // namespace

Flow alternatives_flow(PlanWalk *walk, const ExprScope &scope, const List *list, Computed computed) {
  OneOf result;
  ExprScope own = scope;
  ListCell *cell = nullptr;
  foreach (cell, list) {
    const Flow value = walk_expression(walk, own, static_cast<Node *>(lfirst(cell)));
    result.add(value);
    if (computed == Computed::in_turn) own = scope_if(own, flow_decides(result.flow));
  }
  if (computed == Computed::all) result.copies = false;  // which one it is has been found out from all
  return result.chosen();
}

namespace {

// At an address of its own, by which the memo knows it.
const Flow *kept_flow(const Flow &flow) {
  auto *copy = static_cast<Flow *>(palloc(sizeof(Flow)));
  *copy = flow;
  return copy;
}

// CASE delivers one of its results.  A column that only decides which is still read, by
// what comes out.
Flow case_flow(PlanWalk *walk, const ExprScope &scope, CaseExpr *node) {
  if (const FuncExpr *call = metered_call(reinterpret_cast<Node *>(node)); call != nullptr) {
    foresee_function(walk, call->funcid);
    const auto *when = static_cast<const CaseWhen *>(linitial(node->args));
    meter_found(walk, meter_spec(reinterpret_cast<const Node *>(when->expr)));
    return bare_call_flow(walk, call);
  }
  ExprScope inner = scope;
  Flow decides = kNoFlow;
  if (node->arg != nullptr) {
    const Flow test = walk_expression(walk, scope, reinterpret_cast<Node *>(node->arg));
    inner.case_test = kept_flow(test);
    flow_add(&decides, test);
    inner.rows |= flow_decides(decides);
  }
  OneOf result;
  ListCell *cell = nullptr;
  foreach (cell, node->args) {
    auto *when = static_cast<CaseWhen *>(lfirst(cell));
    flow_add(&decides, walk_expression(walk, inner, reinterpret_cast<Node *>(when->expr)));
    inner = scope_if(inner, flow_decides(decides));  // that a result is computed tells
    result.add(walk_expression(walk, inner, reinterpret_cast<Node *>(when->result)));
  }
  result.add(walk_expression(walk, inner, reinterpret_cast<Node *>(node->defresult)));
  for (int i = 0; i < kMaxSources; ++i)
    if (result.flow.count[i] == 0 && decides.count[i] != 0) result.flow.count[i] = 1;
  result.flow.implicit |= flow_decides(decides);
  return result.chosen();
}

// Columns are computed until a pair differs.
Flow row_compare_flow(PlanWalk *walk, const ExprScope &scope, const RowCompareExpr *compare) {
  Flow flow = kNoFlow;
  ExprScope own = scope;
  ListCell *left = nullptr;
  ListCell *right = nullptr;
  foreach (left, compare->opnos) foresee_function(walk, get_opcode(lfirst_oid(left)));
  forboth(left, compare->largs, right, compare->rargs) {
    flow_add(&flow, walk_expression(walk, own, static_cast<Node *>(lfirst(left))));
    flow_add(&flow, walk_expression(walk, own, static_cast<Node *>(lfirst(right))));
    own.rows |= flow_decides(flow);
  }
  return flow;
}

}  // namespace

bool type_nests(Oid type) {
  const Oid base = getBaseType(type);
  const char kind = get_typtype(base);
  return OidIsValid(get_element_type(base)) || type_is_rowtype(base) || kind == TYPTYPE_RANGE ||
         kind == TYPTYPE_MULTIRANGE;
}

namespace {

// Subscripts of null are not computed.
Flow subscript_flow(PlanWalk *walk, const ExprScope &scope, const SubscriptingRef *subscript) {
  Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(subscript->refexpr));
  ExprScope own = scope;
  own.rows |= flow_decides(flow);
  flow_add(&flow, list_flow(walk, own, subscript->refupperindexpr));
  flow_add(&flow, list_flow(walk, own, subscript->reflowerindexpr));
  flow_add(&flow, walk_expression(walk, own, reinterpret_cast<Node *>(subscript->refassgnexpr)));
  flow.many = flow.many && type_nests(subscript->refrestype);
  return flow;
}

// What a document holds decides which defaults of an XMLTABLE are computed.
Flow table_flow(PlanWalk *walk, const ExprScope &scope, TableFunc *table) {
  ExprScope own = scope;
  own.rows |= flow_decides(walk_expression(walk, scope, table->docexpr));
  return children_flow(walk, own, reinterpret_cast<Node *>(table));
}

// AND and OR: those before it decide whether one is computed.
Flow condition_flow(PlanWalk *walk, const ExprScope &scope, const BoolExpr *condition) {
  Flow flow = kNoFlow;
  ExprScope own = scope;
  ListCell *cell = nullptr;
  foreach (cell, condition->args) {
    flow_add(&flow, walk_expression(walk, own, static_cast<Node *>(lfirst(cell))));
    own = scope_if(own, flow_decides(flow));
  }
  return flow;
}

Flow array_coerce_flow(PlanWalk *walk, const ExprScope &scope, ArrayCoerceExpr *cast) {
  const Flow array = walk_expression(walk, scope, reinterpret_cast<Node *>(cast->arg));
  Flow element = array;
  element.many = false;
  ExprScope inner = scope;
  inner.case_test = kept_flow(element);
  Flow flow = walk_expression(walk, inner, reinterpret_cast<Node *>(cast->elemexpr));
  flow.many = array.many;
  return flow;
}

// A field of a row: of the whole row of a table, or any field of another row.
Flow field_flow(PlanWalk *walk, const ExprScope &scope, FieldSelect *select) {
  const auto *row = reinterpret_cast<Var *>(select->arg);
  if (IsA(select->arg, Var) && !IS_SPECIAL_VARNO(row->varno) && row->varattno == 0 &&
      (scope.scan == nullptr || static_cast<Index>(row->varno) != scope.scan_relid))
    return relation_flow(walk, static_cast<Index>(row->varno), select->fieldnum);
  Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(select->arg));
  auto *argument = reinterpret_cast<Node *>(select->arg);
  if (metered_call(argument) != nullptr && exprType(argument) == RECORDOID) meter_field(select);
  flow.many = flow.many && !is_fixed_size(select->resulttype);
  flow.pure = false;
  flow.paid = 0;
  return flow;
}

Flow expression_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  Flow flow = kNoFlow;
  switch (nodeTag(node)) {
    case T_Const:
      return flow;
    case T_Var:
      return variable_flow(walk, scope, reinterpret_cast<Var *>(node));
    case T_Param: {
      const auto *param = reinterpret_cast<Param *>(node);
      if (param->paramkind != PARAM_EXEC || param->paramid >= walk->params) return flow;
      walk->analysis->runs |= scope.rows;  // a subquery is run where it is asked for
      walk_called(walk, walk->initplan[param->paramid], scope.rows | walk->context);
      return walk->param[param->paramid];
    }
    case T_GroupingFunc:
      return flow;  // says which grouping set the row is of, and evaluates nothing
    case T_CaseTestExpr:
      return scope.case_test != nullptr ? *scope.case_test : flow;
    case T_RelabelType:
      return walk_expression(walk, scope, reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg));
    case T_CollateExpr:
      return walk_expression(walk, scope, reinterpret_cast<Node *>(reinterpret_cast<CollateExpr *>(node)->arg));
    case T_TargetEntry:
      return walk_expression(walk, scope, reinterpret_cast<Node *>(reinterpret_cast<TargetEntry *>(node)->expr));
    case T_WithCheckOption:
      return walk_expression(walk, scope, reinterpret_cast<WithCheckOption *>(node)->qual);
    case T_NullTest: {
      const auto *test = reinterpret_cast<NullTest *>(node);
      const Flow argument = walk_expression(walk, scope, reinterpret_cast<Node *>(test->arg));
      // A row is tested for nulls in it.
      flow.implicit = !argument.pure || test->argisrow ? flow_decides(argument) : argument.implicit;
      return flow;
    }
    case T_FuncExpr:
      return function_flow(walk, scope, reinterpret_cast<FuncExpr *>(node));
    case T_OpExpr:
    case T_DistinctExpr: {
      auto *call = reinterpret_cast<OpExpr *>(node);
      set_opfuncid(call);
      return operator_flow(walk, scope, call->opfuncid, call->opresulttype, call->args);
    }
    case T_NullIfExpr: {  // the first argument or null
      auto *call = reinterpret_cast<OpExpr *>(node);
      set_opfuncid(call);
      Flow first = walk_expression(walk, scope, static_cast<Node *>(linitial(call->args)));
      const Flow result = operator_flow(walk, scope, call->opfuncid, call->opresulttype, call->args);
      if (flow_explicit(result) == 0) return result;
      for (int i = 0; i < kMaxSources; ++i)
        if (first.count[i] == 0 && result.count[i] != 0) first.count[i] = 1;
      first.implicit |= flow_decides(result);
      first.pure = false;
      first.paid = 0;
      return first;
    }
    case T_ScalarArrayOpExpr: {
      auto *call = reinterpret_cast<ScalarArrayOpExpr *>(node);
      set_sa_opfuncid(call);
      return operator_flow(walk, scope, call->opfuncid, BOOLOID, call->args);
    }
    case T_CoerceViaIO:
      return io_cast_flow(walk, scope, reinterpret_cast<CoerceViaIO *>(node));
    case T_CoerceToDomain:
      return domain_flow(walk, scope, reinterpret_cast<CoerceToDomain *>(node));
    case T_ArrayCoerceExpr:
      return array_coerce_flow(walk, scope, reinterpret_cast<ArrayCoerceExpr *>(node));
    case T_BoolExpr:
      return condition_flow(walk, scope, reinterpret_cast<BoolExpr *>(node));
    case T_CaseExpr:
      return case_flow(walk, scope, reinterpret_cast<CaseExpr *>(node));
    case T_CoalesceExpr:
      return alternatives_flow(walk, scope, reinterpret_cast<CoalesceExpr *>(node)->args, Computed::in_turn);
    case T_MinMaxExpr:
      return alternatives_flow(walk, scope, reinterpret_cast<MinMaxExpr *>(node)->args, Computed::all);
    case T_FieldSelect:
      return field_flow(walk, scope, reinterpret_cast<FieldSelect *>(node));
    case T_SubscriptingRef:
      return subscript_flow(walk, scope, reinterpret_cast<SubscriptingRef *>(node));
    case T_Aggref:
      return aggregate_flow(walk, scope, reinterpret_cast<Aggref *>(node));
    case T_WindowFunc:
      return window_flow(walk, scope, reinterpret_cast<WindowFunc *>(node));
    case T_SubPlan:
      return walk_subplan(walk, scope, reinterpret_cast<SubPlan *>(node));
    case T_RowCompareExpr:
      return row_compare_flow(walk, scope, reinterpret_cast<RowCompareExpr *>(node));
    case T_TableFunc:
      return table_flow(walk, scope, reinterpret_cast<TableFunc *>(node));
    case T_List:
      return list_flow(walk, scope, reinterpret_cast<List *>(node));
    case T_AlternativeSubPlan:
    case T_ArrayExpr:
    case T_BooleanTest:
    case T_CaseWhen:
    case T_CoerceToDomainValue:
    case T_ConvertRowtypeExpr:
    case T_CurrentOfExpr:
    case T_FieldStore:
    case T_InferenceElem:
    case T_NamedArgExpr:
    case T_NextValueExpr:
    case T_PlaceHolderVar:
    case T_RowExpr:
    case T_SQLValueFunction:
    case T_SetToDefault:
    case T_TableSampleClause:
      return children_flow(walk, scope, node);
    case T_XmlExpr:
      return xml_flow(walk, scope, reinterpret_cast<XmlExpr *>(node));
    default:
      return later_flow(walk, scope, node);
  }
}

// Values that can be in one value are in one message, if a function complains of it.
void note_held(PlanAnalysis *analysis, const Flow &flow, Node *node) {
  switch (nodeTag(node)) {
    case T_Var:
    case T_Param:
    case T_FuncExpr:
    case T_OpExpr:
    case T_CoerceViaIO:
    case T_ArrayExpr:
    case T_RowExpr:
    case T_XmlExpr:
      break;
    default:
      return;
  }
  if (exprType(node) == BOOLOID) return;
  for (int i = 0; i < analysis->sources; ++i) analysis->held[i] = std::max(analysis->held[i], flow.count[i]);
}

// Is it worth remembering?  Leaves are as fast to look at.
bool has_parts(const Node *node) noexcept {
  switch (nodeTag(node)) {
    case T_Const:
    case T_Var:
    case T_Param:
    case T_CaseTestExpr:
    case T_List:
      return false;
    default:
      return true;
  }
}

MemoKey memo_key(const PlanWalk *walk, const ExprScope &scope, const Node *node) noexcept {
  MemoKey key = {};
  key.expression = node;
  key.plan = scope.plan;
  key.outer = scope.outer;
  key.index = scope.index;
  key.scan = scope.scan;
  key.case_test = scope.case_test;
  key.rows = scope.rows;
  key.context = walk->context;
  key.taken = scope.taken;
  key.flags = (scope.foreign ? 1U : 0U) | (walk->index_condition ? 8U : 0U) | (walk->last ? 16U : 0U) |
              (scope.disclosing != nullptr ? 32U : 0U) | (scope.sometimes ? 64U : 0U);
  return key;
}

}  // namespace

Flow walk_expression(PlanWalk *walk, const ExprScope &scope, Node *node) {
  if (node == nullptr) return kNoFlow;
  CHECK_FOR_INTERRUPTS();
  // A column, or a target list entry that is one: most of what there is in a wide table.
  if (IsA(node, TargetEntry) && IsA(reinterpret_cast<TargetEntry *>(node)->expr, Var))
    node = reinterpret_cast<Node *>(reinterpret_cast<TargetEntry *>(node)->expr);
  if (IsA(node, Var)) {
    const Flow flow = variable_flow(walk, scope, reinterpret_cast<Var *>(node));
    if (walk->last && flow_explicit(flow) != 0) note_held(walk->analysis, flow, node);
    return flow;
  }
  check_stack_depth();
  const bool remembered = walk->nesting > 0 && has_parts(node);
  MemoKey key;
  if (remembered) {
    key = memo_key(walk, scope, node);
    if (const Flow *known = walk->memo.find(key); known != nullptr) return *known;
  }
  ++walk->nesting;
  const Flow flow = expression_flow(walk, scope, node);
  --walk->nesting;
  if (walk->last && flow_explicit(flow) != 0) note_held(walk->analysis, flow, node);
  if (remembered) walk->memo.add(key, flow);
  return flow;
}

}  // namespace redoubt::pg
