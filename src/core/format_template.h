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

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/format_alphabet.h"
#include "core/refusal.h"

namespace redoubt {

// Most characters of a value, and most different alphabets in the groups of one template.
inline constexpr std::size_t kFormatMaxCharacters = 255;
inline constexpr std::size_t kFormatMaxAlphabets = 8;

// FormatScan is a value taken apart.  The tweak holds the kept characters of classes and how many
// characters of which alphabet lie between them; literals are formatting and not part of it, so that
// one number tokenizes alike with and without an optional hyphen.
struct FormatScan {
  struct Slot {  // a tokenized character
    std::uint16_t numeral;
    std::uint16_t offset;  // of its first byte in the value
    std::uint8_t size;     // bytes
    std::uint8_t alphabet;
  };
  std::size_t slots = 0;
  std::size_t tweak_size = 0;
  std::array<Slot, kFormatMaxCharacters> slot;
  std::array<std::uint8_t, 4 * kFormatMaxCharacters> tweak;

  // add_slot, add_slots and keep must be called in the order of the value, together for at most
  // kFormatMaxCharacters characters.
  void add_slot(Slot what) noexcept {
    slot[slots++] = what;
    count_slots(what.alphabet, 1);
  }
  // add_slots adds the `count` bytes of `value` at `begin`, each a character of `alphabet` whose numeral is its
  // distance from `first`.
  void add_slots(std::string_view value, std::size_t begin, std::size_t count, std::uint8_t first,
                 std::uint8_t alphabet) noexcept {
    for (std::size_t at = begin; at < begin + count; ++at) {
      const auto numeral = static_cast<std::uint16_t>(static_cast<std::uint8_t>(value[at]) - first);
      slot[slots++] = {numeral, static_cast<std::uint16_t>(at), 1, alphabet};
    }
    if (count > 0) count_slots(alphabet, static_cast<std::uint8_t>(count));
  }
  void keep(std::string_view characters) noexcept {  // in UTF-8
    for (const char c : characters) tweak[tweak_size++] = static_cast<std::uint8_t>(c);
  }

 private:
  // 0, alphabet + 1, count: nothing else is 0, so a 0 three bytes back begins such a run.
  void count_slots(std::uint8_t of, std::uint8_t count) noexcept {
    const auto alphabet = static_cast<std::uint8_t>(of + 1);
    if (tweak_size >= 3 && tweak[tweak_size - 3] == 0 && tweak[tweak_size - 2] == alphabet) {
      tweak[tweak_size - 1] = static_cast<std::uint8_t>(tweak[tweak_size - 1] + count);
      return;
    }
    tweak[tweak_size++] = 0;
    tweak[tweak_size++] = alphabet;
    tweak[tweak_size++] = count;
  }
};

class FormatTemplate {
 public:
  // parse reads a template of UTF-8.  False: not usable, and `problem` says why without quoting it.
  // ^ at the beginning and $ at the end may be there and change nothing.
  bool parse(std::string_view text, std::string &problem);

  // scan matches a whole value.  Refusals: malformed ("invalid UTF-8", "character not allowed by the
  // format"), out_of_range ("too short", "too long").
  Refusal scan(std::string_view value, FormatScan &scan) const noexcept;

  const std::vector<FormatAlphabet> &alphabets() const noexcept { return groups_; }  // of the groups
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
  std::vector<FormatAlphabet> groups_;
};

}  // namespace redoubt
#endif
