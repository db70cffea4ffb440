// fpe_value.cpp - see fpe_value.h.
//
// Invariant: callers have been admitted (disclosure.h) before anything is decrypted, nothing
// is encrypted unless disclosure_tokenize_allowed() has, and no error message ever
// holds a part of a value or of a token.
// Covered by sql/fpe.sql.
#include "pg/boundary.h"

#include "core/unicode_text.h"
#include "pg/disclosure.h"
#include "pg/fpe_value.h"
#include "pg/keys.h"
#include "pg/log_guard.h"
#include "pg/token_value.h"
#include "pg/vault.h"

namespace redoubt::pg {
namespace {

// What is refused as a token may be plaintext in the wrong place.
[[noreturn]] void refuse_token(Oid type, const Refusal &refusal) {
  log_guard_mark();
  const bool placed = refusal.position > 0;
  ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                  placed ? errmsg("malformed token for type %s: %s at character %zu", format_type_be(type),
                                  refusal.reason, refusal.position)
                         : errmsg("malformed token for type %s: %s", format_type_be(type), refusal.reason),
                  errhint("What is written into a column of a format-preserving type is a token; "
                          "redoubt.tokenize(value, '%s') makes one.",
                          format_type_be(type)),
                  errhidestmt(true)));
  pg_unreachable();
}

[[noreturn]] void corrupt(const TypePolicy *policy) {
  ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                  errmsg("corrupt token in a value of type %s: it has not the type's format", policy->name),
                  errhidestmt(true)));
  pg_unreachable();
}

// Results are made in a buffer of the backend's, so that no destructor is pending
// when PostgreSQL raises; wiped after use.
std::string &buffer() {
  static constinit std::string *made = nullptr;  // never freed: no static destructors
  if (made == nullptr) made = new std::string();
  return *made;
}

void wipe_buffer() {
  OPENSSL_cleanse(buffer().data(), buffer().size());
  buffer().clear();
}

// The buffer's UTF-8 as a text in the server encoding.
text *buffer_text() {
  char *local = pg_any_to_server(buffer().data(), static_cast<int>(buffer().size()), PG_UTF8);
  const std::size_t size = local == buffer().data() ? buffer().size() : strlen(local);
  text *result = cstring_to_text_with_len(local, static_cast<int>(size));
  wipe_buffer();
  return result;
}

std::string_view to_utf8(const char *data, std::size_t length) {
  const char *utf8 = pg_server_to_any(data, static_cast<int>(length), PG_UTF8);
  return {utf8, utf8 == data ? length : strlen(utf8)};
}

void decrypt(const TypePolicy *policy, const text *token) {
  FormatCipher *cipher = keys_format_cipher(policy);
  const std::string_view in = to_utf8(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token));
  if (!policy->format->crypt(Ff1Direction::decrypt, *cipher, in, buffer()).ok()) corrupt(policy);
}

int64 decrypt(const TypePolicy *policy, int64 token) {
  std::int64_t value = 0;
  if (!policy->format->crypt(Ff1Direction::decrypt, *keys_format_cipher(policy), token, value).ok()) corrupt(policy);
  return value;
}

// Charges a token; the same one again in one statement costs nothing.
void charge(const TypePolicy *policy, const void *token, std::size_t size) {
  const auto *bytes = static_cast<const unsigned char *>(token);
  const std::array<uint64, 2> fingerprint = {hash_bytes_extended(bytes, static_cast<int>(size), 1),
                                             hash_bytes_extended(bytes, static_cast<int>(size), 2)};
  static_assert(sizeof fingerprint == 16);
  disclosure_tokenize_charge(
      policy, std::span<const std::uint8_t, 16>(reinterpret_cast<const std::uint8_t *>(fingerprint.data()), 16));
}

text *masked_text(const TypePolicy *policy, std::string_view value) {
  std::string masked;
  mask_apply(policy->mask, value, masked);
  buffer().swap(masked);
  OPENSSL_cleanse(masked.data(), masked.size());
  return call([] { return buffer_text(); });
}

// The digits of a bigint.  Not wiped by a destructor, which PostgreSQL's errors would jump over: it is the
// numbers that are everywhere.
class Digits {
 public:
  explicit Digits(int64 value) noexcept : size_(pg_lltoa(value, text_)) {}
  std::string_view view() const noexcept { return {text_, static_cast<std::size_t>(size_)}; }

 private:
  char text_[MAXINT8LEN + 1];
  int size_;
};

// To the vault and back: UTF-8 there, the server's encoding here.
std::span<const std::uint8_t> vault_value(std::string_view utf8) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(utf8.data()), utf8.size()};
}

std::string_view vault_view(const varlena *utf8) noexcept {
  return {VARDATA_ANY(utf8), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(utf8))};
}

text *vault_text(const varlena *utf8) {
  const std::string_view view = vault_view(utf8);
  char *local = pg_any_to_server(view.data(), static_cast<int>(view.size()), PG_UTF8);
  return cstring_to_text_with_len(local, static_cast<int>(local == view.data() ? view.size() : strlen(local)));
}

