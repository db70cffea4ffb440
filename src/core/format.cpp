// format.cpp - values to tokens and back; see format.h.
//
// A value is taken apart (scan), its tokenized characters are encrypted as numerals, and it is put
// together again around them.
#include "core/format.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/calendar.h"
#include "core/phone.h"
#include "core/unicode_text.h"

namespace redoubt {
namespace {

constexpr Refusal kNoDigit = {Status::malformed, 0, "character not allowed by the format"};
constexpr Refusal kFailed = {Status::crypto_failure, 0, "encryption failed"};
constexpr unsigned kFailingSum = 1;  // the Luhn sum of tokens that are to fail the check

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// luhn_sum is the sum of ISO/IEC 7812-1, annex B, modulo 10, over the digits of `text`; 0 passes the check.
unsigned luhn_sum(std::string_view text) noexcept {
  unsigned sum = 0;
  bool doubled = false;
  for (std::size_t i = text.size(); i-- > 0;) {
    if (!is_digit(text[i])) continue;
    const auto digit = static_cast<unsigned>(text[i] - '0');
    sum += doubled ? digit / 5 + digit * 2 % 10 : digit;
    doubled = !doubled;
  }
  return sum % 10;
}

// add_digits adds `count` digits of `text` from `at` on, of the only alphabet.
void add_digits(std::string_view text, std::size_t at, std::size_t count, FormatScan &scan) noexcept {
  for (std::size_t i = 0; i < count; ++i) scan.numeral[scan.slots + i] = static_cast<std::uint16_t>(text[at + i] - '0');
  scan.add_run(at, count, count, 0);
}

// narrow makes four words below 256 bytes.
std::uint32_t narrow(const std::uint16_t *words) noexcept {
  std::uint64_t four;
  std::memcpy(&four, words, sizeof four);
  four = (four | four >> 8) & 0x0000FFFF'0000FFFF;
  return static_cast<std::uint32_t>(four | four >> 16);
}

}  // namespace

// wanted_sum is the Luhn sum of a card number on that side, where one is asked for.
unsigned Format::wanted_sum(Side side) const noexcept {
  return side == Side::token && card_.check == Check::fail ? kFailingSum : 0;
}

// A card number is runs of digits, most often one, with a separator between each two.
Refusal Format::scan_card(std::string_view text, Side side, FormatScan &scan) const noexcept {
  scan.clear();
  const auto digits = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_digit));
  if (digits < card_.least) return {Status::out_of_range, 0, "too short"};
  if (digits > card_.most || text.size() > 2 * digits) return {Status::out_of_range, 0, "too long"};
  const std::size_t forced = card_.check == Check::ignore ? 0 : 1;
  // Digits up to the first of these are kept, then tokenized, forced and kept.
  const std::array<std::size_t, 4> ends = {card_.bin, digits - card_.last - forced, digits - card_.last, digits};
  std::size_t part = 0;
  std::size_t index = 0;
  const auto take_run = [&](std::size_t at, std::size_t end) {
    while (at < end) {
      while (index == ends[part]) ++part;
      const std::size_t count = std::min(end - at, ends[part] - index);
      if (part == 1) add_digits(text, at, count, scan);
      if (part == 0 || part == 3) scan.keep(text.substr(at, count));
      at += count;
      index += count;
    }
  };
  if (digits == text.size()) {
    take_run(0, digits);
  } else {
    for (std::size_t at = 0; at < text.size(); ++at) {
      const std::size_t begin = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      take_run(begin, at);
      if (at == text.size()) break;
      if (at == begin || (text[at] != ' ' && text[at] != '-') || at + 1 == text.size())
        return {Status::malformed, at + 1, kNoDigit.reason};  // separators stand between digits, one at a time
    }
  }
  if (forced == 0) return {};
  if (luhn_sum(text) != wanted_sum(side)) return {Status::malformed, 0, "check digit"};
  return {};
}

