// format_fuzz.cpp - libFuzzer over templates, built-in formats and values.
//
// The input is a format, or a digit for one of kBuiltIn, a line feed and a value.  Properties: a format that is
// accepted takes a value or says why not, with a place inside the value; a value's token is accepted, has the
// value's number of characters and comes back; a text that is accepted as a token decrypts to something that
// encrypts to it.  Of `email` and `name` the number of characters may differ, and what was never a token of
// `email` may decrypt to no address.  A batch gives what single values give.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/format_batch.h"
#include "core/unicode_text.h"
#include "fuzz_input.h"

namespace {

using namespace redoubt;

std::unique_ptr<FormatCipher> make_cipher() {
  const std::array<std::uint8_t, kFormatClassIdSize> class_id = {3};
  const std::array<std::uint8_t, 32> k2 = {5};
  SecretBytes<kFormatKeySize> key;
  require(format_key(k2, class_id, key));
  return FormatCipher::make(key.span(), class_id);
}

constexpr std::string_view kBuiltIn[] = {"email",
                                         "email(domain=kept)",
                                         "name",
                                         "name(alphabet=ascii,short=10)",
                                         "name(alphabet=[abc],upper=[ABC])",
                                         "card(bin=0,length=13-19,check=fail)",
                                         "phone",
                                         "uuid",
                                         "date",
                                         "us_ssn"};

void check_text(const Format &format, bool email, bool same_length, FormatCipher &cipher, const std::string &value) {
  for (const Ff1Direction there : {Ff1Direction::encrypt, Ff1Direction::decrypt}) {
    const Ff1Direction back = there == Ff1Direction::encrypt ? Ff1Direction::decrypt : Ff1Direction::encrypt;
    std::string out;
    std::string again;
    const Refusal refusal = format.crypt(there, cipher, value, out);
    const bool no_address = email && std::string_view(refusal.reason) == "not a token's address";
    if (there == Ff1Direction::decrypt) require(format.accepts(value).ok() == (refusal.ok() || no_address));
    if (!refusal.ok()) {
      require(out.empty() && *refusal.reason != '\0' && refusal.position <= value.size() + 1);
      require(refusal.status == Status::malformed || refusal.status == Status::out_of_range ||
              (email && refusal.status == Status::refused));
      continue;
    }
    require(utf8_valid_prefix(out) == out.size() && (!same_length || utf8_length(out) == utf8_length(value)));
    require(there == Ff1Direction::decrypt || format.accepts(out).ok());
    require(format.crypt(back, cipher, out, again).ok() && again == value);
  }
}

// check_batch: the value between two others made of it.
void check_batch(const Format &format, FormatCipher &cipher, const std::string &value) {
  static FormatBatch batch;
  const std::array<std::string, 3> values = {std::string(value.rbegin(), value.rend()), value,
                                             value.substr(0, value.size() / 2)};
  const std::array<std::string_view, 3> views = {values[0], values[1], values[2]};
  for (const Ff1Direction direction : {Ff1Direction::encrypt, Ff1Direction::decrypt}) {
    batch.crypt(direction, format, cipher, views);
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::string single;
      const Refusal refusal = format.crypt(direction, cipher, values[i], single);
      require(batch.refusal(i).status == refusal.status && batch.refusal(i).position == refusal.position);
      std::string result(batch.size(i), '\0');
      batch.write(i, result.data());
      require(result == single);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static const std::unique_ptr<FormatCipher> cipher = make_cipher();
  const std::string text(reinterpret_cast<const char *>(data), size);
  const std::size_t cut = text.find('\n');
  if (cut == std::string::npos) return 0;
  std::string problem;
  std::string_view spec = std::string_view(text).substr(0, cut);
  if (spec.size() == 1 && spec[0] >= '0' && spec[0] <= '9') spec = kBuiltIn[spec[0] - '0'];
  const std::unique_ptr<Format> format = Format::make(spec, problem);
  require((format == nullptr) == !problem.empty());
  if (format == nullptr) return 0;
  if (!format->is_integer()) {
    const bool email = spec.starts_with("email");
    check_text(*format, email, !email && !spec.starts_with("name"), *cipher, text.substr(cut + 1));
    check_batch(*format, *cipher, text.substr(cut + 1));
    return 0;
  }
  std::int64_t value = 0;
  for (const char c : text.substr(cut + 1))
    value = (value * 31 + static_cast<std::uint8_t>(c)) % (std::int64_t{1} << 40);
  std::int64_t token = 0;
  std::int64_t back = 0;
  const Refusal refusal = format->crypt(Ff1Direction::encrypt, *cipher, value, token);
  if (!refusal.ok()) return 0;
  require(format->accepts(token).ok() && format->crypt(Ff1Direction::decrypt, *cipher, token, back).ok());
  require(back == value);
  return 0;
}
