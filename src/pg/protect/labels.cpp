// labels.cpp - the label provider, and what is labelled, read from the catalog.
// Trust in functions is function_trust.cpp.  Nothing is cached here: the one reader
// of columns' labels, protected_columns.cpp, keeps what it makes of them.
//
// A label change invalidates every relation, because children inherit labels.
// Locks: what a column is protected by anew takes ExclusiveLock on every table where it is, before it decides
// (labels_lock).
// Covered by sql/labels.sql and test/isolation/specs/label_running.spec.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/base/roles.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/protect/function_trust.h"
#include "pg/audit/kek.h"
#include "pg/keys/keys.h"
#include "pg/limits/limit_rows.h"
#include "pg/protect/labels.h"
#include "pg/protect/standing_code.h"
#include "pg/types/token_type.h"

extern "C" {
#include "catalog/pg_depend.h"
#include "storage/lmgr.h"
}

namespace redoubt::pg {
namespace {

constexpr const char *kProvider = "redoubt";

// What the command at hand labels.
constinit ObjectAddress labelled = {InvalidOid, InvalidOid, 0};

// The token type a label names: `name`, `schema.name`; unqualified names are
// looked up in schema redoubt.  `token` stands for the type of any text.
Oid resolve_label(const char *label) {
  if (strcmp(label, "token") == 0) label = "text_token";
  List *names = compat_qualified_name(label);
  if (list_length(names) == 1) names = lcons(makeString(pstrdup("redoubt")), names);
  if (list_length(names) != 2) return InvalidOid;
  const Oid schema = get_namespace_oid(strVal(linitial(names)), true);
  if (!OidIsValid(schema)) return InvalidOid;
  const Oid type =
      GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(strVal(lsecond(names))), ObjectIdGetDatum(schema));
  return token_type_find(type) != nullptr || token_type_made(type) ? type : InvalidOid;
}

// Appends the labelled columns of `relid` to `into` (a List of LabelledColumn *).
List *read_labels(Oid relid, List *into) {
  ScanKeyData keys[] = {catalog_key(Anum_pg_seclabel_objoid, relid),
                        catalog_key(Anum_pg_seclabel_classoid, RelationRelationId)};
  catalog_scan(SecLabelRelationId, SecLabelObjectIndexId, keys, [&into, relid](const CatalogRow &row) {
    bool null = false;
    const char *provider = TextDatumGetCString(row.get(Anum_pg_seclabel_provider, &null));
    const int column = row.as<const FormData_pg_seclabel *>()->objsubid;
    if (strcmp(provider, kProvider) != 0 || column <= 0) return;
    const char *label = TextDatumGetCString(row.get(Anum_pg_seclabel_label, &null));
    auto *found = static_cast<LabelledColumn *>(palloc(sizeof(LabelledColumn)));
    *found = {static_cast<AttrNumber>(column), resolve_label(label)};
    if (!OidIsValid(found->token_type))
      ereport(
          ERROR,
          (errcode(ERRCODE_UNDEFINED_OBJECT),
           errmsg("column %d of table %s is labelled with an unknown token type", column, get_rel_name(relid)),
           errhint(
               "Restore the token type, as redoubt.check_restore() says, or take the label away: SECURITY LABEL FOR "
               "redoubt ON COLUMN ... IS NULL.")));
    into = lappend(into, found);
  });
  return into;
}

// Labels of `relid` and, matched by column name, of every ancestor.
List *collect_labels(Oid relid, Oid ancestor, List *into) {
  check_stack_depth();
  List *own = read_labels(ancestor, NIL);
  for (auto *column : list_of<LabelledColumn>(own)) {
    column->attno = catalog_same_column(ancestor, column->attno, relid);
    if (column->attno > 0) into = lappend(into, column);
  }
  for (const Oid parent : oids_of(catalog_parents(ancestor))) into = collect_labels(relid, parent, into);
  return into;
}

// pg_upgrade makes types in the order of their names: the one that a label names may come after what is labelled.
void check_token_type(const char *label) {
  if (label != nullptr && !IsBinaryUpgrade && !OidIsValid(resolve_label(label)))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is not a token type", label),
                    errhint("redoubt.token_types lists the token types.")));
}

