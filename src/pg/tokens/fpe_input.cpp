// fpe_input.cpp - see fpe_input.h.
//
// Covered by sql/fpe_input.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/delivery.h"
#include "pg/base/node_walk.h"
#include "pg/base/settings.h"
#include "pg/reveal/gate.h"
#include "pg/tokens/fpe_input.h"

namespace redoubt::pg {
namespace {

// What a statement has been warned of.
struct State {
  TimestampTz statement;
  List *warned;  // OIDs of types
};
constinit State state = {};

bool is_first(Oid type) {
  if (state.statement != GetCurrentStatementStartTimestamp()) {
    list_free(state.warned);
    state.warned = nullptr;
    state.statement = GetCurrentStatementStartTimestamp();
  }
  if (list_member_oid(state.warned, type)) return false;
  const MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
  state.warned = lappend_oid(state.warned, type);
  MemoryContextSwitchTo(caller);
  return true;
}

bool reads_values(const TokenType *type) {
  switch (static_cast<Reveal>(setting_reveal)) {
    case Reveal::token:
      return false;
    case Reveal::automatic:
      return gate_allows_implicit(type, Privilege::reveal) || gate_allows_implicit(type, Privilege::masked);
    default:
      return true;
  }
}

bool writes_values(const TokenType *type) {
  switch (static_cast<Input>(setting_input)) {
    case Input::token:
      return false;
    case Input::plain:
      return true;
    default:
      return reads_values(type);
  }
}

}  // namespace

bool fpe_input_is_value(const TokenType *type) { return !delivery_takes_tokens() && writes_values(type); }

void fpe_warn_token(const TokenType *type) {
  const auto input = static_cast<Input>(setting_input);
  if (delivery_takes_tokens()) {
    if (delivery_copies_in() && writes_values(type) && is_first(type->type))
      ereport(WARNING,
              (errmsg("what COPY is given as %s is taken for tokens", type->name),
               errhint("COPY values into a column of text, and INSERT ... SELECT from there.  SET redoubt.input "
                       "= 'token' where they are tokens.")));
    return;
  }
  if (input != Input::automatic) return;
  if (static_cast<Reveal>(setting_reveal) == Reveal::automatic && gate_allows(type, Privilege::tokenize, GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("nothing says whether what this session writes as %s are values or tokens", type->name),
                    errdetail("The role may tokenize values, and reads none."),
                    errhint("SET redoubt.input = 'plain' where values are written, or 'token' where tokens are."),
                    errhidestmt(true)));
  if (is_first(type->type))
    ereport(WARNING, (errmsg("what is given as %s is taken for a token, not for a value", type->name),
                      errhint("SET redoubt.input = 'plain' where values are written, or 'token' where tokens are."),
                      errhidestmt(true)));
}

namespace {

const Node *argument_of(FunctionCallInfo fcinfo) {
  const auto *call = reinterpret_cast<const FuncExpr *>(fcinfo->flinfo->fn_expr);
  return call != nullptr && IsA(call, FuncExpr) && call->args != NIL ? static_cast<const Node *>(linitial(call->args))
                                                                     : nullptr;
}

// Is there a token of the type in an expression, as a text; or might one be in what it does not show?
bool token_in(const Node *expression, Oid type) {
  return any_node(expression, [type](Node *node) {
    const auto *cast = reinterpret_cast<const RelabelType *>(node);
    const bool is_token =
        IsA(node, RelabelType) && getBaseType(exprType(reinterpret_cast<const Node *>(cast->arg))) == type;
    return IsA(node, CaseTestExpr) || is_token ? Step::found : Step::into;
  });
}

}  // namespace

bool fpe_argument_is_token(FunctionCallInfo fcinfo, Oid type) {
  const Node *argument = argument_of(fcinfo);
  if (argument == nullptr) return false;
  while (IsA(argument, RelabelType)) {
    argument = reinterpret_cast<const Node *>(reinterpret_cast<const RelabelType *>(argument)->arg);
    if (getBaseType(exprType(argument)) == type) return true;
  }
  return false;
}

bool fpe_argument_is_own(FunctionCallInfo fcinfo) {
  const Node *argument = argument_of(fcinfo);
  return argument != nullptr && IsA(argument, FuncExpr) &&
         catalog_library_symbol(reinterpret_cast<const FuncExpr *>(argument)->funcid) != nullptr;
}

void fpe_require_token_input(FunctionCallInfo fcinfo, const TokenType *type) {
  if (type->format == nullptr) return;
  if (fpe_argument_is_token(fcinfo, type->type)) fpe_refuse_again(type);
  if (fpe_input_is_value(type))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("what this session writes as %s are values, not tokens", type->name),
                    errhint("Write the value as it is.  For the token as a text: SET redoubt.input = 'token'."),
                    errhidestmt(true)));
}

void fpe_refuse_hidden(FunctionCallInfo fcinfo, const TokenType *type) {
  Oid sought = type->type;
  if (PG_GETARG_INT32(1) == kFpeIsValue) return;
  if (PG_GETARG_INT32(1) != kFpeMadeOfToken && !token_in(argument_of(fcinfo), sought)) return;
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("a text made of a token of type %s would be taken for a value", type->name),
                  errdetail("As a text, a column of the type is its token; what this session writes are values."),
                  errhint("SET redoubt.input = 'token' where tokens are written, or write out %s(value).", type->name),
                  errhidestmt(true)));
}

void fpe_refuse_again(const TokenType *type) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                  errmsg("a token of type %s would be tokenized again", type->name),
                  errhint("The column holds tokens already."), errhidestmt(true)));
  pg_unreachable();
}

}  // namespace redoubt::pg
