// plan/pending_values.cpp - see plan/pending_values.h.
//
// Invariant: after it there is no constant and no parameter that may be a pending value outside of such a call,
// subqueries included, but for parameters that are asked whether they are null.  Frames here hold plain data only.
// Covered by sql/vault_input.sql.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/delivery.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/pending_values.h"
#include "pg/plan/query_parts.h"
#include "pg/plan/walk.h"
#include "pg/tokens/pending_value.h"
#include "pg/tokens/token_io.h"
#include "pg/types/token_type.h"

extern "C" {
#include "catalog/pg_operator_d.h"
}

namespace redoubt::pg {
namespace {

// What becomes of a value where the walk is.
enum class Use { written, compared, other };

bool is_vaulted(Oid token_type) {
  const TokenType *type = token_type_find(token_type);
  return type != nullptr && type->vaulted;
}

// A constant that is a pending value, or a parameter that may be one.
bool may_hold(const Node *node) {
  if (IsA(node, Const)) {
    const auto *constant = reinterpret_cast<const Const *>(node);
    return !constant->constisnull && constant->constlen == -1 && is_vaulted(getBaseType(constant->consttype)) &&
           pending_value_is(PG_DETOAST_DATUM_PACKED(constant->constvalue));
  }
  const auto *parameter = reinterpret_cast<const Param *>(node);
  return IsA(node, Param) && parameter->paramkind == PARAM_EXTERN && get_typlen(parameter->paramtype) == -1 &&
         is_vaulted(getBaseType(parameter->paramtype));
}

Node *in_call(Node *node, Use use) {
  const Oid function = placed_function_oid(use == Use::written ? Placed::pending_made : Placed::pending_sought);
  if (!OidIsValid(function)) elog(ERROR, "the functions of vaulted token types are missing");
  const bool refused = use == Use::other;
  List *arguments = list_make2(node, placed_argument(&refused, sizeof refused));
  return reinterpret_cast<Node *>(makeFuncExpr(function, exprType(node), arguments, exprCollation(node),
                                               exprCollation(node), COERCE_IMPLICIT_CAST));
}

// =, <>, or one of the operators of arrays that are made of =.
bool is_equality(Oid op, Oid type) {
  if (op == OID_ARRAY_CONTAINS_OP || op == OID_ARRAY_CONTAINED_OP || op == OID_ARRAY_OVERLAP_OP) return true;
  const Oid negator = get_negator(op);
  return op_hashjoinable(op, type) || (OidIsValid(negator) && op_hashjoinable(negator, type));
}

bool compares(const Node *node) {
  Oid op = InvalidOid;
  const List *arguments = NIL;
  if (IsA(node, OpExpr) || IsA(node, DistinctExpr)) {
    op = reinterpret_cast<const OpExpr *>(node)->opno;
    arguments = reinterpret_cast<const OpExpr *>(node)->args;
  } else if (IsA(node, ScalarArrayOpExpr)) {
    op = reinterpret_cast<const ScalarArrayOpExpr *>(node)->opno;
    arguments = reinterpret_cast<const ScalarArrayOpExpr *>(node)->args;
  }
  return arguments != NIL && is_equality(op, exprType(static_cast<const Node *>(linitial(arguments))));
}

// Is a value of the expression one of its parts?
bool hands_on(const Node *node) {
  return IsA(node, RelabelType) || IsA(node, CollateExpr) || IsA(node, CoerceToDomain) || IsA(node, CoalesceExpr) ||
         IsA(node, ArrayExpr) || IsA(node, ArrayCoerceExpr) || IsA(node, RowExpr) || IsA(node, List);
}

Node *settle(Node *node, Use use);
void settle_query(Query *query);

Expr *settled(Expr *expression, Use use) {
  return reinterpret_cast<Expr *>(settle(reinterpret_cast<Node *>(expression), use));
}

// The expression with its calls; of a query, the query itself.
Node *settle(Node *node, Use use) {
  if (node == nullptr) return nullptr;
  check_stack_depth();
  if (IsA(node, Const) || IsA(node, Param)) return may_hold(node) ? in_call(node, use) : node;
  if (calls_placed(node, {Placed::pending_made, Placed::pending_sought})) return node;
  if (IsA(node, Query)) {
    settle_query(reinterpret_cast<Query *>(node));
    return node;
  }
  // NULL it is not, whatever it is.
  if (IsA(node, NullTest) && IsA(reinterpret_cast<NullTest *>(node)->arg, Param)) return node;
  if (IsA(node, NullIfExpr)) {  // the first argument is handed on
    auto *call = static_cast<OpExpr *>(copyObjectImpl(node));
    call->args = list_make2(settle(static_cast<Node *>(linitial(call->args)), use),
                            settle(static_cast<Node *>(lsecond(call->args)), Use::compared));
    return reinterpret_cast<Node *>(call);
  }
  if (IsA(node, CaseExpr)) {
    auto *chosen = static_cast<CaseExpr *>(copyObjectImpl(node));
    chosen->arg = settled(chosen->arg, Use::compared);
    for (auto *when : list_of<CaseWhen>(chosen->args)) when->expr = settled(when->expr, Use::other);
    each_chosen_in_place(&chosen->xpr, [use](Expr *one) { return settled(one, use); });
    return reinterpret_cast<Node *>(chosen);
  }
  const Use below = compares(node) ? Use::compared : hands_on(node) ? use : Use::other;
  return with_children(node, [below](Node *child) { return settle(child, below); });
}

void settle_query(Query *query) {
  each_written_in_place(query, [](Expr *value, bool) { return settled(value, Use::written); });
  (void)with_children<QTW_DONT_COPY_QUERY>(reinterpret_cast<Node *>(query),
                                           [](Node *child) { return settle(child, Use::other); });
}

// Raises for a pending value in what nobody plans.
void refuse_pending(const void *tree, ParamListInfo parameters) {
  (void)any_node(tree, [parameters](Node *node) {
    if (!may_hold(node)) return Step::into;
    const int number = IsA(node, Param) ? reinterpret_cast<const Param *>(node)->paramid : 0;
    const bool given = number > 0 && parameters != nullptr && number <= parameters->numParams;
    const ParamExternData *value = given ? &parameters->params[number - 1] : nullptr;
    if (number == 0 || (value != nullptr && !value->isnull && pending_value_is(PG_DETOAST_DATUM_PACKED(value->value))))
      token_io_refuse_literal(token_type_require(getBaseType(exprType(node))));
    return Step::into;
  });
}

}  // namespace

void pending_values(Query *query) {
  if (!token_type_any_vaulted()) return;
  if (delivery_plans_for_client())
    settle_query(query);
  else if (pending_value_any())  // there is none, or it is refused
    refuse_pending(query, nullptr);
}

void pending_values_refuse(const Node *statement, ParamListInfo parameters) {
  const Node *unplanned = nullptr;
  if (IsA(statement, CallStmt))
    unplanned = reinterpret_cast<const Node *>(reinterpret_cast<const CallStmt *>(statement)->funcexpr);
  if (IsA(statement, CreateTableAsStmt))  // of a materialised view, whose query is kept
    unplanned = reinterpret_cast<const Node *>(reinterpret_cast<const CreateTableAsStmt *>(statement)->into->viewQuery);
  if (token_type_any_vaulted()) refuse_pending(unplanned, parameters);
}

}  // namespace redoubt::pg
