// plan/node_table.h - the kinds of plan node: what the engine in plan/nodes.cpp has to know of each.
//
// A kind has one row.  Most need no code: the row says where the node has its plans, keys and expressions, and the
// engine does the same with all of them.  What is special to a kind is its transfer function.
// Invariant: a node without a row is taken to hold and to depend on every protected value of the statement.
// Covered by test/metering.
#ifndef REDOUBT_PG_PLAN_NODE_TABLE_H
#define REDOUBT_PG_PLAN_NODE_TABLE_H

#include "pg/plan/tag_table.h"

namespace redoubt::pg {

struct PlanWalk;
struct ExprScope;
struct Inputs;

// Does for a kind of node what its row does not say: what variables of a scan mean, meters.  Returns what decides on
// the node's rows.
using NodeTransfer = std::uint32_t(PlanWalk *walk, ExprScope *scope, Inputs *inputs, Plan *plan);

enum class NodeRole : std::uint8_t {
  table,   // scans one table
  scan,    // makes its rows otherwise than from those of the plans below
  rows,    // takes the rows of the plans below
  bitmap,  // finds rows by indexes, for a scan to fetch them
  writes   // ModifyTable, for plan/writes.cpp
};

enum NodeTraits : std::uint8_t {
  kPassesRows = 1,  // every row that it asks for is let out, as it is, where it has no quals
  kOtherRows = 2,   // its target list is not computed once for each row that it takes in
  kReadsAll = 4,    // all of its input, before it lets out a row
  kReadsTable = 8,  // its quals see all rows of the table
};

// What sort, group and distinct keys look at decides which rows there are, or their order.
enum class Keys : std::uint8_t {
  together,  // distinct or grouped rows
  in_turn    // sorted ones, where a later key decides among equals
};

struct NodeKeys {
  Member count = 0;    // an int
  Member columns = 0;  // an array of AttrNumber
  Keys looked_at = Keys::together;
};

struct PlanKind {
  NodeTag tag;
  NodeRole role;
  std::uint8_t traits = 0;
  NodeTransfer *transfer = nullptr;
  NodeKeys keys = {};
  Member each_row[3] = {};  // computed for each row or pair that it takes in, and decides which of them pass
  Member each_run = 0;      // computed once a run; what it decides, the transfer function says
  Member gate = 0;          // the same, and decides that the input is run at all
  Member skips = 0;         // where this is there, it does not pass all rows
  Member plans = 0;         // plans below, besides outer and inner: one or a list
};

// The row of a plan's kind, or null.
const PlanKind *plan_kind(const Plan *plan) noexcept;

// Does the node let out every row that its input is asked for, as it is?
bool passes_rows_on(const Plan *plan);

}  // namespace redoubt::pg
#endif
