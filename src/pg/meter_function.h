// meter_function.h - the meter inside a plan: redoubt.meter(anyelement, bytea).
//
// The function returns its first argument and charges for it, exactly where and when
// the value is handed over and in whichever process that is.  Only the planner hook puts
// calls of it into plans; a call that somebody wrote is an error.
#ifndef REDOUBT_PG_METER_FUNCTION_H
#define REDOUBT_PG_METER_FUNCTION_H

#include "pg/limits.h"
#include "pg/plan_flow.h"

namespace redoubt::pg {

// How a meter counts one evaluation; bits.
enum MeterFlags : std::uint16_t {
  kMeterPure = 1,     // a null holds no value and is free
  kMeterMany = 2,     // counts are per element of arrays
  kMeterKeeps = 4,    // pays for a copy that is made: the value itself stays protected
  kMeterReveals = 8,  // tokens that an output function is about to reveal are left to it
  kMeterRows = 16,    // pays for something of the row other than the value it is around
};

// OID of redoubt.meter, or InvalidOid where the extension is not installed.
Oid meter_function_oid();

// meter_wrap returns a call of the meter around `expression` for the explicit counts of
// `flow`; palloc'd in the current context.
Expr *meter_wrap(Expr *expression, const Flow &flow, const Source *sources, std::uint16_t flags);

// meter_of returns the flags of a meter put into a plan by meter_wrap, or -1 for any
// other expression.
int meter_of(const Node *expression);

// One token type that a meter charges for.
struct MeterItem {
  Oid token_type;
  std::uint16_t count;  // values per evaluation; with kMeterMany per element
  std::uint16_t is_token;
};

// meter_items returns what a meter (meter_of >= 0) charges for.
std::span<const MeterItem> meter_items(const Node *meter);

// meter_each_charge calls `visit` with what the meters whose state is in `context` (the
// query's) have charged in this process.
void meter_each_charge(MemoryContext context, void (*visit)(void *, Oid token_type, std::uint64_t values), void *to);

// meter_refund_query gives back what meters whose state is in `context` (the query's)
// hold ahead.  Atomics only.
void meter_refund_query(MemoryContext context) noexcept;

// meters_give_back: leases_give_back, of what meters inside plans have leased.
bool meters_give_back(Oid token_type, Operation operation) noexcept;

}  // namespace redoubt::pg
#endif
