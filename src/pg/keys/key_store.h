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

struct WrappedKey {
  int version = 0;  // 0: not found
  std::size_t size = 0;
  std::array<std::uint8_t, kWrappedSize> bytes{};
  char kek[kKekFingerprintSize + 1] = "";
};
static_assert(std::is_trivially_destructible_v<WrappedKey>);

// key_store_read finds the row of version `version`, or of the highest one for 0.
WrappedKey key_store_read(const char *name, int version);

// key_store_check raises 55000, naming the fingerprints, unless a KEK of this server wrapped the key.
void key_store_check(const char *name, const WrappedKey &wrapped);

// key_store_unwrap yields K1 and K2 of a key that was checked; throws XX001.
void key_store_unwrap(const WrappedKey &wrapped, DataKey &out);

// key_store_wrap wraps a key by the server's KEK.
void key_store_wrap(const DataKey &key, std::span<std::uint8_t, kWrappedSize> out);

// key_store_insert adds the row as the table's owner: callers were checked before.  False if
// another session was faster; it is waited for.
bool key_store_insert(const char *name, int version, std::span<const std::uint8_t, kWrappedSize> wrapped);

}  // namespace redoubt::pg
#endif
