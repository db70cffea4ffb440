// vault_sql.cpp - the SQL functions of the vault: vault_token, find_token and a type's _find, forget, forget_value,
// disable_tokens, enable_tokens, sweep_vault, reseal_batch.
//
// What takes or gives a value, or tells whether there is one, asks for the privilege to tokenize.  What deletes or
// disables is a matter of EXECUTE, and recorded.
// Covered by sql/vault.sql.
#include "pg/base/boundary.h"

#include "pg/base/array_items.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/catalog.h"
#include "pg/reveal/disclosure.h"
#include "pg/tokens/fpe_input.h"
#include "pg/tokens/fpe_value.h"
#include "pg/audit/kek.h"
#include "pg/base/shared_memory.h"
#include "pg/tokens/token_io.h"
#include "pg/tokens/token_value.h"
#include "pg/base/varlena_view.h"
#include "pg/vault/vault.h"
#include "pg/vault/vault_store.h"

namespace redoubt::pg {
namespace {

constexpr int kMaxBatch = 1000000;

const TokenType *vaulted_type(Oid type) {
  const TokenType *token_type = token_type_find(type);
  if (token_type == nullptr || !token_type->vaulted)
    type_refuse(type, "a vaulted token type", "redoubt.token_types lists the token types and their methods.");
  return token_type;
}

// What a token in a text is in the vault.
bytea *key_of_text(const TokenType *type, std::string_view token) {
  if (type->format == nullptr) return token_vault_key(type, token_from_text_form(type->type, token));
  if (type->is_integer) return fpe_vault_key(fpe_parse_integer(type->type, token));
  return fpe_vault_key(varlena_text(fpe_accept(type->type, token)));
}

bytea *key_of_value(const TokenType *type, Datum token) {
  if (type->format == nullptr) return token_vault_key(type, DatumGetByteaPP(token));
  if (type->is_integer) return fpe_vault_key(DatumGetInt64(token));
  return fpe_vault_key(varlena_text(DatumGetTextPP(token)));
}

// What a value in a text is in the vault; the privilege is checked.
std::span<const std::uint8_t> plaintext_of_text(const TokenType *type, std::string_view value) {
  disclosure_tokenize_allowed(type);
  if (!type->is_integer) return token_plaintext(type, value.data(), value.size()).normal;
  return fpe_vault_value(fpe_parse_integer_value(type, value));
}

text *integer_text(int64 value) { return cstring_to_text(psprintf(INT64_FORMAT, value)); }

bool forget(const TokenType *type, const bytea *key) {
  require_preloaded();
  const bool forgotten = vault_forget_token(type, key);
  audit_write({.event = "vault", .token_type = type->type, .operation = "forget", .count = forgotten ? 1 : 0});
  return forgotten;
}

ArrayType *keys_of_texts(const TokenType *type, ArrayType *tokens) {
  const ArrayItems items = array_items(tokens);
  int used = 0;
  for (int i = 0; i < items.size; ++i)
    if (!items.null[i])
      items.value[used++] = PointerGetDatum(key_of_text(type, varlena_text(DatumGetTextPP(items.value[i]))));
  return construct_array(items.value, used, BYTEAOID, -1, false, TYPALIGN_INT);
}

// Tokens that are not in the vault are a mistake, such as a list of plaintexts: an error where all are, else a warning,
// because those that are have to be disabled all the same.
void require_known(const TokenType *type, ArrayType *keys) {
  Datum *key = nullptr;
  int count = 0;
  int known = 0;
  deconstruct_array(keys, BYTEAOID, -1, false, TYPALIGN_INT, &key, nullptr, &count);
  MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "redoubt vault", ALLOCSET_SMALL_SIZES);
  for (int i = 0; i < count; ++i) {
    CHECK_FOR_INTERRUPTS();
    MemoryContext caller = MemoryContextSwitchTo(per_row);
    if (vault_find(type->class_id, VaultBy::token, DatumGetByteaPP(key[i])).found) ++known;
    MemoryContextSwitchTo(caller);
    MemoryContextReset(per_row);
  }
  MemoryContextDelete(per_row);
  if (known < count)
    ereport(known == 0 ? ERROR : WARNING,
            (errcode(ERRCODE_NO_DATA_FOUND),
             errmsg("%d of %d tokens of type %s are not in the vault", count - known, count, type->name),
             errhint("They have expired, were forgotten, or are no tokens of the type."), errhidestmt(true)));
}

void require_batch(int batch) {
  if (batch < 1 || batch > kMaxBatch)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a batch has 1 to %d tokens", kMaxBatch)));
}

int64 set_disabled(FunctionCallInfo fcinfo, bool disabled) {
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the token type must not be null")));
  require_preloaded();
  require_kek();
  const TokenType *type = vaulted_type(PG_GETARG_OID(0));
  ArrayType *keys = PG_ARGISNULL(1) ? nullptr : keys_of_texts(type, PG_GETARG_ARRAYTYPE_P(1));
  if (keys != nullptr) require_known(type, keys);
  const auto changed = static_cast<int64>(vault_set_disabled(type->class_id, keys, disabled));
  audit_write({.event = "vault",
               .token_type = type->type,
               .operation = disabled ? "disable" : "enable",
               .count = changed,
               .detail = keys == nullptr ? "all tokens of the type" : nullptr});
  return changed;
}

}  // namespace
}  // namespace redoubt::pg

