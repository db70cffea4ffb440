// ff1_alphabet.cpp - runs of characters, compared many at a time; see ff1_alphabet.h.
//
// The ASCII path uses the compiler's portable vector types (16 bytes), not any machine's intrinsics.
#include "core/ff1_alphabet.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace redoubt {
namespace {

typedef std::uint8_t Bytes16 __attribute__((vector_size(16)));

Bytes16 load(const std::array<std::uint8_t, 16> &bytes) noexcept {
  Bytes16 v;
  std::memcpy(&v, bytes.data(), sizeof v);
  return v;
}

// load and store move 1..16 bytes.  Fewer than 16 are moved as two overlapping pieces, so that there
// is no loop and nothing outside them is touched; every lane holds one of them.
template <typename Piece>
Bytes16 load_pieces(const void *from, std::size_t count) noexcept {
  static_assert(sizeof(Piece) <= 8);
  std::array<Piece, 16 / sizeof(Piece)> lanes;
  Piece low, high;
  std::memcpy(&low, from, sizeof low);
  std::memcpy(&high, static_cast<const char *>(from) + count - sizeof high, sizeof high);
  lanes.fill(low);
  lanes[1] = high;
  Bytes16 v;
  std::memcpy(&v, lanes.data(), sizeof v);
  return v;
}

template <typename Piece>
void store_pieces(Bytes16 v, void *to, std::size_t count) noexcept {
  static_assert(sizeof(Piece) <= 8);
  std::array<Piece, 16 / sizeof(Piece)> lanes;
  std::memcpy(lanes.data(), &v, sizeof v);
  std::memcpy(to, &lanes[0], sizeof lanes[0]);
  std::memcpy(static_cast<char *>(to) + count - sizeof lanes[1], &lanes[1], sizeof lanes[1]);
}

Bytes16 load(const void *from, std::size_t count) noexcept {
  if (count >= 16) {
    Bytes16 v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  if (count >= 8) return load_pieces<std::uint64_t>(from, count);
  if (count >= 4) return load_pieces<std::uint32_t>(from, count);
  if (count >= 2) return load_pieces<std::uint16_t>(from, count);
  return Bytes16{} + *static_cast<const std::uint8_t *>(from);  // spread over all lanes
}

void store(Bytes16 v, void *to, std::size_t count) noexcept {
  if (count >= 16) {
    std::memcpy(to, &v, sizeof v);
  } else if (count >= 8) {
    store_pieces<std::uint64_t>(v, to, count);
  } else if (count >= 4) {
    store_pieces<std::uint32_t>(v, to, count);
  } else if (count >= 2) {
    store_pieces<std::uint16_t>(v, to, count);
  } else {
    *static_cast<std::uint8_t *>(to) = v[0];
  }
}

// decode takes the next character off text; false if text is not UTF-8 (RFC 3629) there.
bool decode(std::string_view &text, std::uint32_t &character) noexcept {
  if (text.empty()) return false;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint32_t lead = byte(0);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (size == 0 || text.size() < size) return false;
  character = size == 1 ? lead : lead & (0x7FU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return false;
    character = character << 6 | (byte(i) & 0x3FU);
  }
  text.remove_prefix(size);
  constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  return character >= kLeast[size] && character <= 0x10FFFF && (character < 0xD800 || character > 0xDFFF);
}

std::size_t utf8_size(std::uint32_t character) noexcept {
  return character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
}

// encode_before writes character in front of end and returns its first byte's place.
char *encode_before(char *end, std::uint32_t character) noexcept {
  const std::size_t size = utf8_size(character);
  if (size == 1) {
    *--end = static_cast<char>(character);
    return end;
  }
  for (std::size_t i = 1; i < size; ++i, character >>= 6) *--end = static_cast<char>(0x80U | (character & 0x3FU));
  *--end = static_cast<char>((0xF00U >> size & 0xFFU) | character);
  return end;
}

}  // namespace

Result<Ff1Alphabet> Ff1Alphabet::make(std::string_view characters) {
  Ff1Alphabet alphabet;
  std::vector<std::uint32_t> seen;
  while (!characters.empty()) {
    std::uint32_t character = 0;
    if (!decode(characters, character)) return Status::malformed;
    if (seen.size() == 65536) return Status::invalid_argument;
    std::vector<Run> &runs = alphabet.runs_;
    if (runs.empty() || runs.back().first + runs.back().count != character) {
      if (runs.size() == kFf1MaxAlphabetRuns) return Status::unsupported;
      runs.push_back({character, static_cast<std::uint32_t>(seen.size()), 0});
    }
    ++runs.back().count;
    alphabet.max_bytes_ = std::max(alphabet.max_bytes_, utf8_size(character));
    seen.push_back(character);
  }
  alphabet.radix_ = static_cast<std::uint32_t>(seen.size());
  if (alphabet.radix_ < 2) return Status::invalid_argument;
  std::sort(seen.begin(), seen.end());
  if (std::adjacent_find(seen.begin(), seen.end()) != seen.end()) return Status::invalid_argument;
  if (alphabet.ascii()) {
    for (const Run &run : alphabet.runs_) {
      AsciiRun &wide = alphabet.ascii_runs_.emplace_back();
      wide.first.fill(static_cast<std::uint8_t>(run.first));
      wide.numeral.fill(static_cast<std::uint8_t>(run.numeral));
      wide.count.fill(static_cast<std::uint8_t>(run.count));
    }
  }
  return alphabet;
}

// parse_ascii and format_ascii take 16 bytes a step, or all of fewer; the last step overlaps the one before.
Status Ff1Alphabet::parse_ascii(std::string_view text, std::uint8_t *digits) const noexcept {
  const std::size_t size = text.size(), count = std::min<std::size_t>(size, 16);
  Bytes16 outside = {};
  for (std::size_t at = 0; at < size; at += 16) {
    at = std::min(at, size - count);
    const Bytes16 in = load(text.data() + at, count);
    Bytes16 out = {}, found = {};
    for (const AsciiRun &run : ascii_runs_) {
      const Bytes16 place = in - load(run.first);
      const auto within = reinterpret_cast<Bytes16>(place < load(run.count));
      out |= within & (place + load(run.numeral));
      found |= within;
    }
    outside |= ~found;
    store(out, digits + at, count);
  }
  std::array<std::uint64_t, 2> any;
  std::memcpy(any.data(), &outside, sizeof any);
  return (any[0] | any[1]) == 0 ? Status::ok : Status::malformed;
}

void Ff1Alphabet::format_ascii(const std::uint8_t *digits, std::size_t size, char *text) const noexcept {
  const std::size_t count = std::min<std::size_t>(size, 16);
  for (std::size_t at = 0; at < size; at += 16) {
    at = std::min(at, size - count);
    const Bytes16 in = load(digits + at, count);
    Bytes16 out = {};
    for (const AsciiRun &run : ascii_runs_) {
      const Bytes16 place = in - load(run.numeral);
      const auto within = reinterpret_cast<Bytes16>(place < load(run.count));
      out |= within & (place + load(run.first));
    }
    store(out, text + at, count);
  }
}

Status Ff1Alphabet::parse_utf8(std::string_view text, std::span<std::uint16_t> digits) const noexcept {
  std::uint32_t outside = 0;
  for (std::uint16_t &digit : digits) {
    std::uint32_t character = 0;
    if (text.empty()) return Status::out_of_range;
    if (!decode(text, character)) return Status::malformed;
    std::uint32_t out = 0, found = 0;
    for (const Run &run : runs_) {
      const std::uint32_t place = character - run.first;
      const std::uint32_t within = 0U - static_cast<std::uint32_t>(place < run.count);
      out |= within & (place + run.numeral);
      found |= within;
    }
    outside |= ~found;
    digit = static_cast<std::uint16_t>(out);
  }
  if (!text.empty()) return Status::out_of_range;
  return outside == 0 ? Status::ok : Status::malformed;
}

// The characters are written from the last to the first, ending at the end of the room they may
// need, then moved to its beginning.
std::size_t Ff1Alphabet::format_utf8(std::span<const std::uint16_t> digits, char *text) const noexcept {
  char *const end = text + digits.size() * max_bytes_;
  char *at = end;
  for (std::size_t i = digits.size(); i-- > 0;) {
    std::uint32_t character = 0;
    for (const Run &run : runs_) {
      const std::uint32_t place = digits[i] - run.numeral;
      character |= (0U - static_cast<std::uint32_t>(place < run.count)) & (place + run.first);
    }
    at = encode_before(at, character);
  }
  const auto size = static_cast<std::size_t>(end - at);
  std::memmove(text, at, size);
  return size;
}

template <typename Digit>
Status Ff1Alphabet::parse(std::string_view text, std::span<Digit> digits) const noexcept {
  if (digits.empty()) return text.empty() ? Status::ok : Status::out_of_range;
  if constexpr (sizeof(Digit) == 1) {
    if (!ascii()) return Status::invalid_argument;
    return text.size() == digits.size() ? parse_ascii(text, digits.data()) : Status::out_of_range;
  } else {
    return parse_utf8(text, digits);
  }
}

template <typename Digit>
Result<std::size_t> Ff1Alphabet::format(std::span<const Digit> digits, std::span<char> text) const noexcept {
  if (text.size() < digits.size() * max_bytes_) return Status::invalid_argument;
  if constexpr (sizeof(Digit) == 1) {
    if (!ascii()) return Status::invalid_argument;
    format_ascii(digits.data(), digits.size(), text.data());
    return digits.size();
  } else {
    return format_utf8(digits, text.data());
  }
}

template Status Ff1Alphabet::parse(std::string_view, std::span<std::uint8_t>) const noexcept;
template Status Ff1Alphabet::parse(std::string_view, std::span<std::uint16_t>) const noexcept;
template Result<std::size_t> Ff1Alphabet::format(std::span<const std::uint8_t>, std::span<char>) const noexcept;
template Result<std::size_t> Ff1Alphabet::format(std::span<const std::uint16_t>, std::span<char>) const noexcept;

}  // namespace redoubt
