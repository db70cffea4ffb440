// keys.cpp - see keys.h.
//
// Order of work on a cache miss: (1) plain PostgreSQL code copies the wrapped
// row, (2) pure C++ unwraps it and sets up the contexts.  No key byte exists
// while PostgreSQL code runs, so no longjmp can skip a wipe.
// Covered by sql/keys.sql and test/tap/keys.pl.
#include "pg/base/boundary.h"

#include "core/random.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/catalog.h"
#include "pg/audit/kek.h"
#include "pg/keys/key_store.h"
#include "pg/keys/keys.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

struct CachedSealer {
  NameData key;
  std::array<std::uint8_t, kClassIdSize> class_id;
  std::uint16_t version;
  bool current;
  TokenSealer sealer;
};
using SealerCache = std::vector<std::unique_ptr<CachedSealer>>;

struct CachedCipher {
  NameData key;
  std::array<std::uint8_t, kClassIdSize> class_id;
  std::int32_t version;
  std::unique_ptr<FormatCipher> cipher;
};
using CipherCache = std::vector<CachedCipher>;

struct CachedVault {
  NameData key;
  std::array<std::uint8_t, kClassIdSize> class_id;
  std::uint16_t version;
  bool current;
  std::unique_ptr<VaultSealer> sealer;
};
using VaultCache = std::vector<CachedVault>;

// The sealer used last, and for whom: a scan asks for the same one row after row.
struct RecentSealer {
  const TokenType *type;
  std::uint64_t generation;  // of the token type, whose key name may change
  std::uint16_t version;
  CachedSealer *entry;  // null: none
};

// The same for format-preserving types.
struct RecentCipher {
  const TokenType *type;
  std::uint64_t generation;
  FormatCipher *cipher;  // null: none
};

struct State {
  SealerCache *cache = nullptr;
  CipherCache *ciphers = nullptr;
  VaultCache *vaults = nullptr;
  RecentSealer recent = {};
  RecentCipher recent_cipher = {};
  bool stale = false;
  Oid table_oid = InvalidOid;  // of redoubt.key, as last seen
};
constinit State state;

}  // namespace

void keys_relation_changed(Oid relid) {
  if (!OidIsValid(relid) || relid == state.table_oid || !OidIsValid(state.table_oid)) state.stale = true;
}
}  // namespace redoubt::pg

extern "C" {
static void keys_wipe(int, Datum) {
  using namespace redoubt::pg;
  state.recent = {};
  state.recent_cipher = {};
  delete state.cache;
  state.cache = nullptr;
  delete state.ciphers;
  state.ciphers = nullptr;
  delete state.vaults;
  state.vaults = nullptr;
}
}

