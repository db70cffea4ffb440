// plan/opened.cpp - token columns in the place of text: values that a query opens inside the server.
//
// The implicit cast of a token to text is redoubt.open_value(type).  In a plan that is metered its calls become calls
// of redoubt.opened, which charge nothing: the value is then followed like that of a labelled column, and pays where it
// is told.  In a query that no plan meters they charge for the value (plan/as_text.cpp); elsewhere (an assignment of
// PL/pgSQL, a constraint) the cast does what the output function does.
//
// A role that may search but not reveal may compare opened values with constants, and no more; so such comparisons are
// a source of their own.
//
// Covered by sql/search.sql and test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/plan/walk.h"
#include "pg/protect/function_trust.h"
#include "pg/types/token_type.h"

extern "C" {
#include "catalog/pg_collation.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
}

namespace redoubt::pg {
namespace {

bool is_opened(const FuncExpr *call) { return calls_placed(reinterpret_cast<const Node *>(call), {Placed::opened}); }

// Does a call of redoubt.opened charge for the value itself?
bool charges(const FuncExpr *call) {
  const auto *mark = static_cast<const Const *>(lsecond(call->args));
  return VARSIZE_ANY_EXHDR(DatumGetPointer(mark->constvalue)) > 0;
}

// The source that stands for values of another one met otherwise.
int source_as(PlanWalk *walk, int of, Opened opened) {
  Source source = walk->analysis->source[of];
  source.is_token = false;
  source.opened = opened;
  return source_index(walk, source);
}

// `mask` with comparisons in the place of `values`.
std::uint32_t as_compared(PlanWalk *walk, std::uint32_t mask, std::uint32_t values) {
  std::uint32_t compared = mask & ~values;
  for (const int i : bits_of(values)) compared |= 1U << source_as(walk, i, Opened::compared);
  return compared;
}

// An opened value of a column, in either case of letters.
bool is_opened_column(const Node *node) {
  node = without_collation(node);
  if (!IsA(node, FuncExpr)) return false;
  const auto *call = reinterpret_cast<const FuncExpr *>(node);
  if (folds_case(call->funcid)) return is_opened_column(static_cast<const Node *>(linitial(call->args)));
  return is_opening(call) && IsA(without_collation(static_cast<const Node *>(linitial(call->args))), Var);
}

bool is_text_comparison(Oid function) {
  switch (function) {
    case F_TEXTEQ:
    case F_TEXTNE:
    case F_TEXT_LT:
    case F_TEXT_LE:
    case F_TEXT_GT:
    case F_TEXT_GE:
    case F_TEXTLIKE:
    case F_TEXTNLIKE:
    case F_TEXTICLIKE:
    case F_TEXTICNLIKE:
    case F_STARTS_WITH:
      return true;
    default:
      return false;
  }
}

// Is the text of a value of the type the same at any time?  That of floating point and what is made of it, of bytea,
// intervals and times hangs on settings, whatever the catalog says of their output functions.
bool prints_the_same(Oid type) {
  type = getBaseType(type);
  switch (type) {
    case BOOLOID:
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case NUMERICOID:
    case UUIDOID:
    case UNKNOWNOID:
      return true;
    default:
      return type < FirstNormalObjectId && TypeCategory(type) == TYPCATEGORY_STRING;
  }
}

// concat(), format() and || of what is printed the same at any time.
bool prints_text(Node *node) {
  Oid function = InvalidOid;
  const List *arguments = NIL;
  if (IsA(node, FuncExpr)) {
    function = reinterpret_cast<FuncExpr *>(node)->funcid;
    arguments = reinterpret_cast<FuncExpr *>(node)->args;
  } else if (IsA(node, OpExpr)) {
    function = get_opcode(reinterpret_cast<OpExpr *>(node)->opno);
    arguments = reinterpret_cast<OpExpr *>(node)->args;
  }
  switch (function) {
    case F_CONCAT:
    case F_CONCAT_WS:
    case F_FORMAT_TEXT:
    case F_FORMAT_TEXT_ANY:
    case F_TEXTANYCAT:
    case F_ANYTEXTCAT:
      break;
    default:
      return false;
  }
  for (const auto *each : list_of<const Node>(arguments))
    if (!prints_the_same(exprType(each))) return false;
  return true;
}

// Does an expression depend on the row, or on another query of the statement?
bool varies(const Node *expression) {
  return any_node(expression, [](Node *node) {
    if (IsA(node, Var) || IsA(node, SubPlan) || IsA(node, AlternativeSubPlan) || IsA(node, Aggref)) return Step::found;
    return IsA(node, Param) && reinterpret_cast<Param *>(node)->paramkind != PARAM_EXTERN ? Step::found : Step::into;
  });
}

// May a function answer otherwise when it is called again with the same arguments?  What somebody says of his own
// function is believed of trusted ones only; concat() and its like are not immutable for the types that they print.
bool may_change(Oid function) {
  const char volatility = func_volatile(function);
  if (is_redoubt_function(function)) return volatility == PROVOLATILE_VOLATILE;  // a token's value, or a value's token
  return volatility != PROVOLATILE_IMMUTABLE || !function_is_trusted(function);
}

// Is a value printed by a function that PostgreSQL calls immutable though it obeys a setting?
bool prints_by_setting(const Node *node) {
  if (IsA(node, CoerceViaIO))
    return !prints_the_same(exprType(reinterpret_cast<const Node *>(reinterpret_cast<const CoerceViaIO *>(node)->arg)));
  if (!IsA(node, FuncExpr)) return false;
  const auto *call = reinterpret_cast<const FuncExpr *>(node);
  return call->funcid == F_QUOTE_IDENT || call->funcresulttype == CSTRINGOID;
}

// What depends on a setting or on the clock's zone (current_setting, to_char) is another text as soon as the statement
// itself, or somebody in between, changes that: a series of texts in the place of one.
bool is_constant(const Node *expression) {
  return !varies(expression) && !any_node(expression, [](Node *node) {
    const ExpressionKind *kind = expression_kind(node);
    const bool prints = kind != nullptr && (kind->transfer == xml_flow || kind->transfer == json_flow ||
                                            kind->transfer == json_query_flow);
    const bool changes = IsA(node, SQLValueFunction) || IsA(node, NextValueExpr) || IsA(node, GroupingFunc) || prints ||
                         prints_by_setting(node) || (!prints_text(node) && calls_any(node, may_change));
    return changes ? Step::found : Step::into;
  });
}

bool opens(const Node *expression) {
  return any_node(expression, [](Node *node) {
    return IsA(node, FuncExpr) && is_opening(reinterpret_cast<FuncExpr *>(node)) ? Step::found : Step::into;
  });
}

bool is_comparison(Oid op, const Node *left, const Node *right) {
  return is_text_comparison(get_opcode(op)) &&
         ((is_opened_column(left) && is_constant(right)) || (is_opened_column(right) && is_constant(left)));
}

bool is_comparison(const Node *condition) {
  if (!IsA(condition, OpExpr)) return false;
  const auto *call = reinterpret_cast<const OpExpr *>(condition);
  return list_length(call->args) == 2 && is_comparison(call->opno, static_cast<const Node *>(linitial(call->args)),
                                                       static_cast<const Node *>(lsecond(call->args)));
}

// The comparisons in (a, b) < (c, d); -1 where a pair of it is none, and opens a value.
int row_comparisons(const RowCompareExpr *rows) {
  int sum = 0;
  for (int i = 0; i < list_length(rows->opnos); ++i) {
    const auto *left = static_cast<const Node *>(list_nth(rows->largs, i));
    const auto *right = static_cast<const Node *>(list_nth(rows->rargs, i));
    if (is_comparison(list_nth_oid(rows->opnos, i), left, right))
      ++sum;
    else if (opens(left) || opens(right))
      return -1;
  }
  return sum;
}

// How many comparisons of opened values with constants a condition is put together from, by AND, OR and NOT; -1 where
// something else in it opens a value.
int comparisons(const Node *condition) {
  if (!opens(condition)) return 0;
  if (is_comparison(condition)) return 1;
  if (IsA(condition, RowCompareExpr)) return row_comparisons(reinterpret_cast<const RowCompareExpr *>(condition));
  if (!IsA(condition, BoolExpr)) return -1;
  check_stack_depth();
  int sum = 0;
  for (const auto *node : list_of<const Node>(reinterpret_cast<const BoolExpr *>(condition)->args)) {
    const int one = comparisons(node);
    if (one < 0) return -1;
    sum += one;
  }
  return sum;
}

}  // namespace

void count_comparisons(PlanWalk *walk, int n) {
  if (walk->last) walk->analysis->comparisons += n;
}

std::uint32_t opened_values(const PlanAnalysis *analysis, std::uint32_t mask) {
  std::uint32_t found = 0;
  for (const int i : bits_of(mask))
    if (analysis->source[i].opened == Opened::value) found |= 1U << i;
  return found;
}

bool is_opened_only(const PlanAnalysis *analysis, const Flow &flow) {
  const std::uint32_t mask = flow_explicit(flow);
  return mask != 0 && mask == opened_values(analysis, mask);
}

bool is_concatenation(const Node *node) {
  return IsA(node, OpExpr) && get_opcode(reinterpret_cast<const OpExpr *>(node)->opno) == F_TEXTCAT;
}

void make_opened(FuncExpr *call, bool charges) {
  constexpr char kCharges = 0;  // that there is a byte says it
  call->funcid = placed_function_oid(Placed::opened);
  call->args = lappend(call->args, placed_argument(&kCharges, charges ? 1 : 0));
}

void refuse_opened(Oid token_type) {
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("a value of token type %s would be written in the clear", format_type_be(token_type)),
                  errhint("Write the token, or detokenize() the value explicitly."), errhidestmt(true)));
  pg_unreachable();
}

