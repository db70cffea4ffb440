// pending_value.cpp - see pending_value.h; and the SQL functions pending_made and pending_sought.
//
// Layout: 16 bytes that are random in each backend, V and ciphertext of AES-SIV (RFC 5297) of the value, with the OID
// of the type as associated data.  The key never leaves the backend. Covered by sql/vault_input.sql.
#include "pg/base/boundary.h"

#include "core/random.h"
#include "core/siv.h"
#include "pg/base/delivery.h"
#include "pg/base/log_guard.h"
#include "pg/base/plaintext.h"
#include "pg/base/varlena_view.h"
#include "pg/tokens/fpe_value.h"
#include "pg/tokens/pending_value.h"
#include "pg/tokens/token_io.h"
#include "pg/tokens/token_value.h"

extern "C" {
#include "utils/array.h"
}

namespace redoubt::pg {
namespace {

constexpr std::size_t kHalf = 32;  // of the key
constexpr std::size_t kMark = 16;

struct State {
  std::array<std::uint8_t, kMark> mark;
  Siv siv;
};
constinit State *state = nullptr;  // until the backend makes a pending value

State &sealing_state() {
  if (state != nullptr) return *state;
  SecretBytes<2 * kHalf> key;
  auto made = std::make_unique<State>();
  const bool random = random_bytes(made->mark) && random_bytes(key.span());
  auto siv = Siv::make(key.span().first<kHalf>(), key.span().last<kHalf>());
  if (!random || !siv.ok()) throw Failure(ERRCODE_INTERNAL_ERROR, "a literal of a vaulted type could not be sealed");
  made->siv = std::move(*siv);
  state = made.release();
  return *state;
}

std::span<const std::uint8_t> bytes_of(const Oid &type) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(&type), sizeof type};
}

// The value of a pending one, in memory that is wiped.
std::string_view opened(const TokenType *type, const varlena *token) {
  const std::span<const std::uint8_t> sealed = varlena_bytes(token).subspan(kMark);
  if (sealed.size() < kSivSize) elog(ERROR, "malformed literal of a vaulted token type");
  bytea *value = plaintext_room(sealed.size() - kSivSize);
  const std::span<const std::uint8_t> ad = bytes_of(type->type);
  const std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t *>(VARDATA(value)), sealed.size() - kSivSize);
  if (state->siv.open(Siv::Components(&ad, 1), sealed, out) != Status::ok)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a literal of token type %s cannot be read", type->name)));
  return varlena_text(value);
}

enum class As { made, sought };

// What stands in the place of a pending value.
Datum token_of(const TokenType *type, const varlena *pending, As as) {
  const std::string_view value = opened(type, pending);
  if (type->format != nullptr)
    return PointerGetDatum(as == As::made ? fpe_tokenize(type, value) : fpe_sought(type, value));
  return PointerGetDatum(as == As::made ? token_of_text(type, value.data(), value.size()) : token_sought(type, value));
}

// The elements of an array.
ArrayType *tokens_of(const TokenType *type, Oid element, ArrayType *array, As as) {
  int16 size = 0;
  bool by_value = false;
  char alignment = 0;
  get_typlenbyvalalign(element, &size, &by_value, &alignment);
  Datum *value = nullptr;
  bool *null = nullptr;
  int count = 0;
  deconstruct_array(array, element, size, by_value, alignment, &value, &null, &count);
  for (int i = 0; i < count; ++i) {
    CHECK_FOR_INTERRUPTS();
    const varlena *token = null[i] ? nullptr : PG_DETOAST_DATUM_PACKED(value[i]);
    if (token != nullptr && pending_value_is(token)) value[i] = token_of(type, token, as);
  }
  return construct_md_array(value, null, ARR_NDIM(array), ARR_DIMS(array), ARR_LBOUND(array), element, size, by_value,
                            alignment);
}

// What a call has found, for the other rows that are compared with the same value.
struct Found {
  Datum token;
  Size size;
  std::uint8_t pending[FLEXIBLE_ARRAY_MEMBER];
};

