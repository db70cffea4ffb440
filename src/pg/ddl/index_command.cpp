// index_command.cpp - see index_command.h.
//
// Covered by sql/search_index.sql and sql/order_index.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/ddl/index_command.h"
#include "pg/plan/walk.h"
#include "pg/protect/standing_code.h"
#include "pg/tokens/token_index.h"
#include "pg/tokens/token_order.h"

extern "C" {
#include "catalog/dependency.h"
#include "catalog/pg_am_d.h"
#include "catalog/indexing.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "parser/parse_type.h"
#include "utils/ruleutils.h"
}

namespace redoubt::pg {
namespace {

constexpr const char *kTrigrams = "gin_trgm_ops";  // the operator class of pg_trgm, and its family

// The function in the place of lower() or upper(), if it is one of these; or null.
const char *fingerprint_of(const FuncCall *call) {
  const List *name = call->funcname;
  if (list_length(call->args) != 1 || list_length(name) > 2) return nullptr;
  if (list_length(name) == 2 && strcmp(strVal(linitial(name)), "pg_catalog") != 0) return nullptr;
  const char *function = strVal(llast(name));
  return strcmp(function, "lower") == 0   ? "lower_fingerprint"
         : strcmp(function, "upper") == 0 ? "upper_fingerprint"
                                          : nullptr;
}

// The column that is cast to text, or left as it is.
ColumnRef *cast_column(Node *argument) {
  while (IsA(argument, TypeCast)) argument = reinterpret_cast<TypeCast *>(argument)->arg;
  auto *column = reinterpret_cast<ColumnRef *>(argument);
  return IsA(argument, ColumnRef) && list_length(column->fields) == 1 && IsA(linitial(column->fields), String)
             ? column
             : nullptr;
}

bool has_index(Oid relid, const char *column) {
  const AttrNumber attno = get_attnum(relid, column);
  const TokenType *type = attno > 0 ? token_type_find(getBaseType(get_atttype(relid, attno))) : nullptr;
  return type != nullptr && token_type_has_index(type);
}

// The name of the operator class of a token type in the order of values.
List *value_class(Oid type) {
  List *name = NIL;
  ScanKeyData keys[] = {catalog_key(Anum_pg_opclass_opcmethod, BTREE_AM_OID)};
  catalog_scan(OperatorClassRelationId, OpclassAmNameNspIndexId, keys, [&name, type](const CatalogRow &row) {
    const auto form = row.as<Form_pg_opclass>();
    if (form->opcintype == type && is_value_family(form->opcfamily))
      name =
          list_make2(makeString(get_namespace_name(form->opcnamespace)), makeString(pstrdup(NameStr(form->opcname))));
  });
  return name;
}

bool is_text(const TypeName *type_name) {
  const Oid type = LookupTypeNameOid(nullptr, type_name, true);
  return (type == TEXTOID || type == VARCHAROID) && type_name->typmods == NIL;
}

// Changes lower(column), if that is what is indexed.
bool take_fingerprint(IndexElem *key, Oid relid) {
  auto *call = reinterpret_cast<FuncCall *>(key->expr);
  if (call == nullptr || !IsA(call, FuncCall)) return false;
  const char *function = fingerprint_of(call);
  ColumnRef *column = function != nullptr ? cast_column(static_cast<Node *>(linitial(call->args))) : nullptr;
  if (column == nullptr || !has_index(relid, strVal(linitial(column->fields)))) return false;
  if (key->indexcolname == nullptr) key->indexcolname = pstrdup(strVal(llast(call->funcname)));  // names the index
  call->funcname = list_make2(makeString(pstrdup("redoubt")), makeString(pstrdup(function)));
  call->args = list_make1(column);
  key->opclass = key->collation = NIL;  // those of text
  return true;
}

// Changes column gin_trgm_ops.
bool take_trigrams(IndexElem *key, Oid relid) {
  if (key->name == nullptr || key->opclass == NIL || strcmp(strVal(llast(key->opclass)), kTrigrams) != 0 ||
      !has_index(relid, key->name))
    return false;
  key->opclass = NIL;
  return true;
}

// Changes column::text.
bool take_value(IndexElem *key, Oid relid) {
  const auto *cast = reinterpret_cast<const TypeCast *>(key->expr);
  if (cast == nullptr || !IsA(cast, TypeCast) || !is_text(cast->typeName)) return false;
  const ColumnRef *column = cast_column(key->expr);
  const char *name = column != nullptr ? strVal(linitial(column->fields)) : nullptr;
  if (name == nullptr || !has_index(relid, name)) return false;
  key->name = pstrdup(name);
  key->expr = nullptr;
  key->collation = NIL;  // that of text
  key->opclass = value_class(getBaseType(get_atttype(relid, get_attnum(relid, name))));
  return true;
}

bool is_trigram_family(Oid family) {
  HeapTuple tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(family));
  if (!HeapTupleIsValid(tuple)) return false;
  const bool is = strcmp(NameStr(reinterpret_cast<Form_pg_opfamily>(GETSTRUCT(tuple))->opfname), kTrigrams) == 0;
  ReleaseSysCache(tuple);
  return is;
}

bool is_column(const Node *node, AttrNumber attno) {
  node = without_relabelling(node);
  return IsA(node, Var) && reinterpret_cast<const Var *>(node)->varattno == attno;
}

// Has the index of a text column what a token column has no values for?
bool indexes_text(Relation index, AttrNumber attno) {
  const List *expressions = RelationGetIndexExpressions(index);
  ListCell *cell = nullptr;
  foreach (cell, expressions) {
    const auto *call = static_cast<const FuncExpr *>(lfirst(cell));
    if (is_column(reinterpret_cast<const Node *>(call), attno)) return true;  // a varchar, as text
    if (IsA(call, FuncExpr) && folds_case(call->funcid) &&
        is_column(static_cast<const Node *>(linitial(call->args)), attno))
      return true;
  }
  if (index->rd_rel->relam != GIN_AM_OID) return false;
  for (int i = 0; i < index->rd_index->indnkeyatts; ++i)
    if (index->rd_index->indkey.values[i] == attno && is_trigram_family(index->rd_opfamily[i])) return true;
  return false;
}

// The columns of a table that the command makes token columns, as standing_code_columns has them.
Bitmapset *new_token_columns(const AlterTableStmt *alter, Oid relid) {
  Bitmapset *columns = nullptr;
  ListCell *cell = nullptr;
  foreach (cell, alter->cmds) {
    const auto *command = static_cast<const AlterTableCmd *>(lfirst(cell));
    if (command->subtype != AT_AlterColumnType) continue;
    const Type type =
        LookupTypeName(nullptr, reinterpret_cast<const ColumnDef *>(command->def)->typeName, nullptr, true);
    if (type == nullptr) continue;
    const TokenType *token_type = token_type_find(getBaseType(typeTypeId(type)));
    ReleaseSysCache(type);
    const AttrNumber attno = get_attnum(relid, command->name);
    if (attno > 0 && token_type != nullptr && token_type_has_index(token_type) && !has_index(relid, command->name))
      columns = bms_add_member(columns, attno - FirstLowInvalidHeapAttributeNumber);
  }
  return columns;
}

// Adds the OIDs of the indexes of a table that would not be rebuilt; those that belong to one of the table above it go
// with that.
List *indexes_of_text(Oid relid, const Bitmapset *columns) {
  List *found = NIL;
  Relation table = relation_open(relid, NoLock);
  ListCell *cell = nullptr;
  const List *indexes = RelationGetIndexList(table);
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessExclusiveLock);
    bool any = false;
    for (int column = -1; (column = bms_next_member(columns, column)) >= 0;)
      any |= indexes_text(index, static_cast<AttrNumber>(column + FirstLowInvalidHeapAttributeNumber));
    // Of a constraint PostgreSQL says itself what is in the way.
    if (any && !index->rd_rel->relispartition && !OidIsValid(get_index_constraint(lfirst_oid(cell))))
      found = lappend_oid(found, lfirst_oid(cell));
    index_close(index, NoLock);
  }
  relation_close(table, NoLock);
  return found;
}

}  // namespace

