// plan/flow.h - the data-flow lattice of plan analysis: what a value may hold.
//
// A source is a protected column, or an expression that makes tokens out of the
// analysis' sight.  A flow says of one value how many values of each source can be
// in it, and which sources decided that it exists at all.  Joining two flows
// (flow_add, flow_max) never lowers a count: the analysis over-counts where it does
// not know, it never under-counts.
// Covered by test/metering.
#ifndef REDOUBT_PG_PLAN_FLOW_H
#define REDOUBT_PG_PLAN_FLOW_H

#include "pg/protect/source.h"

namespace redoubt::pg {

constexpr int kNamedSources = 24;               // columns past this share a source per token type
constexpr std::uint16_t kMaxGrownCount = 1000;  // in recursive queries, where each step counts besides

constexpr std::uint32_t kMaxCost = 1U << 28;  // of one value; more than an array can have elements

struct PlanWalk;

struct Flow {
  std::uint16_t count[kMaxSources];  // explicit: values of each source in here
  std::uint32_t implicit;            // a bit per source whose value decided that this exists
  std::uint32_t paid;                // sources that a call has charged for, of which this is the result as it is
  bool pure;                         // an unmodified copy of one column or row: null means no value
  bool direct;                       // made of tokens without their output function, which would have charged for them
  bool sometimes;                    // one of several values, not all of which hold what this one does
  bool many;                         // an array or holding one: the counts are per element

  bool operator==(const Flow &) const = default;
};
static_assert(std::is_trivially_copyable_v<Flow>);

constexpr Flow kNoFlow = {};

// A bit per source with a count.  Most flows have few or none, so four are looked at as one.
[[gnu::noinline]] inline std::uint32_t flow_explicit(const Flow &flow) noexcept {
  std::uint32_t mask = 0;
#pragma GCC unroll 8
  for (int i = 0; i < kMaxSources; i += 4) {
    const std::uint16_t *count = &flow.count[i];
    std::uint64_t four = 0;
    std::memcpy(&four, count, sizeof four);
    if (four == 0) continue;
    const unsigned set =
        (count[0] != 0 ? 1U : 0U) | (count[1] != 0 ? 2U : 0U) | (count[2] != 0 ? 4U : 0U) | (count[3] != 0 ? 8U : 0U);
    mask |= set << i;
  }
  return mask;
}

// Both values are in the result.
void flow_add(Flow *into, const Flow &other) noexcept;

// The result is one or the other.
void flow_max(Flow *into, const Flow &other) noexcept;

// The values were charged for already, or turned into something that is none.
inline void flow_clear_explicit(Flow *flow) noexcept {
  std::fill(std::begin(flow->count), std::end(flow->count), std::uint16_t{0});
  flow->pure = flow->direct = flow->sometimes = flow->many = false;
}

// What is left of arguments that were handed to something that may disclose them.
inline Flow flow_paid(const Flow &arguments) noexcept {
  Flow flow = kNoFlow;
  flow.implicit = arguments.implicit;
  flow.paid = flow_explicit(arguments);
  return flow;
}

// All that decided: explicit values become implicit.
inline std::uint32_t flow_decides(const Flow &flow) noexcept { return flow_explicit(flow) | flow.implicit; }

// Of the sources in `mask`, those that a row handed over with `flow` is a probe of: a value
// that is metered itself is none besides.  Where it is null, its meter sees to it.
inline std::uint32_t flow_probes(std::uint32_t mask, const Flow &flow) noexcept {
  return mask != 0 ? mask & ~flow_explicit(flow) : 0;
}

// Raises while enforcing: a value may hold kMaxFlowCount values of a source, and nobody knows how many more.
void flow_refuse_beyond_count();

// What `elements` cost that hold `count` values each; what is more than the most is as good as that.
inline std::uint32_t flow_cost(std::uint16_t count, std::uint32_t elements) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(std::uint64_t{count} * elements, kMaxCost));
}

// What the rows of a plan node carry.
struct NodeFlow {
  bool valid;
  bool uniform;  // any number of columns, all like the first
  int size;
  Flow *column;               // null where there are `targets`
  std::uint32_t implicit;     // sources that decided which rows there are
  std::uint32_t order;        // and those that may have decided on no more than their order
  PlanWalk *walk = nullptr;   // where there are targets
  const List *targets = NIL;  // of a scan, see scanned_columns
};

// All that decided on the rows, or may have decided on their order.
inline std::uint32_t node_flow_decides(const NodeFlow &rows) noexcept { return rows.implicit | rows.order; }

// Rows of `size` columns, each of the same flow.
NodeFlow node_flow_uniform(const Flow &flow, int size);

// The flow of a node's column, or of all of them (attno 0); nothing for a null node.
Flow node_flow_column(const NodeFlow *node, AttrNumber attno);

// Like flow_max, but where one alternative holds values of one source and the other of
// another source of the same token type, the result holds one of them, not both.
void flow_alternative(Flow *into, const Flow &other, const Source *sources) noexcept;

// Column by column the alternatives of `n` nodes: each row comes from one of them.
NodeFlow node_flow_alternatives(const NodeFlow *nodes, int n, const Source *sources);

}  // namespace redoubt::pg
#endif
