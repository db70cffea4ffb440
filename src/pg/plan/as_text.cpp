// plan/as_text.cpp - see plan/as_text.h.
//
// Frames here hold plain data only.
// Covered by sql/search.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/settings.h"
#include "pg/plan/as_text.h"
#include "pg/plan/by_index.h"
#include "pg/plan/by_token.h"
#include "pg/plan/query_parts.h"
#include "pg/plan/token_texts.h"
#include "pg/plan/walk.h"
#include "pg/protect/protected_columns.h"
#include "pg/types/token_type.h"

extern "C" {
#include "access/stratnum.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_opfamily.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "parser/parse_clause.h"
#include "rewrite/rewriteManip.h"
}

namespace redoubt::pg {
namespace {

// Where a text leaves a query, or is written: there no token is put together with other text, which would be neither.
enum class Goes { out, into_column };

Expr *as_shown(Expr *expression, Goes goes, Oid into);

// Of a key its own order or equality is asked for.
auto shown(Goes goes, Oid into = InvalidOid) {
  return [=](Expr *expression, bool is_key = false) { return is_key ? expression : as_shown(expression, goes, into); };
}

// Between token types PostgreSQL would go by way of their texts, and one's token is none of the other's.
void refuse_other_type(Oid given, Oid wanted) {
  const Oid from = getBaseType(given);
  const Oid to = getBaseType(wanted);
  if (from == to || token_type_find(from) == nullptr || token_type_find(to) == nullptr) return;
  ereport(ERROR, (errcode(ERRCODE_CANNOT_COERCE),
                  errmsg("a token of type %s is none of type %s", format_type_be(from), format_type_be(to)),
                  errhint("detokenize() the value: it becomes a token of the other type where it is written.")));
}

// What is shown of an expression: of a token alone, or put together with other text, or chosen by COALESCE or CASE,
// what its output function makes of it.  Whatever else is computed is computed from the value.  `into` is the token
// type that the text is made one of afterwards, or InvalidOid.
Expr *as_shown(Expr *expression, Goes goes, Oid into) {
  if (expression == nullptr) return nullptr;
  check_stack_depth();
  if (goes == Goes::into_column) expression = assigned_token(expression);
  const auto *node = reinterpret_cast<const Node *>(expression);
  const Oid type = exprType(node);
  const Oid collation = exprCollation(node);
  Expr *token = opened_token(expression);
  if (token == nullptr) token = null_if_token(expression);
  if (token != nullptr) {
    if (OidIsValid(into)) refuse_other_type(exprType(reinterpret_cast<const Node *>(token)), into);
    auto *cast = makeNode(CoerceViaIO);
    cast->arg = token;
    cast->resulttype = type;
    cast->resultcollid = collation;
    cast->coerceformat = COERCE_EXPLICIT_CAST;
    cast->location = -1;
    return &cast->xpr;
  }
  switch (nodeTag(expression)) {
    case T_RelabelType:
      reinterpret_cast<RelabelType *>(expression)->arg =
          as_shown(reinterpret_cast<RelabelType *>(expression)->arg, goes, into);
      break;
    case T_ArrayCoerceExpr:
      reinterpret_cast<ArrayCoerceExpr *>(expression)->elemexpr =
          as_shown(reinterpret_cast<ArrayCoerceExpr *>(expression)->elemexpr, goes, into);
      break;
    case T_OpExpr:
      if (goes == Goes::out && is_concatenation(reinterpret_cast<Node *>(expression)))
        each_in_place(reinterpret_cast<OpExpr *>(expression)->args, shown(goes, into));
      break;
    case T_CoalesceExpr:
    case T_CaseExpr:
      each_chosen_in_place(expression, shown(goes, into));
      break;
    case T_SubLink: {
      const auto *link = reinterpret_cast<const SubLink *>(expression);
      if (link->subLinkType == EXPR_SUBLINK || link->subLinkType == ARRAY_SUBLINK)
        each_target_in_place(reinterpret_cast<const Query *>(link->subselect)->targetList, shown(goes, into));
      break;
    }
    default:
      break;
  }
  return expression;
}

// The strategy of an operator that compares two tokens in token order; 0 for any other.
StrategyNumber token_order_of(Oid function) {
  if (function < FirstNormalObjectId) return 0;
  const char *symbol = catalog_library_symbol(function);
  if (symbol == nullptr) return 0;
  return strcmp(symbol, "redoubt_token_lt") == 0   ? BTLessStrategyNumber
         : strcmp(symbol, "redoubt_token_le") == 0 ? BTLessEqualStrategyNumber
         : strcmp(symbol, "redoubt_token_ge") == 0 ? BTGreaterEqualStrategyNumber
         : strcmp(symbol, "redoubt_token_gt") == 0 ? BTGreaterStrategyNumber
                                                   : 0;
}

Oid text_operator(StrategyNumber strategy) {
  return get_opfamily_member(TEXT_BTREE_FAM_OID, TEXTOID, TEXTOID, static_cast<int16>(strategy));
}

// By value or by token?  Asked where a query has the one or the other to choose.
bool orders_by_value() noexcept {
  setting_order_matters = true;
  return setting_reveal != static_cast<int>(Reveal::token) && !setting_token_order;
}

// Raised for what has no counterpart by value.
void refuse_order(Oid type, const char *what) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("%s of token type %s would be by token, not by value", what, format_type_be(type)),
                  errhint("Give the text: a cast to text opens the value.  SET redoubt.token_order = on asks for the "
                          "order of tokens.")));
}

