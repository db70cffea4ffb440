// kek.h - the key-encryption key: where it comes from and what derives from it.
//
// Loaded once in the postmaster (redoubt.kek_file or redoubt.kek_command; the previous one likewise) and
// inherited by every process through fork, in memory that is excluded from core
// dumps.  It never touches a PostgreSQL memory context.
#ifndef REDOUBT_PG_AUDIT_KEK_H
#define REDOUBT_PG_AUDIT_KEK_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

constexpr std::size_t kKekSize = 32;
constexpr std::size_t kKekFingerprintSize = 16;  // hex digits, without the terminator

// The server's KEK, and the one it had before: while both are configured, data keys wrapped by either can be used and
// redoubt.rewrap_keys() wraps them by the first.  Nothing new is ever wrapped or chained by the second.
enum class KekRole : std::uint8_t { current, previous };

// Reads both.  A problem is a WARNING, not a failed start: the server runs,
// tokens stay readable, and everything that needs the KEK says why it cannot.
void kek_load();

bool kek_available(KekRole role = KekRole::current) noexcept;

// Sixteen hex digits that identify the KEK without disclosing it; "" without one.
const char *kek_fingerprint(KekRole role = KekRole::current) noexcept;

// Why there is no KEK, in words for a message.  Only while !kek_available(role); "" where none is configured as
// previous.
const char *kek_problem(KekRole role = KekRole::current) noexcept;

// The 32-byte KEK that a fingerprint names; empty where this server has none of that name.
std::span<const std::uint8_t> kek_bytes(const char *fingerprint) noexcept;

// The 32-byte key that chains the audit trail: HMAC-SHA-256(KEK, "redoubt audit chain v1").  Only while
// kek_available(role).
std::span<const std::uint8_t, 32> kek_audit_key(KekRole role = KekRole::current) noexcept;

// The private key that signs heads of the audit trail: HMAC-SHA-256(KEK, "redoubt audit signature v1"), and its public
// key. Only while kek_available(role).
std::span<const std::uint8_t, 32> kek_signing_seed(KekRole role = KekRole::current) noexcept;
std::span<const std::uint8_t, 32> kek_public_key(KekRole role = KekRole::current) noexcept;

// Raises 55000, saying why there is no KEK and how to mend it, unless kek_available().
void require_kek();

}  // namespace redoubt::pg
#endif
