// format_name_test.cpp - the format `name`: what a token keeps, short names, and that every name comes back.
#include "core/format_name.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/format.h"
#include "core/unicode_text.h"
#include "format_support.h"

namespace redoubt {
namespace {

std::string check_name(const Format &format, FormatCipher &cipher, const std::string &name) {
  std::string token;
  std::string back;
  const Refusal refusal = format.crypt(Ff1Direction::encrypt, cipher, name, token);
  EXPECT_TRUE(refusal.ok()) << name << ": " << refusal.reason;
  EXPECT_TRUE(format.accepts(token).ok()) << token;
  EXPECT_TRUE(format.crypt(Ff1Direction::decrypt, cipher, token, back).ok()) << token;
  EXPECT_EQ(back, name);
  return token;
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

TEST(FormatName, KeepsWordsSeparatorsAndCase) {
  const auto cipher = make_cipher();
  const auto format = make_format("name(alphabet=ascii)");
  for (const std::string name : {"Alice Smith", "O'Brien-McDonald", "van der Berg", "J. R. R. Tolkien", "SMITH, JOHN",
                                 "'t Hooft", "Anne-Marie", "deLaCruz", "Smith Jr."}) {
    const std::string token = check_name(*format, *cipher, name);
    EXPECT_NE(token, name);
    ASSERT_EQ(token.size(), name.size());
    for (std::size_t i = 0; i < name.size(); ++i) {
      EXPECT_EQ(is_upper(token[i]), is_upper(name[i])) << token;
      EXPECT_EQ(is_lower(token[i]), is_lower(name[i])) << token;
      if (!is_upper(name[i]) && !is_lower(name[i])) {
        EXPECT_EQ(token[i], name[i]);
      }
    }
  }
}

TEST(FormatName, AllWordsAreOneValue) {
  const auto cipher = make_cipher();
  const auto format = make_format("name(alphabet=ascii)");
  const std::string a = check_name(*format, *cipher, "Alice Smith");
  EXPECT_NE(a.substr(5), check_name(*format, *cipher, "Alicf Smith").substr(5));
  EXPECT_NE(a.substr(0, 5), check_name(*format, *cipher, "Alice Smitt").substr(0, 5));
  // What is kept feeds the tweak.
  EXPECT_NE(a.substr(6), check_name(*format, *cipher, "Alice-Smith").substr(6));
  EXPECT_NE(a.substr(1, 4), check_name(*format, *cipher, "alice Smith").substr(1, 4));
  EXPECT_NE(a.substr(6), check_name(*format, *cipher, "Al iceSmith").substr(6));
}

TEST(FormatName, TheConstructionIsTheDocumentedOne) {
  const auto cipher = make_cipher();
  std::array<std::uint16_t, 6> numerals = {0, 1, 2, 3, 4, 5};  // ABc-Def
  const std::array<std::uint8_t, 13> tweak = {0, 2, 2, 0, 1, 1, '-', 0, 2, 1, 0, 1, 2};
  ASSERT_EQ(cipher->crypt(Ff1Direction::encrypt, 26, numerals, tweak), Status::ok);
  std::string expected;
  const std::string cases = "AAaAaa";
  for (std::size_t i = 0; i < 6; ++i) {
    if (i == 3) expected += '-';
    expected += static_cast<char>(cases[i] + static_cast<char>(numerals[i]));
  }
  const auto format = make_format("name(alphabet=ascii)");
  EXPECT_EQ(check_name(*format, *cipher, "ABc-Def"), expected);
  // "A. xY." with short=5: before the last word the run of A and ". ", then the mark of a mixed word, then ".".
  const std::array<std::uint8_t, 9> short_tweak = {0, 2, 1, '.', ' ', 0, 6, 1, '.'};
  const auto power = [](int n) { return n == 3 ? 17576ULL : n == 4 ? 456976ULL : 11881376ULL; };
  const std::uint64_t size = power(3) * 1 + power(4) * 5 + power(5) * 13;
  std::uint64_t rank = 0 * 676 + 23 * 26 + 24;  // length 2, the first in order; pattern 01 is number 0
  ASSERT_EQ(cipher->crypt_rank(Ff1Direction::encrypt, size, rank, short_tweak), Status::ok);
  const int letters = rank < power(3) ? 3 : rank < power(3) + 5 * power(4) ? 4 : 5;
  const auto five = make_format("name(alphabet=ascii,short=5)");
  const std::string token = check_name(*five, *cipher, "A. xY.");
  EXPECT_EQ(token.size(), static_cast<std::size_t>(letters) + 3);
  ASSERT_EQ(letters, 5);  // so it is under this key; the letters are then the rank's last digits
  std::uint64_t rest = (rank - power(3) - 5 * power(4)) % power(5);
  for (const std::size_t at : {6U, 5U, 4U, 3U, 0U}) {
    EXPECT_EQ(static_cast<std::uint64_t>((token[at] | 0x20) - 'a'), rest % 26);
    rest /= 26;
  }
}

// classes: what a short name keeps, in words: the words before, the class of case of the last one, what follows.
std::string classes(const std::string &name) {
  std::size_t end = name.size();
  while (!is_lower(name[end - 1]) && !is_upper(name[end - 1])) --end;
  std::size_t begin = end;
  while (begin > 0 && (is_lower(name[begin - 1]) || is_upper(name[begin - 1]))) --begin;
  std::string kept;
  for (std::size_t i = 0; i < begin; ++i) kept += is_lower(name[i]) ? 'a' : is_upper(name[i]) ? 'A' : name[i];
  std::size_t upper = 0;
  for (std::size_t i = begin; i < end; ++i) upper += is_upper(name[i]) ? 1 : 0;
  const bool title = upper == 1 && is_upper(name[begin]);
  return kept +
         (upper == 0             ? "<lower>"
          : title                ? "<title>"
          : upper == end - begin ? "<upper>"
                                 : "<mixed>") +
         name.substr(end);
}

std::size_t letters_of(const std::string &name) {
  std::size_t n = 0;
  for (const char c : name) n += is_lower(c) || is_upper(c) ? 1 : 0;
  return n;
}

// Every name of up to three letters over four, in every case and with every separator between: tokens are distinct,
// keep what is to be kept, and come back.
TEST(FormatName, ShortNamesExhaustively) {
  const auto cipher = make_cipher();
  const auto format = make_format("name(alphabet=ascii)");  // short is 5: 26^5 > 10^6 > 26^4
  std::vector<std::string> names;
  const std::string parts[] = {"", " ", "-", ". "};
  for (const char a : std::string("aAzZ")) {
    names.push_back(std::string(1, a));
    for (const char b : std::string("aAzZ"))
      for (const std::string &first : parts) {
        names.push_back(std::string(1, a) + first + b);
        for (const char c : std::string("aAzZ"))
          for (const std::string &second : parts) names.push_back(std::string(1, a) + first + b + second + c);
      }
  }
  std::set<std::string> tokens;
  std::map<std::size_t, int> lengths;
  for (const std::string &name : names) {
    const std::string token = check_name(*format, *cipher, name);
    EXPECT_EQ(classes(token), classes(name)) << name << " " << token;
    EXPECT_LE(letters_of(token), 5U);
    ++lengths[letters_of(token)];
    tokens.insert(token);
  }
  EXPECT_EQ(tokens.size(), names.size());
  EXPECT_GT(lengths[5], static_cast<int>(names.size() * 9 / 10));  // nearly all names of up to five letters have five
}

// Two letters without case: the 2^21 - 2 names of up to 20 letters are ranked together.  Of one in eleven no two meet.
TEST(FormatName, NoTwoNamesOfASmallAlphabetMeet) {
  const auto cipher = make_cipher();
  const auto format = make_format("name(alphabet=[ab])");  // short is 20
  std::vector<bool> seen(std::size_t{1} << 21);
  for (std::size_t bits = 2; bits < seen.size(); bits += 11) {  // a leading 1, then the letters
    std::string name;
    std::string token;
    for (std::size_t n = bits; n > 1; n >>= 1) name += (n & 1) != 0 ? 'b' : 'a';
    ASSERT_TRUE(format->crypt(Ff1Direction::encrypt, *cipher, name, token).ok());
    std::size_t place = 1;
    for (std::size_t i = token.size(); i-- > 0;) place = place << 1 | (token[i] == 'b' ? 1U : 0U);
    ASSERT_LT(place, seen.size());
    ASSERT_FALSE(seen[place]);
    seen[place] = true;
    if (bits % 17 != 0) continue;
    std::string back;
    ASSERT_TRUE(format->crypt(Ff1Direction::decrypt, *cipher, token, back).ok());
    ASSERT_EQ(back, name);
  }
}

// Near the longest of the short names few lengths are left to the last word, so each is met often: in every case.
TEST(FormatName, TheLastWordKeepsItsClassOfCase) {
  const auto cipher = make_cipher();
  const auto format = make_format("name(alphabet=[ab],upper=[AB])");  // short is 20
  std::mt19937 random(3);
  for (std::size_t before = 16; before < 20; ++before) {
    std::set<std::string> names;
    std::set<std::string> tokens;
    for (int i = 0; i < 400; ++i) {
      std::string name;
      for (std::size_t n = 0; n < before; ++n) name += "aAbB"[random() % 4];
      name += ' ';
      const auto letters = random() % (20 - before) + 1;
      const auto upper = random() % 4;
      for (std::size_t n = 0; n < letters; ++n)
        name += "abAB"[random() % 2 + (upper == 0 || random() % upper > 0 ? 2 : 0)];
      const std::string token = check_name(*format, *cipher, name);
      EXPECT_EQ(classes(token), classes(name)) << name << " " << token;
      EXPECT_LE(letters_of(token), 20U);
      names.insert(name);
      tokens.insert(token);
    }
    EXPECT_EQ(tokens.size(), names.size());
  }
}

TEST(FormatName, ShortSaysHowMuchLengthIsHidden) {
  const auto cipher = make_cipher();
  const auto format = make_format("name(alphabet=ascii,short=10)");
  int ten = 0;
  for (const char *name : {"Li", "Bo", "Anna", "Robert", "Ng", "Abcdefghij"})
    ten += check_name(*format, *cipher, name).size() == 10;
  EXPECT_GE(ten, 5);
  EXPECT_EQ(check_name(*format, *cipher, "Abcdefghijk").size(), 11U);
  EXPECT_NE(problem_of("name(alphabet=ascii,short=4)").find("at least 5"), std::string::npos);
  EXPECT_NE(problem_of("name(alphabet=ascii,short=11)").find("at most 10"), std::string::npos);
  EXPECT_NE(problem_of("name(short=7)").find("at most 6"), std::string::npos);
  EXPECT_NE(problem_of("name(short=99999)").find("at most 6"), std::string::npos);
}

TEST(FormatName, Alphabets) {
  const auto cipher = make_cipher();
  const std::map<std::string, std::vector<std::string>> names = {
      {"name",
       {"Łukasz Żółć", "François Müller-Lüdenscheidt", "Nguyễn Thị Hằng", "STRAUẞ", "Strauß", "Íñigo", "Ødegård",
        "İnce ılık", "Ștefan Țepeș", "Đorđe", "Þóra", "O’Neill", "Gal·la", "Ŵyn Ẁ", "X", "x", "Ng", "d'É", "Əliyev"}},
      {"name(alphabet=greek)", {"Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ", "Σαΐνης", "Ζωή", "Ἀ"}},
      {"name(alphabet=cyrillic)", {"Иванов-Петров", "Ольга", "Ян", "Ґалаґан", "Љубомир", "Ё"}},
      {"name(alphabet=[a-zäöüß],upper=[A-ZÄÖÜẞ])", {"Jürgen Groß", "GROẞ", "Ö"}},
      {"name(alphabet=[一-龥])", {"王", "李小龍", "歐陽 修"}},
      {"name(alphabet=[א-ת])", {"כהן", "בן-גוריון"}}};
  for (const auto &[spec, values] : names) {
    const auto format = make_format(spec);
    for (const std::string &name : values) {
      if (name == "Ἀ") {
        EXPECT_STREQ(format->accepts(name).reason, "character not allowed by the format");
        continue;
      }
      const std::string token = check_name(*format, *cipher, name);
      if (utf8_length(name) <= 6) continue;
      EXPECT_EQ(utf8_length(token), utf8_length(name));
      EXPECT_NE(token, name);
    }
  }
}

TEST(FormatName, ValuesThatAreRefused) {
  const auto format = make_format("name");
  const auto refusal_of = [&format](const std::string &name) {
    const auto cipher = make_cipher();
    std::string out = "left over";
    const Refusal refusal = format->crypt(Ff1Direction::encrypt, *cipher, name, out);
    EXPECT_EQ(refusal.ok(), !out.empty());
    EXPECT_STREQ(refusal.reason, format->accepts(name).reason);
    return refusal;
  };
  EXPECT_STREQ(refusal_of("").reason, "too short");
  EXPECT_STREQ(refusal_of("-").reason, "no letter");
  EXPECT_STREQ(refusal_of("' .").reason, "no letter");
  EXPECT_EQ(refusal_of("John 3rd").position, 6U);
  EXPECT_STREQ(refusal_of("John 3rd").reason, "character not allowed by the format");
  EXPECT_EQ(refusal_of("Mü\tller").position, 3U);
  EXPECT_EQ(refusal_of("Иванов").position, 1U);
  EXPECT_STREQ(refusal_of("Al\xFFx").reason, "invalid UTF-8");
  EXPECT_STREQ(refusal_of("x\xCC\xA3\xCC\x81").reason, "combining mark without a composed character");
  EXPECT_STREQ(refusal_of("a•••").reason, "character not allowed by the format");
  EXPECT_TRUE(refusal_of(std::string(255, 'x')).ok());
  EXPECT_STREQ(refusal_of(std::string(256, 'x')).reason, "too long");
  EXPECT_STREQ(refusal_of(std::string(100000, ' ')).reason, "too long");
}

TEST(FormatName, ParametersThatAreRefused) {
  for (const char *spec : {"name(",
                           "name(x)",
                           "name(alphabet=)",
                           "name(alphabet=klingon)",
                           "name(short=)",
                           "name(short=x)",
                           "name(short=0)",
                           "name(short=-1)",
                           "name(short=3",
                           "name(alphabet=latin,upper=[A-Z])",
                           "name(upper=[A-Z])",
                           "name(alphabet=[a-z],upper=[A-Y])",
                           "name(alphabet=[a-z],upper=[a-z])",
                           "name(alphabet=[a-z],upper=x)",
                           "name(alphabet=[a])",
                           "name(alphabet=[a-z'])",
                           "name(alphabet=[a-z ])",
                           "name(alphabet=[a-z-])",
                           "name(alphabet=[a-z]{2})",
                           "name(alphabet=[a-z])([a-z])",
                           "name(alphabet=[aa])",
                           "name(alphabet=[a-z)",
                           "name(alphabet=[,-z])",
                           "name(latin)",
                           "Name"})
    EXPECT_FALSE(problem_of(spec).empty()) << spec;
}

}  // namespace
}  // namespace redoubt
