// lease.h - values paid for ahead, so that a row or a revealed value costs a subtraction.
//
// Takes 1, 2, 4 ... 64 values at a time, fewer where little is left (limits.h); what is not delivered goes back when
// the statement or portal pauses, and at once where a limit would refuse what another meter of this backend needs: then
// no value is refused for the sake of one that nobody asked for.
#ifndef REDOUBT_PG_LIMITS_LEASE_H
#define REDOUBT_PG_LIMITS_LEASE_H

#include "pg/limits/limits.h"

namespace redoubt::pg {

constexpr std::uint32_t kMaxLease = 64;

struct Lease {
  Oid token_type;
  Operation operation;
  std::uint32_t held;     // charged, not delivered yet
  std::uint32_t next;     // size of the next lease
  TimestampTz leased_at;  // of the last one, for the refund
  std::uint64_t taken;    // delivered so far
  Oid subject;            // whom the last one was charged to
};

// The lease for which limits_lease is being asked; keeps what it holds.
inline constinit const Lease *lease_being_filled = nullptr;

// A module that holds leases: gives back what it has leased of a type and operation and not delivered, each by
// lease_give_back, and returns whether there was any.
using LeaseHolder = bool (*)(Oid token_type, Operation operation);

// leases_register makes a module's holder known.  Call while preloading, at most kMaxLeaseHolders times.
constexpr int kMaxLeaseHolders = 4;
void leases_register(LeaseHolder holder);

// leases_give_back asks every holder; lease_being_filled keeps what it has.
bool leases_give_back(Oid token_type, Operation operation) noexcept;

inline Lease lease_make(Oid token_type, Operation operation) noexcept {
  return {token_type, operation, 0, 1, 0, 0, InvalidOid};
}

// lease_more charges until `wanted` values are held; raises where the limits refuse.  With `may_degrade` it returns
// false where the limit that refuses says degrade.
bool lease_more(Lease *lease, std::uint32_t wanted, bool may_degrade = false);

// lease_take charges `wanted` values; raises where the limits refuse.
inline void lease_take(Lease *lease, std::uint32_t wanted) {
  if (lease->held < wanted) [[unlikely]]
    lease_more(lease, wanted);
  lease->held -= wanted;
  lease->taken += wanted;
}

// lease_refund gives back what is held.  Safe in callbacks and while an error is in flight.
inline void lease_refund(Lease *lease) noexcept {
  if (lease->held > 0)
    limits_refund(lease->token_type, lease->operation, lease->held, lease->leased_at, lease->subject);
  lease->held = 0;
  lease->next = 1;
}

// What leases_give_back does with each.
inline bool lease_give_back(Lease *lease, Oid token_type, Operation operation) noexcept {
  if (lease == lease_being_filled || lease->held == 0) return false;
  if (lease->token_type != token_type || lease->operation != operation) return false;
  lease_refund(lease);
  return true;
}

}  // namespace redoubt::pg
#endif
