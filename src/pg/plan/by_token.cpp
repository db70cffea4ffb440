// plan/by_token.cpp - see plan/by_token.h.
//
// Two arrays need a type on each side that PostgreSQL casts them to by itself, since its own operators of arrays take
// two of one type: redoubt.token_array and redoubt.text_array, which nothing else has.
// Frames here hold plain data only.
// Covered by sql/search.sql and sql/as_text.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/plan/by_token.h"
#include "pg/plan/query_parts.h"
#include "pg/plan/token_texts.h"
#include "pg/plan/walk.h"
#include "pg/types/token_type.h"

extern "C" {
#include "catalog/pg_collation.h"
#include "catalog/pg_operator_d.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
}

namespace redoubt::pg {
namespace {

constexpr Oid kArrayNotEqual = 1071;  // the operator has no name in PostgreSQL's headers

bool is_implicit(CoercionForm form) { return form == COERCE_IMPLICIT_CAST; }

// The token that an implicit cast opens; or null.
Expr *implicitly_opened(Node *node) {
  while (IsA(node, RelabelType) && is_implicit(reinterpret_cast<RelabelType *>(node)->relabelformat))
    node = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg);
  const auto *call = reinterpret_cast<const FuncExpr *>(node);
  return IsA(node, FuncExpr) && is_implicit(call->funcformat) && is_opening_cast(call)
             ? static_cast<Expr *>(linitial(call->args))
             : nullptr;
}

// The array of tokens whose elements an implicit cast opens; or null.
Expr *implicitly_opened_array(Node *node) {
  auto *cast = reinterpret_cast<ArrayCoerceExpr *>(node);
  if (!IsA(node, ArrayCoerceExpr) || !is_implicit(cast->coerceformat)) return nullptr;
  const Node *element = without_relabelling(reinterpret_cast<Node *>(cast->elemexpr));
  return IsA(element, FuncExpr) && is_opening_cast(reinterpret_cast<const FuncExpr *>(element)) ? cast->arg : nullptr;
}

bool is_equality(Oid op) {
  switch (op) {
    case TextEqualOperator:
    case BpcharEqualOperator:
      return true;
    default:
      return op < FirstNormalObjectId && (get_opcode(op) == F_TEXTNE || get_opcode(op) == F_BPCHARNE);
  }
}

Node *as_type(Node *value, Oid type) {
  return coerce_to_target_type(nullptr, value, exprType(value), type, -1, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
}

Oid function_of(const char *name, Oid schema, Oid argument) {
  const Oid arguments[] = {argument};
  const oidvector *types = buildoidvector(arguments, lengthof(arguments));
  return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name), PointerGetDatum(types),
                         ObjectIdGetDatum(schema));
}

// The function that makes tokens of an array of texts.
Oid array_tokenizer(const TokenType *type) {
  const Oid single = type->gate[static_cast<int>(Privilege::tokenize)];
  const char *name = get_func_name(single);
  return name != nullptr ? function_of(name, get_func_namespace(single), TEXTARRAYOID) : InvalidOid;
}

// The function <type>_sought, of types whose tokens are not made to be compared with.
Oid sought_function(Oid type) {
  const NameData name = catalog_field(TYPEOID, type, &FormData_pg_type::typname);
  return function_of(psprintf("%s_sought", NameStr(name)),
                     catalog_field(TYPEOID, type, &FormData_pg_type::typnamespace), TEXTOID);
}

Node *token_of(const TokenType *type, Node *text) {
  Node *value = as_type(text, TEXTOID);
  const Oid function = type->gate[static_cast<int>(Privilege::tokenize)];
  if (value == nullptr || !OidIsValid(function)) return nullptr;
  return reinterpret_cast<Node *>(makeFuncExpr(function, type->type, list_make1(value), get_typcollation(type->type),
                                               exprCollation(value), COERCE_EXPLICIT_CALL));
}