Datum sought_once(FunctionCallInfo fcinfo, const TokenType *type, const varlena *pending) {
  const std::span<const std::uint8_t> bytes = varlena_bytes(pending);
  const auto *found = static_cast<const Found *>(fcinfo->flinfo->fn_extra);
  if (found != nullptr && std::ranges::equal(bytes, std::span(found->pending, found->size))) return found->token;
  MemoryContext caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
  auto *fresh = static_cast<Found *>(palloc(offsetof(Found, pending) + bytes.size()));
  fresh->token = token_of(type, pending, As::sought);
  fresh->size = bytes.size();
  std::copy(bytes.begin(), bytes.end(), fresh->pending);
  MemoryContextSwitchTo(caller);
  fcinfo->flinfo->fn_extra = fresh;
  return fresh->token;
}

Datum settle(FunctionCallInfo fcinfo, As as) {
  const Oid type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0));
  const varlena *value = PG_GETARG_VARLENA_PP(0);
  if (!pending_value_within(value)) PG_RETURN_DATUM(PG_GETARG_DATUM(0));
  const Oid element = get_element_type(type);
  const Oid base = OidIsValid(element) ? getBaseType(element) : type;
  const TokenType *token_type = token_type_find(base);
  if (token_type == nullptr || PG_GETARG_POINTER(1) == nullptr ||
      *reinterpret_cast<const bool *>(VARDATA_ANY(PG_GETARG_POINTER(1))))
    pending_value_refuse(type);
  if (OidIsValid(element)) PG_RETURN_POINTER(tokens_of(token_type, element, PG_GETARG_ARRAYTYPE_P(0), as));
  return as == As::made ? token_of(token_type, value, as) : sought_once(fcinfo, token_type, value);
}

}  // namespace

void pending_value_refuse(Oid type) {
  const CarriedTokens *carried = type_carried(type);
  for (int i = 0; i < carried->size; ++i) {
    const TokenType *token_type = token_type_require(carried->item[i].token_type);
    if (token_type->vaulted) token_io_refuse_literal(token_type);
  }
  elog(ERROR, "a literal of type %u cannot be read", type);
  pg_unreachable();
}

varlena *pending_value_of_input(const TokenType *type, std::string_view value) {
  if (type->is_integer || !delivery_given_by_client()) token_io_refuse_literal(type);
  log_guard_mark();
  State &sealing = sealing_state();
  const Size size = kMark + kSivSize + value.size();
  auto *pending = static_cast<varlena *>(palloc(VARHDRSZ + size));
  SET_VARSIZE(pending, VARHDRSZ + size);
  auto *out = reinterpret_cast<std::uint8_t *>(VARDATA(pending));
  std::copy(sealing.mark.begin(), sealing.mark.end(), out);
  const std::span<const std::uint8_t> ad = bytes_of(type->type);
  const std::span<const std::uint8_t> plaintext(reinterpret_cast<const std::uint8_t *>(value.data()), value.size());
  if (sealing.siv.seal(Siv::Components(&ad, 1), plaintext, {out + kMark, size - kMark}) != Status::ok)
    throw Failure(ERRCODE_INTERNAL_ERROR, "a literal of a vaulted type could not be sealed");
  return pending;
}

bool pending_value_is(const varlena *token) noexcept {
  const std::span<const std::uint8_t> bytes = varlena_bytes(token);
  return state != nullptr && bytes.size() >= kMark && std::equal(state->mark.begin(), state->mark.end(), bytes.begin());
}

bool pending_value_within(const varlena *value) noexcept {
  const std::span<const std::uint8_t> bytes = varlena_bytes(value);
  return state != nullptr && memmem(bytes.data(), bytes.size(), state->mark.data(), kMark) != nullptr;
}

}  // namespace redoubt::pg

// pending_made(anyelement, internal), pending_sought(anyelement, internal): a token as it is, of a pending value the
// token that is made or looked for.  The second argument: is a literal refused?
REDOUBT_FUNCTION(redoubt_pending_made) { return redoubt::pg::settle(fcinfo, redoubt::pg::As::made); }
REDOUBT_FUNCTION(redoubt_pending_sought) { return redoubt::pg::settle(fcinfo, redoubt::pg::As::sought); }
