// plan/by_index.cpp - see plan/by_index.h.
//
// Frames here hold plain data only.
// Covered by sql/search_index.sql and sql/order_index.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/plan/by_index.h"
#include "pg/plan/by_token.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/query_columns.h"
#include "pg/plan/query_parts.h"
#include "pg/plan/walk.h"
#include "pg/protect/table_code.h"
#include "pg/tokens/token_index.h"
#include "pg/tokens/token_order.h"

extern "C" {
#include "access/stratnum.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_opclass_d.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_opfamily_d.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
}

namespace redoubt::pg {
namespace {

// A condition that an index may serve.
struct Wanted {
  const Var *column;   // of the query, a token
  const Node *sought;  // what it is compared with
  Sought as;           // of a fingerprint
  int strategy;        // of the order of values; 0: fingerprints are asked for
  Oid collation;       // of that order, or of the case of letters
  Oid relid;           // the table's column
  AttrNumber attno;
};

// The column that an expression is the value of, in any case of letters: `fold` is lower() or upper(), if that is what
// is left around it, and `collation` the one that it goes by.  Null where it is anything else.
const Var *opened_column(const Node *node, Oid *fold, Oid *collation) {
  node = without_relabelling(node);
  if (!IsA(node, FuncExpr)) return nullptr;
  const auto *call = reinterpret_cast<const FuncExpr *>(node);
  if (folds_case(call->funcid) && !OidIsValid(*fold)) {
    *fold = call->funcid;
    *collation = call->inputcollid;
    return opened_column(static_cast<const Node *>(linitial(call->args)), fold, collation);
  }
  if (!is_opening_cast(call)) return nullptr;
  const auto *column =
      reinterpret_cast<const Var *>(without_collation(static_cast<const Node *>(linitial(call->args))));
  return IsA(column, Var) && column->varlevelsup == 0 && column->varattno > 0 ? column : nullptr;
}

// Finds the table's column that the column of a query is, through joins and subqueries.
bool table_column(const Query *query, Wanted *wanted) {
  wanted->relid = column_copied(query, reinterpret_cast<const Node *>(wanted->column), &wanted->attno);
  return OidIsValid(wanted->relid);
}

bool is_usual_collation(Oid collation) { return collation == DEFAULT_COLLATION_OID || collation == C_COLLATION_OID; }

// Does the database's upper() go letter by letter?  ICU's goes by language.
bool upper_case_folds() {
  return catalog_field(DATABASEOID, MyDatabaseId, &FormData_pg_database::datlocprovider) != COLLPROVIDER_ICU;
}

// The btree strategy of a comparison of texts by their order; 0 for any other function.
int order_strategy(Oid function) {
  return function == F_TEXT_LT   ? BTLessStrategyNumber
         : function == F_TEXT_LE ? BTLessEqualStrategyNumber
         : function == F_TEXT_GE ? BTGreaterEqualStrategyNumber
         : function == F_TEXT_GT ? BTGreaterStrategyNumber
                                 : 0;
}

int commuted(int strategy) { return BTMaxStrategyNumber + 1 - strategy; }

// column < value
bool is_wanted_order(int strategy, Oid collation, const Node *left, const Node *right, Wanted *wanted) {
  Oid fold = F_LOWER_TEXT;  // nothing is left around the value
  if (strategy == 0) return false;
  wanted->collation = collation;
  wanted->column = opened_column(left, &fold, &collation);
  wanted->sought = right;
  wanted->strategy = strategy;
  if (wanted->column != nullptr) return true;
  wanted->column = opened_column(right, &fold, &collation);
  wanted->sought = left;
  wanted->strategy = commuted(strategy);
  return wanted->column != nullptr;
}

bool is_wanted(const OpExpr *condition, Wanted *wanted) {
  if (list_length(condition->args) != 2) return false;
  const auto *left = static_cast<const Node *>(linitial(condition->args));
  const auto *right = static_cast<const Node *>(lsecond(condition->args));
  if (is_wanted_order(order_strategy(get_opcode(condition->opno)), condition->inputcollid, left, right, wanted))
    return true;
  Oid fold = InvalidOid;
  wanted->column = opened_column(left, &fold, &wanted->collation);
  wanted->sought = right;
  switch (get_opcode(condition->opno)) {
    case F_TEXTEQ:
      if (wanted->column == nullptr) {
        fold = InvalidOid;
        wanted->column = opened_column(right, &fold, &wanted->collation);
        wanted->sought = left;
      }
      if (!OidIsValid(fold) || !is_by_bytes(condition->inputcollid))
        return false;  // of the value itself tokens are compared, or it has no index
      wanted->as = fold == F_LOWER_TEXT ? Sought::lower : Sought::upper;
      break;
    case F_TEXTLIKE:
    case F_TEXTICLIKE:
      if (!is_usual_collation(condition->inputcollid)) return false;
      if (OidIsValid(fold) && !is_usual_collation(wanted->collation)) return false;
      // In upper case some languages lose accents, or have other letters.
      if (fold == F_UPPER_TEXT && !upper_case_folds()) return false;
      wanted->as = Sought::pattern;
      break;
    case F_STARTS_WITH:
      if (!is_usual_collation(condition->inputcollid)) return false;
      if (OidIsValid(fold) && !is_usual_collation(wanted->collation)) return false;
      wanted->as = Sought::prefix;
      break;
    default:
      return false;
  }
  return wanted->column != nullptr;
}

// What is sought is computed once more, and where no row has been found yet.
bool can_be_repeated(const Node *sought) {
  auto *node = const_cast<Node *>(sought);
  return !contain_subplans(node) && !contain_volatile_functions(node) && !calls_untrusted(node);
}

// The operator by which a GIN index finds trigrams; InvalidOid where it is no such index.
Oid trigram_operator(Relation index, AttrNumber attno) {
  if (index->rd_rel->relam != GIN_AM_OID || index->rd_index->indkey.values[0] != attno) return InvalidOid;
  const Oid found = get_opfamily_member(index->rd_opfamily[0], ANYNONARRAYOID, BYTEAOID, 1);
  return OidIsValid(found) && get_opcode(found) == placed_function_oid(Placed::may_match) ? found : InvalidOid;
}

// Is the first key of the index a fingerprint of the column, by that collation?
bool has_fingerprints(Relation index, const Wanted &wanted, Oid function) {
  if (index->rd_index->indkey.values[0] != 0) return false;
  const List *expressions = RelationGetIndexExpressions(index);
  const auto *call = expressions != NIL ? static_cast<const FuncExpr *>(linitial(expressions)) : nullptr;
  if (call == nullptr || !IsA(call, FuncExpr) || call->funcid != function) return false;
  const auto *column = static_cast<const Var *>(linitial(call->args));
  return IsA(column, Var) && column->varattno == wanted.attno && value_collation(call->inputcollid) == wanted.collation;
}

// The operator by which an index in the order of values finds them; InvalidOid where it is no such index.
Oid ordered_operator(Relation index, const Wanted &wanted) {
  if (index->rd_rel->relam != BTREE_AM_OID || index->rd_index->indkey.values[0] != wanted.attno ||
      value_collation(index->rd_indcollation[0]) != wanted.collation)
    return InvalidOid;
  return value_operator(index->rd_opfamily[0], wanted.strategy);
}

// The operator of an index that serves; InvalidOid where the table has none.
Oid find_operator(const Wanted &wanted, Oid function) {
  Relation table = try_relation_open(wanted.relid, AccessShareLock);
  if (table == nullptr) return InvalidOid;
  Oid found = InvalidOid;
  each_index(table, [&](Relation index) {
    if (OidIsValid(found) || !index->rd_index->indisvalid) return;
    if (wanted.strategy != 0)
      found = ordered_operator(index, wanted);
    else if (!OidIsValid(function))
      found = trigram_operator(index, wanted.attno);
    else if (has_fingerprints(index, wanted, function))
      found = ByteaEqualOperator;
  });
  relation_close(table, AccessShareLock);
  return found;
}

Expr *bytes_of(Placed function, List *arguments, Oid collation, CoercionForm form) {
  return reinterpret_cast<Expr *>(
      makeFuncExpr(placed_function_oid(function), BYTEAOID, arguments, InvalidOid, collation, form));
}

// A text that is sought, as an index is asked for it.
Expr *sought_call(const Wanted &wanted, Placed function) {
  const SoughtSpec spec = {getBaseType(wanted.column->vartype), wanted.as};
  // As an implicit cast, EXPLAIN shows the text alone.
  return bytes_of(function, list_make2(copyObjectImpl(wanted.sought), placed_argument(&spec, sizeof spec)),
                  wanted.collation, COERCE_IMPLICIT_CAST);
}

// What an index over fingerprints has as its key.
Expr *fingerprint_of(const Wanted &wanted, Placed function) {
  return bytes_of(function, list_make1(copyObjectImpl(wanted.column)), wanted.column->varcollid, COERCE_EXPLICIT_CALL);
}

// What stands for the key of an index in the order of values, in conditions and in what the planner knows of the index.
Expr *ordered_key(const Var *column) {
  return reinterpret_cast<Expr *>(makeFuncExpr(placed_function_oid(Placed::by_value), column->vartype,
                                               list_make2(copyObjectImpl(column), placed_argument("", 0)),
                                               column->varcollid, column->varcollid, COERCE_IMPLICIT_CAST));
}

// The value of a token is opened by the function that is asked for it.
const Node *sought_token(const Node *sought) {
  const auto *call = reinterpret_cast<const FuncExpr *>(without_relabelling(sought));
  return IsA(call, FuncExpr) && is_opening_cast(call) ? static_cast<const Node *>(linitial(call->args)) : sought;
}

// column #<# value, to be added to column < value.
Expr *order_term(const Query *query, Wanted *wanted) {
  wanted->sought = sought_token(wanted->sought);
  if (!table_column(query, wanted) || !can_be_repeated(wanted->sought)) return nullptr;
  const Oid found = find_operator(*wanted, InvalidOid);
  if (!OidIsValid(found)) return nullptr;
  const Oid type = getBaseType(wanted->column->vartype);
  List *arguments = list_make2(copyObjectImpl(wanted->sought), placed_argument(&type, sizeof type));
  return make_opclause(found, BOOLOID, false, ordered_key(wanted->column),
                       bytes_of(Placed::sought_value, arguments, wanted->collation, COERCE_IMPLICIT_CAST), InvalidOid,
                       wanted->collation);
}

// The condition to be added to one; null where no index serves.
Expr *index_term(const Query *query, const OpExpr *condition) {
  Wanted wanted = {};
  if (!is_wanted(condition, &wanted)) return nullptr;
  if (wanted.strategy != 0) return order_term(query, &wanted);
  if (!table_column(query, &wanted) || !can_be_repeated(wanted.sought)) return nullptr;
  const bool whole = wanted.as == Sought::lower || wanted.as == Sought::upper;
  const Placed key = wanted.as == Sought::lower ? Placed::lower_fingerprint : Placed::upper_fingerprint;
  const Oid function = whole ? placed_function_oid(key) : InvalidOid;
  const Oid found = !whole || OidIsValid(function) ? find_operator(wanted, function) : InvalidOid;
  if (!OidIsValid(found)) return nullptr;
  auto *column = static_cast<Expr *>(copyObjectImpl(wanted.column));
  return make_opclause(found, BOOLOID, false, whole ? fingerprint_of(wanted, key) : column,
                       sought_call(wanted, whole ? Placed::sought_fingerprint : Placed::sought_trigrams), InvalidOid,
                       whole ? InvalidOid : wanted.column->varcollid);
}

// The same for (column, ...) < (value, ...): the first pair is in that order, or equal.
Expr *row_term(const Query *query, const RowCompareExpr *rows) {
  Wanted wanted = {};
  const int strategy = order_strategy(get_opcode(linitial_oid(rows->opnos)));
  if (!is_wanted_order(strategy, linitial_oid(rows->inputcollids), static_cast<const Node *>(linitial(rows->largs)),
                       static_cast<const Node *>(linitial(rows->rargs)), &wanted))
    return nullptr;
  if (wanted.strategy == BTLessStrategyNumber) wanted.strategy = BTLessEqualStrategyNumber;
  if (wanted.strategy == BTGreaterStrategyNumber) wanted.strategy = BTGreaterEqualStrategyNumber;
  return order_term(query, &wanted);
}

// What is put together by AND and OR, with what is to be added to its parts.
Node *with_terms(const Query *query, Node *condition) {
  if (condition == nullptr) return nullptr;
  check_stack_depth();
  if (auto *list = reinterpret_cast<BoolExpr *>(condition); IsA(condition, BoolExpr) && list->boolop != NOT_EXPR) {
    each_in_place(list->args, [query](Expr *part) { return with_terms(query, reinterpret_cast<Node *>(part)); });
    return condition;
  }
  Expr *term = IsA(condition, OpExpr)           ? index_term(query, reinterpret_cast<const OpExpr *>(condition))
               : IsA(condition, RowCompareExpr) ? row_term(query, reinterpret_cast<const RowCompareExpr *>(condition))
                                                : nullptr;
  return term == nullptr ? condition
                         : reinterpret_cast<Node *>(makeBoolExpr(AND_EXPR, list_make2(term, condition), -1));
}

void add_terms(const Query *query, Node *from) {
  if (from == nullptr) return;
  check_stack_depth();
  if (auto *list = reinterpret_cast<FromExpr *>(from); IsA(from, FromExpr)) {
    for (auto *node : list_of<Node>(list->fromlist)) add_terms(query, node);
    list->quals = with_terms(query, list->quals);
  } else if (auto *join = reinterpret_cast<JoinExpr *>(from); IsA(from, JoinExpr)) {
    add_terms(query, join->larg);
    add_terms(query, join->rarg);
    join->quals = with_terms(query, join->quals);
  }
}

// ON CONFLICT (lower(column)) means the unique index that is there in its place.
void infer_by_index(const Query *query, OnConflictExpr *conflict) {
  for (auto *element : list_of<InferenceElem>(conflict->arbiterElems)) {
    Wanted wanted = {};
    Oid fold = InvalidOid;
    wanted.column = opened_column(element->expr, &fold, &wanted.collation);
    if (wanted.column == nullptr || !OidIsValid(fold) || !table_column(query, &wanted)) continue;
    const Placed key = fold == F_LOWER_TEXT ? Placed::lower_fingerprint : Placed::upper_fingerprint;
    const Oid function = placed_function_oid(key);
    if (!OidIsValid(function) || !OidIsValid(find_operator(wanted, function))) continue;
    element->expr = reinterpret_cast<Node *>(fingerprint_of(wanted, key));
    element->infercollid = InvalidOid;
  }
}

}  // namespace

void by_index(Query *query) {
  add_terms(query, reinterpret_cast<Node *>(query->jointree));
  if (query->onConflict != nullptr) infer_by_index(query, query->onConflict);
}

namespace {

// Is it one that by_index can ask?  Where it has other keys or leaves out rows, the planner would use it for these, and
// its order would tell of values.
bool serves_order(const IndexOptInfo *index) {
  return index->nkeycolumns == 1 && index->indexkeys[0] > 0 && index->indpred == NIL;
}

// The column as the planner has one whose order is asked for in another collation than its own.
Expr *in_collation(const Var *column, Oid collation) {
  auto *token = static_cast<Expr *>(copyObjectImpl(column));
  if (collation == value_collation(column->varcollid)) return token;
  return reinterpret_cast<Expr *>(
      makeRelabelType(token, column->vartype, column->vartypmod, collation, COERCE_EXPLICIT_CAST));
}

// The planner takes the index for one of what by_index adds to conditions, in the order of the opened values; by the
// column itself, whose nulls anybody may ask for, it does not know it.
void show_order(IndexOptInfo *index) {
  auto *key = static_cast<TargetEntry *>(linitial(index->indextlist));
  const auto *column = reinterpret_cast<const Var *>(key->expr);
  const TokenType *type = IsA(column, Var) ? token_type_find(column->vartype) : nullptr;
  if (type == nullptr || !OidIsValid(type->open_value)) return;
  index->indexkeys[0] = 0;
  index->indexprs = list_make1(ordered_key(column));
  index->indexcollations[0] = value_collation(index->indexcollations[0]);
  index->sortopfamily = static_cast<Oid *>(palloc(sizeof(Oid)));  // the planner takes those of the index themselves
  index->sortopfamily[0] = TEXT_BTREE_FAM_OID;
  index->opcintype[0] = TEXTOID;
  key = flatCopyTargetEntry(key);
  key->expr = open_value(in_collation(column, index->indexcollations[0]));
  index->indextlist = list_make1(key);
  std::fill_n(index->canreturn, index->ncolumns, false);
}

}  // namespace

void show_orders(RelOptInfo *relation) {
  ListCell *cell = nullptr;
  foreach (cell, relation->indexlist) {
    auto *index = static_cast<IndexOptInfo *>(lfirst(cell));
    if (index->relam != BTREE_AM_OID) continue;
    bool ordered = false;
    for (int i = 0; i < index->nkeycolumns; ++i) ordered |= is_value_family(index->opfamily[i]);
    if (!ordered) continue;
    if (serves_order(index)) show_order(index);
    if (index->indexkeys[0] != 0) relation->indexlist = foreach_delete_current(relation->indexlist, cell);
  }
}

bool is_index_term(const OpExpr *condition) {
  return list_length(condition->args) == 2 &&
         calls_placed(static_cast<const Node *>(lsecond(condition->args)),
                      {Placed::sought_fingerprint, Placed::sought_trigrams, Placed::sought_value});
}

}  // namespace redoubt::pg
