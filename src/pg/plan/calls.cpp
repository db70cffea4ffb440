// plan/calls.cpp - the flow of calls: functions, operators, casts, and what makes XML or JSON, or reads it.
//
// What is called is given its arguments.  Where it may disclose them they are metered as they are evaluated, and the
// result is free; where it is trusted, the result holds what they do.  Where values decide that it is called, that is
// metered, too: a call without arguments tells by being made.  detokenize and mask charge for what they return.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/type_parts.h"

#include "pg/protect/function_trust.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/by_index.h"
#include "pg/plan/walk.h"
#include "pg/types/token_type.h"
#include "pg/protect/protected_columns.h"

namespace redoubt::pg {
namespace {

// May a function that may see the arguments still hand them to one that may not?
bool passes_on(Oid function, Oid result, const List *arguments) {
  return type_runs_code(result) ||  // json_populate_record: a domain in the record
         OidIsValid(printing_cast(function, arguments));
}

// What decided on no more than the order in which the rows come.
std::uint32_t input_order(const ExprScope &scope) noexcept {
  return scope.order | (scope.outer != nullptr ? scope.outer->order : 0) |
         (scope.inner != nullptr ? scope.inner->order : 0) | (scope.scan != nullptr ? scope.scan->order : 0);
}

}  // namespace

std::uint32_t handed_probes(const PlanWalk *walk, const ExprScope &scope, const Flow &arguments) {
  return flow_probes(scope.rows | walk->context | arguments.implicit | input_order(scope), arguments);
}

Flow hand_over(PlanWalk *walk, const ExprScope &scope, List *arguments, const Flow &flow, std::uint16_t flags) {
  meter_arguments(walk, scope_after(scope, flow.implicit), arguments, flags);
  meter_call(walk, scope, arguments, handed_probes(walk, scope, flow));
  return flow_paid(flow);
}

namespace {

constexpr Size kBetween = 256;  // bytes of constants between values: too few to make a word too long

// Text of columns as it is stored, or put together from that: its words are nobody's choice.  Where protected values
// have `decided` that it is looked at, only text of protected columns: other text, of his own, a reader would know
// again.
bool is_stored_text(PlanWalk *walk, const ExprScope &scope, Node *node, bool decided, Size *constants) {
  const Flow flow = walk_expression(walk, scope, node);
  const Oid type = exprType(node);
  if (flow_decides(flow) == 0) {
    if (!decided || (type != TEXTOID && type != JSONOID && type != JSONBOID)) return true;
    const auto *constant = reinterpret_cast<const Const *>(node);
    if (!IsA(node, Const)) return false;
    *constants += constant->constisnull ? 0 : VARSIZE_ANY(DatumGetPointer(constant->constvalue));
    return *constants <= kBetween;
  }
  if (flow.pure) return true;
  const List *parts = NIL;
  if (IsA(node, CoalesceExpr)) parts = reinterpret_cast<CoalesceExpr *>(node)->args;
  if (IsA(node, OpExpr) && reinterpret_cast<OpExpr *>(node)->opfuncid == F_TEXTCAT)
    parts = reinterpret_cast<OpExpr *>(node)->args;
  for (auto *part : list_of<Node>(parts))
    if (!is_stored_text(walk, scope, part, decided, constants)) return false;
  return parts != NIL;
}

// May the call complain of words that somebody has chosen?  Text as a query may have none.
bool chooses_words(PlanWalk *walk, const ExprScope &scope, Oid function, const List *arguments, bool decided) {
  if (!function_makes_words(function)) return false;
  if (function == F_TS_MATCH_TT &&
      (decided || flow_decides(walk_expression(walk, scope, static_cast<Node *>(lsecond(arguments)))) != 0))
    return true;
  Size constants = 0;
  for (auto *text : list_of<Node>(arguments))
    if (!is_stored_text(walk, scope, text, decided, &constants)) return true;
  return false;
}

// Does an assignment to varchar(n) or char(n) look how long the text is?  What is too long is an error then.
bool checks_length(const FuncExpr *call) {
  if (call->funcid != F_VARCHAR_VARCHAR_INT4_BOOL && call->funcid != F_BPCHAR_BPCHAR_INT4_BOOL) return false;
  const auto *cuts = static_cast<const Const *>(lthird(call->args));
  return IsA(cuts, Const) && !cuts->constisnull && !DatumGetBool(cuts->constvalue);
}

// Does what is computed from an array say no more than one of its elements: whether, how many, where?  Other numbers (a
// hash, a size, a mean) may tell all of them.
bool tells_of_one(Oid function, Oid result) noexcept {
  if (result == BOOLOID) return true;
  switch (function) {
    case F_CARDINALITY:
    case F_ARRAY_LENGTH:
    case F_ARRAY_LOWER:
    case F_ARRAY_NDIMS:
    case F_ARRAY_UPPER:
    case F_ARRAY_POSITION_ANYCOMPATIBLEARRAY_ANYCOMPATIBLE:
    case F_ARRAY_POSITION_ANYCOMPATIBLEARRAY_ANYCOMPATIBLE_INT4:
    case F_BTARRAYCMP:
    case F_NUM_NONNULLS:
    case F_NUM_NULLS:
    case F_PG_TYPEOF:
    case F_WIDTH_BUCKET_ANYCOMPATIBLE_ANYCOMPATIBLEARRAY:
      return true;
    default:
      return false;
  }
}

// Comparisons of tokens, and token(): what they return has met no output function.
bool takes_tokens_directly(Oid function, Oid result, const List *arguments) {
  if (!is_fixed_size(result) && !is_redoubt_function(function)) return false;
  for (const auto *argument : list_of<const Node>(arguments))
    if (holds_tokens(argument)) return true;
  return false;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool plan_foresee_function(Oid function, void *walk) {
  redoubt::pg::foresee_function(static_cast<redoubt::pg::PlanWalk *>(walk), function);
  return false;
}
static bool plan_foresee_walker(Node *node, void *walk) {
  if (node == nullptr) return false;
  (void)check_functions_in_node(node, plan_foresee_function, walk);
  return expression_tree_walker(node, redoubt::pg::tree_walker(plan_foresee_walker), walk);
}
}

namespace redoubt::pg {

void foresee_function(PlanWalk *walk, Oid function) {
  if (!walk->last || function < FirstNormalObjectId || function_is_trusted(function)) return;
  walk->foreseen = list_append_unique_oid(walk->foreseen, function);
}

namespace {

void foresee_casts_of(PlanWalk *walk, Oid type) {
  for (const Oid target : {JSONOID, JSONBOID, TEXTOID}) foresee_function(walk, cast_function(type, target));
}

void foresee_checks(PlanWalk *walk, Oid type) {
  if (get_typtype(type) != TYPTYPE_DOMAIN || !DomainHasConstraints(type)) return;
  auto *domain = static_cast<DomainConstraintRef *>(palloc(sizeof(DomainConstraintRef)));  // called back at a reset
  InitDomainConstraintRef(type, domain, CurrentMemoryContext, false);
  for (const auto *constraint : list_of<const DomainConstraintState>(domain->constraints))
    plan_foresee_walker(reinterpret_cast<Node *>(constraint->check_expr), walk);
}

}  // namespace

void foresee_type(PlanWalk *walk, Oid type, bool casts) {
  if (!walk->last || type < FirstNormalObjectId) return;
  (void)any_type(type, &walk->foreseen_rows[casts ? 1 : 0], [walk, casts](Oid part, Oid) {
    if (casts)
      foresee_casts_of(walk, part);
    else
      foresee_checks(walk, part);
    return Step::into;
  });
}

void foresee_casts(PlanWalk *walk, Oid function, const List *arguments) {
  if (!walk->last || function >= FirstNormalObjectId) return;
  for (const auto *given : list_of<const Node>(arguments)) foresee_type(walk, exprType(argument(given)), true);
}

namespace {

// What counts its calls (nextval, random) tells of each row which place it has in the order.
void note_place(PlanWalk *walk, const ExprScope &scope, Oid function) {
  if (walk->last && input_order(scope) != 0 && func_volatile(function) == PROVOLATILE_VOLATILE)
    walk->analysis->computed |= input_order(scope);
}

}  // namespace

Flow walk_call(PlanWalk *walk, const ExprScope &scope, Oid function, Oid type, bool returns_set, List *arguments,
               Flow flow) {
  foresee_function(walk, function);
  foresee_type(walk, type);
  note_place(walk, scope, function);
  foresee_casts(walk, function, arguments);
  if (compat_tries_input(function)) foresee_type(walk, compat_tried_type(arguments));
  const bool decided = handed_probes(walk, scope, flow) != 0;
  if (flow_explicit(flow) == 0 && !decided) return flow;
  if (walk->of_index == OfIndex::no &&
      (!function_is_trusted(function) || acts_on_objects(function, arguments) || passes_on(function, type, arguments) ||
       chooses_words(walk, scope, function, arguments, decided)))
    return hand_over(walk, scope, arguments, flow, 0);
  if (flow_explicit(flow) == 0) return flow;
  if (flow.many) {
    // One element, which may hold many in turn; a string or array may hold all of them.
    if (returns_set || tells_of_one(function, type)) {
      flow.many = !is_fixed_size(type) && type_nests(type);
    } else {
      meter_arguments(walk, scope_after(scope, flow.implicit), arguments, meter_reveals(type));
      return flow_paid(flow);
    }
  }
  flow.pure = false;
  flow.direct |= takes_tokens_directly(function, type, arguments);
  return flow;
}

namespace {

// token_info: what it returns holds no token.
bool describes_token(const FuncExpr *call) {
  return is_redoubt_function(call->funcid) && list_length(call->args) == 1 && call->funcresulttype == RECORDOID;
}

// True for detokenize and mask: what they return is charged as a reveal.
bool consumes_token(const FuncExpr *call) {
  if (!is_redoubt_function(call->funcid) || list_length(call->args) != 1) return false;
  const Oid type = exprType(static_cast<Node *>(linitial(call->args)));
  if (const Oid element = get_element_type(type); OidIsValid(element)) {
    const TokenType *of = token_type_find(element);
    return of != nullptr && (call->funcid == of->array_gate[0] || call->funcid == of->array_gate[1]);
  }
  const TokenType *of = token_type_find(type);
  return of != nullptr && (call->funcid == of->gate[static_cast<int>(Privilege::reveal)] ||
                           call->funcid == of->gate[static_cast<int>(Privilege::masked)]);
}

// True for detokenize and mask with the type as an argument, where that is the type of all the tokens they are given.
bool consumes_named(const PlanWalk *walk, const FuncExpr *call, const Flow &flow) {
  if (!is_redoubt_function(call->funcid) || list_length(call->args) != 2) return false;
  const auto *named = static_cast<const Const *>(lsecond(call->args));
  if (!IsA(named, Const) || named->consttype != REGTYPEOID || named->constisnull) return false;
  const char *name = get_func_name(call->funcid);
  if (name == nullptr || (strcmp(name, "detokenize") != 0 && strcmp(name, "mask") != 0)) return false;
  const Oid type = DatumGetObjectId(named->constvalue);
  for (int i = 0; i < walk->analysis->sources; ++i)
    if (flow.count[i] != 0 && walk->analysis->source[i].token_type != type) return false;
  return true;
}

// What a function in C makes its tokens of cannot be seen, so its result is a source.  All other
// languages read by queries, which are charged.
void add_function_result(PlanWalk *walk, const FuncExpr *call, Flow *flow) {
  if (call->funcid < FirstNormalObjectId || call->funcresulttype < FirstNormalObjectId) return;
  const CarriedTokens *carried = type_carried(call->funcresulttype);
  if (carried->size == 0 || is_redoubt_function(call->funcid) || !function_is_in_c(call->funcid)) return;
  for (int i = 0; i < carried->size; ++i)
    flow_add(flow, source_flow(walk, {call->funcid, InvalidAttrNumber, carried->item[i].token_type, true},
                               carried->item[i].count));
  flow->pure = carried->size == 1;
  flow->many = is_array_type(call->funcresulttype);
}

}  // namespace

namespace {

// Built-in functions that do nothing but return.  Whoever calls random() changes what it returns next.
bool leaves_nothing(Oid function) noexcept {
  return function == F_CLOCK_TIMESTAMP || function == F_TIMEOFDAY || function == F_GEN_RANDOM_UUID;
}

}  // namespace

bool is_bare_call(const PlanWalk *walk, const ExprScope &scope, const Node *node) {
  if (node == nullptr || !IsA(node, FuncExpr) || walk->of_index != OfIndex::no || scope.foreign) return false;
  const auto *call = reinterpret_cast<const FuncExpr *>(node);
  return call->args == NIL && !leaves_nothing(call->funcid) && !function_is_trusted(call->funcid);
}

Flow bare_call_flow(PlanWalk *walk, const ExprScope &scope, const FuncExpr *call) {
  foresee_function(walk, call->funcid);
  note_place(walk, scope, call->funcid);
  Flow flow = kNoFlow;
  add_function_result(walk, call, &flow);
  return flow;
}

Flow function_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  auto *call = reinterpret_cast<FuncExpr *>(node);
  if (const MeterSpec *meter = meter_spec(node); meter != nullptr) {
    meter_found(walk, meter);  // whoever asked for it asks again, and finds it
    return walk_expression(walk, scope, static_cast<Node *>(linitial(call->args)));
  }
  if (is_opening(call)) return opened_flow(walk, scope, call);
  if (walk->of_index != OfIndex::held && is_fingerprint(node)) return fingerprint_flow(walk, scope, call);
  if (is_bare_call(walk, scope, node)) {
    const Flow result = bare_call_flow(walk, scope, call);
    if (!call->funcretset)  // sets: plan/nodes.cpp
      meter_bare_call(walk, scope, call, handed_probes(walk, scope, kNoFlow));
    return result;
  }
  Flow flow = list_flow(walk, scope, call->args);
  if (describes_token(call)) {
    flow_clear_explicit(&flow);
    return flow;
  }
  if (flow_explicit(flow) != 0 && (consumes_token(call) || consumes_named(walk, call, flow)))
    return flow_still_labelled(walk, flow_paid(flow), flow);
  const bool copies =
      checks_length(call) && walk_expression(walk, scope, static_cast<Node *>(linitial(call->args))).pure;
  const bool folds =
      folds_case(call->funcid) && walk_expression(walk, scope, static_cast<Node *>(linitial(call->args))).pure;
  flow = walk_call(walk, scope, call->funcid, call->funcresulttype, call->funcretset, call->args, flow);
  flow.pure = copies || (folds && is_opened_only(walk->analysis, flow));
  add_function_result(walk, call, &flow);
  return flow;
}

Flow operator_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  if (auto *call = reinterpret_cast<ScalarArrayOpExpr *>(node); IsA(node, ScalarArrayOpExpr)) {
    set_sa_opfuncid(call);
    return walk_call(walk, scope, call->opfuncid, BOOLOID, false, call->args, list_flow(walk, scope, call->args));
  }
  auto *call = reinterpret_cast<OpExpr *>(node);
  set_opfuncid(call);
  if (is_index_term(call)) {  // the condition beside it tells as much
    (void)walk_expression(walk, scope, static_cast<Node *>(lsecond(call->args)));
    return kNoFlow;
  }
  return walk_call(walk, scope, call->opfuncid, call->opresulttype, false, call->args,
                   list_flow(walk, scope, call->args));
}

namespace {

// The same for a single argument that is no list.
Flow hand_over(PlanWalk *walk, const ExprScope &scope, Expr **argument, const Flow &flow, std::uint16_t flags) {
  List *list = list_make1(*argument);
  const Flow result = hand_over(walk, scope, list, flow, flags);
  *argument = static_cast<Expr *>(linitial(list));
  return result;
}

}  // namespace

Flow io_cast_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  auto *cast = reinterpret_cast<CoerceViaIO *>(node);
  Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(cast->arg));
  foresee_type(walk, cast->resulttype);
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
    return hand_over(walk, scope, &cast->arg, flow, kMeterReveals);
  flow.pure = false;
  return flow;
}

