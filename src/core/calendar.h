// calendar.h - dates as YYYY-MM-DD and as days, in the proleptic Gregorian calendar.
//
// Not a time library: years 1 to 9999, no times, no zones.
// Invariant: date_of_days(days_of_date(text)) is text.
// Covered by test/unit/format_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_CALENDAR_H
#define REDOUBT_CORE_CALENDAR_H

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace redoubt {

// days_of_date is the number of days since 1970-01-01 of exactly ten characters YYYY-MM-DD; nothing if they are
// no date of the years 0001 to 9999.
std::optional<std::int64_t> days_of_date(std::string_view text) noexcept;

// date_of_days is the inverse, for what days_of_date returns.
std::array<char, 10> date_of_days(std::int64_t days) noexcept;

}  // namespace redoubt
#endif
