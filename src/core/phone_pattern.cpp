// phone_pattern.cpp - matching by backtracking; see phone_pattern.h.

#include "core/phone_pattern.h"

#include <algorithm>
#include <array>

namespace redoubt {

namespace {

constexpr std::size_t kPending = 24;  // make_phone_table refuses patterns that need more

// Place is where matching stands, or may come back to: `next` at any position from `at` down to `least`.
struct Place {
  const std::uint8_t *next;
  std::uint8_t at, least, group_begin, group_end;
};

bool match(const std::uint8_t *program, std::string_view digits, bool whole, PhoneMatch &found) noexcept {
  std::array<Place, kPending> pending;
  std::size_t count = 0;
  const auto size = static_cast<std::uint8_t>(digits.size());
  Place place = {program, 0, 0, 0, 0};
  for (;;) {
    const std::uint8_t op = *place.next++;
    bool fits = true;
    if (op <= 0x09) {
      fits = place.at < size && digits[place.at++] - '0' == op;
    } else if (op < 0x20) {
      const unsigned several = op == 0x0A ? 1 : op - 0x10U;
      fits = size - place.at >= static_cast<int>(several);
      place.at = static_cast<std::uint8_t>(place.at + several);
    } else if (op == 0x20) {
      const unsigned range = *place.next++;
      const unsigned left = std::min<unsigned>(range & 0xF, static_cast<unsigned>(size - place.at));
      fits = left >= range >> 4;
      place.least = static_cast<std::uint8_t>(place.at + (range >> 4));
      place.at = static_cast<std::uint8_t>(place.at + left);
      if (fits && place.at > place.least && count < kPending) {
        pending[count] = place;
        --pending[count++].at;
      }
    } else if (op < 0x40) {
      const unsigned set = (op & 0xFU) << 8 | *place.next++;
      fits = place.at < size && (set >> (digits[place.at++] - '0') & 1U) != 0;
    } else if (op == 0x40) {
      fits = place.at == size;
    } else if (op == 0x41) {
      if (!whole || place.at == size) {
        found = {place.at, place.group_begin, place.group_end};
        return true;
      }
      fits = false;
    } else if (op == 0x42) {
      place.group_begin = place.group_end = place.at;
    } else if (op == 0x43) {
      place.group_end = place.at;
    } else {
      const std::size_t further = (op & 0xFU) << 8 | *place.next++;
      if (op >= 0x60) {
        place.next += further;
      } else if (count < kPending) {
        pending[count] = place;
        pending[count].next += further;
        pending[count++].least = place.at;
      }
    }
    if (fits) continue;
    if (count == 0) return false;
    Place &last = pending[count - 1];
    place = last;
    if (last.at > last.least)
      --last.at;
    else
      --count;
  }
}

}  // namespace

bool phone_match_begin(const std::uint8_t *program, std::string_view digits, PhoneMatch &found) noexcept {
  return match(program, digits, false, found);
}

bool phone_match_whole(const std::uint8_t *program, std::string_view digits) noexcept {
  PhoneMatch found;
  return match(program, digits, true, found);
}

}  // namespace redoubt
