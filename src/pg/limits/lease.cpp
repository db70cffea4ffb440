// lease.cpp - see lease.h: taking more, and whom to ask for what is leased.
//
// Covered by sql/limits_statement.sql and test/tap/limits_leases.pl.
#include "pg/base/boundary.h"

#include "pg/limits/lease.h"

namespace redoubt::pg {
namespace {

struct State {
  LeaseHolder holder_of[kMaxLeaseHolders];
  int holders;
};
constinit State state = {};

}  // namespace

bool lease_more(Lease *lease, std::uint32_t wanted, bool may_degrade) {
  while (lease->held < wanted) {
    const std::uint32_t before = lease->held;
    lease_being_filled = lease;
    PG_TRY();
    {
      const std::uint32_t want = std::max(lease->next, wanted - before);
      lease->held += may_degrade ? limits_lease_or_degrade(lease->token_type, lease->operation, want, &lease->leased_at)
                                 : limits_lease(lease->token_type, lease->operation, want, &lease->leased_at);
    }
    PG_FINALLY();
    { lease_being_filled = nullptr; }
    PG_END_TRY();
    if (lease->held == before) return false;
    lease->subject = GetSessionUserId();
    lease->next = std::min(lease->next * 2, kMaxLease);
  }
  return true;
}

void leases_register(LeaseHolder holder) {
  if (state.holders == kMaxLeaseHolders) elog(ERROR, "redoubt: too many holders of leases");
  state.holder_of[state.holders++] = holder;
}

bool leases_give_back(Oid token_type, Operation operation) noexcept {
  bool any = false;
  for (int i = 0; i < state.holders; ++i) any |= state.holder_of[i](token_type, operation);
  return any;
}

}  // namespace redoubt::pg