// Those of `relid` that are not among `done`: the tables above it that have the column, it, those that inherit from it
// or hold rows of it; in this order, as PostgreSQL locks trees of tables.
void lock_tables(List **done, Oid relid, AttrNumber attno, LOCKMODE mode) {
  check_stack_depth();
  if (list_member_oid(*done, relid)) return;
  for (const Oid parent : oids_of(catalog_parents(relid)))
    if (const AttrNumber same = catalog_same_column(relid, attno, parent); same > 0)
      lock_tables(done, parent, same, mode);
  if (list_member_oid(*done, relid)) return;
  LockRelationOid(relid, mode);
  *done = lappend_oid(*done, relid);
  for (const Oid child : oids_of(find_inheritance_children(relid, mode)))
    lock_tables(done, child, catalog_same_column(relid, attno, child), mode);
  for (const auto *use : list_of<const TypeUse>(type_uses(get_rel_type_id(relid))))
    lock_tables(done, use->relid, use->attno, mode);
}

// Taking a label away protects nothing anew, but waits for what looks at labels under way.
void lock_labelled(const ObjectAddress *object, LOCKMODE mode) {
  List *done = NIL;
  if (object->classId == RelationRelationId)
    lock_tables(&done, object->objectId, static_cast<AttrNumber>(object->objectSubId), mode);
  if (object->classId != TypeRelationId) return;
  for (const auto *use : list_of<const TypeUse>(type_uses(object->objectId)))
    lock_tables(&done, use->relid, use->attno, mode);
}

void check_label(const ObjectAddress *object, const char *label) {
  if (object->classId == ProcedureRelationId) return function_trust_check(object->objectId, label);
  if (object->classId == TypeRelationId && get_typtype(object->objectId) == TYPTYPE_DOMAIN)
    return check_token_type(label);
  if (object->classId != RelationRelationId || object->objectSubId <= 0)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("redoubt labels go on table columns, domains and functions"),
                    errhint("Use SECURITY LABEL FOR redoubt ON COLUMN table.column IS '<token type>'.")));
  const char kind = get_rel_relkind(object->objectId);
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_FOREIGN_TABLE &&
      kind != RELKIND_MATVIEW)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("redoubt labels go on columns of tables"),
                    errhint("Reads through a view are metered by the labels of its base tables.")));
  // A plan holds the expression in its place, never the column.
  if (label != nullptr && compat_is_virtual(object->objectId, static_cast<AttrNumber>(object->objectSubId)))
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("redoubt labels do not go on virtual generated columns"),
                    errhint("Label the columns that it is computed from: it is protected as they are.")));
  check_token_type(label);
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void redoubt_relabel(const ObjectAddress *object, const char *label) {
  using namespace redoubt::pg;
  if (!is_redoubt_admin(GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to set redoubt labels"),
                    errhint("Only members of redoubt_admin may set them.")));
  check_label(object, label);
  audit_note("label", label != nullptr ? "set" : "remove", "%s: %s", getObjectDescription(object, false),
             label != nullptr ? label : "(removed)");
  label_was_set(getObjectIdentity(object, false));
  CacheInvalidateRelcacheAll();
  lock_labelled(object, label != nullptr ? ExclusiveLock : ShareUpdateExclusiveLock);
  labelled = *object;
}
}