// An array of tokens to be compared with; null where the type has none.
Node *tokens_of(const TokenType *type, Node *texts) {
  Node *values = as_type(texts, TEXTARRAYOID);
  if (values == nullptr) return nullptr;
  const Oid array = get_array_type(type->type);
  if (OidIsValid(type->open_value)) {
    const Oid function = array_tokenizer(type);
    if (!OidIsValid(function)) return nullptr;
    return reinterpret_cast<Node *>(
        makeFuncExpr(function, array, list_make1(values), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
  }
  const Oid function = sought_function(type->type);
  if (!OidIsValid(function)) return nullptr;
  auto *element = makeNode(CaseTestExpr);
  element->typeId = TEXTOID;
  element->typeMod = -1;
  element->collation = DEFAULT_COLLATION_OID;
  auto *each = makeNode(ArrayCoerceExpr);
  each->arg = reinterpret_cast<Expr *>(values);
  each->elemexpr =
      reinterpret_cast<Expr *>(makeFuncExpr(function, type->type, list_make1(element), get_typcollation(type->type),
                                            DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL));
  each->resulttype = array;
  each->resulttypmod = -1;
  each->resultcollid = get_typcollation(type->type);
  each->coerceformat = COERCE_EXPLICIT_CAST;
  each->location = -1;
  return reinterpret_cast<Node *>(each);
}

// Of `token` and `text` in this order or, where `first` is 1, in the other.
List *sides(Node *token, Node *text, int first) {
  return first == 0 ? list_make2(token, text) : list_make2(text, token);
}

// Makes it a comparison by another operator.
template <typename Comparison>
void set_operator(Comparison *comparison, Oid op, Oid collation, List *arguments) {
  comparison->opno = op;
  comparison->opfuncid = get_opcode(op);
  comparison->inputcollid = collation;
  comparison->args = arguments;
}

// token = text
bool compare(OpExpr *comparison) {
  if (!is_equality(comparison->opno) || list_length(comparison->args) != 2 || !is_by_bytes(comparison->inputcollid))
    return false;
  for (int side = 0; side < 2; ++side) {
    Expr *token = implicitly_opened(static_cast<Node *>(list_nth(comparison->args, side)));
    auto *text = static_cast<Node *>(list_nth(comparison->args, 1 - side));
    if (token == nullptr) continue;
    if (implicitly_opened(text) != nullptr) return false;  // of two types: by value
    const TokenType *type = token_type_find(exprType(reinterpret_cast<Node *>(token)));
    const Oid op = type != nullptr ? token_operator(type->type, comparison->opno) : InvalidOid;
    Node *sought = OidIsValid(op) ? token_of(type, text) : nullptr;
    if (sought == nullptr) return false;
    set_operator(comparison, op, exprCollation(reinterpret_cast<Node *>(token)),
                 sides(reinterpret_cast<Node *>(token), sought, side));
    return true;
  }
  return false;
}

// token = ANY (texts), text = ANY (tokens)
void compare_with_array(ScalarArrayOpExpr *comparison) {
  if (!is_equality(comparison->opno) || !is_by_bytes(comparison->inputcollid)) return;
  auto *left = static_cast<Node *>(linitial(comparison->args));
  auto *right = static_cast<Node *>(lsecond(comparison->args));
  Expr *token = implicitly_opened(left);
  Expr *tokens = implicitly_opened_array(right);
  if ((token == nullptr) == (tokens == nullptr)) return;
  const Oid carried = exprType(reinterpret_cast<Node *>(token != nullptr ? token : tokens));
  const TokenType *type = token_type_find(token != nullptr ? carried : get_element_type(carried));
  const Oid op = type != nullptr ? token_operator(type->type, comparison->opno) : InvalidOid;
  if (!OidIsValid(op)) return;
  Node *sought = token != nullptr ? tokens_of(type, right) : token_of(type, left);
  if (sought == nullptr) return;
  comparison->hashfuncid = comparison->negfuncid = InvalidOid;
  Expr *column = token != nullptr ? token : tokens;
  set_operator(comparison, op, exprCollation(reinterpret_cast<Node *>(column)),
               token != nullptr ? list_make2(token, sought) : list_make2(sought, tokens));
}

// PostgreSQL's operator of two arrays of one type; InvalidOid for a name that is none of these.
Oid array_operator(const char *name) {
  static constexpr struct {
    const char *name;
    Oid op;
  } kOperators[] = {{"=", ARRAY_EQ_OP},
                    {"<>", kArrayNotEqual},
                    {"@>", OID_ARRAY_CONTAINS_OP},
                    {"<@", OID_ARRAY_CONTAINED_OP},
                    {"&&", OID_ARRAY_OVERLAP_OP}};
  for (const auto &one : kOperators)
    if (name != nullptr && strcmp(name, one.name) == 0) return one.op;
  return InvalidOid;
}

// What redoubt.as_token_array or as_text_array takes; null for any other expression.
Node *taken_as_array(Node *node) {
  const auto *call = reinterpret_cast<const FuncExpr *>(node);
  if (!IsA(node, FuncExpr) || call->funcid < FirstNormalObjectId || list_length(call->args) != 1) return nullptr;
  const char *symbol = catalog_library_symbol(call->funcid);
  return symbol != nullptr && strcmp(symbol, "redoubt_same_array") == 0 ? static_cast<Node *>(linitial(call->args))
                                                                        : nullptr;
}

// Two arrays, one of them of tokens and the other of texts.
void compare_arrays(OpExpr *comparison) {
  if (comparison->opno < FirstNormalObjectId || list_length(comparison->args) != 2) return;
  Node *array[2] = {};
  for (int side = 0; side < 2; ++side)
    array[side] = taken_as_array(static_cast<Node *>(list_nth(comparison->args, side)));
  if (array[0] == nullptr || array[1] == nullptr) return;
  const Oid element = get_base_element_type(exprType(array[0]));
  const int side = element >= FirstNormalObjectId && token_type_find(getBaseType(element)) != nullptr ? 0 : 1;
  const TokenType *type = token_type_find(getBaseType(get_base_element_type(exprType(array[side]))));
  const Oid op = array_operator(get_opname(comparison->opno));
  Node *sought = type != nullptr && OidIsValid(op) ? tokens_of(type, array[1 - side]) : nullptr;
  if (sought == nullptr) return;
  set_operator(comparison, op, exprCollation(array[side]), sides(array[side], sought, side));
}

// NULLIF has the type of its first argument, and that is here what the array was cast to, which is shown to nobody.
void refuse_null_if(const OpExpr *call) {
  if (taken_as_array(static_cast<Node *>(linitial(call->args))) == nullptr) return;
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("NULLIF is given an array of tokens and one of texts"),
                  errhint("Cast the array of tokens to text[], or the array of texts to an array of the token type.")));
}

