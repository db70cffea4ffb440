// vault.cpp - see vault.h.
//
// Order of work: privilege (the caller), budget, look-up, and only then a row.  The plaintext is copied, because
// writing the row runs PostgreSQL code that may tokenize in its turn, and wiped afterwards.
// Invariant: nothing but fingerprints and sealed values goes to vault_store.h, and no error message holds a part of a
// value or of a token.
// Covered by sql/vault.sql, test/isolation/specs/vault_first.spec and test/tap/vault.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "core/format_cipher.h"
#include "core/random.h"
#include "core/secret.h"
#include "core/vault.h"
#include "pg/reveal/disclosure.h"
#include "pg/keys/keys.h"
#include "pg/base/plaintext.h"
#include "pg/base/varlena_view.h"
#include "pg/vault/vault.h"
#include "pg/vault/vault_store.h"

namespace redoubt::pg {
namespace {

// A format's token may be taken.  With half of them in use this many attempts fail once in 10^30.
constexpr int kAttempts = 100;

using Bytes = std::span<const std::uint8_t>;
using Fingerprint = std::array<std::uint8_t, kVaultFingerprintSize>;

void require_randomness(bool ok) {
  if (!ok) ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("OpenSSL has no randomness"), errhidestmt(true)));
}

void require_writable(const TokenType *type) {
  if (IsInParallelMode())
    ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
                    errmsg("cannot change the vault of token type %s in a parallel query", type->name),
                    errhint("Set max_parallel_workers_per_gather to 0, or mark the function that the query calls "
                            "PARALLEL UNSAFE."),
                    errhidestmt(true)));
  if (XactReadOnly)
    ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                    errmsg("cannot change the vault of token type %s in a read-only transaction", type->name),
                    errhint("Tokens are made and forgotten on the primary, in a transaction that may write; "
                            "%s_find() finds those that exist.",
                            type->name),
                    errhidestmt(true)));
}

[[noreturn]] void refuse_disabled(const TokenType *type) {
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the token of type %s is disabled", type->name),
       errhint("A member of redoubt_admin makes it usable again with redoubt.enable_tokens()."), errhidestmt(true)));
  pg_unreachable();
}

[[noreturn]] void refuse_corrupt(const TokenType *type) {
  ereport(ERROR,
          (errcode(ERRCODE_DATA_CORRUPTED), errmsg("the vault's row of a token of type %s is corrupt", type->name),
           errhint("It was changed by hand, or comes from a database with other keys."), errhidestmt(true)));
  pg_unreachable();
}

[[noreturn]] void refuse_hidden(const TokenType *type) {
  ereport(ERROR,
          (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
           errmsg("could not serialize access to the vault of token type %s", type->name),
           errhint("Another transaction made the token after this one had begun; try again."), errhidestmt(true)));
  pg_unreachable();
}

void require_consistent(const TokenType *type) {
  if (type->deterministic) return;
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("token type %s has a new token for every call", type->name),
           errdetail("The vault does not know which tokens are of one value."), errhidestmt(true)));
}

Fingerprint fingerprint_of(const TokenType *type, Bytes value) {
  Fingerprint fingerprint;
  if (keys_vault_sealer(type, 0)->fingerprint(value, fingerprint) != Status::ok)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not seal a value of token type %s", type->name),
                    errhidestmt(true)));
  return fingerprint;
}

// FF1 under a key that nobody has.
std::unique_ptr<FormatCipher> random_cipher() {
  SecretBytes<kFormatKeySize> key;
  std::array<std::uint8_t, kFormatClassIdSize> tweak;
  if (!random_bytes(key.span()) || !random_bytes(tweak))
    throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL has no randomness");
  std::unique_ptr<FormatCipher> cipher = FormatCipher::make(key.span(), tweak);
  if (cipher == nullptr) throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL could not set up a key");
  return cipher;
}