Oid opening_function(Oid type) {
  const TokenType *token_type = type >= FirstNormalObjectId ? token_type_find(getBaseType(type)) : nullptr;
  return token_type != nullptr ? token_type->open_value : InvalidOid;
}

Expr *open_value(Expr *token) {
  const Oid function = opening_function(exprType(reinterpret_cast<Node *>(token)));
  const Oid collation = exprCollation(reinterpret_cast<Node *>(token));
  return reinterpret_cast<Expr *>(
      makeFuncExpr(function, TEXTOID, list_make1(token), value_collation(collation), collation, COERCE_IMPLICIT_CAST));
}

bool is_opening_cast(const FuncExpr *call) {
  if (call->funcid < FirstNormalObjectId || list_length(call->args) != 1) return false;
  const TokenType *type = token_type_find(getBaseType(exprType(static_cast<const Node *>(linitial(call->args)))));
  return type != nullptr && type_opens_by(type, call->funcid);
}

bool is_opening(const FuncExpr *call) { return is_opened(call) || is_opening_cast(call); }

namespace {

// Is the plan one that the executor runs, and meters?  Then it may open tokens without a charge for each.  A plan
// without a table, such as PL/pgSQL's simple expressions, may be evaluated without it.
bool is_metered(const PlannedStmt *plan) {
  return !(IsA(plan->planTree, Result) && outerPlan(plan->planTree) == nullptr && plan->subplans == NIL);
}

// Values of the type in the place of the tokens in `tokens`.
Flow as_values(PlanWalk *walk, const Flow &tokens, Oid type) {
  Flow flow = tokens;
  std::fill(std::begin(flow.count), std::end(flow.count), std::uint16_t{0});
  for (const int i : bits_of(flow_explicit(tokens))) {
    if (is_labelled(walk, i) || walk->analysis->source[i].token_type != type) continue;
    const int value = source_as(walk, i, Opened::value);
    flow.count[value] = std::max(flow.count[value], tokens.count[i]);
  }
  // A token from elsewhere: a parameter, or a literal.
  if (flow_explicit(flow) == 0)
    flow_add(&flow, source_flow(walk, {InvalidOid, InvalidAttrNumber, type, false, Opened::value}, 1));
  return flow;
}

}  // namespace