// What chooses a text, as it was written; null for any other expression.
Expr *choice(Expr *expression) {
  auto *node = const_cast<Node *>(without_relabelling(reinterpret_cast<const Node *>(expression)));
  return IsA(node, CoalesceExpr) || IsA(node, CaseExpr) ? reinterpret_cast<Expr *>(node) : nullptr;
}

// A token of the type as a text, or NULLIF of one?
bool is_token_text(Expr *expression, Oid type) {
  Expr *token = opened_token(expression);
  if (token == nullptr && IsA(expression, NullIfExpr))
    token = implicitly_opened(static_cast<Node *>(linitial(reinterpret_cast<OpExpr *>(expression)->args)));
  return token != nullptr && getBaseType(exprType(reinterpret_cast<Node *>(token))) == type;
}

Expr *without_domain(Expr *token, Oid type) {
  if (exprType(reinterpret_cast<Node *>(token)) == type) return token;
  const Oid collation = exprCollation(reinterpret_cast<Node *>(token));
  return reinterpret_cast<Expr *>(makeRelabelType(token, type, -1, collation, COERCE_IMPLICIT_CAST));
}

bool chooses_token(Expr *chosen, Oid type) {
  check_stack_depth();
  bool found = false;
  each_chosen_in_place(chosen, [&found, type](Expr *one) {
    Expr *inner = choice(one);
    found |= inner != nullptr ? chooses_token(inner, type) : is_token_text(one, type);
    return one;
  });
  return found;
}

