// format_alphabet.h - FormatAlphabet: the characters one place of a format may hold, in numeral order.
//
// What it is: a character class, asked about one character at a time, as matching a format does, and giving back many.
// What it is not: Ff1Alphabet, which turns whole texts of one alphabet into numerals and back.
// Invariant: every character has one numeral.  No memory is addressed by a value, and asking takes time by the number
// of runs of consecutive characters (or of every second one, as small letters and capitals take turns in Unicode)
// alone: eight runs are compared at once.  ASCII may take a shorter way, as it does where it is decoded; characters of
// two bytes and of three take the same, for which of these the letters of a token have is random.
// Locks: none.  Covered by test/unit/format_alphabet_test.cpp, format_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_ALPHABET_H
#define REDOUBT_CORE_FORMAT_ALPHABET_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace redoubt {

inline constexpr std::size_t kFormatMaxRuns = 256;

class FormatAlphabet {
 public:
  // add appends the characters first..last, or every second one of them.  False, and nothing added: first > last,
  // one of them is there already, more than 65536 characters or kFormatMaxRuns runs.
  bool add(char32_t first, char32_t last, bool every_second = false);

  std::uint32_t radix() const noexcept { return radix_; }

  // is_ascii: no character lies beyond U+007F, so each is one byte of UTF-8.
  bool is_ascii() const noexcept { return ascii_; }

  // single_run: consecutive characters only, numeral 0 first.
  bool single_run() const noexcept { return runs_.size() == 1; }

  // first is the character of numeral 0.  The alphabet is not empty.
  char32_t first() const noexcept { return runs_[0].first; }

  // find tells whether c is in the alphabet and, if so, sets its numeral.
  bool find(char32_t c, std::uint16_t &numeral) const noexcept {
    if (c < 0x80 && !few_.empty()) return find_among(few_, c, numeral);
    if (c > kLastInPlane || !laned_) return find_among(laned_ ? beyond_ : runs_, c, numeral);
    Eight above = {};  // the numeral and one, or zero
    for (const Lanes &lanes : lanes_) {
      const Eight place = static_cast<std::uint16_t>(c) - lanes.first;
      above |= reinterpret_cast<Eight>(place <= lanes.last) & (place + lanes.above);
    }
    // A distance to a character before the run, and half of an odd one, are beyond `last` modulo 2^16 as well.
    for (const Lanes &lanes : lanes_of_seconds_) {
      const Eight distance = static_cast<std::uint16_t>(c) - lanes.first;
      const Eight place = distance >> 1 | distance << 15;
      above |= reinterpret_cast<Eight>(place <= lanes.last) & (place + lanes.above);
    }
    const std::uint16_t found = any_of(above);
    numeral = static_cast<std::uint16_t>(found - 1);
    return found != 0;
  }

  // character is the inverse; 0 for a numeral that is not below radix().
  char32_t character(std::uint16_t numeral) const noexcept;

  // characters sets out[i] to the character of numerals[i], below radix(): up to 16 are looked up side by side.
  void characters(std::span<const std::uint16_t> numerals, char32_t *out) const noexcept;

  // overlaps: do the two share a character?
  bool overlaps(const FormatAlphabet &other) const noexcept;

  friend bool operator==(const FormatAlphabet &a, const FormatAlphabet &b) noexcept { return a.runs_ == b.runs_; }

 private:
  friend class FormatLetters;
  // The Basic Multilingual Plane, whose characters have up to three bytes of UTF-8.
  static constexpr char32_t kLastInPlane = 0xFFFF;

  struct Run {
    char32_t first;
    std::uint32_t numeral;  // that of `first`
    std::uint32_t count;
    std::uint32_t shift;  // 1: every second character
    // place is the number of c in the run, or one that is not below `count`.
    std::uint32_t place(char32_t c) const noexcept {
      const std::uint32_t distance = static_cast<std::uint32_t>(c) - static_cast<std::uint32_t>(first);
      return distance >> shift | (distance & shift) << 31;
    }
    char32_t last() const noexcept { return first + ((count - 1) << shift); }
    bool shares(const Run &other) const noexcept;
    friend bool operator==(const Run &, const Run &) noexcept = default;
  };

  typedef std::uint16_t Eight __attribute__((vector_size(16)));
  typedef std::int16_t Signed __attribute__((vector_size(16)));

  // Eight runs of the plane; where there are fewer, the first of them again, whose answer is the same.
  struct Lanes {
    Eight first;
    Eight last;   // place of the last character
    Eight above;  // numeral of the first, and one
    void set(std::size_t lane, const Run &run) noexcept;
  };

  // any_of is the bitwise or of all eight.
  static std::uint16_t any_of(Eight eight) noexcept {
    std::array<std::uint64_t, 2> halves;
    std::memcpy(halves.data(), &eight, sizeof eight);
    std::uint64_t any = halves[0] | halves[1];
    any |= any >> 32;
    return static_cast<std::uint16_t>(any | any >> 16);
  }

