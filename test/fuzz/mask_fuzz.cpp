// mask_fuzz.cpp - libFuzzer over every mask.
//
// Properties: a masked value is well-formed UTF-8, holds the mask character, and every
// normaliser refuses it; what it shows beside mask characters is no more than its spec
// says, counted here without the code under test.
#include <cstdint>
#include <string>
#include <string_view>

#include "../unit/small_nfc.h"
#include "core/mask.h"
#include "core/normalize.h"
#include "core/unicode_text.h"
#include "fuzz_input.h"

namespace {

using namespace redoubt;

// shown_characters counts what is neither a mask character, nor a mark, nor one of `signs`.
std::size_t shown_characters(std::string_view text, std::string_view signs) {
  std::size_t shown = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    const bool sign = c.value < 0x80 && signs.find(static_cast<char>(c.value)) != std::string_view::npos;
    if (!sign && c.value != kMaskCodePoint && !is_combining_mark(c.value)) ++shown;
    at += c.size;
  }
  return shown;
}

std::size_t count_words(std::string_view text) {
  std::size_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    const bool white = is_white_space(c.value);
    if (!white && !inside) ++words;
    inside = !white;
    at += c.size;
  }
  return words;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 2) return 0;
  MaskSpec spec;
  spec.kind = static_cast<MaskKind>(data[0] % 6);
  spec.keep = static_cast<std::uint8_t>(data[1] % (kMaskKeepMax + 1));
  const std::string_view text(reinterpret_cast<const char *>(data) + 2, size - 2);

  (void)mask_parse(text);

  std::string out = "left over";
  mask_apply(spec, text, out);
  require(utf8_valid_prefix(out) == out.size());
  require(out.find(kMaskCharacter) != std::string::npos);
  for (std::uint8_t kind = 0; kind < 7; ++kind) {
    std::string normalized;
    require(!normalize(NormalizeSpec{static_cast<NormalizeKind>(kind), 0}, out, small_nfc, normalized).ok());
  }

  constexpr std::string_view kFull = "••••";
  constexpr std::string_view kPart = "•••";
  if (utf8_valid_prefix(text) != text.size()) {
    require(out == kFull);
    return 0;
  }
  switch (spec.kind) {
    case MaskKind::full:
      require(out == kFull);
      break;
    case MaskKind::email: {
      if (out == kFull) break;
      const std::size_t sign = text.rfind('@');
      require(out.ends_with(std::string(kPart).append(text.substr(sign))));
      const std::string_view shown = std::string_view(out).substr(0, out.size() - (text.size() - sign) - kPart.size());
      require(text.substr(0, sign).starts_with(shown) && shown.size() < sign);
      require(shown.empty() || shown_characters(shown.substr(utf8_decode(shown, 0).size), "") == 0);
      break;
    }
    case MaskKind::phone:
      if (out == kFull) break;
      require(text.starts_with('+') && out.starts_with('+'));
      require(out.size() >= 1 + 5 * kMaskCharacter.size() + 2);
      require(shown_characters(out, "+") <= 3 + 2);
      break;
    case MaskKind::name: {
      const std::size_t words = count_words(text);
      // A word may begin with a mark, which shown_characters does not count.
      require(shown_characters(out, " ") <= words);
      require(out == kFull || count_words(out) == words);
      break;
    }
    case MaskKind::keep_first:
    case MaskKind::keep_last: {
      const std::string_view view(out);
      const bool first = spec.kind == MaskKind::keep_first;
      require(first ? view.ends_with(kPart) : view.starts_with(kPart));
      const std::string_view shown = first ? view.substr(0, view.size() - kPart.size()) : view.substr(kPart.size());
      require(first ? text.starts_with(shown) : text.ends_with(shown));
      require(utf8_length(shown) * 2 <= utf8_length(text));
      // Marks at the very start count as one character: the text may begin with them.
      require(shown_characters(shown, "") <= spec.keep);
      break;
    }
  }
  return 0;
}