Flow domain_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  auto *cast = reinterpret_cast<CoerceToDomain *>(node);
  foresee_type(walk, cast->resulttype);
  const Flow flow = walk_expression(walk, scope, reinterpret_cast<Node *>(cast->arg));
  if (flow_explicit(flow) == 0 && handed_probes(walk, scope, flow) == 0) return flow;
  if (!DomainHasConstraints(cast->resulttype)) return flow;
  return hand_over(walk, scope, &cast->arg, flow, 0);  // a CHECK constraint may call anything
}

// What parses a document tells of it by warnings.  One that is made of arrays holds all of their elements.
Flow xml_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const auto *xml = reinterpret_cast<XmlExpr *>(node);
  const Flow flow = children_flow(walk, scope, node);
  const bool parses =
      xml->op == IS_XMLPARSE || xml->op == IS_DOCUMENT || xml->op == IS_XMLSERIALIZE || xml->op == IS_XMLROOT;
  if (parses && (flow_explicit(flow) != 0 || handed_probes(walk, scope, flow) != 0))
    return hand_over(walk, scope, xml->args, flow, 0);
  if (!flow.many || flow_explicit(flow) == 0) return flow;
  for (List *const given : {xml->named_args, xml->args})
    meter_arguments(walk, scope_after(scope, flow.implicit), given, kMeterReveals);
  return flow_paid(flow);
}

