// standing_code.cpp - see standing_code.h.
//
// All is decided by OID, under the lock of the command at hand.
// Covered by sql/standing_code.sql, test/isolation/specs/standing_code.spec and label_running.spec.
#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/protect/function_trust.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/standing_code.h"

extern "C" {
#include "catalog/pg_depend.h"
#include "storage/lmgr.h"
#include "utils/regproc.h"
}

namespace redoubt::pg {
namespace {

// The first protected column of the table that the object gets, or 0.
AttrNumber column_it_gets(const StandingCode &code, Oid relid) {
  const ProtectedRelation *relation = protected_relation(relid);
  if (relation == nullptr) return InvalidAttrNumber;
  const AttrNumber first = relation->column[0].attno;
  if (bms_is_member(kWhole, code.columns)) return first;
  const Bitmapset *columns = standing_code_columns(code.relid, relid, code.columns);
  relation = protected_relation(relid);
  for (int i = 0; relation != nullptr && i < relation->size; ++i)
    if (bms_is_member(relation->column[i].attno, columns)) return relation->column[i].attno;
  return InvalidAttrNumber;
}

const char *described(const StandingCode &code) { return psprintf("%s \"%s\"", code.kind, code.name); }

const char *detail_of(const StandingCode &code, Oid relid, AttrNumber attno) {
  const char *column = get_attname(relid, attno, true);
  if (column == nullptr) column = "";
  if (OidIsValid(code.function))
    return psprintf("%s would hand column \"%s\" to function %s.", described(code), column,
                    format_procedure_qualified(code.function));
  return psprintf("%s would hand column \"%s\" to commands of its own.", described(code), column);
}

const char *help_of(const StandingCode &code) {
  if (OidIsValid(code.function)) return function_vouch(code.function);
  return psprintf(
      "DROP RULE %s ON %s", quote_identifier(code.name),
      quote_qualified_identifier(get_namespace_name(get_rel_namespace(code.relid)), get_rel_name(code.relid)));
}

const char *joined(const char *so_far, const char *more, const char *between) {
  return so_far == nullptr ? more : psprintf("%s%s%s", so_far, between, more);
}

// And those that it is over.
void lock_domain(Oid type) {
  for (; get_typtype(type) == TYPTYPE_DOMAIN; type = catalog_field(TYPEOID, type, &FormData_pg_type::typbasetype))
    LockDatabaseObject(TypeRelationId, type, 0, ShareLock);
}

}  // namespace

void standing_code_lock_domains(Oid relid) {
  List *domains = NIL;
  each_column(relid, [&domains](const FormData_pg_attribute &column) {
    if (column.atttypid >= FirstNormalObjectId) domains = lappend_oid(domains, column.atttypid);
  });
  for (Oid type : oids_of(domains)) {
    if (const Oid element = get_element_type(type); OidIsValid(element)) type = element;
    lock_domain(type);
  }
}

namespace {

void collect_uses(List **uses, List **seen, Oid type) {
  check_stack_depth();
  if (!OidIsValid(type) || list_member_oid(*seen, type)) return;
  *seen = lappend_oid(*seen, type);
  List *further = NIL;
  ScanKeyData keys[] = {catalog_key(Anum_pg_depend_refclassid, TypeRelationId),
                        catalog_key(Anum_pg_depend_refobjid, type)};
  catalog_scan(DependRelationId, DependReferenceIndexId, keys, [&](const CatalogRow &row) {
    const auto *dependent = row.as<Form_pg_depend>();
    if (dependent->classid == TypeRelationId) {
      further = lappend_oid(further, dependent->objid);
    } else if (dependent->classid == RelationRelationId && dependent->objsubid > 0) {
      auto *use = static_cast<TypeUse *>(palloc(sizeof(TypeUse)));
      *use = {dependent->objid, static_cast<AttrNumber>(dependent->objsubid)};
      *uses = lappend(*uses, use);
      further = lappend_oid(further, get_rel_type_id(dependent->objid));
    } else {
      StandingCode code = {};
      if (!standing_code_read(dependent->classid, dependent->objid, &code)) return;
      auto *use = static_cast<TypeUse *>(palloc(sizeof(TypeUse)));
      *use = {code.relid, InvalidAttrNumber};
      if (OidIsValid(code.relid)) *uses = lappend(*uses, use);
      if (OidIsValid(code.domain)) further = lappend_oid(further, code.domain);
    }
  });
  for (const Oid each : oids_of(further)) collect_uses(uses, seen, each);
}

}  // namespace

const char *function_vouch(Oid function) {
  if (function < FirstNormalObjectId)
    return psprintf("SECURITY LABEL FOR redoubt ON FUNCTION ... IS 'trusted', of a function that calls %s",
                    format_procedure_qualified(function));
  return psprintf("SECURITY LABEL FOR redoubt ON %s %s IS 'trusted'",
                  get_func_prokind(function) == PROKIND_PROCEDURE ? "PROCEDURE" : "FUNCTION",
                  format_procedure_qualified(function));
}

namespace {

// Each of `code` is unvouched.
void require_vouched(Oid relid, const List *code) {
  const char *details = nullptr;
  const char *help = nullptr;
  for (const auto *each : list_of<const StandingCode>(code)) {
    const AttrNumber attno = column_it_gets(*each, relid);
    if (attno == InvalidAttrNumber) continue;
    details = joined(details, detail_of(*each, relid, attno), "\n");
    help = joined(help, help_of(*each), "; ");
  }
  if (details == nullptr) return;
  const char *table = relation_name(relid);
  if (!enforcing()) audit_note("label", "unvouched", "table %s: %s", table, details);
  ereport(refusal_level(),
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("table \"%s\" would hand protected columns to code that is not trusted", table),
           errdetail_internal("%s", details), errhint("A member of redoubt_admin can vouch for it: %s", help)));
}

}  // namespace

