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

// What redoubt.protection says of a trigger never changes, but for its progress: found once, it is known.
bool find_protection(Oid trigger, Protection *found) {
  static constinit std::array<Protection, 16> known = {};
  Protection &cached = known[trigger % known.size()];
  if (cached.trigger != trigger) {
    Protection read = {};
    if (!protection_of_trigger(trigger, &read)) return false;
    cached = read;
  }
  *found = cached;
  return true;
}

void require_fit(const Keeper &keeper, TupleDesc descriptor) {
  const auto type_of = [descriptor](AttrNumber column) {
    if (column <= 0 || column > descriptor->natts) return Oid{InvalidOid};
    return TupleDescAttr(descriptor, column - 1)->atttypid;
  };
  if (keeper.type == nullptr || type_of(keeper.protection.target) != keeper.type->type ||
      !protection_fits(keeper.type, type_of(keeper.protection.source)))
    protection_raise_unfit(keeper.protection);
}

Keeper *keeper_of(FunctionCallInfo fcinfo, const TriggerData *data) {
  auto *keeper = static_cast<Keeper *>(fcinfo->flinfo->fn_extra);
  if (keeper != nullptr) return keeper;
  keeper = static_cast<Keeper *>(MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Keeper)));
  keeper->found = find_protection(data->tg_trigger->tgoid, &keeper->protection) &&
                  keeper->protection.relid == RelationGetRelid(data->tg_relation);
  if (keeper->found) {
    TupleDesc descriptor = RelationGetDescr(data->tg_relation);
    require_last(data);
    keeper->type = token_type_find(keeper->protection.token_type);
    require_fit(*keeper, descriptor);
    keeper->source_type = TupleDescAttr(descriptor, keeper->protection.source - 1)->atttypid;
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

bool same(TupleDesc descriptor, AttrNumber column, HeapTuple one, HeapTuple other) {
  const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, column - 1);
  bool no_one = false;
  bool no_other = false;
  const Datum left = heap_getattr(one, column, descriptor, &no_one);
  const Datum right = heap_getattr(other, column, descriptor, &no_other);
  return !no_one && !no_other && datumIsEqual(left, right, attribute->attbyval, attribute->attlen);
}

// It would be taken for the token of another value.
[[noreturn]] void refuse_token(const TriggerData *data, const Protection &protection) {
  const FormData_pg_attribute *column = TupleDescAttr(RelationGetDescr(data->tg_relation), protection.source - 1);
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("column %s of table %s is being protected, and takes no text that begins as a token does",
                         quote_identifier(NameStr(column->attname)), RelationGetRelationName(data->tg_relation)),
                  errhint("Write the value instead of its token.")));
}

HeapTuple keep(Keeper *keeper, const TriggerData *data) {
  const bool updates = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  HeapTuple row = updates ? data->tg_newtuple : data->tg_trigtuple;
  if (!keeper->found) return row;
  const Protection &protection = keeper->protection;
  TupleDesc descriptor = RelationGetDescr(data->tg_relation);
  // Neither value nor token changes.
  if (updates && same(descriptor, protection.source, row, data->tg_trigtuple) &&
      same(descriptor, protection.target, row, data->tg_trigtuple))
    return row;
  bool none = false;
  const Datum value = heap_getattr(row, protection.source, descriptor, &none);
  const Datum trimmed = none ? Datum{0} : protection_value(keeper->source_type, value);
  if (!none && protection_looks_like_token(keeper->type, trimmed)) refuse_token(data, protection);
  Datum token = none ? Datum{0} : tokenize_for(data->tg_relation->rd_rel->relowner, &keeper->tokenize, trimmed);
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
