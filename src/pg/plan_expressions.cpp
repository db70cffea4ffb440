// plan_expressions.cpp - the flow of one expression.
//
// The rules: a value computed from protected values holds all of them, unless it is one
// of several (CASE, COALESCE, GREATEST) or a count.  Arguments of functions that may
// disclose are metered where they are evaluated, and so is the input of aggregates that
// carry it out; the result is free then.
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/compat.h"
#include "pg/function_trust.h"
#include "pg/meter_function.h"
#include "pg/plan_walk.h"
#include "pg/policy.h"
#include "pg/protected_columns.h"

extern "C" {
#include "catalog/pg_language_d.h"
}

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

namespace {

Flow list_flow(PlanWalk *walk, const ExprScope &scope, const List *list) {
  Flow flow = kNoFlow;
  ListCell *cell = nullptr;
  foreach (cell, list) flow_add(&flow, walk_expression(walk, scope, static_cast<Node *>(lfirst(cell))));
  return flow;
}

int source_index(PlanWalk *walk, const Source &wanted) {
  PlanAnalysis *analysis = walk->analysis;
  const auto same = [](const Source &a, const Source &b) {
    return a.relid == b.relid && a.attno == b.attno && a.token_type == b.token_type && a.is_token == b.is_token;
  };
  for (int i = 0; i < analysis->sources; ++i)
    if (same(analysis->source[i], wanted)) return i;
  if (analysis->sources >= kNamedSources && OidIsValid(wanted.relid))
    return source_index(walk, {InvalidOid, InvalidAttrNumber, wanted.token_type, wanted.is_token});
  if (analysis->sources == kMaxSources)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many token types in one statement"),
                    errhint("Split the statement.")));
  analysis->source[analysis->sources] = wanted;
  return analysis->sources++;
}

bool is_fixed_size(Oid type) { return get_typlen(type) > 0; }
bool is_array(Oid type) { return OidIsValid(get_element_type(getBaseType(type))); }

// May a function that may see the arguments still hand them to one that may not?
bool passes_on(Oid function, Oid result, const List *arguments) {
  if (type_runs_code(result)) return true;  // json_populate_record: a domain in the record
  const bool to_text = function_casts_to_text(function);
  ListCell *cell = nullptr;
  if (function < FirstNormalObjectId)
    foreach (cell, arguments) {
      const Oid type = exprType(static_cast<const Node *>(lfirst(cell)));
      if (type_casts_to_json(type) || (to_text && type_casts_to_text(type))) return true;
    }
  return false;
}

// What a function that may disclose its arguments is told by being called with them.
std::uint32_t handed_probes(const PlanWalk *walk, const ExprScope &scope, const Flow &arguments) {
  return flow_probes(scope.rows | walk->context | arguments.implicit, arguments);
}

// Text as it is stored, or put together from that: its words are nobody's choice.
bool is_stored_text(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const Flow flow = walk_expression(walk, scope, node);
  if (flow_decides(flow) == 0 || flow.pure) return true;
  const List *parts = NIL;
  if (IsA(node, CoalesceExpr)) parts = reinterpret_cast<CoalesceExpr *>(node)->args;
  if (IsA(node, OpExpr) && reinterpret_cast<OpExpr *>(node)->opfuncid == F_TEXTCAT)
    parts = reinterpret_cast<OpExpr *>(node)->args;
  ListCell *cell = nullptr;
  foreach (cell, parts)
    if (!is_stored_text(walk, scope, static_cast<Node *>(lfirst(cell)))) return false;
  return parts != NIL;
}

bool all_stored_text(PlanWalk *walk, const ExprScope &scope, const List *arguments) {
  ListCell *cell = nullptr;
  foreach (cell, arguments)
    if (!is_stored_text(walk, scope, static_cast<Node *>(lfirst(cell)))) return false;
  return true;
}

}  // namespace

Flow walk_call(PlanWalk *walk, const ExprScope &scope, Oid function, Oid type, bool returns_set, List *arguments,
               Flow flow) {
  const std::uint32_t probes = handed_probes(walk, scope, flow);
  if (flow_explicit(flow) == 0 && probes == 0) return flow;
  if (!walk->index_condition && (!function_is_trusted(function) || passes_on(function, type, arguments) ||
                                 (function_makes_words(function) && !all_stored_text(walk, scope, arguments)))) {
    meter_arguments(walk, scope, arguments, 0);
    meter_handed(walk, arguments, probes, scope.charged ? kMeterAnswer : kMeterFirst);
    return flow_paid(flow);
  }
  if (flow_explicit(flow) == 0) return flow;
  if (flow.many) {
    // One number or one element; a string or array may hold all of them.
    if (is_fixed_size(type) || returns_set) {
      flow.many = false;
    } else {
      meter_arguments(walk, scope, arguments, kMeterReveals);
      return flow_paid(flow);
    }
  }
  flow.pure = false;
  return flow;
}

