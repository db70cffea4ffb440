// format_name.h - FormatName: the format `name`; names to names of the same words, separators and case.
//
// What it is: the letters of all words are one FF1 value, each staying in its place and its case; what stands between
// words (space, hyphen, apostrophe, full stop, ...) is kept, and with the case pattern it feeds the tweak.
//
// Names of up to `short` letters have too few values of their length alone.  Such a name keeps all but the
// length of its last word: it is permuted among all names with the same words before, whose last word has the
// same class of case and any length up to `short` letters in all.  Its token is therefore nearly always that long.
// The class of case is what can be kept where the length is not: lower, title (one capital first, or
// alone), upper, mixed; of a mixed one the pattern is encrypted with the letters.
//
// What it is not: a judge of names.  Digits, and letters outside of the alphabet, are refused, never replaced.
// Invariant: value and token have the same kept parts, are both of up to `short` letters or both longer, and what
// is encrypted as one has at least kFf1MinDomain values (docs/formats.md has the arithmetic).
// Locks: none.  Covered by test/unit/format_name_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_NAME_H
#define REDOUBT_CORE_FORMAT_NAME_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/format_cipher.h"
#include "core/format_letters.h"
#include "core/format_scan.h"
#include "core/refusal.h"

namespace redoubt {

class FormatName {
 public:
  // parse reads what stands in name(...), separated by commas:
  //   alphabet=latin|ascii|greek|cyrillic, or a class of letters without case or of small letters, [a-zé]
  //   upper=[A-ZÉ]   the capitals of such a class, in its order
  //   short=n        up to so many letters, names are permuted with those of other lengths
  // False: not usable, and `problem` says why.
  bool parse(std::string_view arguments, std::string &problem);

  // accepts: is it a name of the format, and so possibly a token?
  // Refusals: malformed "invalid UTF-8", "character not allowed by the format", "combining mark without a composed
  // character", "no letter"; out_of_range "too short" (empty), "too long" (more than kFormatMaxCharacters).
  Refusal accepts(std::string_view token) const noexcept;

  // crypt replaces `out` by the token of a name or the name of a token.  Refusals: those of accepts; crypto_failure.
  Refusal crypt(Ff1Direction direction, FormatCipher &cipher, std::string_view in, std::string &out) const;

 private:
  using Letter = FormatLetters::Letter;
  enum class Case : std::uint8_t { lower, title, upper, mixed };

  // Scan: the name taken apart, and where its last word stands: slots, bytes and tweak before it, bytes and
  // tweak up to its end.
  struct Scan {
    FormatScanBuffer name;
    std::array<Letter, kFormatMaxCharacters> letter;  // of each slot
    std::size_t slots_before = 0, bytes_before = 0, tweak_before = 0;
    std::size_t bytes_end = 0, tweak_end = 0;
    std::size_t letters() const noexcept { return name.slots - slots_before; }  // of the last word
  };

  std::uint32_t radix() const noexcept { return letters_.radix(); }
  bool parse_alphabet(std::string_view spec, std::string_view capitals, std::string &problem);
  // find is one of letters_: what looks up a letter.
  template <auto find>
  Refusal scan(std::string_view text, Scan &scan) const noexcept;
  Case case_of(const Scan &scan) const noexcept;
  std::uint64_t count_of(Case word_case, std::size_t before, std::size_t letters) const noexcept;
  Status crypt_long(Ff1Direction direction, FormatCipher &cipher, Scan &scan) const;
  Status crypt_short(Ff1Direction direction, FormatCipher &cipher, Scan &scan) const;

  FormatLetters letters_;
  std::size_t short_ = 0;
};

}  // namespace redoubt
#endif
