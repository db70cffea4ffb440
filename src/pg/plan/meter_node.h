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
  kMeterPure = 1,     // a null holds no value and is free, see MeterItem
  kMeterMany = 2,     // counts are per element of arrays
  kMeterReveals = 4,  // tokens that an output function is about to reveal are left to it
  kMeterRows = 8,     // pays for something of the row other than the value it is around
  kMeterProbes = 16,  // counts the row as a probe of the columns that decided on it
  kMeterKeeps = 32,   // with kMeterReveals: what is made of tokens holds them, and when it is printed cannot be known
};

// The flags for what a built-in function makes a value of `type` of.
std::uint16_t meter_reveals(Oid type);

// Where rows are counted as probes.  Points make a tree: rows that pass one go on to the point above, which asks for
// no more than it counts beyond what those below it have asked for.  The answer of the statement is on top.
using MeterPoint = std::uint32_t;
constexpr MeterPoint kAnswer = 0;

// Functions of schema redoubt that the planner puts into plans.
enum class Placed {
  meter,
  opened,
  sought_fingerprint,
  sought_trigrams,
  lower_fingerprint,
  upper_fingerprint,
  may_match,
  by_value,
  sought_value,
  pending_made,
  pending_sought,
  meter_statistics
};
// The OID, or InvalidOid where the extension is not installed.
Oid placed_function_oid(Placed which);
// Is it a call of one of them?
bool calls_placed(const Node *node, std::initializer_list<Placed> which);

// What such a function is told: bytes in a Const whose type is internal, of which no query can make a value.  It is
// copied, written and read with the plan as the bytes that it is.
Const *placed_argument(const void *bytes, Size size);

// What the module is told by events.h.
void placed_functions_changed();

struct PlanAnalysis;

// meter_wrap returns a call of the meter around `expression` for the explicit counts of
// `flow`, of which a null costs as much where the source is in `decides`, and a probe of each source in `decides` that
// has no such count, at `point`.  Palloc'd in the current context.
Expr *meter_wrap(Expr *expression, const Flow &flow, std::uint32_t decides, const PlanAnalysis *analysis,
                 std::uint16_t flags, MeterPoint point);

// One token type that a meter charges for.
struct MeterItem {
  Oid token_type;
  std::uint16_t count;  // per evaluation; values with kMeterMany per element; of probes, the rows told of
  bool is_token : 1;
  bool null_tells : 1;  // a null, or no element, costs as much as one: the row is there by another value
  Operation operation;  // read, reveal or probe
};

// The second argument of the call: the contents of a varlena, in a Const whose type is internal.
struct MeterSpec {
  std::uint16_t flags;
  std::uint16_t items;
  MeterPoint point;  // of its probes
  MeterPoint above;  // the point that counts the same rows next; larger, or kAnswer
  MeterItem item[kMaxSources];
};
static_assert(sizeof(MeterItem) == 8 && offsetof(MeterSpec, item) == 12);
constexpr Size meter_spec_size(int items) noexcept {
  return offsetof(MeterSpec, item) + sizeof(MeterItem) * static_cast<Size>(items);
}

// meter_spec returns what a meter put into a plan by meter_wrap charges for, or null for any other expression.
MeterSpec *meter_spec(const Node *expression);
inline bool is_meter(const Node *expression) { return meter_spec(expression) != nullptr; }

// What a meter is around.
inline Node *metered(const Node *meter) {
  return static_cast<Node *>(linitial(reinterpret_cast<const FuncExpr *>(meter)->args));
}

}  // namespace redoubt::pg
#endif
