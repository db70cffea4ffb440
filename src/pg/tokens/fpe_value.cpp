// fpe_value.cpp - see fpe_value.h.
//
// Invariant: callers have been admitted (disclosure.h) before anything is decrypted, nothing
// is encrypted unless disclosure_tokenize_allowed() has, and no error message ever
// holds a part of a value or of a token.
// Covered by sql/fpe.sql and sql/arrays.sql.
#include "pg/base/boundary.h"

#include "core/unicode_text.h"
#include "pg/reveal/disclosure.h"
#include "pg/tokens/fpe_value.h"
#include "pg/tokens/mask_letter.h"
#include "pg/keys/keys.h"
#include "pg/base/log_guard.h"
#include "pg/tokens/token_value.h"
#include "pg/base/plaintext.h"
#include "pg/base/varlena_view.h"
#include "pg/vault/vault.h"

namespace redoubt::pg {
namespace {

constexpr Refusal kNotABigint = {Status::malformed, 0, "not a bigint"};

bool read_integer(std::string_view text, int64 &number) {
  const std::string_view trimmed = trim_white_space(text);
  const auto [end, error] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), number);
  return error == std::errc() && end == trimmed.data() + trimmed.size();
}

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

// The buffer for what a format makes of `in`: at most four bytes for each of its characters, or an address.
std::string &result_buffer(std::string_view in) {
  return plaintext_buffer(PlaintextStep::result, in.size() + 4 * kFormatMaxCharacters);
}

text *local_text(std::string_view utf8) {
  const std::string_view local = fpe_local(utf8);
  return cstring_to_text_with_len(local.data(), static_cast<int>(local.size()));
}

// A text that is digits alone, or null: encrypted or decrypted where it is returned, at none of the steps of others.
// Digits are the same in every encoding of a server.
text *crypt_digits(const TokenType *type, Ff1Direction direction, std::string_view in, FormatCipher *cipher) {
  Format::Digits digits;
  if (!type->format->find_digits(direction, in, digits)) return nullptr;
  auto *result = static_cast<text *>(palloc(VARHDRSZ + in.size()));
  SET_VARSIZE(result, VARHDRSZ + in.size());
  if (!type->format->crypt_digits(direction, *cipher, in, digits, VARDATA(result)).ok())
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL failed on a value of token type %s", type->name),
                    errhidestmt(true)));
  return result;
}

// The value of a token, in that buffer.
std::string_view decrypt(const TokenType *type, std::string_view token) {
  FormatCipher *cipher = keys_format_cipher(type);
  std::string &value = result_buffer(token);
  if (!type->format->crypt(Ff1Direction::decrypt, *cipher, fpe_utf8(token), value).ok()) fpe_corrupt(type);
  return value;
}

int64 decrypt(const TokenType *type, int64 token) {
  std::int64_t value = 0;
  if (!type->format->crypt(Ff1Direction::decrypt, *keys_format_cipher(type), token, value).ok()) fpe_corrupt(type);
  return value;
}

void charge(const TokenType *type, const void *token, std::size_t size) {
  disclosure_tokenize_charge(type, {static_cast<const std::uint8_t *>(token), size});
}

// To the vault and back: UTF-8 there, and the decimal digits of a bigint.
std::span<const std::uint8_t> vault_value(std::string_view utf8) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(utf8.data()), utf8.size()};
}

bytea *digits_copy(int64 value) {
  char digits[MAXINT8LEN + 1];
  const int size = pg_lltoa(value, digits);
  bytea *copy = plaintext_copy(vault_value({digits, static_cast<std::size_t>(size)}));
  OPENSSL_cleanse(digits, sizeof digits);
  return copy;
}

text *vault_text(const varlena *utf8) { return local_text(varlena_text(utf8)); }

int64 vault_integer(const varlena *digits) {
  const std::string_view view = varlena_text(digits);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (error != std::errc() || end != view.data() + view.size()) elog(ERROR, "an integer in the vault is none");
  return value;
}

// One value of a vaulted type; the vault charges.
text *vault_make(const TokenType *type, std::string_view value) {
  const std::string_view in = value_checked(type, value.data(), value.size());
  return vault_text(vault_tokenize(type, vault_value(in)));
}

int64 vault_make(const TokenType *type, int64 value) {
  return vault_integer(vault_tokenize(type, fpe_vault_value(value)));
}

}  // namespace

