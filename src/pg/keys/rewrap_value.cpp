// rewrap_value.cpp - see rewrap_value.h.
//
// Invariant: what comes out equals what went in.  Frames hold plain data only; the opened value lies in a buffer that
// the end of the transaction wipes (plaintext.h).
// Covered by sql/rewrap_column.sql.
#include "pg/base/boundary.h"

#include "pg/base/array_items.h"
#include "pg/base/each.h"
#include "core/random.h"
#include "core/token.h"
#include "pg/base/plaintext.h"
#include "pg/base/varlena_view.h"
#include "pg/keys/key_store.h"
#include "pg/keys/keys.h"
#include "pg/keys/rewrap_value.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {
namespace {

// What is known of a key: its newest version, and of the others which are in use and which are not.
struct KnownKey {
  NameData name;
  int newest;  // 0: there is none
  Bitmapset *in_use;
  Bitmapset *ended;
};

KnownKey *known_key(Rewrap *rewrap, const NameData &name) {
  for (auto *known : list_of<KnownKey>(rewrap->keys)) {
    if (strcmp(NameStr(known->name), NameStr(name)) == 0) return known;
  }
  const int newest = key_store_read(NameStr(name), 0).version;
  MemoryContext old = MemoryContextSwitchTo(rewrap->context);
  auto *known = static_cast<KnownKey *>(palloc(sizeof(KnownKey)));
  *known = {name, newest, nullptr, nullptr};
  rewrap->keys = lappend(rewrap->keys, known);
  MemoryContextSwitchTo(old);
  return known;
}

bool in_use(Rewrap *rewrap, KnownKey *key, int version) {
  if (bms_is_member(version, key->in_use)) return true;
  if (bms_is_member(version, key->ended)) return false;
  const WrappedKey found = key_store_read(NameStr(key->name), version);
  const bool result = found.version != 0 && found.state == KeyState::in_use;
  Bitmapset **set = result ? &key->in_use : &key->ended;
  MemoryContext old = MemoryContextSwitchTo(rewrap->context);
  *set = bms_add_member(*set, version);
  MemoryContextSwitchTo(old);
  return result;
}

// Seals a token anew; null where it does not open.
bytea *reseal(const TokenType *type, const TokenView &token, std::size_t size) {
  std::string &value = plaintext_buffer(PlaintextStep::value, token.ciphertext.size());
  value.resize(token.ciphertext.size());
  const std::span<std::uint8_t> room(reinterpret_cast<std::uint8_t *>(value.data()), value.size());
  std::size_t length = 0;
  const Status opened = keys_sealer(type, token.key_version)->open(token, room, length);
  if (opened == Status::corrupt || opened == Status::malformed) return nullptr;
  std::array<std::uint8_t, kTokenNonceSize> nonce;
  if (opened != Status::ok || (token.randomised && !random_bytes(nonce)))
    elog(ERROR, "OpenSSL could not open a token or has no randomness");
  auto *made = static_cast<bytea *>(palloc(VARHDRSZ + size));
  SET_VARSIZE(made, VARHDRSZ + size);
  const Status sealed = keys_sealer(type, 0)->reseal(
      token, room.first(length), std::span<const std::uint8_t>(nonce).first(token.randomised ? nonce.size() : 0),
      {reinterpret_cast<std::uint8_t *>(VARDATA(made)), size});
  if (sealed == Status::corrupt)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("the versions of key \"%s\" have different fingerprint keys", NameStr(type->key)),
                    errhint("A row of redoubt.key was changed by hand; restore it from a backup.")));
  if (sealed != Status::ok) elog(ERROR, "OpenSSL could not seal a token");
  return made;
}

Datum rewrap_token(Rewrap *rewrap, const TokenType *type, Datum value) {
  if (type->format != nullptr || type->vaulted) return value;
  // The header is enough for most, however long they are.
  const auto head =
      token_parse(varlena_bytes(PG_DETOAST_DATUM_SLICE(value, 0, static_cast<int32>(kTokenTypedOverhead))));
  KnownKey *key = known_key(rewrap, type->key);
  if (head.ok() && !head->vaulted && head->key_version == key->newest) return value;
  const bytea *made = nullptr;
  if (head.ok() && !head->vaulted && in_use(rewrap, key, head->key_version)) {
    const std::span<const std::uint8_t> whole = varlena_bytes(DatumGetByteaPP(value));
    const auto token = token_parse(whole);
    if (token.ok()) made = reseal(type, *token, whole.size());
  }
  ++(made != nullptr ? rewrap->resealed : rewrap->unreadable);
  return made != nullptr ? PointerGetDatum(made) : value;
}

