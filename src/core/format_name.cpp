// format_name.cpp - see format_name.h.
#include "core/format_name.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <span>
#include <utility>

#include "core/format_template.h"
#include "core/unicode_text.h"

namespace redoubt {
namespace {

// `count` small letters and their capitals, each `step` apart, 1 or 2.  Pairs where Unicode has no capital of one
// character are of this format's making (final sigma, the Greek letters with dialytika and tonos, dotless i): all that
// is asked of them is that small letters and capitals are as many.
struct Letters {
  char32_t small, capital;
  std::uint8_t count, step;
};

constexpr Letters kAscii[] = {{'a', 'A', 26, 1}};
constexpr Letters kLatin[] = {
    {'a', 'A', 26, 1},     {0xE0, 0xC0, 23, 1},  {0xF8, 0xD8, 7, 1},   {0xDF, 0x1E9E, 1, 1},    {0xFF, 0x178, 1, 1},
    {0x101, 0x100, 24, 2}, {0x131, 0x130, 1, 1}, {0x133, 0x132, 3, 2}, {0x13A, 0x139, 8, 2},    {0x14B, 0x14A, 23, 2},
    {0x17A, 0x179, 3, 2},  {0x1A1, 0x1A0, 1, 1}, {0x1B0, 0x1AF, 1, 1}, {0x1CE, 0x1CD, 8, 2},    {0x1E7, 0x1E6, 1, 1},
    {0x219, 0x218, 2, 2},  {0x253, 0x181, 1, 1}, {0x254, 0x186, 1, 1}, {0x257, 0x18A, 1, 1},    {0x259, 0x18F, 1, 1},
    {0x25B, 0x190, 1, 1},  {0x199, 0x198, 1, 1}, {0x1B4, 0x1B3, 1, 1}, {0x1E01, 0x1E00, 75, 2}, {0x1EA1, 0x1EA0, 45, 2},
};
constexpr Letters kGreek[] = {
    {0x3B1, 0x391, 17, 1}, {0x3C3, 0x3A3, 7, 1}, {0x3C2, 0x3DA, 1, 1}, {0x3AC, 0x386, 1, 1}, {0x3AD, 0x388, 3, 1},
    {0x3CC, 0x38C, 1, 1},  {0x3CD, 0x38E, 2, 1}, {0x3CA, 0x3AA, 2, 1}, {0x390, 0x3DE, 1, 1}, {0x3B0, 0x3E0, 1, 1},
};
constexpr Letters kCyrillic[] = {
    {0x430, 0x410, 32, 1}, {0x450, 0x400, 16, 1}, {0x491, 0x490, 1, 1}, {0x493, 0x492, 1, 1},
    {0x49B, 0x49A, 1, 1},  {0x4A3, 0x4A2, 1, 1},  {0x4AF, 0x4AE, 1, 1}, {0x4B1, 0x4B0, 1, 1},
    {0x4BB, 0x4BA, 1, 1},  {0x4D9, 0x4D8, 1, 1},  {0x4E9, 0x4E8, 1, 1},
};

struct Named {
  std::string_view name;
  std::span<const Letters> letters;
};
constexpr Named kNamed[] = {{"latin", kLatin}, {"ascii", kAscii}, {"greek", kGreek}, {"cyrillic", kCyrillic}};

// kSeparators stand between the words of a name.
constexpr char32_t kSeparators[] = {' ', '\'', '-', '.', ',', 0xB7, 0x2BB, 0x2BC, 0x2010, 0x2011, 0x2019};

bool is_separator(char32_t c) noexcept {
  return std::find(std::begin(kSeparators), std::end(kSeparators), c) != std::end(kSeparators);
}

// The tweak's mark of a word of variable length: 0, this and its class of case, 1.  Runs have 1 and 2 there.
constexpr std::uint8_t kShortMark = 3;

// kMaxRank bounds what crypt_rank takes; half of it, so that the bound of parse() can be a simple one.
constexpr std::uint64_t kMaxRank = std::uint64_t{1} << 61;

// mixed_patterns: in how many ways a word of so many letters is neither all small, nor all capital, nor a title.
std::uint64_t mixed_patterns(std::size_t letters) noexcept {
  return letters < 2 ? 0 : (std::uint64_t{1} << letters) - 3;
}

}  // namespace

[[gnu::cold]] bool FormatName::parse_alphabet(std::string_view spec, std::string_view capitals, std::string &problem) {
  FormatAlphabet small;
  FormatAlphabet capital;
  if (!spec.starts_with('[')) {
    const auto *const named =
        std::find_if(std::begin(kNamed), std::end(kNamed), [=](const Named &n) { return n.name == spec; });
    if (named == std::end(kNamed) || !capitals.empty()) {
      problem = "the alphabet of a name is latin, ascii, greek, cyrillic, or a class, as in alphabet=[a-z],upper=[A-Z]";
      return false;
    }
    for (const Letters &run : named->letters) {
      const auto span = static_cast<char32_t>((run.count - 1) * run.step);
      if (small.add(run.small, run.small + span, run.step == 2) &&
          capital.add(run.capital, run.capital + span, run.step == 2))
        continue;
      problem = "too many letters";
      return false;
    }
    letters_.make(std::move(small), std::move(capital));
    return true;
  }
  const auto read = [&problem](std::string_view text, FormatAlphabet &alphabet) {
    FormatTemplate one;
    if (!one.parse("(" + std::string(text) + ")", problem)) return false;
    if (one.alphabets().size() != 1 || one.least(0) != 1 || one.most(0) != 1) {
      problem = "an alphabet is one class in brackets";
      return false;
    }
    alphabet = one.alphabets().front();
    return true;
  };
  if (!read(spec, small)) return false;
  if (!capitals.empty()) {
    if (!read(capitals, capital)) return false;
    if (capital.radix() != small.radix() || capital.overlaps(small)) {
      problem = "the alphabet's capitals are to be as many as its other letters, and others";
      return false;
    }
  }
  FormatAlphabet separators;
  for (const char32_t c : kSeparators) (void)separators.add(c, c);
  if (separators.overlaps(small) || separators.overlaps(capital)) {
    problem = "an alphabet of names holds no space, hyphen, apostrophe, full stop, comma or middle dot";
    return false;
  }
  letters_.make(std::move(small), std::move(capital));
  return true;
}

[[gnu::cold]] bool FormatName::parse(std::string_view arguments, std::string &problem) {
  std::string_view alphabet = "latin";
  std::string_view capitals;
  std::size_t wanted = 0;
  while (!arguments.empty()) {
    const std::size_t comma = std::min(arguments.find(','), arguments.size());
    const std::string_view argument = arguments.substr(0, comma);
    arguments.remove_prefix(std::min(comma + 1, arguments.size()));
    const std::size_t sign = std::min(argument.find('='), argument.size());
    const std::string_view name = argument.substr(0, sign);
    const std::string_view value = argument.substr(std::min(sign + 1, argument.size()));
    bool known = !value.empty();
    if (name == "alphabet") {
      alphabet = value;
    } else if (name == "upper") {
      capitals = value;
    } else if (name == "short") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), wanted);
      known = error == std::errc() && end == value.data() + value.size() && wanted > 0;
    } else {
      known = false;
    }
    if (known) continue;
    problem =
        "the parameters of name are alphabet (latin, ascii, greek, cyrillic or a class), upper (a class) and short "
        "(a number of letters), as in name(alphabet=latin,short=3)";
    return false;
  }
  if (!parse_alphabet(alphabet, capitals, problem)) return false;
  std::uint64_t size = 1;
  for (short_ = 0; size < kFf1MinDomain; ++short_) size *= radix();
  if (wanted == 0) return true;
  if (wanted < short_) {
    problem = "the domain is too small: names of " + std::to_string(wanted) + " letters of " + std::to_string(radix()) +
              " are fewer than " + std::to_string(kFf1MinDomain) +
              " (NIST SP 800-38G Revision 1); short is to be at least " + std::to_string(short_);
    return false;
  }
  // Names of up to n letters, each in either case, are fewer than twice those of n.
  std::uint64_t bound = 2;
  for (short_ = 0; short_ < wanted; ++short_) {
    if (!__builtin_mul_overflow(bound, std::uint64_t{2} * radix(), &bound) && bound <= kMaxRank) continue;
    problem = "names of " + std::to_string(wanted) + " letters of " + std::to_string(radix()) +
              " are too many to be ranked together; short is to be at most " + std::to_string(short_);
    return false;
  }
  return true;
}

