// plan/inlined.cpp - see plan/inlined.h.
//
// Frames here hold plain data only.
// Covered by sql/as_text.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/plan/inlined.h"
#include "pg/plan/walk.h"

extern "C" {
#include "catalog/pg_language_d.h"
#include "executor/functions.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
}

namespace redoubt::pg {
namespace {

struct State {
  bool planning;
  needs_fmgr_hook_type previous;
};
constinit State state = {};

}  // namespace

List *sql_body(HeapTuple tuple) {
  const auto *form = reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(tuple));
  bool null = true;
  const Datum parsed = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &null);
  List *queries = NIL;
  if (!null) {  // RETURN, or BEGIN ATOMIC
    auto *stored = static_cast<Node *>(stringToNode(TextDatumGetCString(parsed)));
    const List *statements =
        IsA(stored, List) ? static_cast<List *>(linitial(reinterpret_cast<List *>(stored))) : list_make1(stored);
    for (auto *query : list_of<Query>(statements)) {
      AcquireRewriteLocks(query, true, false);
      queries = list_concat(queries, pg_rewrite_query(query));
    }
    return queries;
  }
  for (int i = 0; i < form->pronargs; ++i)
    if (IsPolymorphicType(form->proargtypes.values[i])) return NIL;
  const Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &null);
  if (null) return NIL;
  const char *body = TextDatumGetCString(source);
  SQLFunctionParseInfoPtr arguments = prepare_sql_fn_parse_info(tuple, nullptr, InvalidOid);
  const List *statements = pg_parse_query(body);
  if (list_length(statements) != 1) return NIL;
  // As PostgreSQL does, with a cast that some compilers take for a mistake.
  const auto setup = std::bit_cast<ParserSetupHook>(&sql_fn_parser_setup);
  for (auto *each : list_of<RawStmt>(statements))
    queries = list_concat(queries, pg_analyze_and_rewrite_withcb(each, body, setup, arguments, nullptr));
  return queries;
}

namespace {

// Is anything in it a token, or of a type that carries some?
bool finds_token(const List *queries) {
  return any_node(queries, [](Node *node) {
    const bool typed = IsA(node, Var) || IsA(node, Param) || IsA(node, Const) || IsA(node, FuncExpr) ||
                       IsA(node, RelabelType) || IsA(node, CoerceViaIO);
    return typed && holds_tokens(node) ? Step::found : Step::into;
  });
}

// A function whose arguments are of any type is called as well; an operator of a token type is there to be taken apart.
bool works_on_tokens(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return false;
  const auto *form = reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(tuple));
  bool found = false;
  const bool own = catalog_library_symbol(form->prosupport) != nullptr;
  if (form->prolang == SQLlanguageId && form->prokind == PROKIND_FUNCTION && !own) {
    const List *body = sql_body(tuple);
    found = body == NIL || finds_token(body);
  }
  ReleaseSysCache(tuple);
  return found;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
// The planner asks it of a function that it would take apart.
static bool inlined_asked(Oid function) {
  using namespace redoubt::pg;
  if (state.previous != nullptr && state.previous(function)) return true;
  return state.planning && function >= FirstNormalObjectId && OidIsValid(placed_function_oid(Placed::opened)) &&
         works_on_tokens(function);
}
}

namespace redoubt::pg {

[[gnu::hot]] bool inlining_guard() noexcept { return std::exchange(state.planning, true); }

[[gnu::hot]] void inlining_restore(bool before) noexcept { state.planning = before; }

void inlined_install() {
  state.previous = needs_fmgr_hook;
  needs_fmgr_hook = shielded<inlined_asked>;
}

}  // namespace redoubt::pg
