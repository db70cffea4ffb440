// plan/out_of_sight.h - what another library's plan would do where no meter is.
//
// A library that plans statements itself (one that sends them to other servers) leaves a custom scan that says nothing
// of how its rows are made.  Plain columns, comparisons of tokens and trusted functions may be computed there: what
// leaves such a scan is counted by what its rows can hold (plan/scans.cpp).  What cannot be counted so, or takes the
// keys, privileges or settings of this session, has to be computed above it.
#ifndef REDOUBT_PG_PLAN_OUT_OF_SIGHT_H
#define REDOUBT_PG_PLAN_OUT_OF_SIGHT_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Are the columns that another library's node computes with those of its relations?  Where it has plans below, or none
// of the relations, its variables mean what that library wants.
bool says_what_it_reads(const PlannedStmt *plan, const CustomScan *scan);

// Does the plan hold a scan of another library's that does not say what it reads?
bool hides_scans(const PlannedStmt *plan);

// What is known of a hidden scan's rows from the query: flags of ours beside those of CustomScan that are PostgreSQL's.
constexpr std::uint32_t kNothingDecides = 1U << 30;  // no protected column has a part in which rows there are, or in
                                                     // their order
constexpr std::uint32_t kNothingCarried = 1U << 29;  // nor in any column of the result
constexpr std::uint32_t kOnlyCopies = 1U << 28;      // protected values are in the result as they are, or not at all

constexpr std::uint32_t kPlannedBelow = 1U << 27;  // the plan was there when Redoubt looked at the statement: what the
                                                   // query says of it is known

// outputs_of is called before the library plans the query, and tell_outputs with its plan: sets the flags, and says of
// which columns of tables the columns of a result are copies, where the hidden scan is the whole plan.
struct Outputs {
  List *targets;
  std::uint32_t flags;
};
Outputs outputs_of(const Query *query);
void tell_outputs(const PlannedStmt *plan, const Outputs &outputs);

// Does an expression of `query`, the subqueries in it aside, hold what is not to be computed out of sight?
bool stays_in_sight(const Query *query, Node *expression);

// Where a query that reads protected columns holds such things.
struct InSight {
  bool reads;        // any protected column
  bool here;         // in the select list, conditions, order... of the query itself
  bool below;        // in a subquery, or in the condition of a join; or another server is asked for rows
  bool written;      // a command writes a protected value where it is not protected, or hands it to a function
  bool several;      // `here` is more than one aggregate or window function, each of which can be computed out of sight
  const Node *call;  // the last that was met of those that protected values decide on

  bool any() const noexcept { return here || below || written; }
};
InSight find_in_sight(Query *query);

}  // namespace redoubt::pg
#endif
