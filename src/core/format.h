// format.h - Format: a format-preserving token type's format, and values to tokens and back in it.
//
// What it is: the parsed `format` of redoubt.create_token_type(method => 'fpe'): a built-in name with its
// parameters, or a template (format_template.h).
// What it is not: authenticated encryption.  Whatever has the form of a token decrypts to something (of email,
// mostly to a refusal).
// Invariant: a token has the format of its value, every kept character included (of email it is an address, but
// no value); distinct values of one format have distinct tokens; and each part that is encrypted on its own
// has at least kFf1MinDomain values (NIST SP 800-38G Revision 1, draft, 5.1), or the format is refused.
// Locks: none.  Covered by test/unit/format_test.cpp, format_property_test.cpp, format_vectors_test.cpp and
// test/fuzz/format_fuzz.cpp.
#ifndef REDOUBT_CORE_FORMAT_H
#define REDOUBT_CORE_FORMAT_H

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/format_cipher.h"
#include "core/format_email.h"
#include "core/format_name.h"
#include "core/format_template.h"
#include "core/refusal.h"

namespace redoubt {

class Format {
 public:
  // make reads
  //   digits(m,n) alnum(m,n)   m to n characters of 0-9, or of 0-9A-Za-z; m-n may be one number
  //   card(bin=6,last=4,length=16-19,check=ignore)   bin 0, 6 or 8; last 0 or 4; length 13 to 19;
  //                            check ignore, preserve (tokens pass the Luhn check) or fail (they never do)
  //   us_ssn                   nine digits, hyphens as they are
  //   phone                    E.164; the calling code and an extension are kept
  //   email(domain=hidden)     to an address under .invalid: format_email.h
  //   name(alphabet=latin,short=3)  letters, spaces, hyphens, apostrophes: format_name.h
  //   uuid                     lower case; version and variant are kept, hyphens as they are
  //   date(first,last)         YYYY-MM-DD
  //   integer(least,greatest)  of 64 bits
  // each with or without its parameters, and otherwise a template.  Null: not usable, and `problem` says
  // why, with the arithmetic where the domain is too small.
  static std::unique_ptr<Format> make(std::string_view spec, std::string &problem);

  bool is_integer() const noexcept { return kind_ == Kind::integer; }

  // accepts checks that `token` has the form of a token; nothing can tell whether it is one.
  // Refusals as FormatTemplate::scan, format_email.h and format_name.h, and malformed "check digit", "not a date of the
  // format's range", ...
  Refusal accepts(std::string_view token) const;
  Refusal accepts(std::int64_t token) const noexcept;

  // crypt replaces `out` by the token of `in` (encrypt) or the value of it (decrypt); `in` is no part of `out`.
  // Refusals: those of accepts, for the side `in` is on, and those of format_email.h; crypto_failure
  // "encryption failed".
  Refusal crypt(Ff1Direction direction, FormatCipher &cipher, std::string_view in, std::string &out) const;
  Refusal crypt(Ff1Direction direction, FormatCipher &cipher, std::int64_t in, std::int64_t &out) const;

  // Digits is where the tokenized digits of a text lie that holds nothing but digits, and its tweak.
  struct Digits {
    std::size_t at;
    std::size_t count;
    std::size_t tweak_size;
    std::array<std::uint8_t, 3 + 2 * 8> tweak;
  };

  // find_digits tells whether crypt() would take `in`, and it is nothing but digits of `digits`, of a card or of a
  // template that is \d alone.  crypt_digits is crypt() then: the result has the size of `in`, which may lie there.
  // Refusal: crypto_failure; nothing is left in `out`.
  bool find_digits(Ff1Direction direction, std::string_view in, Digits &found) const noexcept;
  Refusal crypt_digits(Ff1Direction direction, FormatCipher &cipher, std::string_view in, const Digits &digits,
                       char *out) const;

 private:
  friend class FormatBatch;
  enum class Kind : std::uint8_t { plain_template, card, phone, email, name, date, integer };
  enum class Check : std::uint8_t { ignore, preserve, fail };
  enum class Side : std::uint8_t { value, token };

  struct Card {
    std::uint8_t bin = 6;
    std::uint8_t last = 4;
    std::uint8_t least = 16;
    std::uint8_t most = 19;
    Check check = Check::ignore;
  };

  Format() = default;
  // has_one_alphabet: a value is one FF1 value of the tokenized characters that scan finds.
  bool has_one_alphabet() const noexcept {
    return (kind_ == Kind::plain_template || kind_ == Kind::card || kind_ == Kind::phone) && !ranked_ &&
           alphabets_.size() == 1;
  }
  // keeps_size: a scanned value and its token have the same bytes but for the tokenized ones.
  bool keeps_size() const noexcept { return ascii_; }
  bool parse(std::string_view spec, std::string &problem);
  bool parse_card(std::string_view arguments, std::string &problem);
  bool parse_run(std::string_view set, std::string_view bounds, std::string &problem);
  bool parse_range(bool dates, std::string_view bounds, std::string &problem);
  bool check_template_domain(std::string &problem);

  Refusal scan(std::string_view text, Side side, FormatScan &scan) const noexcept;
  Refusal scan_card(std::string_view text, Side side, FormatScan &scan) const noexcept;
  Refusal scan_phone(std::string_view text, FormatScan &scan) const noexcept;
  Refusal scan_date(std::string_view text, std::uint64_t &rank) const noexcept;
  Status crypt_slots(Ff1Direction direction, FormatCipher &cipher, FormatScan &scan) const;
  Status crypt_ranked(Ff1Direction direction, FormatCipher &cipher, FormatScan &scan) const;
  Status crypt_layers(Ff1Direction direction, FormatCipher &cipher, FormatScan &scan) const;
  void fill(Side side, std::string_view in, const FormatScan &scan, char *out) const noexcept;
  void put_together(Side side, std::string_view in, const FormatScan &scan, std::string &out) const;
  unsigned wanted_sum(Side side) const noexcept;
  void settle_check_digit(Side side, std::span<char> text) const noexcept;

  Kind kind_ = Kind::plain_template;
  bool ranked_ = false;  // several alphabets, ranked together rather than encrypted one by one
  FormatTemplate template_;
  std::vector<FormatAlphabet> alphabets_;  // that a run's alphabet is an index into
  bool ascii_ = false;                     // there are some, all of ASCII characters
  Card card_;
  FormatEmail email_;
  FormatName name_;
  std::int64_t first_ = 0;  // of a range: its least value, dates in days
  std::uint64_t size_ = 0;  // how many values it has
};

}  // namespace redoubt
#endif
