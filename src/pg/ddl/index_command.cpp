// index_command.cpp - see index_command.h.
//
// Covered by sql/search_index.sql and sql/order_index.sql.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/ddl/index_command.h"
#include "pg/plan/walk.h"
#include "pg/protect/standing_code.h"
#include "pg/protect/table_code.h"
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
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "optimizer/optimizer.h"
#include "parser/parser.h"
#include "tcop/utility.h"
#include "parser/parse_type.h"
#include "utils/catcache.h"
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
  key->opclass = value_class(getBaseType(get_atttype(relid, get_attnum(relid, name))));
  return true;
}

bool is_trigram_family(Oid family) {
  const NameData name = catalog_field(OPFAMILYOID, family, &FormData_pg_opfamily::opfname);
  return strcmp(NameStr(name), kTrigrams) == 0;
}

// Has the index of a text column what a token column has no values for?
bool indexes_text(Relation index, AttrNumber attno) {
  const List *expressions = RelationGetIndexExpressions(index);
  for (const auto *call : list_of<const FuncExpr>(expressions)) {
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

// Is the key in token order, or hashed, as by default?  PostgreSQL makes that anew itself.
bool is_by_tokens(Relation index, int key) {
  const Oid usual = GetDefaultOpClass(index->rd_opcintype[key], index->rd_rel->relam);
  return index->rd_rel->relam != GIN_AM_OID && OidIsValid(usual) &&
         get_opclass_family(usual) == index->rd_opfamily[key];
}

// Has the index of a token column what a text column has no values for?
bool indexes_tokens(Relation index, AttrNumber attno) {
  const List *expressions = RelationGetIndexExpressions(index);
  for (const auto *call : list_of<const FuncExpr>(expressions)) {
    if (is_fingerprint(reinterpret_cast<const Node *>(call)) &&
        is_column(static_cast<const Node *>(linitial(call->args)), attno))
      return true;
  }
  for (int i = 0; i < index->rd_index->indnkeyatts; ++i)
    if (index->rd_index->indkey.values[i] == attno && token_type_find(index->rd_opcintype[i]) != nullptr &&
        !is_by_tokens(index, i))
      return true;
  return false;
}

// Columns of a table of which a command makes token columns or plain ones, and those that it drops.
struct ChangedColumns {
  Bitmapset *retyped = nullptr;
  Bitmapset *dropped = nullptr;
};

bool makes_token_column(const AlterTableCmd *command) {
  const Type type = LookupTypeName(nullptr, reinterpret_cast<const ColumnDef *>(command->def)->typeName, nullptr, true);
  if (type == nullptr) return false;
  const TokenType *token_type = token_type_find(getBaseType(typeTypeId(type)));
  ReleaseSysCache(type);
  return token_type != nullptr && token_type_has_index(token_type);
}

ChangedColumns changed_columns(const AlterTableStmt *alter, Oid relid) {
  ChangedColumns columns;
  for (const auto *command : list_of<const AlterTableCmd>(alter->cmds)) {
    const AttrNumber attno =
        command->name != nullptr ? get_attnum(relid, command->name) : AttrNumber{InvalidAttrNumber};
    if (attno <= 0) continue;
    if (command->subtype == AT_DropColumn) columns.dropped = bms_add_member(columns.dropped, attno);
    if (command->subtype == AT_AlterColumnType && makes_token_column(command) != has_index(relid, command->name))
      columns.retyped = bms_add_member(columns.retyped, attno);
  }
  return columns;
}

// Is the index dropped with one of these columns?
bool goes_with(Relation index, const Bitmapset *columns) {
  Bitmapset *used = bms_join(columns_in(reinterpret_cast<Node *>(RelationGetIndexExpressions(index))),
                             columns_in(reinterpret_cast<Node *>(RelationGetIndexPredicate(index))));
  for (int i = 0; i < index->rd_index->indnatts; ++i) used = bms_add_member(used, index->rd_index->indkey.values[i]);
  return bms_overlap(used, columns);
}

// Adds the OIDs of the indexes of a table that would not be rebuilt; those that belong to one of the table above it go
// with that, and so do those with a column that is dropped.
List *indexes_to_remake(Oid relid, const ChangedColumns &columns) {
  List *found = NIL;
  Relation table = relation_open(relid, NoLock);
  const List *indexes = RelationGetIndexList(table);
  for (const Oid oid : oids_of(indexes)) {
    Relation index = index_open(oid, AccessExclusiveLock);
    bool any = false;
    for (const int column : members_of(columns.retyped)) {
      const auto attno = static_cast<AttrNumber>(column);
      any |= indexes_text(index, attno) || indexes_tokens(index, attno);
    }
    // Of a constraint PostgreSQL says itself what is in the way.
    if (any && !index->rd_rel->relispartition && !OidIsValid(get_index_constraint(oid)) &&
        !goes_with(index, columns.dropped))
      found = lappend_oid(found, oid);
    index_close(index, NoLock);
  }
  relation_close(table, NoLock);
  return found;
}

// How a column's statistics target was set; -1 where it was not.
int statistics_target(Oid index, AttrNumber attno) {
  HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(index), Int16GetDatum(attno));
  if (!HeapTupleIsValid(tuple)) return -1;
  bool null = false;
  const Datum target = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attstattarget, &null);
  ReleaseSysCache(tuple);
  return null ? -1 : compat_statistics_target(target);
}

