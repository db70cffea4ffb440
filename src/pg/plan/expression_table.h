// plan/expression_table.h - the kinds of expression: how the value of each is made from its parts.
//
// A kind has one row, which says where its parts are and how they are combined.  What more there is to a kind is its
// transfer function.
// Invariant: a statement that holds an expression of a kind without a row is refused (0A000), never let through.
// Covered by test/metering.
#ifndef REDOUBT_PG_PLAN_EXPRESSION_TABLE_H
#define REDOUBT_PG_PLAN_EXPRESSION_TABLE_H

#include "pg/plan/flow.h"
#include "pg/plan/tag_table.h"

namespace redoubt::pg {

struct PlanWalk;
struct ExprScope;

// The flow of an expression of a kind whose row does not say all.
using ExpressionTransfer = Flow(PlanWalk *walk, const ExprScope &scope, Node *node);

// How the parts make up the value.
enum class Combine : std::uint8_t {
  leaf,      // it has none that hold values
  value,     // it is the value of its only part
  all,       // it holds all of them, each of which is computed
  in_turn,   // it holds all of them, and those before decide whether the next is computed
  one_of,    // it is one of them, found out from all
  first_of,  // it is one of them, and those before decide whether the next is computed
  transfer   // as the transfer function says
};

struct ExpressionKind {
  NodeTag tag;
  Combine combine;
  bool quoted = false;  // a function that is given it may quote it in a message
  Member part[5] = {};  // expressions or lists, in the order that they are computed in; none: all that it has
  ExpressionTransfer *transfer = nullptr;
};

// The row of an expression's kind, or null.
const ExpressionKind *expression_kind(const Node *node) noexcept;

}  // namespace redoubt::pg
#endif
