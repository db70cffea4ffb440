// siv.cpp - kat for AES-SIV (RFC 5297).
//
// Columns (hexadecimal, either case):
//   alg     AES-SIV
//   key     K1 || K2: 32, 48 or 64 bytes
//   ad      the components of the associated data, separated by ','.  "-" is one empty
//           component; between commas an empty component is written "-" or as nothing.  Nothing
//           at all: see below
//   nonce   if not empty, one more component after those of ad (section 3)
//   pt      plaintext
//   ct      V || ciphertext
//   result  valid: sealing pt gives ct and opening ct gives pt
//           invalid: opening ct (or setting up the key) is refused
//
// An ad column with nothing in it is ambiguous: S2V tells no component from one empty component,
// but published files write both as nothing - the AEAD interface of section 6 always passes its
// one A, the RFC's own notation passes none.  So a valid vector passes if either reading gives
// its answers, and an invalid one must be refused under both.  "-" always means what it says.
#include "core/siv.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "algorithm.h"
#include "tsv.h"

namespace redoubt::test {

namespace {

using Octets = std::vector<std::uint8_t>;
using Components = std::vector<Octets>;

struct Vector {
  Octets key;
  std::vector<Components> readings;  // of ad and nonce: one, or two where ad is ambiguous
  Octets pt;
  Octets ct;
};

std::optional<Components> parse_components(std::string_view ad) {
  Components components;
  for (;;) {
    const std::size_t comma = ad.find(',');
    const std::string_view text = ad.substr(0, comma);
    std::optional<Octets> component = text == "-" ? Octets{} : hex_bytes(text);
    if (!component) return std::nullopt;
    components.push_back(*std::move(component));
    if (comma == std::string_view::npos) return components;
    ad.remove_prefix(comma + 1);
  }
}

std::string parse(const TsvRow &row, Vector &vector) {
  std::optional<Octets> key = hex_bytes(row.field("key"));
  std::optional<Octets> pt = hex_bytes(row.field("pt"));
  std::optional<Octets> ct = hex_bytes(row.field("ct"));
  std::optional<Components> ad = parse_components(row.field("ad"));
  const std::optional<Octets> nonce = hex_bytes(row.field("nonce"));
  if (!key || !pt || !ct || !ad || !nonce) return "a column is not hexadecimal";
  vector.key = *std::move(key);
  vector.pt = *std::move(pt);
  vector.ct = *std::move(ct);
  vector.readings.push_back(*std::move(ad));
  if (row.field("ad").empty()) vector.readings.emplace_back();
  if (!nonce->empty()) {
    for (Components &components : vector.readings) components.push_back(*nonce);
  }
  return {};
}

std::string check_valid(Siv &siv, std::span<const std::span<const std::uint8_t>> ad, const Vector &vector) {
  Octets sealed(kSivSize + vector.pt.size());
  if (siv.seal(ad, vector.pt, sealed) != Status::ok) return "sealing failed";
  if (sealed != vector.ct) return "sealed to " + bytes_hex(sealed);
  Octets opened(vector.pt.size());
  if (siv.open(ad, vector.ct, opened) != Status::ok) return "opening failed";
  if (opened != vector.pt) return "opened to " + bytes_hex(opened);
  return {};
}

std::string check_invalid(Siv &siv, std::span<const std::span<const std::uint8_t>> ad, const Vector &vector) {
  Octets opened(vector.ct.size() < kSivSize ? 0 : vector.ct.size() - kSivSize, 0xa5);
  const Status status = siv.open(ad, vector.ct, opened);
  if (status != Status::corrupt && status != Status::malformed) return "opened, but the vector is invalid";
  if (std::any_of(opened.begin(), opened.end(), [](std::uint8_t byte) { return byte != 0; })) {
    return "refused, but left plaintext behind";
  }
  return {};
}

}  // namespace

std::string check_siv(const TsvRow &row) {
  const std::string_view result = row.field("result");
  if (result != "valid" && result != "invalid") return "result is neither valid nor invalid";
  const bool valid = result == "valid";

  Vector vector;
  std::string reason = parse(row, vector);
  if (!reason.empty()) return reason;
  const std::span<const std::uint8_t> key(vector.key);
  const std::size_t half = key.size() / 2;
  Result<Siv> siv = Siv::make(key.first(half), key.subspan(half));
  if (!siv.ok()) return valid ? "key refused" : std::string();

  for (const Components &components : vector.readings) {
    const std::vector<std::span<const std::uint8_t>> ad(components.begin(), components.end());
    reason = valid ? check_valid(*siv, ad, vector) : check_invalid(*siv, ad, vector);
    if (valid == reason.empty()) return reason;  // valid: one reading is enough; invalid: all refuse
  }
  return reason;
}

}  // namespace redoubt::test