void index_command_made(Oid index) {
  ScanKeyData keys[] = {catalog_key(Anum_pg_index_indexrelid, index)};
  catalog_scan_self(IndexRelationId, IndexRelidIndexId, keys, [](const CatalogRow &row) {
    const auto form = row.as<Form_pg_index>();
    bool null = true;
    const auto *classes = reinterpret_cast<const oidvector *>(DatumGetPointer(row.get(Anum_pg_index_indclass, &null)));
    bool by_value = false;
    for (int i = 0; !null && i < form->indnkeyatts; ++i)
      by_value |= is_value_family(get_opclass_family(classes->values[i]));
    if (!by_value) return;
    (void)row.get(Anum_pg_index_indpred, &null);
    if (form->indnkeyatts != 1 || form->indisunique || form->indisexclusion || !null)
      ereport(ERROR,
              (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
               errmsg("an index in the order of values has one key, and is neither unique nor partial"),
               errhint("A unique index on the column itself keeps equal values away; queries that sort by more columns "
                       "are served by this one, too.")));
    if (form->indisclustered)
      ereport(ERROR,
              (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a table cannot be clustered in the order of values"),
               errdetail("The place of each row would tell its value's.")));
  });
}

PlannedStmt *index_command(const PlannedStmt *statement) {
  const auto *given = reinterpret_cast<const IndexStmt *>(statement->utilityStmt);
  if (!IsA(given, IndexStmt) || given->relation == nullptr) return nullptr;
  const Oid relid = RangeVarGetRelid(given->relation, NoLock, true);
  if (!OidIsValid(relid)) return nullptr;
  auto *changed = static_cast<PlannedStmt *>(copyObjectImpl(statement));
  bool any = false;
  ListCell *cell = nullptr;
  foreach (cell, reinterpret_cast<IndexStmt *>(changed->utilityStmt)->indexParams) {
    auto *key = static_cast<IndexElem *>(lfirst(cell));
    any |= take_fingerprint(key, relid) || take_trigrams(key, relid) || take_value(key, relid);
  }
  return any ? changed : nullptr;
}

