// standing_objects.cpp - see standing_objects.h.
//
// All is read from the catalogs, by OID, under the lock of the command at hand.  An object that a command has just
// made is not visible to its own cached look-ups yet: rows of objects are read with SnapshotSelf.
// Operator classes are not looked at: only superusers make them.
// Covered by sql/standing_code.sql.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/node_walk.h"
#include "pg/protect/function_trust.h"
#include "pg/protect/standing_objects.h"
#include "pg/types/token_type.h"

extern "C" {
#include "catalog/partition.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/acl.h"
}

namespace redoubt::pg {

const char *relation_name(Oid relid) {
  const char *name = "";
  ScanKeyData keys[] = {catalog_key(Anum_pg_class_oid, relid)};
  catalog_scan_self(RelationRelationId, ClassOidIndexId, keys,
                    [&name](const CatalogRow &row) { name = pstrdup(NameStr(row.as<Form_pg_class>()->relname)); });
  return name;
}

namespace {

// What an expression mentions, and the first function in it that is not trusted.
struct Look {
  int depth;  // of queries around the node at hand
  Bitmapset *columns;
  Oid function;
  bool indexed;  // by an index, which may hold fingerprints
};

Oid type_untrusted(Oid type);

// Of a value what only an index is to hold (tokens/token_index.h); a column would show it to its readers.
bool makes_fingerprints(Oid function) {
  const char *symbol = function >= FirstNormalObjectId ? catalog_library_symbol(function) : nullptr;
  return symbol != nullptr &&
         (strcmp(symbol, "redoubt_lower_fingerprint") == 0 || strcmp(symbol, "redoubt_upper_fingerprint") == 0);
}

void note(Look *look, Oid function) {
  if (!OidIsValid(look->function)) look->function = function;
}

void look_into(Look *look, Node *node) {
  if (IsA(node, Var)) {
    // The table's row is number 1; in rules and conditions of triggers the new row is number 2.
    const auto *variable = reinterpret_cast<const Var *>(node);
    if (static_cast<int>(variable->varlevelsup) == look->depth && (variable->varno == 1 || variable->varno == 2) &&
        variable->varattno >= 0)
      look->columns = bms_add_member(look->columns, variable->varattno);
    return;
  }
  (void)calls_any(node, [look](Oid function) {
    if (!look->indexed && makes_fingerprints(function)) note(look, function);
    return false;
  });
  note(look, node_untrusted(node));
  const int deeper = IsA(node, Query) ? 1 : 0;
  look->depth += deeper;
  each_child(node, [look](Node *child) { look_into(look, child); });
  look->depth -= deeper;
}

Look look_at(Node *expression, int depth = 0, bool indexed = false) {
  Look look = {depth, nullptr, InvalidOid, indexed};
  if (expression != nullptr) look_into(&look, expression);
  return look;
}

Node *stored(const CatalogRow &row, int attribute) {
  bool null = true;
  const Datum written = row.get(attribute, &null);
  return null ? nullptr : static_cast<Node *>(stringToNode(TextDatumGetCString(written)));
}

void add(StandingCode *code, const Look &look) {
  code->columns = bms_add_members(code->columns, look.columns);
  if (!OidIsValid(code->function)) code->function = look.function;
}

// The first function that is not trusted and that making a value of the type runs.
Oid type_untrusted(Oid type) {
  if (type < FirstNormalObjectId) return InvalidOid;
  check_stack_depth();
  Oid function = InvalidOid;
  if (const char kind = get_typtype(type); kind == TYPTYPE_DOMAIN) {
    ScanKeyData keys[] = {catalog_key(Anum_pg_constraint_contypid, type)};
    catalog_scan(ConstraintRelationId, ConstraintTypidIndexId, keys, [&function](const CatalogRow &row) {
      if (!OidIsValid(function)) function = look_at(stored(row, Anum_pg_constraint_conbin)).function;
    });
    return OidIsValid(function) ? function
                                : type_untrusted(catalog_field(TYPEOID, type, &FormData_pg_type::typbasetype));
  } else if (kind == TYPTYPE_RANGE) {
    HeapTuple tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(type));
    if (!HeapTupleIsValid(tuple)) return InvalidOid;
    const auto *range = reinterpret_cast<Form_pg_range>(GETSTRUCT(tuple));
    const Oid inner = range->rngsubtype;
    for (const Oid of : {range->rngcanonical, range->rngsubdiff})
      if (OidIsValid(of) && !function_is_trusted(of)) function = of;
    ReleaseSysCache(tuple);
    return OidIsValid(function) ? function : type_untrusted(inner);
  }
  if (const Oid element = get_element_type(type); OidIsValid(element)) return type_untrusted(element);
  const Oid row_of = get_typ_typrelid(type);
  if (!OidIsValid(row_of)) return InvalidOid;
  each_column(row_of, [&function](const FormData_pg_attribute &column) {
    if (!OidIsValid(function)) function = type_untrusted(column.atttypid);
  });
  return function;
}

}  // namespace