// A comparison of two tokens by their order, which is to be one of their values?  Sets the operator of text.
bool compares_by_value(Oid *opno, const Node *left) {
  if (*opno < FirstNormalObjectId) return false;
  const StrategyNumber strategy = token_order_of(get_opcode(*opno));
  if (strategy == 0 || !OidIsValid(opening_function(exprType(left))) || !orders_by_value()) return false;
  *opno = text_operator(strategy);
  return true;
}

// The collation of such a comparison.  Of two columns in different ones it has none, and text refuses it then.
Oid compared_in(Oid collation, const Node *left) {
  return OidIsValid(exprCollation(left)) ? collation : value_collation(collation);
}

void compare_by_value(OpExpr *comparison) {
  if (list_length(comparison->args) != 2 ||
      !compares_by_value(&comparison->opno, static_cast<Node *>(linitial(comparison->args))))
    return;
  comparison->opfuncid = get_opcode(comparison->opno);
  comparison->inputcollid = compared_in(comparison->inputcollid, static_cast<Node *>(linitial(comparison->args)));
  comparison->args = list_make2(open_value(static_cast<Expr *>(linitial(comparison->args))),
                                open_value(static_cast<Expr *>(lsecond(comparison->args))));
}

const Node *sorted_value(const SortGroupClause *clause, const List *targets) {
  return reinterpret_cast<const Node *>(
      get_sortgroupref_tle(clause->tleSortGroupRef, const_cast<List *>(targets))->expr);
}

bool sorts_by_token(const SortGroupClause *clause, const List *targets) {
  if (clause->sortop < FirstNormalObjectId || token_order_of(get_opcode(clause->sortop)) == 0) return false;
  return OidIsValid(opening_function(exprType(sorted_value(clause, targets))));
}

bool sorts_by_tokens(const List *clauses, const List *targets) {
  for (const auto *clause : list_of<const SortGroupClause>(clauses))
    if (sorts_by_token(clause, targets)) return true;
  return false;
}

