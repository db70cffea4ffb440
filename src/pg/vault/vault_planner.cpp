// vault_planner.cpp - what makes redoubt.tokenize(text, regtype) and tokenize(text[], regtype) write; see
// vault_planner.h.
//
// They are STABLE and parallel safe, as types of other methods want it, and may be evaluated for a plan's estimates.
// For a vaulted type, their planner support function puts vault_token() in their place, which is VOLATILE and
// PARALLEL UNSAFE.  By then PostgreSQL has decided about workers, so the planner hook asks vault_tokenizes() before.
//
// Covered by sql/vault.sql and sql/vault_arrays.sql.
#include "pg/base/boundary.h"

#include "pg/base/node_walk.h"
#include "pg/types/token_type.h"
#include "pg/vault/vault_planner.h"

extern "C" {
#include "nodes/supportnodes.h"
}

namespace redoubt::pg {
namespace {

// Is the second argument of a call a vaulted type?
bool names_vaulted(const FuncExpr *call) {
  if (list_length(call->args) != 2 || !IsA(lsecond(call->args), Const)) return false;
  const auto *type = static_cast<const Const *>(lsecond(call->args));
  if (type->consttype != REGTYPEOID || type->constisnull) return false;
  const TokenType *token_type = token_type_find(DatumGetObjectId(type->constvalue));
  return token_type != nullptr && token_type->vaulted;
}

// Of texts, or of arrays of them.
Oid own_function(const char *name, Oid base) {
  const Oid arguments[] = {base, REGTYPEOID};
  const oidvector *types = buildoidvector(arguments, lengthof(arguments));
  return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name), PointerGetDatum(types),
                         ObjectIdGetDatum(get_namespace_oid("redoubt", false)));
}

}  // namespace

bool vault_tokenizes(Query *query) {
  return token_type_any_vaulted() && any_node(query, [](Node *node) {
           const auto *call = reinterpret_cast<const FuncExpr *>(node);
           const bool tokenizes = IsA(node, FuncExpr) && call->funcid >= FirstNormalObjectId && names_vaulted(call) &&
                                  call->funcid == own_function("tokenize", call->funcresulttype);
           return tokenizes ? Step::found : Step::into;
         });
}

}  // namespace redoubt::pg

REDOUBT_FUNCTION(redoubt_vault_support) {
  using namespace redoubt::pg;
  auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSimplify)) PG_RETURN_POINTER(nullptr);
  const FuncExpr *call = reinterpret_cast<SupportRequestSimplify *>(request)->fcall;
  if (!names_vaulted(call)) PG_RETURN_POINTER(nullptr);
  auto *copy = makeNode(FuncExpr);
  *copy = *call;
  copy->funcid = own_function("vault_token", call->funcresulttype);
  PG_RETURN_POINTER(copy);
}
