// phone_pattern_test.cpp - each byte of a program of phone_pattern.h, the order of alternatives, and coming back.
#include "core/phone_pattern.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace redoubt {
namespace {

using Program = std::vector<std::uint8_t>;

TEST(PhonePattern, MatchesTheWhole) {
  const struct {
    Program program;
    std::vector<std::string_view> matched, others;
  } cases[] = {
      {{0x07, 0x41}, {"7"}, {"", "6", "77"}},
      {{0x0A, 0x41}, {"0", "9"}, {"", "12"}},
      {{0x13, 0x41}, {"123"}, {"", "12", "1234"}},
      {{0x20, 0x24, 0x41}, {"12", "123", "1234"}, {"", "1", "12345"}},
      {{0x20, 0x24, 0x05, 0x41}, {"125", "555", "55555"}, {"15", "55556"}},  // a run gives back what follows needs
      {{0x32, 0x01, 0x41}, {"0", "9"}, {"1", "8", ""}},                      // [09]
      {{0x50, 0x04, 0x01, 0x02, 0x60, 0x01, 0x03, 0x41}, {"12", "3"}, {"13", "1", "123", ""}},  // 12|3
      {{0x50, 0x01, 0x01, 0x01, 0x41}, {"1", "11"}, {"", "111"}},                               // 1?1
      {{0x50, 0x03, 0x01, 0x40, 0x41, 0x01, 0x02, 0x41}, {"1", "12"}, {"2", "121"}},            // 1$|12
  };
  for (const auto &c : cases) {
    for (const std::string_view text : c.matched) EXPECT_TRUE(phone_match_whole(c.program.data(), text)) << text;
    for (const std::string_view text : c.others) EXPECT_FALSE(phone_match_whole(c.program.data(), text)) << text;
  }
}

TEST(PhonePattern, TakesTheFirstAlternative) {
  const Program program = {0x50, 0x02, 0x01, 0x41, 0x01, 0x02, 0x41};  // 1|12
  PhoneMatch match;
  ASSERT_TRUE(phone_match_begin(program.data(), "123", match));
  EXPECT_EQ(match.size, 1);
  EXPECT_TRUE(phone_match_whole(program.data(), "12"));
  EXPECT_FALSE(phone_match_begin(program.data(), "2", match));
}

TEST(PhonePattern, CapturesWhatItKeeps) {
  const Program program = {0x00, 0x50, 0x05, 0x42, 0x12, 0x43, 0x05, 0x41, 0x41};  // 0((dd)5)?
  PhoneMatch match;
  ASSERT_TRUE(phone_match_begin(program.data(), "01257", match));
  EXPECT_EQ(match.size, 4);
  EXPECT_EQ(match.group_begin, 1);
  EXPECT_EQ(match.group_end, 3);
  ASSERT_TRUE(phone_match_begin(program.data(), "01247", match));  // the group was begun in vain
  EXPECT_EQ(match.size, 1);
  EXPECT_EQ(match.group_begin, match.group_end);
}

}  // namespace
}  // namespace redoubt
