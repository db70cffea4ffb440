// pending_value.cpp - see pending_value.h; and the SQL functions pending_made and pending_sought.
//
// Layout: 16 bytes that are random in each backend, V and ciphertext of AES-SIV (RFC 5297) of the value, with the OID
// of the type as associated data.  The key never leaves the backend.  So V is the same for the same value alone.
// Covered by sql/vault_input.sql and test/tap/vault.pl.
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
#include "pg/vault/vault.h"

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

std::span<const std::uint8_t> sealed_part(const varlena *pending) {
  const std::span<const std::uint8_t> bytes = varlena_bytes(pending);
  if (bytes.size() < kMark + kSivSize) elog(ERROR, "malformed literal of a vaulted token type");
  return bytes.subspan(kMark);
}

// The value of a pending one, in memory that is wiped.
std::string_view opened(const TokenType *type, const varlena *pending) {
  const std::span<const std::uint8_t> sealed = sealed_part(pending);
  bytea *value = plaintext_room(sealed.size() - kSivSize);
  const std::span<const std::uint8_t> ad = bytes_of(type->type);
  const std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t *>(VARDATA(value)), sealed.size() - kSivSize);
  if (state->siv.open(Siv::Components(&ad, 1), sealed, out) != Status::ok)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a literal of token type %s cannot be read", type->name)));
  return varlena_text(value);
}

// What a value that has no token is compared with columns as: equal to itself, and to no token.
Datum no_token(const TokenType *type, const varlena *pending) {
  const std::span<const std::uint8_t> v = sealed_part(pending).first(kSivSize);
  if (type->format == nullptr) return PointerGetDatum(token_of_vault_key(vault_bytes(v)));
  auto *text_of_v = static_cast<char *>(palloc(2 * kSivSize + 2));
  text_of_v[0] = '\x01';  // in no token
  for (std::size_t i = 0; i < kSivSize; ++i) snprintf(text_of_v + 1 + 2 * i, 3, "%02x", v[i]);
  return CStringGetTextDatum(text_of_v);
}

bool is_planned() noexcept {
  return delivery_innermost != nullptr && delivery_innermost->veto && delivery_innermost->plan == nullptr;
}

// The token that the value has; an estimate of the planner's is told of none, and costs nothing.
Datum sought(const TokenType *type, const varlena *pending) {
  if (is_planned()) return no_token(type, pending);
  const std::string_view value = opened(type, pending);
  const void *token = type->format != nullptr
                          ? static_cast<const void *>(fpe_problem(type, value).ok() ? fpe_find(type, value) : nullptr)
                          : token_found(type, value);
  return token != nullptr ? PointerGetDatum(token) : no_token(type, pending);
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
  fresh->token = sought(type, pending);
  fresh->size = bytes.size();
  std::copy(bytes.begin(), bytes.end(), fresh->pending);
  MemoryContextSwitchTo(caller);
  fcinfo->flinfo->fn_extra = fresh;
  return fresh->token;
}

// The type of the pending value that a call was given, and null where it is a token.
const TokenType *pending_type(FunctionCallInfo fcinfo) {
  if (!pending_value_is(PG_GETARG_VARLENA_PP(0))) return nullptr;
  const TokenType *type = token_type_require(getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0)));
  const auto *refused = reinterpret_cast<const varlena *>(PG_GETARG_POINTER(1));
  if (*reinterpret_cast<const bool *>(VARDATA_ANY(refused))) token_io_refuse_literal(type);
  return type;
}

}  // namespace

varlena *pending_value_of_input(const TokenType *type, const FmgrInfo *input, std::string_view value) {
  if (type->is_integer || !delivery_given_by_client(input)) token_io_refuse_literal(type);
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

bool pending_value_any() noexcept { return state != nullptr; }

bool pending_value_is(const varlena *token) noexcept {
  const std::span<const std::uint8_t> bytes = varlena_bytes(token);
  return state != nullptr && bytes.size() >= kMark && std::equal(state->mark.begin(), state->mark.end(), bytes.begin());
}

}  // namespace redoubt::pg

// pending_made(anyelement, internal), pending_sought(anyelement, internal): a token as it is, of a pending value the
// token that is made or looked for.  The second argument: is a literal refused?
REDOUBT_FUNCTION(redoubt_pending_made) {
  using namespace redoubt::pg;
  const TokenType *type = pending_type(fcinfo);
  if (type == nullptr) PG_RETURN_DATUM(PG_GETARG_DATUM(0));
  const std::string_view value = opened(type, PG_GETARG_VARLENA_PP(0));
  if (type->format != nullptr) PG_RETURN_POINTER(fpe_tokenize(type, value));
  PG_RETURN_POINTER(token_of_text(type, value.data(), value.size()));
}
REDOUBT_FUNCTION(redoubt_pending_sought) {
  using namespace redoubt::pg;
  const TokenType *type = pending_type(fcinfo);
  if (type == nullptr) PG_RETURN_DATUM(PG_GETARG_DATUM(0));
  return sought_once(fcinfo, type, PG_GETARG_VARLENA_PP(0));
}
