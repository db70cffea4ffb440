// probe_tree.h - the probes of a statement, point by point: what is charged for rows that pass several of them.
//
// A point of a plan counts rows of which a protected value has decided that they are there (plan/meter_node.h).  Rows
// that pass several points pay once, at the dearest of them; rows of different branches add up.  So what a point asks
// is what it counts itself, or what those below it ask together, whichever is more, and the statement pays what the
// answer asks, as the point above all others.
// Covered by sql/probes.sql and test/metering.
#ifndef REDOUBT_PG_METER_PROBE_TREE_H
#define REDOUBT_PG_METER_PROBE_TREE_H

#include "pg/plan/analysis.h"

namespace redoubt::pg {

// Count is a whole number where rows are counted, and a double where they are estimated.
template <typename Count>
class ProbeTree {
 public:
  struct Asked {
    Count own;    // by the rows that the point counts
    Count below;  // by the points below it
    Count most() const noexcept { return std::max(own, below); }
  };

  // Bytes that the points of an analysis take.
  static Size size(const PlanAnalysis *analysis) noexcept {
    return sizeof(Asked) * (static_cast<Size>(analysis->points) + 1) * static_cast<Size>(analysis->types);
  }

  // `memory` holds size() bytes, all zero.
  ProbeTree(const PlanAnalysis *analysis, void *memory) noexcept
      : analysis_(analysis), asked_(static_cast<Asked *>(memory)) {}

  // Counts `probes` more of a token type, by its place in the analysis, and returns how many of them the statement has
  // not paid for yet.
  Count ask(MeterPoint point, int type, Count probes) noexcept {
    if (point > static_cast<MeterPoint>(analysis_->points)) point = kAnswer;
    Asked *at = place(point, type);
    Count more = at->most();
    at->own += probes;
    more = at->most() - more;
    while (point != kAnswer && more > 0) {
      point = analysis_->above[point];
      at = place(point, type);
      const Count before = at->most();
      at->below += more;
      more = at->most() - before;
    }
    return more;
  }

  const Asked &answer(int type) const noexcept { return *place(kAnswer, type); }

 private:
  Asked *place(MeterPoint point, int type) const noexcept {
    return &asked_[static_cast<Size>(point) * static_cast<Size>(analysis_->types) + static_cast<Size>(type)];
  }

  const PlanAnalysis *analysis_;
  Asked *asked_;
};

}  // namespace redoubt::pg
#endif
