// normalize_fuzz.cpp - libFuzzer over every normaliser.
//
// Properties: an accepted text is well-formed UTF-8 without the mask character and
// normalises to itself; it has the shape its kind promises; a refusal leaves nothing in
// the output, names its reason and a place inside the text.
#include <cstdint>
#include <string>
#include <string_view>

#include "../unit/small_nfc.h"
#include "core/email.h"
#include "core/normalize.h"
#include "core/phone.h"
#include "core/phone_countries.h"
#include "core/unicode_text.h"
#include "fuzz_input.h"

namespace {

using namespace redoubt;

void check_shape(const NormalizeSpec &spec, std::string_view given, std::string_view out) {
  EmailParts address;
  PhoneParts number;
  switch (spec.kind) {
    case NormalizeKind::none:
      require(out == given);
      break;
    case NormalizeKind::upper:
      for (const char c : out) require(c < 'a' || c > 'z');
      [[fallthrough]];
    case NormalizeKind::trim:
      require(trim_white_space(out) == out);
      break;
    case NormalizeKind::lower:
      for (const char c : out) require(c < 'A' || c > 'Z');
      require(trim_white_space(out) == out);
      break;
    case NormalizeKind::email_folded:
    case NormalizeKind::email:
      require(email_split(out, address).ok());
      require(!address.local.empty() && address.local.size() <= 64);
      require(!address.domain.empty() && address.domain.size() <= 253);
      require(address.local.size() + 1 + address.domain.size() == out.size());
      break;
    case NormalizeKind::phone:
      require(phone_split(out, number));
      require(number.national.size() >= 4);
      break;
    case NormalizeKind::name:
      require(!out.empty() && trim_white_space(out) == out && out.find("  ") == std::string_view::npos);
      for (std::size_t at = 0; at < out.size();) {
        const CodePoint c = utf8_decode(out, at);
        require(!is_control(c.value) && (!is_white_space(c.value) || c.value == ' '));
        at += c.size;
      }
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 2) return 0;
  NormalizeSpec spec;
  spec.kind = static_cast<NormalizeKind>(data[0] % 8);
  spec.phone_country = static_cast<std::uint8_t>(data[1] % phone_countries().size());
  const std::string_view text(reinterpret_cast<const char *>(data) + 2, size - 2);

  (void)normalize_parse(text);

  std::string out = "left over";
  const Refusal refusal = normalize(spec, text, small_nfc, out);
  if (!refusal.ok()) {
    require(out.empty() && refusal.reason[0] != '\0');
    require(refusal.position <= text.size() + 1);
    return 0;
  }
  require(utf8_valid_prefix(out) == out.size());
  require(out.find(kMaskCharacter) == std::string::npos);
  check_shape(spec, text, out);
  std::string again;
  require(normalize(spec, out, small_nfc, again).ok());
  require(again == out);
  return 0;
}