// Sorts by the values of entries of a target list, and no longer by their tokens; not by those that rows are `distinct`
// by.
void sort_by_values(const List *clauses, List **targets, const List *distinct = NIL) {
  for (auto *clause : list_of<SortGroupClause>(clauses)) {
    if (!sorts_by_token(clause, *targets) || is_among(clause->tleSortGroupRef, distinct)) continue;
    const StrategyNumber strategy = token_order_of(get_opcode(clause->sortop));
    auto *key = makeTargetEntry(open_value(static_cast<Expr *>(copyObjectImpl(sorted_value(clause, *targets)))),
                                static_cast<AttrNumber>(list_length(*targets) + 1), nullptr, true);
    *targets = lappend(*targets, key);
    clause->tleSortGroupRef = assignSortGroupRef(key, *targets);
    clause->sortop = text_operator(strategy);
    clause->eqop = text_operator(BTEqualStrategyNumber);
    clause->hashable = true;
  }
}

// `query` becomes one around it, which sorts its rows: of those that are distinct, or come from several queries, only
// the columns are there to sort by.
void sort_outside(Query *query) {
  auto *inner = static_cast<Query *>(palloc(sizeof(Query)));
  *inner = *query;
  List *sort = NIL;
  // Keys past those that rows are distinct by choose among rows, and are left inside.
  for (const auto *key : list_of<const SortGroupClause>(query->sortClause))
    if (!query->hasDistinctOn || is_among(key->tleSortGroupRef, query->distinctClause))
      sort = lappend(sort, copyObjectImpl(key));
  if (!query->hasDistinctOn) inner->sortClause = NIL;
  inner->limitCount = inner->limitOffset = nullptr;
  inner->canSetTag = true;
  IncrementVarSublevelsUp(reinterpret_cast<Node *>(inner), 1, 1);

  RangeTblEntry *entry = entry_of(inner, "unsorted", NIL);
  Query outer = *select_from(entry);
  outer.querySource = query->querySource;
  outer.queryId = query->queryId;
  outer.canSetTag = query->canSetTag;
  outer.sortClause = sort;
  outer.limitCount = query->limitCount;
  outer.limitOffset = query->limitOffset;
  outer.limitOption = query->limitOption;
  outer.stmt_location = query->stmt_location;
  outer.stmt_len = query->stmt_len;
  for (auto *target : list_of<TargetEntry>(inner->targetList)) {
    entry->eref->colnames = lappend(entry->eref->colnames, name_of(target));
    TargetEntry *shown = flatCopyTargetEntry(target);
    shown->expr = reinterpret_cast<Expr *>(makeVarFromTargetEntry(1, target));
    outer.targetList = lappend(outer.targetList, shown);
    target->resjunk = false;
  }
  *query = outer;
}

// Rows and arrays of tokens have the order of tokens, whatever they are compared by.
void refuse_composite(const QueryLevel *level, const Node *value) {
  const Oid type = opened_part(level, value);
  if (OidIsValid(type) && orders_by_value()) refuse_order(type, "the order of rows or arrays");
}

void refuse_composites(const QueryLevel *level, const List *clauses, const List *targets) {
  for (const auto *clause : list_of<const SortGroupClause>(clauses))
    if (clause->sortop < FirstNormalObjectId) refuse_composite(level, sorted_value(clause, targets));
}

// Does an operator of rows, arrays or ranges ask for their order?
bool asks_for_order(Oid op) {
  switch (OidIsValid(op) ? get_opcode(op) : InvalidOid) {
    case F_ARRAY_LT:
    case F_ARRAY_LE:
    case F_ARRAY_GE:
    case F_ARRAY_GT:
    case F_RECORD_LT:
    case F_RECORD_LE:
    case F_RECORD_GE:
    case F_RECORD_GT:
    case F_RANGE_LT:
    case F_RANGE_LE:
    case F_RANGE_GE:
    case F_RANGE_GT:
    case F_MULTIRANGE_LT:
    case F_MULTIRANGE_LE:
    case F_MULTIRANGE_GE:
    case F_MULTIRANGE_GT:
      return true;
    default:
      return false;
  }
}

