// ddl_expressions.cpp - see ddl_expressions.h.
//
// Not only calls run functions: BETWEEN and CASE x WHEN stand for operators, a cast for a
// function of either type, and `t.f` or `(row).f` for f(row).
// Covered by sql/ddl_metering.sql and test/metering.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/ddl/ddl_expressions.h"
#include "pg/protect/function_trust.h"
#include "pg/types/token_type.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "catalog/pg_constraint.h"
#include "catalog/pg_operator.h"
#include "optimizer/optimizer.h"
#include "parser/parse_type.h"
}

namespace redoubt::pg {
namespace {

// What one expression does.
struct Look {
  Oid relid;
  bool untrusted;
  bool casts;
  ColumnNames used;
};

bool may_be_untrusted_function(List *name) {
  for (FuncCandidateList candidate = FuncnameGetCandidates(name, -1, NIL, false, false, false, true);
       candidate != nullptr; candidate = candidate->next)
    if (!function_is_trusted(candidate->oid)) return true;
  return false;
}

bool may_be_untrusted_operator(List *name) {
  for (FuncCandidateList candidate = OpernameGetCandidates(name, '\0', true); candidate != nullptr;
       candidate = candidate->next) {
    const Oid function = get_opcode(candidate->oid);
    if (OidIsValid(function) && !function_is_trusted(function)) return true;
  }
  return false;
}

bool may_be_untrusted_operator(const char *name) {
  return may_be_untrusted_operator(list_make1(makeString(pstrdup(name))));
}

bool may_be_untrusted(const A_Expr *expression) {
  switch (expression->kind) {
    case AEXPR_BETWEEN:
    case AEXPR_NOT_BETWEEN:
    case AEXPR_BETWEEN_SYM:
    case AEXPR_NOT_BETWEEN_SYM:
      return may_be_untrusted_operator("<") || may_be_untrusted_operator("<=") || may_be_untrusted_operator(">") ||
             may_be_untrusted_operator(">=");
    default:
      return may_be_untrusted_operator(expression->name);
  }
}

bool is_user_defined_type(Oid type) { return !OidIsValid(type) || type >= FirstNormalObjectId; }

// A cast to a type that is not built in may call anything.
bool is_user_defined_type(const TypeName *name) { return is_user_defined_type(LookupTypeNameOid(nullptr, name, true)); }

// As may a cast of a value of such a type, but for the token types.
bool is_user_defined_column(Oid relid, const char *name) {
  const AttrNumber attno = get_attnum(relid, name);
  const Oid type = attno > 0 ? get_atttype(relid, attno) : InvalidOid;
  return OidIsValid(type) && is_user_defined_type(type) && token_type_find(type) == nullptr;
}

void add_column(Look *look, const ColumnRef *reference) {
  auto *last = static_cast<Node *>(llast(reference->fields));
  if (!IsA(last, String)) {
    look->used.row = true;  // a star
    return;
  }
  const AttrNumber attno = get_attnum(look->relid, strVal(last));
  if (attno < 0) return;  // of the system's
  look->used.name = lappend(look->used.name, strVal(last));
  look->untrusted |= attno == InvalidAttrNumber && may_be_untrusted_function(list_make1(last));
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool ddl_expressions_walker(Node *node, void *context) {
  using namespace redoubt::pg;
  if (node == nullptr) return false;
  auto *look = static_cast<Look *>(context);
  switch (nodeTag(node)) {
    case T_ColumnRef:
      add_column(look, reinterpret_cast<ColumnRef *>(node));
      return false;
    case T_FuncCall:
      look->untrusted |= may_be_untrusted_function(reinterpret_cast<FuncCall *>(node)->funcname);
      break;
    case T_A_Expr:
      look->untrusted |= may_be_untrusted(reinterpret_cast<A_Expr *>(node));
      break;
    case T_CaseExpr:
      if (reinterpret_cast<CaseExpr *>(node)->arg != nullptr) look->untrusted |= may_be_untrusted_operator("=");
      break;
    case T_TypeCast:
      look->casts = true;
      look->untrusted |= is_user_defined_type(reinterpret_cast<TypeCast *>(node)->typeName);
      break;
    case T_A_Indirection: {
      ListCell *cell = nullptr;
      foreach (cell, reinterpret_cast<A_Indirection *>(node)->indirection)
        if (IsA(lfirst(cell), String)) look->untrusted |= may_be_untrusted_function(list_make1(lfirst(cell)));
      break;
    }
    default:
      break;
  }
  return raw_expression_tree_walker(node, tree_walker(ddl_expressions_walker), context);
}
}

namespace redoubt::pg {
namespace {

void add(ColumnNames *to, const ColumnNames &from) {
  to->name = list_concat(to->name, from.name);
  to->row |= from.row;
}

void add_key(DdlExpressions *found, const char *name) { found->used.name = lappend(found->used.name, pstrdup(name)); }

void add_constraint(DdlExpressions *found, const Constraint *constraint) {
  if (constraint->skip_validation && !constraint->initially_valid) return;  // NOT VALID: nothing is evaluated
  ddl_expressions_add(found, constraint->raw_expr, constraint->contype == CONSTR_CHECK);
  ddl_expressions_add(found, constraint->where_clause, true);
  ListCell *cell = nullptr;
  foreach (cell, constraint->keys) add_key(found, strVal(lfirst(cell)));
  foreach (cell, constraint->fk_attrs) add_key(found, strVal(lfirst(cell)));
  foreach (cell, constraint->exclusions) {
    const auto *element = static_cast<const List *>(lfirst(cell));
    const auto *key = static_cast<const IndexElem *>(linitial(element));
    if (key->name != nullptr) add_key(found, key->name);
    ddl_expressions_add(found, key->expr, true);
  }
}

void add_constraints(DdlExpressions *found, const List *constraints) {
  ListCell *cell = nullptr;
  foreach (cell, constraints)
    if (IsA(lfirst(cell), Constraint)) add_constraint(found, static_cast<const Constraint *>(lfirst(cell)));
}

// VALIDATE CONSTRAINT: the expression is stored.
void add_stored_constraint(DdlExpressions *found, const char *name) {
  const Oid constraint = get_relation_constraint_oid(found->relid, name, true);
  HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
  if (!HeapTupleIsValid(tuple)) return;
  bool null = true;
  const Datum stored = SysCacheGetAttr(CONSTROID, tuple, Anum_pg_constraint_conbin, &null);
  auto *expression = null ? nullptr : static_cast<Node *>(stringToNode(TextDatumGetCString(stored)));
  ReleaseSysCache(tuple);
  ColumnNames used = {};
  Bitmapset *attributes = nullptr;
  pull_varattnos(expression, 1, &attributes);
  int member = -1;
  while ((member = bms_next_member(attributes, member)) >= 0) {
    const auto attno = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
    if (attno > 0) used.name = lappend(used.name, get_attname(found->relid, attno, false));
    used.row |= attno == 0;
  }
  add(&found->used, used);
  add(&found->decides, used);
  if (calls_untrusted(expression)) add(&found->given, used);
}

void add_command(DdlExpressions *found, const AlterTableCmd *command) {
  if (command->subtype == AT_ValidateConstraint) return add_stored_constraint(found, command->name);
  if (command->def == nullptr) return;
  if (compat_sets_expression(command)) return ddl_expressions_add(found, command->def, false);
  if (IsA(command->def, Constraint)) return add_constraint(found, reinterpret_cast<const Constraint *>(command->def));
  if (!IsA(command->def, ColumnDef)) return;
  const auto *column = reinterpret_cast<const ColumnDef *>(command->def);
  if (command->subtype == AT_AlterColumnType) {
    ddl_expressions_add(found, column->raw_default, false);
    // Without USING the cast to the new type is applied to the column itself.
    if (column->raw_default == nullptr) {
      add_key(found, command->name);
      if (is_user_defined_type(column->typeName) || is_user_defined_column(found->relid, command->name))
        found->given.name = lappend(found->given.name, command->name);
    }
  }
  add_constraints(found, column->constraints);
}

}  // namespace

void ddl_expressions_add(DdlExpressions *found, Node *expression, bool decides) {
  if (expression == nullptr) return;
  Look look = {found->relid, false, false, {}};
  ddl_expressions_walker(expression, &look);
  ListCell *cell = nullptr;
  if (look.casts)
    foreach (cell, look.used.name)
      look.untrusted |= is_user_defined_column(found->relid, static_cast<const char *>(lfirst(cell)));
  add(&found->used, look.used);
  if (decides) add(&found->decides, look.used);
  if (look.untrusted) add(&found->given, look.used);
}

void ddl_expressions_alter(DdlExpressions *found, const AlterTableStmt *alter) {
  ListCell *cell = nullptr;
  foreach (cell, alter->cmds) add_command(found, static_cast<const AlterTableCmd *>(lfirst(cell)));
}

void ddl_expressions_index(DdlExpressions *found, const IndexStmt *index) {
  ddl_expressions_add(found, index->whereClause, true);
  ListCell *cell = nullptr;
  foreach (cell, index->indexParams) {
    const auto *element = static_cast<const IndexElem *>(lfirst(cell));
    if (element->name != nullptr) add_key(found, element->name);
    ddl_expressions_add(found, element->expr, index->unique);  // that no two rows are alike tells of an expression
  }
}

Oid ddl_expressions_moved_type(Oid relid, const AlterTableCmd *command) {
  if (command->subtype != AT_AlterColumnType) return InvalidOid;
  DdlExpressions found = {relid, {}, {}, {}};
  ddl_expressions_add(&found, reinterpret_cast<const ColumnDef *>(command->def)->raw_default, false);
  const ProtectedRelation *relation = protected_relation(relid);
  for (int i = 0; relation != nullptr && i < relation->size; ++i) {
    const ProtectedColumn column = relation->column[i];
    if (column_named(found.used, relid, column.attno)) return column.source.token_type;
  }
  return InvalidOid;
}

bool column_named(const ColumnNames &columns, Oid relid, AttrNumber attno) {
  if (columns.row) return true;
  ListCell *cell = nullptr;
  foreach (cell, columns.name) {
    const AttrNumber named = get_attnum(relid, static_cast<const char *>(lfirst(cell)));
    if (named == attno || named == InvalidAttrNumber) return true;
  }
  return false;
}

}  // namespace redoubt::pg