std::string_view fpe_utf8(std::string_view local) {
  if (GetDatabaseEncoding() == PG_UTF8) return local;
  const char *utf8 = pg_server_to_any(local.data(), static_cast<int>(local.size()), PG_UTF8);
  return {utf8, utf8 == local.data() ? local.size() : strlen(utf8)};
}

// UTF-8 that was made here, in the server encoding.  In a database of UTF-8 PostgreSQL would but verify it.
std::string_view fpe_local(std::string_view utf8) {
  if (GetDatabaseEncoding() == PG_UTF8) return utf8;
  const char *local = pg_any_to_server(utf8.data(), static_cast<int>(utf8.size()), PG_UTF8);
  return {local, local == utf8.data() ? utf8.size() : strlen(local)};
}

void fpe_corrupt(const TokenType *type) {
  ereport(ERROR,
          (errcode(ERRCODE_DATA_CORRUPTED),
           errmsg("corrupt token in a value of type %s: it has not the type's format", type->name), errhidestmt(true)));
  pg_unreachable();
}

text *fpe_mask(const TokenType *type, std::string_view value) { return token_masked(type, value); }

text *fpe_mask(const TokenType *type, int64 value) {
  char digits[MAXINT8LEN + 1];
  const int size = pg_lltoa(value, digits);
  text *masked = fpe_mask(type, {digits, static_cast<std::size_t>(size)});
  OPENSSL_cleanse(digits, sizeof digits);
  return masked;
}

text *fpe_tokenize(const TokenType *type, std::string_view value) {
  disclosure_tokenize_allowed(type);
  if (type->vaulted) return vault_make(type, value);
  const std::string_view in = value_checked(type, value.data(), value.size());
  FormatCipher *cipher = keys_format_cipher(type);
  text *token = crypt_digits(type, Ff1Direction::encrypt, in, cipher);
  if (token == nullptr) {
    std::string &made = result_buffer(in);
    const Refusal refusal = type->format->crypt(Ff1Direction::encrypt, *cipher, in, made);
    if (!refusal.ok()) value_refuse(type, refusal);
    token = local_text(made);
  }
  charge(type, VARDATA(token), VARSIZE(token) - VARHDRSZ);
  return token;
}

int64 fpe_tokenize(const TokenType *type, int64 value) {
  disclosure_tokenize_allowed(type);
  if (type->vaulted) return vault_make(type, value);
  std::int64_t token = 0;
  const Refusal refusal = type->format->crypt(Ff1Direction::encrypt, *keys_format_cipher(type), value, token);
  if (!refusal.ok()) value_refuse(type, refusal);
  charge(type, &token, sizeof token);
  return token;
}

void fpe_vault_all(const TokenType *type, std::span<Datum> values) {
  for (Datum &value : values) {
    CHECK_FOR_INTERRUPTS();
    if (type->is_integer) {
      value = PointerGetDatum(digits_copy(DatumGetInt64(value)));
      continue;
    }
    const std::string_view given = varlena_text(DatumGetPointer(value));
    value = PointerGetDatum(plaintext_copy(vault_value(value_checked(type, given.data(), given.size()))));
  }
  vault_tokenize_all(type, values);
  for (Datum &value : values) {
    const auto *token = reinterpret_cast<const varlena *>(DatumGetPointer(value));
    value = type->is_integer ? Int64GetDatum(vault_integer(token)) : PointerGetDatum(vault_text(token));
  }
}

Refusal fpe_problem(const TokenType *type, std::string_view value) {
  int64 number = 0;
  std::string_view normal;
  if (type->is_integer && !read_integer(value, number)) return kNotABigint;
  if (!type->is_integer)
    if (const Refusal refusal = value_problem(type, value, &normal); !refusal.ok()) return refusal;
  const Datum in = PointerGetDatum(type->is_integer ? digits_copy(number) : plaintext_copy(vault_value(normal)));
  return vault_fit_format(type, {&in, 1});
}

void fpe_check(Oid type, std::string_view token) {
  const TokenType *token_type = token_type_find(type);
  const std::string_view in = fpe_utf8(token);
  if (in.find(kMaskCharacter) != std::string_view::npos || mask_letter_find(token) > 0)
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
             errmsg("invalid value for token type %s: mask character", format_type_be(type)),
             errhint("The value is the masked form of a token and cannot be stored; leave the column unchanged."),
             errhidestmt(true)));
  if (token_type == nullptr) return;
  const Refusal refusal = token_type->format->accepts(in);
  if (!refusal.ok()) refuse_token(type, refusal);
}

