// mask_letter.cpp - see mask_letter.h.
//
// Covered by sql/mask_letter.sql and test/tap/settings.pl.
#include "pg/base/boundary.h"

#include "core/unicode_text.h"
#include "pg/tokens/mask_letter.h"

extern "C" {
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
}

namespace redoubt::pg {
namespace {

constexpr std::string_view kAsterisks = "***";

enum class Known : std::uint8_t { unknown, has, has_not };
constinit Known known[_PG_LAST_ENCODING_] = {};  // of each encoding: does it have U+2022?

bool find_out(int encoding) {
  const Oid conversion = FindDefaultConversionProc(PG_UTF8, encoding);
  if (!OidIsValid(conversion)) return true;  // then nothing is converted
  std::array<unsigned char, 4> letter = {};
  std::array<unsigned char, 4 * MAX_CONVERSION_GROWTH> out;
  std::copy(kMaskCharacter.begin(), kMaskCharacter.end(), letter.begin());
  const auto size = static_cast<int>(kMaskCharacter.size());
  return pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding, letter.data(), size, out.data(),
                                       static_cast<int>(out.size()), true) == size;
}

bool has_letter(int encoding) {
  if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || !PG_VALID_ENCODING(encoding)) return true;
  Known &of = known[encoding];
  if (of == Known::unknown) of = find_out(encoding) ? Known::has : Known::has_not;
  return of == Known::has;
}

bool needs_asterisk() { return !has_letter(GetDatabaseEncoding()) || !has_letter(pg_get_client_encoding()); }

}  // namespace

void mask_letter_fit(std::string &masked) {
  if (!call([] { return needs_asterisk(); })) return;
  for (std::size_t at = 0; (at = masked.find(kMaskCharacter, at)) != std::string::npos; ++at)
    masked.replace(at, kMaskCharacter.size(), 1, '*');
}

std::size_t mask_letter_find(std::string_view text) {
  const std::size_t at = needs_asterisk() ? text.find(kAsterisks) : std::string_view::npos;
  return at == std::string_view::npos
             ? 0
             : static_cast<std::size_t>(pg_mbstrlen_with_len(text.data(), static_cast<int>(at))) + 1;
}

}  // namespace redoubt::pg