// settle_check_digit gives the last tokenized digit the one value that makes the sum right.  It is not one of those
// that are doubled, since an even number of digits is kept behind it.
void Format::settle_check_digit(Side side, std::span<char> text) const noexcept {
  const unsigned wanted = wanted_sum(side);
  std::size_t place = text.size();
  for (std::size_t behind = card_.last + std::size_t{1}; behind > 0;)
    if (is_digit(text[--place])) --behind;
  text[place] = '0';
  text[place] = static_cast<char>('0' + (10 + wanted - luhn_sum({text.data(), text.size()})) % 10);
}

Refusal Format::scan_phone(std::string_view text, FormatScan &scan) const noexcept {
  scan.clear();
  PhoneParts parts;
  if (!phone_split(text, parts)) return {Status::malformed, 0, "not an E.164 number"};
  if (parts.calling_code.empty()) return {Status::malformed, 0, "unknown calling code"};
  if (parts.national.size() < 6) return {Status::out_of_range, 0, "fewer than six digits after the calling code"};
  const std::size_t begin = 1 + parts.calling_code.size();
  scan.keep(parts.calling_code);
  add_digits(text, begin, parts.national.size(), scan);
  scan.keep(text.substr(begin + parts.national.size()));
  return {};
}

Refusal Format::scan_date(std::string_view text, std::uint64_t &rank) const noexcept {
  const std::optional<std::int64_t> days = days_of_date(text);
  if (!days) return {Status::malformed, 0, "not a date YYYY-MM-DD"};
  rank = static_cast<std::uint64_t>(*days) - static_cast<std::uint64_t>(first_);
  if (*days < first_ || rank >= size_) return {Status::out_of_range, 0, "not a date of the format's range"};
  return {};
}

// find_digits is scan for texts that are nothing but digits and are not refused; false for all others.
bool Format::find_digits(Ff1Direction direction, std::string_view text, Digits &found) const noexcept {
  const bool card = kind_ == Kind::card && text.size() >= card_.least && text.size() <= card_.most;
  if (!card && (kind_ != Kind::plain_template || !template_.takes_digits(text.size()))) return false;
  if (text.size() > kFormatMaxDigits || !ff1_are_digits(text)) return false;
  const std::size_t forced = card && card_.check != Check::ignore ? 1 : 0;
  if (forced > 0 && luhn_sum(text) != wanted_sum(direction == Ff1Direction::encrypt ? Side::value : Side::token))
    return false;
  const std::size_t last = card ? card_.last : 0;
  found.at = card ? card_.bin : 0;
  found.count = text.size() - found.at - last - forced;
  // As FormatScan makes it: what is kept around the number of the tokenized ones, all of alphabet 0.
  std::uint8_t *tweak = std::copy_n(text.data(), found.at, found.tweak.data());
  *tweak++ = 0;
  *tweak++ = 1;
  *tweak++ = static_cast<std::uint8_t>(found.count);
  tweak = std::copy_n(text.data() + text.size() - last, last, tweak);
  found.tweak_size = static_cast<std::size_t>(tweak - found.tweak.data());
  return true;
}

Refusal Format::crypt_digits(Ff1Direction direction, FormatCipher &cipher, std::string_view in, const Digits &digits,
                             char *out) const {
  std::memmove(out, in.data(), in.size());
  const std::span<char> text(out, in.size());
  const auto tweak = std::span(digits.tweak).first(digits.tweak_size);
  if (cipher.crypt_digits(direction, text.subspan(digits.at, digits.count), tweak) != Status::ok) {
    OPENSSL_cleanse(out, in.size());
    return kFailed;
  }
  if (kind_ == Kind::card && card_.check != Check::ignore)
    settle_check_digit(direction == Ff1Direction::encrypt ? Side::token : Side::value, text);
  return {};
}

Refusal Format::scan(std::string_view text, Side side, FormatScan &scan) const noexcept {
  switch (kind_) {
    case Kind::card:
      return scan_card(text, side, scan);
    case Kind::phone:
      return scan_phone(text, scan);
    case Kind::plain_template:
      return template_.scan(text, scan);
    default:
      return {Status::invalid_argument, 0, "not a text format"};
  }
}