Flow fingerprint_flow(PlanWalk *walk, const ExprScope &scope, const FuncExpr *call) {
  auto *token = static_cast<Node *>(linitial(call->args));
  const Oid type = getBaseType(exprType(token));
  const Flow tokens = walk_expression(walk, scope, token);
  if (token_type_find(type) == nullptr) return tokens;
  Flow flow = flow_still_labelled(walk, as_values(walk, tokens, type), tokens);
  flow.pure = false;
  // Of a key of an index it is there already, for who uses it.
  if (walk->last && walk->of_index == OfIndex::no)
    walk->analysis->computed |= opened_values(walk->analysis, flow_explicit(flow));
  return flow;
}

Flow opened_flow(PlanWalk *walk, const ExprScope &scope, FuncExpr *call) {
  auto *token = static_cast<Node *>(linitial(call->args));
  const Flow tokens = walk_expression(walk, scope, token);
  const bool opened = is_opened(call);
  if (!opened && (!walk->inject || !is_metered(walk->plan))) {  // runs as it is, as the output function
    Flow text = tokens;
    text.pure = false;
    return text;
  }
  if (opened && charges(call)) return flow_still_labelled(walk, flow_paid(tokens), tokens);
  if (!opened && walk->last) make_opened(call, false);
  return flow_still_labelled(walk, as_values(walk, tokens, getBaseType(exprType(token))), tokens);
}

