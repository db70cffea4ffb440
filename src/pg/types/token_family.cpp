// token_family.cpp - see token_family.h.
//
// Parts of a token type are the type, the functions of this library or with a support function of it, the functions
// written in C or built into the server that take or return the type, and the operators, operator classes and families
// on it.
// Whatever else uses a token type (a domain, a table, a function in PL/pgSQL) is its maker's own. No state; the system
// catalog is read under the locks that the DROP holds. Covered by sql/own_gates.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/types/token_family.h"
#include "pg/types/token_type.h"

extern "C" {
#include "catalog/pg_amop.h"
#include "catalog/pg_language.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
}

namespace redoubt::pg {
namespace {

bool is_token(Oid type) {
  const Oid element = get_element_type(type);
  return token_type_find(OidIsValid(element) ? element : type) != nullptr;
}

bool handles_tokens(const FormData_pg_proc *function) {
  if (catalog_library_symbol(function->oid) != nullptr || catalog_library_symbol(function->prosupport) != nullptr)
    return true;
  if (function->prolang != ClanguageId && function->prolang != INTERNALlanguageId) return false;
  if (type_is_range(function->prorettype)) return false;  // PostgreSQL makes constructors of a range, as a superuser
  const Oid *arguments = function->proargtypes.values;
  return is_token(function->prorettype) || std::any_of(arguments, arguments + function->pronargs, is_token);
}

// An object that may be a part: its owner, and whether it is one, which is asked of others' objects alone.
struct Part {
  Oid owner;
  bool (*is_part)(HeapTuple tuple);
};

template <typename Form>
const Form *form_of(HeapTuple tuple) {
  return reinterpret_cast<const Form *>(GETSTRUCT(tuple));
}

bool type_is_part(HeapTuple tuple) { return is_token(form_of<FormData_pg_type>(tuple)->oid); }
bool function_is_part(HeapTuple tuple) { return handles_tokens(form_of<FormData_pg_proc>(tuple)); }
bool class_is_part(HeapTuple tuple) { return is_token(form_of<FormData_pg_opclass>(tuple)->opcintype); }
bool operator_is_part(HeapTuple tuple) {
  HeapTuple function = SearchSysCache1(PROCOID, ObjectIdGetDatum(form_of<FormData_pg_operator>(tuple)->oprcode));
  if (!HeapTupleIsValid(function)) return false;
  const bool part = function_is_part(function);
  ReleaseSysCache(function);
  return part;
}

void check(int cache, Oid object, Part (*describe)(HeapTuple tuple)) {
  HeapTuple tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
  if (!HeapTupleIsValid(tuple)) return;
  const Part part = describe(tuple);
  const bool refused = !has_privs_of_role(GetUserId(), part.owner) && part.is_part(tuple);
  ReleaseSysCache(tuple);
  if (refused)
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to drop a part of a token type"),
                    errhint("A token type goes as a whole, by redoubt.drop_token_type().")));
}

// The operator family that an operator of tokens is in; InvalidOid for other operators.  The operators of a family that
// is dropped go before it.
Oid family_of(Oid member) {
  Oid family = InvalidOid;
  ScanKeyData keys[] = {catalog_key(Anum_pg_amop_oid, member)};
  catalog_scan(AccessMethodOperatorRelationId, AccessMethodOperatorOidIndexId, keys, [&family](const CatalogRow &row) {
    const auto *form = row.as<Form_pg_amop>();
    if (is_token(form->amoplefttype) || is_token(form->amoprighttype)) family = form->amopfamily;
  });
  return family;
}

}  // namespace

void token_family_drop(Oid class_id, Oid object) {
  if (object < FirstNormalObjectId) return;
  if (class_id == TypeRelationId)
    check(TYPEOID, object, [](HeapTuple tuple) -> Part {
      return {form_of<FormData_pg_type>(tuple)->typowner, type_is_part};
    });
  else if (class_id == ProcedureRelationId)
    check(PROCOID, object, [](HeapTuple tuple) -> Part {
      return {form_of<FormData_pg_proc>(tuple)->proowner, function_is_part};
    });
  else if (class_id == OperatorRelationId)
    check(OPEROID, object, [](HeapTuple tuple) -> Part {
      return {form_of<FormData_pg_operator>(tuple)->oprowner, operator_is_part};
    });
  else if (class_id == OperatorClassRelationId)
    check(CLAOID, object, [](HeapTuple tuple) -> Part {
      return {form_of<FormData_pg_opclass>(tuple)->opcowner, class_is_part};
    });
  else if (class_id == AccessMethodOperatorRelationId)
    check(OPFAMILYOID, family_of(object), [](HeapTuple tuple) -> Part {
      return {form_of<FormData_pg_opfamily>(tuple)->opfowner, [](HeapTuple) { return true; }};
    });
}

}  // namespace redoubt::pg
