// token_value.cpp - see token_value.h.
//
// Invariant: nothing leaves here unless disclosure_charge_or_degrade() has returned true, and no
// error message ever holds a part of a value; it says which type, which check
// and which character position.
// Covered by sql/token_types.sql, sql/reveal.sql and sql/hostile_input.sql.
#include "pg/base/boundary.h"

#include "core/email.h"
#include "core/random.h"
#include "core/unicode_text.h"
#include "pg/audit/kek.h"
#include "pg/base/shared_memory.h"
#include "pg/reveal/disclosure.h"
#include "pg/keys/keys.h"
#include "pg/tokens/mask_letter.h"
#include "pg/tokens/token_value.h"
#include "pg/base/plaintext.h"
#include "pg/base/varlena_view.h"
#include "pg/vault/vault.h"

extern "C" {
#include "catalog/pg_collation.h"
#include "regex/regex.h"
}

namespace redoubt::pg {
namespace {

[[noreturn]] void corrupt(Oid type) {
  ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                  errmsg("corrupt token, or a token of another class, in a value of type %s", format_type_be(type)),
                  errhint("Tokens cannot be moved between token types or between databases with other keys."),
                  errhidestmt(true)));
  pg_unreachable();
}

}  // namespace

namespace {

struct Utf8 {
  const char *data;
  std::size_t size;
};

// Normalization Form C by the server's own tables; PostgreSQL calls are guarded
// because the core's strings are alive around this.
bool server_nfc(std::string_view utf8, std::string &out) {
  const Utf8 normalized = call([utf8] {
    const auto size = static_cast<int>(utf8.size());
    auto *wide = static_cast<pg_wchar *>(palloc((utf8.size() + 1) * sizeof(pg_wchar)));
    int count = 0;
    for (int at = 0; at < size; ++count) {
      const auto *character = reinterpret_cast<const unsigned char *>(utf8.data()) + at;
      wide[count] = utf8_to_unicode(character);
      at += pg_utf_mblen(character);
    }
    wide[count] = 0;
    if (unicode_is_normalized_quickcheck(UNICODE_NFC, wide) == UNICODE_NORM_QC_YES)
      return Utf8{utf8.data(), utf8.size()};
    pg_wchar *composed = unicode_normalize(UNICODE_NFC, wide);
    if (composed == nullptr) return Utf8{nullptr, 0};
    std::size_t length = 0;
    while (composed[length] != 0) ++length;
    auto *text = static_cast<char *>(palloc(length * 4 + 1));
    std::size_t used = 0;
    for (std::size_t i = 0; i < length; ++i) {
      unicode_to_utf8(composed[i], reinterpret_cast<unsigned char *>(text) + used);
      used += static_cast<std::size_t>(pg_utf_mblen(reinterpret_cast<unsigned char *>(text) + used));
    }
    return Utf8{text, used};
  });
  if (normalized.data == nullptr) return false;
  out.assign(normalized.data, normalized.size);
  return true;
}

// A text that was looked at: its normal form and itself, in UTF-8, and what is wrong with it.  Where the normaliser
// refuses it, it is its own normal form: no value has one that the normaliser refuses.
struct Examined {
  std::string_view normal, typed;
  Refusal refusal;
};

bool matches_pattern(const TokenType *type, std::string_view value) {
  if (type->pattern == nullptr) return true;
  char *local = pg_any_to_server(value.data(), static_cast<int>(value.size()), PG_UTF8);
  const auto length = local == value.data() ? static_cast<int>(value.size()) : static_cast<int>(strlen(local));
  return RE_compile_and_execute(type->pattern, local, length, REG_ADVANCED, C_COLLATION_OID, 0, nullptr);
}

Examined examine(const TokenType *type, const char *text, std::size_t length) {
  // ASCII is the same in every encoding, and what these normalisers leave of most of it lies there already.
  const NormalizeKind kind = type->normalize.kind;
  const std::string_view given(text, length);
  if (const std::size_t masked = mask_letter_find(given); masked > 0)
    return {given, given, {Status::refused, masked, "mask character", true}};
  // It would be sealed once more, and no text that holds it shows the value again.
  if (token_is_within(given)) return {given, given, {Status::refused, 0, "a token within it", true}};
  if (type->pattern == nullptr) {
    if (kind == NormalizeKind::email && email_is_normal(given)) return {given, given, {}};
    if (kind == NormalizeKind::name && GetDatabaseEncoding() == PG_UTF8 && name_is_normal(given))
      return {given, given, {}};
    if ((kind == NormalizeKind::none || kind == NormalizeKind::trim) && is_ascii(given))
      return {kind == NormalizeKind::trim ? trim_white_space(given) : given, given, {}};
  }
  const char *utf8 = pg_server_to_any(text, static_cast<int>(length), PG_UTF8);
  Examined found = {{}, {utf8, utf8 == text ? length : strlen(utf8)}, {}};
  // Composing may make three bytes of one; a phone number gains its calling code.
  std::string &buffer = plaintext_buffer(PlaintextStep::value, 3 * found.typed.size() + 16);
  found.refusal = normalize(type->normalize, found.typed, server_nfc, buffer);
  found.normal = found.refusal.ok() ? std::string_view(buffer) : found.typed;
  if (found.refusal.ok() && !matches_pattern(type, found.normal))
    found.refusal = {Status::refused, 0, "it does not match the type's pattern"};
  return found;
}

Examined examine_or_refuse(const TokenType *type, const char *text, std::size_t length) {
  const Examined found = examine(type, text, length);
  if (!found.refusal.ok() && (found.refusal.absolute || !type->keeps_invalid)) value_refuse(type, found.refusal);
  return found;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

// bytea from its text form.  What byteain would quote of a bad one is refused
// before: 22P02 instead of a message that holds a digit of the value.
const bytea *parse_bytes(const TokenType *type, std::string_view text) {
  if (text.starts_with("\\x")) {
    std::size_t digits = 0;
    for (std::size_t i = 2; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (isxdigit(c) != 0)
        ++digits;
      else if (digits % 2 != 0 || (c != ' ' && c != '\n' && c != '\t' && c != '\r'))
        value_refuse(type, {Status::malformed, i + 1, "invalid hexadecimal digit"});
    }
    if (digits % 2 != 0) value_refuse(type, {Status::malformed, 0, "odd number of hexadecimal digits"});
  }
  return DatumGetByteaPP(DirectFunctionCall1(byteain, CStringGetDatum(pnstrdup(text.data(), text.size()))));
}

// Sixteen random bytes for a randomised token, none else.
std::span<const std::uint8_t> fresh_nonce(const TokenType *type, std::span<std::uint8_t, kTokenNonceSize> room) {
  static constinit RandomPool *pool = nullptr;  // never freed: no static destructors
  if (type->deterministic) return {};
  if (pool == nullptr) pool = new RandomPool();
  if (!pool->fill(room, MyProcPid))
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL has no randomness"), errhidestmt(true)));
  return room;
}

// The token of a value.  Privilege and form were checked; the caller charges.
bytea *seal(const TokenType *type, const Plaintext &value) {
  if (type->vaulted) return token_of_vault_key(vault_tokenize(type, value.normal));
  const std::size_t size = token_sealed_size(type, value);
  auto *token = static_cast<bytea *>(palloc(VARHDRSZ + size));
  SET_VARSIZE(token, VARHDRSZ + size);
  token_seal(type, value, {reinterpret_cast<std::uint8_t *>(VARDATA(token)), size});
  return token;
}

bytea *charged(const TokenType *type, bytea *token) {
  if (type->vaulted) return token;  // the vault has charged, before it was written
  disclosure_tokenize_charge(type, varlena_bytes(token).subspan(kTokenHeaderSize, 16));  // V
  return token;
}

// Opens a token into a fresh varlena.  The caller has been admitted.
varlena *open_token(const TokenType *type, const bytea *token, bool required) {
  if (type->vaulted) {
    const varlena *value = vault_open(type, token_vault_key(type, token), required);
    return value != nullptr ? vault_bytes(varlena_bytes(value)) : nullptr;  // whoever asked may free its result
  }
  const std::span<const std::uint8_t> bytes = varlena_bytes(token);
  if (token_is_deterministic(bytes)) {
    const std::size_t size = bytes.size() - kTokenOverhead;
    auto *value = static_cast<varlena *>(palloc(VARHDRSZ + size));
    SET_VARSIZE(value, VARHDRSZ + size);
    if (keys_sealer(type, token_key_version(bytes))
            ->open_deterministic(bytes, {reinterpret_cast<std::uint8_t *>(VARDATA(value)), size}) != Status::ok)
      corrupt(type->type);
    return value;
  }
  const TokenView view = token_view(type, token);
  const std::size_t room = view.ciphertext.size();
  auto *value = static_cast<varlena *>(palloc(VARHDRSZ + room));
  const std::size_t size = token_open_into(type, view, {reinterpret_cast<std::uint8_t *>(VARDATA(value)), room});
  SET_VARSIZE(value, VARHDRSZ + size);
  return value;
}

// Plaintext is kept in UTF-8 whatever the database's encoding; this converts back.
text *to_server_text(varlena *utf8) {
  if (GetDatabaseEncoding() == PG_UTF8) return reinterpret_cast<text *>(utf8);
  auto *data = VARDATA(utf8);
  const auto size = static_cast<int>(VARSIZE(utf8) - VARHDRSZ);
  char *local = pg_any_to_server(data, size, PG_UTF8);
  return local == data ? reinterpret_cast<text *>(utf8) : cstring_to_text(local);
}

// Is the value sealed under an IV of its own, beside that of its normal form?
bool is_sealed_as_typed(const TokenType *type, const Plaintext &value) {
  return type->deterministic && !value.is_normal();
}

}  // namespace

std::size_t token_sealed_size(const TokenType *type, const Plaintext &value) {
  const std::size_t sealed = is_sealed_as_typed(type, value)
                                 ? kTokenTypedOverhead + value.typed.size()
                                 : TokenSealer::sealed_size(value.typed.size(), !type->deterministic);
  if (sealed > MaxAllocSize - VARHDRSZ)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("value too long for token type %s", type->name),
                    errhidestmt(true)));
  return sealed;
}

