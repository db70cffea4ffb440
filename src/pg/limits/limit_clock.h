// limit_clock.h - the time that buckets go by: that of the wall, but without its steps.
//
// A bucket refills with time, so a clock that is set forward would give everybody a new budget, and one that is set
// back would take the budget away until the old time comes again.  The limit clock begins with the wall's and goes on
// with the machine's, which nobody sets (CLOCK_BOOTTIME); from one start of the server to the next by what the file of
// counters says.  It differs from the wall by the sum of the wall's steps.
#ifndef REDOUBT_PG_LIMITS_LIMIT_CLOCK_H
#define REDOUBT_PG_LIMITS_LIMIT_CLOCK_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// A moment by the three clocks, as the file of counters holds it.
struct ClockReading {
  int64 wall;      // TimestampTz
  int64 limit;     // as a TimestampTz
  uint64 machine;  // nanoseconds since `boot` began
  char boot[40];   // which start of the machine; empty: unknown
};
static_assert(sizeof(ClockReading) == 64 && std::has_unique_object_representations_v<ClockReading>);

// The part of shared memory that holds the clock; written by the postmaster before there are other processes.
struct LimitClock {
  int64 limit;  // at `machine`
  uint64 machine;
  pg_atomic_uint64 stepped;  // by how many microseconds the wall is ahead, as last noted
};

// limit_clock_start sets the clock at server start: after `saved`, or by the wall where that is null.
void limit_clock_start(LimitClock *clock, const ClockReading *saved);

// limit_clock_now is the limit clock's time, as a TimestampTz.
TimestampTz limit_clock_now() noexcept;

// limit_clock_wall is when the wall's clock will show that the limit clock's time is `at`; for people.
TimestampTz limit_clock_wall(TimestampTz at) noexcept;

// limit_clock_statement is when the statement at hand began.
TimestampTz limit_clock_statement() noexcept;

// limit_clock_read is this moment by all three clocks.
ClockReading limit_clock_read() noexcept;

// limit_clock_step returns by how many microseconds the wall's clock was set since this was last asked; 0 where it was
// not, or by less than two seconds.  For one process alone.
int64 limit_clock_step() noexcept;

}  // namespace redoubt::pg
#endif