namespace redoubt::pg {
namespace {

void cache_init() {
  if (state.cache != nullptr) return;
  static bool registered = false;  // the cache may have been wiped by a failed start
  if (!registered) {
    on_proc_exit(shielded<keys_wipe, WARNING>, 0);
    registered = true;
  }
  state.ciphers = new CipherCache();
  state.vaults = new VaultCache();
  state.cache = new SealerCache();
}

WrappedKey read_key(const char *name, int version) {
  state.table_oid = catalog_relation("key");
  return key_store_read(name, version);
}

void forget_stale() {
  if (!state.stale) return;
  state.recent = {};
  state.recent_cipher = {};
  state.cache->clear();
  state.ciphers->clear();
  state.vaults->clear();
  state.stale = false;
}

CachedSealer *find_cached(const TokenType *type, std::uint16_t version) noexcept {
  for (const auto &entry : *state.cache)
    if ((version == 0 ? entry->current : entry->version == version) && entry->class_id == type->class_id &&
        strcmp(NameStr(entry->key), NameStr(type->key)) == 0)
      return entry.get();
  return nullptr;
}

CachedSealer *add_sealer(const TokenType *type, const WrappedKey &wrapped, bool current) {
  DataKey key;
  key_store_unwrap(wrapped, key);
  auto sealer = TokenSealer::make(key.span().first<kKeySize>(), key.span().last<kKeySize>(), type->class_id,
                                  static_cast<std::uint16_t>(wrapped.version));
  if (!sealer.ok()) throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL could not set up a data key");
  state.cache->push_back(std::unique_ptr<CachedSealer>(new CachedSealer{
      type->key, type->class_id, static_cast<std::uint16_t>(wrapped.version), current, std::move(*sealer)}));
  return state.cache->back().get();
}

// Makes version `version` of a key; K1 comes from `previous` unless null.
void make_wrapped(const WrappedKey *previous, std::span<std::uint8_t, kWrappedSize> out) {
  DataKey key;
  if (!random_bytes(key.span())) throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL has no randomness");
  if (previous != nullptr) {
    DataKey old;
    key_store_unwrap(*previous, old);
    std::copy_n(old.span().begin(), kKeySize, key.span().begin());
  }
  key_store_wrap(key, out);
}

// Wraps and stores version `version` of a key; false if another session did so
// meanwhile.
bool store_key(const char *name, int version, const WrappedKey *previous) {
  call([] { key_store_require_fit(); });
  std::array<std::uint8_t, kWrappedSize> wrapped;
  make_wrapped(previous, wrapped);
  const bool inserted = call([name, version, &wrapped] { return key_store_insert(name, version, wrapped); });
  state.stale = true;
  if (!inserted) return false;
  const char *operation = previous == nullptr ? "create_key" : "rotate_key";
  call([name, operation] { audit_write({.event = "key", .operation = operation, .detail = name}); });
  return true;
}

// make_key creates the first or the next version of `name` and returns its number.
int make_key(const char *name, bool rotate) {
  const WrappedKey previous = call([name] { return read_key(name, 0); });
  // After a key was destroyed its name may have a new one, whose versions go on.
  const bool anew = !rotate && previous.version != 0 && previous.state == KeyState::destroyed;
  if (!anew && rotate != (previous.version != 0))
    call([name, rotate] {
      if (rotate)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("key \"%s\" does not exist", name),
                        errhint("Make it with redoubt.create_key().")));
      ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("key \"%s\" already exists", name),
                      errhint("Use redoubt.rotate_key() for a new version of it.")));
    });
  if (previous.version == kMaxKeyVersion)
    throw Failure(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "a key has at most 65535 versions");
  const int version = previous.version + 1;
  if (rotate) call([name, &previous] { key_store_check(name, previous); });
  if (!store_key(name, version, rotate ? &previous : nullptr))
    throw Failure(ERRCODE_OBJECT_IN_USE, "another session made this version of the key", "Try again.");
  return version;
}

// Makes the key `default` at the first value that is tokenized with it, by whom-
// ever may do that; not earlier, so that restoring a dump in parts finds the
// table empty.  Returns whether it exists afterwards.
bool ensure_default_key(const char *name) {
  const bool possible = call(
      [name] { return strcmp(name, "default") == 0 && !RecoveryInProgress() && !XactReadOnly && !IsInParallelMode(); });
  if (!possible) return false;
  (void)store_key(name, 1, nullptr);
  return true;
}

// The row of a version of a key, 0 being the current one, wrapped by the server's KEK.
WrappedKey find_key(const char *name, std::uint16_t version) {
  WrappedKey wrapped = call([name, version] { return read_key(name, version); });
  if (wrapped.version == 0 && version == 0 && ensure_default_key(name))
    wrapped = call([name] { return read_key(name, 0); });
  call([name, version, &wrapped] {
    if (wrapped.version == 0 && version == 0)
      ereport(ERROR,
              (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("key \"%s\" does not exist", name),
               errhint("A member of redoubt_admin makes it with redoubt.create_key('%s').", name), errhidestmt(true)));
    if (wrapped.version == 0)
      ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                      errmsg("the token names version %d of key \"%s\", which does not exist", version, name),
                      errhint("The token is damaged or comes from another database: see redoubt.check_restore()."),
                      errhidestmt(true)));
    key_store_check(name, wrapped);
  });
  return wrapped;
}

}  // namespace