Oid node_untrusted(Node *node) {
  Oid found = InvalidOid;
  Oid called = InvalidOid;
  (void)calls_any(node, [&](Oid function) {
    called = function;
    if (!OidIsValid(found) && !function_is_trusted(function)) found = function;
    return false;
  });
  const List *arguments = call_arguments(node);
  if (!OidIsValid(found) && IsA(node, FuncExpr) && acts_on_objects(called, arguments)) found = called;
  if (!OidIsValid(found)) found = printing_cast(called, arguments);
  if (OidIsValid(found)) return found;
  return makes_value(node) ? type_untrusted(exprType(node)) : InvalidOid;
}

namespace {

// ---- what its kind of object adds to what kCatalogs says of all of them

void add_index(StandingCode *code, const CatalogRow &row) {
  const auto *index = row.as<Form_pg_index>();
  code->decides = bms_copy(code->columns);  // that what is computed is no error
  // That no two are equal is an answer; which tokens are equal anybody sees.
  const bool unique = index->indisunique || index->indisexclusion;
  for (int i = 0; i < index->indnatts; ++i) {
    const AttrNumber attno = index->indkey.values[i];
    if (attno > 0) code->columns = bms_add_member(code->columns, attno);
    if (attno > 0 && unique && i < index->indnkeyatts && !type_is_tokens(get_atttype(index->indrelid, attno)))
      code->decides = bms_add_member(code->decides, attno);
  }
}

// Rows of a foreign key without a match are looked for by a query, which pays, where the user may read both tables and
// sees all rows; otherwise each is tried as if it were written.
bool is_tried_by_row(const FormData_pg_constraint *key) {
  bool by_row = compat_has_period(key);
  for (const Oid relid : {key->conrelid, key->confrelid}) {
    bool missing = false;
    by_row |= pg_class_aclcheck_ext(relid, GetUserId(), ACL_SELECT, &missing) != ACLCHECK_OK ||
              catalog_field(RELOID, relid, &FormData_pg_class::relrowsecurity);
  }
  return by_row;
}

void add_constraint(StandingCode *code, const CatalogRow &row) {
  const auto *constraint = row.as<Form_pg_constraint>();
  code->domain = constraint->contypid;
  if (OidIsValid(code->domain)) code->kind = "constraint of a domain";
  if (constraint->convalidated)
    code->decides = OidIsValid(code->domain) ? bms_make_singleton(kWhole) : bms_copy(code->columns);
  bool null = true;
  const Datum keys = row.get(Anum_pg_constraint_conkey, &null);
  if (null) return;
  ArrayType *array = DatumGetArrayTypeP(keys);
  const auto *key = reinterpret_cast<const int16 *>(ARR_DATA_PTR(array));
  const bool not_null = constraint->contype == 'n' && constraint->convalidated;
  const bool foreign =
      constraint->contype == CONSTRAINT_FOREIGN && constraint->convalidated && is_tried_by_row(constraint);
  for (int i = 0; i < ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)); ++i) {
    if (key[i] > 0) code->columns = bms_add_member(code->columns, key[i]);
    // That a generated column is not null tells of what it is computed from.
    if (foreign || (not_null && get_attgenerated(constraint->conrelid, key[i]) != '\0'))
      code->decides = bms_add_member(code->decides, key[i]);
  }
}

void add_default(StandingCode *code, const CatalogRow &row) {
  const auto *given = row.as<Form_pg_attrdef>();
  code->name = get_attname(given->adrelid, given->adnum, true);
  if (catalog_column(given->adrelid, given->adnum, &FormData_pg_attribute::attnotnull))
    code->decides = bms_copy(code->columns);
}

// Its commands get the values; but not those of a view's own, which are its query.
void add_rule(StandingCode *code, const CatalogRow &row) {
  code->copies = row.as<Form_pg_rewrite>()->ev_type != '0' + CMD_SELECT;
  if (code->copies) add(code, look_at(stored(row, Anum_pg_rewrite_ev_action), -1));
}

