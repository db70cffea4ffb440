// format_alphabet.cpp - see format_alphabet.h.
#include "core/format_alphabet.h"

#include <algorithm>

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
  lined_ = lined_ && last < 0x8000;
  make_lanes();
  make_steps();
  return true;
}

void FormatAlphabet::Lanes::set(std::size_t lane, const Run &run) noexcept {
  first[lane] = static_cast<std::uint16_t>(run.first);
  last[lane] = static_cast<std::uint16_t>(run.count - 1);
  above[lane] = static_cast<std::uint16_t>(run.numeral + 1);
}

// Cuts the runs where the plane ends, and where ASCII does if few runs hold any of it.
void FormatAlphabet::make_lanes() {
  constexpr std::array<char32_t, 3> kLast = {0x7F, kLastInPlane, 0x10FFFF};
  constexpr std::ptrdiff_t kFew = 4;
  few_.clear();
  lanes_.clear();
  lanes_of_seconds_.clear();
  beyond_.clear();
  laned_ = radix_ < 65536;
  const bool few = std::count_if(runs_.begin(), runs_.end(), [](const Run &run) { return run.first < 0x80; }) <= kFew;
  std::array<std::size_t, 2> used = {};
  for (Run rest : runs_) {
    for (std::size_t part_of = few ? 0 : 1; part_of < kLast.size() && rest.count > 0; ++part_of) {
      if (rest.first > kLast[part_of]) continue;
      Run part = rest;
      part.count = std::min(rest.count, ((kLast[part_of] - rest.first) >> rest.shift) + 1);
      rest.first += part.count << rest.shift;
      rest.numeral += part.count;
      rest.count -= part.count;
      if (part_of != 1) {
        (part_of == 0 ? few_ : beyond_).push_back(part);
        continue;
      }
      std::vector<Lanes> &lanes = part.shift == 0 ? lanes_ : lanes_of_seconds_;
      const std::size_t lane = used[part.shift]++ % 8;
      if (lane == 0) lanes.emplace_back();
      for (std::size_t i = lane; i == lane || (lane == 0 && i < 8); ++i) lanes.back().set(i, part);
    }
  }
}

// The runs lie in the order of their numerals.
void FormatAlphabet::make_steps() {
  const auto line = [](const Run &run) {
    const std::uint32_t offset = static_cast<std::uint32_t>(run.first) - (run.numeral << run.shift);
    return static_cast<std::uint16_t>((offset & 0x7FFF) | run.shift << 15);
  };
  lines_.steps.clear();
  std::uint16_t last = line(runs_[0]);
  for (const Run &run : std::span(runs_).subspan(1)) {
    const std::uint16_t next = line(run);
    lines_.add(run.numeral, static_cast<std::uint16_t>(last ^ next));
    last = next;
  }
  lines_.set_last(last);
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

void FormatAlphabet::characters(std::span<const std::uint16_t> numerals, char32_t *out) const noexcept {
  if (!lined_) {
    for (const std::uint16_t numeral : numerals) *out++ = character(numeral);
    return;
  }
  in_eights(numerals, out, [this](const auto &eights, const auto &, std::size_t) { return on_lines(eights); });
}

bool FormatAlphabet::overlaps(const FormatAlphabet &other) const noexcept {
  for (const Run &a : runs_)
    for (const Run &b : other.runs_)
      if (a.shares(b)) return true;
  return false;
}

}  // namespace redoubt
