// alter_type.cpp - see alter_type.h.
//
// The command's own change is not visible to look-ups yet: they find the old type, and the new one is read with
// SnapshotSelf.  USING is looked at as it was written, by names.
// Covered by sql/ddl_metering.sql and sql/standing_code.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/each.h"
#include "pg/base/node_walk.h"
#include "pg/base/settings.h"
#include "pg/ddl/alter_type.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/standing_code.h"
#include "pg/types/token_type.h"

extern "C" {
#include "parser/parse_type.h"
}

namespace redoubt::pg {
namespace {

// The columns that an expression names.  A name that is no column stands for the whole row, 0.
Bitmapset *columns_named(Oid relid, const Node *expression) {
  Bitmapset *columns = nullptr;
  (void)any_raw_node(expression, [relid, &columns](Node *node) {
    if (!IsA(node, ColumnRef)) return Step::into;
    auto *name = static_cast<Node *>(llast(reinterpret_cast<ColumnRef *>(node)->fields));
    const AttrNumber attno = IsA(name, String) ? get_attnum(relid, strVal(name)) : InvalidAttrNumber;
    if (attno >= 0) columns = bms_add_member(columns, attno);
    return Step::past;
  });
  return columns;
}

// Is it a column through casts and functions of one argument?  Then elements of an array stay elements.
bool is_cast_column(const Node *expression) {
  while (expression != nullptr && !IsA(expression, ColumnRef)) {
    const auto *call = reinterpret_cast<const FuncCall *>(expression);
    if (IsA(expression, TypeCast))
      expression = reinterpret_cast<const TypeCast *>(expression)->arg;
    else if (IsA(expression, FuncCall) && list_length(call->args) == 1)
      expression = static_cast<const Node *>(linitial(call->args));
    else
      return false;
  }
  return expression != nullptr;
}

// The token type that values of `type` hold, itself, as a domain's or an array's; or null.
const TokenType *token_type_of(Oid type) {
  Oid base = getBaseType(type);
  if (const Oid element = get_element_type(base); OidIsValid(element)) base = getBaseType(element);
  return token_type_find(base);
}

// text, varchar, char, or arrays of them: 's' or 'a'; else none.
char kind_of_text(Oid type) noexcept {
  if (type == TEXTOID || type == VARCHAROID || type == BPCHAROID) return 's';
  return type == TEXTARRAYOID || type == VARCHARARRAYOID || type == BPCHARARRAYOID ? 'a' : '\0';
}

}  // namespace

TypeChange type_change(Oid relid, AttrNumber attno, const Node *expression) {
  TypeChange change = expression_dropped(relid, attno);
  ScanKeyData keys[] = {catalog_key(Anum_pg_attribute_attrelid, relid)};
  catalog_scan_self(AttributeRelationId, AttributeRelidNumIndexId, keys, [&change](const CatalogRow &row) {
    const auto *attribute = row.as<Form_pg_attribute>();
    if (attribute->attnum == change.attno) change.type = attribute->atttypid;
  });
  if (expression == nullptr) return change;
  change.expression = expression;
  change.moved = columns_named(relid, expression);
  return change;
}

TypeChange expression_dropped(Oid relid, AttrNumber attno) {
  return {relid, attno, InvalidOid, nullptr, bms_make_singleton(attno)};
}

void require_using(const TypeChange &change) {
  const Oid type = change.type;
  const Node *from = change.expression;
  while (from != nullptr && IsA(from, TypeCast)) from = reinterpret_cast<const TypeCast *>(from)->arg;
  if (!OidIsValid(type) || (from != nullptr && !IsA(from, ColumnRef)) || !columns_hold(change.moved, change.attno))
    return;
  const Oid old = get_atttype(change.relid, change.attno);
  const char *const name = get_attname(change.relid, change.attno, false), *const quoted = quote_identifier(name);
  if (from == nullptr && type_is_tokens(old) && type_carried(type)->size == 0)
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("column \"%s\" of %s would become plain %s without USING", name, format_type_be(old),
                           format_type_be(type)),
                    errhint("For its values write USING redoubt.detokenize(%s); to keep the tokens, USING "
                            "redoubt.token(%s).",
                            quoted, quoted)));
  // Tokens are none of another type, though PostgreSQL would take their texts for such.  What is neither format nor
  // token is tokenized by its cast.
  const TokenType *after = token_type_of(type), *before = token_type_of(old);
  if (after == nullptr || (before == nullptr && (from != nullptr || after->format == nullptr))) return;
  if (before != nullptr && before->type == after->type) return;
  ereport(ERROR,
          (errcode(ERRCODE_DATATYPE_MISMATCH),
           errmsg("column \"%s\" cannot be given the token type %s as it is", name, after->name),
           before != nullptr
               ? errhint("For its values write USING %s(redoubt.detokenize(%s)).", after->name, quoted)
               : errhint("To tokenize its values write USING %s::%s; if they are tokens of the type already, USING %s.",
                         quoted, after->name, quoted)));
}

