// kek.h - the key-encryption key: where it comes from and what derives from it.
//
// Loaded once in the postmaster (redoubt.kek_file or redoubt.kek_command) and
// inherited by every process through fork, in memory that is excluded from core
// dumps.  It never touches a PostgreSQL memory context.
#ifndef REDOUBT_PG_KEK_H
#define REDOUBT_PG_KEK_H

#include "pg/boundary.h"

namespace redoubt::pg {

constexpr std::size_t kKekSize = 32;
constexpr std::size_t kKekFingerprintSize = 16;  // hex digits, without the terminator

// Reads the KEK.  A problem is a WARNING, not a failed start: the server runs,
// tokens stay readable, and everything that needs the KEK says why it cannot.
void kek_load();

bool kek_available() noexcept;

// Sixteen hex digits that identify the KEK without disclosing it; "" without one.
const char *kek_fingerprint() noexcept;

// Why there is no KEK, in words for a message.  Only while !kek_available().
const char *kek_problem() noexcept;

// The 32-byte KEK.  Only valid while kek_available().
std::span<const std::uint8_t, kKekSize> kek_bytes() noexcept;

// The 32-byte key that chains the audit trail: HMAC-SHA-256(KEK, "redoubt audit chain v1").
std::span<const std::uint8_t, 32> kek_audit_key() noexcept;

// Raises 55000, saying why there is no KEK and how to mend it, unless kek_available().
void require_kek();

}  // namespace redoubt::pg
#endif