template <auto find>
Refusal FormatName::scan(std::string_view text, Scan &scan) const noexcept {
  FormatScan &name = scan.name;
  name.clear();
  std::size_t position = 1;
  bool in_word = false;
  // The run at hand, letters of one case: where it begins, and where its next letter goes.
  std::size_t begin = 0;
  Letter of = FormatLetters::kSmall;
  std::uint16_t *numeral = name.numeral;
  Letter *letter = scan.letter.data();
  const auto end_run = [&](std::size_t end) {
    const auto count = static_cast<std::size_t>(numeral - name.numeral) - name.slots;
    if (count == 0) return;
    name.add_run(begin, end - begin, count, of);
    scan.bytes_end = end;
    scan.tweak_end = name.tweak_size;
  };
  for (std::size_t at = 0; at < text.size(); ++position) {
    const CodePoint c = utf8_decode_letter(text, at);
    if (c.size == 0) return {Status::malformed, position, "invalid UTF-8"};
    if (position > kFormatMaxCharacters) return {Status::out_of_range, position, "too long"};
    Letter found = FormatLetters::kSmall;  // tokens show which, too
    std::uint16_t found_numeral = 0;
    if ((letters_.*find)(c.value, found, found_numeral)) {
      if (!in_word || found != of) {
        if (in_word) end_run(at);
        begin = at;
        of = found;
      }
      if (!in_word) {
        in_word = true;
        scan.slots_before = name.slots;
        scan.bytes_before = at;
        scan.tweak_before = name.tweak_size;
      }
      *numeral++ = found_numeral;
      *letter++ = found;
    } else if (is_separator(c.value)) {
      end_run(at);
      name.keep(text.substr(at, c.size));
      in_word = false;
    } else {
      return {Status::malformed, position,
              is_combining_mark(c.value) ? "combining mark without a composed character"
                                         : "character not allowed by the format"};
    }
    at += c.size;
  }
  end_run(text.size());
  if (text.empty()) return {Status::out_of_range, 0, "too short"};
  if (name.slots == 0) return {Status::malformed, 0, "no letter"};
  return {};
}

