// plan/token_texts.cpp - see plan/token_texts.h.
//
// Frames here hold plain data only.
// Covered by sql/fpe_input.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/settings.h"
#include "pg/plan/token_texts.h"
#include "pg/plan/walk.h"
#include "pg/tokens/fpe_input.h"
#include "pg/types/token_type.h"

extern "C" {
#include "catalog/pg_am_d.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

namespace redoubt::pg {
namespace {

const TokenType *format_type(Oid type) {
  const TokenType *found = type >= FirstNormalObjectId ? token_type_find(getBaseType(type)) : nullptr;
  return found != nullptr && found->format != nullptr ? found : nullptr;
}

// The query that a variable, or a CTE, is of.
const QueryLevel *level_up(const QueryLevel *level, Index up) {
  for (; up > 0 && level != nullptr; --up) level = level->outer;
  return level;
}

bool is_token_itself(const Node *node, Oid type) {
  return IsA(node, RelabelType) &&
         getBaseType(exprType(reinterpret_cast<const Node *>(reinterpret_cast<const RelabelType *>(node)->arg))) ==
             type;
}

Node *column_of(const Query *query, AttrNumber attno) {
  const TargetEntry *entry = get_tle_by_resno(query->targetList, attno);
  return entry != nullptr ? reinterpret_cast<Node *>(entry->expr) : nullptr;
}

// Calls visit(level, expression) for each expression that a variable may be the value of.
template <typename Visit>
bool each_origin(const QueryLevel *level, const Var *variable, Visit &&visit);

template <typename Visit>
bool each_column(const QueryLevel *outer, Query *query, AttrNumber attno, Visit &&visit) {
  const QueryLevel inner = {query, outer};
  if (query->setOperations == nullptr) {
    Node *column = column_of(query, attno);
    return column != nullptr && visit(&inner, column);
  }
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable)) {
    if (entry->rtekind == RTE_SUBQUERY && each_column(&inner, entry->subquery, attno, visit)) return true;
  }
  return false;
}

template <typename Visit>
bool each_origin(const QueryLevel *level, const Var *variable, Visit &&visit) {
  level = level_up(level, variable->varlevelsup);
  if (level == nullptr || IS_SPECIAL_VARNO(variable->varno) || variable->varattno <= 0) return false;
  const RangeTblEntry *entry = rt_fetch(static_cast<Index>(variable->varno), level->query->rtable);
  switch (entry->rtekind) {
    case RTE_SUBQUERY:
      return each_column(level, entry->subquery, variable->varattno, visit);
    case RTE_JOIN: {
      auto *column = static_cast<Node *>(list_nth(entry->joinaliasvars, variable->varattno - 1));
      return column != nullptr && visit(level, column);
    }
    case RTE_CTE: {
      const QueryLevel *of = level_up(level, entry->ctelevelsup);
      if (of == nullptr || entry->self_reference) return false;
      for (const auto *cte : list_of<const CommonTableExpr>(of->query->cteList)) {
        auto *query = reinterpret_cast<Query *>(cte->ctequery);
        if (strcmp(cte->ctename, entry->ctename) == 0 && IsA(query, Query) && query->commandType == CMD_SELECT)
          return each_column(of, query, variable->varattno, visit);
      }
      return false;
    }
    case RTE_VALUES:
      for (auto *each : list_of<List>(entry->values_lists))
        if (visit(level, static_cast<Node *>(list_nth(each, variable->varattno - 1)))) return true;
      return false;
    case RTE_FUNCTION:
      for (auto *function : list_of<RangeTblFunction>(entry->functions))
        if (visit(level, function->funcexpr)) return true;
      return false;
    default: {
      const List *grouped = compat_group_expressions(entry);
      return grouped != NIL && visit(level, static_cast<Node *>(list_nth(grouped, variable->varattno - 1)));
    }
  }
}

// The same for each column of a variable that is a row of a subquery or of a join.
template <typename Visit>
bool each_field(const QueryLevel *level, const Var *row, Visit &&visit) {
  level = level_up(level, row->varlevelsup);
  if (level == nullptr || IS_SPECIAL_VARNO(row->varno)) return false;
  const RangeTblEntry *entry = rt_fetch(static_cast<Index>(row->varno), level->query->rtable);
  Var column = *row;
  column.varlevelsup = 0;
  for (int i = 1; i <= list_length(entry->eref->colnames); ++i) {
    column.varattno = static_cast<AttrNumber>(i);
    if (each_origin(level, &column, visit)) return true;
  }
  return false;
}

// Origins are looked at once, however many ways lead to them.
bool is_new(List **seen, Node *origin) {
  if (list_member_ptr(*seen, origin)) return false;
  *seen = lappend(*seen, origin);
  return true;
}

bool holds_token_among(const QueryLevel *level, Node *expression, Oid type, List **seen) {
  check_stack_depth();
  const auto visit = [type, seen](const QueryLevel *of, Node *origin) {
    return is_new(seen, origin) && holds_token_among(of, origin, type, seen);
  };
  return any_node(expression, [&](Node *node) {
    if (is_token_itself(node, type)) return Step::found;
    if (IsA(node, Var)) return each_origin(level, reinterpret_cast<Var *>(node), visit) ? Step::found : Step::past;
    if (!IsA(node, Query)) return Step::into;
    return each_column(level, reinterpret_cast<Query *>(node), 1, visit) ? Step::found : Step::past;
  });
}

// Is there a token of the type in an expression, as a text?
bool holds_token(const QueryLevel *level, Node *expression, Oid type) {
  List *seen = NIL;
  return holds_token_among(level, expression, type, &seen);
}

// Is an expression a token and nothing else, from one place?
bool is_token_among(const QueryLevel *level, const Node *node, Oid type, List **seen) {
  check_stack_depth();
  if (is_token_itself(node, type)) return true;
  node = without_relabelling(node);
  bool any = false;
  bool all = true;
  const auto visit = [&](const QueryLevel *of, Node *expression) {
    any = true;
    all = all && (!is_new(seen, expression) || is_token_among(of, expression, type, seen));
    return !all;
  };
  const auto *link = reinterpret_cast<const SubLink *>(node);
  if (IsA(node, Var))
    each_origin(level, reinterpret_cast<const Var *>(node), visit);
  else if (IsA(node, SubLink) && link->subLinkType == EXPR_SUBLINK)
    each_column(level, reinterpret_cast<Query *>(link->subselect), 1, visit);
  return any && all;
}

bool is_token(const QueryLevel *level, const Node *node, Oid type) {
  List *seen = NIL;
  return is_token_among(level, node, type, &seen);
}

Const *cast_mark(int32 mark) {
  return makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(mark), false, true);
}

