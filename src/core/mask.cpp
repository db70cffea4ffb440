// mask.cpp - parsing a mask and applying it; see mask.h.

#include "core/mask.h"

#include <algorithm>
#include <cstddef>

#include "core/email.h"
#include "core/phone.h"

namespace redoubt {

namespace {

constexpr std::size_t kRunFull = 4;   // mask characters that stand for a whole value,
constexpr std::size_t kRunPart = 3;   // for the hidden part of one,
constexpr std::size_t kRunPhone = 5;  // and for the hidden digits of a telephone number

void append_run(std::string &out, std::size_t count) {
  while (count-- > 0) out.append(kMaskCharacter);
}

// character_end is the byte after the character that starts at `at`: its marks included.
std::size_t character_end(std::string_view text, std::size_t at) noexcept {
  at += utf8_decode(text, at).size;
  while (at < text.size()) {
    const CodePoint next = utf8_decode(text, at);
    if (!is_combining_mark(next.value)) break;
    at += next.size;
  }
  return at;
}

// append_initial shows the first character of `text`, or nothing where that would be all of it.
void append_initial(std::string &out, std::string_view text) {
  const std::size_t end = character_end(text, 0);
  if (end < text.size()) out.append(text.substr(0, end));
  append_run(out, kRunPart);
}

void mask_email(std::string_view text, std::string &out) {
  EmailParts parts;
  if (!email_split(text, parts).ok()) return append_run(out, kRunFull);
  append_initial(out, parts.local);
  out.append("@").append(parts.domain);
}

void mask_phone(std::string_view text, std::string &out) {
  PhoneParts parts;
  if (!phone_split(text, parts)) return append_run(out, kRunFull);
  out.append("+").append(parts.calling_code);
  append_run(out, kRunPhone);
  out.append(parts.national.substr(parts.national.size() - 2));
}

void mask_name(std::string_view text, std::string &out) {
  std::size_t word = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const CodePoint c = at < text.size() ? utf8_decode(text, at) : CodePoint{' ', 1};
    if (is_white_space(c.value)) {
      if (at > word) {
        if (!out.empty()) out.append(" ");
        append_initial(out, text.substr(word, at - word));
      }
      word = at + c.size;
    }
    at += c.size;
  }
  if (out.empty()) append_run(out, kRunFull);
}

// mask_keep shows up to spec.keep characters of one end, and of neither characters nor code
// points more than half: a character may be many code points.
void mask_keep(const MaskSpec &spec, std::string_view text, std::string &out) {
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text.size(); ++characters) at = character_end(text, at);
  const std::size_t keep = std::min<std::size_t>(spec.keep, characters / 2);
  const std::size_t code_points = utf8_length(text);
  const bool first = spec.kind == MaskKind::keep_first;

  std::size_t cut = first ? 0 : text.size();  // the boundary that shows most of what may be shown
  std::size_t character = 0;
  std::size_t code_point = 0;
  for (std::size_t at = 0; at < text.size(); ++character) {
    if (first && (character > keep || code_point > code_points / 2)) break;
    if (first) cut = at;
    if (!first && characters - character <= keep && code_points - code_point <= code_points / 2) {
      cut = at;
      break;
    }
    const std::size_t end = character_end(text, at);
    code_point += utf8_length(text.substr(at, end - at));
    at = end;
  }
  if (first) out.append(text.substr(0, cut));
  append_run(out, kRunPart);
  if (!first) out.append(text.substr(cut));
}

// parse_keep reads "n)": one or two decimal digits, 0..kMaskKeepMax.
Result<MaskSpec> parse_keep(MaskKind kind, std::string_view rest) noexcept {
  if (rest.size() < 2 || rest.size() > 3 || !rest.ends_with(')')) return Status::invalid_argument;
  unsigned keep = 0;
  for (const char digit : rest.substr(0, rest.size() - 1)) {
    if (digit < '0' || digit > '9') return Status::invalid_argument;
    keep = keep * 10 + static_cast<unsigned>(digit - '0');
  }
  if (keep > kMaskKeepMax) return Status::invalid_argument;
  return MaskSpec{kind, static_cast<std::uint8_t>(keep)};
}

}  // namespace

Result<MaskSpec> mask_parse(std::string_view spec) noexcept {
  constexpr std::string_view kKeepFirst = "keep_first(";
  constexpr std::string_view kKeepLast = "keep_last(";
  if (spec == "full") return MaskSpec{MaskKind::full};
  if (spec == "email") return MaskSpec{MaskKind::email};
  if (spec == "phone") return MaskSpec{MaskKind::phone};
  if (spec == "name") return MaskSpec{MaskKind::name};
  if (spec.starts_with(kKeepFirst)) return parse_keep(MaskKind::keep_first, spec.substr(kKeepFirst.size()));
  if (spec.starts_with(kKeepLast)) return parse_keep(MaskKind::keep_last, spec.substr(kKeepLast.size()));
  return Status::invalid_argument;
}

void mask_apply(const MaskSpec &spec, std::string_view utf8, std::string &out) {
  out.clear();
  if (utf8_valid_prefix(utf8) != utf8.size()) return append_run(out, kRunFull);
  switch (spec.kind) {
    case MaskKind::full:
      return append_run(out, kRunFull);
    case MaskKind::email:
      return mask_email(utf8, out);
    case MaskKind::phone:
      return mask_phone(utf8, out);
    case MaskKind::name:
      return mask_name(utf8, out);
    case MaskKind::keep_first:
    case MaskKind::keep_last:
      return mask_keep(spec, utf8, out);
  }
  append_run(out, kRunFull);
}

}  // namespace redoubt
