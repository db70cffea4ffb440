// format_letters.cpp - see format_letters.h.
#include "core/format_letters.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/format_scan.h"

namespace redoubt {

void FormatLetters::make(FormatAlphabet small, FormatAlphabet capitals) {
  small_ = std::move(small);
  capitals_ = std::move(capitals);
  joined_ = join();
  tabulate();
  paired_ = pair();
}

// join is false where the numerals of both do not fit, or where a letter is in both, and so small.
bool FormatLetters::join() {
  if (small_.radix_ + capitals_.radix_ > 65536 || small_.overlaps(capitals_)) return false;
  both_ = small_;
  for (FormatAlphabet::Run run : capitals_.runs_) {
    run.numeral += small_.radix_;
    both_.runs_.push_back(run);
  }
  both_.radix_ += capitals_.radix_;
  both_.make_lanes();
  return true;
}

void FormatLetters::tabulate() {
  above_.clear();
  if (!joined_ || !both_.laned_) return;
  for (const FormatAlphabet::Run &run : both_.runs_) {
    const char32_t end = std::min(run.last(), FormatAlphabet::kLastInPlane) + 1;
    if (run.first < end) above_.resize(std::max<std::size_t>(above_.size(), end));
    std::uint32_t above = run.numeral;
    for (char32_t c = run.first; c < end; c += 1U << run.shift) above_[c] = static_cast<std::uint16_t>(++above);
  }
}

// pair is false where the capitals of every second letter are consecutive, or the reverse, and beyond U+7FFF.
bool FormatLetters::pair() {
  if (!small_.lined_ || !capitals_.lined_ || small_.radix_ != capitals_.radix_) return false;
  difference_.steps.clear();
  std::uint16_t last = 0;
  std::uint32_t numeral = 0;
  for (std::size_t s = 0, c = 0; numeral < small_.radix_;) {
    const FormatAlphabet::Run &small = small_.runs_[s];
    const FormatAlphabet::Run &capital = capitals_.runs_[c];
    if (small.shift != capital.shift) return false;
    const auto character = [numeral](const FormatAlphabet::Run &run) {
      return static_cast<std::uint32_t>(run.first) + ((numeral - run.numeral) << run.shift);
    };
    const auto difference = static_cast<std::uint16_t>(character(capital) - character(small));
    if (numeral > 0 && difference != last) difference_.add(numeral, static_cast<std::uint16_t>(last ^ difference));
    last = difference;
    const std::uint32_t end_of_small = small.numeral + small.count;
    const std::uint32_t end_of_capital = capital.numeral + capital.count;
    numeral = std::min(end_of_small, end_of_capital);
    if (numeral == end_of_small) ++s;
    if (numeral == end_of_capital) ++c;
  }
  difference_.set_last(last);
  return true;
}

bool FormatLetters::find_one_by_one(char32_t c, Letter &letter, std::uint16_t &numeral) const noexcept {
  letter = kSmall;
  if (small_.find(c, numeral)) return true;
  letter = kCapital;
  return capitals_.find(c, numeral);
}

// capitals_of is all ones for every capital of up to eight letters.
FormatAlphabet::Eight FormatLetters::capitals_of(const Letter *letters, std::size_t count) noexcept {
  static_assert(sizeof(Letter) == 1 && kCapital == 1);
  typedef std::uint8_t Octets __attribute__((vector_size(8)));
  Octets octets = {};
  if (count == 8)
    std::memcpy(&octets, letters, sizeof octets);
  else
    for (std::size_t i = 0; i < count; ++i) octets[i] = letters[i];
  return FormatAlphabet::Eight{} - __builtin_convertvector(octets, FormatAlphabet::Eight);
}

void FormatLetters::characters(std::span<const std::uint16_t> numerals, const Letter *letters,
                               char32_t *out) const noexcept {
  if (!paired_) {
    std::array<char32_t, kFormatMaxCharacters> capitals;
    small_.characters(numerals, out);
    if (std::find(letters, letters + numerals.size(), kCapital) == letters + numerals.size()) return;
    capitals_.characters(numerals, capitals.data());
    for (std::size_t i = 0; i < numerals.size(); ++i) out[i] = letters[i] == kCapital ? capitals[i] : out[i];
    return;
  }
  FormatAlphabet::in_eights(numerals, out, [=, this](const auto &eights, const auto &at, std::size_t count) {
    auto made = small_.on_lines(eights);
    const auto difference = difference_.at(eights);
    for (std::size_t i = 0; i < at.size(); ++i) made[i] += difference[i] & capitals_of(letters + at[i], count);
    return made;
  });
}

}  // namespace redoubt
