// refusal.h - why a text was refused: status, place and a fixed reason.
//
// Not an error message: the glue words that.  Invariant: nothing in a Refusal comes
// from the refused text, so it can be shown and logged.
// Covered by test/unit/{normalize,email,phone}_test.cpp.
#ifndef REDOUBT_CORE_REFUSAL_H
#define REDOUBT_CORE_REFUSAL_H

#include <cstddef>

#include "core/result.h"

namespace redoubt {

// Refusal is the outcome of checking a text; ok() means accepted.
struct Refusal {
  Status status = Status::ok;
  std::size_t position = 0;  // character (not byte) of the text, from 1; 0: the text as a whole
  const char *reason = "";   // static text in lower case, such as "control character"
  bool absolute = false;     // no token may hold such a text, also where its type keeps what it cannot read

  constexpr bool ok() const noexcept { return status == Status::ok; }
};

}  // namespace redoubt
#endif
