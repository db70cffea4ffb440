// calendar.cpp - see calendar.h.
#include "core/calendar.h"

#include <chrono>
#include <cstddef>

namespace redoubt {

std::optional<std::int64_t> days_of_date(std::string_view text) noexcept {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  std::array<int, 3> part = {};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 4 || i == 7) continue;
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    int &into = part[i < 4 ? 0 : i < 7 ? 1 : 2];
    into = into * 10 + (text[i] - '0');
  }
  const std::chrono::year_month_day date(std::chrono::year(part[0]), std::chrono::month(static_cast<unsigned>(part[1])),
                                         std::chrono::day(static_cast<unsigned>(part[2])));
  if (part[0] == 0 || !date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

std::array<char, 10> date_of_days(std::int64_t days) noexcept {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  std::array<char, 10> text;
  text.fill('-');
  unsigned year = static_cast<unsigned>(static_cast<int>(date.year()));
  unsigned month = static_cast<unsigned>(date.month());
  unsigned day = static_cast<unsigned>(date.day());
  for (std::size_t i = 4; i-- > 0; year /= 10) text[i] = static_cast<char>('0' + year % 10);
  for (std::size_t i = 7; i-- > 5; month /= 10) text[i] = static_cast<char>('0' + month % 10);
  for (std::size_t i = 10; i-- > 8; day /= 10) text[i] = static_cast<char>('0' + day % 10);
  return text;
}

}  // namespace redoubt
