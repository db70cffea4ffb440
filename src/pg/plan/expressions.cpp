// plan/expressions.cpp - the flow of one expression.
//
// The kinds of expression are in plan/expression_table.  The rules: a value computed from protected values holds all of
// them, unless it is one of several (CASE, COALESCE, GREATEST).  What is called, and what becomes of the arguments, is
// in plan/calls.cpp; variables are in plan/columns.cpp, subqueries in plan/subplans.cpp.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/hash_table.h"
#include "pg/plan/expression_table.h"
#include "pg/plan/walk.h"
#include "pg/protect/collations.h"
#include "pg/protect/function_trust.h"
#include "pg/protect/protected_columns.h"

namespace redoubt::pg {
Flow children_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  Flow flow = kNoFlow;
  each_child(node, [&](Node *child) { flow_add(&flow, walk_expression(walk, scope, child)); });
  return flow;
}

Flow list_flow(PlanWalk *walk, const ExprScope &scope, const List *list) {
  Flow flow = kNoFlow;
  for (auto *node : list_of<Node>(list)) flow_add(&flow, walk_expression(walk, scope, node));
  return flow;
}

namespace {

// The scope of what is computed only where a condition, of which `mask` decides, says so.
ExprScope scope_if(const ExprScope &scope, std::uint32_t mask) {
  ExprScope after = scope_after(scope, mask);
  after.sometimes = true;
  return after;
}

// One of several values.
struct OneOf {
  Flow flow = kNoFlow;
  bool any = false;
  bool copies = true;  // each is a column as it is, or holds no value at all

  void add(const Flow &value) noexcept {
    copies = copies && (flow_decides(value) == 0 || value.pure);
    if (any)
      flow_max(&flow, value);
    else
      flow = value;
    any = true;
  }
  // Where no protected value decides which, a copy is delivered or a value of nobody's: a null is none.
  Flow chosen() const noexcept {
    Flow one = flow;
    one.pure = copies && one.implicit == 0 && flow_explicit(one) != 0;
    one.paid = 0;
    return one;
  }
};

// The parts of an expression, put together as the row of its kind says.
Flow parts_flow(PlanWalk *walk, const ExprScope &scope, Node *node, const ExpressionKind &kind) {
  const bool chooses = kind.combine == Combine::one_of || kind.combine == Combine::first_of;
  Flow together = kNoFlow;
  bool first = true;
  OneOf one;
  ExprScope own = scope;
  const auto add = [&](Node *part) {
    const Flow value = walk_expression(walk, own, part);
    const bool new_here = (flow_explicit(value) & ~flow_explicit(together)) != 0;
    together.sometimes |= kind.combine == Combine::in_turn && !first && new_here;  // may not be computed
    first = false;
    flow_add(&together, value);
    if (chooses) one.add(value);
    if (kind.combine == Combine::in_turn || kind.combine == Combine::first_of)
      own = scope_if(own, flow_decides(together));
  };
  for (const Member member : kind.part)
    for (auto *part : list_of<Node>(list_at(node, member))) add(part);
  if (!chooses) return together;
  if (kind.combine == Combine::one_of) one.copies = false;  // which one it is has been found out from all
  return one.chosen();
}

}  // namespace

const Flow *kept_flow(const Flow &flow) {
  auto *copy = static_cast<Flow *>(palloc(sizeof(Flow)));
  *copy = flow;
  return copy;
}

Flow parameter_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const auto *param = reinterpret_cast<Param *>(node);
  const ParamFacts *facts = param->paramkind == PARAM_EXEC ? param_facts(walk, param->paramid) : nullptr;
  if (facts == nullptr) return kNoFlow;
  walk->analysis->runs |= scope.rows;  // a subquery is run where it is asked for
  walk_called(walk, facts->initplan, scope.rows | walk->context);
  return facts->flow;
}

Flow case_test_flow(PlanWalk *, const ExprScope &scope, Node *) {
  return scope.case_test != nullptr ? *scope.case_test : kNoFlow;
}

Flow null_test_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const auto *test = reinterpret_cast<NullTest *>(node);
  const Flow argument = walk_expression(walk, scope, reinterpret_cast<Node *>(test->arg));
  Flow flow = kNoFlow;
  // Of a row, the nulls in it are tested.
  flow.implicit = !argument.pure || test->argisrow ? flow_decides(argument) : argument.implicit;
  return flow;
}