void refuse_composite_comparison(const QueryLevel *level, Oid op, const List *sides) {
  if (op >= FirstNormalObjectId) return;
  for (const auto *side : list_of<const Node>(sides))
    if (OidIsValid(opened_part(level, side)) && asks_for_order(op)) refuse_composite(level, side);
}

// Of (a, b) < (c, d) each pair.
void compare_rows(const QueryLevel *level, RowCompareExpr *rows) {
  for (int i = 0; i < list_length(rows->opnos); ++i) {
    ListCell *left = list_nth_cell(rows->largs, i);
    ListCell *right = list_nth_cell(rows->rargs, i);
    refuse_composite_comparison(level, list_nth_oid(rows->opnos, i), list_make2(lfirst(left), lfirst(right)));
    if (!compares_by_value(&lfirst_oid(list_nth_cell(rows->opnos, i)), static_cast<Node *>(lfirst(left)))) continue;
    lfirst_oid(list_nth_cell(rows->opfamilies, i)) = TEXT_BTREE_FAM_OID;
    Oid *collation = &lfirst_oid(list_nth_cell(rows->inputcollids, i));
    *collation = compared_in(*collation, static_cast<Node *>(lfirst(left)));
    lfirst(left) = open_value(static_cast<Expr *>(lfirst(left)));
    lfirst(right) = open_value(static_cast<Expr *>(lfirst(right)));
  }
}

// min() and max() of arrays.
void refuse_composite_extreme(const QueryLevel *level, Oid aggregate, const Node *argument) {
  if (aggregate < FirstNormalObjectId && OidIsValid(opened_part(level, argument)) &&
      asks_for_order(catalog_field(AGGFNOID, aggregate, &FormData_pg_aggregate::aggsortop)))
    refuse_composite(level, argument);
}

// Takes the marks away of targets that nothing sorts or groups by any more: a plan that an index sorts would be taken
// to be in the order of tokens, too.  Those that were there for that alone go: a sort would carry their tokens along.
// They stand behind all columns that somebody refers to by number.
void drop_marks(Query *query) {
  List *kept = NIL;
  for (auto *target : list_of<TargetEntry>(query->targetList)) {
    const Index mark = target->ressortgroupref;
    bool named = is_among(mark, query->sortClause) || is_among(mark, query->groupClause) ||
                 is_among(mark, query->distinctClause);
    for (const auto *window : list_of<const WindowClause>(query->windowClause)) {
      named |= is_among(mark, window->partitionClause) || is_among(mark, window->orderClause);
    }
    if (mark != 0 && !named && target->resjunk) continue;
    if (!named) target->ressortgroupref = 0;
    if (target->resjunk) target->resno = static_cast<AttrNumber>(list_length(kept) + 1);
    kept = lappend(kept, target);
  }
  query->targetList = kept;
}

void order_by_value(Query *query, const QueryLevel *level) {
  refuse_composites(level, query->sortClause, query->targetList);
  for (const auto *window : list_of<const WindowClause>(query->windowClause)) {
    refuse_composites(level, window->orderClause, query->targetList);
    if (sorts_by_tokens(window->orderClause, query->targetList) && orders_by_value())
      sort_by_values(window->orderClause, &query->targetList);
    drop_marks(query);
  }
  if (!sorts_by_tokens(query->sortClause, query->targetList) || !orders_by_value()) return;
  if (query->hasDistinctOn) sort_by_values(query->sortClause, &query->targetList, query->distinctClause);
  if (!sorts_by_tokens(query->sortClause, query->targetList)) return;
  if (query->distinctClause != NIL || query->setOperations != nullptr) sort_outside(query);
  sort_by_values(query->sortClause, &query->targetList);
  drop_marks(query);
}