namespace {

// True for detokenize, mask and token_info: what they return is charged as a reveal, or
// holds no token.
bool consumes_token(const FuncExpr *call) {
  if (!function_is_own(call->funcid) || list_length(call->args) != 1) return false;
  if (call->funcresulttype == RECORDOID) return true;
  const Oid type = exprType(static_cast<Node *>(linitial(call->args)));
  if (const Oid element = get_element_type(type); OidIsValid(element)) {
    const TypePolicy *of = policy_find(element);
    return of != nullptr && (call->funcid == of->array_gate[0] || call->funcid == of->array_gate[1]);
  }
  const TypePolicy *policy = policy_find(type);
  return policy != nullptr && (call->funcid == policy->gate[static_cast<int>(Privilege::reveal)] ||
                               call->funcid == policy->gate[static_cast<int>(Privilege::masked)]);
}

// True for detokenize and mask with the type as an argument, where that is the type of all the tokens they are given.
bool consumes_named(const PlanWalk *walk, const FuncExpr *call, const Flow &flow) {
  if (!function_is_own(call->funcid) || list_length(call->args) != 2) return false;
  const auto *named = static_cast<const Const *>(lsecond(call->args));
  if (!IsA(named, Const) || named->consttype != REGTYPEOID || named->constisnull) return false;
  const char *name = get_func_name(call->funcid);
  if (name == nullptr || (strcmp(name, "detokenize") != 0 && strcmp(name, "mask") != 0)) return false;
  const Oid type = DatumGetObjectId(named->constvalue);
  for (int i = 0; i < walk->analysis->sources; ++i)
    if (flow.count[i] != 0 && walk->analysis->source[i].token_type != type) return false;
  return true;
}

bool is_in_c(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return true;
  const Oid language = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang;
  ReleaseSysCache(tuple);
  return language == ClanguageId || language == INTERNALlanguageId;
}

// What a function in C makes its tokens of cannot be seen, so its result is a source.  All other
// languages read by queries, which are charged.
void add_function_result(PlanWalk *walk, const FuncExpr *call, Flow *flow) {
  if (call->funcid < FirstNormalObjectId || call->funcresulttype < FirstNormalObjectId) return;
  const CarriedTokens *carried = policy_carried(call->funcresulttype);
  if (carried->size == 0 || function_is_own(call->funcid) || !is_in_c(call->funcid)) return;
  for (int i = 0; i < carried->size; ++i)
    flow_add(flow, source_flow(walk, {call->funcid, InvalidAttrNumber, carried->item[i].token_type, true},
                               carried->item[i].count));
  flow->pure = carried->size == 1;
  flow->many = is_array(call->funcresulttype);
}

// One of the list; where they are computed in turn, those before it decide whether it is.
enum class Computed { all, in_turn };

Flow alternatives_flow(PlanWalk *walk, const ExprScope &scope, const List *list, Computed computed) {
  Flow flow = kNoFlow;
  ExprScope own = scope;
  ListCell *cell = nullptr;
  foreach (cell, list) {
    flow_max(&flow, walk_expression(walk, own, static_cast<Node *>(lfirst(cell))));
    if (computed == Computed::in_turn) own.rows |= flow_decides(flow);
  }
  flow.pure = false;
  return flow;
}

Flow function_flow(PlanWalk *walk, const ExprScope &scope, FuncExpr *call) {
  if (const int flags = meter_of(reinterpret_cast<Node *>(call)); flags >= 0) {
    Flow flow = walk_expression(walk, scope, static_cast<Node *>(linitial(call->args)));
    if ((flags & kMeterKeeps) == 0 && !walk->index_condition) return flow_paid(flow);
    return flow;
  }
  Flow flow = list_flow(walk, scope, call->args);
  // A row of unnest(ARRAY[a, b]) holds one of them.
  if (const auto *array = static_cast<const ArrayExpr *>(call->args != NIL ? linitial(call->args) : nullptr);
      call->funcid == F_UNNEST_ANYARRAY && IsA(array, ArrayExpr) && !array->multidims)
    flow = alternatives_flow(walk, scope, array->elements, Computed::all);
  if (flow_explicit(flow) != 0 && (consumes_token(call) || consumes_named(walk, call, flow))) return flow_paid(flow);
  flow = walk_call(walk, scope, call->funcid, call->funcresulttype, call->funcretset, call->args, flow);
  add_function_result(walk, call, &flow);
  return flow;
}

Flow operator_flow(PlanWalk *walk, const ExprScope &scope, Oid function, Oid type, List *arguments) {
  const Flow flow = list_flow(walk, scope, arguments);
  return walk_call(walk, scope, function, type, false, arguments, flow);
}

// Meters a single argument that is no list.
Flow meter_one(PlanWalk *walk, const ExprScope &scope, Expr **argument, const Flow &flow, std::uint16_t flags) {
  List *list = list_make1(*argument);
  meter_arguments(walk, scope, list, flags);
  meter_handed(walk, list, handed_probes(walk, scope, flow), scope.charged ? kMeterAnswer : kMeterFirst);
  *argument = static_cast<Expr *>(linitial(list));
  return flow_paid(flow);
}

Flow io_cast_flow(PlanWalk *walk, const ExprScope &scope, CoerceViaIO *cast) {
  Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(cast->arg));
  if (flow_explicit(flow) == 0 && handed_probes(walk, scope, flow) == 0) return flow;
  Oid output = InvalidOid;
  Oid input = InvalidOid;
  Oid parameter = InvalidOid;
  bool varlena = false;
  getTypeOutputInfo(exprType(reinterpret_cast<Node *>(cast->arg)), &output, &varlena);
  getTypeInputInfo(cast->resulttype, &input, &parameter);
  const auto trusted = [](Oid function) { return function < FirstNormalObjectId || function_is_trusted(function); };
  const bool domain = type_runs_code(cast->resulttype);
  if (flow.many || domain || !trusted(output) || !trusted(input))
    return meter_one(walk, scope, &cast->arg, flow, kMeterReveals);
  flow.pure = false;
  return flow;
}