void token_seal(const TokenType *type, const Plaintext &value, std::span<std::uint8_t> out) {
  std::array<std::uint8_t, kTokenNonceSize> room;
  const std::span<const std::uint8_t> nonce = fresh_nonce(type, room);
  TokenSealer *sealer = keys_sealer(type, 0);
  const Status status = is_sealed_as_typed(type, value) ? sealer->seal_typed(value.normal, value.typed, out)
                                                        : sealer->seal(value.typed, !type->deterministic, nonce, out);
  if (status != Status::ok)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not seal a value of token type %s", type->name),
                    errhidestmt(true)));
}

TokenView token_view(const TokenType *type, const bytea *token) {
  const auto view = token_parse(varlena_bytes(token));
  if (!view.ok() || view->vaulted) corrupt(type->type);
  return *view;
}

std::size_t token_open_into(const TokenType *type, const TokenView &token, std::span<std::uint8_t> out) {
  std::size_t size = 0;
  if (keys_sealer(type, token.key_version)->open(token, out, size) != Status::ok) corrupt(type->type);
  return size;
}

bytea *token_of_bytes(const TokenType *type, std::span<const std::uint8_t> value) {
  disclosure_tokenize_allowed(type);
  return charged(type, seal(type, {value, value}));
}

std::string_view value_checked(const TokenType *type, const char *text, std::size_t length) {
  return examine_or_refuse(type, text, length).normal;
}

