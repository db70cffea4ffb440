// email_test.cpp - addresses accepted, what they become, and each refusal with its place.
#include "core/email.h"

#include <gtest/gtest.h>

#include <string>

#include "core/normalize.h"
#include "small_nfc.h"

namespace redoubt {
namespace {

TEST(Email, Normalizes) {
  const std::string label63(63, 'a');
  const std::string domain253 = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');
  const struct {
    std::string value, expected;
  } cases[] = {
      {"carrollallison@example.com", "carrollallison@example.com"},
      {"  Alice@Example.COM\n", "Alice@example.com"},
      {"\u3000Alice@EXAMPLE.com\u00A0", "Alice@example.com"},
      {"a+tag.b_c-d@sub.example.co.uk", "a+tag.b_c-d@sub.example.co.uk"},
      {"!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"},
      {"..odd..@Example.com", "..odd..@example.com"},  // live, though no Dot-string
      {"x@LOCALHOST", "x@localhost"},
      {"x@_dmarc.Example.com", "x@_dmarc.example.com"},
      {"x@XN--MNCHEN-3YA.de", "x@xn--mnchen-3ya.de"},
      {"\"a@b\"@Example.com", "\"a@b\"@example.com"},
      {"\"a\\\"(b)\"@Example.com", "\"a\\\"(b)\"@example.com"},
      {"\"\"@example.com", "\"\"@example.com"},
      {"jose\u0301@Example.com", "josé@example.com"},
      {"JOSÉ@Example.com", "JOSÉ@example.com"},
      {"x@MU\u0308NCHEN.Example", "x@MÜNCHEN.Example"},  // internationalised: kept as given, composed
      {"x@例え.JP", "x@例え.JP"},
      {"x@\u212A.COM", "x@k.com"},  // KELVIN SIGN is K under NFC, and then ASCII
      {std::string(64, 'a') + "@example.com", std::string(64, 'a') + "@example.com"},
      {"x@" + domain253, "x@" + domain253},
  };
  const auto email = *normalize_parse("email");
  for (const auto &c : cases) {
    std::string out;
    const Refusal refusal = normalize(email, c.value, small_nfc, out);
    ASSERT_TRUE(refusal.ok()) << c.value << ": " << refusal.reason;
    EXPECT_EQ(out, c.expected);
    std::string again;
    ASSERT_TRUE(normalize(email, out, small_nfc, again).ok());
    EXPECT_EQ(again, out);
  }
}

TEST(Email, Refuses) {
  const std::string label64(64, 'a');
  const std::string label63(63, 'a');
  const std::string domain254 = label63 + "." + label63 + "." + label63 + "." + std::string(62, 'b');
  const struct {
    std::string value;
    Status status;
    std::size_t position;
    const char *reason;
  } cases[] = {
      {"", Status::refused, 0, "empty value"},
      {" \u2003 ", Status::refused, 0, "empty value"},
      {"alice", Status::malformed, 0, "no @ sign"},
      {"alice.example.com", Status::malformed, 0, "no @ sign"},
      {"@example.com", Status::malformed, 1, "empty local part"},
      {"  @example.com", Status::malformed, 3, "empty local part"},
      {"alice@", Status::malformed, 7, "empty domain"},
      {"@", Status::malformed, 1, "empty local part"},
      {"a@b@example.com", Status::malformed, 2, "more than one @ sign"},
      {" é@b@example.com", Status::malformed, 3, "more than one @ sign"},
      {"a b@example.com", Status::refused, 2, "white space"},
      {"a@exam ple.com", Status::refused, 7, "white space"},
      {"\"a b\"@example.com", Status::refused, 3, "white space"},
      {"Alice <a@example.com>", Status::refused, 6, "white space"},
      {"a\u00A0b@example.com", Status::refused, 2, "white space"},
      {"a\x01@example.com", Status::refused, 2, "control character"},
      {std::string("a@exam\0ple.com", 14), Status::refused, 7, "control character"},
      {"é\x7F@example.com", Status::refused, 2, "control character"},
      {"<a@example.com", Status::malformed, 1, "character not allowed in a local part"},
      {"a,b@example.com", Status::malformed, 2, "character not allowed in a local part"},
      {"mailto:a@example.com", Status::malformed, 7, "character not allowed in a local part"},
      {"a\"b@example.com", Status::malformed, 2, "character not allowed in a local part"},
      {"a\\b@example.com", Status::malformed, 2, "character not allowed in a local part"},
      {"\"a\"b@example.com", Status::malformed, 4, "character not allowed in a local part"},
      {"\"ab@example.com", Status::malformed, 1, "unfinished quotation"},
      {"\"ab\\\"@example.com", Status::malformed, 1, "unfinished quotation"},
      {"\"@example.com", Status::malformed, 1, "unfinished quotation"},
      {"\"a@b\"", Status::malformed, 1, "unfinished quotation"},
      {"a@example.com.", Status::malformed, 15, "empty label"},
      {"a@.example.com", Status::malformed, 3, "empty label"},
      {"a@example..com", Status::malformed, 11, "empty label"},
      {"a@.", Status::malformed, 3, "empty label"},
      {"a@[192.0.2.1]", Status::malformed, 3, "address literal"},
      {"a@[IPv6:2001:db8::1]", Status::malformed, 3, "address literal"},
      {"a@example.com>", Status::malformed, 14, "character not allowed in a domain"},
      {"a@example.com,b", Status::malformed, 14, "character not allowed in a domain"},
      {"é@exa/mple", Status::malformed, 6, "character not allowed in a domain"},
      {std::string(65, 'a') + "@example.com", Status::out_of_range, 0, "local part longer than 64 octets"},
      {std::string(62, 'a') + "€@example.com", Status::out_of_range, 0, "local part longer than 64 octets"},
      {"x@" + domain254, Status::out_of_range, 0, "domain longer than 253 octets"},
      {"x@b." + label64 + ".com", Status::out_of_range, 5, "label longer than 63 characters"},
  };
  const auto email = *normalize_parse("email");
  for (const auto &c : cases) {
    std::string out = "left over";
    const Refusal refusal = normalize(email, c.value, small_nfc, out);
    EXPECT_EQ(refusal.status, c.status) << c.value;
    EXPECT_EQ(refusal.position, c.position) << c.value;
    EXPECT_STREQ(refusal.reason, c.reason) << c.value;
    EXPECT_TRUE(out.empty());
  }
}

TEST(Email, SplitsAtTheLastSign) {
  EmailParts parts;
  ASSERT_TRUE(email_split("\"a@b\"@example.com", parts).ok());
  EXPECT_EQ(parts.local, "\"a@b\"");
  EXPECT_EQ(parts.domain, "example.com");
  EXPECT_EQ(email_split("a\xFF@example.com", parts).status, Status::malformed);
}

}  // namespace
}  // namespace redoubt