// A cast that nobody has written out, and its second argument says nothing: a type modifier that is not there.
void mark_cast(const QueryLevel *level, FuncExpr *call) {
  const TokenType *type = list_length(call->args) == 3 ? format_type(call->funcresulttype) : nullptr;
  if (type == nullptr || !IsA(lsecond(call->args), Const)) return;
  const char *symbol = catalog_library_symbol(call->funcid);
  auto *argument = static_cast<Node *>(linitial(call->args));
  if (symbol == nullptr || is_token_itself(argument, type->type) || !holds_token(level, argument, type->type)) return;
  const int32 mark = is_token(level, argument, type->type) ? kFpeIsToken : kFpeMadeOfToken;
  lsecond(call->args) = cast_mark(mark);
}

// Likewise, of the elements of an array, where none is a token.
void mark_elements(const QueryLevel *level, const ArrayCoerceExpr *cast) {
  const auto *call = reinterpret_cast<const FuncExpr *>(cast->elemexpr);
  if (!IsA(call, FuncExpr) || call->funcid < FirstNormalObjectId || list_length(call->args) != 3) return;
  const TokenType *type = format_type(call->funcresulttype);
  if (type == nullptr || !IsA(lsecond(call->args), Const) || catalog_library_symbol(call->funcid) == nullptr ||
      holds_token(level, reinterpret_cast<Node *>(cast->arg), type->type))
    return;
  lsecond(call->args) = cast_mark(kFpeIsValue);
}

[[noreturn]] void refuse(const TokenType *type) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("a text made of tokens of type %s is compared with values of it", type->name),
                  errdetail("As a text, a column of the type is its token; what this session compares are values."),
                  errhint("Compare columns of the type as they are, or SET redoubt.input = 'token'.")));
}

// Does the session write values?  A plan may depend on it.
bool writes_values(const TokenType *type) {
  setting_order_matters = true;
  return fpe_input_is_value(type);
}

Node *as_token(Node *text, const TokenType *type) {
  return reinterpret_cast<Node *>(
      makeRelabelType(reinterpret_cast<Expr *>(text), type->type, -1, exprCollation(text), COERCE_IMPLICIT_CAST));
}

// `given`: what the right side is the value of, where it is a column of a subquery.
void compare(const QueryLevel *level, OpExpr *comparison, const QueryLevel *of, Node *given) {
  if (comparison->opno < FirstNormalObjectId || list_length(comparison->args) != 2) return;
  for (int side = 0; side < 2; ++side) {
    ListCell *token = list_nth_cell(comparison->args, side);
    ListCell *other = list_nth_cell(comparison->args, 1 - side);
    const TokenType *type = format_type(exprType(static_cast<Node *>(lfirst(token))));
    auto *text = given != nullptr && side == 0 ? given : static_cast<Node *>(lfirst(other));
    const QueryLevel *at = given != nullptr && side == 0 ? of : level;
    if (type == nullptr || format_type(exprType(text)) != nullptr || !holds_token(at, text, type->type)) continue;
    const Oid op = token_operator(type->type, comparison->opno);
    if (!OidIsValid(op)) continue;
    if (!is_token(at, text, type->type)) {
      if (writes_values(type)) refuse(type);
      continue;
    }
    lfirst(other) = as_token(static_cast<Node *>(lfirst(other)), type);
    comparison->opno = op;
    comparison->opfuncid = get_opcode(op);
    return;
  }
}