Refusal encrypt(const TokenType *type, FormatCipher &cipher, Bytes value, std::string &out) {
  const std::string_view text(reinterpret_cast<const char *>(value.data()), value.size());
  if (!type->is_integer) return type->format->crypt(Ff1Direction::encrypt, cipher, text, out);
  std::int64_t number = 0;
  std::int64_t random = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), number);
  const Refusal refusal = type->format->crypt(Ff1Direction::encrypt, cipher, number, random);
  out = std::to_string(random);
  return refusal;
}

// A random value of the type's format.  It keeps what the format keeps.
Refusal random_in_format(const TokenType *type, Bytes value, bytea **token) {
  std::string out;
  const Refusal refusal = encrypt(type, *random_cipher(), value, out);
  if (refusal.ok())
    *token = call([&out] { return vault_bytes({reinterpret_cast<const std::uint8_t *>(out.data()), out.size()}); });
  return refusal;
}

}  // namespace

Refusal vault_fit_format(const TokenType *type, std::span<const Datum> values) {
  const std::unique_ptr<FormatCipher> cipher = random_cipher();
  std::string out;
  for (const Datum value : values) {
    if (InterruptPending) call([] { CHECK_FOR_INTERRUPTS(); });
    const Refusal refusal = encrypt(type, *cipher, varlena_bytes(DatumGetPointer(value)), out);
    if (!refusal.ok()) return refusal;
  }
  return {Status::ok, 0, ""};
}

namespace {

// A token that is probably unused.
bytea *random_token(const TokenType *type, Bytes value) {
  if (type->format == nullptr) {
    std::array<std::uint8_t, kSivSize> random;
    require_randomness(random_bytes(random));
    return vault_bytes(random);
  }
  bytea *token = nullptr;
  const Refusal refusal = random_in_format(type, value, &token);
  if (!refusal.ok()) value_refuse(type, refusal);
  return token;
}

bytea *seal(const TokenType *type, const bytea *token, Bytes value) {
  const std::size_t size = VaultSealer::sealed_size(value.size());
  if (size > MaxAllocSize - VARHDRSZ)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("value too long for token type %s", type->name),
                    errhidestmt(true)));
  auto *sealed = static_cast<bytea *>(palloc(VARHDRSZ + size));
  SET_VARSIZE(sealed, VARHDRSZ + size);
  const std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t *>(VARDATA(sealed)), size);
  if (keys_vault_sealer(type, 0)->seal(varlena_bytes(token), value, out) != Status::ok)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not seal a value of token type %s", type->name),
                    errhidestmt(true)));
  return sealed;
}

// The value of a row, palloc'd; null where it does not open.
varlena *try_open_row(const TokenType *type, const bytea *token, const VaultRow &row) {
  const auto version = vault_key_version(varlena_bytes(row.sealed));
  if (version.ok()) {
    VaultSealer *sealer = keys_vault_sealer(type, *version);
    const std::size_t size = varlena_bytes(row.sealed).size() - kVaultOverhead;
    bytea *value = plaintext_room(size);
    const std::span<std::uint8_t> out(reinterpret_cast<std::uint8_t *>(VARDATA(value)), size);
    if (sealer->open(varlena_bytes(token), varlena_bytes(row.sealed), out) == Status::ok) return value;
  }
  return nullptr;
}

varlena *open_row(const TokenType *type, const bytea *token, const VaultRow &row) {
  varlena *value = try_open_row(type, token, row);
  if (value == nullptr) refuse_corrupt(type);
  return value;
}

// A row that a fingerprint led to is the value's: the fingerprint is not sealed, and may have been moved by hand.
void require_row_of(const TokenType *type, const VaultRow &row, Bytes value) {
  if (!secret_equal(varlena_bytes(open_row(type, row.token, row)), value)) refuse_corrupt(type);
}

