// mask_test.cpp - what each mask shows, and that none shows more, whatever the value.
#include "core/mask.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "core/normalize.h"
#include "small_nfc.h"

namespace redoubt {
namespace {

std::string masked(std::string_view spec, std::string_view value) {
  const auto parsed = mask_parse(spec);
  EXPECT_TRUE(parsed.ok()) << spec;
  std::string out = "left over";
  mask_apply(*parsed, value, out);
  return out;
}

TEST(MaskParse, ReadsEverySpec) {
  const struct {
    const char *spec;
    MaskKind kind;
    unsigned keep;
  } cases[] = {{"full", MaskKind::full, 0},
               {"email", MaskKind::email, 0},
               {"phone", MaskKind::phone, 0},
               {"name", MaskKind::name, 0},
               {"keep_first(0)", MaskKind::keep_first, 0},
               {"keep_first(64)", MaskKind::keep_first, 64},
               {"keep_last(3)", MaskKind::keep_last, 3},
               {"keep_last(10)", MaskKind::keep_last, 10}};
  for (const auto &c : cases) {
    const auto spec = mask_parse(c.spec);
    ASSERT_TRUE(spec.ok()) << c.spec;
    EXPECT_EQ(spec->kind, c.kind) << c.spec;
    EXPECT_EQ(spec->keep, c.keep) << c.spec;
  }
}

TEST(MaskParse, RefusesTheRest) {
  for (const char *spec :
       {"", "none", "Full", "full ", "keep_first", "keep_first()", "keep_first(65)", "keep_first(100)", "keep_last(-1)",
        "keep_last(+1)", "keep_last( 1)", "keep_last(1", "keep_last(1))", "keep_last(a)", "keep_middle(1)"})
    EXPECT_EQ(mask_parse(spec).status(), Status::invalid_argument) << spec;
}

TEST(Mask, Shows) {
  const struct {
    const char *spec, *value, *expected;
  } cases[] = {
      {"full", "", "••••"},
      {"full", "a", "••••"},
      {"full", "a long value of many words", "••••"},
      {"email", "alice@example.com", "a•••@example.com"},
      {"email", "al@example.com", "a•••@example.com"},
      {"email", "a@example.com", "•••@example.com"},
      {"email", "émile@example.com", "é•••@example.com"},
      {"email", "e\u0323\u0301mile@example.com", "e\u0323\u0301•••@example.com"},  // marks stay with their base
      {"email", "e\u0323\u0301@example.com", "•••@example.com"},
      {"email", "\"a@b\"@example.com", "\"•••@example.com"},
      {"email", "x1@例え.jp", "x•••@例え.jp"},
      {"email", "", "••••"},
      {"email", "alice", "••••"},  // no address: nothing of it is meant to be shown
      {"email", "@example.com", "••••"},
      {"email", "alice@", "••••"},
      {"email", "note @ self: the code is 1234", "••••"},
      {"phone", "+442079460958", "+44•••••58"},
      {"phone", "+12125550100", "+1•••••00"},
      {"phone", "+1115005550132", "+1•••••32"},
      {"phone", "+12125550100;ext=123", "+1•••••00"},
      {"phone", "+2902345", "+290•••••45"},
      {"phone", "+2102345", "+•••••45"},  // a calling code the table does not have
      {"phone", "697-555-0142", "••••"},  // not normalised
      {"phone", "+44 20 7946 0958", "••••"},
      {"phone", "", "••••"},
      {"name", "Marisa Obrien", "M••• O•••"},
      {"name", "  Marisa \t Obrien\u3000", "M••• O•••"},
      {"name", "J. R. Smith", "J••• R••• S•••"},
      {"name", "J Smith", "••• S•••"},  // a word of one character would be shown whole
      {"name", "J", "•••"},
      {"name", "王小明", "王•••"},
      {"name", "E\u0301lodie Zoë", "E\u0301••• Z•••"},
      {"name", "कि राम", "••• रा•••"},  // one letter with its vowel sign, then two of them
      {"name", "", "••••"},
      {"name", " \t ", "••••"},
      {"keep_last(3)", "TM-0000001", "•••001"},
      {"keep_last(3)", "abcdef", "•••def"},
      {"keep_last(3)", "abcde", "•••de"},  // half of five
      {"keep_last(3)", "a", "•••"},
      {"keep_last(3)", "", "•••"},
      {"keep_last(0)", "abcdef", "•••"},
      {"keep_last(64)", "abcdef", "•••def"},
      {"keep_last(2)", "größe", "•••ße"},
      {"keep_last(1)", "abcde\u0301", "•••e\u0301"},
      {"keep_last(1)", "abe\u0301\u0301\u0301", "•••"},  // one character, but four of six code points
      {"keep_first(2)", "abcdef", "ab•••"},
      {"keep_first(64)", "abcdefg", "abc•••"},
      {"keep_first(0)", "abcdef", "•••"},
      {"keep_first(1)", "a", "•••"},
      {"keep_first(1)", "ab", "a•••"},
      {"keep_first(5)", "", "•••"},
      {"keep_first(2)", "øre😀", "ør•••"},
      {"keep_first(1)", "e\u0301bcd", "e\u0301•••"},
      {"keep_first(3)", "e\u0301\u0301\u0301bc", "•••"},
      {"keep_first(2)", "👍🏽👍🏽👍🏽👍🏽",
       "👍🏽👍🏽•••"},  // skin tones stay on their thumbs
  };
  for (const auto &c : cases) EXPECT_EQ(masked(c.spec, c.value), c.expected) << c.spec << " of " << c.value;
}

TEST(Mask, IllFormedBytesAreMaskedInFull) {
  for (const char *spec : {"full", "email", "phone", "name", "keep_first(4)", "keep_last(4)"})
    for (const char *bytes : {"alice\xFF@example.com", "alice@example.com\xC3", "+4420794609\xED\xA0\x80", "\x80"})
      EXPECT_EQ(masked(spec, bytes), "••••") << spec;
}

TEST(Mask, NeverComesBackAsAValue) {
  const char *const values[] = {"",  "a", "ab", "alice@example.com", "+442079460958", "Marisa Obrien", "TM-0000001",
                                "é", " ", "王"};
  for (const char *spec : {"full", "email", "phone", "name", "keep_first(4)", "keep_last(4)"}) {
    for (const char *value : values) {
      for (const char *normaliser : {"none", "trim", "upper", "lower", "email", "phone(US)", "name"}) {
        std::string out;
        const Refusal refusal = normalize(*normalize_parse(normaliser), masked(spec, value), small_nfc, out);
        EXPECT_STREQ(refusal.reason, "mask character") << spec << " of " << value;
      }
    }
  }
}

TEST(Mask, KeepShowsExactlyWhatItMay) {
  // Random texts without marks, so characters are code points, a fixed seed.
  const char32_t alphabet[] = {'a', 'b', ' ', '1', 0xE9, 0x4E00, 0x1F600};
  std::mt19937_64 random(20240608);
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::string> characters(random() % 24);
    std::string text;
    for (std::string &character : characters) {
      append_utf8(character, alphabet[random() % std::size(alphabet)]);
      text += character;
    }
    const std::size_t keep = random() % 16;
    const std::size_t shown = std::min(keep, characters.size() / 2);
    std::string first, last;
    for (std::size_t i = 0; i < shown; ++i) {
      first += characters[i];
      last += characters[characters.size() - shown + i];
    }
    EXPECT_EQ(masked("keep_first(" + std::to_string(keep) + ")", text), first + "•••");
    EXPECT_EQ(masked("keep_last(" + std::to_string(keep) + ")", text), "•••" + last);
  }
}

TEST(CombiningMarks, Samples) {
  for (const char32_t c : {0x300, 0x36F, 0x483, 0x591, 0x64B, 0x93F, 0xE31, 0x200D, 0x20D0, 0x3099, 0xFE0F, 0xFE20,
                           0x1F3FB, 0xE0100, 0xE01EF})
    EXPECT_TRUE(is_combining_mark(c)) << static_cast<unsigned>(c);
  for (const char32_t c : {0x0, 0x41, 0x2FF, 0x370, 0x915, 0xE01, 0x2022, 0x4E00, 0xAC00, 0x1F600, 0xE01F0, 0x10FFFF})
    EXPECT_FALSE(is_combining_mark(c)) << static_cast<unsigned>(c);
}

}  // namespace
}  // namespace redoubt
