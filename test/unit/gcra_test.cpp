// gcra_test.cpp - the limiter's arithmetic: known answers, and properties over
// seeded random histories.  The properties do not reuse the code under test: the
// bound is checked on the list of admissions, the decisions against the
// continuous-state leaky bucket, which I.371 shows to be equivalent.
#include "core/gcra.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace redoubt {
namespace {

using Wide = unsigned __int128;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kHour = 3600 * kSecond;
constexpr std::uint64_t kYear = 365 * 24 * kHour;
constexpr std::uint64_t kStart = 26 * kYear;  // about the time since 2000-01-01 in 2026

struct Admission {
  std::uint64_t at;
  std::uint64_t n;
};

// Every window that starts and ends on an admission; others are no tighter.
void expect_bounded(const GcraRate &rate, const std::vector<Admission> &admissions) {
  for (std::size_t i = 0; i < admissions.size(); ++i) {
    Wide sum = 0;
    for (std::size_t j = i; j < admissions.size(); ++j) {
      sum += admissions[j].n;
      const Wide window = admissions[j].at - admissions[i].at;
      ASSERT_LE(sum, rate.burst + window * rate.max_values / rate.per_ns) << "window " << i << ".." << j;
    }
  }
}

TEST(Gcra, BurstAtOnceThenTheRate) {
  const GcraRate rate{10, kSecond, 3};
  std::uint64_t tat = 0;
  for (int i = 0; i < 3; ++i) {
    const GcraDecision d = gcra_take(rate, tat, kStart, 1);
    ASSERT_TRUE(d.admitted);
    tat = d.new_tat;
  }
  const GcraDecision refused = gcra_take(rate, tat, kStart, 1);
  EXPECT_FALSE(refused.admitted);
  EXPECT_EQ(refused.new_tat, tat);
  EXPECT_EQ(refused.wait_ns, kSecond / 10);
  EXPECT_FALSE(gcra_take(rate, tat, kStart + kSecond / 10 - 1, 1).admitted);
  EXPECT_TRUE(gcra_take(rate, tat, kStart + kSecond / 10, 1).admitted);
  EXPECT_EQ(gcra_next_allowed(rate, tat, kStart), kStart + kSecond / 10);
}

TEST(Gcra, OneByOneCostsWhatAllAtOnceCosts) {
  const GcraRate third{3, kSecond, 3};  // a cost that does not divide evenly
  std::uint64_t tat = 0;
  for (int i = 0; i < 3; ++i) {
    const GcraDecision d = gcra_take(third, tat, kStart, 1);
    ASSERT_TRUE(d.admitted) << i;
    tat = d.new_tat;
  }
  EXPECT_EQ(tat, gcra_take(third, 0, kStart, 3).new_tat);
  EXPECT_FALSE(gcra_take(third, tat, kStart, 1).admitted);
  EXPECT_EQ(gcra_cost(third), 333'333'334U);  // rounded against the caller
}

TEST(Gcra, MoreThanTheBurstIsNeverAdmitted) {
  const GcraRate rate{1000, kSecond, 5};
  const GcraDecision d = gcra_take(rate, 0, kStart, 6);
  EXPECT_FALSE(d.admitted);
  EXPECT_EQ(d.wait_ns, kGcraNever);
  EXPECT_FALSE(gcra_take(rate, 0, kStart + 100 * kYear, 6).admitted);
  EXPECT_TRUE(gcra_take(rate, 0, kStart, 5).admitted);
  EXPECT_FALSE(gcra_take(rate, 0, kStart, UINT64_MAX).admitted);
}

TEST(Gcra, ZeroValuesAreFreeAndChangeNothing) {
  const GcraRate rate{1, kHour, 1};
  const std::uint64_t full = gcra_take(rate, 0, kStart, 1).new_tat;
  const GcraDecision d = gcra_take(rate, full, kStart, 0);
  EXPECT_TRUE(d.admitted);
  EXPECT_EQ(d.new_tat, full);
  EXPECT_EQ(d.wait_ns, 0U);
}

TEST(Gcra, InvalidRatesAdmitNothing) {
  for (const GcraRate &rate : {GcraRate{0, kHour, 1}, GcraRate{1, 0, 1}, GcraRate{1, kHour, 0}}) {
    EXPECT_FALSE(gcra_take(rate, 0, kStart, 1).admitted);
    EXPECT_EQ(gcra_take(rate, 0, kStart, 1).wait_ns, kGcraNever);
    EXPECT_EQ(gcra_remaining(rate, 0, kStart), 0U);
    EXPECT_EQ(gcra_next_allowed(rate, 0, kStart), kGcraNever);
    EXPECT_EQ(gcra_cost(rate), kGcraNever);
    EXPECT_EQ(gcra_refund(rate, kStart, 1, 0), kStart);
    EXPECT_EQ(gcra_force(rate, kStart, kStart, 1), kStart);
  }
}

TEST(Gcra, RemainingCountsDownAndRefills) {
  const GcraRate rate{100, kHour, 100};
  EXPECT_EQ(gcra_remaining(rate, 0, kStart), 100U);
  std::uint64_t tat = gcra_take(rate, 0, kStart, 99).new_tat;
  EXPECT_EQ(gcra_remaining(rate, tat, kStart), 1U);
  tat = gcra_take(rate, tat, kStart, 1).new_tat;
  EXPECT_EQ(gcra_remaining(rate, tat, kStart), 0U);
  EXPECT_EQ(gcra_remaining(rate, tat, kStart + kHour / 2), 50U);
  EXPECT_EQ(gcra_remaining(rate, tat, kStart + kHour), 100U);
  EXPECT_EQ(gcra_remaining(rate, tat, kStart + 50 * kHour), 100U);  // never more than the burst
}

TEST(Gcra, RefundRestoresExactly) {
  const GcraRate rate{7, kSecond, 50};
  const std::uint64_t before = gcra_take(rate, 0, kStart, 11).new_tat;
  const std::uint64_t after = gcra_take(rate, before, kStart, 20).new_tat;
  EXPECT_EQ(gcra_refund(rate, after, 20, 0), before);
  EXPECT_EQ(gcra_refund(rate, gcra_refund(rate, after, 8, 0), 12, 0), before);
  EXPECT_EQ(gcra_refund(rate, 5, 20, 0), 0U);  // cannot wrap
}

TEST(Gcra, LateRefundGivesNothingBack) {
  // Take a burst, let it drain, take another, return the first: still full.
  const GcraRate rate{10, kSecond, 10};
  std::uint64_t tat = gcra_take(rate, 0, kStart, 10).new_tat;
  tat = gcra_take(rate, tat, kStart + kSecond, 10).new_tat;
  tat = gcra_refund(rate, tat, 10, kSecond);
  EXPECT_EQ(gcra_remaining(rate, tat, kStart + kSecond), 0U);
  // Half drained: at most half comes back.
  tat = gcra_take(rate, 0, kStart, 10).new_tat;
  tat = gcra_take(rate, tat, kStart + kSecond / 2, 5).new_tat;
  tat = gcra_refund(rate, tat, 10, kSecond / 2);
  EXPECT_EQ(gcra_remaining(rate, tat, kStart + kSecond / 2), 5U);
}

TEST(Gcra, ForceSaturatesAndRefundOfItLeavesNoRoom) {
  const GcraRate rate{10, kSecond, 10};
  std::uint64_t tat = gcra_take(rate, 0, kStart, 10).new_tat;
  for (int i = 0; i < 1000; ++i) tat = gcra_force(rate, tat, kStart, 64);
  EXPECT_LE(tat, kStart + gcra_cost(rate) * (10 + 64));
  EXPECT_EQ(gcra_remaining(rate, tat, kStart), 0U);
  EXPECT_EQ(gcra_remaining(rate, gcra_refund(rate, tat, 64, 0), kStart), 0U);
  // Below the limit it is a plain charge.
  EXPECT_EQ(gcra_force(rate, 0, kStart, 4), gcra_take(rate, 0, kStart, 4).new_tat);
  EXPECT_EQ(gcra_refund(rate, gcra_force(rate, 0, kStart, 30), 30, 0), kStart);
  // A larger debt (clock set back, rate changed) is never forgiven by a charge.
  EXPECT_GE(gcra_force(rate, kStart + kYear, kStart, 1), kStart + kYear);
}

TEST(Gcra, ClockBackwardsAdmitsLess) {
  const GcraRate rate{10, kSecond, 10};
  const std::uint64_t tat = gcra_take(rate, 0, kStart, 10).new_tat;
  const GcraDecision d = gcra_take(rate, tat, kStart - kHour, 1);
  EXPECT_FALSE(d.admitted);
  EXPECT_EQ(d.wait_ns, kHour + kSecond / 10);
  EXPECT_EQ(gcra_remaining(rate, tat, kStart - kHour), 0U);
}

TEST(Gcra, HugeRate) {
  const GcraRate rate{1'000'000'000'000, kHour, 1'000'000'000'000};  // 3.6 ns a value
  EXPECT_EQ(gcra_cost(rate), 4U);
  const std::uint64_t tat = gcra_take(rate, 0, kStart, rate.burst).new_tat;
  EXPECT_GT(tat, kStart);
  EXPECT_FALSE(gcra_take(rate, tat, kStart, 1).admitted);
  EXPECT_EQ(gcra_remaining(rate, tat, kStart + 1000), 250U);
  const GcraRate beyond{UINT64_MAX, 1, UINT64_MAX};  // more than the clock can resolve: capped, not wrapped
  EXPECT_EQ(gcra_cost(beyond), 1U);
  EXPECT_FALSE(gcra_take(beyond, 0, kStart, UINT64_MAX).admitted);
  EXPECT_TRUE(gcra_take(beyond, 0, kStart, 1'000'000).admitted);
}

TEST(Gcra, TinyRate) {
  const GcraRate rate{1, 10 * kYear, 1};
  const std::uint64_t tat = gcra_take(rate, 0, kStart, 1).new_tat;
  EXPECT_EQ(gcra_take(rate, tat, kStart + 1, 1).wait_ns, 10 * kYear - 1);
  EXPECT_TRUE(gcra_take(rate, tat, kStart + 10 * kYear, 1).admitted);
  // A bucket larger than the time line: what fits is admitted, nothing wraps.
  const GcraRate vast{1, 100 * kYear, 1000};
  const std::uint64_t room = gcra_remaining(vast, 0, kStart);
  EXPECT_EQ(room, 5U);
  EXPECT_TRUE(gcra_take(vast, 0, kStart, room).admitted);
  EXPECT_FALSE(gcra_take(vast, 0, kStart, room + 1).admitted);
  EXPECT_EQ(gcra_take(vast, 0, kStart, room + 1).wait_ns, kGcraNever);
  EXPECT_GE(gcra_force(vast, 0, kStart, UINT64_MAX), kStart);
}

GcraRate random_rate(std::mt19937_64 &random) {
  const auto pick = [&](std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(random);
  };
  switch (pick(0, 3)) {
    case 0:
      return {pick(1, 20), pick(1, 20) * kSecond, pick(1, 20)};
    case 1:
      return {pick(1, 1'000'000'000'000), kHour, pick(1, 1'000'000)};
    case 2:
      return {1, pick(1, 10) * kYear, pick(1, 3)};
    default:
      return {pick(1, 1000), pick(1, 5000), pick(1, 1000)};  // costs around one nanosecond
  }
}

TEST(GcraProperty, NeverMoreThanBurstPlusRateInAnyWindow) {
  std::mt19937_64 random(20240501);
  for (int history = 0; history < 300; ++history) {
    const GcraRate rate = random_rate(random);
    const std::uint64_t cost = gcra_cost(rate);
    std::uniform_int_distribution<std::uint64_t> step(0, cost * 3);
    std::uniform_int_distribution<std::uint64_t> amount(1, std::max<std::uint64_t>(1, rate.burst / 2 + 1));
    std::uint64_t tat = 0;
    std::uint64_t now = kStart;
    std::vector<Admission> admissions;
    for (int i = 0; i < 300; ++i) {
      // Bursts of attempts at one instant, greedy ones at the very moment allowed, and idle gaps.
      if (random() % 3 == 0) now += step(random);
      if (random() % 3 == 0) now = std::min(gcra_next_allowed(rate, tat, now), now + 20 * kYear);
      if (now > kStart + 400 * kYear) break;
      const std::uint64_t n = random() % 2 == 0 ? 1 : amount(random);
      const GcraDecision d = gcra_take(rate, tat, now, n);
      if (d.admitted) admissions.push_back({now, n});
      tat = d.new_tat;
    }
    ASSERT_FALSE(admissions.empty());
    expect_bounded(rate, admissions);
  }
}

TEST(GcraProperty, AgreesWithTheLeakyBucket) {
  std::mt19937_64 random(4711);
  int admitted = 0;
  int refused = 0;
  for (int history = 0; history < 300; ++history) {
    const GcraRate rate = random_rate(random);
    // I.371 continuous-state leaky bucket: fill X drains one per nanosecond.
    const Wide cost = (Wide{rate.per_ns} + rate.max_values - 1) / rate.max_values;
    Wide fill = 0;
    std::uint64_t tat = 0;
    std::uint64_t now = kStart;
    for (int i = 0; i < 300 && now < kStart + 400 * kYear; ++i) {
      const std::uint64_t elapsed = random() % 2 == 0 ? 0 : random() % (static_cast<std::uint64_t>(cost) * 2 + 1);
      now += elapsed;
      fill = fill > elapsed ? fill - elapsed : 0;
      const std::uint64_t n = 1 + random() % rate.burst;
      const Wide limit = cost * rate.burst;
      ASSERT_EQ(gcra_remaining(rate, tat, now), static_cast<std::uint64_t>((limit - fill) / cost));
      const bool expected = fill + cost * n <= limit;
      const GcraDecision d = gcra_take(rate, tat, now, n);
      ASSERT_EQ(d.admitted, expected);
      if (expected) {
        ++admitted;
        fill += cost * n;
      } else {
        ++refused;
        // The wait is exact: admitted then, refused one nanosecond earlier.
        ASSERT_EQ(d.wait_ns, static_cast<std::uint64_t>(fill + cost * n - limit));
        ASSERT_TRUE(gcra_take(rate, tat, now + d.wait_ns, n).admitted);
        ASSERT_FALSE(gcra_take(rate, tat, now + d.wait_ns - 1, n).admitted);
      }
      tat = d.new_tat;
    }
  }
  EXPECT_GT(admitted, 1000);  // both outcomes were exercised
  EXPECT_GT(refused, 1000);
}

TEST(GcraProperty, BackwardClockNeverPays) {
  std::mt19937_64 random(99);
  for (int history = 0; history < 300; ++history) {
    const GcraRate rate{1 + random() % 50, (1 + random() % 60) * kSecond, 1 + random() % 50};
    std::uint64_t tat = 0;
    std::uint64_t now = kStart;
    std::uint64_t latest = now;
    Wide total = 0;
    for (int i = 0; i < 500; ++i) {
      const std::uint64_t jump = random() % (5 * kSecond);
      now = random() % 2 == 0 ? now + jump : std::max(kStart, now - jump);
      latest = std::max(latest, now);
      const std::uint64_t n = 1 + random() % 3;
      const GcraDecision d = gcra_take(rate, tat, now, n);
      if (d.admitted) total += n;
      ASSERT_GE(d.new_tat, tat);
      tat = d.new_tat;
      ASSERT_LE(total, rate.burst + Wide{latest - kStart} * rate.max_values / rate.per_ns);
    }
  }
}

TEST(GcraProperty, RefundsNeverBuyExtraValues) {
  // Leases partly or wholly returned, at once or late: what was kept stays within the bound.
  std::mt19937_64 random(7);
  int returned = 0;
  for (int history = 0; history < 200; ++history) {
    const GcraRate rate{1 + random() % 50, (1 + random() % 20) * kSecond, 20 + random() % 50};
    std::uint64_t tat = 0;
    std::uint64_t now = kStart;
    struct Lease {
      std::uint64_t at, n;
    };
    std::vector<Lease> open;
    std::vector<Admission> kept;
    for (int i = 0; i < 300; ++i) {
      if (random() % 2 == 0) now += random() % (2 * gcra_cost(rate));
      if (!open.empty() && random() % 2 == 0) {
        tat = gcra_refund(rate, tat, open.back().n, now - open.back().at);
        open.pop_back();
        ++returned;
        continue;
      }
      const std::uint64_t n = std::min<std::uint64_t>(gcra_remaining(rate, tat, now), 1 + random() % 10);
      if (n == 0) continue;
      const GcraDecision d = gcra_take(rate, tat, now, n);
      ASSERT_TRUE(d.admitted);
      tat = d.new_tat;
      const std::uint64_t keep = random() % (n + 1);
      if (keep > 0) kept.push_back({now, keep});
      if (keep < n) open.push_back({now, n - keep});
    }
    expect_bounded(rate, kept);
  }
  EXPECT_GT(returned, 1000);
}

}  // namespace
}  // namespace redoubt
