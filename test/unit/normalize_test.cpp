// normalize_test.cpp - parsing of normalisers, what every one of them refuses, and trim,
// upper, lower and name; email and phone have tests of their own.
#include "core/normalize.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "core/phone_countries.h"
#include "core/unicode_text.h"
#include "small_nfc.h"

namespace redoubt {
namespace {

const char *const kSpecs[] = {"none", "trim", "upper", "lower", "email", "phone(US)", "phone(GB)", "name"};

bool nfc_must_not_run(std::string_view, std::string &) {
  ADD_FAILURE() << "NFC was asked for";
  return false;
}
bool nfc_fails(std::string_view, std::string &) { return false; }
bool nfc_writes_rubbish(std::string_view, std::string &out) {
  out = "\xFF";
  return true;
}
bool nfc_writes_a_mask(std::string_view, std::string &out) {
  out = kMaskCharacter;
  return true;
}

TEST(UnicodeText, LettersAreDecodedAsAllElse) {
  for (unsigned lead = 0; lead < 0x100; ++lead)
    for (unsigned second = 0; second < 0x100; ++second)
      for (const unsigned third : {0U, 0x20U, 0x7FU, 0x80U, 0x8FU, 0x9FU, 0xA0U, 0xBFU, 0xC0U, 0xC2U, 0xE0U, 0xFFU}) {
        const std::string text = {'a', static_cast<char>(lead), static_cast<char>(second), static_cast<char>(third),
                                  '\x80'};
        for (std::size_t size = 2; size <= text.size(); ++size) {
          const std::string some = text.substr(0, size);
          const CodePoint expected = utf8_decode(some, 1);
          const CodePoint found = utf8_decode_letter(some, 1);
          ASSERT_EQ(found.size, expected.size) << testing::PrintToString(some);
          ASSERT_EQ(found.value, expected.value) << testing::PrintToString(some);
        }
      }
}

TEST(NormalizeParse, ReadsEverySpec) {
  const struct {
    const char *spec;
    NormalizeKind kind;
  } cases[] = {{"none", NormalizeKind::none},   {"trim", NormalizeKind::trim},   {"upper", NormalizeKind::upper},
               {"lower", NormalizeKind::lower}, {"email", NormalizeKind::email}, {"name", NormalizeKind::name}};
  for (const auto &c : cases) {
    const auto spec = normalize_parse(c.spec);
    ASSERT_TRUE(spec.ok()) << c.spec;
    EXPECT_EQ(spec->kind, c.kind) << c.spec;
  }
  for (const char *text : {"phone(GB)", "phone(gb)", "phone(GB,table=1)"}) {
    const auto spec = normalize_parse(text);
    ASSERT_TRUE(spec.ok()) << text;
    EXPECT_EQ(spec->kind, NormalizeKind::phone);
    EXPECT_STREQ(phone_countries()[spec->phone_country].iso, "GB");
  }
}

TEST(NormalizeParse, RefusesTheRest) {
  for (const char *spec : {"",
                           "None",
                           "trim ",
                           " trim",
                           "trim,lower",
                           "phone",
                           "phone()",
                           "phone(U)",
                           "phone(USA)",
                           "phone(ZZ)",
                           "phone(0A)",
                           "phone(US",
                           "phone(US) ",
                           "phone[US]",
                           "phone(US,)",
                           "phone(US,table=0)",
                           "phone(US,table=2)",
                           "phone(US,table=1",
                           "phone(US,table=1))",
                           "emails"})
    EXPECT_EQ(normalize_parse(spec).status(), Status::invalid_argument) << spec;
}

TEST(Normalize, RefusesIllFormedUtf8UnderEverySpec) {
  const struct {
    const char *bytes;
    std::size_t position;
  } cases[] = {
      {"\x80", 1},                  // a continuation byte alone
      {"a\xC3", 2},                 // cut short: two, three, four bytes
      {"ab\xE2\x82", 3},            //
      {"\xF0\x9F\x98", 1},          //
      {"\xC0\xAF", 1},              // overlong /
      {"\xC1\xBF", 1},              //
      {"\xE0\x9F\xBF", 1},          //
      {"\xF0\x8F\xBF\xBF", 1},      //
      {"\xC3\xA9\xED\xA0\x80", 2},  // surrogate U+D800, after one good character
      {"\xF4\x90\x80\x80", 1},      // U+110000
      {"\xF5\x80\x80\x80", 1},      //
      {"\xFF", 1},                  //
      {"\xC3(", 1},                 // a lead byte without its continuation
      {"\xE2\x28\xA1", 1},          //
  };
  for (const char *text : kSpecs) {
    const auto spec = normalize_parse(text);
    ASSERT_TRUE(spec.ok());
    for (const auto &c : cases) {
      std::string out = "left over";
      const Refusal refusal = normalize(*spec, c.bytes, nfc_must_not_run, out);
      EXPECT_EQ(refusal.status, Status::malformed) << text;
      EXPECT_EQ(refusal.position, c.position) << text;
      EXPECT_STREQ(refusal.reason, "invalid UTF-8");
      EXPECT_TRUE(out.empty());
    }
  }
}

TEST(Normalize, RefusesTheMaskCharacterUnderEverySpec) {
  for (const char *text : kSpecs) {
    const auto spec = normalize_parse(text);
    ASSERT_TRUE(spec.ok());
    const struct {
      const char *value;
      std::size_t position;
    } cases[] = {{"•", 1}, {"a•••@example.com", 2}, {"+44•••••58", 4}, {"é•", 2}, {" M••• O•••", 3}};
    for (const auto &c : cases) {
      std::string out = "left over";
      const Refusal refusal = normalize(*spec, c.value, nfc_must_not_run, out);
      EXPECT_EQ(refusal.status, Status::refused) << text;
      EXPECT_EQ(refusal.position, c.position) << text;
      EXPECT_STREQ(refusal.reason, "mask character");
      EXPECT_TRUE(out.empty());
    }
  }
}

TEST(Normalize, AsksForNfcOnlyWhereNeeded) {
  std::string out;
  for (const char *text : kSpecs) {  // pure ASCII never
    const auto spec = normalize_parse(text);
    ASSERT_TRUE(spec.ok());
    const char *value = spec->kind == NormalizeKind::phone   ? "+12125550100"
                        : spec->kind == NormalizeKind::email ? "a@example.com"
                                                             : "Abc";
    EXPECT_TRUE(normalize(*spec, value, nfc_must_not_run, out).ok()) << text;
  }
  EXPECT_TRUE(normalize(*normalize_parse("none"), "e\u0301", nfc_must_not_run, out).ok());
  EXPECT_EQ(out, "e\u0301");
  // Below U+0300 every text is in Normalization Form C.
  for (const char *text : {"trim", "upper", "lower", "name"})
    EXPECT_TRUE(normalize(*normalize_parse(text), "Andr\u00E9 \u02BC\u02FF", nfc_must_not_run, out).ok()) << text;
  EXPECT_EQ(out, "Andr\u00E9 \u02BC\u02FF");
}

TEST(Normalize, TrustsNothingNfcReturns) {
  for (const NfcFunction nfc : {nfc_fails, nfc_writes_rubbish, nfc_writes_a_mask}) {
    for (const char *text : {"trim", "upper", "lower", "email", "phone(US)", "name"}) {
      std::string out;
      EXPECT_EQ(normalize(*normalize_parse(text), "e\u0301", nfc, out).status, Status::unsupported) << text;
      EXPECT_TRUE(out.empty());
    }
  }
}

TEST(Normalize, TextSpecs) {
  const struct {
    const char *spec, *value, *expected;
  } cases[] = {
      {"none", "", ""},
      {"none", "  as\tit is\x01 ", "  as\tit is\x01 "},
      {"trim", "", ""},
      {"trim", " \t\r\n\v\f ", ""},
      {"trim", "  a b  ", "a b"},
      {"trim", "\u00A0\u1680\u2003\u2028\u202F\u205F\u3000x\u0085\u2029\u200A", "x"},
      {"trim", "\u200Bx\uFEFF", "\u200Bx\uFEFF"},  // zero-width: not White_Space
      {"trim", "a\x01", "a\x01"},
      {"trim", "e\u0301", "é"},
      {"upper", " tm-00ab7 ", "TM-00AB7"},
      {"upper", "straße é", "STRAßE é"},  // ASCII alone
      {"upper", "@[`{az", "@[`{AZ"},
      {"upper", "i\u0307x", "\u0130X"},  // composes only once it is a capital
      {"lower", " TM-00AB7 ", "tm-00ab7"},
      {"lower", "İÉ ABC", "İÉ abc"},
      {"lower", "@[`{AZ", "@[`{az"},
      {"lower", "H\u0331X", "\u1E96x"},  // composes only once it is small
      {"lower", "\u212A", "k"},          // KELVIN SIGN is K under NFC
      {"lower", "", ""},
      {"name", "Marisa Obrien", "Marisa Obrien"},
      {"name", "  Marisa \t\n Obrien  ", "Marisa Obrien"},
      {"name", "Marisa\u00A0\u3000Obrien\u2003", "Marisa Obrien"},
      {"name", "Rene\u0301  Dupont", "René Dupont"},
      {"name", "José\u0085María", "José María"},
      {"name", "王小明", "王小明"},
      {"name", "McDONALD O'Neil-Smith Jr.", "McDONALD O'Neil-Smith Jr."},  // case is the owner's
      {"name", "a\u0085\u00A0\u2003 b", "a b"},
  };
  for (const auto &c : cases) {
    const auto spec = normalize_parse(c.spec);
    ASSERT_TRUE(spec.ok());
    std::string out = "left over";
    const Refusal refusal = normalize(*spec, c.value, small_nfc, out);
    ASSERT_TRUE(refusal.ok()) << c.spec << " of " << c.value << ": " << refusal.reason;
    EXPECT_EQ(refusal.position, 0U);
    EXPECT_EQ(out, c.expected) << c.spec;
    std::string again;
    ASSERT_TRUE(normalize(*spec, out, small_nfc, again).ok());
    EXPECT_EQ(again, out) << c.spec << " twice of " << c.value;
  }
}

TEST(Normalize, EveryWhiteSpaceAndNoOther) {
  const auto trim = *normalize_parse("trim");
  std::u32string white;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    if (is_white_space(c)) white.push_back(c);
  }
  // PropList.txt, White_Space: 25 code points.
  EXPECT_EQ(white,
            U"\t\n\v\f\r \u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A"
            U"\u2028\u2029\u202F\u205F\u3000");
  for (const char32_t c : white) {
    std::string text;
    append_utf8(text, c);
    text += "x";
    append_utf8(text, c);
    std::string out;
    ASSERT_TRUE(normalize(trim, text, small_nfc, out).ok());
    EXPECT_EQ(out, "x") << static_cast<unsigned>(c);
  }
}

// Every two octets between others, and octets at random: normal are the names below U+0300 that normalising leaves.
TEST(Normalize, NameIsNormal) {
  const auto name = *normalize_parse("name");
  std::size_t normal = 0;
  const auto check = [&](const std::string &text) {
    std::string out;
    const bool left = normalize(name, text, small_nfc, out).ok() && out == text;
    ASSERT_EQ(name_is_normal(text), left && is_below_combining(text)) << testing::PrintToString(text);
    normal += left ? 1 : 0;
  };
  check("");
  for (unsigned two = 0; two < 0x10000; ++two) {
    const std::string octets = {static_cast<char>(two >> 8), static_cast<char>(two & 0xFF)};
    for (const char *before : {"", "a", "a ", "\xC2", "\xC3"})
      for (const char *after : {"", "a", " a", "\xA0", "\xA1"}) check(before + octets + after);
  }
  const std::string octets(
      "  aAz\x1F\x21\x7E\x7F\x80\x9F\xA0\xA1\xAD\xBF\xC0\xC1\xC2\xC3\xC3\xC5\xCB\xCC\xDF\xE1\xE2\xF0\0", 29);
  std::mt19937 random(3);
  for (int turn = 0; turn < 300000; ++turn) {
    std::string text;
    for (auto left = random() % 12; left > 0; --left) text += octets[random() % octets.size()];
    check(text);
  }
  EXPECT_GT(normal, 10000U);
}

TEST(Normalize, NameRefusals) {
  const struct {
    std::string value;
    std::size_t position;
    const char *reason;
  } cases[] = {
      {"", 0, "empty value"},
      {" \u3000\t ", 0, "empty value"},
      {"a\x01", 2, "control character"},
      {std::string("é\0b", 4), 2, "control character"},
      {"  ab\x7F", 5, "control character"},
      {"ab\u0080", 3, "control character"},
      {"e\u0301\u009F", 2, "control character"},  // the composed text is counted
  };
  const auto name = *normalize_parse("name");
  for (const auto &c : cases) {
    std::string out = "left over";
    const Refusal refusal = normalize(name, c.value, small_nfc, out);
    EXPECT_EQ(refusal.status, Status::refused) << c.reason;
    EXPECT_EQ(refusal.position, c.position) << c.reason;
    EXPECT_STREQ(refusal.reason, c.reason);
    EXPECT_TRUE(out.empty());
  }
}

TEST(Normalize, LongTextsKeepTheirLength) {
  // Around the eight bytes that is_ascii reads at a time, with the one other character anywhere.
  const auto trim = *normalize_parse("trim");
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text.replace(at, 1, "e\u0301");
      std::string expected(size, 'a');
      expected.replace(at, 1, "é");
      std::string out;
      ASSERT_TRUE(normalize(trim, text, small_nfc, out).ok());
      ASSERT_EQ(out, expected);
    }
  }
}

