// plan/memo.h - flows of expressions that one walk over a plan has found already.
//
// Several rules look at an expression more than once: at an argument to see what it holds and again to put a meter
// around it.  Each look at the expressions within would double with every level of nesting; with the memo it is a
// look-up.
// Invariant: an entry of this turn holds what walking the expression again would give, because its key is all that such
// a walk depends on.  Whoever changes what variables or parameters mean begins another turn, as each walk does.
// Lives in the analysis' memory context.  Covered by test/tap/planning.pl.
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
static_assert(std::has_unique_object_representations_v<MemoKey>, "it is hashed and compared as bytes");

struct MemoEntry {
  MemoKey key;
  std::uint32_t turn;  // in which the flow was found
  Flow flow;
};

}  // namespace redoubt::pg
#endif
