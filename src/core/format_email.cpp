// format_email.cpp - see format_email.h.
//
// A symbol is a character of a token, a-z then 0-9, and its numeral.  The code of a text: a to z are the
// symbols 0 to 25, '.' is 26, '@' is 27; every other octet from 0x20 on is two symbols, 29 + (octet - 0x20) / 36
// and (octet - 0x20) % 36; 28 ends the text and fills the rest.
#include "core/format_email.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "core/email.h"

namespace redoubt {
namespace {

constexpr std::uint32_t kRadix = 36;
constexpr std::uint16_t kDot = 26;
constexpr std::uint16_t kSign = 27;
constexpr std::uint16_t kEnd = 28;
constexpr std::uint16_t kPairs = 29;
constexpr unsigned char kFirstOctet = 0x20;
static_assert(kPairs + (0xFF - kFirstOctet) / kRadix < kRadix);

constexpr std::size_t kStep = 8;  // symbols come in multiples of it: 36^8 > kFf1MinDomain
constexpr std::size_t kLeastHidden = 16;
constexpr std::size_t kLabel = 63;          // RFC 1035 2.3.4
constexpr std::size_t kDomainOctets = 253;  // as email.h
constexpr std::string_view kReserved = ".invalid";
constexpr std::string_view kHiddenDomain = "token.invalid";
// 64 of the local part and three labels fit into 254 octets beside '@', dots and kHiddenDomain.
constexpr std::size_t kMostHidden = (kFormatEmailMax - kHiddenDomain.size() - 1 - 3) / kStep * kStep;
static_assert(kMostHidden <= kFormatEmailMaxLocal + 3 * kLabel);

constexpr Refusal kNoLocal = {Status::malformed, 0, "not a token's local part"};
constexpr Refusal kNoDomain = {Status::malformed, 0, "not a token's domain"};
constexpr Refusal kNoAddress = {Status::malformed, 0, "not a token's address"};
constexpr Refusal kFailed = {Status::crypto_failure, 0, "encryption failed"};

struct Symbols {
  std::size_t count = 0;
  std::array<std::uint16_t, kMostHidden> numeral;

  std::span<std::uint16_t> all() noexcept { return {numeral.data(), count}; }
};

constexpr char character_of(std::uint16_t symbol) noexcept {
  return static_cast<char>(symbol < 26 ? 'a' + symbol : '0' + (symbol - 26));
}

// kSymbolOf is the inverse, by octet; kRadix for any other character.  A table will do, as tokens are no secret.
constexpr std::array<std::uint8_t, 256> kSymbolOf = [] {
  std::array<std::uint8_t, 256> symbols;
  symbols.fill(kRadix);
  for (std::uint16_t symbol = 0; symbol < kRadix; ++symbol)
    symbols[static_cast<unsigned char>(character_of(symbol))] = static_cast<std::uint8_t>(symbol);
  return symbols;
}();

// append_symbols appends those of a text.  False: another character, or too many.
bool append_symbols(std::string_view text, Symbols &symbols) noexcept {
  if (text.size() > symbols.numeral.size() - symbols.count) return false;
  std::uint16_t *const to = symbols.numeral.data() + symbols.count;
  std::uint8_t bad = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint8_t symbol = kSymbolOf[static_cast<unsigned char>(text[i])];
    bad |= static_cast<std::uint8_t>(symbol == kRadix);
    to[i] = symbol;
  }
  symbols.count += text.size();
  return bad == 0;
}

// write_symbols appends the characters of symbols to a text.
void write_symbols(std::span<const std::uint16_t> symbols, std::string &out) {
  const std::size_t begin = out.size();
  out.resize(begin + symbols.size());
  std::transform(symbols.begin(), symbols.end(), out.begin() + static_cast<std::ptrdiff_t>(begin), character_of);
}

// single_of is the symbol of an octet that has one of its own; kRadix for one that takes two.
constexpr std::uint16_t single_of(unsigned char octet) noexcept {
  if (octet >= 'a' && octet <= 'z') return static_cast<std::uint16_t>(octet - 'a');
  if (octet == '.') return kDot;
  return octet == '@' ? kSign : static_cast<std::uint16_t>(kRadix);
}

// encode sets `symbols` to the code of `text`, padded.  False: more than `most` symbols, or a control character.
bool encode(std::string_view text, std::size_t least, std::size_t most, Symbols &symbols) noexcept {
  if (text.size() > most) return false;
  std::array<std::uint16_t, 2 * kMostHidden> code;
  std::size_t count = 0;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const std::uint16_t single = single_of(octet);
    if (single < kRadix) {
      code[count++] = single;
      continue;
    }
    if (octet < kFirstOctet) return false;
    const unsigned place = octet - unsigned{kFirstOctet};
    code[count++] = static_cast<std::uint16_t>(kPairs + place / kRadix);
    code[count++] = static_cast<std::uint16_t>(place % kRadix);
  }
  const std::size_t padded = std::max(least, (count + kStep - 1) / kStep * kStep);
  if (padded > most) return false;
  std::copy_n(code.begin(), count, symbols.numeral.begin());
  std::fill(symbols.numeral.begin() + count, symbols.numeral.begin() + padded, kEnd);
  symbols.count = padded;
  return true;
}