// The token that a value has; null where there is none.  A row that has expired is deleted.
bytea *existing(const TokenType *type, Bytes value, const bytea *fingerprint) {
  const VaultRow row = vault_find_settled(type->class_id, VaultBy::fingerprint, fingerprint);
  if (!row.found) return nullptr;
  if (row.expired) {
    require_writable(type);
    (void)vault_delete(type->class_id, VaultBy::token,
                       row.token);  // not by fingerprint: that may be another's by now
    return nullptr;
  }
  if (row.disabled) refuse_disabled(type);
  require_row_of(type, row, value);
  return row.token;
}

// The token of `value`, made if there is none.
bytea *obtain(const TokenType *type, Bytes value, const bytea *fingerprint) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    CHECK_FOR_INTERRUPTS();
    if (bytea *token = fingerprint != nullptr ? existing(type, value, fingerprint) : nullptr) return token;
    require_writable(type);
    bytea *token = random_token(type, value);
    // Waits for another transaction that makes the same; if that commits, the next look finds its token.
    if (vault_insert(type->class_id, token, fingerprint, seal(type, token, value), type)) {
      disclosure_count_vaulted(type);
      return token;
    }
  }
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("no unused token of type %s was found", type->name),
                  errdetail("%d random ones were in use.", kAttempts),
                  errhint("A format with more values has room for more tokens."), errhidestmt(true)));
  pg_unreachable();
}

// A value of an array.
struct Numbered {
  Fingerprint fingerprint;
  std::size_t index;
};

std::span<Numbered> by_fingerprint(const TokenType *type, std::span<const Datum> values) {
  auto *made = static_cast<Numbered *>(palloc_extended(sizeof(Numbered) * values.size(), MCXT_ALLOC_HUGE));
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK_FOR_INTERRUPTS();
    made[i] = {{}, i};
    if (type->deterministic) made[i].fingerprint = fingerprint_of(type, varlena_bytes(DatumGetPointer(values[i])));
  }
  const std::span<Numbered> all(made, values.size());
  if (type->deterministic)
    std::ranges::sort(all, [](const Numbered &a, const Numbered &b) {
      CHECK_FOR_INTERRUPTS();  // an array may have millions
      return a.fingerprint < b.fingerprint;
    });
  return all;
}

// Deletes a row; false if there is none.  One that was made while this waited is deleted too, where the isolation level
// lets it be seen.
bool forget(const TokenType *type, VaultBy by, const bytea *key) {
  const bytea *left = nullptr;
  while (true) {
    CHECK_FOR_INTERRUPTS();
    if (vault_delete(type->class_id, by, key)) return true;
    const VaultRow row = vault_find(type->class_id, by, key);
    if (!row.found) return false;
    if (IsolationUsesXactSnapshot() ||
        (left != nullptr && std::ranges::equal(varlena_bytes(left), varlena_bytes(row.token))))
      refuse_hidden(type);
    left = row.token;
  }
}

}  // namespace

bytea *vault_bytes(Bytes bytes) {
  auto *copy = static_cast<bytea *>(palloc(VARHDRSZ + bytes.size()));
  SET_VARSIZE(copy, VARHDRSZ + bytes.size());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::uint8_t *>(VARDATA(copy)));
  return copy;
}

bytea *vault_tokenize(const TokenType *type, Bytes value) {
  const bytea *plain = plaintext_copy(value);  // the statements below may use the buffer it comes from
  const bytea *fingerprint = nullptr;
  Fingerprint charged;
  if (type->deterministic) {
    charged = fingerprint_of(type, varlena_bytes(plain));
    fingerprint = vault_bytes(charged);
  } else {
    require_randomness(random_bytes(charged));  // no two calls are one
  }
  disclosure_tokenize_charge(type, charged);
  return obtain(type, varlena_bytes(plain), fingerprint);
}

