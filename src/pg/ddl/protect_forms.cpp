// protect_forms.cpp - which views, policies and triggers on a column can be made anew over its tokens.
//
// Those in which the column stands in one of these forms alone, as they mean the same of tokens as of values or refuse
// to answer:
//   a view's output column, as it is          compared with a constant by = or <>   (not in a trigger)
//   IS NULL, IS NOT NULL                      OLD.column compared with NEW.column by =, <> or IS DISTINCT FROM
// Conditions are put together by AND, OR and NOT alone.  Whatever else looks at the column, or at whole rows of the
// table, or has the table in a subquery, is somebody's work.
// Covered by sql/protect_refused.sql.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/ddl/protect_step.h"
#include "pg/plan/walk.h"

extern "C" {
#include "catalog/pg_operator_d.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type_d.h"
#include "nodes/nodes.h"
}

namespace redoubt::pg {
namespace {

struct Forms {
  Oid relid;
  AttrNumber column;
  const List *tables;  // the range table of a view's query; null: all columns are the table's own
  bool of_trigger;
  int depth;  // of subqueries
  bool plain;
  List *outputs;  // numbers of a view's columns that are the column
};

// Is it the column, or the whole row?  A column of a join is looked for behind it.
bool is_mention(const Forms *forms, const Node *node) {
  if (node == nullptr || !IsA(node, Var)) return false;
  const auto *column = reinterpret_cast<const Var *>(node);
  if (static_cast<int>(column->varlevelsup) != forms->depth) return false;
  const bool is_it = column->varattno == forms->column || column->varattno == InvalidAttrNumber;
  if (forms->tables == nullptr) return is_it;
  const RangeTblEntry *table = rt_fetch(column->varno, const_cast<List *>(forms->tables));
  switch (table->rtekind) {
    case RTE_RELATION:
      return is_it && table->relid == forms->relid;
    case RTE_SUBQUERY:
    case RTE_FUNCTION:
    case RTE_TABLEFUNC:
    case RTE_VALUES:
    case RTE_CTE:
      return false;
    default:  // merged by USING, or grouped
      return true;
  }
}

bool is_column(const Forms *forms, const Node *node) {
  node = without_relabelling(node);
  if (!is_mention(forms, node)) return false;
  const auto *column = reinterpret_cast<const Var *>(node);
  return column->varattno == forms->column &&
         (forms->tables == nullptr ||
          rt_fetch(column->varno, const_cast<List *>(forms->tables))->rtekind == RTE_RELATION);
}

bool is_constant(const Node *node) { return IsA(without_relabelling(node), Const); }

// = and <> of text and bytea; of varchar they are those of text.  Those of char ignore blanks, which tokens do not.
constexpr Oid kEquality[] = {TextEqualOperator, 531, ByteaEqualOperator, 1956};

bool is_plain_comparison(const Forms *forms, const OpExpr *comparison) {
  if (list_length(comparison->args) != 2 ||
      std::find(std::begin(kEquality), std::end(kEquality), comparison->opno) == std::end(kEquality))
    return false;
  const auto *left = static_cast<const Node *>(linitial(comparison->args));
  const auto *right = static_cast<const Node *>(lsecond(comparison->args));
  if (forms->of_trigger) return is_column(forms, left) && is_column(forms, right);
  if (IsA(comparison, DistinctExpr)) return false;
  return (is_column(forms, left) && is_constant(right)) || (is_constant(left) && is_column(forms, right));
}

bool is_plain_form(const Forms *forms, const Node *node) {
  if (IsA(node, NullTest))
    return is_column(forms, reinterpret_cast<const Node *>(reinterpret_cast<const NullTest *>(node)->arg));
  return (IsA(node, OpExpr) || IsA(node, DistinctExpr)) &&
         is_plain_comparison(forms, reinterpret_cast<const OpExpr *>(node));
}

// Is the table, or the column, in a subquery, or where the column would be computed with?
bool is_within(Forms *forms, Node *node) {
  const auto *table = reinterpret_cast<const RangeTblEntry *>(node);
  if (IsA(node, RangeTblEntry)) return table->rtekind == RTE_RELATION && table->relid == forms->relid;
  if (is_mention(forms, node)) return true;
  const int deeper = IsA(node, Query) ? 1 : 0;
  forms->depth += deeper;
  const bool found = any_child<QTW_EXAMINE_RTES_BEFORE>(node, [forms](Node *child) { return is_within(forms, child); });
  forms->depth -= deeper;
  return found;
}

bool holds_other_forms(Forms *forms, Node *node) {
  if (is_plain_form(forms, node)) return false;
  if (!IsA(node, BoolExpr) && !IsA(node, List) && !IsA(node, FromExpr) && !IsA(node, JoinExpr))
    return is_within(forms, node);
  return any_child(node, [forms](Node *child) { return holds_other_forms(forms, child); });
}

void look(Forms *forms, const void *node) {
  if (node != nullptr && forms->plain)
    forms->plain = !holds_other_forms(forms, static_cast<Node *>(const_cast<void *>(node)));
}

// What a FROM entry computes itself.
void look_at_table(Forms *forms, const RangeTblEntry *table) {
  look(forms, table->subquery);
  look(forms, table->functions);
  look(forms, table->tablefunc);
  look(forms, table->values_lists);
  look(forms, table->tablesample);
}

void look_at_view(Forms *forms, const Query *query) {
  forms->tables = query->rtable;
  for (const auto *table : list_of<const RangeTblEntry>(query->rtable)) look_at_table(forms, table);
  for (const auto *cte : list_of<const CommonTableExpr>(query->cteList)) look(forms, cte->ctequery);
  for (const auto *entry : list_of<const TargetEntry>(query->targetList)) {
    const auto *output = reinterpret_cast<const Node *>(entry->expr);
    if (IsA(output, Var) && is_column(forms, output) && entry->ressortgroupref == 0 && !entry->resjunk)
      forms->outputs = lappend_int(forms->outputs, entry->resno);
    else
      look(forms, output);
  }
  look(forms, query->jointree);
  look(forms, query->havingQual);
  look(forms, query->windowClause);
  look(forms, query->limitOffset);
  look(forms, query->limitCount);
}

// The expressions of an object, from its row.
struct Texts {
  char *text[2];
};

Texts texts_of(Oid catalog, Oid index, AttrNumber key, Oid object, AttrNumber first, AttrNumber second) {
  Texts texts = {};
  ScanKeyData keys[] = {catalog_key(key, object)};
  catalog_scan(catalog, index, keys, [&texts, first, second](const CatalogRow &row) {
    bool null = false;
    const Datum one = row.get(first, &null);
    if (!null) texts.text[0] = TextDatumGetCString(one);
    if (second == 0) return;
    const Datum other = row.get(second, &null);
    if (!null) texts.text[1] = TextDatumGetCString(other);
  });
  return texts;
}

void look_at_rule(Forms *forms, Oid rule) {
  const Texts texts =
      texts_of(RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, rule, Anum_pg_rewrite_ev_action, 0);
  const List *actions = texts.text[0] != nullptr ? static_cast<List *>(stringToNode(texts.text[0])) : NIL;
  forms->plain = list_length(actions) == 1 && linitial_node(Query, actions)->commandType == CMD_SELECT;
  if (forms->plain) look_at_view(forms, linitial_node(Query, actions));
}

void look_at_expressions(Forms *forms, const Texts &texts) {
  for (const char *text : texts.text)
    if (text != nullptr) look(forms, stringToNode(text));
}

}  // namespace
}  // namespace redoubt::pg

