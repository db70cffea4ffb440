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
  make_lanes();
  make_steps();
  return true;
}

void FormatAlphabet::Lanes::set(std::size_t lane, const Run &run) noexcept {
  first[lane] = static_cast<std::uint16_t>(run.first);
  numeral[lane] = static_cast<std::uint16_t>(run.numeral);
  last[lane] = static_cast<std::uint16_t>(run.count - 1);
  every_second[lane] = static_cast<std::uint16_t>(0 - run.shift);
}

// Cuts the runs where characters of more bytes begin, and puts those of as many bytes side by side.
void FormatAlphabet::make_lanes() {
  constexpr std::array<char32_t, 4> kLast = {0x7F, 0x7FF, kLastInPlane, 0x10FFFF};
  beyond_.clear();
  std::array<std::size_t, 3> used = {};
  for (std::vector<Lanes> &of_size : lanes_) of_size.clear();
  for (Run rest : runs_) {
    for (std::size_t size = 0; size < kLast.size() && rest.count > 0; ++size) {
      if (rest.first > kLast[size]) continue;
      Run part = rest;
      part.count = std::min(rest.count, ((kLast[size] - rest.first) >> rest.shift) + 1);
      rest.first += part.count << rest.shift;
      rest.numeral += part.count;
      rest.count -= part.count;
      if (size == lanes_.size()) {
        beyond_.push_back(part);
        continue;
      }
      const std::size_t lane = used[size]++ % 8;
      if (lane == 0) lanes_[size].emplace_back();
      for (std::size_t i = lane; i == lane || (lane == 0 && i < 8); ++i) lanes_[size].back().set(i, part);
    }
  }
}

bool FormatAlphabet::find_beyond(char32_t c, std::uint16_t &numeral) const noexcept {
  std::uint32_t found = 0;
  std::uint32_t value = 0;
  for (const Run &run : beyond_) {
    const std::uint32_t place = run.place(c);
    const std::uint32_t mask = 0U - static_cast<std::uint32_t>(place < run.count);
    value |= mask & (run.numeral + place);
    found |= mask;
  }
  numeral = static_cast<std::uint16_t>(value);
  return found != 0;
}

// The runs lie in the order of their numerals.
void FormatAlphabet::make_steps() {
  const auto line = [](const Run &run) {
    const auto of = static_cast<std::uint16_t>(static_cast<std::uint32_t>(run.first) - (run.numeral << run.shift));
    return Line{Eight{} + of, Eight{} - static_cast<std::uint16_t>(run.shift)};
  };
  steps_.clear();
  last_ = line(runs_[0]);
  for (const Run &run : std::span(runs_).subspan(1)) {
    const Line next = line(run);
    const Signed first = Signed{} + static_cast<std::int16_t>(run.numeral - 0x8000U);
    steps_.push_back({first, {last_.offset ^ next.offset, last_.every_second ^ next.every_second}});
    last_ = next;
  }
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
  if (!beyond_.empty()) {
    for (const std::uint16_t numeral : numerals) *out++ = character(numeral);
    return;
  }
  while (!numerals.empty()) {
    const std::size_t count = std::min<std::size_t>(numerals.size(), 8);
    Eight n = {};
    if (count == 8)
      std::memcpy(&n, numerals.data(), sizeof n);
    else
      for (std::size_t i = 0; i < count; ++i) n[i] = numerals[i];
    const auto biased = reinterpret_cast<Signed>(n ^ 0x8000);
    Line line = last_;
    for (const Step &step : steps_) {
      const auto before = reinterpret_cast<Eight>(biased < step.first);
      line.offset ^= before & step.change.offset;
      line.every_second ^= before & step.change.every_second;
    }
    const Eight c = n + (n & line.every_second) + line.offset;
    for (std::size_t i = 0; i < count; ++i) *out++ = c[i];
    numerals = numerals.subspan(count);
  }
}

bool FormatAlphabet::overlaps(const FormatAlphabet &other) const noexcept {
  for (const Run &a : runs_)
    for (const Run &b : other.runs_)
      if (a.shares(b)) return true;
  return false;
}

}  // namespace redoubt
