// normalize.cpp - parsing a normaliser and running it; see normalize.h.

#include "core/normalize.h"

#include "core/email.h"
#include "core/email_fold.h"
#include "core/phone.h"
#include "core/phone_countries.h"
#include "core/unicode_text.h"

namespace redoubt {

namespace {

constexpr std::string_view kPhone = "phone(";
constexpr std::size_t kPhoneCountryEnd = kPhone.size() + 2;
constexpr std::string_view kPhoneTable = ",table=1)";  // the only one, and what a type without a table has

// check_text refuses what no spec lets through: ill-formed UTF-8 and the mask character.
Refusal check_text(std::string_view text) noexcept {
  std::size_t position = 1;
  for (std::size_t at = 0; at < text.size(); ++position) {
    const CodePoint c = utf8_decode(text, at);
    if (c.size == 0) return {Status::malformed, position, "invalid UTF-8", true};
    if (c.value == kMaskCodePoint) return {Status::refused, position, "mask character", true};
    at += c.size;
  }
  return {};
}

void trim_in_place(std::string &text) {
  const std::string_view trimmed = trim_white_space(text);
  const auto skipped = static_cast<std::size_t>(trimmed.data() - text.data());
  text.resize(skipped + trimmed.size());
  text.erase(0, skipped);
}

// change_case moves the ASCII letters from `first`..`first`+25 by `distance`; whether any was there.
bool change_case(std::string &text, char first, int distance) noexcept {
  bool changed = false;
  for (char &c : text) {
    if (c < first || c >= first + 26) continue;
    c = static_cast<char>(c + distance);
    changed = true;
  }
  return changed;
}

// compose_again is for after a change of case: H + U+0331 has no composed form, h + U+0331 is U+1E96.
Refusal compose_again(std::string &text, NfcFunction nfc) {
  if (is_below_combining(text)) return {};
  std::string composed;
  if (!nfc(text, composed) || !check_text(composed).ok())
    return {Status::unsupported, 0, "normalization form C not available", true};
  text.swap(composed);
  return {};
}

Refusal case_normalize(std::string &text, char first, int distance, NfcFunction nfc) {
  trim_in_place(text);
  return change_case(text, first, distance) ? compose_again(text, nfc) : Refusal{};
}

Refusal fold_and_compose(std::string &address, NfcFunction nfc) {
  email_fold(address);
  return compose_again(address, nfc);
}

// email_normalize_folded: a label that was decoded must neither bring in what is refused elsewhere, nor become one that
// is decoded again.
Refusal email_normalize_folded(std::string &text, NfcFunction nfc) {
  Refusal refusal = email_normalize(text);
  const bool plain = is_ascii(text);
  if (refusal.ok()) refusal = fold_and_compose(text, nfc);
  if (!refusal.ok()) return refusal;
  if (plain && is_ascii(text)) return {};
  std::string again = text;
  refusal = fold_and_compose(again, nfc);
  if (refusal.ok() && again != text) refusal = {Status::refused, 0, "domain with more than one reading"};
  EmailParts parts;
  if (refusal.ok()) refusal = email_split(text, parts);
  refusal.position = 0;  // of what was typed
  return refusal;
}

// name_normalize folds in place: the folded text is never the longer one.
Refusal name_normalize(std::string &text) noexcept {
  std::size_t end = 0;
  bool space = false;
  std::size_t position = 1;
  for (std::size_t at = 0; at < text.size(); ++position) {
    if (text[at] > ' ' && text[at] < 0x7F) {  // as most characters are
      if (space) text[end++] = ' ';
      space = false;
      text[end++] = text[at++];
      continue;
    }
    const CodePoint c = utf8_decode(text, at);
    if (is_white_space(c.value)) {
      space = end > 0;
    } else if (is_control(c.value)) {
      return {Status::refused, position, "control character"};
    } else {
      if (space) text[end++] = ' ';
      space = false;
      for (std::size_t i = 0; i < c.size; ++i) text[end++] = text[at + i];
    }
    at += c.size;
  }
  text.resize(end);
  if (end == 0) return {Status::refused, 0, "empty value"};
  return {};
}

Refusal run(const NormalizeSpec &spec, NfcFunction nfc, std::string &text) {
  switch (spec.kind) {
    case NormalizeKind::none:
      return {};
    case NormalizeKind::trim:
      trim_in_place(text);
      return {};
    case NormalizeKind::upper:
      return case_normalize(text, 'a', 'A' - 'a', nfc);
    case NormalizeKind::lower:
      return case_normalize(text, 'A', 'a' - 'A', nfc);
    case NormalizeKind::email:
      return email_normalize(text);
    case NormalizeKind::email_folded:
      return email_normalize_folded(text, nfc);
    case NormalizeKind::phone:
      return phone_normalize(spec.phone_country, text);
    case NormalizeKind::name:
      return name_normalize(text);
  }
  return {Status::invalid_argument, 0, "unknown normaliser"};
}

}  // namespace

Result<NormalizeSpec> normalize_parse(std::string_view spec) noexcept {
  if (spec == "none") return NormalizeSpec{NormalizeKind::none};
  if (spec == "trim") return NormalizeSpec{NormalizeKind::trim};
  if (spec == "upper") return NormalizeSpec{NormalizeKind::upper};
  if (spec == "lower") return NormalizeSpec{NormalizeKind::lower};
  if (spec == "email") return NormalizeSpec{NormalizeKind::email};
  if (spec == "email(case=folded)") return NormalizeSpec{NormalizeKind::email_folded};
  if (spec == "name") return NormalizeSpec{NormalizeKind::name};
  if (spec.size() <= kPhoneCountryEnd || !spec.starts_with(kPhone)) return Status::invalid_argument;
  if (const std::string_view end = spec.substr(kPhoneCountryEnd); end == ")" || end == kPhoneTable) {
    const Result<std::uint8_t> country = phone_country_find(spec.substr(kPhone.size(), 2));
    if (!country.ok()) return country.status();
    return NormalizeSpec{NormalizeKind::phone, *country};
  }
  return Status::invalid_argument;
}

std::string_view normalize_newest_table(std::string_view spec) noexcept {
  const bool without = spec.starts_with(kPhone) && spec.substr(kPhone.size()).find(',') == std::string_view::npos;
  return without ? kPhoneTable.substr(0, kPhoneTable.size() - 1) : std::string_view();
}

Refusal normalize(const NormalizeSpec &spec, std::string_view utf8, NfcFunction nfc, std::string &out) {
  if (spec.kind == NormalizeKind::email && email_is_normal(utf8)) {
    out.assign(utf8);
    return {};
  }
  out.clear();
  Refusal refusal;
  if (is_ascii(utf8)) {
    out.assign(utf8);
  } else {
    refusal = check_text(utf8);
    if (!refusal.ok()) return refusal;
    if (spec.kind == NormalizeKind::none || is_below_combining(utf8)) {
      out.assign(utf8);
    } else if (!nfc(utf8, out) || !check_text(out).ok()) {  // the invariants hold whatever nfc does
      refusal = {Status::unsupported, 0, "normalization form C not available", true};
    }
  }
  if (refusal.ok()) refusal = run(spec, nfc, out);
  if (!refusal.ok()) out.clear();
  return refusal;
}

// No branch per character: every octet is judged with the one before.  0xC2..0xCB begin the characters below U+0300;
// those of 0xC2 up to U+00A0 are control characters and a space.
bool name_is_normal(std::string_view utf8) noexcept {
  constexpr unsigned kFirstLead = 0xC2;
  constexpr unsigned kLastLead = 0xCB;
  constexpr unsigned kLastSpace = 0xA0;
  unsigned before = ' ';
  unsigned bad = 0;
  for (const char c : utf8) {
    const unsigned octet = static_cast<unsigned char>(c);
    const unsigned tail = (octet & 0xC0) == 0x80;
    const unsigned lead_before = before >= kFirstLead;
    bad |= tail ^ lead_before;
    bad |= static_cast<unsigned>(octet < ' ') | static_cast<unsigned>(octet == 0x7F);
    bad |= static_cast<unsigned>(octet > kLastLead) | static_cast<unsigned>((octet & 0xFE) == 0xC0);
    bad |= static_cast<unsigned>(before == kFirstLead) & static_cast<unsigned>(octet <= kLastSpace);
    bad |= static_cast<unsigned>(before == ' ') & static_cast<unsigned>(octet == ' ');
    before = octet;
  }
  return bad == 0 && before != ' ' && before < kFirstLead;
}

}  // namespace redoubt
