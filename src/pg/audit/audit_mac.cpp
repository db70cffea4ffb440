// audit_mac.cpp - see audit_mac.h.
#include "pg/base/boundary.h"

#include "pg/audit/audit_mac.h"

namespace redoubt::pg {
namespace {

constinit HmacSha256 *macs[kMaxKeks + 1] = {};  // by the KEK's number

}  // namespace

HmacSha256 *audit_mac_of(std::uint32_t kek) noexcept {
  HmacSha256 *&mac = macs[kek];
  if (mac == nullptr && kek != 0) {
    Result<HmacSha256> made = HmacSha256::make(kek_audit_key(kek));
    if (made.ok()) mac = new (std::nothrow) HmacSha256(std::move(*made));
  }
  return mac;
}

HmacSha256 *audit_mac(KekRole role) noexcept { return audit_mac_of(kek_number(role)); }

}  // namespace redoubt::pg
