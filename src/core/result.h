// result.h - Result<T>: either a value or the Status that says why there is none.
//
// The core reports failure by return value only: no exceptions of its own, no
// PostgreSQL.  The glue turns a Status into ereport().  A Status never carries
// the offending value, so it can be logged.
// Covered by every test in test/unit.
#ifndef REDOUBT_CORE_RESULT_H
#define REDOUBT_CORE_RESULT_H

#include <cstdint>
#include <utility>

namespace redoubt {

enum class Status : std::uint8_t {
  ok,
  invalid_argument,  // the caller's parameters are out of their documented range
  malformed,         // bytes or text are not in the format they claim to be
  out_of_range,      // a well-formed value outside the allowed range or length
  refused,           // well formed, but policy says no (mask character, control character...)
  corrupt,           // authentication failed: altered, or of another class or key
  unsupported,       // a version or flag this build does not know
  crypto_failure,    // OpenSSL reported an error
};

template <typename T>
class [[nodiscard]] Result {
 public:
  constexpr Result(T value) noexcept : value_(std::move(value)), status_(Status::ok) {}
  constexpr Result(Status failure) noexcept : value_{}, status_(failure) {}

  constexpr bool ok() const noexcept { return status_ == Status::ok; }
  constexpr Status status() const noexcept { return status_; }
  constexpr const T &operator*() const &noexcept { return value_; }
  constexpr T &operator*() &noexcept { return value_; }
  constexpr T &&operator*() &&noexcept { return std::move(value_); }
  constexpr const T *operator->() const noexcept { return &value_; }
  constexpr T *operator->() noexcept { return &value_; }

 private:
  T value_;
  Status status_;
};

}  // namespace redoubt
#endif