Refusal value_problem(const TokenType *type, std::string_view text, std::string_view *normal) {
  const Examined found = examine(type, text.data(), text.size());
  if (normal != nullptr) *normal = found.normal;
  return found.refusal;
}

Refusal token_problem(const TokenType *type, std::string_view text) {
  if (!token_has_prefix(text)) return value_problem(type, text);
  const std::size_t bound = token_binary_size_bound(text);
  auto *room = static_cast<std::uint8_t *>(palloc(bound + 1));
  if (token_from_text(text, {room, bound}).ok()) return {};
  return {Status::malformed, 0, "malformed token", true};
}

Plaintext token_plaintext(const TokenType *type, const char *text, std::size_t length) {
  // Of a bytea nothing changes (it has no pattern, either), but the mask character is refused there, too.
  const Examined value = examine_or_refuse(type, text, length);
  if (!type->is_bytes)
    return {bytes_of(value.normal), bytes_of(value.normal == value.typed ? value.normal : value.typed)};
  const std::span<const std::uint8_t> bytes = varlena_bytes(parse_bytes(type, {text, length}));
  return {bytes, bytes};
}

bool token_allowed(const TokenType *type, std::size_t size) {
  if (size > 0 || type->is_bytes || type->vaulted) {
    disclosure_tokenize_allowed(type);
    return true;
  }
  require_preloaded();
  require_kek();
  return false;
}

bytea *token_find_text(const TokenType *type, const char *text, std::size_t length) {
  disclosure_tokenize_allowed(type);
  const bytea *key = vault_find_token(type, token_plaintext(type, text, length).normal);
  return key != nullptr ? token_of_vault_key(key) : nullptr;
}

bytea *token_found(const TokenType *type, std::string_view value) {
  disclosure_tokenize_allowed(type);
  const bool readable = value_problem(type, value).ok() || type->keeps_invalid;
  return readable ? token_find_text(type, value.data(), value.size()) : nullptr;
}

bytea *token_sought(const TokenType *type, std::string_view value) {
  if (bytea *token = token_found(type, value)) return token;
  std::array<std::uint8_t, kSivSize> none{};
  if (!pg_strong_random(none.data(), none.size())) elog(ERROR, "no random bytes");
  return token_of_vault_key(vault_bytes(none));
}

bytea *token_vault_key(const TokenType *type, const bytea *token) {
  const auto view = token_parse(varlena_bytes(token));
  if (!view.ok() || !view->vaulted) corrupt(type->type);
  return vault_bytes(view->v);
}

