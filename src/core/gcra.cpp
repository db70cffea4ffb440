// gcra.cpp - the arithmetic of gcra.h, in 128 bits where 64 could overflow.
//
// Pure functions.  The sum "TAT after this charge" is refused, never wrapped or
// clamped, when it does not fit 64 bits: a clamped debt would be a gift.
// Covered by test/unit/gcra_test.cpp.
#include "core/gcra.h"

#include <algorithm>

namespace redoubt {
namespace {

using Wide = unsigned __int128;

constexpr std::uint64_t kMaximum = UINT64_MAX;

// The fill at which the bucket is full: the time `burst` values take to drain.
// Below 2^128, so sums with 64-bit times are exact.
Wide full(const GcraRate &rate) noexcept { return Wide{gcra_cost(rate)} * rate.burst; }

bool usable(const GcraRate &rate) noexcept { return rate.max_values > 0 && rate.per_ns > 0 && rate.burst > 0; }

}  // namespace

std::uint64_t gcra_cost(const GcraRate &rate) noexcept {
  if (!usable(rate)) return kGcraNever;
  return rate.per_ns / rate.max_values + (rate.per_ns % rate.max_values != 0 ? 1 : 0);
}

// TM 4.0, virtual scheduling: TAT' = max(TAT, t); conforming if TAT' + I fits the
// tolerance; then TAT = TAT' + I.  With n values I is n times the cost.
GcraDecision gcra_take(const GcraRate &rate, std::uint64_t tat, std::uint64_t now, std::uint64_t n) noexcept {
  if (n == 0) return {true, tat, 0};
  if (!usable(rate) || n > rate.burst) return {false, tat, kGcraNever};

  const Wide limit = full(rate);  // n <= burst, so n's cost is at most this
  const Wide after = Wide{std::max(tat, now)} + Wide{gcra_cost(rate)} * n;
  if (after > kMaximum) return {false, tat, kGcraNever};
  const Wide fill = after - now;
  if (fill <= limit) return {true, static_cast<std::uint64_t>(after), 0};
  return {false, tat, static_cast<std::uint64_t>(fill - limit)};
}

std::uint64_t gcra_force(const GcraRate &rate, std::uint64_t tat, std::uint64_t now, std::uint64_t n) noexcept {
  if (!usable(rate)) return tat;
  const Wide base = std::max(tat, now);
  const Wide charge = Wide{gcra_cost(rate)} * n;
  // The products may be close to 2^128, so each is clamped before it is added.
  const Wide ceiling = Wide{now} + std::min<Wide>(full(rate), kMaximum) + std::min<Wide>(charge, kMaximum);
  const Wide after = std::max(base, std::min(base + std::min<Wide>(charge, kMaximum), ceiling));
  return static_cast<std::uint64_t>(std::min<Wide>(after, kMaximum));
}

std::uint64_t gcra_remaining(const GcraRate &rate, std::uint64_t tat, std::uint64_t now) noexcept {
  if (!usable(rate)) return 0;
  const std::uint64_t base = std::max(tat, now);
  const Wide limit = full(rate);
  const Wide fill = base - now;
  if (fill >= limit) return 0;
  // The room is bounded by the bucket and by what the TAT can represent.
  const auto room = static_cast<std::uint64_t>(std::min<Wide>(limit - fill, kMaximum - base));
  return room / gcra_cost(rate);
}

std::uint64_t gcra_refund(const GcraRate &rate, std::uint64_t tat, std::uint64_t n, std::uint64_t elapsed_ns) noexcept {
  if (!usable(rate)) return tat;
  const Wide charge = Wide{gcra_cost(rate)} * n;
  if (charge <= elapsed_ns) return tat;
  const Wide credit = charge - elapsed_ns;
  return credit >= tat ? 0 : tat - static_cast<std::uint64_t>(credit);
}

std::uint64_t gcra_next_allowed(const GcraRate &rate, std::uint64_t tat, std::uint64_t now) noexcept {
  const GcraDecision one = gcra_take(rate, tat, now, 1);
  if (one.admitted) return now;
  return one.wait_ns > kMaximum - now ? kGcraNever : now + one.wait_ns;
}

}  // namespace redoubt
