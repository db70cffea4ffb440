// gcra.h - the generic cell rate algorithm: one 64-bit number is the whole bucket.
//
// Source: ATM Forum Traffic Management 4.0, section 4.4.2, and ITU-T I.371
// annex A, "virtual scheduling".  The state is the theoretical arrival time
// (TAT): the moment at which the bucket will be empty again.  Here the increment
// I is the time one value costs and the tolerance is chosen so that exactly
// `burst` values fit at once.
//
// Not here: the clock (an argument), storage and atomicity (src/pg/limits/limits.cpp
// keeps the TAT in an atomic and applies these functions in a compare-and-swap
// loop), and what happens on refusal.
//
// Invariant: in any stretch of time W at most burst + W * max_values / per_ns
// values are admitted, to the value.  All rounding is against the caller.  A clock
// that goes backwards admits less, never more.
// Covered by test/unit/gcra_test.cpp.
#ifndef REDOUBT_CORE_GCRA_H
#define REDOUBT_CORE_GCRA_H

#include <cstdint>

namespace redoubt {

// A rate: `max_values` values every `per_ns` nanoseconds, `burst` of them at once.
// All three are at least 1; a rate with a zero in it admits nothing.
struct GcraRate {
  std::uint64_t max_values;
  std::uint64_t per_ns;
  std::uint64_t burst;
};

// A wait that no time ends: more values than `burst` were asked for at once.
constexpr std::uint64_t kGcraNever = UINT64_MAX;

struct GcraDecision {
  bool admitted;
  std::uint64_t new_tat;  // the state to store; the old one when not admitted
  std::uint64_t wait_ns;  // 0 when admitted; kGcraNever; else the exact time until it would be
};

// Times (`tat`, `now`, results) are nanoseconds since one epoch of the caller's
// choice; a fresh bucket has tat = 0.  No function fails, allocates or overflows.

// gcra_cost is the time one value takes to drain, per_ns / max_values rounded up
// to a nanosecond once per value, so that n values taken one by one cost exactly
// what n at once do and a refund is exact.  kGcraNever for an invalid rate.
std::uint64_t gcra_cost(const GcraRate &rate) noexcept;

// gcra_take asks for `n` values at `now`: all of them or none.  n = 0 is admitted.
GcraDecision gcra_take(const GcraRate &rate, std::uint64_t tat, std::uint64_t now, std::uint64_t n) noexcept;

// gcra_force charges `n` values whether they fit or not, for limits that only
// report, and returns the new TAT.  The debt stops at one full bucket plus these
// n values, so refunding them never leaves room that was not there before.
std::uint64_t gcra_force(const GcraRate &rate, std::uint64_t tat, std::uint64_t now, std::uint64_t n) noexcept;

// gcra_remaining is the greatest n that gcra_take would admit at `now`.
std::uint64_t gcra_remaining(const GcraRate &rate, std::uint64_t tat, std::uint64_t now) noexcept;

// gcra_refund returns the TAT after giving back `n` values taken `elapsed_ns`
// ago.  What has drained since is not given back: otherwise values taken early and
// returned late would add up to more than one burst.
std::uint64_t gcra_refund(const GcraRate &rate, std::uint64_t tat, std::uint64_t n, std::uint64_t elapsed_ns) noexcept;

// gcra_next_allowed is the earliest time, `now` or later, at which one value is
// admitted if nothing else is taken; kGcraNever for an invalid rate.
std::uint64_t gcra_next_allowed(const GcraRate &rate, std::uint64_t tat, std::uint64_t now) noexcept;

}  // namespace redoubt
#endif