List *index_command_drop(const Node *statement) {
  const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
  if (!IsA(alter, AlterTableStmt) || alter->objtype != OBJECT_TABLE) return NIL;
  bool changes_type = false;
  ListCell *cell = nullptr;
  foreach (cell, alter->cmds)
    changes_type |= static_cast<const AlterTableCmd *>(lfirst(cell))->subtype == AT_AlterColumnType;
  if (!changes_type) return NIL;
  const Oid relid = RangeVarGetRelidExtended(alter->relation, AccessExclusiveLock, RVR_MISSING_OK,
                                             RangeVarCallbackOwnsRelation, nullptr);
  if (!OidIsValid(relid)) return NIL;
  const Bitmapset *columns = new_token_columns(alter, relid);
  if (columns == nullptr) return NIL;
  List *definitions = NIL;
  const List *tables = find_all_inheritors(relid, AccessExclusiveLock, nullptr);
  foreach (cell, tables) {
    const Bitmapset *same = standing_code_columns(relid, lfirst_oid(cell), columns);
    const List *indexes = indexes_of_text(lfirst_oid(cell), same);
    ListCell *inner = nullptr;
    foreach (inner, indexes) {
      const ObjectAddress index = {RelationRelationId, lfirst_oid(inner), 0};
      definitions = lappend(definitions, pg_get_indexdef_string(index.objectId));
      performDeletion(&index, DROP_RESTRICT, 0);
    }
  }
  if (definitions != NIL) CommandCounterIncrement();
  return definitions;
}

void index_command_remake(const List *definitions) {
  if (definitions == NIL) return;
  CommandCounterIncrement();
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  ListCell *cell = nullptr;
  foreach (cell, definitions)
    if (SPI_execute(static_cast<const char *>(lfirst(cell)), false, 0) != SPI_OK_UTILITY)
      elog(ERROR, "could not make an index anew");
  SPI_finish();
}

}  // namespace redoubt::pg
