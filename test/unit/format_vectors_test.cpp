// format_vectors_test.cpp - tokens of every format that an independent implementation of docs/formats.md made
// (test/vectors/formats), both ways.  format_property_test.cpp says what tokens are like; this, which they are: a
// change here would leave the tokens in people's columns without their values.
#include <gtest/gtest.h>

#include <charconv>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "core/format.h"
#include "format_support.h"
#include "tsv.h"

namespace redoubt {
namespace {

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  EXPECT_EQ(std::from_chars(text.data(), text.data() + text.size(), value).ptr, text.data() + text.size());
  return value;
}

std::string crypt(const Format &format, FormatCipher &cipher, Ff1Direction direction, std::string_view in) {
  std::string out;
  if (!format.is_integer()) {
    EXPECT_TRUE(format.crypt(direction, cipher, in, out).ok());
    return out;
  }
  std::int64_t result = 0;
  EXPECT_TRUE(format.crypt(direction, cipher, number(in), result).ok());
  return std::to_string(result);
}

TEST(FormatVectors, TokensOfAnIndependentImplementation) {
  test::TsvTable table;
  std::string error;
  ASSERT_TRUE(table.read_file(std::string(REDOUBT_VECTORS) + "/formats/tokens.tsv", error)) << error;
  const auto cipher = make_cipher();
  std::set<std::string> formats;
  for (const test::TsvRow &row : table.rows()) {
    SCOPED_TRACE(row.line());
    const std::string spec(row.field("format"));
    formats.insert(spec);
    const auto format = make_format(spec);
    ASSERT_NE(format, nullptr);
    EXPECT_EQ(crypt(*format, *cipher, Ff1Direction::encrypt, row.field("value")), row.field("token"));
    EXPECT_EQ(crypt(*format, *cipher, Ff1Direction::decrypt, row.field("token")), row.field("value"));
  }
  EXPECT_GE(formats.size(), 50U);
}

}  // namespace
}  // namespace redoubt