Flow domain_flow(PlanWalk *walk, const ExprScope &scope, CoerceToDomain *cast) {
  const Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(cast->arg));
  if (flow_explicit(flow) == 0 && handed_probes(walk, scope, flow) == 0) return flow;
  if (!DomainHasConstraints(cast->resulttype)) return flow;
  return meter_one(walk, scope, &cast->arg, flow, 0);  // a CHECK constraint may call anything
}

// CASE delivers one of its results.  A column that only decides which is still read, by
// what comes out.
Flow case_flow(PlanWalk *walk, const ExprScope &scope, CaseExpr *node) {
  ExprScope inner = scope;
  Flow decides = kNoFlow;
  Flow test = kNoFlow;
  if (node->arg != nullptr) {
    test = walk_expression(walk, scope, reinterpret_cast<Node *>(node->arg));
    inner.case_test = &test;
    flow_add(&decides, test);
    inner.rows |= flow_decides(decides);
  }
  Flow result = kNoFlow;
  ListCell *cell = nullptr;
  foreach (cell, node->args) {
    auto *when = static_cast<CaseWhen *>(lfirst(cell));
    flow_add(&decides, walk_expression(walk, inner, reinterpret_cast<Node *>(when->expr)));
    inner.rows |= flow_decides(decides);  // that a result is computed tells
    flow_max(&result, walk_expression(walk, inner, reinterpret_cast<Node *>(when->result)));
  }
  flow_max(&result, walk_expression(walk, inner, reinterpret_cast<Node *>(node->defresult)));
  for (int i = 0; i < kMaxSources; ++i)
    if (result.count[i] == 0 && decides.count[i] != 0) result.count[i] = 1;
  result.implicit |= flow_decides(decides);
  result.pure = false;
  return result;
}

// What parses a document tells of it by warnings.
Flow xml_flow(PlanWalk *walk, const ExprScope &scope, XmlExpr *node) {
  const Flow flow = children_flow(walk, scope, reinterpret_cast<Node *>(node));
  const bool parses =
      node->op == IS_XMLPARSE || node->op == IS_DOCUMENT || node->op == IS_XMLSERIALIZE || node->op == IS_XMLROOT;
  const std::uint32_t probes = handed_probes(walk, scope, flow);
  if (!parses || (flow_explicit(flow) == 0 && probes == 0)) return flow;
  meter_arguments(walk, scope, node->args, 0);
  meter_handed(walk, node->args, probes, scope.charged ? kMeterAnswer : kMeterFirst);
  return flow_paid(flow);
}

// AND and OR: those before it decide whether one is computed.
Flow condition_flow(PlanWalk *walk, const ExprScope &scope, const BoolExpr *condition) {
  Flow flow = kNoFlow;
  ExprScope own = scope;
  ListCell *cell = nullptr;
  foreach (cell, condition->args) {
    flow_add(&flow, walk_expression(walk, own, static_cast<Node *>(lfirst(cell))));
    own.rows |= flow_decides(flow);
  }
  return flow;
}