// NULLIF: the first argument or null.
Flow null_if_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  Flow first = walk_expression(walk, scope, static_cast<Node *>(linitial(reinterpret_cast<OpExpr *>(node)->args)));
  const Flow result = operator_flow(walk, scope, node);
  if (flow_explicit(result) == 0) return result;
  for (int i = 0; i < kMaxSources; ++i)
    if (first.count[i] == 0 && result.count[i] != 0) first.count[i] = 1;
  first.implicit |= flow_decides(result);
  first.pure = false;
  first.paid = 0;
  return first;
}

// CASE delivers one of its results.  A column that only decides which is still read, by
// what comes out.
Flow case_flow(PlanWalk *walk, const ExprScope &scope, Node *expression) {
  auto *node = reinterpret_cast<CaseExpr *>(expression);
  if (const FuncExpr *call = metered_call(expression); call != nullptr) {
    const auto *when = static_cast<const CaseWhen *>(linitial(node->args));
    meter_found(walk, meter_spec(reinterpret_cast<const Node *>(when->expr)));
    return bare_call_flow(walk, scope, call);
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
  for (auto *when : list_of<CaseWhen>(node->args)) {
    flow_add(&decides, walk_expression(walk, inner, reinterpret_cast<Node *>(when->expr)));
    inner = scope_if(inner, flow_decides(decides));  // that a result is computed tells
    result.add(walk_expression(walk, inner, reinterpret_cast<Node *>(when->result)));
  }
  result.add(walk_expression(walk, inner, reinterpret_cast<Node *>(node->defresult)));
  for (int i = 0; i < kMaxSources; ++i)
    if (result.flow.count[i] == 0 && decides.count[i] != 0) result.flow.count[i] = 1;
  result.flow.implicit |= flow_decides(decides);
  result.flow.direct |= decides.direct;
  return result.chosen();
}

// Columns are computed until a pair differs.
Flow row_compare_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const auto *compare = reinterpret_cast<const RowCompareExpr *>(node);
  Flow flow = kNoFlow;
  ExprScope own = scope;
  ListCell *left = nullptr;
  ListCell *right = nullptr;
  for (const Oid each : oids_of(compare->opnos)) foresee_function(walk, get_opcode(each));
  forboth(left, compare->largs, right, compare->rargs) {
    flow.sometimes |= foreach_current_index(left) > 0;  // computed where those before are equal
    flow_add(&flow, walk_expression(walk, own, static_cast<Node *>(lfirst(left))));
    flow_add(&flow, walk_expression(walk, own, static_cast<Node *>(lfirst(right))));
    flow.direct |= holds_tokens(static_cast<const Node *>(lfirst(left)));
    own.rows |= flow_decides(flow);
  }
  return flow;
}

bool type_nests(Oid type) {
  const Oid base = getBaseType(type);
  const char kind = get_typtype(base);
  return OidIsValid(get_element_type(base)) || type_is_rowtype(base) || kind == TYPTYPE_RANGE ||
         kind == TYPTYPE_MULTIRANGE;
}

Flow subscript_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  Flow flow = parts_flow(walk, scope, node, *expression_kind(node));
  flow.many = flow.many && type_nests(reinterpret_cast<const SubscriptingRef *>(node)->refrestype);
  return flow;
}

// What a document holds decides which defaults of a column are computed.  The node around that of JSON_TABLE has a copy
// of what is passed, which is not computed.
Flow table_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  auto *function = reinterpret_cast<TableFunc *>(node);
  Flow flow = walk_expression(walk, scope, *compat_document(function));
  flow_add(&flow, table_rest(walk, scope_after(scope, flow_decides(flow)), function));
  return flow;
}

Flow table_rest(PlanWalk *walk, const ExprScope &scope, TableFunc *function, const List *past) {
  Flow flow = kNoFlow;
  each_child(reinterpret_cast<Node *>(function), [&](Node *child) {
    if (child != function->docexpr && child != reinterpret_cast<const Node *>(past))
      flow_add(&flow, walk_expression(walk, scope, child));
  });
  return flow;
}

