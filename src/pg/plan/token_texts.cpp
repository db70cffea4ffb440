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
#include "utils/lsyscache.h"
}

namespace redoubt::pg {
namespace {

const TokenType *format_type(Oid type) {
  const TokenType *found = type >= FirstNormalObjectId ? token_type_find(getBaseType(type)) : nullptr;
  return found != nullptr && found->format != nullptr ? found : nullptr;
}

bool is_token_itself(const Node *node, Oid type) {
  return IsA(node, RelabelType) &&
         getBaseType(exprType(reinterpret_cast<const Node *>(reinterpret_cast<const RelabelType *>(node)->arg))) ==
             type;
}

bool holds_token_among(const List *origins, Oid type, Seen *seen) {
  check_stack_depth();
  for (const auto *origin : list_of<const Origin>(origins)) {
    if (origin->value == nullptr || !seen_add(seen, origin->value)) continue;
    const bool holds = any_node(origin->value, [=](Node *node) {
      if (is_token_itself(node, type)) return Step::found;
      if (!IsA(node, Var) && !IsA(node, Query)) return Step::into;
      const List *further = IsA(node, Var) ? origins_of(origin->level, reinterpret_cast<Var *>(node))
                                           : column_origins(origin->level, reinterpret_cast<Query *>(node), 1);
      return holds_token_among(further, type, seen) ? Step::found : Step::past;
    });
    if (holds) return true;
  }
  return false;
}

// Is there a token of the type in an expression from there, as a text?
bool holds_token(const List *origins, Oid type) {
  return with_seen([=](Seen *seen) { return holds_token_among(origins, type, seen); });
}

bool are_tokens_among(const List *origins, Oid type, Seen *seen) {
  check_stack_depth();
  for (const auto *origin : list_of<const Origin>(origins)) {
    if (origin->value == nullptr) return false;
    if (!seen_add(seen, origin->value) || is_token_itself(origin->value, type)) continue;
    const Node *node = without_relabelling(origin->value);
    const auto *link = reinterpret_cast<const SubLink *>(node);
    const List *further = NIL;
    if (IsA(node, Var))
      further = origins_of(origin->level, reinterpret_cast<const Var *>(node));
    else if (IsA(node, SubLink) && link->subLinkType == EXPR_SUBLINK)
      further = column_origins(origin->level, reinterpret_cast<const Query *>(link->subselect), 1);
    if (!are_tokens_among(further, type, seen)) return false;
  }
  return origins != NIL;
}

// Is an expression from there a token and nothing else?
bool are_tokens(const List *origins, Oid type) {
  return with_seen([=](Seen *seen) { return are_tokens_among(origins, type, seen); });
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
  const List *given = origin_itself(level, argument);
  if (symbol == nullptr || is_token_itself(argument, type->type) || !holds_token(given, type->type)) return;
  const int32 mark = are_tokens(given, type->type) ? kFpeIsToken : kFpeMadeOfToken;
  lsecond(call->args) = cast_mark(mark);
}

// Likewise, of the elements of an array, where none is a token.
void mark_elements(const QueryLevel *level, const ArrayCoerceExpr *cast) {
  const auto *call = reinterpret_cast<const FuncExpr *>(cast->elemexpr);
  if (!IsA(call, FuncExpr) || call->funcid < FirstNormalObjectId || list_length(call->args) != 3) return;
  const TokenType *type = format_type(call->funcresulttype);
  if (type == nullptr || !IsA(lsecond(call->args), Const) || catalog_library_symbol(call->funcid) == nullptr ||
      holds_token(origin_itself(level, reinterpret_cast<Node *>(cast->arg)), type->type))
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
void compare(const QueryLevel *level, OpExpr *comparison, const List *given) {
  if (comparison->opno < FirstNormalObjectId || list_length(comparison->args) != 2) return;
  for (int side = 0; side < 2; ++side) {
    ListCell *other = list_nth_cell(comparison->args, 1 - side);
    auto *text = static_cast<Node *>(lfirst(other));
    const TokenType *type = format_type(exprType(static_cast<Node *>(list_nth(comparison->args, side))));
    if (type == nullptr || format_type(exprType(text)) != nullptr) continue;
    const List *origins = given != NIL && side == 0 ? given : origin_itself(level, text);
    if (!holds_token(origins, type->type)) continue;
    const Oid op = token_operator(type->type, comparison->opno);
    if (!OidIsValid(op)) continue;
    if (!are_tokens(origins, type->type)) {
      if (writes_values(type)) refuse(type);
      continue;
    }
    lfirst(other) = as_token(text, type);
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
  const List *elements = origin_itself(level, static_cast<Node *>(lsecond(comparison->args)));
  if (holds_token(elements, type->type) && writes_values(type)) refuse(type);
}

// token = ANY (SELECT ...): the other side is a parameter.
void compare_rows_of(const QueryLevel *level, const SubLink *link) {
  if (link->testexpr == nullptr || !IsA(link->testexpr, OpExpr) || !IsA(link->subselect, Query)) return;
  auto *comparison = reinterpret_cast<OpExpr *>(link->testexpr);
  if (list_length(comparison->args) != 2) return;
  const Node *parameter = without_relabelling(static_cast<Node *>(lsecond(comparison->args)));
  if (!IsA(parameter, Param) || reinterpret_cast<const Param *>(parameter)->paramkind != PARAM_SUBLINK) return;
  const auto attno = static_cast<AttrNumber>(reinterpret_cast<const Param *>(parameter)->paramid);
  compare(level, comparison, column_origins(level, reinterpret_cast<const Query *>(link->subselect), attno));
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

// The columns of a variable that is a row of a subquery or of a join.
List *fields_of(const QueryLevel *level, const Var *row) {
  List *fields = NIL;
  const QueryLevel *of = level_up(level, row->varlevelsup);
  if (of == nullptr || IS_SPECIAL_VARNO(row->varno)) return NIL;
  Var column = *row;
  for (int i = 1; i <= list_length(table_entry(of, row)->eref->colnames); ++i) {
    column.varattno = static_cast<AttrNumber>(i);
    fields = list_concat(fields, origins_of(level, &column));
  }
  return fields;
}

Oid opened_among(const List *origins, Seen *seen) {
  check_stack_depth();
  for (const auto *origin : list_of<const Origin>(origins)) {
    if (origin->value == nullptr || !seen_add(seen, origin->value)) continue;
    const Oid type = exprType(origin->value);
    const CarriedTokens *carried = type != RECORDOID ? type_carried(type) : nullptr;
    for (int i = 0; carried != nullptr && i < carried->size; ++i)
      if (OidIsValid(opening_function(carried->item[i].token_type))) return carried->item[i].token_type;
    if (carried != nullptr) continue;
    List *parts = NIL;
    const auto *variable = reinterpret_cast<const Var *>(origin->value);
    if (IsA(origin->value, RowExpr))
      for (auto *part : list_of<Node>(reinterpret_cast<const RowExpr *>(origin->value)->args))
        parts = list_concat(parts, origin_itself(origin->level, part));
    else if (IsA(variable, Var))
      parts = variable->varattno == 0 ? fields_of(origin->level, variable) : origins_of(origin->level, variable);
    if (const Oid found = opened_among(parts, seen); OidIsValid(found)) return found;
  }
  return InvalidOid;
}

}  // namespace

Oid opened_part(const QueryLevel *level, const Node *value) {
  return with_seen([=](Seen *seen) { return opened_among(origin_itself(level, value), seen); });
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
      return compare(level, reinterpret_cast<OpExpr *>(node), NIL);
    case T_ScalarArrayOpExpr:
      return compare_array(level, reinterpret_cast<ScalarArrayOpExpr *>(node));
    case T_SubLink:
      return compare_rows_of(level, reinterpret_cast<SubLink *>(node));
    default:
      return;
  }
}

}  // namespace redoubt::pg
