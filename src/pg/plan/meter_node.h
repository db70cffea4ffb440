// meter_node.h - the calls of redoubt.meter that the planner hook puts into plans: made, recognised, read.
//
// What they do at run time is meter/meter_function.
#ifndef REDOUBT_PG_PLAN_METER_NODE_H
#define REDOUBT_PG_PLAN_METER_NODE_H

#include "pg/limits/limits.h"
#include "pg/plan/flow.h"

namespace redoubt::pg {

// How a meter counts one evaluation; bits.
enum MeterFlags : std::uint16_t {
  kMeterPure = 1,      // a null holds no value and is free, see MeterItem
  kMeterMany = 2,      // counts are per element of arrays
  kMeterKeeps = 4,     // pays for a copy that is made: the value itself stays protected
  kMeterReveals = 8,   // tokens that an output function is about to reveal are left to it
  kMeterRows = 16,     // pays for something of the row other than the value it is around
  kMeterProbes = 32,   // counts the row as a probe of the columns that decided on it
  kMeterFirst = 64,    // the first row's probes are those of the answer, too: it need not pay again
  kMeterAnswer = 128,  // it is a row of the answer, about to be written or handed to a function: its
                       // probes are those of the answer, and of all such meters of that row
  kMeterBranch = 256,  // pays for the rows of a branch of a UNION ALL, which need not pay at the top
};

// OID of redoubt.meter, or InvalidOid where the extension is not installed.
Oid meter_function_oid();

// What the module is told by events.h.
void meter_function_changed();

// meter_wrap returns a call of the meter around `expression` for the explicit counts of
// `flow`, and a probe of each source in `probes` that has no such count; a null costs for
// sources in flow.elsewhere.  Palloc'd in the current context.
Expr *meter_wrap(Expr *expression, const Flow &flow, std::uint32_t probes, const Source *sources, std::uint16_t flags);

// meter_of returns the flags of a meter put into a plan by meter_wrap, or -1 for any
// other expression.
int meter_of(const Node *expression);

// One token type that a meter charges for.
struct MeterItem {
  Oid token_type;
  std::uint16_t count;  // per evaluation; values with kMeterMany per element
  bool is_token : 1;
  bool null_tells : 1;  // a null, or no element, costs as much as one: the row is there by another value
  Operation operation;  // read or probe
};

// meter_items returns what a meter (meter_of >= 0) charges for.
std::span<const MeterItem> meter_items(const Node *meter);

// The second argument of the call: the contents of a varlena, in a Const whose type is internal.
struct MeterSpec {
  std::uint16_t flags;
  std::uint16_t items;
  MeterItem item[kMaxSources];
};
static_assert(sizeof(MeterItem) == 8 && offsetof(MeterSpec, item) == 4);
constexpr Size meter_spec_size(int items) noexcept {
  return offsetof(MeterSpec, item) + sizeof(MeterItem) * static_cast<Size>(items);
}

}  // namespace redoubt::pg
#endif
