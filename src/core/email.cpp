// email.cpp - checking and normalising e-mail addresses; see email.h.

#include "core/email.h"

#include <array>

#include "core/unicode_text.h"

namespace redoubt {

namespace {

constexpr std::size_t kLocalMax = 64;
constexpr std::size_t kDomainMax = 253;
constexpr std::size_t kLabelMax = 63;

Refusal refuse_at(Status status, std::string_view text, std::size_t byte, const char *reason) noexcept {
  return {status, utf8_length(text.substr(0, byte)) + 1, reason};
}

constexpr bool is_graphic_ascii(char c) noexcept { return c > 0x20 && c < 0x7F; }

// check_visible refuses white space and control characters.
Refusal check_visible(std::string_view address) noexcept {
  for (std::size_t at = 0; at < address.size();) {
    if (is_graphic_ascii(address[at])) {
      ++at;
      continue;
    }
    const CodePoint c = utf8_decode(address, at);
    if (c.size == 0) return refuse_at(Status::malformed, address, at, "invalid UTF-8");
    if (is_white_space(c.value)) return refuse_at(Status::refused, address, at, "white space");
    if (is_control(c.value)) return refuse_at(Status::refused, address, at, "control character");
    at += c.size;
  }
  return {};
}

// kSpecial marks the characters that a local part holds between quotation marks only.
constexpr std::array<bool, 256> kSpecial = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("()<>[]:;,\\\"@")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

// check_local checks address[0, end): RFC 5321 4.1.2, Quoted-string or a lenient Dot-string.
Refusal check_local(std::string_view address, std::size_t end) noexcept {
  if (end == 0) return refuse_at(Status::malformed, address, 0, "empty local part");
  if (end > kLocalMax) return {Status::out_of_range, 0, "local part longer than 64 octets"};
  if (address[0] != '"') {
    for (std::size_t at = 0; at < end; ++at) {
      if (!kSpecial[static_cast<unsigned char>(address[at])]) continue;
      return refuse_at(Status::malformed, address, at,
                       address[at] == '@' ? "more than one @ sign" : "character not allowed in a local part");
    }
    return {};
  }
  for (std::size_t at = 1; at < end; ++at) {
    if (address[at] == '\\') {
      ++at;  // quoted-pair: whatever follows is taken as it is
    } else if (address[at] == '"') {
      if (at + 1 == end) return {};
      return refuse_at(Status::malformed, address, at + 1, "character not allowed in a local part");
    }
  }
  return refuse_at(Status::malformed, address, 0, "unfinished quotation");
}

constexpr bool is_domain_ascii(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// check_domain checks address[begin, end of text).
Refusal check_domain(std::string_view address, std::size_t begin) noexcept {
  if (begin == address.size()) return refuse_at(Status::malformed, address, begin, "empty domain");
  if (address[begin] == '[') return refuse_at(Status::malformed, address, begin, "address literal");
  if (address.size() - begin > kDomainMax) return {Status::out_of_range, 0, "domain longer than 253 octets"};
  std::size_t label = begin;
  for (std::size_t at = begin; at <= address.size(); ++at) {
    if (at == address.size() || address[at] == '.') {
      if (at == label) return refuse_at(Status::malformed, address, at, "empty label");
      if (at - label > kLabelMax && utf8_length(address.substr(label, at - label)) > kLabelMax)
        return refuse_at(Status::out_of_range, address, label, "label longer than 63 characters");
      label = at + 1;
    } else if (static_cast<unsigned char>(address[at]) < 0x80 && !is_domain_ascii(address[at])) {
      return refuse_at(Status::malformed, address, at, "character not allowed in a domain");
    }
  }
  return {};
}

// kPlain marks what needs no look at its neighbours: 1 in a local part, 2 in a domain, dots included, 4 in one without
// capitals.
constexpr unsigned kInDomain = 2;
constexpr unsigned kInLowerDomain = 4;
constexpr std::array<std::uint8_t, 256> kPlain = [] {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = 0x21; c < 0x7F; ++c) {
    const bool in_domain = is_domain_ascii(static_cast<char>(c)) || c == '.';
    const bool lower = in_domain && !(c >= 'A' && c <= 'Z');
    table[c] =
        static_cast<std::uint8_t>((kSpecial[c] ? 0 : 1) | (in_domain ? kInDomain : 0) | (lower ? kInLowerDomain : 0));
  }
  return table;
}();

// is_plain_address accepts, without a branch per character, the addresses that nearly all are: ASCII, unquoted, in
// bounds, with a domain of the class given.  What it does not accept may still be an address; what it accepts, the
// checks above accept.
bool is_plain_address(std::string_view address, std::size_t sign, unsigned domain_class) noexcept {
  const std::size_t domain_size = address.size() - sign - 1;
  if (sign == 0 || sign > kLocalMax || domain_size == 0 || domain_size > kLabelMax) return false;
  unsigned local = 1;
  for (const char c : address.substr(0, sign)) local &= kPlain[static_cast<unsigned char>(c)];
  unsigned domain = domain_class;
  unsigned empty_label = 0;
  char before = '.';  // an empty label is a dot, or the end, behind a dot
  for (const char c : address.substr(sign + 1)) {
    domain &= kPlain[static_cast<unsigned char>(c)];
    empty_label |= static_cast<unsigned>(c == '.') & static_cast<unsigned>(before == '.');
    before = c;
  }
  return local != 0 && domain != 0 && empty_label == 0 && before != '.';
}

}  // namespace

Refusal email_split(std::string_view address, EmailParts &parts) noexcept {
  const std::size_t sign = address.rfind('@');
  if (sign == std::string_view::npos) return {Status::malformed, 0, "no @ sign"};
  if (is_plain_address(address, sign, kInDomain)) {
    parts = {address.substr(0, sign), address.substr(sign + 1)};
    return {};
  }
  Refusal refusal = check_visible(address);
  if (refusal.ok()) refusal = check_local(address, sign);
  if (refusal.ok()) refusal = check_domain(address, sign + 1);
  if (refusal.ok()) parts = {address.substr(0, sign), address.substr(sign + 1)};
  return refusal;
}

bool email_is_normal(std::string_view text) noexcept {
  const std::size_t sign = text.find('@');  // of a plain address the only one
  return sign != std::string_view::npos && is_plain_address(text, sign, kInLowerDomain);
}

Refusal email_normalize(std::string &text) {
  const std::string_view trimmed = trim_white_space(text);
  if (trimmed.empty()) return {Status::refused, 0, "empty value"};
  const auto skipped = static_cast<std::size_t>(trimmed.data() - text.data());
  EmailParts parts;
  Refusal refusal = email_split(trimmed, parts);
  if (!refusal.ok()) {
    if (refusal.position > 0) refusal.position += utf8_length(std::string_view(text).substr(0, skipped));
    return refusal;
  }
  const std::size_t size = trimmed.size();
  const std::size_t domain_size = parts.domain.size();
  const bool lower = is_ascii(parts.domain);
  text.resize(skipped + size);
  text.erase(0, skipped);
  if (lower) {
    for (std::size_t at = size - domain_size; at < size; ++at)
      if (text[at] >= 'A' && text[at] <= 'Z') text[at] = static_cast<char>(text[at] + ('a' - 'A'));
  }
  return {};
}

}  // namespace redoubt
