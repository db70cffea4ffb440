// plan/flow.cpp - flows of whole rows; see plan/flow.h.
//
// Allocates in the current memory context, nothing is kept.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/walk.h"
#include "pg/base/settings.h"

namespace redoubt::pg {

void flow_refuse_beyond_count() {
  if (!enforcing()) return;
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("the statement puts more protected values into one than can be counted"),
                  errhint("Split the statement.")));
}

void flow_add(Flow *into, const Flow &other) noexcept {
  for (const int i : bits_of(flow_explicit(other))) into->count[i] = flow_count_sum(into->count[i], other.count[i]);
  into->implicit |= other.implicit;
  into->paid = 0;
  into->pure = false;
  into->direct |= other.direct;
  into->sometimes |= other.sometimes;
  into->many |= other.many;
}

void flow_max(Flow *into, const Flow &other) noexcept {
  const std::uint32_t holds = flow_explicit(other);
  into->sometimes |= other.sometimes || flow_explicit(*into) != holds;
  for (const int i : bits_of(holds)) {
    into->count[i] = std::max(into->count[i], other.count[i]);
  }
  into->implicit |= other.implicit;
  into->paid &= other.paid;
  into->pure = into->pure && other.pure;
  into->direct |= other.direct;
  into->many |= other.many;
}

NodeFlow node_flow_uniform(const Flow &flow, int size) {
  NodeFlow rows = {true, false, size, nullptr, flow.implicit, 0};
  rows.column = static_cast<Flow *>(palloc(sizeof(Flow) * static_cast<Size>(std::max(size, 1))));
  std::fill_n(rows.column, size, flow);
  return rows;
}

Flow node_flow_column(const NodeFlow *node, AttrNumber attno) {
  if (node == nullptr || !node->valid || attno < 0) return kNoFlow;
  if (node->uniform) return node->column[0];
  if (attno > node->size) return kNoFlow;
  if (attno > 0) return node->targets != NIL ? scanned_column(*node, attno) : node->column[attno - 1];
  Flow flow = kNoFlow;
  for (int i = 1; i <= node->size; ++i) flow_add(&flow, node_flow_column(node, static_cast<AttrNumber>(i)));
  return flow;
}

namespace {

// The sources of one row or of another: a copy of a column in the one stands for one in the other.
std::uint32_t mask_alternative(std::uint32_t one, std::uint32_t other, const Source *sources) noexcept {
  std::uint32_t free = one & ~other;
  std::uint32_t both = one;
  for (const int i : bits_of(other & ~one)) {
    std::uint32_t stands = 0;
    for (const int k : bits_of(free))
      if (stands == 0 && sources[k].is_copy_of(sources[i])) stands = 1U << k;
    free &= ~stands;
    if (stands == 0) both |= 1U << i;
  }
  return both;
}

}  // namespace

void flow_alternative(Flow *into, const Flow &other, const Source *sources) noexcept {
  // A null of the one or the other is no value.
  const bool pure = (into->pure || flow_decides(*into) == 0) && (other.pure || flow_decides(other) == 0);
  const bool lacks_some = flow_explicit(*into) != flow_explicit(other);
  int excess[kMaxSources];  // what `into` holds more of, and may stand for another source of the type
  for (int i = 0; i < kMaxSources; ++i) excess[i] = std::max(into->count[i] - other.count[i], 0);
  for (int i = 0; i < kMaxSources; ++i) {
    int missing = other.count[i] - into->count[i];
    for (int k = 0; k < kMaxSources && missing > 0; ++k) {
      if (excess[k] == 0 || !sources[k].is_like(sources[i])) continue;
      const int used = std::min(missing, excess[k]);
      excess[k] -= used;
      missing -= used;
    }
    if (missing > 0) into->count[i] = static_cast<std::uint16_t>(into->count[i] + missing);
  }
  into->sometimes |= other.sometimes || lacks_some;
  into->implicit = mask_alternative(into->implicit, other.implicit, sources);
  into->paid &= other.paid;
  into->pure = pure;
  into->direct |= other.direct;
  into->many |= other.many;
}

NodeFlow node_flow_alternatives(const NodeFlow *nodes, int n, const Source *sources) {
  NodeFlow result = {true, false, 0, nullptr, 0, 0};
  for (int i = 0; i < n; ++i)
    if (nodes[i].valid) {
      result.implicit = mask_alternative(result.implicit, nodes[i].implicit, sources);
      result.order = mask_alternative(result.order, nodes[i].order, sources);
    }
  const NodeFlow *first = nullptr;
  for (int i = 0; i < n; ++i) {
    if (!nodes[i].valid || (first != nullptr && same_columns(*first, nodes[i]))) continue;
    if (first == nullptr) {
      result.size = nodes[i].size;
      result.column = static_cast<Flow *>(palloc(sizeof(Flow) * static_cast<Size>(std::max(result.size, 1))));
    }
    for (int k = 0; k < std::min(result.size, nodes[i].size); ++k) {
      const Flow flow = node_flow_column(&nodes[i], static_cast<AttrNumber>(k + 1));
      if (first == nullptr)
        result.column[k] = flow;
      else
        flow_alternative(&result.column[k], flow, sources);
    }
    if (first == nullptr) first = &nodes[i];
  }
  return result;
}

}  // namespace redoubt::pg
