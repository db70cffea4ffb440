// ff1.cpp - kat for FF1 (NIST SP 800-38G).
//
// Columns:
//   alg        AES-FF1, ACVP-AES-FF1 or FF1
//   direction  encrypt, decrypt, or both (also: nothing)
//   keyhex, tweakhex  hexadecimal
//   radix      decimal; may be empty where there is an alphabet
//   alphabet   the characters in numeral order, UTF-8; empty: pt and ct are numerals separated by commas
//   pt, ct     plaintext and ciphertext
//   result     valid: each direction named gives the other column's value
//              invalid: the direction named is refused; for both, encrypting pt is, or else decrypting a
//              ct that is there
//
// The domain need only have the original standard's 100 values, as published vectors do.  Every vector
// goes through the single-value and the batch interface, which must agree.
#include "core/ff1.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "algorithm.h"
#include "tsv.h"

namespace redoubt::test {

namespace {

using Octets = std::vector<std::uint8_t>;
using Numerals = std::vector<std::uint32_t>;

struct Vector {
  Octets key;
  Octets tweak;
  std::uint32_t radix = 0;
  Ff1Alphabet alphabet;  // radix 0: numerals
};

// A value too big or negative becomes one that no radix has, for the core to refuse.
std::optional<Numerals> parse_numerals(std::string_view text) {
  Numerals numerals;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (end != part.data() + part.size() || part.empty()) return std::nullopt;
    constexpr std::int64_t kTooBig = std::numeric_limits<std::uint32_t>::max();
    const bool fits = error == std::errc() && value >= 0 && value < kTooBig;
    numerals.push_back(static_cast<std::uint32_t>(fits ? value : kTooBig));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
  return numerals;
}

std::string write_numerals(const Numerals &numerals) {
  std::string text;
  for (const std::uint32_t numeral : numerals) text += (text.empty() ? "" : ",") + std::to_string(numeral);
  return text;
}

// Three times the same value, with the plan's tweak and with its own.
constexpr std::size_t kCopies = 3;
constexpr std::string_view kDisagree = "single value and batch disagree";

// Each crypt_ returns the result, or nothing if it was refused; `fault` is set where interfaces disagree.
std::optional<std::string> crypt_text(Ff1Plan &plan, Ff1Direction direction, const Vector &vector,
                                      std::string_view text, std::string &fault) {
  const std::size_t room = plan.length() * vector.alphabet.max_bytes();
  std::string out(room, '\0');
  const Result<std::size_t> written = plan.crypt(direction, vector.alphabet, text, out);
  if (written.ok()) out.resize(*written);

  for (const bool own_tweak : {false, true}) {
    std::vector<std::string> outs(kCopies, std::string(room, '\0'));
    std::vector<Ff1Item> items;
    for (std::string &item_out : outs) {
      items.push_back({.in = text, .out = item_out, .tweak = {}});
      if (own_tweak) items.back().tweak = vector.tweak;
    }
    const Status status = plan.crypt_batch(direction, vector.alphabet, items);
    if (status != written.status()) fault = kDisagree;
    for (std::size_t i = 0; i < kCopies && written.ok(); ++i) {
      if (items[i].status != Status::ok || outs[i].substr(0, items[i].written) != out) fault = kDisagree;
    }
  }
  if (!written.ok()) return std::nullopt;
  return out;
}

std::optional<std::string> crypt_numerals(Ff1Plan &plan, Ff1Direction direction, const Vector &vector,
                                          const Numerals &in, std::string &fault) {
  Numerals out(in.size());
  const Status status = plan.crypt(direction, in, out);

  Numerals many, many_out(in.size() * kCopies);
  Octets tweaks;
  for (std::size_t i = 0; i < kCopies; ++i) {
    many.insert(many.end(), in.begin(), in.end());
    tweaks.insert(tweaks.end(), vector.tweak.begin(), vector.tweak.end());
  }
  if (plan.crypt_batch(direction, many, many_out, tweaks) != status) fault = kDisagree;
  for (std::size_t i = 0; i < kCopies && status == Status::ok; ++i) {
    if (!std::equal(out.begin(), out.end(), many_out.begin() + static_cast<std::ptrdiff_t>(i * in.size()))) {
      fault = kDisagree;
    }
  }
  if (status != Status::ok) return std::nullopt;
  return write_numerals(out);
}

std::optional<std::string> crypt(Ff1Direction direction, const Vector &vector, std::string_view text,
                                 std::string &fault) {
  Result<AesBlocks> aes = AesBlocks::make(vector.key);
  std::optional<Numerals> numerals;
  std::size_t length = 0;
  if (vector.alphabet.radix() != 0) {
    length = static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
  } else {
    numerals = parse_numerals(text);
    if (!numerals) return std::nullopt;
    length = numerals->size();
  }
  Ff1Plan plan;
  if (!aes.ok() || plan.prepare(*aes, vector.radix, length, vector.tweak.size(), kFf1MinDomainOriginal) != Status::ok ||
      plan.set_tweak(vector.tweak) != Status::ok) {
    return std::nullopt;
  }
  return numerals ? crypt_numerals(plan, direction, vector, *numerals, fault)
                  : crypt_text(plan, direction, vector, text, fault);
}

std::string check_one(Ff1Direction direction, const Vector &vector, std::string_view in, std::string_view expected) {
  const char *const name = direction == Ff1Direction::encrypt ? "encrypting" : "decrypting";
  std::string fault;
  const std::optional<std::string> out = crypt(direction, vector, in, fault);
  if (!fault.empty()) return fault;
  if (!out) return std::string(name) + " refused";
  if (*out != expected) return std::string(name) + " gave " + *out;
  return {};
}

bool refused(Ff1Direction direction, const Vector &vector, std::string_view in) {
  std::string fault;
  return !crypt(direction, vector, in, fault) && fault.empty();
}

}  // namespace

std::string check_ff1(const TsvRow &row) {
  const std::string_view result = row.field("result");
  if (result != "valid" && result != "invalid") return "result is neither valid nor invalid";
  const bool valid = result == "valid";
  const std::string_view direction = row.field("direction");
  const bool both = direction == "both" || direction.empty();
  if (!both && direction != "encrypt" && direction != "decrypt") return "unknown direction";
  const bool encrypts = both || direction == "encrypt";
  const bool decrypts = both || direction == "decrypt";

  Vector vector;
  std::optional<Octets> key = hex_bytes(row.field("keyhex"));
  std::optional<Octets> tweak = hex_bytes(row.field("tweakhex"));
  if (!key || !tweak) return "a column is not hexadecimal";
  vector.key = *std::move(key);
  vector.tweak = *std::move(tweak);
  const std::string_view radix = row.field("radix");
  const auto parsed = std::from_chars(radix.data(), radix.data() + radix.size(), vector.radix);
  const bool radix_read = parsed.ec == std::errc() && parsed.ptr == radix.data() + radix.size();
  if (!row.field("alphabet").empty()) {
    Result<Ff1Alphabet> alphabet = Ff1Alphabet::make(row.field("alphabet"));
    if (!alphabet.ok()) return valid ? "alphabet refused" : "";
    vector.alphabet = *std::move(alphabet);
    if (radix.empty()) vector.radix = vector.alphabet.radix();
    if (vector.radix != vector.alphabet.radix()) return valid ? "radix and alphabet disagree" : "";
  } else if (!radix_read) {
    return valid ? "radix is not a number" : "";
  }

  const std::string_view pt = row.field("pt");
  const std::string_view ct = row.field("ct");
  if (valid) {
    std::string reason = encrypts ? check_one(Ff1Direction::encrypt, vector, pt, ct) : std::string();
    if (reason.empty() && decrypts) reason = check_one(Ff1Direction::decrypt, vector, ct, pt);
    return reason;
  }
  if (encrypts && refused(Ff1Direction::encrypt, vector, pt)) return {};
  if (decrypts && (!both || !ct.empty()) && refused(Ff1Direction::decrypt, vector, ct)) return {};
  return "not refused, but the vector is invalid";
}

}  // namespace redoubt::test