Flow array_coerce_flow(PlanWalk *walk, const ExprScope &scope, ArrayCoerceExpr *cast) {
  const Flow array = walk_expression(walk, scope, reinterpret_cast<Node *>(cast->arg));
  Flow element = array;
  element.many = false;
  ExprScope inner = scope;
  inner.case_test = &element;
  Flow flow = walk_expression(walk, inner, reinterpret_cast<Node *>(cast->elemexpr));
  flow.many = array.many;
  return flow;
}

// A field of a row: of the whole row of a table, or of a column of another table's row type.
Flow field_flow(PlanWalk *walk, const ExprScope &scope, FieldSelect *select) {
  const auto *row = reinterpret_cast<Var *>(select->arg);
  const bool base = IsA(select->arg, Var) && !IS_SPECIAL_VARNO(row->varno) &&
                    (scope.scan == nullptr || static_cast<Index>(row->varno) != scope.scan_relid);
  if (base && row->varattno == 0) return relation_flow(walk, static_cast<Index>(row->varno), select->fieldnum);
  Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(select->arg));
  flow.many = flow.many && !is_fixed_size(select->resulttype);
  const bool whole = flow.pure && OidIsValid(flow.row_of);
  flow.pure = false;
  if (!base && !whole) return flow;
  const Oid row_of = whole ? flow.row_of : get_typ_typrelid(getBaseType(row->vartype));
  for (int i = 0; i < walk->analysis->sources; ++i) {
    const Source &source = walk->analysis->source[i];
    if (source.relid == row_of && source.attno != select->fieldnum) flow.count[i] = 0;
  }
  return flow;
}

Flow variable_flow(PlanWalk *walk, const ExprScope &scope, const Var *variable) {
  switch (variable->varno) {
    case OUTER_VAR:
      return node_flow_column(scope.outer, variable->varattno);
    case INNER_VAR:
      return node_flow_column(scope.inner, variable->varattno);
    case INDEX_VAR:
      return node_flow_column(scope.index, variable->varattno);
    default:
      break;
  }
  if (scope.scan != nullptr && static_cast<Index>(variable->varno) == scope.scan_relid) {
    Flow flow = node_flow_column(scope.scan, variable->varattno);
    if (variable->varattno == 0) flow.pure = true;  // a whole row is there, whatever is in it
    return flow;
  }
  return relation_flow(walk, static_cast<Index>(variable->varno), variable->varattno);
}

}  // namespace

Flow source_flow(PlanWalk *walk, const Source &source, int count) {
  Flow flow = kNoFlow;
  flow.count[source_index(walk, source)] = static_cast<std::uint16_t>(std::min<int>(count, kMaxFlowCount));
  return flow;
}

Flow relation_flow(PlanWalk *walk, Index rti, AttrNumber attno) {
  Flow flow = kNoFlow;
  if (rti < 1 || rti > static_cast<Index>(list_length(walk->plan->rtable))) return flow;
  const RangeTblEntry *entry = rt_fetch(rti, walk->plan->rtable);
  if (entry->rtekind == RTE_RELATION && attno == TableOidAttributeNumber) return partition_flow(walk, rti);
  if (attno < 0 || (entry->rtekind != RTE_RELATION && entry->rtekind != RTE_NAMEDTUPLESTORE)) return flow;
  const ProtectedRelation *relation = protected_relation(entry->relid);
  int columns = 0;
  bool many = false;
  for (int i = 0; relation != nullptr && i < relation->size; ++i) {
    const ProtectedColumn &column = relation->column[i];
    if (attno != 0 && column.attno != attno) continue;
    flow_add(&flow, source_flow(walk, column.source, column.count));
    many |= column.is_array;
    ++columns;
  }
  flow.pure = columns == 1 || (attno == 0 && columns > 0);
  if (attno == 0) flow.row_of = entry->relid;
  flow.many = many;
  return flow;
}

void walk_set_param(PlanWalk *walk, int id, const Flow &flow) {
  if (id < 0 || id >= walk->params) return;
  Flow *param = &walk->param[id];
  const Flow before = *param;
  const bool fresh = flow_decides(before) == 0;
  flow_max(param, flow);
  if (fresh) param->pure = flow.pure;
  param->paid = 0;
  if (memcmp(&before, param, sizeof before) != 0) walk->changed = true;
}

