// phone_pattern.h - the patterns of the telephone table, as programs of a few bytes.
//
// Not regular expressions: no loop but a run of any digits, so matching ends, and needs neither memory nor state.
// A program is bytes, written by make_phone_table:
//
//   00..09      that digit
//   0A          any digit
//   1n          n digits, any
//   20 nm       n to m digits, any, as many as lead to a match
//   3h bb       a digit whose bit is in h:bb
//   40          here the text ends
//   41          matched
//   42, 43      here the captured group begins, ends
//   5h bb       try what follows, then what lies h:bb bytes further
//   6h bb       go on h:bb bytes further
//
// Covered by test/unit/phone_pattern_test.cpp and test/fuzz/normalize_fuzz.cpp.
#ifndef REDOUBT_CORE_PHONE_PATTERN_H
#define REDOUBT_CORE_PHONE_PATTERN_H

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace redoubt {

struct PhoneMatch {
  std::uint8_t size = 0;                        // digits that were matched
  std::uint8_t group_begin = 0, group_end = 0;  // the captured group; empty where the match has none
};

// phone_match_begin matches the beginning of `digits`, at most 255 of them: of several matches the one whose
// alternatives come first.
bool phone_match_begin(const std::uint8_t *program, std::string_view digits, PhoneMatch &match) noexcept;

// phone_match_whole is whether some match takes all of `digits`.
bool phone_match_whole(const std::uint8_t *program, std::string_view digits) noexcept;

}  // namespace redoubt
#endif
