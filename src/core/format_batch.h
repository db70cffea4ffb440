// format_batch.h - FormatBatch: many values to tokens and back, their FF1 rounds side by side.
//
// What it is: Format::crypt for up to kFormatLanes values at once.  Values of one length whose format has one
// alphabet share each cipher call, whatever their kept parts; so do the numbers of integer formats.  All other
// values are done one by one.
// What it is not: another definition of a token: results and refusals are those of Format::crypt.
// Invariant: a refused value keeps no other from being done.  What it holds is wiped by wipe() and with the object.
// Locks: none; one thread at a time.  Memory is kept from batch to batch, so that a value allocates nothing.
// Covered by test/unit/format_batch_test.cpp.
#ifndef REDOUBT_CORE_FORMAT_BATCH_H
#define REDOUBT_CORE_FORMAT_BATCH_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/format.h"

namespace redoubt {

class FormatBatch {
 public:
  FormatBatch();
  ~FormatBatch() { wipe(); }
  FormatBatch(const FormatBatch &) = delete;
  FormatBatch &operator=(const FormatBatch &) = delete;

  // crypt makes the tokens (encrypt) or the values (decrypt) of at most kFormatLanes texts in UTF-8.  `in` and the
  // texts must outlive the use of their results.
  void crypt(Ff1Direction direction, const Format &format, FormatCipher &cipher, std::span<const std::string_view> in);

  // Of text `i` of the last call: why it was refused, and the bytes of its result, none then; until the next.
  const Refusal &refusal(std::size_t i) const noexcept { return item_[i].refusal; }
  std::size_t size(std::size_t i) const noexcept { return i < in_.size() ? item_[i].size : 0; }

  // write writes the result of text `i` to `to`, which has room for size(i) bytes.
  void write(std::size_t i, char *to) noexcept;

  // crypt for the numbers of an integer format, in place.  Returns the first refusal, if any, with the numbers as
  // they were; after crypto_failure they are undefined.
  static Refusal crypt(Ff1Direction direction, const Format &format, FormatCipher &cipher,
                       std::span<std::int64_t> numbers);

  // wipe forgets the texts and all that was made of them.
  void wipe() noexcept;

 private:
  // One text of the batch, and where its parts begin in numerals_, runs_, tweaks_ and text_.
  struct Item {
    Refusal refusal;
    std::uint32_t slot = 0;
    std::uint32_t slots = 0;
    std::uint32_t run = 0;
    std::uint32_t runs = 0;
    std::uint32_t tweak = 0;
    std::uint32_t tweak_size = 0;
    std::uint32_t text = 0;
    std::uint32_t size = 0;  // of the result
    bool is_text = false;    // the result is in text_; else it is made of the parts
  };
  Format::Side result_side() const noexcept {
    return direction_ == Ff1Direction::encrypt ? Format::Side::token : Format::Side::value;
  }
  FormatScan scan_of(const Item &item) noexcept;
  void take_apart();
  void crypt_all(FormatCipher &cipher);
  void crypt_gathered(FormatCipher &cipher, std::span<Item *const> alike);
  bool crypt_alike(FormatCipher &cipher, std::size_t count, std::span<std::uint16_t> numerals,
                   std::span<const std::uint8_t> tweaks);
  void set_text(Item &item, std::size_t begin) noexcept;

  Ff1Direction direction_ = Ff1Direction::encrypt;
  const Format *format_ = nullptr;
  std::span<const std::string_view> in_;
  std::array<Item, kFormatLanes> item_;
  // Of all texts, one behind the other.
  std::vector<std::uint16_t> numerals_;
  std::vector<FormatScan::Run> runs_;
  std::vector<std::uint8_t> tweaks_;
  std::uint32_t slots_ = 0;        // used of numerals_
  std::uint32_t tweak_bytes_ = 0;  // used of tweaks_
  // Of those that are alike where not all are.
  std::vector<std::uint16_t> gathered_;
  std::vector<std::uint8_t> gathered_tweaks_;
  std::string text_;    // results
  std::string single_;  // one result
};

}  // namespace redoubt
#endif
