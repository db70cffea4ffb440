// format_alphabet.cpp - see format_alphabet.h.
#include "core/format_alphabet.h"

namespace redoubt {

bool FormatAlphabet::Run::shares(const Run &other) const noexcept {
  if (first > other.last() || other.first > last()) return false;
  if (shift == 0 && other.shift == 0) return true;
  for (std::uint32_t i = 0; i < count; ++i)
    if (other.place(first + (i << shift)) < other.count) return true;
  return false;
}

bool FormatAlphabet::add(char32_t first, char32_t last, bool every_second) {
  if (first > last) return false;
  const std::uint32_t shift = every_second ? 1 : 0;
  const std::uint32_t count = ((static_cast<std::uint32_t>(last) - static_cast<std::uint32_t>(first)) >> shift) + 1;
  if (count > 65536 - radix_) return false;
  const Run added = {first, radix_, count, shift};
  for (const Run &run : runs_)
    if (run.shares(added)) return false;
  if (!runs_.empty() && shift == 0 && runs_.back().shift == 0 && runs_.back().last() + 1 == first) {
    runs_.back().count += count;
  } else {
    if (runs_.size() == kFormatMaxRuns) return false;
    runs_.push_back(added);
  }
  radix_ += count;
  ascii_ = ascii_ && last < 0x80;
  return true;
}

bool FormatAlphabet::find(char32_t c, std::uint16_t &numeral) const noexcept {
  std::uint32_t found = 0;
  std::uint32_t value = 0;
  for (const Run &run : runs_) {
    const std::uint32_t place = run.place(c);
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
    value |= mask & (static_cast<std::uint32_t>(run.first) + (place << run.shift));
  }
  return value;
}

bool FormatAlphabet::overlaps(const FormatAlphabet &other) const noexcept {
  for (const Run &a : runs_)
    for (const Run &b : other.runs_)
      if (a.shares(b)) return true;
  return false;
}

}  // namespace redoubt