// decode is the inverse; the code of a text has as many symbols as the text has octets, or more.  False: not the code
// of a text, or not with the least padding.
bool decode(std::span<const std::uint16_t> symbols, std::size_t least, std::string &text) {
  text.resize(symbols.size());
  char *to = text.data();
  std::size_t at = 0;
  for (; at < symbols.size() && symbols[at] != kEnd; ++at) {
    const std::uint16_t symbol = symbols[at];
    if (symbol < kEnd) {
      *to++ = symbol == kDot ? '.' : symbol == kSign ? '@' : character_of(symbol);
      continue;
    }
    if (++at == symbols.size()) return false;
    const unsigned octet = kFirstOctet + (symbol - unsigned{kPairs}) * kRadix + symbols[at];
    if (octet > 0xFF || single_of(static_cast<unsigned char>(octet)) < kRadix) return false;
    *to++ = static_cast<char>(octet);
  }
  text.resize(static_cast<std::size_t>(to - text.data()));
  const std::size_t padding = symbols.size() - at;
  if (padding >= kStep && symbols.size() > least) return false;
  return std::all_of(symbols.begin() + static_cast<std::ptrdiff_t>(at), symbols.end(),
                     [](std::uint16_t symbol) { return symbol == kEnd; });
}

// is_reserved: is the domain, in whatever case, `invalid` or below it?
bool is_reserved(std::string_view domain) noexcept {
  std::string_view name = kReserved.substr(1);
  if (domain.size() > name.size()) name = kReserved;
  if (domain.size() < name.size()) return false;
  domain.remove_prefix(domain.size() - name.size());
  return std::equal(domain.begin(), domain.end(), name.begin(),
                    [](char c, char lower) { return (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) == lower; });
}

// write_hidden writes the token of domain=hidden.
void write_hidden(std::span<const std::uint16_t> symbols, std::string &out) {
  const auto write = [&](std::size_t most) {
    most = std::min(most, symbols.size());
    write_symbols(symbols.first(most), out);
    symbols = symbols.subspan(most);
  };
  write(kFormatEmailMaxLocal);
  out.push_back('@');
  while (!symbols.empty()) {
    write(kLabel);
    out.push_back('.');
  }
  out.append(kHiddenDomain);
}

Refusal read_hidden(std::string_view token, Symbols &symbols) {
  const Refusal refusal = kNoDomain;
  const std::size_t sign = token.find('@');
  if (token.size() > kFormatEmailMax || !token.ends_with(kHiddenDomain) || sign >= token.size() - kHiddenDomain.size())
    return refusal;
  if (!append_symbols(token.substr(0, sign), symbols)) return kNoLocal;
  for (std::string_view rest = token.substr(sign + 1, token.size() - kHiddenDomain.size() - sign - 1); !rest.empty();) {
    const std::size_t part = std::min(rest.find('.'), rest.size());
    if (!append_symbols(rest.substr(0, part), symbols)) return kNoLocal;
    rest.remove_prefix(std::min(part + 1, rest.size()));
  }
  if (symbols.count < kLeastHidden || symbols.count % kStep != 0) return kNoLocal;
  // There is one way to write so many symbols.
  if (symbols.count <= kFormatEmailMaxLocal)
    return sign == symbols.count && token.size() == sign + 1 + kHiddenDomain.size() ? Refusal{} : refusal;
  std::string written;
  write_hidden(symbols.all(), written);
  return written == token ? Refusal{} : refusal;
}