TEST(Normalize, TwiceIsOnce) {
  // Random texts of the characters that the rules speak of, a fixed seed.
  const char32_t alphabet[] = {'a',  'E',   'h',   'H',   'i',  'I',    'z',    '0',    '1',    '4',  '4', '7',
                               '+',  '(',   ')',   '-',   '.',  '@',    '@',    'x',    ' ',    '\t', '"', '8',
                               0xA0, 0x301, 0x307, 0x331, 0xE9, 0x212A, 0x3000, 0xFF11, 0x0662, '\\', '/', 0x1F600};
  std::mt19937_64 random(20240607);
  std::size_t accepted = 0;
  for (int round = 0; round < 40000; ++round) {
    std::string text;
    for (auto size = random() % 18; size > 0; --size) append_utf8(text, alphabet[random() % std::size(alphabet)]);
    for (const char *name : kSpecs) {
      const auto spec = *normalize_parse(name);
      std::string once, twice;
      if (!normalize(spec, text, small_nfc, once).ok()) continue;
      ++accepted;
      ASSERT_TRUE(normalize(spec, once, small_nfc, twice).ok()) << name << " of <" << text << ">";
      ASSERT_EQ(twice, once) << name << " of <" << text << ">";
    }
  }
  EXPECT_GT(accepted, 100000U);
}

}  // namespace
}  // namespace redoubt