void order_aggregate(const QueryLevel *level, Aggref *aggregate) {
  refuse_composites(level, aggregate->aggorder, aggregate->args);
  if (list_length(aggregate->args) == 1)
    refuse_composite_extreme(level, aggregate->aggfnoid,
                             reinterpret_cast<Node *>(static_cast<TargetEntry *>(linitial(aggregate->args))->expr));
  if (!sorts_by_tokens(aggregate->aggorder, aggregate->args) || !orders_by_value()) return;
  if (aggregate->aggfnoid == F_MODE) return;  // asks for equality
  if (AGGKIND_IS_ORDERED_SET(aggregate->aggkind) || aggregate->aggdistinct != NIL)
    refuse_order(exprType(sorted_value(static_cast<SortGroupClause *>(linitial(aggregate->aggorder)), aggregate->args)),
                 "the order in an aggregate");
  sort_by_values(aggregate->aggorder, &aggregate->args);
}

// A collation that takes different texts for equal is none that tokens are compared in.
void refuse_loose(Oid collation, const Node *compared) {
  if (!OidIsValid(opening_function(exprType(compared))) || is_by_bytes(collation)) return;
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("collation \"%s\" takes values of token type %s for equal that have different tokens",
                         get_collation_name(collation), format_type_be(exprType(compared))),
                  errhint("Give the text: column::text COLLATE ... compares values.")));
}

void refuse_loose_groups(const List *clauses, const List *targets) {
  for (const auto *clause : list_of<SortGroupClause>(clauses)) {
    const Node *value = sorted_value(clause, targets);
    refuse_loose(exprCollation(value), value);
  }
}

// Tokens of an array are in token order.
void refuse_array_order(const ScalarArrayOpExpr *comparison) {
  if (comparison->opno < FirstNormalObjectId) return;
  const Oid type = exprType(static_cast<Node *>(linitial(comparison->args)));
  if (OidIsValid(opening_function(type)) && token_order_of(get_opcode(comparison->opno)) != 0 && orders_by_value())
    refuse_order(type, "a comparison with an array");
}

bool prints_arguments(Oid function) {
  return function == F_CONCAT || function == F_CONCAT_WS || function == F_FORMAT_TEXT_ANY;
}

void open_tokens(List *arguments) {
  each_in_place(arguments, [](Expr *argument) {
    return OidIsValid(opening_function(exprType(reinterpret_cast<Node *>(argument)))) ? open_value(argument) : argument;
  });
}

// concat() and its like take values of any type, and print them by their output functions.
void open_arguments(const FuncExpr *call) {
  if (prints_arguments(call->funcid)) open_tokens(call->args);
}

// PASSING takes any type of strings, and the path knows those of PostgreSQL's own.
void open_passed(Node *node) {
  if (List **given = IsA(node, TableFunc) ? compat_passed_values(reinterpret_cast<TableFunc *>(node)) : nullptr;
      given != nullptr)
    open_tokens(*given);
  if (const ExpressionKind *kind = expression_kind(node); kind != nullptr && kind->transfer == json_query_flow)
    open_tokens(member_of<List *>(node, kind->part[2]));
}

// In a condition that would be what this role is shown.
void open_compared(const FuncExpr *call) {
  if (prints_arguments(call->funcid) && orders_by_value()) open_arguments(call);
}

// In what becomes a token of the type it would be tokens, and so sealed once more.  Columns of subqueries are looked at
// once.
void open_sealed(const Query *query, Node *text, Oid type, List **seen) {
  check_stack_depth();
  (void)any_node(text, [query, type, seen](Node *node) {
    if (IsA(node, FuncExpr)) open_arguments(reinterpret_cast<const FuncExpr *>(node));
    const auto *column = reinterpret_cast<const Var *>(node);
    if (!IsA(node, Var) || column->varlevelsup > 0) return IsA(node, Query) ? Step::past : Step::into;
    const RangeTblEntry *entry = rt_fetch(static_cast<Index>(column->varno), query->rtable);
    TargetEntry *target = entry->rtekind == RTE_SUBQUERY && entry->subquery->setOperations == nullptr
                              ? get_tle_by_resno(entry->subquery->targetList, column->varattno)
                              : nullptr;
    if (target == nullptr || list_member_ptr(*seen, target)) return Step::past;
    *seen = lappend(*seen, target);
    if (query->commandType == CMD_INSERT)  // one of the rows that it is given
      target->expr = shown(Goes::into_column, type)(target->expr, target->ressortgroupref != 0);
    open_sealed(entry->subquery, reinterpret_cast<Node *>(target->expr), type, seen);
    return Step::past;
  });
}