// What makes JSON of its arguments, or tests it.  An aggregate in it has paid for what it takes.  What is made is cast
// to the type asked for by an expression of its own.
Flow json_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const Member *part = expression_kind(node)->part;
  List *arguments = list_at(node, part[0]);
  Flow flow = list_flow(walk, scope, arguments);
  if (part[1] == 0) {  // IS JSON
    flow.many = false;
    return flow;
  }
  for (const auto *each : list_of<const Node>(arguments)) foresee_type(walk, exprType(each), true);
  const bool runs_code = OidIsValid(printing_cast(InvalidOid, arguments));
  if (runs_code && (flow_explicit(flow) != 0 || handed_probes(walk, scope, flow) != 0)) {
    flow = hand_over(walk, scope, arguments, flow, 0);
  } else if (flow.many && flow_explicit(flow) != 0) {
    meter_arguments(walk, scope_after(scope, flow.implicit), arguments, kMeterReveals);
    flow = flow_paid(flow);
  }
  if (auto *aggregate = member_of(node, part[1]); aggregate != nullptr)
    flow_add(&flow, walk_expression(walk, scope, aggregate));
  auto *cast = member_of(node, part[2]);
  if (cast == nullptr) return flow;
  ExprScope inner = scope;
  inner.case_test = kept_flow(flow);
  return walk_expression(walk, inner, cast);
}