Flow array_coerce_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const auto *cast = reinterpret_cast<ArrayCoerceExpr *>(node);
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
Flow field_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  auto *select = reinterpret_cast<FieldSelect *>(node);
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

namespace {

Flow expression_flow(PlanWalk *walk, const ExprScope &scope, Node *node) {
  const ExpressionKind *kind = expression_kind(node);
  if (kind == nullptr)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("a statement that reads protected columns holds an expression of unknown kind %d",
                           static_cast<int>(nodeTag(node))),
                    errhint("This version of Redoubt does not know how values pass through it.")));
  if (kind->transfer != nullptr) return kind->transfer(walk, scope, node);
  if (kind->combine == Combine::leaf) return kNoFlow;
  if (kind->combine == Combine::value) return walk_expression(walk, scope, member_of(node, kind->part[0]));
  return kind->part[0] != 0 ? parts_flow(walk, scope, node, *kind) : children_flow(walk, scope, node);
}

// Values that can be in one value are in one message, if a function complains of it.
void note_held(PlanWalk *walk, const Flow &flow, const Node *node) {
  std::uint16_t *held = walk->analysis->held;
  std::uint32_t more = 0;
  for (const int i : bits_of(walk->last ? flow_explicit(flow) : 0))
    if (held[i] < flow.count[i]) more |= 1U << i;
  if (more == 0 || !expression_kind(node)->quoted || exprType(node) == BOOLOID) return;
  for (const int i : bits_of(more)) held[i] = flow.count[i];
}

// What computes something else of an opened value could tell anything of it; a condition has a look of its own.
void note_computed(PlanWalk *walk, const Flow &flow, const Node *node) {
  const Combine combine = expression_kind(node)->combine;
  if (!walk->last || walk->in_condition || walk->of_index == OfIndex::asked || flow.pure || combine == Combine::value ||
      IsA(node, List) || IsA(node, Param) || is_concatenation(node))
    return;
  walk->analysis->computed |= opened_values(walk->analysis, flow_explicit(flow));
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
  key.flags = (scope.foreign ? 1U : 0U) | (walk->last ? 2U : 0U) | (scope.disclosing != nullptr ? 4U : 0U) |
              (scope.sometimes ? 8U : 0U) | static_cast<std::uint32_t>(walk->of_index) << 4;
  return key;
}

}  // namespace

Flow walk_expression(PlanWalk *walk, const ExprScope &scope, Node *node) {
  if (node == nullptr) return kNoFlow;
  CHECK_FOR_INTERRUPTS();
  // A column, or a target list entry that is one: most of what there is in a wide table.
  if (IsA(node, TargetEntry) && IsA(reinterpret_cast<TargetEntry *>(node)->expr, Var))
    node = reinterpret_cast<Node *>(reinterpret_cast<TargetEntry *>(node)->expr);
  collations_open(node);
  if (IsA(node, Const)) return kNoFlow;
  if (IsA(node, Var)) {
    const Flow flow = variable_flow(walk, scope, node);
    note_held(walk, flow, node);
    return flow;
  }
  check_stack_depth();
  // What has no parts, or is no expression itself, is as fast to look at.
  const bool remembered = walk->nesting > 0 && !IsA(node, Param) && !IsA(node, List);
  MemoKey key;
  if (remembered) {
    key = memo_key(walk, scope, node);
    if (walk->memo == nullptr)
      walk->memo = hash_table_make<MemoKey, MemoEntry>("redoubt flows of expressions", 64, walk->memory);
    const auto *entry = static_cast<MemoEntry *>(hash_search(walk->memo, &key, HASH_FIND, nullptr));
    if (entry != nullptr && entry->turn == walk->memo_turn) return entry->flow;
  }
  ++walk->nesting;
  const Flow flow = expression_flow(walk, scope, node);
  --walk->nesting;
  note_held(walk, flow, node);
  note_computed(walk, flow, node);
  if (remembered) {
    auto *entry = static_cast<MemoEntry *>(hash_search(walk->memo, &key, HASH_ENTER, nullptr));
    entry->turn = walk->memo_turn;
    entry->flow = flow;
  }
  return flow;
}

}  // namespace redoubt::pg