bool makes_token(const FuncExpr *call) {
  const TokenType *type = call->funcid >= FirstNormalObjectId ? token_type_find(call->funcresulttype) : nullptr;
  return type != nullptr && type->gate[static_cast<int>(Privilege::tokenize)] == call->funcid;
}

// Of an expression that is written.
void open_written(const Query *query, Expr *expression) {
  List *seen = NIL;
  (void)any_node(expression, [query, &seen](Node *node) {
    if (IsA(node, Query)) return Step::past;
    const auto *call = reinterpret_cast<const FuncExpr *>(node);
    if (IsA(node, FuncExpr) && makes_token(call))
      open_sealed(query, static_cast<Node *>(linitial(call->args)), call->funcresulttype, &seen);
    return Step::into;
  });
}

// What a statement holds, its subqueries included.
struct Found {
  bool metered;             // a table with protected columns
  bool opens;               // a value that is opened
  const QueryLevel *level;  // the query at hand
  bool decides;             // a condition in WHERE or ON is looked at
};

void take_as_text(Node *node, Found *found);

void take_children(Node *node, Found *found) {
  each_child(node, [found](Node *child) { take_as_text(child, found); });
}

void take_query(Query *query, Found *found) {
  found->metered |= reads_protected(query);
  const QueryLevel level = {query, found->level};
  const bool decides = std::exchange(found->decides, false);
  found->level = &level;
  take_children(reinterpret_cast<Node *>(query), found);
  found->level = level.outer;
  found->decides = decides;
  refuse_loose_groups(query->groupClause, query->targetList);
  refuse_loose_groups(query->distinctClause, query->targetList);
  order_by_value(query, &level);
  by_index(query);
}

// FROM, a list or one join, and its conditions.
void take_from(std::initializer_list<Node *> from, Node *conditions, Found *found) {
  for (Node *part : from)
    if (part != nullptr) take_as_text(part, found);
  if (conditions == nullptr) return;
  found->decides = true;
  take_as_text(conditions, found);
  found->decides = false;
}

