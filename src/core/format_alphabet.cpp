// format_alphabet.cpp - see format_alphabet.h.
#include "core/format_alphabet.h"

namespace redoubt {

bool FormatAlphabet::add(char32_t first, char32_t last) {
  if (first > last) return false;
  const std::uint32_t count = static_cast<std::uint32_t>(last) - static_cast<std::uint32_t>(first) + 1;
  if (count > 65536 - radix_) return false;
  for (const Run &run : runs_)
    if (first < run.first + run.count && run.first <= last) return false;
  if (!runs_.empty() && runs_.back().first + runs_.back().count == first) {
    runs_.back().count += count;
  } else {
    if (runs_.size() == kFormatMaxRuns) return false;
    runs_.push_back({first, radix_, count});
  }
  radix_ += count;
  return true;
}

bool FormatAlphabet::find(char32_t c, std::uint16_t &numeral) const noexcept {
  std::uint32_t found = 0;
  std::uint32_t value = 0;
  for (const Run &run : runs_) {
    const std::uint32_t place = static_cast<std::uint32_t>(c) - static_cast<std::uint32_t>(run.first);
    const std::uint32_t mask = 0U - static_cast<std::uint32_t>(place < run.count);
    value |= mask & (run.numeral + place);
    found |= mask;
  }
  numeral = static_cast<std::uint16_t>(value);
  return found != 0;
}

char32_t FormatAlphabet::character(std::uint16_t numeral) const noexcept {
  std::uint32_t value = 0;
  for (const Run &run : runs_) {
    const std::uint32_t place = numeral - run.numeral;
    const std::uint32_t mask = 0U - static_cast<std::uint32_t>(place < run.count);
    value |= mask & (static_cast<std::uint32_t>(run.first) + place);
  }
  return value;
}

bool FormatAlphabet::overlaps(const FormatAlphabet &other) const noexcept {
  for (const Run &a : runs_)
    for (const Run &b : other.runs_)
      if (a.first < b.first + b.count && b.first < a.first + a.count) return true;
  return false;
}

}  // namespace redoubt