namespace {

// Of opened values those of columns, where there are any of the type: the token in `column < token` is no second thing
// that the condition tells of.
std::uint32_t without_operands(const PlanAnalysis *analysis, std::uint32_t values) {
  std::uint32_t rest = values;
  for (const int i : bits_of(values)) {
    const Source &one = analysis->source[i];
    if (OidIsValid(one.relid)) continue;
    for (const int k : bits_of(values)) {
      const Source &column = analysis->source[k];
      if (OidIsValid(column.relid) && column.token_type == one.token_type) rest &= ~(1U << i);
    }
  }
  return rest;
}

}  // namespace

std::uint32_t condition_decides(PlanWalk *walk, const Node *condition, std::uint32_t mask) {
  const std::uint32_t values = opened_values(walk->analysis, mask);
  if (values == 0) return mask;
  const int n = comparisons(condition);
  if (n <= 0) {
    if (walk->last) walk->analysis->computed |= values;
    return mask;
  }
  count_comparisons(walk, n);
  const std::uint32_t told = without_operands(walk->analysis, values);
  return as_compared(walk, mask & ~(values & ~told), told);
}

std::uint32_t order_compares(PlanWalk *walk, const Flow &flow, bool counts) {
  const std::uint32_t mask = flow_decides(flow);
  // Beside values of one's own (UNION ALL, CASE) the order tells more than a comparison.
  const std::uint32_t values = flow.pure && !flow.sometimes ? opened_values(walk->analysis, mask) : 0;
  if (values == 0) return mask;
  if (counts) count_comparisons(walk, 1);
  return as_compared(walk, mask, values);
}

std::uint32_t index_compares(PlanWalk *walk, const Flow &tokens, Oid type) {
  const std::uint32_t values = opened_values(walk->analysis, flow_explicit(as_values(walk, tokens, type)));
  return as_compared(walk, values, values);
}

}  // namespace redoubt::pg
