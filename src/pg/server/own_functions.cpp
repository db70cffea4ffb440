// server/own_functions.cpp - SQL functions around token types: the trigger on the extension's own tables, the check
// of a new type's parameters, the rows of types made and dropped, and the support function that
// ties token types to the extension.
//
// One action is one event: what a function of ours does to an own table it records itself, and the
// trigger records everything else.
// Covered by sql/custom_types.sql, sql/audit.sql and sql/vault_arrays.sql.
#include "pg/base/boundary.h"

#include "pg/audit/audit_refusal.h"
#include "pg/audit/kek.h"
#include "pg/types/token_type.h"
#include "pg/base/compat.h"
#include "pg/base/own_tables.h"
#include "pg/base/shared_memory.h"
#include "pg/base/varlena_view.h"
#include "pg/vault/vault_store.h"

extern "C" {
#include "catalog/pg_collation.h"
#include "commands/trigger.h"
#include "regex/regex.h"
}

namespace redoubt::pg {
namespace {

// Writes one row of redoubt.token_type.
void write_type(OwnChange change, const char *sql, std::span<Oid> types, Datum *values) {
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  const int result = own_table_write(change, sql, types, values);
  if (result < 0 || SPI_processed != 1) elog(ERROR, "could not write redoubt.token_type");
  SPI_finish();
}

bool on_record() { return shared_memory_ready() && kek_available(); }

const char *change_name(TriggerEvent event) {
  return TRIGGER_FIRED_BY_INSERT(event)   ? "insert"
         : TRIGGER_FIRED_BY_UPDATE(event) ? "update"
         : TRIGGER_FIRED_BY_DELETE(event) ? "delete"
                                          : "truncate";
}

void record_type(const char *operation, Oid type, int64 values) {
  if (on_record())
    audit_write({.event = "type", .operation = operation, .count = values, .detail = format_type_be_qualified(type)});
}

}  // namespace

}  // namespace redoubt::pg

// Trigger before every change of an own table, of statements and, where a subscription's apply worker fires no
// statement triggers, of rows.  Functions of ours run as the table's owner, and so does a restore; a privilege on the
// table, such as pg_write_all_data gives on all of them, is not enough.
REDOUBT_FUNCTION(redoubt_guard_own_table) {
  using namespace redoubt::pg;
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "redoubt_guard_own_table must be called as a trigger");
  const auto *data = reinterpret_cast<const TriggerData *>(fcinfo->context);
  if (!compat_owns_relation(RelationGetRelid(data->tg_relation), GetUserId())) {
    const char *table = RelationGetRelationName(data->tg_relation);
    if (on_record())
      audit_refused({.event = "denial",
                     .outcome = "denied",
                     .operation = change_name(data->tg_event),
                     .detail = psprintf("table redoubt.%s", table)});
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to change redoubt.%s", table),
                    errhint("It changes through the functions of the extension, or by its owner."), errhidestmt(true)));
  }
  if (!TRIGGER_FIRED_FOR_ROW(data->tg_event)) PG_RETURN_POINTER(nullptr);
  PG_RETURN_POINTER(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}

// Statement trigger on redoubt.token_type, key and limit_rule: every backend
// drops what it cached of the table, and the change is recorded however it was
// made (by a restore, by hand), unless the function that makes it does so itself.
REDOUBT_FUNCTION(redoubt_policy_changed) {
  using namespace redoubt::pg;
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "redoubt_policy_changed must be called as a trigger");
  const auto *data = reinterpret_cast<const TriggerData *>(fcinfo->context);
  CacheInvalidateRelcacheByRelid(RelationGetRelid(data->tg_relation));
  if (!own_table_change_expected(data->tg_event))
    audit_note("policy", change_name(data->tg_event), "table redoubt.%s", RelationGetRelationName(data->tg_relation));
  PG_RETURN_POINTER(nullptr);
}