// The commands that make an index, and what was set on it besides.
List *making_of(Oid oid) {
  List *commands = list_make1(pg_get_indexdef_string(oid));
  const char *schema = get_namespace_name(get_rel_namespace(oid));
  const char *name = quote_qualified_identifier(schema, get_rel_name(oid));
  Relation index = index_open(oid, NoLock);
  const Oid table = index->rd_index->indrelid;
  const int keys = index->rd_index->indnkeyatts;
  const bool clustered = index->rd_index->indisclustered;
  bool by_value = false;  // a cast, in whose place there is a column in the order of values: that takes neither
  const List *expressions = RelationGetIndexExpressions(index);
  for (const auto *node : list_of<const Node>(expressions)) by_value |= IsA(without_relabelling(node), Var);
  index_close(index, NoLock);
  for (AttrNumber key = 1; key <= keys; ++key)
    if (const int target = statistics_target(oid, key); target >= 0 && !by_value)
      commands = lappend(commands, psprintf("ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d", name, key, target));
  if (clustered && !by_value)
    commands =
        lappend(commands,
                psprintf("ALTER TABLE %s CLUSTER ON %s",
                         quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table)),
                         quote_identifier(get_rel_name(oid))));
  if (const char *comment = GetComment(oid, RelationRelationId, 0); comment != nullptr)
    commands = lappend(commands, psprintf("COMMENT ON INDEX %s IS %s", name, quote_literal_cstr(comment)));
  return commands;
}

// The operator class of pg_trgm as a name, wherever that is installed; NIL where it is not.
List *trigram_class() {
  List *name = NIL;
  CatCList *classes = SearchSysCacheList2(CLAAMNAMENSP, ObjectIdGetDatum(GIN_AM_OID), CStringGetDatum(kTrigrams));
  for (int i = 0; i < classes->n_members; ++i) {
    const auto *row = reinterpret_cast<const FormData_pg_opclass *>(GETSTRUCT(&classes->members[i]->tuple));
    if (row->opcintype == TEXTOID)
      name = list_make2(makeString(get_namespace_name(row->opcnamespace)), makeString(pstrdup(kTrigrams)));
  }
  ReleaseSysCacheList(classes);
  return name;
}

// Is the operator class of a key one of tokens?
bool of_tokens(const IndexStmt *statement, const IndexElem *key) {
  const Oid found = get_opclass_oid(get_index_am_oid(statement->accessMethod, false), key->opclass, true);
  return key->name != nullptr && OidIsValid(found) && token_type_find(get_opclass_input_type(found)) != nullptr;
}

