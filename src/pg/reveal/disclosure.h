// disclosure.h - what has to happen, in order, before a value is revealed.
//
// gate -> budget -> record of intent -> plaintext; and one summary record per
// statement, token type and operation afterwards.
#ifndef REDOUBT_PG_REVEAL_DISCLOSURE_H
#define REDOUBT_PG_REVEAL_DISCLOSURE_H

#include "pg/base/boundary.h"

#include "pg/audit/audit_refusal.h"
#include "pg/limits/limits.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {

// Single values are charged through leases (limits/lease.h) while a statement runs, and one by one where nothing tells
// its end: as literals are parsed, and as rows come out of a tuple store.  They are charged one by one in parallel
// queries as well, whose processes must not miss what another one holds.

// disclosure_require checks the privilege, charges one value and makes sure that
// an intent record is in the trail; only then may the value be opened.  `op` is
// reveal or masked.  Raises 42501, 53400, 55000 or 58030.  For values that were
// asked for by name (detokenize, mask): a limit of the kind `degrade` raises.  The
// `values` of an array are charged all or none; none at all need the privilege, too.
void disclosure_require(const TokenType *type, Operation op, uint32 values = 1);

// disclosure_charge_or_degrade is the same for what redoubt.reveal asked for: false where a
// limit of the kind `degrade` is used up; then the value must not be opened.
[[nodiscard]] bool disclosure_charge_or_degrade(const TokenType *type, Operation op);

// disclosure_tokenize is its counterpart for tokenizing: privilege and budget.
// What was made, `token` (the bytes that decide its equality), is not charged again
// where it equals what was charged last for the type in the same statement (a
// stable cast is evaluated more than once by the planner and the executor).  That
// is known of up to kMaxRepeated bytes.
constexpr std::size_t kMaxRepeated = 1024;
void disclosure_tokenize_allowed(const TokenType *type);
void disclosure_tokenize_charge(const TokenType *type, std::span<const std::uint8_t> token, uint32 values = 1);

// disclosure_count_vaulted counts a token that was added to the vault; the statement's summary says how many.
void disclosure_count_vaulted(const TokenType *type);

// disclosure_flush gives back what is leased and writes the summaries collected so far, counts of refusals included, at
// the end of the client's statement or where its portal pauses.  Raises 58030.
inline constinit bool disclosure_pending = false;
void disclosure_settle();
inline void disclosure_flush() {
  if (disclosure_pending || audit_refusals_pending) disclosure_settle();
}

// disclosure_give_back_all gives back what is leased: before a parallel query, whose workers charge for themselves.
void disclosure_give_back_all() noexcept;

// What the module is told by events.h.
void disclosure_transaction(XactEvent event);

// disclosure_give_back is a LeaseHolder.
bool disclosure_give_back(Oid token_type, Operation op) noexcept;

}  // namespace redoubt::pg
#endif