Refusal Format::accepts(std::string_view token) const {
  if (kind_ == Kind::email) return email_.accepts(token);
  if (kind_ == Kind::name) return name_.accepts(token);
  if (kind_ == Kind::date) {
    std::uint64_t rank = 0;
    return scan_date(token, rank);
  }
  FormatScanBuffer taken;
  return scan(token, Side::token, taken);
}

Refusal Format::accepts(std::int64_t token) const noexcept {
  if (kind_ != Kind::integer) return {Status::invalid_argument, 0, "not an integer format"};
  const std::uint64_t rank = static_cast<std::uint64_t>(token) - static_cast<std::uint64_t>(first_);
  if (token < first_ || rank >= size_) return {Status::out_of_range, 0, "outside the format's range"};
  return {};
}

// One number in mixed radix, the first character most significant.
Status Format::crypt_ranked(Ff1Direction direction, FormatCipher &cipher, FormatScan &scan) const {
  std::uint64_t size = 1;
  std::uint64_t rank = 0;
  std::size_t slot = 0;
  for (const FormatScan::Run run : scan.all_runs()) {
    const std::uint64_t radix = alphabets_[run.alphabet].radix();
    for (unsigned i = 0; i < run.count; ++i) {
      size *= radix;  // at most 2^62: check_template_domain
      rank = rank * radix + scan.numeral[slot++];
    }
  }
  const Status status = cipher.crypt_rank(direction, size, rank, scan.tweak_bytes());
  for (std::size_t r = scan.runs; r-- > 0;) {
    const std::uint64_t radix = alphabets_[scan.run[r].alphabet].radix();
    for (unsigned i = 0; i < scan.run[r].count; ++i) {
      scan.numeral[--slot] = static_cast<std::uint16_t>(rank % radix);
      rank /= radix;
    }
  }
  return status;
}

// Each alphabet's characters are one FF1 value, and all the other characters are part of its tweak, so that two
// values with one part in common do not show it; decrypting takes the alphabets in the opposite order.
Status Format::crypt_layers(Ff1Direction direction, FormatCipher &cipher, FormatScan &scan) const {
  std::array<std::uint16_t, kFormatMaxCharacters> numerals;
  std::array<std::uint8_t, kFormatMaxTweak + 2 * kFormatMaxCharacters + 1> tweak;
  std::copy_n(scan.tweak, scan.tweak_size, tweak.begin());
  Status status = Status::ok;
  for (std::size_t turn = 0; turn < alphabets_.size() && status == Status::ok; ++turn) {
    const std::size_t alphabet = direction == Ff1Direction::encrypt ? turn : alphabets_.size() - 1 - turn;
    std::size_t tweak_size = scan.tweak_size;
    tweak[tweak_size++] = static_cast<std::uint8_t>(alphabet);
    std::uint16_t *end = numerals.data();
    const std::uint16_t *from = scan.numeral;
    for (const FormatScan::Run run : scan.all_runs()) {
      if (run.alphabet == alphabet) {
        end = std::copy_n(from, run.count, end);
      } else {
        for (const std::uint16_t numeral : std::span(from, run.count)) {
          tweak[tweak_size++] = static_cast<std::uint8_t>(numeral >> 8);
          tweak[tweak_size++] = static_cast<std::uint8_t>(numeral & 0xFF);
        }
      }
      from += run.count;
    }
    status = cipher.crypt(direction, alphabets_[alphabet].radix(), {numerals.data(), end}, {tweak.data(), tweak_size});
    const std::uint16_t *done = numerals.data();
    std::uint16_t *to = scan.numeral;
    for (const FormatScan::Run run : scan.all_runs()) {
      if (run.alphabet == alphabet) {
        std::copy_n(done, run.count, to);
        done += run.count;
      }
      to += run.count;
    }
  }
  return status;
}

Status Format::crypt_slots(Ff1Direction direction, FormatCipher &cipher, FormatScan &scan) const {
  if (has_one_alphabet()) return cipher.crypt(direction, alphabets_[0].radix(), scan.numerals(), scan.tweak_bytes());
  return ranked_ ? crypt_ranked(direction, cipher, scan) : crypt_layers(direction, cipher, scan);
}

