// limit_clock.cpp - see limit_clock.h.
//
// Locks: none; what is written after the start of the server is an atomic.
// Covered by test/tap/clock.pl.
#include "pg/base/boundary.h"

#include "pg/limits/limit_clock.h"

extern "C" {
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
}

namespace redoubt::pg {
namespace {

constexpr uint64 kNsPerUs = 1000;
// Below, clocks are slewed, or somebody was interrupted between two readings.
constexpr int64 kLeastStep = 2 * USECS_PER_SEC;

struct State {
  LimitClock *shared;     // null without shared memory: by the wall
  TimestampTz statement;  // whose start by the limits' clock is `began`
  TimestampTz began;
};
constinit State state = {};

// Goes on while the machine sleeps, where there is such a clock.
uint64 machine_time() noexcept {
  struct timespec at = {};
#ifdef CLOCK_BOOTTIME
  clock_gettime(CLOCK_BOOTTIME, &at);
#else
  clock_gettime(CLOCK_MONOTONIC, &at);
#endif
  return static_cast<uint64>(at.tv_sec) * 1'000'000'000 + static_cast<uint64>(at.tv_nsec);
}

// Linux has a name for each start of the machine.
void boot_name(char (&name)[40]) noexcept {
  memset(name, 0, sizeof name);
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
  if (fd < 0) return;
  const ssize_t n = read(fd, name, 36);
  close(fd);
  if (n != 36) memset(name, 0, sizeof name);
}

int64 ahead() noexcept { return GetCurrentTimestamp() - limit_clock_now(); }

}  // namespace

// The file may be old, of another machine, or of a later time of this one, by a snapshot.  Where the machine's clock
// says nothing about the time since, the wall's does; what that has gone back counts as no time.
void limit_clock_start(LimitClock *clock, const ClockReading *saved) {
  const TimestampTz wall = GetCurrentTimestamp();
  clock->machine = machine_time();
  clock->limit = wall;
  pg_atomic_init_u64(&clock->stepped, 0);
  state.shared = clock;
  if (saved == nullptr || !IS_VALID_TIMESTAMP(saved->limit) || !IS_VALID_TIMESTAMP(saved->wall)) return;
  char boot[40];
  boot_name(boot);
  const bool same_boot =
      boot[0] != '\0' && memcmp(boot, saved->boot, sizeof boot) == 0 && clock->machine >= saved->machine;
  const int64 passed = same_boot ? static_cast<int64>((clock->machine - saved->machine) / kNsPerUs)
                                 : std::max<int64>(wall - saved->wall, 0);
  clock->limit = saved->limit + passed;
  pg_atomic_write_u64(&clock->stepped, static_cast<uint64>(saved->wall - saved->limit));
}

TimestampTz limit_clock_now() noexcept {
  if (state.shared == nullptr) return GetCurrentTimestamp();
  return state.shared->limit + static_cast<int64>((machine_time() - state.shared->machine) / kNsPerUs);
}

TimestampTz limit_clock_wall(TimestampTz at) noexcept { return at + ahead(); }

TimestampTz limit_clock_statement() noexcept {
  const TimestampTz at = GetCurrentStatementStartTimestamp();
  if (at != state.statement) {
    state.began = at - ahead();
    state.statement = at;
  }
  return state.began;
}

ClockReading limit_clock_read() noexcept {
  ClockReading reading = {};
  reading.wall = GetCurrentTimestamp();
  reading.machine = machine_time();
  reading.limit = state.shared == nullptr
                      ? reading.wall
                      : state.shared->limit + static_cast<int64>((reading.machine - state.shared->machine) / kNsPerUs);
  boot_name(reading.boot);
  return reading;
}

int64 limit_clock_step() noexcept {
  if (state.shared == nullptr) return 0;
  const int64 now = ahead();
  const int64 step = now - static_cast<int64>(pg_atomic_read_u64(&state.shared->stepped));
  if (step > -kLeastStep && step < kLeastStep) return 0;
  pg_atomic_write_u64(&state.shared->stepped, static_cast<uint64>(now));
  return step;
}

}  // namespace redoubt::pg