  // A line is how the numerals n of a run become characters below 2^15: n + line modulo 2^15, and n twice where the
  // line's top bit says that the run is of every second character.
  // Step is where a run begins: by what the line of numerals below `first` differs from that of the others.
  struct Step {
    Signed first;  // less 2^15, as SSE2 compares signed numbers
    Eight change;
  };

  // Steps are a table of such values, for some times eight numerals.
  struct Steps {
    std::vector<Step> steps;  // for each run but the first
    Eight last = {};          // of the last run
    // add begins a run: from `numeral` on, the value is another one by `change`, an exclusive or.
    void add(std::uint32_t numeral, std::uint16_t change) {
      steps.push_back({Signed{} + static_cast<std::int16_t>(numeral - 0x8000U), Eight{} + change});
    }
    void set_last(std::uint16_t value) noexcept { last = Eight{} + value; }
    template <std::size_t kEights>
    std::array<Eight, kEights> at(const std::array<Eight, kEights> &numerals) const noexcept {
      std::array<Signed, kEights> biased;
      std::array<Eight, kEights> found;
      for (std::size_t i = 0; i < kEights; ++i) {
        biased[i] = reinterpret_cast<Signed>(numerals[i] ^ 0x8000);
        found[i] = last;
      }
      for (const Step &step : steps)
        for (std::size_t i = 0; i < kEights; ++i)
          found[i] ^= reinterpret_cast<Eight>(biased[i] < step.first) & step.change;
      return found;
    }
  };

  static bool find_among(const std::vector<Run> &runs, char32_t c, std::uint16_t &numeral) noexcept {
    std::uint32_t found = 0;
    std::uint32_t value = 0;
    for (const Run &run : runs) {
      const std::uint32_t place = run.place(c);
      const std::uint32_t mask = 0U - static_cast<std::uint32_t>(place < run.count);
      value |= mask & (run.numeral + place);
      found |= mask;
    }
    numeral = static_cast<std::uint16_t>(value);
    return found != 0;
  }
  // on_lines are the characters of numerals; every one lies below 2^15.
  template <std::size_t kEights>
  std::array<Eight, kEights> on_lines(const std::array<Eight, kEights> &numerals) const noexcept {
    std::array<Eight, kEights> found = lines_.at(numerals);
    for (std::size_t i = 0; i < kEights; ++i) {
      const auto every_second = reinterpret_cast<Eight>(reinterpret_cast<Signed>(found[i]) >> 15);
      found[i] = (numerals[i] + (numerals[i] & every_second) + found[i]) & 0x7FFF;
    }
    return found;
  }
  // in_eights sets out[i] to what look_up makes of numerals[i].  It is given one or two times eight of them, an array
  // that tells where each eight begins, the last of these overlapping what came before, and how many of an eight there
  // are, fewer than eight where there are no more.
  template <typename LookUp>
  static void in_eights(std::span<const std::uint16_t> numerals, char32_t *out, LookUp look_up) noexcept {
    const std::size_t size = numerals.size();
    if (size < 8) {
      std::array<std::uint16_t, 8> some = {};
      for (std::size_t i = 0; i < size; ++i) some[i] = numerals[i];
      std::array<char32_t, 8> made;
      store(look_up(std::array{load(some.data())}, std::array<std::size_t, 1>{0}, size)[0], made.data());
      for (std::size_t i = 0; i < size; ++i) out[i] = made[i];
      return;
    }
    for (std::size_t begin = 0; begin < size; begin += 16) {
      const std::size_t last = size - 8;
      if (begin >= last) {
        const std::array<std::size_t, 1> at = {last};
        store(look_up(std::array{load(&numerals[last])}, at, std::size_t{8})[0], out + last);
        return;
      }
      const std::array<std::size_t, 2> at = {begin, begin + 8 < last ? begin + 8 : last};
      const std::array<Eight, 2> made =
          look_up(std::array{load(&numerals[at[0]]), load(&numerals[at[1]])}, at, std::size_t{8});
      for (std::size_t i = 0; i < 2; ++i) store(made[i], out + at[i]);
    }
  }
  static Eight load(const std::uint16_t *numerals) noexcept {
    Eight eight;
    std::memcpy(&eight, numerals, sizeof eight);
    return eight;
  }
  static void store(Eight characters, char32_t *out) noexcept {
    typedef std::uint32_t Wide __attribute__((vector_size(32)));
    const auto wide = __builtin_convertvector(characters, Wide);
    std::memcpy(out, &wide, sizeof wide);
  }

  void make_lanes();
  void make_steps();

  std::vector<Run> runs_;
  // The runs again: of ASCII where they are few, of the rest of the plane, and beyond.
  std::vector<Run> few_;
  std::vector<Lanes> lanes_;             // of consecutive characters
  std::vector<Lanes> lanes_of_seconds_;  // of every second one
  std::vector<Run> beyond_;
  Steps lines_;
  std::uint32_t radix_ = 0;
  bool ascii_ = true;
  bool laned_ = true;  // there are fewer than 2^16
  bool lined_ = true;  // no character lies beyond U+7FFF
};

}  // namespace redoubt
#endif