// check_policy(normalize, mask, pattern): raises 22023 unless all are usable; the normaliser as the type's row keeps
// it.
REDOUBT_FUNCTION(redoubt_check_policy) {
  if (PG_ARGISNULL(0) || !redoubt::normalize_parse(redoubt::pg::varlena_text(PG_GETARG_TEXT_PP(0))).ok())
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid normalize for a token type"),
                    errhint("Use none, trim, upper, lower, name, email, email(case=folded) or phone(<country>).")));
  if (PG_ARGISNULL(1) || !redoubt::mask_parse(redoubt::pg::varlena_text(PG_GETARG_TEXT_PP(1))).ok())
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid mask for a token type"),
                    errhint("Use full, email, phone, name, keep_first(n) or keep_last(n) with n up to 64.")));
  if (!PG_ARGISNULL(2)) {
    char probe[1] = {'\0'};
    (void)RE_compile_and_execute(PG_GETARG_TEXT_PP(2), probe, 0, REG_ADVANCED, C_COLLATION_OID, 0, nullptr);
  }
  const std::string_view normalize = redoubt::pg::varlena_text(PG_GETARG_TEXT_PP(0));
  const std::string_view table = redoubt::normalize_newest_table(normalize);
  if (table.empty()) PG_RETURN_DATUM(PG_GETARG_DATUM(0));
  PG_RETURN_TEXT_P(cstring_to_text(psprintf("%.*s%.*s)", static_cast<int>(normalize.size() - 1), normalize.data(),
                                            static_cast<int>(table.size()), table.data())));
}

// add_type(redoubt.token_type): for create_token_type; stores the row of a new type, and records that.
REDOUBT_FUNCTION(redoubt_add_type) {
  using namespace redoubt::pg;
  HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(0);
  bool null = false;
  const Oid type = DatumGetObjectId(GetAttributeByName(row, "typ", &null));
  Oid types[] = {HeapTupleHeaderGetTypeId(row)};
  Datum values[] = {PG_GETARG_DATUM(0)};
  write_type(OwnChange::inserts, "INSERT INTO redoubt.token_type SELECT ($1).*", types, values);
  const auto is = [row](const char *column, std::string_view wanted) {
    bool none = false;
    const Datum value = GetAttributeByName(row, column, &none);
    return !none && varlena_text(DatumGetTextPP(value)) == wanted;
  };
  if (is("method", "sealed") && is("base", "text")) token_type_make_collatable(type);  // as text is
  record_type("create_token_type", type, -1);
  PG_RETURN_VOID();
}

// remove_type(regtype): for drop_token_type; deletes the row of a type, and what the vault holds of it that nobody
// can detokenize any more.
REDOUBT_FUNCTION(redoubt_remove_type) {
  using namespace redoubt::pg;
  const Oid type = PG_GETARG_OID(0);
  const TokenType *token_type = token_type_require(type);
  const bool vaulted = token_type->vaulted;
  int64 deleted = -1;
  if (vaulted) {
    deleted = static_cast<int64>(vault_delete_dead(token_type->class_id));
    if (vault_has(token_type->class_id))
      ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                      errmsg("cannot drop token type %s because the vault holds values of it", token_type->name),
                      errhint("Forget them, or disable them with redoubt.disable_tokens(); disabled ones go with the "
                              "type.")));
  }
  Oid types[] = {REGTYPEOID};
  Datum values[] = {ObjectIdGetDatum(type)};
  write_type(OwnChange::deletes, "DELETE FROM redoubt.token_type WHERE typ OPERATOR(pg_catalog.=) $1", types, values);
  record_type("drop_token_type", type, deleted);
  PG_RETURN_VOID();
}

// Planner support function of every token type's input function.  It has no
// advice to give; being named there, it makes the type depend on the extension
// in a way that a dump carries, so DROP EXTENSION does not leave types behind
// whose library is gone.
REDOUBT_FUNCTION(redoubt_token_support) { PG_RETURN_POINTER(nullptr); }