FormatName::Case FormatName::case_of(const Scan &scan) const noexcept {
  const Letter *const first = scan.letter.data() + scan.slots_before;
  const Letter *const end = scan.letter.data() + scan.name.slots;
  const auto capitals = std::count(first, end, FormatLetters::kCapital);
  if (capitals == 0) return Case::lower;
  if (capitals == 1 && *first == FormatLetters::kCapital) return Case::title;
  return capitals == end - first ? Case::upper : Case::mixed;
}

// count_of: how many names have `before` letters in the words before and a last one of `letters` in this case.
std::uint64_t FormatName::count_of(Case word_case, std::size_t before, std::size_t letters) const noexcept {
  std::uint64_t count = word_case == Case::mixed                  ? mixed_patterns(letters)
                        : word_case == Case::upper && letters < 2 ? 0
                                                                  : 1;
  for (std::size_t i = 0; i < before + letters; ++i) count *= radix();
  return count;
}

Status FormatName::crypt_long(Ff1Direction direction, FormatCipher &cipher, Scan &scan) const {
  return cipher.crypt(direction, radix(), scan.name.numerals(), scan.name.tweak_bytes());
}

// crypt_short numbers the names of one domain: by the length of the last word, then by its pattern where
// that is encrypted, then by the letters, first one most significant.
Status FormatName::crypt_short(Ff1Direction direction, FormatCipher &cipher, Scan &scan) const {
  FormatScan &name = scan.name;
  const std::size_t before = scan.slots_before;
  const Case word_case = case_of(scan);
  std::size_t letters = scan.letters();
  std::uint64_t pattern = 0;
  std::uint64_t rank = 0;
  for (std::size_t i = before; i < name.slots; ++i)
    pattern = pattern << 1 | (scan.letter[i] == FormatLetters::kCapital ? 1U : 0U);
  if (word_case == Case::mixed) {
    // Patterns are 1 .. 2^letters - 2 without the one of a title, 2^(letters - 1).
    rank = pattern - (pattern > std::uint64_t{1} << (letters - 1) ? 2 : 1);
  }
  for (std::size_t i = 0; i < name.slots; ++i) rank = rank * radix() + name.numeral[i];
  std::uint64_t size = 0;
  for (std::size_t l = 1; before + l <= short_; ++l) {
    const std::uint64_t count = count_of(word_case, before, l);
    if (l < letters) rank += count;
    size += count;
  }

  std::array<std::uint8_t, kFormatMaxTweak + 3> tweak;
  auto *end = std::copy_n(name.tweak, scan.tweak_before, tweak.begin());
  *end++ = 0;
  *end++ = static_cast<std::uint8_t>(kShortMark + static_cast<std::uint8_t>(word_case));
  *end++ = 1;
  end = std::copy_n(name.tweak + scan.tweak_end, name.tweak_size - scan.tweak_end, end);
  const Status status =
      cipher.crypt_rank(direction, size, rank, {tweak.data(), static_cast<std::size_t>(end - tweak.begin())});
  if (status != Status::ok) return status;

  for (letters = 1; rank >= count_of(word_case, before, letters); ++letters)
    rank -= count_of(word_case, before, letters);
  name.slots = before + letters;
  for (std::size_t i = name.slots; i-- > 0;) {
    name.numeral[i] = static_cast<std::uint16_t>(rank % radix());
    rank /= radix();
  }
  const std::uint64_t title = std::uint64_t{1} << (letters - 1);
  switch (word_case) {
    case Case::lower:
      pattern = 0;
      break;
    case Case::title:
      pattern = title;
      break;
    case Case::upper:
      pattern = 2 * title - 1;
      break;
    case Case::mixed:
      pattern = rank + 1 < title ? rank + 1 : rank + 2;
      break;
  }
  for (std::size_t i = name.slots; i-- > before; pattern >>= 1)
    scan.letter[i] = (pattern & 1) != 0 ? FormatLetters::kCapital : FormatLetters::kSmall;
  return Status::ok;
}

