// memo.h - flows of expressions that one walk over a plan has found already.
//
// Several rules look at an expression more than once: at an argument to see what it holds and again to put a meter
// around it.  Each look at the expressions within would double with every level of nesting; with the memo it is a
// look-up. Invariant: an entry holds what walking the expression again would give, because its key is all that such a
// walk depends on.  Whoever changes what variables or parameters mean within a walk calls memo_clear. Lives in the
// analysis' memory context.  Covered by test/bench/plan.
#ifndef REDOUBT_PG_PLAN_MEMO_H
#define REDOUBT_PG_PLAN_MEMO_H

#include "pg/plan/flow.h"

namespace redoubt::pg {

struct MemoKey {
  const Node *expression;
  const Plan *plan;                              // that computes it
  const void *outer, *index, *scan, *case_test;  // what variables in it mean
  std::uint32_t rows, context, taken;            // what decides that it is computed
  std::uint32_t flags;
};

struct MemoEntry {
  MemoKey key;
  Flow flow;
};

class FlowMemo {
 public:
  // The flow that is known of the expression, or null.
  const Flow *find(const MemoKey &key) const noexcept;
  void add(const MemoKey &key, const Flow &flow);
  // Forgets everything; memory goes with its context.
  void clear() noexcept { *this = {}; }

 private:
  void grow();
  Size place(const MemoKey &key) const noexcept;

  MemoEntry **slot_ = nullptr;  // open addressing, at most half full
  Size slots_ = 0;
  Size entries_ = 0;
};

}  // namespace redoubt::pg
#endif