void require_same_types(Oid relid, AttrNumber attno, Oid type, const List *types) {
  const Oid element = is_array_type(type) ? get_element_type(getBaseType(type)) : type;
  for (const Oid given : oids_of(types))
    for (const Oid other : {protected_column_type(relid, attno), protected_domain_type(element)}) {
      if (!OidIsValid(other) || other == given) continue;
      ereport(refusal_level(), (errcode(ERRCODE_DATATYPE_MISMATCH),
                                errmsg("column \"%s\" would hold values of token type %s as those of %s",
                                       get_attname(relid, attno, false), format_type_be(given), format_type_be(other)),
                                errhint("Add a column for them.")));
    }
}

// What is stored in a protected column counts as one value (in an array, each element does).  Queries pay for what they
// put together; a command that rewrites the table would not, nor one that makes what is computed a value of its own.
void require_single(const TypeChange &change) {
  std::uint32_t values = 0;
  bool arrays = false;
  List *types = NIL;
  each_protected_column(change.relid, [&](const ProtectedColumn &column) {
    if (!columns_hold(change.moved, column.attno)) return;
    values += column.count;
    arrays |= column.is_array;
    types = list_append_unique_oid(types, column.source.token_type);
  });
  const bool assigned = change.expression == nullptr;
  if (OidIsValid(change.type) && !type_is_tokens(change.type))
    require_same_types(change.relid, change.attno, change.type, types);
  if (assigned && change.type == get_atttype(change.relid, change.attno)) return;
  const bool stay_elements =
      OidIsValid(change.type) && is_array_type(change.type) && (assigned || is_cast_column(change.expression));
  if (values <= 1 && (!arrays || stay_elements)) return;
  ereport(refusal_level(), (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                            errmsg("column \"%s\" would hold several protected values in one",
                                   get_attname(change.relid, change.attno, false)),
                            errhint("Add a column, and fill it with UPDATE, which counts them.")));
}

bool keeps_values(const TypeChange &change) {
  const Node *expression = change.expression;
  const char kind = kind_of_text(get_atttype(change.relid, change.attno));
  if (type_is_tokens(change.type)) {
    const auto *call = reinterpret_cast<const FuncCall *>(expression);
    if (expression != nullptr && IsA(expression, TypeCast))
      expression = reinterpret_cast<const TypeCast *>(expression)->arg;
    else if (expression != nullptr && IsA(expression, FuncCall) && call->args != NIL)
      expression = static_cast<const Node *>(linitial(call->args));
    if (expression == nullptr || IsA(expression, ColumnRef)) return true;
  } else if (kind_of_text(change.type) != kind) {
    return false;
  }
  while (kind != '\0' && expression != nullptr && IsA(expression, TypeCast)) {
    const auto *cast = reinterpret_cast<const TypeCast *>(expression);
    if (kind_of_text(typenameTypeId(nullptr, cast->typeName)) != kind) return false;
    expression = cast->arg;
  }
  return kind != '\0' && (expression == nullptr || IsA(expression, ColumnRef));
}

Oid type_moved(const TypeChange &change) {
  Oid type = InvalidOid;
  if (change.expression == nullptr) return type;
  each_protected_column(change.relid, [&](const ProtectedColumn &column) {
    if (!OidIsValid(type) && columns_hold(change.moved, column.attno)) type = column.source.token_type;
  });
  return type;
}

}  // namespace redoubt::pg