// What is found in JSON: a document, a path and what is passed to that are given, and decide which defaults are
// computed.  Making a value of the type asked for may run code, and a text or number may hold all elements of an array.
Flow json_query_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  constexpr int kGiven = 3;  // of the parts
  const ExpressionKind *kind = expression_kind(node);
  Flow flow = kNoFlow;
  ExprScope after = scope;
  for (const Member member : kind->part) {
    flow_add(&flow, walk_expression(walk, after, member_of(node, member)));
    after.rows |= flow_decides(flow);
  }
  const Oid type = exprType(node);
  foresee_type(walk, type);
  Oid input = InvalidOid;
  Oid parameter = InvalidOid;
  getTypeInputInfo(type, &input, &parameter);
  const bool runs_code = type_runs_code(type) || !function_is_trusted(input);
  const bool may_hold_all = std::exchange(flow.many, false) && type != BOOLOID;
  const bool pays = flow_explicit(flow) != 0 && (runs_code || may_hold_all);
  const std::uint32_t told = runs_code ? handed_probes(walk, scope, flow) : 0;
  if (!pays && told == 0) return flow;
  for (int i = 0; i < kGiven; ++i) {
    auto **there = reinterpret_cast<Node **>(reinterpret_cast<char *>(node) + kind->part[i]);
    List *given = list_at(node, kind->part[i]);
    meter_arguments(walk, scope_after(scope, flow.implicit), given, runs_code ? 0 : kMeterReveals);
    // Of a column of JSON_TABLE the scan meters that it is computed.
    if (i == 0 && !IsA(*there, CaseTestExpr)) meter_call(walk, scope, given, told);
    if (given != NIL && reinterpret_cast<Node *>(given) != *there) *there = static_cast<Node *>(linitial(given));
  }
  return flow_paid(flow);
}

}  // namespace redoubt::pg
