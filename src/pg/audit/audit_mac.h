// audit_mac.h - what chains and verifies the trail: HMAC contexts of the audit keys of the server's KEKs.
//
// Made once a process and kept for its life: somebody may be using one.
// Covered by test/tap/audit.pl and test/tap/reload_kek.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_MAC_H
#define REDOUBT_PG_AUDIT_AUDIT_MAC_H

#include "pg/base/boundary.h"

#include "core/mac.h"
#include "pg/audit/kek.h"

namespace redoubt::pg {

// The context of the audit key of a KEK, by its number or its role; null without that KEK or when OpenSSL fails. Events
// are chained under the current one's.
HmacSha256 *audit_mac_of(std::uint32_t kek) noexcept;
HmacSha256 *audit_mac(KekRole role = KekRole::current) noexcept;

}  // namespace redoubt::pg
#endif
