// lease.cpp - see lease.h: taking more, and where this backend's leases are.
//
// Covered by sql/limits_statement.sql.
#include "pg/boundary.h"

#include "pg/lease.h"
#include "pg/meter_function.h"
#include "pg/query_meter.h"

namespace redoubt::pg {

void lease_more(Lease *lease, std::uint32_t wanted) {
  while (lease->held < wanted) {
    lease_in_need = lease;
    lease->held += limits_lease(lease->token_type, lease->operation, std::max(lease->next, wanted - lease->held),
                                &lease->leased_at);
    lease_in_need = nullptr;
    lease->next = std::min(lease->next * 2, kMaxLease);
  }
}

bool leases_give_back(Oid token_type, Operation operation) noexcept {
  const bool output = query_meters_give_back(token_type, operation);
  const bool inside = meters_give_back(token_type, operation);
  return output || inside;
}

}  // namespace redoubt::pg
