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

  // crypt makes the tokens (encrypt) or the values (decrypt) of at most kFormatLanes texts in UTF-8.
  void crypt(Ff1Direction direction, const Format &format, FormatCipher &cipher, std::span<const std::string_view> in);

  // Of text `i` of the last call: why it was refused, and its result, empty then; valid until the next.
  const Refusal &refusal(std::size_t i) const noexcept { return item_[i].refusal; }
  std::string_view out(std::size_t i) const noexcept {
    return std::string_view(text_).substr(item_[i].begin, item_[i].size);
  }

  // crypt for the numbers of an integer format, in place.  Returns the first refusal, if any, with the numbers as
  // they were; after crypto_failure they are undefined.
  static Refusal crypt(Ff1Direction direction, const Format &format, FormatCipher &cipher,
                       std::span<std::int64_t> numbers);

  // wipe forgets the texts and all that was made of them.
  void wipe() noexcept;

 private:
  // One text of the batch, and where its parts lie in slot_, tweak_ and text_.
  struct Item {
    Refusal refusal;
    std::size_t slot = 0;
    std::size_t slots = 0;
    std::size_t tweak = 0;
    std::size_t tweak_size = 0;
    std::size_t begin = 0;
    std::size_t size = 0;
  };
  void crypt_one(Ff1Direction direction, const Format &format, FormatCipher &cipher, std::string_view in, Item &item);
  void take_apart(Ff1Direction direction, const Format &format, std::string_view in, Item &item);
  void crypt_alike(Ff1Direction direction, const Format &format, FormatCipher &cipher,
                   std::span<const std::uint8_t> alike);

  std::array<Item, kFormatLanes> item_;
  FormatScan scan_;                     // of one text
  std::vector<FormatScan::Slot> slot_;  // of all texts, one behind the other, and so the following
  std::vector<std::uint8_t> tweak_;
  std::vector<std::uint16_t> numerals_;  // of those that are alike
  std::vector<std::uint8_t> tweaks_;
  std::string text_;    // the results
  std::string single_;  // one result
};

}  // namespace redoubt
#endif