int64 vault_integer(const varlena *digits) {
  const std::string_view view = vault_view(digits);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (error != std::errc() || end != view.data() + view.size()) elog(ERROR, "an integer in the vault is none");
  return value;
}

text *vault_masked(const TypePolicy *policy, varlena *value) {
  text *masked = masked_text(policy, vault_view(value));
  OPENSSL_cleanse(VARDATA(value), VARSIZE(value) - VARHDRSZ);
  return masked;
}

text *text_copy(const text *token) {
  return cstring_to_text_with_len(VARDATA_ANY(token), static_cast<int>(VARSIZE_ANY_EXHDR(token)));
}

}  // namespace

text *fpe_tokenize(const TypePolicy *policy, const char *value, std::size_t length) {
  disclosure_tokenize_allowed(policy);
  const std::string_view in = value_checked(policy, value, length);
  if (policy->vaulted) return vault_text(vault_tokenize(policy, vault_value(in)));
  FormatCipher *cipher = keys_format_cipher(policy);
  const Refusal refusal = policy->format->crypt(Ff1Direction::encrypt, *cipher, in, buffer());
  if (!refusal.ok()) value_refuse(policy, refusal);
  text *token = buffer_text();
  charge(policy, VARDATA(token), VARSIZE(token) - VARHDRSZ);
  return token;
}

int64 fpe_tokenize(const TypePolicy *policy, int64 value) {
  disclosure_tokenize_allowed(policy);
  if (policy->vaulted) return vault_integer(vault_tokenize(policy, vault_value(Digits(value).view())));
  std::int64_t token = 0;
  const Refusal refusal = policy->format->crypt(Ff1Direction::encrypt, *keys_format_cipher(policy), value, token);
  if (!refusal.ok()) value_refuse(policy, refusal);
  charge(policy, &token, sizeof token);
  return token;
}

text *fpe_accept(Oid type, const char *token, std::size_t length) {
  const TypePolicy *policy = policy_find(type);
  const std::string_view in = to_utf8(token, length);
  if (in.find(kMaskCharacter) != std::string_view::npos)
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
             errmsg("invalid value for token type %s: mask character", format_type_be(type)),
             errhint("The value is the masked form of a token and cannot be stored; leave the column unchanged."),
             errhidestmt(true)));
  if (policy != nullptr) {
    const Refusal refusal = policy->format->accepts(in);
    if (!refusal.ok()) refuse_token(type, refusal);
  }
  return cstring_to_text_with_len(token, static_cast<int>(length));
}

int64 fpe_accept(Oid type, int64 token) {
  const TypePolicy *policy = policy_find(type);
  if (policy != nullptr) {
    const Refusal refusal = policy->format->accepts(token);
    if (!refusal.ok()) refuse_token(type, refusal);
  }
  return token;
}

text *fpe_open(const TypePolicy *policy, const text *token, bool required) {
  if (policy->vaulted) {
    const varlena *value = vault_open(policy, fpe_vault_key(token), required);
    return value != nullptr ? vault_text(value) : text_copy(token);
  }
  decrypt(policy, token);
  return buffer_text();
}

int64 fpe_open(const TypePolicy *policy, int64 token, bool required) {
  if (!policy->vaulted) return decrypt(policy, token);
  const varlena *value = vault_open(policy, fpe_vault_key(token), required);
  return value != nullptr ? vault_integer(value) : token;
}

text *fpe_open_masked(const TypePolicy *policy, const text *token, bool required) {
  if (policy->vaulted) {
    varlena *value = vault_open(policy, fpe_vault_key(token), required);
    return value != nullptr ? vault_masked(policy, value) : text_copy(token);
  }
  decrypt(policy, token);
  return masked_text(policy, buffer());
}

text *fpe_open_masked(const TypePolicy *policy, int64 token, bool required) {
  if (policy->vaulted) {
    varlena *value = vault_open(policy, fpe_vault_key(token), required);
    return value != nullptr ? vault_masked(policy, value) : vault_text(fpe_vault_key(token));
  }
  return masked_text(policy, Digits(decrypt(policy, token)).view());
}

text *fpe_find(const TypePolicy *policy, const char *value, std::size_t length) {
  disclosure_tokenize_allowed(policy);
  const bytea *key = vault_find_token(policy, vault_value(value_checked(policy, value, length)));
  return key != nullptr ? vault_text(key) : nullptr;
}

int64 fpe_find(const TypePolicy *policy, int64 value, bool *found) {
  disclosure_tokenize_allowed(policy);
  const bytea *key = vault_find_token(policy, vault_value(Digits(value).view()));
  *found = key != nullptr;
  return key != nullptr ? vault_integer(key) : 0;
}

bytea *fpe_vault_key(const text *token) {
  return vault_bytes(vault_value(to_utf8(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token))));
}

bytea *fpe_vault_key(int64 token) { return vault_bytes(vault_value(Digits(token).view())); }

int64 fpe_parse_integer(Oid type, const char *text, std::size_t length) {
  const std::string_view trimmed = trim_white_space({text, length});
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), value);
  if (error != std::errc() || end != trimmed.data() + trimmed.size())
    refuse_token(type, {Status::malformed, 0, "not a bigint"});
  return value;
}

}  // namespace redoubt::pg