// A trigger gets rows as a whole.  One without rows or transition tables gets none.
void add_trigger(StandingCode *code, const CatalogRow &row) {
  const auto *trigger = row.as<Form_pg_trigger>();
  bool no_old = true;
  bool no_new = true;
  row.get(Anum_pg_trigger_tgoldtable, &no_old);
  row.get(Anum_pg_trigger_tgnewtable, &no_new);
  code->inherited = !no_old || !no_new;
  if (trigger->tgisinternal && trigger->tgfoid < FirstNormalObjectId) return;  // of a foreign or unique key
  if (!code->inherited && !TRIGGER_FOR_ROW(trigger->tgtype)) return;
  code->columns = bms_add_member(code->columns, kWhole);
  if (trigger->tgfoid != F_SUPPRESS_REDUNDANT_UPDATES_TRIGGER && !function_is_trusted(trigger->tgfoid))
    code->function = trigger->tgfoid;
}

struct Catalog {
  const char *kind;
  Oid class_id;  // as object addresses have it
  Oid catalog;   // that has the row
  Oid index;     // by the object's OID
  AttrNumber oid;
  Oid index_by_table;  // that begins with the table's OID
  AttrNumber table;
  AttrNumber name;        // 0: it has none of its own
  AttrNumber expression;  // over the table's row
  AttrNumber second;      // another one, or 0
  bool inherited;
  void (*more)(StandingCode *code, const CatalogRow &row);  // or null
};

constexpr Catalog kCatalogs[] = {
    {"index", RelationRelationId, IndexRelationId, IndexRelidIndexId, Anum_pg_index_indexrelid, IndexIndrelidIndexId,
     Anum_pg_index_indrelid, 0, Anum_pg_index_indexprs, Anum_pg_index_indpred, false, add_index},
    {"constraint", ConstraintRelationId, ConstraintRelationId, ConstraintOidIndexId, Anum_pg_constraint_oid,
     ConstraintRelidTypidNameIndexId, Anum_pg_constraint_conrelid, Anum_pg_constraint_conname,
     Anum_pg_constraint_conbin, 0, false, add_constraint},
    {"generated column", AttrDefaultRelationId, AttrDefaultRelationId, AttrDefaultOidIndexId, Anum_pg_attrdef_oid,
     AttrDefaultIndexId, Anum_pg_attrdef_adrelid, 0, Anum_pg_attrdef_adbin, 0, false, add_default},
    {"statistics", StatisticExtRelationId, StatisticExtRelationId, StatisticExtOidIndexId, Anum_pg_statistic_ext_oid,
     StatisticExtRelidIndexId, Anum_pg_statistic_ext_stxrelid, Anum_pg_statistic_ext_stxname,
     Anum_pg_statistic_ext_stxexprs, 0, true, nullptr},
    {"policy", PolicyRelationId, PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, PolicyPolrelidPolnameIndexId,
     Anum_pg_policy_polrelid, Anum_pg_policy_polname, Anum_pg_policy_polqual, Anum_pg_policy_polwithcheck, true,
     nullptr},
    {"rule", RewriteRelationId, RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, RewriteRelRulenameIndexId,
     Anum_pg_rewrite_ev_class, Anum_pg_rewrite_rulename, Anum_pg_rewrite_ev_qual, 0, true, add_rule},
    {"trigger", TriggerRelationId, TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, TriggerRelidNameIndexId,
     Anum_pg_trigger_tgrelid, Anum_pg_trigger_tgname, Anum_pg_trigger_tgqual, 0, false, add_trigger},
};

// Fills in what the row of an object says.
void read_object(StandingCode *code, const Catalog &of, const CatalogRow &row) {
  bool null = true;
  *code = {.class_id = of.class_id,
           .object = DatumGetObjectId(row.get(of.oid, &null)),
           .relid = DatumGetObjectId(row.get(of.table, &null)),
           .kind = of.kind,
           .inherited = of.inherited};
  if (of.name != 0) code->name = pstrdup(NameStr(*DatumGetName(row.get(of.name, &null))));
  add(code, look_at(stored(row, of.expression), 0, of.catalog == IndexRelationId));
  if (of.second != 0) add(code, look_at(stored(row, of.second)));
  if (of.more != nullptr) of.more(code, row);
}