void fpe_check(Oid type, int64 token) {
  const TokenType *token_type = token_type_find(type);
  if (token_type == nullptr) return;
  const Refusal refusal = token_type->format->accepts(token);
  if (!refusal.ok()) refuse_token(type, refusal);
}

text *fpe_accept(Oid type, std::string_view token) {
  fpe_check(type, token);
  return cstring_to_text_with_len(token.data(), static_cast<int>(token.size()));
}

int64 fpe_accept(Oid type, int64 token) {
  fpe_check(type, token);
  return token;
}

text *fpe_open(const TokenType *type, std::string_view token, bool required) {
  if (type->vaulted) {
    const varlena *value = vault_open(type, fpe_vault_key(token), required);
    return value != nullptr ? vault_text(value)
                            : cstring_to_text_with_len(token.data(), static_cast<int>(token.size()));
  }
  text *value = crypt_digits(type, Ff1Direction::decrypt, token, keys_format_cipher(type));
  return value != nullptr ? value : local_text(decrypt(type, token));
}

int64 fpe_open(const TokenType *type, int64 token, bool required) {
  if (!type->vaulted) return decrypt(type, token);
  const varlena *value = vault_open(type, fpe_vault_key(token), required);
  return value != nullptr ? vault_integer(value) : token;
}

text *fpe_open_masked(const TokenType *type, std::string_view token, bool required) {
  if (type->vaulted) {
    varlena *value = vault_open(type, fpe_vault_key(token), required);
    return value != nullptr ? fpe_mask(type, varlena_text(value))
                            : cstring_to_text_with_len(token.data(), static_cast<int>(token.size()));
  }
  return fpe_mask(type, decrypt(type, token));
}

text *fpe_open_masked(const TokenType *type, int64 token, bool required) {
  if (!type->vaulted) return fpe_mask(type, decrypt(type, token));
  varlena *value = vault_open(type, fpe_vault_key(token), required);
  return value != nullptr ? fpe_mask(type, varlena_text(value)) : vault_text(fpe_vault_key(token));
}

text *fpe_find(const TokenType *type, std::string_view value) {
  disclosure_tokenize_allowed(type);
  const std::string_view in = value_checked(type, value.data(), value.size());
  const bytea *key = vault_find_token(type, vault_value(in));
  return key != nullptr ? vault_text(key) : nullptr;
}

int64 fpe_find(const TokenType *type, int64 value, bool *found) {
  disclosure_tokenize_allowed(type);
  const bytea *key = vault_find_token(type, fpe_vault_value(value));
  *found = key != nullptr;
  return key != nullptr ? vault_integer(key) : 0;
}

text *fpe_sought(const TokenType *type, std::string_view value) {
  disclosure_tokenize_allowed(type);
  text *token = nullptr;
  if (fpe_problem(type, value).ok()) token = type->vaulted ? fpe_find(type, value) : fpe_tokenize(type, value);
  return token != nullptr ? token : cstring_to_text("");
}

int64 fpe_sought(const TokenType *type, int64 value) {
  disclosure_tokenize_allowed(type);
  bool found = fpe_problem(type, psprintf(INT64_FORMAT, value)).ok();
  int64 token = 0;
  if (found) token = type->vaulted ? fpe_find(type, value, &found) : fpe_tokenize(type, value);
  return found ? token : PG_INT64_MIN;
}

bytea *fpe_vault_key(std::string_view token) { return vault_bytes(vault_value(fpe_utf8(token))); }

std::span<const std::uint8_t> fpe_vault_value(int64 value) { return varlena_bytes(digits_copy(value)); }

bytea *fpe_vault_key(int64 token) {
  char digits[MAXINT8LEN + 1];
  const int size = pg_lltoa(token, digits);
  return vault_bytes(vault_value({digits, static_cast<std::size_t>(size)}));
}

int64 fpe_parse_integer(Oid type, std::string_view text) {
  int64 token = 0;
  if (!read_integer(text, token)) refuse_token(type, kNotABigint);
  return token;
}

int64 fpe_parse_integer_value(const TokenType *type, std::string_view text) {
  int64 value = 0;
  if (!read_integer(text, value)) value_refuse(type, kNotABigint);
  return value;
}

}  // namespace redoubt::pg
