// plan/row_by_row.cpp - see plan/row_by_row.h.
//
// Invariant: the query returns the same rows.  What it leaves as it is: functions whose rows a column definition list
// describes, WITH ORDINALITY, FOR UPDATE; those that run with other settings or another role's privileges, unless they
// were parsed when they were made; those that read nothing protected, or that the reader may not call.  A function
// asked row by row can go forward only, and has its tables open until the last row: hence not for a cursor that
// PostgreSQL would let go back.
// Frames here hold plain data only.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/node_walk.h"
#include "pg/plan/as_text.h"
#include "pg/plan/inlined.h"
#include "pg/plan/query_parts.h"
#include "pg/plan/row_by_row.h"

extern "C" {
#include "catalog/pg_language_d.h"
#include "funcapi.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
}

namespace redoubt::pg {
namespace {

// Is the body one SELECT without side effects, which has protected values to give?
bool only_reads(HeapTuple function) {
  const List *body = sql_body(function);
  if (list_length(body) != 1) return false;
  auto *query = static_cast<Query *>(linitial(body));
  return query->commandType == CMD_SELECT && !query->hasModifyingCTE && !query->hasForUpdate &&
         !contain_volatile_functions(reinterpret_cast<Node *>(query)) && any_node(query, [](Node *node) {
           const bool reads = IsA(node, Query) && reads_protected(reinterpret_cast<Query *>(node));
           return reads ? Step::found : Step::into;
         });
}

// Asked before a body is parsed, whose errors are of no use to those who may not call it.
bool may_call(Oid function) {
  return DatumGetBool(DirectFunctionCall2(has_function_privilege_id, ObjectIdGetDatum(function),
                                          PointerGetDatum(cstring_to_text("EXECUTE"))));
}

bool is_asked_row_by_row(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return false;
  const auto *form = reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(tuple));
  bool asked = false;
  if (form->prolang == SQLlanguageId && form->proretset && form->prokind == PROKIND_FUNCTION) {
    const bool parsed = !heap_attisnull(tuple, Anum_pg_proc_prosqlbody, nullptr);
    const bool elsewhere = form->prosecdef || !heap_attisnull(tuple, Anum_pg_proc_proconfig, nullptr);
    const bool taken_apart = form->provolatile != PROVOLATILE_VOLATILE && !form->proisstrict && !elsewhere;
    asked = !taken_apart && (parsed || !elsewhere) && may_call(function) && only_reads(tuple);
  }
  ReleaseSysCache(tuple);
  return asked;
}

// Are all rows computed before the first is given?
bool reads_all(const Query *query) {
  return query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL || query->sortClause != NIL ||
         query->distinctClause != NIL;
}

// SELECT `targets`, FROM the entry if there is one.
Query *select_targets(List *targets, RangeTblEntry *entry) {
  Query *query = select_from(entry);
  query->targetList = targets;
  query->hasTargetSRFs = entry == nullptr;
  query->hasSubLinks = checkExprHasSubLink(reinterpret_cast<Node *>(targets));
  return query;
}

// SELECT (row).a, (row).b ... FROM (SELECT f() AS row); or null.
Query *select_fields(FuncExpr *call, TupleDesc fields) {
  const Node *node = reinterpret_cast<Node *>(call);
  const Var *row = makeVar(1, 1, exprType(node), -1, InvalidOid, 0);
  List *targets = NIL;
  for (int i = 0; i < fields->natts; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(fields, i);
    if (attribute->attisdropped) return nullptr;
    FieldSelect *field = makeNode(FieldSelect);
    field->arg = static_cast<Expr *>(copyObjectImpl(row));
    field->fieldnum = static_cast<AttrNumber>(i + 1);
    field->resulttype = attribute->atttypid;
    field->resulttypmod = attribute->atttypmod;
    field->resultcollid = attribute->attcollation;
    targets = lappend(targets, makeTargetEntry(&field->xpr, static_cast<AttrNumber>(i + 1),
                                               pstrdup(NameStr(attribute->attname)), false));
  }
  char *name = pstrdup("row");
  List *results = list_make1(makeTargetEntry(&call->xpr, 1, name, false));
  return select_targets(targets, entry_of(select_targets(results, nullptr), "rows", list_make1(makeString(name))));
}

void ask_row_by_row(RangeTblEntry *entry) {
  if (entry->funcordinality || list_length(entry->functions) != 1) return;
  const auto *function = static_cast<const RangeTblFunction *>(linitial(entry->functions));
  auto *call = reinterpret_cast<FuncExpr *>(function->funcexpr);
  if (!IsA(call, FuncExpr) || function->funccolnames != NIL || !is_asked_row_by_row(call->funcid)) return;
  Oid type = InvalidOid;
  TupleDesc fields = nullptr;
  const TypeFuncClass kind = get_expr_result_type(function->funcexpr, &type, &fields);
  if (kind != TYPEFUNC_SCALAR && (kind != TYPEFUNC_COMPOSITE || fields->natts != function->funccolcount)) return;
  Query *subquery =
      kind == TYPEFUNC_SCALAR
          ? select_targets(list_make1(makeTargetEntry(&call->xpr, 1, strVal(linitial(entry->eref->colnames)), false)),
                           nullptr)
          : select_fields(call, fields);
  if (subquery == nullptr) return;
  IncrementVarSublevelsUp(reinterpret_cast<Node *>(call), kind == TYPEFUNC_SCALAR ? 1 : 2, 0);  // CTEs in arguments
  entry->rtekind = RTE_SUBQUERY;
  entry->subquery = subquery;
  entry->functions = NIL;
}

}  // namespace

void row_by_row(Query *query, int options) {
  bool early = (options & CURSOR_OPT_NO_SCROLL) != 0;
  if (!early && (options & CURSOR_OPT_FAST_PLAN) != 0) return;  // a cursor that may go back
  while (query->commandType == CMD_SELECT && query->rowMarks == NIL && list_length(query->jointree->fromlist) == 1) {
    early |= query->limitCount != nullptr;
    early &= !reads_all(query);
    const auto *from = static_cast<const RangeTblRef *>(linitial(query->jointree->fromlist));
    if (!IsA(from, RangeTblRef)) return;
    RangeTblEntry *entry = rt_fetch(static_cast<Index>(from->rtindex), query->rtable);
    if (entry->rtekind == RTE_FUNCTION && early) ask_row_by_row(entry);
    if (entry->rtekind != RTE_SUBQUERY) return;
    query = entry->subquery;
  }
}

}  // namespace redoubt::pg