void compare_array(const QueryLevel *level, const ScalarArrayOpExpr *comparison) {
  if (comparison->opno < FirstNormalObjectId) return;
  const TokenType *type = format_type(exprType(static_cast<Node *>(linitial(comparison->args))));
  if (type == nullptr || !OidIsValid(token_operator(type->type, comparison->opno))) return;
  if (exprType(static_cast<Node *>(lsecond(comparison->args))) == get_array_type(type->type)) return;
  if (holds_token(level, static_cast<Node *>(lsecond(comparison->args)), type->type) && writes_values(type))
    refuse(type);
}

// token = ANY (SELECT ...): the other side is a parameter.
void compare_rows_of(const QueryLevel *level, const SubLink *link) {
  if (link->testexpr == nullptr || !IsA(link->testexpr, OpExpr) || !IsA(link->subselect, Query)) return;
  auto *comparison = reinterpret_cast<OpExpr *>(link->testexpr);
  if (list_length(comparison->args) != 2) return;
  const Node *parameter = without_relabelling(static_cast<Node *>(lsecond(comparison->args)));
  if (!IsA(parameter, Param) || reinterpret_cast<const Param *>(parameter)->paramkind != PARAM_SUBLINK) return;
  auto *query = reinterpret_cast<Query *>(link->subselect);
  const auto attno = static_cast<AttrNumber>(reinterpret_cast<const Param *>(parameter)->paramid);
  bool done = false;
  each_column(level, query, attno, [&](const QueryLevel *of, Node *column) {
    const bool last = done;
    done = true;
    if (!last) compare(level, comparison, of, column);
    return false;
  });
}

}  // namespace

Oid token_operator(Oid type, Oid op) {
  const Oid usual = GetDefaultOpClass(type, BTREE_AM_OID);
  const char *name = get_opname(op);
  if (!OidIsValid(usual) || name == nullptr) return InvalidOid;
  const Oid equal = get_opfamily_member(get_opclass_family(usual), type, type, BTEqualStrategyNumber);
  return strcmp(name, "=") == 0 ? equal : strcmp(name, "<>") == 0 ? get_negator(equal) : InvalidOid;
}

namespace {

// Those in `seen` had none.
Oid opened_among(const QueryLevel *level, const Node *value, List **seen) {
  check_stack_depth();
  if (const Oid type = exprType(value); type != RECORDOID) {
    const CarriedTokens *carried = type_carried(type);
    for (int i = 0; i < carried->size; ++i)
      if (OidIsValid(opening_function(carried->item[i].token_type))) return carried->item[i].token_type;
    return InvalidOid;
  }
  Oid found = InvalidOid;
  const auto visit = [&found, seen](const QueryLevel *of, Node *part) {
    if (!is_new(seen, part)) return false;
    found = opened_among(of, part, seen);
    return OidIsValid(found);
  };
  if (IsA(value, RowExpr)) {
    for (auto *part : list_of<Node>(reinterpret_cast<const RowExpr *>(value)->args))
      if (visit(level, part)) break;
  } else if (IsA(value, Var)) {
    const auto *variable = reinterpret_cast<const Var *>(value);
    (void)(variable->varattno == 0 ? each_field(level, variable, visit) : each_origin(level, variable, visit));
  }
  return found;
}

}  // namespace

Oid opened_part(const QueryLevel *level, const Node *value) {
  List *seen = NIL;
  return opened_among(level, value, &seen);
}

void token_texts(const QueryLevel *level, Node *node) {
  switch (nodeTag(node)) {
    case T_FuncExpr:
      if (reinterpret_cast<FuncExpr *>(node)->funcid >= FirstNormalObjectId)
        mark_cast(level, reinterpret_cast<FuncExpr *>(node));
      return;
    case T_ArrayCoerceExpr:
      return mark_elements(level, reinterpret_cast<ArrayCoerceExpr *>(node));
    case T_OpExpr:
      return compare(level, reinterpret_cast<OpExpr *>(node), nullptr, nullptr);
    case T_ScalarArrayOpExpr:
      return compare_array(level, reinterpret_cast<ScalarArrayOpExpr *>(node));
    case T_SubLink:
      return compare_rows_of(level, reinterpret_cast<SubLink *>(node));
    default:
      return;
  }
}

}  // namespace redoubt::pg