Expr *choose_token(Expr *chosen, const TokenType *type) {
  each_chosen_in_place(chosen, [type](Expr *one) {
    if (Expr *inner = choice(one); inner != nullptr) return choose_token(inner, type);
    if (is_token_text(one, type->type)) {
      Expr *token = opened_token(one);
      if (token == nullptr) token = null_if_token(one);
      if (token != nullptr) return without_domain(token, type->type);
    }
    return reinterpret_cast<Expr *>(token_of(type, reinterpret_cast<Node *>(one)));
  });
  if (auto *coalesce = reinterpret_cast<CoalesceExpr *>(chosen); IsA(chosen, CoalesceExpr)) {
    coalesce->coalescetype = type->type;
    coalesce->coalescecollid = get_typcollation(type->type);
  } else {
    auto *cases = reinterpret_cast<CaseExpr *>(chosen);
    cases->casetype = type->type;
    cases->casecollid = get_typcollation(type->type);
  }
  return chosen;
}

}  // namespace

bool is_by_bytes(Oid collation) { return !OidIsValid(collation) || get_collation_isdeterministic(collation); }

Expr *assigned_token(Expr *expression) {
  if (auto *domain = reinterpret_cast<CoerceToDomain *>(expression); IsA(expression, CoerceToDomain)) {
    domain->arg = assigned_token(domain->arg);
    return expression;
  }
  const auto *call = reinterpret_cast<const FuncExpr *>(expression);
  if (!IsA(expression, FuncExpr) || !is_implicit(call->funcformat) || list_length(call->args) != 1) return expression;
  const TokenType *type = call->funcresulttype < FirstNormalObjectId ? nullptr : token_type_find(call->funcresulttype);
  if (type == nullptr || type->gate[static_cast<int>(Privilege::tokenize)] != call->funcid) return expression;
  Expr *chosen = choice(static_cast<Expr *>(linitial(call->args)));
  return chosen != nullptr && chooses_token(chosen, type->type) ? choose_token(chosen, type) : expression;
}

Expr *opened_token(Expr *expression) {
  const Node *node = without_relabelling(reinterpret_cast<const Node *>(expression));
  const auto *call = reinterpret_cast<const FuncExpr *>(node);
  return IsA(node, FuncExpr) && is_opening_cast(call) ? static_cast<Expr *>(linitial(call->args)) : nullptr;
}

void by_token(Node *comparison) {
  switch (nodeTag(comparison)) {
    case T_OpExpr:
    case T_DistinctExpr:
      compare_arrays(reinterpret_cast<OpExpr *>(comparison));
      (void)compare(reinterpret_cast<OpExpr *>(comparison));
      return;
    case T_NullIfExpr:
      return refuse_null_if(reinterpret_cast<const OpExpr *>(comparison));
    case T_ScalarArrayOpExpr:
      return compare_with_array(reinterpret_cast<ScalarArrayOpExpr *>(comparison));
    default:
      return;
  }
}

Expr *null_if_token(Expr *expression) {
  auto *call = reinterpret_cast<OpExpr *>(expression);
  Expr *token = IsA(call, NullIfExpr) ? implicitly_opened(static_cast<Node *>(linitial(call->args))) : nullptr;
  if (token == nullptr || !compare(call)) return nullptr;
  call->opresulttype = exprType(reinterpret_cast<Node *>(token));
  call->opcollid = exprCollation(reinterpret_cast<Node *>(token));
  return expression;
}

}  // namespace redoubt::pg
