// keep_token.cpp - the trigger that keeps a token column current while its column is being protected (protection.h).
//
// It reads one column of the new row, and writes one column of the same row: those that redoubt.protection names for
// the trigger, by its OID.  A trigger that redoubt.protection does not name does nothing.  No trigger that could change
// the row may fire after it.  Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/ddl/protection.h"

extern "C" {
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/datum.h"
}

namespace redoubt::pg {
namespace {

// What the trigger knows of its column for the time of a query.
struct Keeper {
  bool found;
  Protection protection;
  const TokenType *type;
  FmgrInfo tokenize;
  Oid source_type;
};

constexpr int kBeforeRow = TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_ROW;

// PostgreSQL keeps the triggers in the order in which they fire.
void require_last(const TriggerData *data) {
  const TriggerDesc *all = data->tg_relation->trigdesc;
  bool later = false;
  for (int i = 0; all != nullptr && i < all->numtriggers; ++i) {
    const Trigger &one = all->triggers[i];
    if (one.tgoid == data->tg_trigger->tgoid) later = true;
    if (later && one.tgfoid != data->tg_trigger->tgfoid && one.tgenabled != TRIGGER_DISABLED &&
        (one.tgtype & kBeforeRow) == kBeforeRow && (one.tgtype & (TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE)) != 0)
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("trigger %s of table %s fires after the one of redoubt.protect_column()",
                             quote_identifier(one.tgname), RelationGetRelationName(data->tg_relation)),
                      errhint("Give it a name that sorts before ~redoubt_protect, or drop it.")));
  }
}

Keeper *keeper_of(FunctionCallInfo fcinfo, const TriggerData *data) {
  auto *keeper = static_cast<Keeper *>(fcinfo->flinfo->fn_extra);
  if (keeper != nullptr) return keeper;
  const Oid relid = RelationGetRelid(data->tg_relation);
  keeper = static_cast<Keeper *>(MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Keeper)));
  keeper->found =
      protection_of_trigger(data->tg_trigger->tgoid, &keeper->protection) && keeper->protection.relid == relid;
  if (keeper->found) {
    require_last(data);
    keeper->type = token_type_find(keeper->protection.token_type);
    protection_require_fit(keeper->protection, keeper->type);
    keeper->source_type = get_atttype(relid, keeper->protection.source);
    fmgr_info_cxt(keeper->type->gate[static_cast<int>(Privilege::tokenize)], &keeper->tokenize,
                  fcinfo->flinfo->fn_mcxt);
  }
  fcinfo->flinfo->fn_extra = keeper;
  return keeper;
}

// Tokenizes in the name of the table's owner; that function asks for the privilege, charges and records.
Datum tokenize_for(Oid owner, FmgrInfo *tokenize, Datum value) {
  Oid user = InvalidOid;
  int context = 0;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
  const Datum token = FunctionCall1(tokenize, value);
  SetUserIdAndSecContext(user, context);
  return token;
}

HeapTuple keep(Keeper *keeper, const TriggerData *data) {
  const bool updates = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  HeapTuple row = updates ? data->tg_newtuple : data->tg_trigtuple;
  if (!keeper->found) return row;
  const Protection &protection = keeper->protection;
  TupleDesc descriptor = RelationGetDescr(data->tg_relation);
  bool none = false;
  const Datum value = heap_getattr(row, protection.source, descriptor, &none);
  Datum token = 0;
  bool kept = false;
  if (updates && !none) {
    bool no_value = false;
    bool no_token = false;
    const Datum before = heap_getattr(data->tg_trigtuple, protection.source, descriptor, &no_value);
    token = heap_getattr(data->tg_trigtuple, protection.target, descriptor, &no_token);
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, protection.source - 1);
    kept = !no_value && !no_token && datumIsEqual(before, value, attribute->attbyval, attribute->attlen);
  }
  if (!none && !kept)
    token = tokenize_for(data->tg_relation->rd_rel->relowner, &keeper->tokenize,
                         protection_value(keeper->type, keeper->source_type, value));
  int column = protection.target;
  return heap_modify_tuple_by_cols(row, descriptor, 1, &column, &token, &none);
}

}  // namespace
}  // namespace redoubt::pg

// Row trigger of a table with a column that is being protected.
REDOUBT_FUNCTION(redoubt_keep_token) {
  using namespace redoubt::pg;
  if (!CALLED_AS_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("keep_token is a trigger function"),
                    errhint("redoubt.protect_column() makes its trigger.")));
  const auto *data = reinterpret_cast<const TriggerData *>(fcinfo->context);
  if (!TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
      TRIGGER_FIRED_BY_DELETE(data->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("keep_token fires for each row before INSERT or UPDATE"),
                    errhint("redoubt.protect_column() makes its trigger.")));
  PG_RETURN_POINTER(keep(keeper_of(fcinfo, data), data));
}
