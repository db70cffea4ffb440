// format_email_test.cpp - the format `email`: where a token points, what it shows, that every address comes back.
#include "core/format_email.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/email.h"
#include "core/format.h"
#include "format_support.h"

namespace redoubt {
namespace {

// check_address: the token is an address under .invalid which the format accepts and which comes back.
std::string check_address(const Format &format, FormatCipher &cipher, const std::string &address) {
  std::string token;
  std::string back;
  const Refusal refusal = format.crypt(Ff1Direction::encrypt, cipher, address, token);
  EXPECT_TRUE(refusal.ok()) << address << ": " << refusal.reason;
  EmailParts parts;
  EXPECT_TRUE(email_split(token, parts).ok()) << token;
  EXPECT_TRUE(parts.domain.ends_with(".invalid")) << token;
  EXPECT_LE(token.size(), kFormatEmailMax);
  EXPECT_EQ(parts.local.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"), std::string::npos);
  EXPECT_TRUE(format.accepts(token).ok()) << token;
  EXPECT_TRUE(format.crypt(Ff1Direction::decrypt, cipher, token, back).ok()) << token;
  EXPECT_EQ(back, address);
  return token;
}

const char *reason(const Format &format, Ff1Direction direction, const std::string &text) {
  const auto cipher = make_cipher();
  std::string out = "left over";
  const Refusal refusal = format.crypt(direction, *cipher, text, out);
  EXPECT_TRUE(refusal.ok() || out.empty());
  return refusal.reason;
}

TEST(FormatEmail, HidesTheWholeAddress) {
  const auto cipher = make_cipher();
  const auto format = make_format("email");
  const std::string token = check_address(*format, *cipher, "alice.smith@example.com");
  EXPECT_EQ(token.size(), 24 + std::string("@token.invalid").size());
  EXPECT_TRUE(token.ends_with("@token.invalid"));
  // A change anywhere changes all of it, the class included; of the length the class of 8 shows.
  EXPECT_NE(token.substr(0, 8), check_address(*format, *cipher, "alice.smith@example.org").substr(0, 8));
  EXPECT_NE(token, check_address(*make_format("email(domain=hidden)"), *make_cipher({2}), "alice.smith@example.com"));
  EXPECT_EQ(token, check_address(*make_format("email(domain=hidden)"), *cipher, "alice.smith@example.com"));
  EXPECT_EQ(check_address(*format, *cipher, "a@b").find('@'), 16U);
  EXPECT_EQ(check_address(*format, *cipher, "abcdefg@abcdefgh").find('@'), 16U);
  EXPECT_EQ(check_address(*format, *cipher, "abcdefg@abcdefghi").find('@'), 24U);
}

TEST(FormatEmail, KeepsTheDomain) {
  const auto cipher = make_cipher();
  const auto format = make_format("email(domain=kept)");
  const std::string token = check_address(*format, *cipher, "alice@example.com");
  EXPECT_EQ(token.substr(8), "@example.com.invalid");
  // The domain feeds the tweak.
  EXPECT_NE(token.substr(0, 8), check_address(*format, *cipher, "alice@example.org").substr(0, 8));
  EXPECT_EQ(check_address(*format, *cipher, "a@x.io").substr(8), "@x.io.invalid");
  EXPECT_EQ(check_address(*format, *cipher, "bob@müller.example").substr(8), "@müller.example.invalid");
  EXPECT_EQ(check_address(*format, *cipher, "root@localhost").substr(8), "@localhost.invalid");
}

TEST(FormatEmail, EveryKindOfAddress) {
  const auto cipher = make_cipher();
  for (const char *spec : {"email", "email(domain=kept)"}) {
    const auto format = make_format(spec);
    for (const char *address :
         {"a@x.io", "A@x.io", "Alice.Smith+tag@example.com", "jörg.müller@example.com", "почта@пример.рф",
          "用户@例子.公司", "\"a\\\"b@c,\"@example.com", "..@example.com", "a.@x", "o'brien@example.com",
          "1234567890@q-w_e.example", "!#$%&'*+-/=?^_`{|}~@example.com", "𝒜@x.example", "tok_x@9.8"})
      check_address(*format, *cipher, address);
  }
}

// Short local parts all have tokens of their own, although fewer than 10^6 of them exist.
TEST(FormatEmail, ShortLocalPartsAreDistinct) {
  const auto cipher = make_cipher();
  const std::string letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+";
  for (const char *spec : {"email", "email(domain=kept)"}) {
    const auto format = make_format(spec);
    std::set<std::string> tokens;
    for (const char a : letters) {
      tokens.insert(check_address(*format, *cipher, std::string(1, a) + "@x.io"));
      for (const char b : letters) tokens.insert(check_address(*format, *cipher, std::string{a, b} + "@x.io"));
    }
    EXPECT_EQ(tokens.size(), letters.size() * (letters.size() + 1));
  }
}

TEST(FormatEmail, LengthsUpToTheLongest) {
  const auto cipher = make_cipher();
  const auto hidden = make_format("email");
  const auto kept = make_format("email(domain=kept)");
  const std::string label(62, 'd');
  std::string domain = "x";
  while (domain.size() < 300) {
    for (const std::size_t local : {1U, 8U, 9U, 56U, 57U, 63U, 64U}) {
      const std::string address = std::string(local, 'l') + "@" + domain;
      if (address.size() <= 232) {
        check_address(*hidden, *cipher, address);
      } else {
        EXPECT_STREQ(reason(*hidden, Ff1Direction::encrypt, address),
                     domain.size() > 253     ? "domain longer than 253 octets"
                     : address.size() <= 254 ? "address too long for a token"
                                             : "address longer than 254 octets");
      }
      const std::size_t padded = (local + 7) / 8 * 8;
      if (padded + 1 + domain.size() + 8 <= 254 && address.size() <= 254)
        EXPECT_EQ(check_address(*kept, *cipher, address).size(), padded + 1 + domain.size() + 8);
      else
        EXPECT_STRNE(reason(*kept, Ff1Direction::encrypt, address), "");
    }
    domain += domain.size() % 63 == 62 ? ".d" : "d";
    if (domain.ends_with("dd") && domain.size() < 170 && domain.size() % 7 != 0) continue;
  }
  EXPECT_STREQ(reason(*kept, Ff1Direction::encrypt, std::string(33, 'L') + "@x.io"), "local part too long for a token");
  EXPECT_STREQ(reason(*hidden, Ff1Direction::encrypt, std::string(65, 'l') + "@x.io"),
               "local part longer than 64 octets");
  EXPECT_STREQ(reason(*kept, Ff1Direction::encrypt, std::string(65, 'l') + "@x.io"),
               "local part longer than 64 octets");
}

TEST(FormatEmail, ValuesThatAreRefused) {
  for (const char *spec : {"email", "email(domain=kept)"}) {
    const auto format = make_format(spec);
    EXPECT_STREQ(reason(*format, Ff1Direction::encrypt, ""), "no @ sign");
    EXPECT_STREQ(reason(*format, Ff1Direction::encrypt, "alice"), "no @ sign");
    EXPECT_STREQ(reason(*format, Ff1Direction::encrypt, "@example.com"), "empty local part");
    EXPECT_STREQ(reason(*format, Ff1Direction::encrypt, "a b@example.com"), "white space");
    EXPECT_STREQ(reason(*format, Ff1Direction::encrypt, "a@[192.0.2.1]"), "address literal");
    EXPECT_STREQ(reason(*format, Ff1Direction::encrypt, "a\xFF@example.com"), "invalid UTF-8");
    // A token is no value: nothing is tokenized twice.
    for (const char *token : {"a@invalid", "a@x.invalid", "a@x.INVALID", "aaaaaaaaaaaaaaaa@token.invalid"})
      EXPECT_STREQ(reason(*format, Ff1Direction::encrypt, token), "an address under .invalid") << token;
    std::string out;
    EXPECT_TRUE(format->crypt(Ff1Direction::encrypt, *make_cipher(), "a@xinvalid", out).ok());
  }
  std::string problem;
  for (const char *spec :
       {"email(domain)", "email(domain=)", "email(local)", "email(domain=kept,domain=kept)", "email(", "email[a]"})
    EXPECT_EQ(Format::make(spec, problem), nullptr) << spec;
  EXPECT_EQ(Format::make("email(domain=show)", problem), nullptr);
  EXPECT_NE(problem.find("email(domain=hidden)"), std::string::npos);
}

TEST(FormatEmail, TokensThatAreRefused) {
  const auto hidden = make_format("email");
  const auto kept = make_format("email(domain=kept)");
  for (const Format *format : {hidden.get(), kept.get()})
    for (const char *text : {"", "alice@example.com", "alice", "a@invalid.example", "aaaaaaaaaaaaaaaa@tokeninvalid"})
      EXPECT_STREQ(format->accepts(text).reason, "not an address under .invalid") << text;
  const std::string sixteen(16, 'a');
  EXPECT_TRUE(hidden->accepts(sixteen + "@token.invalid").ok());
  EXPECT_TRUE(kept->accepts(sixteen + "@x.invalid").ok());
  for (const std::string &local : {std::string(8, 'a'), std::string(17, 'a'), std::string(15, 'a') + "A",
                                   sixteen + ".aaaaaaa", std::string(15, 'a') + "\xC3\xA9"})
    EXPECT_FALSE(hidden->accepts(local + "@token.invalid").ok()) << local;
  for (const std::string &local : {std::string(7, 'a'), std::string(17, 'a'), std::string(15, 'a') + "A",
                                   std::string(15, 'a') + "-", std::string(72, 'a')})
    EXPECT_FALSE(kept->accepts(local + "@x.invalid").ok()) << local;
  for (const char *domain : {"@token.INVALID", "@x.invalid", "@a.token.invalid", "@token.token.invalid",
                             "@.token.invalid", "@invalid", "@x@token.invalid", "@aaaaaaaatoken.invalid"})
    EXPECT_FALSE(hidden->accepts(sixteen + domain).ok()) << domain;
  for (const char *domain :
       {"@invalid", "@x.INVALID", "@x..invalid", "@x y.invalid", "@x.invalid.invalid", "@x@y.invalid"})
    EXPECT_FALSE(kept->accepts(sixteen + domain).ok()) << domain;
  EXPECT_FALSE(hidden->accepts(std::string(100000, 'a') + "@token.invalid").ok());
  EXPECT_FALSE(kept->accepts(std::string(100000, 'a') + "@token.invalid").ok());
  // Only one way to write so many symbols.
  EXPECT_TRUE(hidden->accepts(std::string(64, 'a') + "@aaaaaaaa.token.invalid").ok());
  EXPECT_FALSE(hidden->accepts(std::string(63, 'a') + "@aaaaaaaaa.token.invalid").ok());
  EXPECT_FALSE(hidden->accepts(std::string(64, 'a') + "@aaaa.aaaa.token.invalid").ok());
}

// Symbols that were never a token's seldom decrypt; what does is an address whose token they are.
TEST(FormatEmail, MadeUpTokensDecryptToNoAddress) {
  const auto cipher = make_cipher();
  std::mt19937 random(1);
  for (const char *spec : {"email", "email(domain=kept)"}) {
    const auto format = make_format(spec);
    int opened = 0;
    for (int i = 0; i < 5000; ++i) {
      std::string token;
      for (int n = 0; n < 24; ++n) token += "abcdefghijklmnopqrstuvwxyz0123456789"[random() % 36];
      token += "@token.invalid";
      ASSERT_TRUE(format->accepts(token).ok());
      std::string value;
      std::string again;
      const Refusal refusal = format->crypt(Ff1Direction::decrypt, *cipher, token, value);
      if (!refusal.ok()) {
        ASSERT_STREQ(refusal.reason, "not a token's address");
        continue;
      }
      ++opened;
      ASSERT_TRUE(format->crypt(Ff1Direction::encrypt, *cipher, value, again).ok());
      ASSERT_EQ(again, token);
    }
    EXPECT_LT(opened, 500);
  }
}

// Codes that encoding does not make: one address would have two tokens.
TEST(FormatEmail, DecodingIsStrict) {
  const auto cipher = make_cipher();
  const auto format = make_format("email");
  const auto decrypts = [&](std::vector<std::uint16_t> code, std::size_t length) {
    code.resize(length, 28);
    EXPECT_EQ(cipher->crypt(Ff1Direction::encrypt, 36, code, {}), Status::ok);
    std::string token;
    for (const std::uint16_t n : code) token += "abcdefghijklmnopqrstuvwxyz0123456789"[n];
    token += "@token.invalid";
    EXPECT_TRUE(format->accepts(token).ok());
    std::string value;
    return format->crypt(Ff1Direction::decrypt, *cipher, token, value).ok();
  };
  const std::vector<std::uint16_t> address = {0, 27, 23, 26, 8, 14};  // a@x.io
  EXPECT_TRUE(decrypts(address, 16));
  EXPECT_FALSE(decrypts(address, 24));                          // more padding than needed
  EXPECT_FALSE(decrypts({0, 27, 23, 26, 8, 14, 28, 0}, 16));    // something after the end
  EXPECT_FALSE(decrypts({30, 29, 27, 23, 26, 8, 14}, 16));      // a written as a pair, place 65 = 1·36 + 29
  EXPECT_FALSE(decrypts({0, 27, 23, 26, 8, 14, 35, 8}, 16));    // place 224, beyond the last octet
  EXPECT_FALSE(decrypts({0, 27, 23, 26, 8, 14, 35, 7}, 16));    // octet FF: not UTF-8
  EXPECT_FALSE(decrypts({0, 23, 26, 8, 14}, 16));               // no address
  EXPECT_FALSE(decrypts({0, 27, 8, 13, 21, 0, 11, 8, 3}, 16));  // a@invalid
  EXPECT_FALSE(decrypts({}, 16));
  EXPECT_FALSE(decrypts({0, 27, 23, 26, 8, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30}, 16));  // half a pair
}

// The code and the padding as documented: against FF1 on numerals written out by hand.
TEST(FormatEmail, TheConstructionIsTheDocumentedOne) {
  const auto cipher = make_cipher();
  // a @ X . i o: X is 0x58, place 56 = 1·36 + 20.
  std::array<std::uint16_t, 16> numerals = {0, 27, 30, 20, 26, 8, 14, 28, 28, 28, 28, 28, 28, 28, 28, 28};
  ASSERT_EQ(cipher->crypt(Ff1Direction::encrypt, 36, numerals, {}), Status::ok);
  std::string expected;
  for (const std::uint16_t n : numerals) expected += "abcdefghijklmnopqrstuvwxyz0123456789"[n];
  EXPECT_EQ(check_address(*make_format("email"), *cipher, "a@X.io"), expected + "@token.invalid");
}

}  // namespace
}  // namespace redoubt