Refusal FormatName::accepts(std::string_view token) const noexcept {
  Scan taken;
  return scan<&FormatLetters::find>(token, taken);
}

Refusal FormatName::crypt(Ff1Direction direction, FormatCipher &cipher, std::string_view in, std::string &out) const {
  out.clear();
  Scan taken;
  const Refusal refusal = direction == Ff1Direction::encrypt ? scan<&FormatLetters::find>(in, taken)
                                                             : scan<&FormatLetters::find_in_token>(in, taken);
  if (!refusal.ok()) return refusal;
  const bool is_short = taken.name.slots <= short_;
  const Status status = is_short ? crypt_short(direction, cipher, taken) : crypt_long(direction, cipher, taken);
  if (status != Status::ok) return {Status::crypto_failure, 0, "encryption failed"};
  std::array<char32_t, kFormatMaxCharacters> characters;
  letters_.characters(taken.name.numerals(), taken.letter.data(), characters.data());
  out.resize(in.size() + kUtf8Most * taken.name.slots);
  char *to = out.data();
  std::size_t from = 0;
  std::size_t letter = 0;
  const auto put_text = [&](std::size_t end) {
    if (from < end)
      to = std::copy(in.begin() + static_cast<std::ptrdiff_t>(from), in.begin() + static_cast<std::ptrdiff_t>(end), to);
  };
  const auto put_letters = [&](std::size_t end) {
    for (; letter < end; ++letter) to = utf8_write(to, characters[letter]);
  };
  for (const FormatScan::Run run : taken.name.all_runs()) {
    if (is_short && letter == taken.slots_before) break;
    put_text(run.offset);
    put_letters(letter + run.count);
    from = run.end();
  }
  if (is_short) {  // the last word may have another length
    put_text(taken.bytes_before);
    put_letters(taken.name.slots);
    from = taken.bytes_end;
  }
  put_text(in.size());
  out.resize(static_cast<std::size_t>(to - out.data()));
  return {};
}

}  // namespace redoubt