namespace {

// ARRAY(SELECT ...) keeps its rows; that it is empty is an answer, paid for as part of the row it is in.
void keep_rows(PlanWalk *walk, const SubPlan *subplan, const Flow &value) {
  ListCell *cell = list_nth_cell(walk->plan->subplans, subplan->plan_id - 1);
  auto *root = static_cast<Plan *>(lfirst(cell));
  meter_kept(walk, &root, flow_probes(value.implicit, value), kMeterFirst);
  lfirst(cell) = root;
}

}  // namespace

Flow walk_subplan(PlanWalk *walk, const ExprScope &scope, SubPlan *subplan) {
  ListCell *parameter = nullptr;
  ListCell *argument = nullptr;
  forboth(parameter, subplan->parParam, argument, subplan->args)
      walk_set_param(walk, lfirst_int(parameter), walk_expression(walk, scope, static_cast<Node *>(lfirst(argument))));
  if (const int id = subplan->plan_id; id >= 1 && id <= walk->subplans && subplan->parParam != NIL) {
    const std::uint32_t before = walk->called[id - 1];
    walk->called[id - 1] |= scope.rows | walk->context;
    walk->changed |= walk->called[id - 1] != before;
  }
  Flow flow = kNoFlow;
  const NodeFlow *rows =
      subplan->plan_id >= 1 && subplan->plan_id <= walk->subplans ? &walk->subplan[subplan->plan_id - 1] : nullptr;
  if (rows == nullptr || !rows->valid) return flow;

  const auto column = [rows](int position) {
    Flow value = node_flow_column(rows, static_cast<AttrNumber>(position));
    value.implicit |= rows->implicit | rows->order;
    return value;
  };
  const auto set_each = [&](const List *params) {
    int position = 1;
    ListCell *cell = nullptr;
    foreach (cell, params) walk_set_param(walk, lfirst_int(cell), column(position++));
  };
  const auto set_all = [&](const Flow &value) {
    ListCell *cell = nullptr;
    foreach (cell, subplan->setParam) walk_set_param(walk, lfirst_int(cell), value);
  };
  switch (subplan->subLinkType) {
    case EXPR_SUBLINK:
      set_each(subplan->setParam);
      return column(1);
    case MULTIEXPR_SUBLINK:
    case ROWCOMPARE_SUBLINK:
      set_each(subplan->setParam);
      set_each(subplan->paramIds);
      return subplan->testexpr != nullptr ? walk_expression(walk, scope, subplan->testexpr) : flow;
    case ARRAY_SUBLINK:
      flow = column(1);
      keep_rows(walk, subplan, flow);
      flow.many = flow_explicit(flow) != 0;
      flow.pure = false;
      break;
    case ANY_SUBLINK:
    case ALL_SUBLINK:
      set_each(subplan->paramIds);
      flow = walk_expression(walk, scope, subplan->testexpr);
      flow.implicit |= rows->implicit;
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

namespace {

Flow expression_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  Flow flow = kNoFlow;
  switch (nodeTag(node)) {
    case T_Const:
      return flow;
    case T_Var:
      return variable_flow(walk, scope, reinterpret_cast<Var *>(node));
    case T_Param: {
      const auto *param = reinterpret_cast<Param *>(node);
      return param->paramkind == PARAM_EXEC && param->paramid < walk->params ? walk->param[param->paramid] : flow;
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
      // A row is tested for nulls in it, which only a table's are sure to be of columns.
      const bool computed = test->argisrow && !OidIsValid(argument.row_of);
      if (!argument.pure || computed) flow.implicit = flow_decides(argument);
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
      flow = children_flow(walk, scope, node);
      flow.many = flow.many && is_array(reinterpret_cast<SubscriptingRef *>(node)->refrestype);
      return flow;
    case T_Aggref:
      return aggregate_flow(walk, scope, reinterpret_cast<Aggref *>(node));
    case T_WindowFunc:
      return window_flow(walk, scope, reinterpret_cast<WindowFunc *>(node));
    case T_SubPlan:
      return walk_subplan(walk, scope, reinterpret_cast<SubPlan *>(node));
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
    case T_RowCompareExpr:
    case T_RowExpr:
    case T_SQLValueFunction:
    case T_SetToDefault:
    case T_TableFunc:
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

}  // namespace

Flow walk_expression(PlanWalk *walk, const ExprScope &scope, Node *node) {
  if (node == nullptr) return kNoFlow;
  check_stack_depth();
  const Flow flow = expression_flow(walk, scope, node);
  if (walk->last && flow_explicit(flow) != 0) note_held(walk->analysis, flow, node);
  return flow;
}

}  // namespace redoubt::pg
