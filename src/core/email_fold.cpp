// email_fold.cpp - see email_fold.h.

#include "core/email_fold.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include <openssl/crypto.h>

#include "core/case_folding_table.h"
#include "core/unicode_text.h"

namespace redoubt {

namespace {

constexpr char32_t kOtherDots[] = {0x3002, 0xFF0E, 0xFF61};
constexpr std::string_view kAsciiForm = "xn--";

void append_folded(std::string &out, char32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c));
    return;
  }
  const auto *several = std::lower_bound(std::begin(kFoldSeveral), std::end(kFoldSeveral), c,
                                         [](const FoldSeveral &row, char32_t wanted) { return row.from < wanted; });
  if (several != std::end(kFoldSeveral) && several->from == c) {
    for (const std::uint32_t to : several->to)
      if (to != 0) utf8_append(out, to);
    return;
  }
  const auto *run = std::lower_bound(std::begin(kFoldRuns), std::end(kFoldRuns), c,
                                     [](const FoldRun &row, char32_t wanted) { return row.last < wanted; });
  const bool folds = run != std::end(kFoldRuns) && run->first <= c && (c - run->first) % run->step == 0;
  utf8_append(out, folds ? static_cast<char32_t>(static_cast<std::int64_t>(c) + run->distance) : c);
}

bool is_ascii_form(std::string_view label) noexcept {
  return label.size() > kAsciiForm.size() &&
         std::equal(kAsciiForm.begin(), kAsciiForm.end(), label.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + ('a' - 'A') : b); });
}

void append_label(std::string &out, std::string_view label) {
  std::string decoded;
  if (is_ascii_form(label) && punycode_decode(decoded, label.substr(kAsciiForm.size())))
    fold_case(out, decoded);
  else
    fold_case(out, label);
  OPENSSL_cleanse(decoded.data(), decoded.size());
}

// Where a domain's next dot is, and how long it is; the end and 0 where there is none.
std::pair<std::size_t, std::size_t> next_dot(std::string_view domain, std::size_t from) noexcept {
  for (std::size_t at = from; at < domain.size();) {
    const CodePoint c = utf8_decode(domain, at);
    if (c.value == '.' || std::find(std::begin(kOtherDots), std::end(kOtherDots), c.value) != std::end(kOtherDots))
      return {at, c.size};
    at += std::max<std::size_t>(c.size, 1);
  }
  return {domain.size(), 0};
}

// RFC 3492 section 6.1.
std::uint32_t adapt(std::uint32_t delta, std::uint32_t points, bool first) noexcept {
  delta = first ? delta / 700 : delta / 2;
  delta += delta / points;
  std::uint32_t k = 0;
  for (; delta > (36 - 1) * 26 / 2; k += 36) delta /= 36 - 1;
  return k + 36 * delta / (delta + 38);
}

std::uint32_t digit_of(char c) noexcept {
  if (c >= 'a' && c <= 'z') return static_cast<std::uint32_t>(c - 'a');
  if (c >= 'A' && c <= 'Z') return static_cast<std::uint32_t>(c - 'A');
  if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0') + 26;
  return 36;
}

// RFC 3492 section 6.2; false where the text is none.
bool decode(std::u32string &points, std::string_view text) {
  constexpr std::uint32_t kMost = std::numeric_limits<std::uint32_t>::max();
  const std::size_t delimiter = text.rfind('-');
  if (delimiter != std::string_view::npos)
    for (const char c : text.substr(0, delimiter)) points.push_back(static_cast<unsigned char>(c));
  std::size_t at = delimiter == std::string_view::npos ? 0 : delimiter + 1;
  std::uint32_t n = 128;
  std::uint32_t i = 0;
  std::uint32_t bias = 72;
  while (at < text.size()) {
    const std::uint32_t before = i;
    std::uint32_t weight = 1;
    for (std::uint32_t k = 36;; k += 36) {
      if (at == text.size()) return false;
      const std::uint32_t digit = digit_of(text[at++]);
      if (digit >= 36 || digit > (kMost - i) / weight) return false;
      i += digit * weight;
      const std::uint32_t least = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
      if (digit < least) break;
      if (weight > kMost / (36 - least)) return false;
      weight *= 36 - least;
    }
    const auto size = static_cast<std::uint32_t>(points.size()) + 1;
    bias = adapt(i - before, size, before == 0);
    if (i / size > kMost - n) return false;
    n += i / size;
    i %= size;
    if (n > 0x10FFFF || (n >= 0xD800 && n < 0xE000)) return false;
    points.insert(points.begin() + i, static_cast<char32_t>(n));
    ++i;
  }
  return true;
}

}  // namespace

void fold_case(std::string &out, std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    if (c.size == 0) break;  // not well-formed, which callers have ruled out
    append_folded(out, c.value);
    at += c.size;
  }
}

bool punycode_decode(std::string &out, std::string_view label) {
  std::u32string points;
  points.reserve(label.size());
  const bool decoded = is_ascii(label) && decode(points, label) &&
                       std::any_of(points.begin(), points.end(), [](char32_t c) { return c >= 0x80; });
  if (decoded)
    for (const char32_t c : points) utf8_append(out, c);
  OPENSSL_cleanse(points.data(), points.size() * sizeof(char32_t));
  return decoded;
}

void email_fold(std::string &address) {
  const std::size_t sign = address.rfind('@');
  if (sign == std::string::npos) return;
  std::string folded;
  folded.reserve(3 * address.size());
  const std::string_view whole = address;
  fold_case(folded, whole.substr(0, sign + 1));
  const std::string_view domain = whole.substr(sign + 1);
  for (std::size_t at = 0; at <= domain.size();) {
    const auto [end, size] = next_dot(domain, at);
    append_label(folded, domain.substr(at, end - at));
    if (size == 0) break;
    folded.push_back('.');
    at = end + size;
  }
  address.assign(folded);
  OPENSSL_cleanse(folded.data(), folded.size());
}

}  // namespace redoubt
