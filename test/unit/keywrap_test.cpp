// keywrap_test.cpp - RFC 5649's examples, all lengths, and the refusal of altered keys.
#include "core/keywrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "octets.h"
#include "tsv.h"

namespace redoubt {
namespace {

using test::Octets;
using test::random_octets;

Octets wrap(const Octets &kek, const Octets &key) {
  Octets out(key_wrap_size(key.size()));
  std::size_t size = 0;
  EXPECT_EQ(key_wrap(kek, key, out, size), Status::ok);
  EXPECT_EQ(size, out.size());
  return out;
}

// unwrap returns the key, and checks that a refusal leaves nothing behind.
Status unwrap(const Octets &kek, const Octets &wrapped, Octets &key) {
  key.assign(wrapped.size() < 8 ? 0 : wrapped.size() - 8, 0xa5);
  std::size_t size = 999;
  const Status status = key_unwrap(kek, wrapped, key, size);
  if (status != Status::ok) {
    EXPECT_EQ(size, 0U);
    EXPECT_TRUE(std::all_of(key.begin(), key.end(), [](std::uint8_t byte) { return byte == 0; }));
  }
  key.resize(size);
  return status;
}

TEST(KeyWrap, Rfc5649Section6) {
  test::TsvTable table;
  std::string error;
  ASSERT_TRUE(table.read_file(REDOUBT_VECTORS "/keywrap_rfc5649.tsv", error)) << error;
  ASSERT_EQ(table.rows().size(), 2U);
  for (const test::TsvRow &row : table.rows()) {
    const Octets kek = test::hex_bytes(row.field("kek")).value();
    const Octets key = test::hex_bytes(row.field("key")).value();
    const Octets wrapped = test::hex_bytes(row.field("wrapped")).value();
    EXPECT_EQ(wrap(kek, key), wrapped) << row.field("id");
    Octets unwrapped;
    EXPECT_EQ(unwrap(kek, wrapped, unwrapped), Status::ok) << row.field("id");
    EXPECT_EQ(unwrapped, key) << row.field("id");
  }
}

TEST(KeyWrap, RoundTripsAllKekAndKeyLengths) {
  for (const std::size_t kek_size : {16U, 24U, 32U}) {
    const Octets kek = random_octets(kek_size);
    for (std::size_t size = 1; size <= 130; ++size) {
      const Octets key = random_octets(size);
      Octets unwrapped;
      ASSERT_EQ(unwrap(kek, wrap(kek, key), unwrapped), Status::ok) << kek_size << ' ' << size;
      ASSERT_EQ(unwrapped, key);
    }
  }
  const Octets kek = random_octets(32);
  const Octets longest = random_octets(kKeyWrapMaxKey);
  Octets unwrapped;
  EXPECT_EQ(unwrap(kek, wrap(kek, longest), unwrapped), Status::ok);
  EXPECT_EQ(unwrapped, longest);
}

TEST(KeyWrap, EveryAlteredBitIsCorrupt) {
  const Octets kek = random_octets(32);
  for (const std::size_t size : {5U, 32U, 61U}) {
    const Octets wrapped = wrap(kek, random_octets(size));
    for (std::size_t bit = 0; bit < wrapped.size() * 8; ++bit) {
      Octets altered = wrapped;
      altered[bit / 8] = static_cast<std::uint8_t>(altered[bit / 8] ^ 1U << bit % 8);
      Octets key;
      ASSERT_EQ(unwrap(kek, altered, key), Status::corrupt) << size << " bit " << bit;
    }
  }
}

TEST(KeyWrap, AnotherKekIsCorrupt) {
  const Octets wrapped = wrap(random_octets(32), random_octets(64));
  Octets key;
  EXPECT_EQ(unwrap(random_octets(32), wrapped, key), Status::corrupt);
  EXPECT_EQ(unwrap(random_octets(16), wrapped, key), Status::corrupt);
}

TEST(KeyWrap, RefusesImpossibleLengths) {
  const Octets kek(32, 1);
  Octets key;
  for (const std::size_t size : {0U, 7U, 8U, 15U, 17U, 4112U}) {
    EXPECT_EQ(unwrap(kek, Octets(size, 2), key), Status::malformed) << size;
  }
  EXPECT_EQ(unwrap(Octets(31, 1), Octets(24, 2), key), Status::invalid_argument);

  Octets out(8192, 0xa5);
  std::size_t size = 999;
  EXPECT_EQ(key_wrap(Octets(20, 1), Octets(32, 2), out, size), Status::invalid_argument);
  EXPECT_EQ(size, 0U);
  EXPECT_EQ(key_wrap(kek, {}, out, size), Status::invalid_argument);
  EXPECT_EQ(key_wrap(kek, Octets(kKeyWrapMaxKey + 1, 2), out, size), Status::invalid_argument);
  EXPECT_EQ(key_wrap(kek, Octets(32, 2), std::span(out).first(39), size), Status::invalid_argument);
  EXPECT_EQ(key_wrap(kek, Octets(32, 2), std::span(out).first(40), size), Status::ok);
  EXPECT_EQ(size, 40U);

  const Octets wrapped = wrap(kek, Octets(32, 2));
  EXPECT_EQ(key_unwrap(kek, wrapped, std::span(out).first(31), size), Status::invalid_argument);
  EXPECT_EQ(key_unwrap(kek, wrapped, std::span(out).first(32), size), Status::ok);
  EXPECT_EQ(size, 32U);
}

}  // namespace
}  // namespace redoubt
