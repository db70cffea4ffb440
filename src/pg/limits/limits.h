// limits.h - charges values against the budget of the session's login role.
//
// Rules live in the table redoubt.limit_rule; running state (GCRA buckets, counts per
// statement, usage counters) lives in shared memory and is touched with atomics only once
// an entry is found.  The arithmetic is core/gcra.
#ifndef REDOUBT_PG_LIMITS_LIMITS_H
#define REDOUBT_PG_LIMITS_LIMITS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// `probe` is what a read discloses without delivering the value: a row that is there
// because of it, an order, a conflict.
enum class Operation : std::uint8_t { read, reveal, masked, tokenize, probe };
constexpr int kOperations = 5;
const char *operation_name(Operation op);

Size limits_shmem_size();
void limits_shmem_startup();  // AddinShmemInitLock held by the caller
void limits_backend_init();   // registers cache callbacks; once per backend, cheap to call again

enum class OnExcess : std::uint8_t;  // limit_rules.h

// Every function here that may raise refuses an operation or a token type that does not exist (XX000): what is charged
// is kept in shared memory and on disk.  Those that may not raise do nothing then.

// limits_lease charges at least one and at most `want` values of `type` to the
// subject, before they leave, and returns how many (0 only for want = 0).  Beyond the
// first value it grants a sixteenth of what a limit has left, so near a limit values are charged one by one,
// the budget is exact, and what one session holds refuses little to another.  Sleeps where a limit says throttle;
// raises 53400 where it says block, degrade or suspend, where the role is suspended, or where the statement would sleep
// longer than max_delay in all. Charges every window that applies, or none.  `leased_at`, if given, receives what
// limits_refund needs to know.  A lease is for values about to leave: one kept open
// while the bucket refills is budget saved up, so return what is left when a
// statement or portal pauses.  Before it refuses, what this backend has leased elsewhere is given back (lease.h).
uint32 limits_lease(Oid type, Operation op, uint32 want, TimestampTz *leased_at = nullptr);

// limits_charge charges exactly `n` values, sleeping or raising.  When it raises 53400,
// what it charged before is given back as limits_refund would; a cancelled sleep
// forfeits it.
void limits_charge(Oid type, Operation op, uint32 n);

// limits_note_owner is told of a function that is about to be called in a security-restricted operation.  Its user owns
// the table that is maintained, and is charged as well for what SECURITY DEFINER functions below it take.
void limits_note_owner() noexcept;

// limits_lease_or_degrade is limits_lease, but returns 0, with nothing charged, where the limit that refuses says
// degrade: the caller then shows less.
uint32 limits_lease_or_degrade(Oid type, Operation op, uint32 want, TimestampTz *leased_at);

// limits_refund gives back leased values that were not delivered.  `leased_at` is what
// the lease returned; 0 stands for this backend's last lease of the kind; `subject` is who was charged, if it need
// not be the session's login role any more.  What the
// buckets have drained since, they keep.  Atomics only: safe while an error is in
// flight and in reset callbacks.
void limits_refund(Oid type, Operation op, uint32 n, TimestampTz leased_at = 0, Oid subject = InvalidOid) noexcept;

// limits_news moves on whenever a value that is leased could be refused to the subject by now, or be counted by other
// rules: rules or memberships changed, somebody was suspended, or redoubt.mode is another.
uint64 limits_news() noexcept;

// limits_force charges `n` values that are disclosed already, by the text of an error in
// flight: it neither waits nor raises, and may leave a bucket in debt.  Atomics only.
// Charges nothing where limits_require_no_debt was not called before for the type and operation.
void limits_force(Oid type, Operation op, uint32 n) noexcept;

// limits_require_no_debt raises or waits, as a charge does, while a bucket of `type` is in debt.
// It charges nothing.
void limits_require_no_debt(Oid type, Operation op);

// What another server is told that asks for values (lending.cpp).
struct Lending {
  uint32 granted;
  OnExcess on_excess;  // where that is 0: of the limit that refused
  uint64 wait_ns;      // until the next value is admitted; kGcraNever
  uint64 longest_ns;   // the longest that this limit holds a statement back
  uint32 returned;     // of what was lent before
};

// limits_lend charges at least `least` and at most `wanted` values to a login role, whoever asks, for another server to
// deliver: as limits_lease does, but it neither waits nor raises where a limit refuses, and limits per statement do not
// count.  First `unused` values are given back, at most as many as this session lent last of the kind.
Lending limits_lend(Oid subject, Oid type, Operation op, uint32 least, uint32 wanted, uint32 unused);

}  // namespace redoubt::pg
#endif
