// kek.h - the key-encryption key: where it comes from and what derives from it.
//
// Loaded in the postmaster (redoubt.kek_file or redoubt.kek_command; the previous one likewise), and again by
// redoubt.reload_kek(), into memory that all processes share by fork and that is excluded from core
// dumps.  It never touches a PostgreSQL memory context.  What is returned here stays valid and the same for the life of
// the process, also after another key has come into use.
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

// kek_reload reads both again, as the settings are now, and puts them into use in all processes at once; or changes
// nothing and says why.  The current one has to stay, as the current or the previous one, and with `keep_previous` the
// previous one, too.  Takes as long as redoubt.kek_command.
enum class KekReloadOutcome : std::uint8_t { done, unreadable, lost, busy };
struct KekReload {
  KekReloadOutcome outcome;
  char problem[256];  // unreadable: in words for a message; lost: the fingerprint that would be
};
KekReload kek_reload(bool keep_previous);

// The number of a KEK of this server, from 1 to kMaxKeks; 0: none.  Another one has another number.
constexpr std::uint32_t kMaxKeks = 30;  // that a server has had since its start
std::uint32_t kek_number(KekRole role = KekRole::current) noexcept;
const char *kek_fingerprint_of(std::uint32_t number) noexcept;

bool kek_available(KekRole role = KekRole::current) noexcept;

// Sixteen hex digits that identify the KEK without disclosing it; "" without one.
const char *kek_fingerprint(KekRole role = KekRole::current) noexcept;

// Why there is no KEK, in words for a message.  Only while !kek_available(role); "" where none is configured as
// previous.
const char *kek_problem(KekRole role = KekRole::current) noexcept;

// The 32-byte KEK that a fingerprint names; empty where this server has none of that name.
std::span<const std::uint8_t> kek_bytes(const char *fingerprint) noexcept;

// The 32-byte key that chains the audit trail: HMAC-SHA-256(KEK, "redoubt audit chain v1").  Of a number above 0.
std::span<const std::uint8_t, 32> kek_audit_key(std::uint32_t number) noexcept;

// The private key that signs heads of the audit trail: HMAC-SHA-256(KEK, "redoubt audit signature v1"), and its public
// key. Only while kek_available(role).
std::span<const std::uint8_t, 32> kek_signing_seed(KekRole role = KekRole::current) noexcept;
std::span<const std::uint8_t, 32> kek_public_key(KekRole role = KekRole::current) noexcept;

// Raises 55000, saying why there is no KEK and how to mend it, unless kek_available().
void require_kek();

}  // namespace redoubt::pg
#endif