void take_as_text(Node *node, Found *found) {
  switch (nodeTag(node)) {
    case T_Var:
    case T_Const:
    case T_Param:
    case T_RangeTblRef:
      return;
    case T_Query:
      return take_query(reinterpret_cast<Query *>(node), found);
    case T_FromExpr: {
      const auto *from = reinterpret_cast<const FromExpr *>(node);
      return take_from({reinterpret_cast<Node *>(from->fromlist)}, from->quals, found);
    }
    case T_JoinExpr: {
      const auto *join = reinterpret_cast<const JoinExpr *>(node);
      return take_from({join->larg, join->rarg}, join->quals, found);
    }
    case T_FuncExpr:
      found->opens |= opened_token(reinterpret_cast<Expr *>(node)) != nullptr;
      if (found->decides) open_compared(reinterpret_cast<FuncExpr *>(node));
      token_texts(found->level, node);
      break;
    case T_OpExpr:
      token_texts(found->level, node);
      by_token(node);
      compare_by_value(reinterpret_cast<OpExpr *>(node));
      refuse_composite_comparison(found->level, reinterpret_cast<OpExpr *>(node)->opno,
                                  reinterpret_cast<OpExpr *>(node)->args);
      refuse_loose(reinterpret_cast<OpExpr *>(node)->inputcollid,
                   static_cast<Node *>(linitial(reinterpret_cast<OpExpr *>(node)->args)));
      break;
    case T_DistinctExpr:
    case T_NullIfExpr:
      by_token(node);
      refuse_loose(reinterpret_cast<OpExpr *>(node)->inputcollid,
                   static_cast<Node *>(linitial(reinterpret_cast<OpExpr *>(node)->args)));
      break;
    case T_ScalarArrayOpExpr:
      token_texts(found->level, node);
      by_token(node);
      refuse_array_order(reinterpret_cast<ScalarArrayOpExpr *>(node));
      refuse_loose(reinterpret_cast<ScalarArrayOpExpr *>(node)->inputcollid,
                   static_cast<Node *>(linitial(reinterpret_cast<ScalarArrayOpExpr *>(node)->args)));
      refuse_composite_comparison(found->level, reinterpret_cast<ScalarArrayOpExpr *>(node)->opno,
                                  reinterpret_cast<ScalarArrayOpExpr *>(node)->args);
      break;
    case T_SubLink:
    case T_ArrayCoerceExpr:
      token_texts(found->level, node);
      break;
    case T_CoerceViaIO:
      refuse_other_type(exprType(reinterpret_cast<Node *>(reinterpret_cast<CoerceViaIO *>(node)->arg)),
                        reinterpret_cast<CoerceViaIO *>(node)->resulttype);
      break;
    case T_RowCompareExpr:
      compare_rows(found->level, reinterpret_cast<RowCompareExpr *>(node));
      break;
    case T_Aggref:
      order_aggregate(found->level, reinterpret_cast<Aggref *>(node));
      break;
    case T_WindowFunc:
      if (const auto *call = reinterpret_cast<WindowFunc *>(node); list_length(call->args) == 1)
        refuse_composite_extreme(found->level, call->winfnoid, static_cast<Node *>(linitial(call->args)));
      break;
    case T_MinMaxExpr:
      if (const auto *chosen = reinterpret_cast<MinMaxExpr *>(node);
          OidIsValid(opening_function(chosen->minmaxtype)) && orders_by_value())
        refuse_order(chosen->minmaxtype, chosen->op == IS_GREATEST ? "GREATEST" : "LEAST");
      for (const auto *one : list_of<const Node>(reinterpret_cast<MinMaxExpr *>(node)->args))
        refuse_composite(found->level, one);
      break;
    default:
      open_passed(node);
      break;
  }
  take_children(node, found);
}

}  // namespace

bool reads_protected(const Query *query) {
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable)) {
    if ((entry->rtekind == RTE_RELATION || entry->rtekind == RTE_NAMEDTUPLESTORE) &&
        protected_relation(entry->relid) != nullptr)
      return true;
  }
  return false;
}

namespace {

void show_written(const Query *query) {
  each_written_in_place(query, [query](Expr *expression, bool is_key) {
    open_written(query, expression);
    return shown(Goes::into_column)(expression, is_key);
  });
}

}  // namespace

void as_text(Query *query) {
  if (query->commandType == CMD_UTILITY) return;
  each_target_in_place(query->commandType == CMD_SELECT ? query->targetList : query->returningList, shown(Goes::out));
  show_written(query);
  for (const auto *cte : list_of<const CommonTableExpr>(query->cteList))
    show_written(reinterpret_cast<Query *>(cte->ctequery));
  Found found = {};
  take_query(query, &found);
  if (!found.opens || found.metered) return;
  // No plan will be metered, so each value is revealed where it is opened.
  (void)any_node(query, [](Node *node) {
    auto *call = reinterpret_cast<FuncExpr *>(node);
    if (IsA(node, FuncExpr) && opened_token(&call->xpr) != nullptr) make_opened(call, true);
    return Step::into;
  });
}

}  // namespace redoubt::pg