void read_all(List **into, Oid relid, bool ancestor) {
  for (const Catalog &catalog : kCatalogs) {
    ScanKeyData keys[] = {catalog_key(catalog.table, relid)};
    catalog_scan(catalog.catalog, catalog.index_by_table, keys, [&](const CatalogRow &row) {
      auto *code = static_cast<StandingCode *>(palloc0(sizeof(StandingCode)));
      read_object(code, catalog, row);
      if (!is_unvouched(*code) || (ancestor && !code->inherited)) return;
      if (code->name == nullptr) code->name = relation_name(code->object);
      *into = lappend(*into, code);
    });
  }
}

// What the expressions of a partition key look at; its other columns go to `bare`.
Look look_at_partition_key(Oid relid, Bitmapset **bare) {
  HeapTuple tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return {};
  const Look look = look_at(catalog_node(PARTRELID, tuple, Anum_pg_partitioned_table_partexprs));
  const auto *key = reinterpret_cast<Form_pg_partitioned_table>(GETSTRUCT(tuple));
  for (int i = 0; i < key->partnatts; ++i)
    if (const AttrNumber attno = key->partattrs.values[i]; attno > 0) *bare = bms_add_member(*bare, attno);
  ReleaseSysCache(tuple);
  return look;
}

// The expressions of a partition key are evaluated for rows of every partition beneath.
void read_partition_key(List **into, Oid relid) {
  Bitmapset *bare = nullptr;
  const Look look = look_at_partition_key(relid, &bare);
  if (!OidIsValid(look.function)) return;
  auto *code = static_cast<StandingCode *>(palloc0(sizeof(StandingCode)));
  *code = {.class_id = PartitionedRelationId,
           .object = relid,
           .relid = relid,
           .kind = "partition key",
           .name = get_rel_name(relid),
           .columns = look.columns,
           .function = look.function,
           .inherited = true};
  *into = lappend(*into, code);
}

// Types of columns; what their constraints get is the column.
void read_types(List **into, Oid relid) {
  each_column(relid, [&](const FormData_pg_attribute &column) {
    const Oid function = type_untrusted(column.atttypid);
    if (!OidIsValid(function)) return;
    auto *code = static_cast<StandingCode *>(palloc0(sizeof(StandingCode)));
    *code = {.class_id = TypeRelationId,
             .object = column.atttypid,
             .relid = relid,
             .kind = "type",
             .name = format_type_be(column.atttypid),
             .columns = bms_make_singleton(column.attnum),
             .function = function};
    *into = lappend(*into, code);
  });
}

void read_ancestors(List **into, Oid relid) {
  check_stack_depth();
  for (const Oid parent : oids_of(catalog_parents(relid))) {
    read_all(into, parent, true);
    read_partition_key(into, parent);
    read_ancestors(into, parent);
  }
}

}  // namespace

bool standing_code_read(Oid class_id, Oid object, StandingCode *code) {
  bool found = false;
  for (const Catalog &catalog : kCatalogs) {
    if (catalog.class_id != class_id) continue;
    ScanKeyData keys[] = {catalog_key(catalog.oid, object)};
    catalog_scan_self(catalog.catalog, catalog.index, keys, [&](const CatalogRow &row) {
      read_object(code, catalog, row);
      found = true;
    });
    if (found && code->name == nullptr) code->name = relation_name(object);
  }
  return found;
}

Bitmapset *standing_code_columns(Oid from, Oid relid, const Bitmapset *columns) {
  if (from == relid) return bms_copy(columns);
  Bitmapset *same = nullptr;
  for (const int attno : members_of(columns)) {
    const int there = catalog_same_column(from, attno, relid);
    if (attno == kWhole || there > 0) same = bms_add_member(same, there);
  }
  return same;
}

List *unvouched_code(Oid relid) {
  List *all = NIL;
  read_all(&all, relid, false);
  read_partition_key(&all, relid);
  read_types(&all, relid);
  read_ancestors(&all, relid);
  List *getting = NIL;
  for (auto *code : list_of<StandingCode>(all))
    if (!bms_is_empty(code->columns)) getting = lappend(getting, code);
  return getting;
}

Bitmapset *partition_key_columns(Oid relid) {
  Bitmapset *bare = nullptr;
  const Look look = look_at_partition_key(relid, &bare);
  return bms_union(look.columns, bare);
}

Bitmapset *partition_tells(Oid relid, Oid parent) {
  Bitmapset *columns = standing_code_columns(parent, relid, partition_key_columns(parent));
  if (!get_rel_relispartition(parent)) return columns;
  for (const Oid ancestor : oids_of(get_partition_ancestors(parent)))
    columns = bms_add_members(columns, standing_code_columns(ancestor, relid, partition_key_columns(ancestor)));
  return columns;
}

}  // namespace redoubt::pg