bytea *token_of_vault_key(const bytea *key) {
  const auto random = varlena_bytes(key);
  if (random.size() != kSivSize) elog(ERROR, "a token in the vault has %zu bytes", random.size());
  auto *token = static_cast<bytea *>(palloc(VARHDRSZ + kTokenOverhead));
  SET_VARSIZE(token, VARHDRSZ + kTokenOverhead);
  const std::span<std::uint8_t, kTokenOverhead> out(reinterpret_cast<std::uint8_t *>(VARDATA(token)), kTokenOverhead);
  token_make_vaulted(random.first<kSivSize>(), out);
  return token;
}

bytea *token_of_text(const TokenType *type, const char *text, std::size_t length) {
  const bool charges = token_allowed(type, length);
  bytea *token = seal(type, token_plaintext(type, text, length));
  return charges ? charged(type, token) : token;
}

char *token_text_of_text(const TokenType *type, const char *text, std::size_t length) {
  disclosure_tokenize_allowed(type);
  bytea *token = charged(type, seal(type, token_plaintext(type, text, length).normal_only()));
  return token_text_form(type->type, token);
}

bytea *token_from_text_form(Oid type, std::string_view text) {
  const std::size_t bound = token_binary_size_bound(text);
  auto *token = static_cast<bytea *>(palloc(VARHDRSZ + bound));
  const auto size = token_from_text(text, {reinterpret_cast<std::uint8_t *>(VARDATA(token)), bound});
  if (!size.ok())
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("malformed token for type %s", format_type_be(type)),
             errdetail("A text of %zu bytes that %s with \"tok_\" is not a well-formed token.", text.size(),
                       token_has_prefix(text) ? "begins" : "does not begin"),
             errhidestmt(true)));
  SET_VARSIZE(token, VARHDRSZ + *size);
  return token;
}

char *token_text_form(Oid type, const bytea *token) {
  const auto bytes = varlena_bytes(token);
  const std::size_t size = token_text_size(bytes.size());
  if (!token_parse(bytes).ok()) corrupt(type);
  auto *text = static_cast<char *>(palloc(size + 1));
  if (token_to_text(bytes, {text, size}) != Status::ok) corrupt(type);
  text[size] = '\0';
  return text;
}

varlena *token_open(const TokenType *type, const bytea *token, bool required) {
  varlena *value = open_token(type, token, required);
  return value == nullptr || type->is_bytes ? value : to_server_text(value);
}

namespace {

// Masks a value as it was typed: the mask shows a part of the normal form.  Of what has none nothing is shown, but that
// it is empty.
text *typed_masked(const TokenType *type, std::string_view typed) {
  if (typed.empty()) return cstring_to_text("");
  std::string &normal = plaintext_buffer(PlaintextStep::value, 3 * typed.size() + 16);
  const bool readable = normalize(type->normalize, typed, server_nfc, normal).ok() && matches_pattern(type, normal);
  return token_masked(type, readable ? std::string_view(normal) : std::string_view());
}

}  // namespace

text *token_open_masked(const TokenType *type, const bytea *token, bool required) {
  if (type->vaulted) {
    const varlena *value = open_token(type, token, required);
    return value != nullptr ? typed_masked(type, varlena_text(value)) : nullptr;
  }
  const TokenView view = token_view(type, token);
  std::string &value = plaintext_buffer(PlaintextStep::result, view.ciphertext.size());
  value.resize(view.ciphertext.size());
  value.resize(token_open_into(type, view, {reinterpret_cast<std::uint8_t *>(value.data()), value.size()}));
  return type->is_bytes ? token_masked(type, value) : typed_masked(type, value);
}

text *token_mask_text(const TokenType *type, std::string_view value) {
  const char *utf8 = pg_server_to_any(value.data(), static_cast<int>(value.size()), PG_UTF8);
  return typed_masked(type, utf8 == value.data() ? value : std::string_view(utf8));
}

text *token_masked(const TokenType *type, std::string_view value) {
  varlena *masked = nullptr;
  {
    std::string out;
    mask_apply(type->mask, value, out);
    mask_letter_fit(out);
    masked = call([&out] { return static_cast<varlena *>(palloc(VARHDRSZ + out.size())); });
    SET_VARSIZE(masked, VARHDRSZ + out.size());
    memcpy(VARDATA(masked), out.data(), out.size());
  }
  return to_server_text(masked);
}

varlena *token_reveal(const TokenType *type, const bytea *token) {
  disclosure_require(type, Operation::reveal);
  return token_open(type, token, true);
}

text *token_reveal_masked(const TokenType *type, const bytea *token) {
  disclosure_require(type, Operation::masked);
  return token_open_masked(type, token, true);
}

}  // namespace redoubt::pg
