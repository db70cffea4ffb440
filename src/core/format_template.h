// format_template.h - FormatTemplate: a small regular expression whose groups are tokenized.
//
// What it is: literals, \d, [classes], {n}, {m,n}, ? and groups that are neither nested nor repeated; the
// whole value must match.  Characters of a group are tokenized, each staying in its class; all others, and
// literals inside a group, are kept.
// What it is not: a general matcher.  There is no alternation and no unbounded repetition, and an item of
// variable length must not share a character with what can follow it.  That is the invariant all rests on:
// where a character belongs is decided by classes alone, so a token is read as its plaintext was.
// Locks: none.  Covered by test/unit/format_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_TEMPLATE_H
#define REDOUBT_CORE_FORMAT_TEMPLATE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/format_alphabet.h"
#include "core/format_scan.h"
#include "core/refusal.h"

namespace redoubt {

// Most different alphabets in the groups of one template.
inline constexpr std::size_t kFormatMaxAlphabets = 8;

class FormatTemplate {
 public:
  // parse reads a template of UTF-8.  False: not usable, and `problem` says why without quoting it.
  // ^ at the beginning and $ at the end may be there and change nothing.
  bool parse(std::string_view text, std::string &problem);

  // scan matches a whole value.  Refusals: malformed ("invalid UTF-8", "character not allowed by the
  // format"), out_of_range ("too short", "too long").
  Refusal scan(std::string_view value, FormatScan &scan) const noexcept;

  const std::vector<FormatAlphabet> &alphabets() const noexcept { return groups_; }  // of the groups
  // takes_digits: is a value of `count` characters the digits 0 to 9 alone, all of them tokenized?
  bool takes_digits(std::size_t count) const noexcept { return count >= least_digits_ && count <= most_digits_; }
  // least and most: how many characters of an alphabet a value has tokenized.
  std::size_t least(std::size_t alphabet) const noexcept;
  std::size_t most(std::size_t alphabet) const noexcept;

 private:
  struct Item {
    FormatAlphabet set;
    std::uint16_t least = 1;
    std::uint16_t most = 1;
    bool literal = false;
    bool captured = false;
    std::uint8_t alphabet = 0;  // of groups_, where captured
    // Compiled: where the set is one run of ASCII characters, its first and how many; else 0.
    std::uint8_t run_first = 0;
    std::uint8_t run_size = 0;
  };
  void compile() noexcept;
  static std::size_t match_run(const Item &item, std::string_view value, std::size_t at, FormatScan &scan) noexcept;
  class Parser;
  std::vector<Item> items_;
  std::uint16_t least_digits_ = 1, most_digits_ = 0;  // where the only item is digits
  std::vector<FormatAlphabet> groups_;
};

}  // namespace redoubt
#endif
