// mac_test.cpp - HMAC-SHA-256 against RFC 4231, whole, in parts, and over and over.
#include "core/mac.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "tsv.h"

namespace redoubt {
namespace {

using Octets = std::vector<std::uint8_t>;
using Mac = std::array<std::uint8_t, kHmacSha256Size>;
using Parts = std::vector<std::span<const std::uint8_t>>;

class Rfc4231 : public testing::Test {
 protected:
  void SetUp() override {
    std::string error;
    ASSERT_TRUE(table_.read_file(REDOUBT_VECTORS "/hmac_rfc4231.tsv", error)) << error;
    ASSERT_EQ(table_.rows().size(), 7U);
  }

  static Octets bytes(const test::TsvRow &row, std::string_view column) {
    return test::hex_bytes(row.field(column)).value();
  }

  // The published result may be truncated (case 5), but never to less than 128 bits.
  static void expect_mac(const test::TsvRow &row, const Mac &mac) {
    const Octets expected = bytes(row, "mac");
    ASSERT_GE(expected.size(), 16U);
    EXPECT_EQ(Octets(mac.begin(), mac.begin() + static_cast<std::ptrdiff_t>(expected.size())), expected)
        << row.field("id");
  }

  test::TsvTable table_;
};

TEST_F(Rfc4231, OneShot) {
  for (const test::TsvRow &row : table_.rows()) {
    const Octets message = bytes(row, "message");
    Mac mac{};
    ASSERT_TRUE(hmac_sha256(bytes(row, "key"), Parts{message}, mac));
    expect_mac(row, mac);
  }
}

TEST_F(Rfc4231, ReusedAndInPartsCutAnywhere) {
  for (const test::TsvRow &row : table_.rows()) {
    const Octets message = bytes(row, "message");
    Result<HmacSha256> hmac = HmacSha256::make(bytes(row, "key"));
    ASSERT_TRUE(hmac.ok());
    for (std::size_t cut = 0; cut <= message.size(); ++cut) {
      const std::span<const std::uint8_t> whole(message);
      Mac mac{};
      ASSERT_TRUE(hmac->compute(Parts{whole.first(cut), {}, whole.subspan(cut)}, mac));
      expect_mac(row, mac);
    }
  }
}

TEST(HmacSha256, NoPartsIsTheEmptyMessage) {
  const Octets key(32, 0x11);
  Mac none{};
  Mac empty{};
  ASSERT_TRUE(hmac_sha256(key, Parts{}, none));
  ASSERT_TRUE(hmac_sha256(key, Parts{{}}, empty));
  EXPECT_EQ(none, empty);
  EXPECT_NE(none, Mac{});
}

TEST(HmacSha256, RefusesAnEmptyKeyAndAnEmptyObject) {
  EXPECT_EQ(HmacSha256::make({}).status(), Status::invalid_argument);
  Mac mac;
  mac.fill(0xa5);
  EXPECT_FALSE(hmac_sha256({}, Parts{}, mac));
  EXPECT_EQ(mac, Mac{});
  mac.fill(0xa5);
  EXPECT_FALSE(HmacSha256().compute(Parts{}, mac));
  EXPECT_EQ(mac, Mac{});
}

}  // namespace
}  // namespace redoubt