// fill is put_together where the size stays: `out` has room for in.size() bytes.
void Format::fill(Side side, std::string_view in, const FormatScan &scan, char *out) const noexcept {
  if (scan.slots < in.size()) std::memcpy(out, in.data(), in.size());
  const std::uint16_t *numeral = scan.numeral;
  for (const FormatScan::Run run : scan.all_runs()) {
    const FormatAlphabet &alphabet = alphabets_[run.alphabet];
    char *const to = out + run.offset;
    if (alphabet.single_run()) {
      const auto first = static_cast<unsigned>(alphabet.first());
      std::size_t i = 0;
      for (; i + 4 <= run.count; i += 4) {
        const std::uint32_t four = narrow(numeral + i) + first * 0x01010101U;
        std::memcpy(to + i, &four, sizeof four);
      }
      for (; i < run.count; ++i) to[i] = static_cast<char>(first + numeral[i]);
    } else {
      std::array<char32_t, kFormatMaxCharacters> characters;
      alphabet.characters({numeral, run.count}, characters.data());
      std::transform(characters.begin(), characters.begin() + run.count, to,
                     [](char32_t c) { return static_cast<char>(c); });
    }
    numeral += run.count;
  }
  if (kind_ == Kind::card && card_.check != Check::ignore) settle_check_digit(side, {out, in.size()});
}

// put_together appends to `out` the text `in` with its tokenized characters replaced by those of the scan; `side` is
// what comes out.
void Format::put_together(Side side, std::string_view in, const FormatScan &scan, std::string &out) const {
  if (keeps_size()) {
    const std::size_t begin = out.size();
    out.resize(begin + in.size());
    fill(side, in, scan, &out[begin]);
    return;
  }
  std::size_t from = 0;
  const std::uint16_t *numeral = scan.numeral;
  for (const FormatScan::Run run : scan.all_runs()) {
    out.append(in.substr(from, run.offset - from));
    std::array<char32_t, kFormatMaxCharacters> characters;
    alphabets_[run.alphabet].characters({numeral, run.count}, characters.data());
    for (const char32_t c : std::span(characters).first(run.count)) utf8_append(out, c);
    numeral += run.count;
    from = run.end();
  }
  out.append(in.substr(from));
}

Refusal Format::crypt(Ff1Direction direction, FormatCipher &cipher, std::string_view in, std::string &out) const {
  const bool encrypts = direction == Ff1Direction::encrypt;
  out.clear();
  if (kind_ == Kind::email) return email_.crypt(direction, cipher, in, out);
  if (kind_ == Kind::name) return name_.crypt(direction, cipher, in, out);
  if (kind_ == Kind::date) {
    std::uint64_t rank = 0;
    const Refusal refusal = scan_date(in, rank);
    if (!refusal.ok()) return refusal;
    if (cipher.crypt_rank(direction, size_, rank, {}) != Status::ok) return kFailed;
    const auto date = date_of_days(first_ + static_cast<std::int64_t>(rank));
    out.assign(date.data(), date.size());
    return {};
  }
  const Side from = encrypts ? Side::value : Side::token;
  const Side to = encrypts ? Side::token : Side::value;
  if (Digits digits; find_digits(direction, in, digits)) {
    out.resize(in.size());
    const Refusal refusal = crypt_digits(direction, cipher, in, digits, out.data());
    if (!refusal.ok()) out.clear();
    return refusal;
  }
  FormatScanBuffer taken;
  const Refusal refusal = scan(in, from, taken);
  if (!refusal.ok()) return refusal;
  if (crypt_slots(direction, cipher, taken) != Status::ok) return kFailed;
  put_together(to, in, taken, out);
  return {};
}

Refusal Format::crypt(Ff1Direction direction, FormatCipher &cipher, std::int64_t in, std::int64_t &out) const {
  const Refusal refusal = accepts(in);
  if (!refusal.ok()) return refusal;
  std::uint64_t rank = static_cast<std::uint64_t>(in) - static_cast<std::uint64_t>(first_);
  if (cipher.crypt_rank(direction, size_, rank, {}) != Status::ok) return kFailed;
  out = static_cast<std::int64_t>(static_cast<std::uint64_t>(first_) + rank);
  return {};
}

}  // namespace redoubt