// In the order of their fingerprints, whatever that of the array: two calls never wait for each other.
void vault_tokenize_all(const TokenType *type, std::span<Datum> values) {
  const Refusal refusal = type->format != nullptr ? vault_fit_format(type, values) : Refusal{Status::ok, 0, ""};
  if (!refusal.ok()) value_refuse(type, refusal);
  Fingerprint charged;
  require_randomness(random_bytes(charged));  // no two calls are one
  disclosure_tokenize_charge(type, charged, static_cast<uint32>(values.size()));
  const std::span<Numbered> order = by_fingerprint(type, values);
  MemoryContext per_value = AllocSetContextCreate(CurrentMemoryContext, "redoubt vault", ALLOCSET_SMALL_SIZES);
  for (const Numbered &next : order) {
    Datum &value = values[next.index];
    const Bytes plain = varlena_bytes(DatumGetPointer(value));
    MemoryContext caller = MemoryContextSwitchTo(per_value);
    const bytea *token = obtain(type, plain, type->deterministic ? vault_bytes(next.fingerprint) : nullptr);
    MemoryContextSwitchTo(caller);
    value = PointerGetDatum(vault_bytes(varlena_bytes(token)));
    MemoryContextReset(per_value);
  }
  MemoryContextDelete(per_value);
}

bytea *vault_find_token(const TokenType *type, Bytes value) {
  require_consistent(type);
  const Fingerprint fingerprint = fingerprint_of(type, value);
  disclosure_tokenize_charge(type, fingerprint);
  const VaultRow row = vault_find(type->class_id, VaultBy::fingerprint, vault_bytes(fingerprint));
  if (!row.found || row.expired) return nullptr;
  require_row_of(type, row, value);
  return row.token;
}

varlena *vault_open(const TokenType *type, const bytea *token, bool required) {
  const VaultRow row = vault_find(type->class_id, VaultBy::token, token);
  if (!row.found || row.expired) {
    if (!required) return nullptr;
    ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
                    row.found ? errmsg("the token of type %s has expired", type->name)
                              : errmsg("the token of type %s is not in the vault", type->name),
                    row.found ? 0 : errdetail("It has expired, was forgotten, or was never made in this database."),
                    errhidestmt(true)));
  }
  if (row.disabled) {
    if (!required) return nullptr;
    refuse_disabled(type);
  }
  return open_row(type, token, row);
}

int64 vault_reseal_batch(const TokenType *type, const bytea *after, int limit, const bytea **last) {
  const std::uint16_t version = keys_vault_sealer(type, 0)->key_version();
  const VaultPart part = vault_rows_of_other_keys(type->class_id, version, after, limit);
  MemoryContext per_value = AllocSetContextCreate(CurrentMemoryContext, "redoubt vault", ALLOCSET_SMALL_SIZES);
  int64 sealed = 0;
  int corrupt = 0;
  for (const auto *token : list_of<const bytea>(part.tokens)) {
    CHECK_FOR_INTERRUPTS();
    MemoryContext caller = MemoryContextSwitchTo(per_value);
    const VaultRow row = vault_find(type->class_id, VaultBy::token, token);
    varlena *value = row.found ? try_open_row(type, token, row) : nullptr;
    if (row.found && value == nullptr) ++corrupt;
    if (value != nullptr) {
      const bytea *anew = seal(type, token, varlena_bytes(value));
      if (vault_reseal(type->class_id, token, row.sealed, anew)) ++sealed;
    }
    MemoryContextSwitchTo(caller);
    MemoryContextReset(per_value);
  }
  MemoryContextDelete(per_value);
  if (corrupt > 0)
    ereport(WARNING, (errcode(ERRCODE_DATA_CORRUPTED),
                      errmsg("%d values of type %s in the vault are corrupt and stay as they are", corrupt, type->name),
                      errhidestmt(true)));
  *last = part.last;
  return sealed;
}

bool vault_forget_token(const TokenType *type, const bytea *token) {
  require_writable(type);
  return forget(type, VaultBy::token, token);
}

bool vault_forget_value(const TokenType *type, Bytes value) {
  require_consistent(type);
  require_writable(type);
  const Fingerprint charged = fingerprint_of(type, value);
  const bytea *fingerprint = vault_bytes(charged);
  disclosure_tokenize_charge(type, charged);
  return forget(type, VaultBy::fingerprint, fingerprint);
}

}  // namespace redoubt::pg