namespace redoubt::pg {

void labels_init() { register_label_provider(kProvider, shielded<redoubt_relabel>); }

List *labels_of_columns(Oid relid) { return relid < FirstNormalObjectId ? NIL : collect_labels(relid, relid, NIL); }

Oid label_domain_type(Oid domain) {
  const ObjectAddress object = {TypeRelationId, domain, 0};
  const char *label = GetSecurityLabel(&object, kProvider);
  return label != nullptr ? resolve_label(label) : InvalidOid;
}

namespace {

// Does a column of the type, or another type over it but its array type, refer to it?
bool is_referred_to(Oid type) {
  bool any = false;
  const Oid array = get_array_type(type);
  ScanKeyData keys[] = {catalog_key(Anum_pg_depend_refclassid, TypeRelationId),
                        catalog_key(Anum_pg_depend_refobjid, type)};
  if (!OidIsValid(type)) return false;
  catalog_scan(DependRelationId, DependReferenceIndexId, keys, [&any, array](const CatalogRow &row) {
    const auto *dependent = row.as<Form_pg_depend>();
    any |=
        dependent->classid == RelationRelationId || (dependent->classid == TypeRelationId && dependent->objid != array);
  });
  return any;
}

}  // namespace

List *labels_in_use() {
  List *labels = NIL;
  catalog_scan(SecLabelRelationId, InvalidOid, {}, [&labels](const CatalogRow &row) {
    bool null = false;
    const auto *form = row.as<const FormData_pg_seclabel *>();
    const bool column = form->classoid == RelationRelationId && form->objsubid > 0;
    if (!column && form->classoid != TypeRelationId) return;
    if (strcmp(TextDatumGetCString(row.get(Anum_pg_seclabel_provider, &null)), kProvider) != 0) return;
    auto *label = static_cast<Label *>(palloc(sizeof(Label)));
    *label = {{form->classoid, form->objoid, form->objsubid},
              TextDatumGetCString(row.get(Anum_pg_seclabel_label, &null))};
    labels = lappend(labels, label);
  });
  return labels;
}

List *labels_types_in_use() {
  List *types = NIL;
  for (const auto *label : list_of<const Label>(labels_in_use()))
    if (const Oid type = resolve_label(label->text); OidIsValid(type)) types = list_append_unique_oid(types, type);
  for (const auto *type : list_of<const TokenType>(token_types()))
    if (is_referred_to(type->type) || is_referred_to(get_array_type(type->type)))
      types = list_append_unique_oid(types, type->type);
  return types;
}

void labels_lock(Oid relid, AttrNumber attno) {
  const ObjectAddress object = {RelationRelationId, relid, attno};
  lock_labelled(&object, ExclusiveLock);
}

void labels_derive(Oid relid, AttrNumber attno, Oid token_type) {
  const TokenType *type = token_type_find(token_type);
  if (type == nullptr) return;
  const ObjectAddress object = {RelationRelationId, relid, attno};
  labels_lock(relid, attno);
  SetSecurityLabel(&object, kProvider, type->name);
  if (kek_available()) {
    audit_pace();
    audit_write({.event = "label",
                 .token_type = token_type,
                 .operation = "derive",
                 .detail = getObjectDescription(&object, false)});
  }
  // Partitions inherit the label.
  for (const Oid table : oids_of(find_all_inheritors(relid, NoLock, nullptr))) CacheInvalidateRelcacheByRelid(table);
}

namespace {

void set_label(Oid relid, AttrNumber attno, const char *label) {
  const ObjectAddress object = {RelationRelationId, relid, attno};
  SetSecurityLabel(&object, kProvider, label);
  CacheInvalidateRelcacheByRelid(relid);
  CommandCounterIncrement();
}

}  // namespace

void labels_copy(Oid relid, AttrNumber from, AttrNumber to) {
  const ObjectAddress source = {RelationRelationId, relid, from};
  set_label(relid, to, GetSecurityLabel(&source, kProvider));
}

void labels_remove(Oid relid, AttrNumber attno) { set_label(relid, attno, nullptr); }

ObjectAddress labels_take_labelled() {
  const ObjectAddress object = labelled;
  labelled = {InvalidOid, InvalidOid, 0};
  return object;
}

}  // namespace redoubt::pg
