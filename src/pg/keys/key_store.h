// key_store.h - the rows of redoubt.key: found, checked, unwrapped, wrapped, added, changed.
//
// What it is not: a cache, nor a judge of privileges.  What returns key bytes returns them in SecretBytes; frames that
// hold such call PostgreSQL through call() only.
#ifndef REDOUBT_PG_KEYS_KEY_STORE_H
#define REDOUBT_PG_KEYS_KEY_STORE_H

#include "pg/base/boundary.h"

#include "core/secret.h"
#include "pg/audit/kek.h"

namespace redoubt::pg {

constexpr std::size_t kKeySize = 32;                    // K1 and K2 each
constexpr std::size_t kWrappedSize = 2 * kKeySize + 8;  // RFC 5649 adds one 8-byte block
using DataKey = SecretBytes<2 * kKeySize>;              // K1, then K2

enum class KeyState : std::uint8_t { in_use, retired, destroyed };

struct WrappedKey {
  int version = 0;  // 0: not found
  std::size_t size = 0;
  std::array<std::uint8_t, kWrappedSize> bytes{};
  char kek[kKekFingerprintSize + 1] = "";
  KeyState state = KeyState::in_use;  // destroyed: there are no bytes
};
static_assert(std::is_trivially_destructible_v<WrappedKey>);

// key_store_read finds the row of version `version`, or of the highest one for 0.
WrappedKey key_store_read(const char *name, int version);

// A row, in a List that key_store_rows makes: those of the table that are not destroyed, by name and version.
struct KeyRow {
  char *name;
  WrappedKey wrapped;
};
List *key_store_rows();

// key_store_problem says why this server cannot open a key; null where it can.  It unwraps the key to find out.
const char *key_store_problem(const WrappedKey &wrapped) noexcept;

// key_store_unopened lists, a line each, those of `rows` that this server cannot open, and counts them.  Of very many
// it lists the first.
char *key_store_unopened(const List *rows, int *count);

// key_store_warn writes a WARNING into the server log where this server cannot open keys of the database.
void key_store_warn();

// key_store_require_fit raises 55000 where the database has keys and this server can open none of them: a new key under
// the server's KEK would then be one that nobody can use who has the right KEK.
void key_store_require_fit();

// key_store_check raises 55000 for a key that is retired or destroyed, or, naming the fingerprints, that no KEK of this
// server wrapped.
void key_store_check(const char *name, const WrappedKey &wrapped);

// key_store_unwrap yields K1 and K2 of a key that was checked; throws XX001.
void key_store_unwrap(const WrappedKey &wrapped, DataKey &out);

// key_store_wrap wraps a key by the server's KEK.
void key_store_wrap(const DataKey &key, std::span<std::uint8_t, kWrappedSize> out);

// key_store_insert adds the row as the table's owner: callers were checked before.  False if
// another session was faster; it is waited for.
bool key_store_insert(const char *name, int version, std::span<const std::uint8_t, kWrappedSize> wrapped);

// key_store_lock locks the table for the rest of the transaction: no key is made or changed meanwhile.
void key_store_lock();

// key_store_replace puts another wrapped form of the same key into its row, which must be as it was read.
void key_store_replace(const KeyRow &old, const WrappedKey &made);

// key_store_retire sets a version retired; key_store_destroy erases all versions of a name and returns how many.  They
// change the rows as the table's owner: callers were checked before.
void key_store_retire(const char *name, int version);
int key_store_destroy(const char *name);

}  // namespace redoubt::pg
#endif