// Gives the keys of an index of tokens back what the text was indexed by.  False where nothing here can index it.
bool as_of_text(const IndexStmt *statement) {
  const Oid relid = RangeVarGetRelid(statement->relation, NoLock, false);
  for (auto *key : list_of<IndexElem>(statement->indexParams)) {
    auto *call = reinterpret_cast<FuncCall *>(key->expr);
    if (call != nullptr && IsA(call, FuncCall) && list_length(call->args) == 1) {
      const char *function = strVal(llast(call->funcname));
      const ColumnRef *column = cast_column(static_cast<Node *>(linitial(call->args)));
      if (column == nullptr || has_index(relid, strVal(linitial(column->fields)))) continue;
      const bool lower = strcmp(function, "lower_fingerprint") == 0;
      if (lower || strcmp(function, "upper_fingerprint") == 0)
        call->funcname = list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup(lower ? "lower" : "upper")));
    } else if (key->opclass != NIL && of_tokens(statement, key) && !has_index(relid, key->name)) {
      key->opclass = NIL;
    } else if (key->name != nullptr && key->opclass == NIL && strcmp(statement->accessMethod, "gin") == 0 &&
               !has_index(relid, key->name)) {
      key->opclass = trigram_class();
      if (key->opclass == NIL) return false;
    }
  }
  return true;
}

// False, with a notice, where it makes an index that cannot be made.
bool run(const char *command) {
  const List *parsed = raw_parser(command, RAW_PARSE_DEFAULT);
  auto *statement = makeNode(PlannedStmt);
  statement->commandType = CMD_UTILITY;
  statement->canSetTag = false;
  statement->utilityStmt = static_cast<const RawStmt *>(linitial(parsed))->stmt;
  if (const auto *index = reinterpret_cast<const IndexStmt *>(statement->utilityStmt);
      IsA(index, IndexStmt) && !as_of_text(index)) {
    ereport(NOTICE, (errmsg("index \"%s\" is not made anew", index->idxname),
                     errdetail("As one of a text it needs the operator class %s of pg_trgm.", kTrigrams)));
    return false;
  }
  ProcessUtility(statement, command, false, PROCESS_UTILITY_SUBCOMMAND, nullptr, nullptr, None_Receiver, nullptr);
  CommandCounterIncrement();
  return true;
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
  for (auto *key : list_of<IndexElem>(reinterpret_cast<IndexStmt *>(changed->utilityStmt)->indexParams)) {
    any |= take_fingerprint(key, relid) || take_trigrams(key, relid) || take_value(key, relid);
  }
  return any ? changed : nullptr;
}

List *index_command_drop(const Node *statement) {
  const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
  if (!IsA(alter, AlterTableStmt) || alter->objtype != OBJECT_TABLE) return NIL;
  bool changes_type = false;
  for (const auto *command : list_of<const AlterTableCmd>(alter->cmds))
    changes_type |= command->subtype == AT_AlterColumnType;
  if (!changes_type) return NIL;
  const Oid relid = RangeVarGetRelidExtended(alter->relation, AccessExclusiveLock, RVR_MISSING_OK,
                                             RangeVarCallbackOwnsRelation, nullptr);
  if (!OidIsValid(relid)) return NIL;
  const ChangedColumns columns = changed_columns(alter, relid);
  if (columns.retyped == nullptr) return NIL;
  List *makings = NIL;
  const List *tables = find_all_inheritors(relid, AccessExclusiveLock, nullptr);
  for (const Oid table : oids_of(tables)) {
    const ChangedColumns same = {standing_code_columns(relid, table, columns.retyped),
                                 standing_code_columns(relid, table, columns.dropped)};
    const List *indexes = indexes_to_remake(table, same);
    for (const Oid each : oids_of(indexes)) {
      const ObjectAddress index = {RelationRelationId, each, 0};
      makings = lappend(makings, making_of(index.objectId));
      performDeletion(&index, DROP_RESTRICT, 0);
    }
  }
  if (makings != NIL) CommandCounterIncrement();
  return makings;
}

void index_command_remake(const List *makings) {
  if (makings == NIL) return;
  CommandCounterIncrement();
  // What a definition does not say is the default: the tablespace of the database.
  const int nest = NewGUCNestLevel();
  (void)set_config_option("default_tablespace", "", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  for (const auto *commands : list_of<const List>(makings)) {
    for (const auto *command : list_of<const char>(commands))
      if (!run(command)) break;
  }
  AtEOXact_GUC(false, nest);
}

}  // namespace redoubt::pg