// vault_token(text, regtype) -> text
REDOUBT_FUNCTION(redoubt_vault_token) {
  using namespace redoubt::pg;
  const TokenType *type = vaulted_type(PG_GETARG_OID(1));
  fpe_require_token_input(fcinfo, type);
  const std::string_view value = varlena_text(PG_GETARG_TEXT_PP(0));
  if (type->format == nullptr)
    PG_RETURN_TEXT_P(cstring_to_text(token_text_form(type->type, token_of_text(type, value.data(), value.size()))));
  if (!type->is_integer) PG_RETURN_TEXT_P(fpe_tokenize(type, value));
  PG_RETURN_TEXT_P(integer_text(fpe_tokenize(type, fpe_parse_integer_value(type, value))));
}

// <type>_sought(text) -> type: what a column is compared with.  A value without a token has one that no row has.
REDOUBT_FUNCTION(redoubt_vault_sought) {
  using namespace redoubt::pg;
  const Oid oid = called_token_type(fcinfo, CallSite::result);
  const std::string_view value = varlena_text(PG_GETARG_TEXT_PP(0));
  if (redoubt::token_has_prefix(value)) PG_RETURN_BYTEA_P(token_from_text_form(oid, value));
  const TokenType *type = token_type_require(oid);
  PG_RETURN_BYTEA_P(token_sought(type, value));
}

// find_token(text, regtype) -> text, null where the value has no token
REDOUBT_FUNCTION(redoubt_find_token) {
  using namespace redoubt::pg;
  const TokenType *type = vaulted_type(PG_GETARG_OID(1));
  fpe_require_token_input(fcinfo, type);
  const std::string_view value = varlena_text(PG_GETARG_TEXT_PP(0));
  if (type->format == nullptr) {
    const bytea *token = token_find_text(type, value.data(), value.size());
    if (token == nullptr) PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text(token_text_form(type->type, token)));
  }
  if (!type->is_integer) {
    text *token = fpe_find(type, value);
    if (token == nullptr) PG_RETURN_NULL();
    PG_RETURN_TEXT_P(token);
  }
  bool found = false;
  const int64 token = fpe_find(type, fpe_parse_integer_value(type, value), &found);
  if (!found) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(integer_text(token));
}

