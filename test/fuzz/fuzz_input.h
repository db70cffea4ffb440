// fuzz_input.h - what the fuzz targets share: taking the input apart, and stopping where a property does not hold.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

using Bytes = std::span<const std::uint8_t>;

// require ends the process, which is how libFuzzer learns of a failure.
inline void require(bool property) {
  if (!property) std::abort();
}

// take cuts `size` bytes off the front of the input, or all where there are fewer.
inline Bytes take(Bytes &input, std::size_t size) {
  const Bytes taken = input.first(std::min(size, input.size()));
  input = input.subspan(taken.size());
  return taken;
}

// wiped is true of zeros alone.
inline bool wiped(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}
