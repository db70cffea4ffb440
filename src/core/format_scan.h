// format_scan.h - FormatScan: a value taken apart into tokenized characters, as numerals, and the tweak of the rest.
//
// What it is: what matching a format finds.  The tweak holds the kept characters of classes and how many
// characters of which alphabet lie between them; literals are formatting and not part of it, so that
// one number tokenizes alike with and without an optional hyphen.
// What it is not: their memory.  FormatScanBuffer is that of one value; FormatBatch has that of many, so that the
// numerals of values that are alike lie one behind the other as FF1 takes them.
// Invariant: add_slot, add_run and keep are called in the order of the value, together for at most
// kFormatMaxCharacters characters, for which there is room.
// Locks: none.  Covered by test/unit/format_test.cpp, format_batch_test.cpp and test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_SCAN_H
#define REDOUBT_CORE_FORMAT_SCAN_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace redoubt {

// Most characters of a value, and bytes of the tweak of one: a run of tokenized characters takes three.
inline constexpr std::size_t kFormatMaxCharacters = 255;
inline constexpr std::size_t kFormatMaxTweak = 4 * kFormatMaxCharacters;

struct FormatScan {
  // Run is tokenized characters of one alphabet that stand side by side.
  struct Run {
    std::uint16_t offset;  // of its first byte in the value
    std::uint16_t size;    // bytes
    std::uint8_t count;    // characters
    std::uint8_t alphabet;
    std::size_t end() const noexcept { return std::size_t{offset} + size; }
  };

  std::uint16_t *numeral;  // of `slots` tokenized characters
  Run *run;                // `runs` of them
  std::uint8_t *tweak;     // of tweak_size bytes
  std::size_t slots = 0;
  std::size_t runs = 0;
  std::size_t tweak_size = 0;

  FormatScan(std::uint16_t *numerals, Run *places, std::uint8_t *tweaks) noexcept
      : numeral(numerals), run(places), tweak(tweaks) {}

  std::span<std::uint16_t> numerals() const noexcept { return {numeral, slots}; }
  std::span<const Run> all_runs() const noexcept { return {run, runs}; }
  std::span<const std::uint8_t> tweak_bytes() const noexcept { return {tweak, tweak_size}; }

  void clear() noexcept { slots = runs = tweak_size = 0; }

  // add_slot adds the character of `size` bytes at `offset`, to the last run where that fits.
  void add_slot(std::uint16_t what, std::size_t offset, std::size_t size, std::uint8_t alphabet) noexcept {
    numeral[slots] = what;
    if (runs > 0 && run[runs - 1].alphabet == alphabet && run[runs - 1].end() == offset) {
      Run &last = run[runs - 1];
      last.size = static_cast<std::uint16_t>(last.size + size);
      ++last.count;
      ++slots;
      count_slots(alphabet, 1);
      return;
    }
    add_run(offset, size, 1, alphabet);
  }
  // add_run adds a run whose numerals the caller has written behind the others.
  void add_run(std::size_t offset, std::size_t size, std::size_t count, std::uint8_t alphabet) noexcept {
    slots += count;
    count_slots(alphabet, count);
    run[runs++] = {static_cast<std::uint16_t>(offset), static_cast<std::uint16_t>(size),
                   static_cast<std::uint8_t>(count), alphabet};
  }
  void keep(std::string_view characters) noexcept {  // in UTF-8
    for (const char c : characters) tweak[tweak_size++] = static_cast<std::uint8_t>(c);
  }

 private:
  // 0, alphabet + 1, count: nothing else is 0, so a 0 three bytes back begins such a run.
  void count_slots(std::size_t of, std::size_t count) noexcept {
    const auto alphabet = static_cast<std::uint8_t>(of + 1);
    std::uint8_t *const end = tweak + tweak_size;
    if (tweak_size >= 3 && end[-3] == 0 && end[-2] == alphabet) {
      end[-1] = static_cast<std::uint8_t>(end[-1] + count);
      return;
    }
    end[0] = 0;
    end[1] = alphabet;
    end[2] = static_cast<std::uint8_t>(count);
    tweak_size += 3;
  }
};

// FormatScanRoom is room for one value, not initialised.
struct FormatScanRoom {
  std::array<std::uint16_t, kFormatMaxCharacters> numerals_;
  std::array<FormatScan::Run, kFormatMaxCharacters> runs_;
  std::array<std::uint8_t, kFormatMaxTweak> tweak_;
};

// FormatScanBuffer is a FormatScan with room of its own.
class FormatScanBuffer : private FormatScanRoom, public FormatScan {
 public:
  FormatScanBuffer() noexcept : FormatScan(numerals_.data(), runs_.data(), tweak_.data()) {}
  FormatScanBuffer(const FormatScanBuffer &) = delete;
  FormatScanBuffer &operator=(const FormatScanBuffer &) = delete;
};

}  // namespace redoubt
#endif