// read_kept points `domain` into the token.
Refusal read_kept(std::string_view token, Symbols &symbols, std::string_view &domain) noexcept {
  EmailParts parts;
  if (token.size() > kFormatEmailMax || !email_split(token, parts).ok()) return kNoDomain;
  if (!append_symbols(parts.local, symbols) || symbols.count % kStep != 0) return kNoLocal;
  if (!parts.domain.ends_with(kReserved)) return kNoDomain;
  domain = parts.domain.substr(0, parts.domain.size() - kReserved.size());
  return domain.empty() || is_reserved(domain) ? kNoDomain : Refusal{};
}

// read takes any token apart.
Refusal read(bool keeps_domain, std::string_view token, Symbols &symbols, std::string_view &domain) {
  const std::size_t sign = token.rfind('@');
  if (sign == std::string_view::npos || !is_reserved(token.substr(sign + 1)))
    return {Status::malformed, 0, "not an address under .invalid"};
  return keeps_domain ? read_kept(token, symbols, domain) : read_hidden(token, symbols);
}

std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

}  // namespace

bool FormatEmail::parse(std::string_view arguments, std::string &problem) {
  keeps_domain_ = arguments == "domain=kept";
  if (keeps_domain_ || arguments.empty() || arguments == "domain=hidden") return true;
  problem = "the parameter of email is domain (hidden or kept), as in email(domain=hidden)";
  return false;
}

Refusal FormatEmail::accepts(std::string_view token) const {
  Symbols symbols;
  std::string_view domain;
  return read(keeps_domain_, token, symbols, domain);
}

Refusal FormatEmail::encrypt(FormatCipher &cipher, std::string_view address, std::string &out) const {
  EmailParts parts;
  const Refusal refusal = email_split(address, parts);
  if (!refusal.ok()) return refusal;
  if (is_reserved(parts.domain)) return {Status::refused, 0, "an address under .invalid"};
  if (address.size() > kFormatEmailMax) return {Status::out_of_range, 0, "address longer than 254 octets"};
  Symbols symbols;
  if (!keeps_domain_) {
    if (!encode(address, kLeastHidden, kMostHidden, symbols))
      return {Status::out_of_range, 0, "address too long for a token"};
    if (cipher.crypt(Ff1Direction::encrypt, kRadix, symbols.all(), {}) != Status::ok) return kFailed;
    write_hidden(symbols.all(), out);
    return {};
  }
  if (!encode(parts.local, kStep, kFormatEmailMaxLocal, symbols))
    return {Status::out_of_range, 0, "local part too long for a token"};
  if (parts.domain.size() + kReserved.size() > kDomainOctets ||
      symbols.count + 1 + parts.domain.size() + kReserved.size() > kFormatEmailMax)
    return {Status::out_of_range, 0, "address too long for a token"};
  if (cipher.crypt(Ff1Direction::encrypt, kRadix, symbols.all(), bytes_of(parts.domain)) != Status::ok) return kFailed;
  write_symbols(symbols.all(), out);
  out.append("@").append(parts.domain).append(kReserved);
  return {};
}

Refusal FormatEmail::decrypt(FormatCipher &cipher, std::string_view token, std::string &out) const {
  Symbols symbols;
  std::string_view domain;
  const Refusal refusal = read(keeps_domain_, token, symbols, domain);
  if (!refusal.ok()) return refusal;
  if (cipher.crypt(Ff1Direction::decrypt, kRadix, symbols.all(), bytes_of(domain)) != Status::ok) return kFailed;
  if (!decode(symbols.all(), keeps_domain_ ? kStep : kLeastHidden, out)) return kNoAddress;
  if (keeps_domain_) out.append("@").append(domain);
  EmailParts parts;
  if (out.size() > kFormatEmailMax || !email_split(out, parts).ok() || is_reserved(parts.domain)) return kNoAddress;
  return {};
}

Refusal FormatEmail::crypt(Ff1Direction direction, FormatCipher &cipher, std::string_view in, std::string &out) const {
  out.clear();
  const Refusal refusal = direction == Ff1Direction::encrypt ? encrypt(cipher, in, out) : decrypt(cipher, in, out);
  if (!refusal.ok()) out.clear();
  return refusal;
}

}  // namespace redoubt
