// disclosure.h - what has to happen, in order, before a value is revealed.
//
// gate -> budget -> record of intent -> plaintext; and one summary record per
// statement, token type and operation afterwards.
#ifndef REDOUBT_PG_DISCLOSURE_H
#define REDOUBT_PG_DISCLOSURE_H

#include "pg/boundary.h"

#include "pg/limits.h"
#include "pg/policy.h"

namespace redoubt::pg {

// disclosure_require checks the privilege, charges one value and makes sure that
// an intent record is in the trail; only then may the value be opened.  `op` is
// reveal or masked.  Raises 42501, 53400, 55000 or 58030.  For values that were
// asked for by name (detokenize, mask): a limit of the kind `degrade` raises.  The
// `values` of an array are charged all or none; none at all need the privilege, too.
void disclosure_require(const TypePolicy *policy, Operation op, uint32 values = 1);

// disclosure_admit is the same for what redoubt.reveal asked for: false where a
// limit of the kind `degrade` is used up; then the value must not be opened.
[[nodiscard]] bool disclosure_admit(const TypePolicy *policy, Operation op);

// disclosure_tokenize is its counterpart for tokenizing: privilege and budget.
// What was made, `token` (the bytes that decide its equality), is not charged again
// where it equals what was charged last for the type in the same statement (a
// stable cast is evaluated more than once by the planner and the executor).  That
// is known of up to kMaxRepeated bytes.
constexpr std::size_t kMaxRepeated = 1024;
void disclosure_tokenize_allowed(const TypePolicy *policy);
void disclosure_tokenize_charge(const TypePolicy *policy, std::span<const std::uint8_t> token, uint32 values = 1);

// disclosure_made counts a token that was added to the vault; the statement's summary says how many.
void disclosure_made(const TypePolicy *policy);

// disclosure_flush writes the summaries collected so far.  Raises 58030.
inline constinit int disclosure_summaries = 0;
void disclosure_write_summaries();
inline void disclosure_flush() {
  if (disclosure_summaries > 0) disclosure_write_summaries();
}

}  // namespace redoubt::pg
#endif