// protect_plain(class oid, object oid, relation oid, column smallint): null where an object does more with the column
// than the forms above; else the numbers of the output columns of a view that are the column.
REDOUBT_FUNCTION(redoubt_protect_plain) {
  using namespace redoubt::pg;
  Forms forms = {};
  forms.relid = PG_GETARG_OID(2);
  forms.column = PG_GETARG_INT16(3);
  forms.plain = true;
  const Oid object = PG_GETARG_OID(1);
  switch (PG_GETARG_OID(0)) {
    case RewriteRelationId:
      look_at_rule(&forms, object);
      break;
    case PolicyRelationId:
      look_at_expressions(&forms, texts_of(PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, object,
                                           Anum_pg_policy_polqual, Anum_pg_policy_polwithcheck));
      break;
    case TriggerRelationId:
      forms.of_trigger = true;
      look_at_expressions(&forms, texts_of(TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, object,
                                           Anum_pg_trigger_tgqual, 0));
      break;
    default:
      forms.plain = false;
  }
  if (!forms.plain) PG_RETURN_NULL();
  auto *outputs = static_cast<Datum *>(palloc(sizeof(Datum) * (list_length(forms.outputs) + 1)));
  int size = 0;
  for (const int output : ints_of(forms.outputs)) outputs[size++] = Int16GetDatum(static_cast<int16>(output));
  PG_RETURN_ARRAYTYPE_P(construct_array(outputs, size, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
}