void standing_code_require(Oid relid) {
  if (protected_relation(relid) != nullptr) require_vouched(relid, unvouched_code(relid));
}

void standing_code_made(const StandingCode &code) {
  if (!is_unvouched(code)) return;
  StandingCode copy = code;
  if (OidIsValid(code.domain)) {
    lock_domain(code.domain);
    for (const auto *use : list_of<const TypeUse>(type_uses(code.domain))) {
      copy.relid = use->relid;
      copy.columns = bms_make_singleton(use->attno);
      LockRelationOid(use->relid, ShareUpdateExclusiveLock);  // a constraint NOT VALID has locked none
      for (const Oid table : oids_of(find_all_inheritors(use->relid, ShareUpdateExclusiveLock, nullptr)))
        require_vouched(table, list_make1(&copy));
    }
  }
  if (!OidIsValid(code.relid)) return;
  standing_code_lock_domains(code.relid);
  for (const Oid table :
       oids_of(code.inherited ? find_all_inheritors(code.relid, NoLock, nullptr) : list_make1_oid(code.relid)))
    require_vouched(table, list_make1(&copy));
}

namespace {

void check_uses(Oid type, List **done);

// Of the table, its children and what holds rows of them, those that are not done yet.
void check_tables(Oid relid, List **done) {
  for (const Oid table : oids_of(find_all_inheritors(relid, NoLock, nullptr))) {
    if (list_member_oid(*done, table)) continue;
    *done = lappend_oid(*done, table);
    standing_code_require(table);
    check_uses(get_rel_type_id(table), done);
  }
}

void check_uses(Oid type, List **done) {
  check_stack_depth();
  for (const auto *use : list_of<const TypeUse>(type_uses(type))) check_tables(use->relid, done);
}

}  // namespace

void standing_code_check(Oid relid) {
  List *done = NIL;
  check_tables(relid, &done);
}

void standing_code_check_type(Oid type) {
  List *done = NIL;
  check_uses(type, &done);
}

void standing_code_check_all(Oid function) {
  List *tables = NIL;
  catalog_scan(RelationRelationId, InvalidOid, {}, [&tables](const CatalogRow &row) {
    const auto *relation = row.as<Form_pg_class>();
    if (relation->oid >= FirstNormalObjectId && protected_relation(relation->oid) != nullptr)
      tables = lappend_oid(tables, relation->oid);
  });
  for (const Oid table : oids_of(tables)) {
    CHECK_FOR_INTERRUPTS();
    List *by_it = NIL;
    for (auto *code : list_of<StandingCode>(unvouched_code(table)))
      if (code->function == function) by_it = lappend(by_it, code);
    require_vouched(table, by_it);
  }
}

List *type_uses(Oid type) {
  List *uses = NIL;
  List *seen = NIL;
  collect_uses(&uses, &seen, type);
  return uses;
}

}  // namespace redoubt::pg

// check_label(table): what stands in the way of a label on any column of the table, and what vouches for it.
REDOUBT_FUNCTION(redoubt_check_label) {
  using namespace redoubt::pg;
  call([fcinfo] {
    InitMaterializedSRF(fcinfo, 0);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    const Oid relid = PG_GETARG_OID(0);
    List *all = NIL;
    for (const Oid table : oids_of(find_all_inheritors(relid, NoLock, nullptr)))
      for (auto *code : list_of<StandingCode>(unvouched_code(table))) {
        bool known = false;
        for (const auto *other : list_of<const StandingCode>(all))
          known |= other->class_id == code->class_id && other->object == code->object && other->relid == code->relid;
        if (!known) all = lappend(all, code);
      }
    for (const auto *code : list_of<const StandingCode>(all)) {
      Datum values[] = {ObjectIdGetDatum(code->relid), CStringGetTextDatum(code->name), CStringGetTextDatum(code->kind),
                        ObjectIdGetDatum(code->function), CStringGetTextDatum(help_of(*code))};
      bool nulls[] = {false, false, false, !OidIsValid(code->function), false};
      tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
  });
  return 0;
}
