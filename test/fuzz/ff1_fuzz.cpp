// ff1_fuzz.cpp - libFuzzer: FF1 on any key, tweak, alphabet and text, against the tests' step-by-step oracle.
//
// Input: choices, length (two bytes), tweak size, alphabet size, then key, tweak, alphabet and text.  The
// text is taken as it is or, by choice, its bytes pick characters of the alphabet.  Properties: what is
// accepted encrypts as the oracle says and decrypts to itself, one by one and in batches; a refusal
// leaves the output alone and other values of the batch unharmed.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../unit/ff1_oracle.h"
#include "core/ff1.h"
#include "fuzz_input.h"

namespace {

using redoubt::Ff1Alphabet;
using redoubt::Ff1Direction;
using redoubt::Ff1Item;
using redoubt::Ff1Plan;
using redoubt::Result;
using redoubt::Status;

std::string string_of(Bytes bytes) { return {reinterpret_cast<const char *>(bytes.data()), bytes.size()}; }

// pick_characters makes a text of `length` characters of the alphabet.
std::string pick_characters(const Ff1Alphabet &alphabet, std::size_t length, Bytes choices) {
  std::vector<std::uint16_t> numerals(length);
  for (std::size_t i = 0; i < length && !choices.empty(); ++i) {
    numerals[i] = static_cast<std::uint16_t>(choices[i % choices.size()] % alphabet.radix());
  }
  std::string text(length * alphabet.max_bytes(), '\0');
  const Result<std::size_t> written = alphabet.format(std::span<const std::uint16_t>(numerals), text);
  require(written.ok());
  text.resize(*written);
  return text;
}

std::string oracle(const std::vector<std::uint8_t> &key, Bytes tweak, const Ff1Alphabet &alphabet, std::size_t length,
                   std::string_view value) {
  std::vector<std::uint16_t> digits(length);
  require(alphabet.parse(value, std::span(digits)) == Status::ok);
  const redoubt::test::Numerals in(digits.begin(), digits.end());
  const redoubt::test::Numerals out =
      redoubt::test::Ff1Oracle(key).encrypt({tweak.begin(), tweak.end()}, in, alphabet.radix());
  digits.assign(out.begin(), out.end());
  std::string text(length * alphabet.max_bytes(), '\0');
  text.resize(*alphabet.format(std::span<const std::uint16_t>(digits), text));
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Bytes input(data, size);
  if (input.size() < 5) return 0;
  const Bytes head = take(input, 5);
  std::vector<std::uint8_t> key(16 + 8 * (head[0] % 3U));
  const Bytes key_bytes = take(input, key.size());
  std::copy(key_bytes.begin(), key_bytes.end(), key.begin());
  Result<redoubt::AesBlocks> aes = redoubt::AesBlocks::make(key);
  require(aes.ok());
  const std::size_t length = (head[1] + 256U * (head[2] & 0x1FU)) % (redoubt::kFf1MaxLength + 2);
  const Bytes tweak = take(input, head[3]);
  const Result<Ff1Alphabet> alphabet = Ff1Alphabet::make(string_of(take(input, head[4])));
  if (!alphabet.ok()) return 0;

  Ff1Plan plan;
  if (plan.prepare(*aes, alphabet->radix(), length, tweak.size(), redoubt::kFf1MinDomainOriginal) != Status::ok) {
    return 0;
  }
  require(plan.set_tweak(tweak) == Status::ok);
  const std::string value = (head[0] & 0x80U) != 0 ? pick_characters(*alphabet, length, input) : string_of(input);
  const std::size_t room = length * alphabet->max_bytes();
  std::string out(room, '#');
  const Result<std::size_t> written = plan.crypt(Ff1Direction::encrypt, *alphabet, value, out);
  if (!written.ok()) {
    require(out == std::string(room, '#'));
    return 0;
  }
  out.resize(*written);
  require(out == oracle(key, tweak, *alphabet, length, value));
  std::string back(room, '#');
  const Result<std::size_t> again = plan.crypt(Ff1Direction::decrypt, *alphabet, out, back);
  require(again.ok() && std::string_view(back).substr(0, *again) == value);

  std::array<std::string, 3> outs;
  std::array<Ff1Item, 3> items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    outs[i].assign(room, '#');
    items[i] = {.in = value, .out = outs[i], .tweak = tweak};
  }
  items[1].in.remove_prefix(1);  // too short, or not UTF-8
  require(plan.crypt_batch(Ff1Direction::encrypt, *alphabet, items) != Status::ok);
  require(items[1].status != Status::ok && outs[1] == std::string(room, '#'));
  for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {
    require(items[i].status == Status::ok && outs[i].substr(0, items[i].written) == out);
  }
  return 0;
}
