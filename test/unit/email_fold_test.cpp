// email_fold_test.cpp - case folding against the standard's own examples, Punycode against RFC 3492 section 7.1, and
// which addresses become one.
#include "core/email_fold.h"

#include <gtest/gtest.h>

#include "core/normalize.h"
#include "core/unicode_text.h"
#include "small_nfc.h"

namespace redoubt {
namespace {

std::string folded(std::string_view text) {
  std::string out;
  fold_case(out, text);
  return out;
}

TEST(EmailFold, FoldsCaseInFull) {
  EXPECT_EQ(folded("ABC xyz 09"), "abc xyz 09");
  EXPECT_EQ(folded("ÀÖØÞĀŸ"), "àöøþāÿ");
  EXPECT_EQ(folded("Straße STRASSE ẞ"), "strasse strasse ss");  // F: U+00DF, U+1E9E
  EXPECT_EQ(folded("ΣΊΣΥΦΟς"), "σίσυφοσ");                      // C: final sigma
  EXPECT_EQ(folded("İ"), "i\u0307");                            // F: U+0130
  EXPECT_EQ(folded("ﬃ"), "ffi");
  EXPECT_EQ(folded("ΐ"), "\u03B9\u0308\u0301");
  EXPECT_EQ(folded("ЖЁ ԱԲ"), "жё աբ");
  EXPECT_EQ(folded("\U00010400\U0001E921"), "\U00010428\U0001E943");
  EXPECT_EQ(folded("\u13A0\uAB70\u13F8"), "\u13A0\u13A0\u13F0") << "Cherokee folds to capitals";
  EXPECT_EQ(folded("日本 ㄱ ı"), "日本 ㄱ ı");
}

TEST(EmailFold, FoldingTwiceChangesNothing) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string letter;
    utf8_append(letter, c);
    const std::string once = folded(letter);
    ASSERT_LE(once.size(), 3 * letter.size()) << std::hex << static_cast<unsigned>(c);
    ASSERT_EQ(folded(once), once) << std::hex << static_cast<unsigned>(c);
  }
}

TEST(EmailFold, PunycodeOfTheStandard) {
  const auto decoded = [](std::string_view label) {
    std::string out;
    return punycode_decode(out, label) ? out : std::string("(none)");
  };
  // RFC 3492 section 7.1 (A), (B), (F), (I), (L) and (S); the last is ASCII alone.
  EXPECT_EQ(decoded("egbpdaj6bu4bxfgehfvwxn"), "ليهمابتكلموشعربي؟");
  EXPECT_EQ(decoded("ihqwcrb4cv8a8dqg056pqjye"), "他们为什么不说中文");
  EXPECT_EQ(decoded("i1baa7eci9glrd9b2ae1bj0hfcgg6iyaf8o0a1dig0cd"), "यहलोगहिन्दीक्योंनहींबोलसकतेहैं");
  EXPECT_EQ(decoded("b1abfaaepdrnnbgefbadotcwatmq2g4l"), "почемужеонинеговорятпорусски");
  EXPECT_EQ(decoded("3B-ww4c5e180e575a65lsy2b"), "3年B組金八先生");
  EXPECT_EQ(decoded("-> $1.00 <--"), "(none)");
  EXPECT_EQ(decoded("mller-kva"), "müller");
  EXPECT_EQ(decoded("MLLER-KVA"), "MüLLER");
  for (const char *none : {"", "-", "é", "99999999", "a-!", "mller-kv", "d800-", "ab-"})
    EXPECT_EQ(decoded(none), "(none)") << none;
}

TEST(EmailFold, SpellingsOfOneAddressAreOne) {
  const Result<NormalizeSpec> spec = normalize_parse("email(case=folded)");
  ASSERT_TRUE(spec.ok());
  const auto normal = [&spec](std::string_view text) {
    std::string out;
    const Refusal refusal = normalize(*spec, text, small_nfc, out);
    return refusal.ok() ? out : std::string("refused: ") + refusal.reason;
  };
  EXPECT_EQ(normal(" Alice.SMITH@Example.COM "), "alice.smith@example.com");
  for (const char *same : {"Jo@müller.example", "jo@MÜLLER.example", "JO@xn--mller-kva.example",
                           "jo@XN--MLLER-KVA.EXAMPLE", "jo@mu\u0308ller\u3002example", "jo@müller\uFF61example"})
    EXPECT_EQ(normal(same), "jo@müller.example") << same;
  EXPECT_EQ(normal("JÖRG@x.de"), "jörg@x.de");
  EXPECT_EQ(normal("a@xn--99999999.de"), "a@xn--99999999.de") << "is no Punycode: stays";
  EXPECT_EQ(normal("no address"), "refused: no @ sign");
  // A label that brings in what an address may not hold: U+2022, U+00A0, a dot of IDNA alone.
  EXPECT_EQ(normal("a@xn--nvg.example").substr(0, 8), "refused:");
  EXPECT_EQ(normal("a@xn--a-4ba.example").substr(0, 8), "refused:");
  EXPECT_EQ(normal("a@\u3002example"), "refused: empty label");
  const std::string once = normal("STRASSE@XN--MLLER-KVA.de");
  EXPECT_EQ(normal(once), once);
}

}  // namespace
}  // namespace redoubt
