// audit_text.h - reading and writing the lines of the trail's files by fixed order.
//
// What decides over "authentic" must have one reading only, so nothing here looks for a member: each is taken where it
// has to be, in the one spelling that the writer uses.
// Covered by test/unit/audit_chain_test.cpp and test/unit/audit_archive_test.cpp.
#ifndef REDOUBT_CORE_AUDIT_TEXT_H
#define REDOUBT_CORE_AUDIT_TEXT_H

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "core/audit_chain.h"

namespace redoubt {

constexpr std::string_view kAuditHexDigits = "0123456789abcdef";

// Reads text from the front; every take* returns false and stays false once something is missing.
class AuditReader {
 public:
  explicit AuditReader(std::string_view text) noexcept : rest_(text) {}

  AuditReader &take(std::string_view literal) noexcept {
    good_ = good_ && rest_.starts_with(literal);
    if (good_) rest_.remove_prefix(literal.size());
    return *this;
  }

  // Decimal without sign for unsigned types, without leading zeros.
  template <typename Integer>
  AuditReader &take_number(Integer &value) noexcept {
    if (!good_) return *this;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    const std::size_t used = static_cast<std::size_t>(end - rest_.data());
    good_ = error == std::errc() && (rest_[0] != '0' || used == 1) && !rest_.starts_with("-0");
    if (good_) rest_.remove_prefix(used);
    return *this;
  }

  AuditReader &take_hex(std::string_view &digits, std::size_t size) noexcept {
    good_ = good_ && rest_.size() >= size &&
            rest_.substr(0, size).find_first_not_of(kAuditHexDigits) == std::string_view::npos;
    if (good_) {
      digits = rest_.substr(0, size);
      rest_.remove_prefix(size);
    }
    return *this;
  }

  AuditReader &take_mac(AuditMac &mac) noexcept { return take_bytes(mac); }

  template <std::size_t size>
  AuditReader &take_bytes(std::array<std::uint8_t, size> &out) noexcept {
    std::string_view digits;
    if (!take_hex(digits, 2 * size).good_) return *this;
    for (std::size_t i = 0; i < size; ++i)
      out[i] =
          static_cast<std::uint8_t>(kAuditHexDigits.find(digits[2 * i]) << 4 | kAuditHexDigits.find(digits[2 * i + 1]));
    return *this;
  }

  // Up to the next quote: hexadecimal digits and hyphens.
  AuditReader &take_id(std::string_view &id, std::size_t limit) noexcept {
    id = rest_.substr(0, std::min(rest_.find('"'), rest_.size()));
    good_ = good_ && id.size() <= limit && id.find_first_not_of("0123456789abcdef-") == std::string_view::npos;
    if (good_) rest_.remove_prefix(id.size());
    return *this;
  }

  void fail() noexcept { good_ = false; }

  bool at_end() const noexcept { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

// Appends without a bounds check: callers check the room once.
class AuditAppender {
 public:
  explicit AuditAppender(char *to) noexcept : at_(to) {}
  AuditAppender &text(std::string_view value) noexcept {
    std::memcpy(at_, value.data(), value.size());
    at_ += value.size();
    return *this;
  }
  template <typename Integer>
  AuditAppender &number(Integer value) noexcept {
    at_ = std::to_chars(at_, at_ + 20, value).ptr;  // 20 characters hold any 64-bit integer
    return *this;
  }
  AuditAppender &mac(const AuditMac &value) noexcept {
    const auto hex = audit_mac_hex(value);
    return text({hex.data(), hex.size()});
  }
  AuditAppender &bytes(std::span<const std::uint8_t> value) noexcept {
    for (const std::uint8_t byte : value) {
      *at_++ = kAuditHexDigits[byte >> 4];
      *at_++ = kAuditHexDigits[byte & 15];
    }
    return *this;
  }
  char *end() const noexcept { return at_; }

 private:
  char *at_;
};

}  // namespace redoubt
#endif
