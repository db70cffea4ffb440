// phone_test.cpp - numbers as people type them, the E.164 they become, each refusal, and the
// table of countries.
#include "core/phone.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/normalize.h"
#include "core/phone_countries.h"
#include "small_nfc.h"

namespace redoubt {
namespace {

NormalizeSpec phone_spec(std::string_view iso) {
  const auto spec = normalize_parse("phone(" + std::string(iso) + ")");
  EXPECT_TRUE(spec.ok()) << iso;
  return *spec;
}

TEST(Phone, Normalizes) {
  const struct {
    const char *country, *value, *expected;
  } cases[] = {
      // The North American plan.
      {"US", "697-555-0142", "+16975550142"},
      {"US", "55-2555-0100", "+15525550100"},
      {"US", "(212) 555-0100", "+12125550100"},
      {"US", "212.555.0100", "+12125550100"},
      {"US", "2125550100", "+12125550100"},
      {"US", "1-212-555-0100", "+12125550100"},
      {"US", "+1 (212) 555-0100 x123", "+12125550100;ext=123"},
      {"US", "212/555/0100 ext. 007", "+12125550100;ext=007"},
      {"US", "212-555-0100 Extension 12 34", "+12125550100;ext=1234"},
      {"US", "212-555-0100EXTN1234567890", "+12125550100;ext=1234567890"},
      {"US", "+12125550100;ext=123", "+12125550100;ext=123"},
      {"US", "+12125550100;EXT=1-23", "+12125550100;ext=123"},
      {"US", "011 44 20 7946 0958", "+442079460958"},
      {"CA", "1 416 555 0100", "+14165550100"},
      // Trunk prefixes.
      {"GB", "020 7946 0958", "+442079460958"},
      {"GB", "20 7946 0958", "+442079460958"},
      {"GB", "+44 20 7946 0958", "+442079460958"},
      {"GB", "+44 (0)20 7946 0958", "+442079460958"},
      {"GB", "44 20 7946 0958", "+442079460958"},
      {"GB", "44 020 7946 0958", "+442079460958"},
      {"GB", "0044 (0) 20-7946-0958", "+442079460958"},
      {"US", "+44 (0)20 7946 0958", "+442079460958"},
      {"DE", "00 49 30 901820", "+4930901820"},
      {"DE", "030/901820", "+4930901820"},
      {"DE", "+49 (0)30 901820", "+4930901820"},
      {"FR", "01 23 45 67 89", "+33123456789"},
      {"IT", "06 6982 1234", "+390669821234"},  // no trunk prefix: the 0 is part of the number
      {"IT", "+39 06 6982 1234", "+390669821234"},
      {"DE", "+39 06 6982 1234", "+390669821234"},
      {"ES", "912 345 678", "+34912345678"},
      {"HU", "06 1 234 5678", "+3612345678"},
      {"HU", "1 234 5678", "+3612345678"},
      {"RU", "8 (912) 345-67-89", "+79123456789"},
      {"RU", "812 345-67-89", "+78123456789"},  // begins with 8 as a national number does too
      {"RU", "8 10 44 20 7946 0958", "+442079460958"},
      {"RU", "7 912 345 67 89", "+79123456789"},
      {"BY", "8 029 123-45-67", "+375291234567"},
      {"BY", "029 123-45-67", "+375291234567"},
      {"LT", "8 612 34567", "+37061234567"},
      {"LT", "0 612 34567", "+37061234567"},
      {"MX", "55 1234 5678", "+525512345678"},
      {"MX", "00 1 212 555 0100", "+12125550100"},
      {"JP", "03-1234-5678", "+81312345678"},
      {"JP", "010 1 212 555 0100", "+12125550100"},
      {"AU", "0011 1 212 555 0100", "+12125550100"},
      {"AU", "0412 345 678", "+61412345678"},
      {"IN", "098765 43210", "+919876543210"},
      // The code of a carrier, and Argentina's 15 and 9.
      {"BR", "(11) 98765-4321", "+5511987654321"},
      {"BR", "0 15 11 98765-4321", "+5511987654321"},
      {"BR", "0 41 11 3333-4444", "+551133334444"},
      {"BR", "90 21 11 98765-4321", "+5511987654321"},
      {"AR", "011 15-5555-1234", "+5491155551234"},
      {"AR", "11 15 5555 1234", "+5491155551234"},
      {"AR", "0343 15-555-1212", "+5493435551212"},
      {"AR", "+54 9 11 5555-1234", "+5491155551234"},
      {"AR", "0343 555 1212", "+543435551212"},
      {"CO", "03 321 1234567", "+573211234567"},
      {"CN", "17911 10 1234 5678", "+861012345678"},
      // The calling code without '+'.
      {"NL", "31614903470", "+31614903470"},
      {"NL", "31 6 14903470", "+31614903470"},
      {"NL", "0614903470", "+31614903470"},
      {"NL", "614903470", "+31614903470"},
      {"BR", "55 11 98765-4321", "+5511987654321"},
      {"IT", "39 347 123 4567", "+393471234567"},
      {"AR", "54 9 343 555 1212", "+5493435551212"},
      // Typed without the area, and countries that share a calling code.
      {"AG", "464-1234", "+12684641234"},
      {"BB", "1 246 234-5678", "+12462345678"},
      {"GG", "256789", "+441481256789"},
      {"SM", "886377", "+3780549886377"},
      {"SM", "0549 886377", "+3780549886377"},
      {"VA", "06 698 12345", "+390669812345"},
      {"KZ", "8 701 234 5678", "+77012345678"},
      {"SJ", "79 12 34 56", "+4779123456"},
      {"CX", "08 9164 1234", "+61891641234"},
      {"CN", "138 0013 8000", "+8613800138000"},
      {"KR", "00700 1 212 555 0100", "+12125550100"},
      {"CI", "01 02 03 04 05", "+2250102030405"},
      {"XK", "044 123 456", "+38344123456"},
      // Digits and punctuation of other scripts; direction marks of address books.
      {"GB", "＋４４　２０　７９４６　０９５８", "+442079460958"},
      {"EG", "٠١٠٠١٢٣٤٥٦٧", "+201001234567"},
      {"IR", "۰۹۱۲۱۲۳۴۵۶۷", "+989121234567"},
      {"US", "\u202A+1\u00A0212\u2011555\u22120100\u202C", "+12125550100"},
      {"JP", "（０３）１２３４－５６７８", "+81312345678"},
      {"US", "\t212\u2013555\u20140100\n", "+12125550100"},
      // Calling codes of no country, the bounds, and an international prefix behind a plus sign.
      {"US", "+290 2345", "+2902345"},
      {"US", "+870 773 111 632", "+870773111632"},
      {"GB", "+0044 20 7946 0958", "+442079460958"},
      {"DE", "+49 1101", "+491101"},
      // A scheme, and extensions.
      {"US", "tel:+1-212-555-0100", "+12125550100"},
      {"US", " TEL: 212 555 0100;ext=7", "+12125550100;ext=7"},
      {"US", "212-555-0100 #12", "+12125550100;ext=12"},
      {"US", "212-555-0100, ext. 12", "+12125550100;ext=12"},
      {"US", "212-555-0100,#12", "+12125550100;ext=12"},
      {"US", "212-555-0100 / x12", "+12125550100;ext=12"},
      {"US", "212-555-0100 ext: 12 # ", "+12125550100;ext=12"},
      {"US", "212-555-0100 int 12", "+12125550100;ext=12"},
      {"ES", "912 345 678 extensión 9", "+34912345678;ext=9"},
      {"ES", "912 345 678 anexo 9", "+34912345678;ext=9"},
      {"RU", "8 912 345-67-89 доб. 9", "+79123456789;ext=9"},
      {"JP", "03-1234-5678 ＃９", "+81312345678;ext=9"},
      {"JP", "［03］1234ー5678ｘ9", "+81312345678;ext=9"},
  };
  for (const auto &c : cases) {
    std::string out;
    const Refusal refusal = normalize(phone_spec(c.country), c.value, small_nfc, out);
    ASSERT_TRUE(refusal.ok()) << c.country << " " << c.value << ": " << refusal.reason;
    EXPECT_EQ(out, c.expected) << c.country << " " << c.value;
    std::string again;
    ASSERT_TRUE(normalize(phone_spec(c.country), out, small_nfc, again).ok());
    EXPECT_EQ(again, out);
    PhoneParts parts;
    EXPECT_TRUE(phone_split(out, parts)) << out;
  }
}

TEST(Phone, Refuses) {
  const struct {
    const char *country, *value;
    Status status;
    std::size_t position;
    const char *reason;
  } cases[] = {
      {"US", "", Status::refused, 0, "empty value"},
      {"US", " \u3000", Status::refused, 0, "empty value"},
      {"US", "--", Status::malformed, 0, "no digits"},
      {"US", "+", Status::malformed, 0, "no digits"},
      {"US", "555-0142", Status::out_of_range, 0, "too short"},
      {"US", "155-5014", Status::out_of_range, 0, "too short"},
      {"US", "212-555-010", Status::out_of_range, 0, "too short"},
      {"US", "212-555-01000", Status::out_of_range, 0, "too long"},
      {"US", "+123456", Status::out_of_range, 0, "too short"},
      {"US", "1 (11) 500 555-0132", Status::malformed, 0, "more than one national prefix"},
      {"US", "00 49 30 901820", Status::out_of_range, 0, "too long"},
      {"US", "1555-0142", Status::out_of_range, 0, "too short"},
      {"US", "+210 234 5678", Status::malformed, 0, "unknown calling code"},
      {"DE", "49 30 901820", Status::malformed, 0, "more than one reading"},  // of area 4930 or 30
      {"DE", "49 0151 33656341", Status::malformed, 0, "more than one reading"},
      {"BR", "(55) 93394-1385", Status::malformed, 0, "more than one reading"},
      {"BY", "+375 810 4175918", Status::malformed, 0, "more than one reading"},
      {"DE", "+49 00301234", Status::malformed, 0, "more than one national prefix"},
      {"DE", "+49 1234567890123", Status::out_of_range, 0, "too long"},  // Germany has such numbers, E.164 has not
      {"BG", "+359 123456789 0", Status::out_of_range, 0, "length of no number of the country"},
      {"US", "+1234567890123456", Status::out_of_range, 0, "too long"},
      {"US", "1234567890123456", Status::out_of_range, 0, "too long"},
      {"US", "2125550100 / 2125550101 / 2125550102", Status::out_of_range, 0, "too long"},
      {"US", "1-800-FLOWERS", Status::malformed, 7, "letter"},
      {"US", "call 212-555-0100", Status::malformed, 1, "letter"},
      {"US", "x123", Status::malformed, 1, "letter"},
      {"US", "212-555-0100 or 212-555-0101", Status::malformed, 14, "letter"},
      {"US", "212-555-0100 x", Status::malformed, 0, "extension without digits"},
      {"US", "212-555-0100 ext.", Status::malformed, 0, "extension without digits"},
      {"US", "212-555-0100 x12x3", Status::malformed, 17, "letter"},
      {"US", "212-555-0100 ext 12b", Status::malformed, 20, "letter"},
      {"US", "212-555-0100 x12345678901", Status::out_of_range, 25, "extension longer than 10 digits"},
      {"US", "212+5550100", Status::malformed, 4, "plus sign inside the number"},
      {"US", "++12125550100", Status::malformed, 2, "plus sign inside the number"},
      {"US", "+0212555010", Status::malformed, 0, "calling code begins with 0"},
      {"GB", "020 7946 09581", Status::out_of_range, 0, "too long"},
      {"MX", "01 55 1234 5678", Status::out_of_range, 0, "too long"},  // not dialled any more
      {"RU", "8~10", Status::malformed, 2, "character not allowed in a telephone number"},
      {"US", "+12125550100;isub=12", Status::malformed, 13, "character not allowed in a telephone number"},
      {"US", "+12125550100,12", Status::malformed, 13, "character not allowed in a telephone number"},
      {"US", "212-555-0100,", Status::malformed, 13, "character not allowed in a telephone number"},
      {"US", "212-555-0100 #", Status::malformed, 0, "extension without digits"},
      {"US", "tel:tel:2125550100", Status::malformed, 5, "letter"},
      {"US", "tel:", Status::malformed, 0, "no digits"},
      {"ES", "912345678 extensión 9x", Status::malformed, 22, "letter"},
      {"US",
       "212\x01"
       "5550100",
       Status::refused, 4, "control character"},
      {"US", "é212 555 0100", Status::malformed, 1, "character not allowed in a telephone number"},
      {"US", "212 555 0100;", Status::malformed, 13, "character not allowed in a telephone number"},
      {"US", "212*5550100", Status::malformed, 4, "character not allowed in a telephone number"},
      {"US", "\u00A0\u00A0#2125550100", Status::malformed, 3, "character not allowed in a telephone number"},
      {"US", "２１２a", Status::malformed, 4, "letter"},
  };
  for (const auto &c : cases) {
    std::string out = "left over";
    const Refusal refusal = normalize(phone_spec(c.country), c.value, small_nfc, out);
    EXPECT_EQ(refusal.status, c.status) << c.value;
    EXPECT_EQ(refusal.position, c.position) << c.value;
    EXPECT_STREQ(refusal.reason, c.reason) << c.value;
    EXPECT_TRUE(out.empty());
  }
  std::string text = "2125550100";
  EXPECT_EQ(phone_normalize(255, text).status, Status::invalid_argument);
}

TEST(PhoneCountries, AreFound) {
  EXPECT_EQ(phone_countries().size(), 245U);
  std::set<std::string_view> codes;
  for (std::size_t i = 0; i < phone_countries().size(); ++i) {
    const PhoneCountry &country = phone_countries()[i];
    EXPECT_TRUE(codes.insert(country.iso).second) << country.iso;
    const auto found = phone_country_find(country.iso);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, i);
    const PhoneCountry *by_code = phone_country_of_digits(std::to_string(country.calling_code) + "2345");
    ASSERT_NE(by_code, nullptr) << country.iso;
    EXPECT_EQ(by_code->calling_code, country.calling_code);
    EXPECT_EQ(by_code, &phone_main_country(country));
    EXPECT_TRUE(by_code->main);
  }
  const struct {
    const char *digits, *iso;
  } owners[] = {{"12125550100", "US"}, {"79123456789", "RU"}, {"4420", "GB"}, {"3906", "IT"}, {"35840", "FI"}};
  for (const auto &owner : owners) EXPECT_STREQ(phone_country_of_digits(owner.digits)->iso, owner.iso);
  for (const char *digits : {"", "0", "044", "4", "999123", "29", "x44", "4x"})
    EXPECT_EQ(phone_country_of_digits(digits), nullptr) << digits;
  for (const char *iso : {"", "U", "ZZ", "USA", "U ", "12"})
    EXPECT_EQ(phone_country_find(iso).status(), Status::invalid_argument) << iso;
}

TEST(Phone, Splits) {
  PhoneParts parts;
  ASSERT_TRUE(phone_split("+442079460958;ext=12", parts));
  EXPECT_EQ(parts.calling_code, "44");
  EXPECT_EQ(parts.national, "2079460958");
  ASSERT_TRUE(phone_split("+2902345", parts));
  EXPECT_EQ(parts.calling_code, "290");
  EXPECT_EQ(parts.national, "2345");
  ASSERT_TRUE(phone_split("+2102345", parts));  // a code of nobody
  EXPECT_EQ(parts.calling_code, "");
  EXPECT_EQ(parts.national, "2102345");
  for (const char *text : {"", "+", "442079460958", "+44 2079460958", "+044207946", "+12345", "+380123",
                           "+1234567890123456", "+442079460958;", "+442079460958;ext=", "+442079460958;ext=12345678901",
                           "+442079460958;ext=1a", "+442079460958;isub=1", "+44207946095a"})
    EXPECT_FALSE(phone_split(text, parts)) << text;
}

}  // namespace
}  // namespace redoubt