Datum rewrap_array(Rewrap *rewrap, Oid element, Datum value) {
  ArrayType *array = DatumGetArrayTypeP(value);
  const ArrayItems items = array_items(array);
  const int64 before = rewrap->resealed;
  for (int i = 0; i < items.size; ++i)
    if (!items.null[i]) items.value[i] = rewrap_value(rewrap, element, items.value[i]);
  if (rewrap->resealed == before) return value;
  return PointerGetDatum(array_shaped(array, element, items.value, items.null));
}

Datum rewrap_row(Rewrap *rewrap, Datum value) {
  HeapTupleHeader header = DatumGetHeapTupleHeader(value);
  TupleDesc descriptor =
      lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
  HeapTupleData tuple = {};
  tuple.t_len = HeapTupleHeaderGetDatumLength(header);
  ItemPointerSetInvalid(&tuple.t_self);
  tuple.t_data = header;
  const auto size = static_cast<std::size_t>(descriptor->natts);
  auto *fields = static_cast<Datum *>(palloc(sizeof(Datum) * size));
  auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * size));
  heap_deform_tuple(&tuple, descriptor, fields, nulls);
  const int64 before = rewrap->resealed;
  for (int i = 0; i < descriptor->natts; ++i)
    if (!nulls[i]) fields[i] = rewrap_value(rewrap, TupleDescAttr(descriptor, i)->atttypid, fields[i]);
  if (rewrap->resealed == before) return value;
  return HeapTupleGetDatum(heap_form_tuple(descriptor, fields, nulls));
}

// Does the type have a range of tokens in it?  Such are not taken apart.
bool has_range(Oid declared) {
  if (type_carried(declared)->size == 0) return false;
  const Oid type = getBaseType(declared);
  const Oid element = get_element_type(type);
  if (OidIsValid(element)) return has_range(element);
  const char kind = get_typtype(type);
  if (kind != TYPTYPE_COMPOSITE) return kind == TYPTYPE_RANGE || kind == TYPTYPE_MULTIRANGE;
  TupleDesc descriptor = lookup_rowtype_tupdesc_copy(type, -1);
  for (int i = 0; i < descriptor->natts; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
    if (!attribute->attisdropped && has_range(attribute->atttypid)) return true;
  }
  return false;
}

}  // namespace

void rewrap_require_column(const char *column, Oid type) {
  const CarriedTokens *carried = type_carried(type);
  bool sealed = false;
  bool vaulted = false;
  for (int i = 0; i < carried->size; ++i) {
    const TokenType *token_type = token_type_require(carried->item[i].token_type);
    sealed |= token_type->format == nullptr && !token_type->vaulted;
    vaulted |= token_type->vaulted;
  }
  if (carried->size == 0)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("column \"%s\" has no token type", column),
                    errhint("redoubt.key_use() lists the columns that hold tokens.")));
  if (!sealed)
    ereport(
        ERROR,
        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the tokens of column \"%s\" name no version of a key", column),
         errhint("%s", vaulted ? "Values of the vault are sealed anew with redoubt.reseal_vault()."
                               : "Those of a format-preserving type stay on the version it was made with.")));
  if (has_range(type))
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("column \"%s\" has ranges of tokens, which are not sealed anew", column),
                    errhint("Write them anew with UPDATE, as a role that may reveal and tokenize.")));
}

Datum rewrap_value(Rewrap *rewrap, Oid declared, Datum value) {
  if (type_carried(declared)->size == 0) return value;
  const Oid type = getBaseType(declared);
  if (const TokenType *token_type = token_type_find(type)) return rewrap_token(rewrap, token_type, value);
  const Oid element = get_element_type(type);
  return OidIsValid(element) ? rewrap_array(rewrap, element, value) : rewrap_row(rewrap, value);
}

}  // namespace redoubt::pg
