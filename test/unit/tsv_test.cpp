// tsv_test.cpp - the reader of vector files: a reader that drops rows would pass every test.
#include "tsv.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace redoubt::test {
namespace {

TEST(Tsv, FindsColumnsByNameAndSkipsComments) {
  std::istringstream in("\xef\xbb\xbf# a comment\r\nid\tkey\tpt\r\n\r\n1\t00\tff\r\n# another\n2\t\tee\n#3\t11");
  TsvTable table;
  std::string error;
  ASSERT_TRUE(table.read(in, error)) << error;
  ASSERT_EQ(table.rows().size(), 3U);
  EXPECT_EQ(table.rows()[0].field("pt"), "ff");
  EXPECT_EQ(table.rows()[0].line(), 4U);
  EXPECT_EQ(table.rows()[1].field("key"), "");
  EXPECT_EQ(table.rows()[1].field("pt"), "ee");
  EXPECT_EQ(table.rows()[2].field("id"), "#3");
  EXPECT_EQ(table.rows()[2].field("pt"), "") << "a stripped trailing column";
  EXPECT_EQ(table.rows()[2].field("no such column"), "");
  EXPECT_TRUE(table.has_column("key"));
  EXPECT_FALSE(table.has_column("Key"));
}

TEST(Tsv, RefusesWhatItWouldMisread) {
  for (const char *text : {"", "# only a comment\n", "id\tkey\n", "id\tkey\n1\t2\t3\n"}) {
    std::istringstream in(text);
    TsvTable table;
    std::string error;
    EXPECT_FALSE(table.read(in, error)) << text;
    EXPECT_FALSE(error.empty());
  }
  TsvTable table;
  std::string error;
  EXPECT_FALSE(table.read_file(REDOUBT_VECTORS "/no_such_file.tsv", error));
  EXPECT_FALSE(TsvTable().read_file(REDOUBT_VECTORS, error)) << "a folder";
}

TEST(Tsv, Hexadecimal) {
  EXPECT_EQ(hex_bytes("00aBFf"), (std::vector<std::uint8_t>{0x00, 0xab, 0xff}));
  EXPECT_EQ(hex_bytes(""), std::vector<std::uint8_t>{});
  for (const char *text : {"0", "0g", "g0", "0x", " 0", "00 "}) EXPECT_FALSE(hex_bytes(text)) << text;
  EXPECT_EQ(bytes_hex(std::vector<std::uint8_t>{0x00, 0xab, 0xff}), "00abff");
}

}  // namespace
}  // namespace redoubt::test
