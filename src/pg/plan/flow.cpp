// plan/flow.cpp - flows of whole rows; see plan/flow.h.
//
// Allocates in the current memory context, nothing is kept.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/flow.h"
#include "pg/base/settings.h"

namespace redoubt::pg {

void flow_refuse_beyond_count() {
  if (setting_mode != static_cast<int>(Mode::enforce)) return;
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("the statement puts more protected values into one than can be counted"),
                  errhint("Split the statement.")));
}

NodeFlow node_flow_uniform(const Flow &flow, int size) {
  NodeFlow rows = {true, false, size, nullptr, flow.implicit, 0};
  rows.column = static_cast<Flow *>(palloc(sizeof(Flow) * static_cast<Size>(std::max(size, 1))));
  std::fill_n(rows.column, size, flow);
  return rows;
}

Flow node_flow_column(const NodeFlow *node, AttrNumber attno) {
  Flow flow = kNoFlow;
  if (node == nullptr || !node->valid) return flow;
  if (node->uniform && attno >= 0)
    flow = node->column[0];
  else if (attno > 0 && attno <= node->size)
    flow = node->column[attno - 1];
  else if (attno == 0)
    for (int i = 0; i < node->size; ++i) flow_add(&flow, node->column[i]);
  return flow;
}

void flow_alternative(Flow *into, const Flow &other, const Source *sources) noexcept {
  const bool same = flow_holds_same(*into, other);  // as a column of several partitions does
  // A null of the one or the other is no value.
  const bool pure = (into->pure || flow_decides(*into) == 0) && (other.pure || flow_decides(other) == 0);
  int excess[kMaxSources];  // what `into` holds more of, and may stand for another source of the type
  for (int i = 0; i < kMaxSources && !same; ++i) excess[i] = std::max(into->count[i] - other.count[i], 0);
  for (int i = 0; i < kMaxSources && !same; ++i) {
    int missing = other.count[i] - into->count[i];
    for (int k = 0; k < kMaxSources && missing > 0; ++k) {
      if (excess[k] == 0 || sources[k].token_type != sources[i].token_type ||
          sources[k].is_token != sources[i].is_token)
        continue;
      const int used = std::min(missing, excess[k]);
      excess[k] -= used;
      missing -= used;
    }
    if (missing > 0) into->count[i] = static_cast<std::uint16_t>(into->count[i] + missing);
  }
  into->implicit |= other.implicit;
  into->paid &= other.paid;
  into->pure = pure;
  into->many |= other.many;
}

NodeFlow node_flow_alternatives(const NodeFlow *nodes, int n, const Source *sources) {
  NodeFlow result = {true, false, 0, nullptr, 0, 0};
  for (int i = 0; i < n; ++i)
    if (nodes[i].valid) {
      result.implicit |= nodes[i].implicit;
      result.order |= nodes[i].order;
    }
  bool first = true;
  for (int i = 0; i < n; ++i) {
    if (!nodes[i].valid) continue;
    if (first) {
      result.size = nodes[i].size;
      result.column = static_cast<Flow *>(palloc(sizeof(Flow) * static_cast<Size>(std::max(result.size, 1))));
    }
    for (int k = 0; k < std::min(result.size, nodes[i].size); ++k) {
      if (first)
        result.column[k] = nodes[i].column[k];
      else
        flow_alternative(&result.column[k], nodes[i].column[k], sources);
    }
    first = false;
  }
  return result;
}

}  // namespace redoubt::pg
