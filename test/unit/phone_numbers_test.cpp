// phone_numbers_test.cpp - what the npm package google-libphonenumber makes of telephone numbers of every region, in
// many spellings (test/vectors/phone/numbers.tsv), and what the normaliser makes of them.
//
// Redoubt does not read all that the package reads: of two numbers that are two it never makes one, and what it leaves
// out would be lost to a comparison.  kDifferences is the whole list.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/normalize.h"
#include "core/phone_countries.h"
#include "small_nfc.h"

namespace redoubt {
namespace {

const std::map<std::string_view, std::string_view> kDifferences = {
    {"!letters", "the package skips words, and takes the letters of 1-800-FLOWERS for digits"},
    {"!punctuation", "it leaves out what it does not know: a subaddress, '*5', ',12' and all else behind a number"},
    {"!extension", "it takes extensions of up to 20 digits, which Redoubt's E.164 form has no room for"},
    {"!longer than E.164", "it knows numbers of more than 15 digits, which are not dialled from abroad"},
    {"!readings",
     "the digits are a number of the country with and without its calling code, or its national prefix; "
     "the package takes one of the two"},
    {"!prefixes", "it takes two national prefixes off, or leaves one that reading the result again would take off"},
};

std::vector<std::string> split(const std::string &line) {
  std::vector<std::string> fields;
  for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
    end = line.find('\t', begin);
    fields.push_back(line.substr(begin, end - begin));
  }
  return fields;
}

TEST(PhoneNumbers, AreThoseOfThePackage) {
  std::ifstream file(std::string(REDOUBT_VECTORS) + "/phone/numbers.tsv");
  ASSERT_TRUE(file.is_open());
  std::size_t spellings = 0;
  std::size_t read = 0;
  std::set<std::string> regions;
  std::set<std::string> differences;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    const std::vector<std::string> fields = split(line);
    ASSERT_GE(fields.size(), 3U) << line;
    const bool readable = fields[1].starts_with('+');
    if (!readable && fields[1] != "-") {
      EXPECT_TRUE(kDifferences.contains(fields[1])) << fields[1];
      differences.insert(fields[1]);
    }
    regions.insert(fields[0]);
    const auto spec = normalize_parse("phone(" + fields[0] + ")");
    ASSERT_TRUE(spec.ok()) << fields[0];
    for (std::size_t i = 2; i < fields.size(); ++i) {
      std::string out;
      const Refusal refusal = normalize(*spec, fields[i], small_nfc, out);
      EXPECT_EQ(refusal.ok() ? out : "not read", readable ? fields[1] : "not read")
          << fields[0] << " " << fields[i] << ": " << refusal.reason << " " << fields[1];
      ++spellings;
      if (!refusal.ok()) continue;
      ++read;
      std::string again;
      ASSERT_TRUE(normalize(*spec, out, small_nfc, again).ok()) << fields[0] << " " << out;
      EXPECT_EQ(again, out);
    }
  }
  EXPECT_GE(spellings, 10000U);
  EXPECT_GE(read, 10000U);
  EXPECT_EQ(regions.size(), phone_countries().size());
  EXPECT_EQ(differences.size(), kDifferences.size());
}

}  // namespace
}  // namespace redoubt