TokenSealer *keys_sealer(const TokenType *type, std::uint16_t version) {
  cache_init();
  forget_stale();
  if (state.recent.entry != nullptr && state.recent.type == type && state.recent.version == version &&
      state.recent.generation == type->generation)
    return &state.recent.entry->sealer;
  if (CachedSealer *hit = find_cached(type, version)) {
    state.recent = {type, type->generation, version, hit};
    return &hit->sealer;
  }

  const WrappedKey wrapped = find_key(NameStr(type->key), version);
  forget_stale();  // reading the table may have delivered an invalidation
  return &add_sealer(type, wrapped, version == 0)->sealer;
}

VaultSealer *keys_vault_sealer(const TokenType *type, std::uint16_t version) {
  cache_init();
  forget_stale();
  for (const CachedVault &entry : *state.vaults)
    if ((version == 0 ? entry.current : entry.version == version) && entry.class_id == type->class_id &&
        strcmp(NameStr(entry.key), NameStr(type->key)) == 0)
      return entry.sealer.get();

  const WrappedKey wrapped = find_key(NameStr(type->key), version);
  forget_stale();
  DataKey key;
  key_store_unwrap(wrapped, key);
  const auto found = static_cast<std::uint16_t>(wrapped.version);
  auto sealer = VaultSealer::make(key.span().first<kKeySize>(), key.span().last<kKeySize>(), type->class_id, found);
  if (!sealer.ok()) throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL could not set up a data key");
  state.vaults->push_back(
      {type->key, type->class_id, found, version == 0, std::make_unique<VaultSealer>(*std::move(sealer))});
  return state.vaults->back().sealer.get();
}

FormatCipher *keys_format_cipher(const TokenType *type) {
  cache_init();
  forget_stale();
  if (state.recent_cipher.cipher != nullptr && state.recent_cipher.type == type &&
      state.recent_cipher.generation == type->generation)
    return state.recent_cipher.cipher;
  for (const CachedCipher &entry : *state.ciphers)
    if (entry.version == type->key_version && entry.class_id == type->class_id &&
        strcmp(NameStr(entry.key), NameStr(type->key)) == 0) {
      state.recent_cipher = {type, type->generation, entry.cipher.get()};
      return entry.cipher.get();
    }

  const char *name = NameStr(type->key);
  const WrappedKey wrapped = call([name, type] {
    const WrappedKey found = read_key(name, type->key_version);
    if (found.version == 0)
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("version %d of key \"%s\", of token type %s, does not exist", type->key_version, name,
                             type->name),
                      errhint("Restore the row of redoubt.key from a backup."), errhidestmt(true)));
    key_store_check(name, found);
    return found;
  });
  forget_stale();
  DataKey key;
  SecretBytes<kFormatKeySize> derived;
  key_store_unwrap(wrapped, key);
  const bool done = format_key(key.span().last<kKeySize>(), type->class_id, derived);
  std::unique_ptr<FormatCipher> cipher = done ? FormatCipher::make(derived.span(), type->class_id) : nullptr;
  if (cipher == nullptr) throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL could not set up a data key");
  state.ciphers->push_back({type->key, type->class_id, type->key_version, std::move(cipher)});
  return state.ciphers->back().cipher.get();
}

}  // namespace redoubt::pg

REDOUBT_FUNCTION(redoubt_create_key) {
  using namespace redoubt::pg;
  require_preloaded();
  require_kek();
  const char *name = NameStr(*PG_GETARG_NAME(0));
  if (name[0] == '\0') ereport(ERROR, (errcode(ERRCODE_INVALID_NAME), errmsg("the name of a key must not be empty")));
  PG_RETURN_INT32(make_key(name, false));
}

REDOUBT_FUNCTION(redoubt_rotate_key) {
  using namespace redoubt::pg;
  require_preloaded();
  require_kek();
  const char *name = NameStr(*PG_GETARG_NAME(0));
  PG_RETURN_INT32(make_key(name, true));
}