// <type>_find(base) -> type, likewise
REDOUBT_FUNCTION(redoubt_vault_find) {
  using namespace redoubt::pg;
  const TokenType *type = vaulted_type(called_token_type(fcinfo, CallSite::result));
  if (type->is_integer) {
    bool found = false;
    const int64 token = fpe_find(type, PG_GETARG_INT64(0), &found);
    if (!found) PG_RETURN_NULL();
    PG_RETURN_INT64(token);
  }
  const std::string_view value = varlena_text(PG_GETARG_TEXT_PP(0));
  const void *token = nullptr;
  if (type->format != nullptr) {
    token = fpe_find(type, value);
  } else if (type->is_bytes) {
    disclosure_tokenize_allowed(type);
    const bytea *key = vault_find_token(type, {reinterpret_cast<const std::uint8_t *>(value.data()), value.size()});
    token = key != nullptr ? token_of_vault_key(key) : nullptr;
  } else {
    token = token_find_text(type, value.data(), value.size());
  }
  if (token == nullptr) PG_RETURN_NULL();
  PG_RETURN_POINTER(token);
}

// forget(anyelement) -> boolean: was there anything to forget?
REDOUBT_FUNCTION(redoubt_forget) {
  using namespace redoubt::pg;
  const TokenType *type = vaulted_type(getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0)));
  PG_RETURN_BOOL(forget(type, key_of_value(type, PG_GETARG_DATUM(0))));
}

// forget(text, regtype) -> boolean, for a token in a text
REDOUBT_FUNCTION(redoubt_forget_text) {
  using namespace redoubt::pg;
  const TokenType *type = vaulted_type(PG_GETARG_OID(1));
  PG_RETURN_BOOL(forget(type, key_of_text(type, varlena_text(PG_GETARG_TEXT_PP(0)))));
}

// forget_value(regtype, text) -> boolean
REDOUBT_FUNCTION(redoubt_forget_value) {
  using namespace redoubt::pg;
  const TokenType *type = vaulted_type(PG_GETARG_OID(0));
  const bool forgotten = vault_forget_value(type, plaintext_of_text(type, varlena_text(PG_GETARG_TEXT_PP(1))));
  audit_write({.event = "vault", .token_type = type->type, .operation = "forget", .count = forgotten ? 1 : 0});
  PG_RETURN_BOOL(forgotten);
}

REDOUBT_FUNCTION(redoubt_disable_tokens) { PG_RETURN_INT64(redoubt::pg::set_disabled(fcinfo, true)); }
REDOUBT_FUNCTION(redoubt_enable_tokens) { PG_RETURN_INT64(redoubt::pg::set_disabled(fcinfo, false)); }

// sweep_vault(integer) -> bigint: one batch, now
REDOUBT_FUNCTION(redoubt_sweep_vault) {
  using namespace redoubt::pg;
  const int batch = PG_GETARG_INT32(0);
  require_batch(batch);
  require_preloaded();
  require_kek();
  const auto deleted = static_cast<int64>(vault_sweep(batch));
  if (deleted > 0) audit_write({.event = "vault", .operation = "sweep", .count = deleted});
  PG_RETURN_INT64(deleted);
}

// reseal_batch(regtype, bytea, integer, OUT resealed bigint, OUT last bytea): one batch of reseal_vault()
REDOUBT_FUNCTION(redoubt_reseal_batch) {
  using namespace redoubt::pg;
  if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the token type and the batch must not be null")));
  const TokenType *type = vaulted_type(PG_GETARG_OID(0));
  require_batch(PG_GETARG_INT32(2));
  require_preloaded();
  require_kek();
  PreventCommandIfReadOnly("redoubt.reseal_vault()");
  const bytea *last = nullptr;
  const int64 resealed =
      vault_reseal_batch(type, PG_ARGISNULL(1) ? nullptr : PG_GETARG_BYTEA_PP(1), PG_GETARG_INT32(2), &last);
  if (resealed > 0) audit_write({.event = "vault", .token_type = type->type, .operation = "reseal", .count = resealed});
  TupleDesc descriptor = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
    elog(ERROR, "reseal_batch must return a row");
  Datum values[] = {Int64GetDatum(resealed), PointerGetDatum(last)};
  bool nulls[] = {false, last == nullptr};
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}
