// plan/index_paths.h - no scan of an index brings rows into an order by protected values that nobody asked for.
//
// Rows that an index finds come in its order, whatever the planner has chosen it for: those of one tenant, by an index
// of tenant and e-mail address, in the order of the addresses.  They would cost a probe each.
#ifndef REDOUBT_PG_PLAN_INDEX_PATHS_H
#define REDOUBT_PG_PLAN_INDEX_PATHS_H

#include "pg/base/boundary.h"

extern "C" {
#include "nodes/pathnodes.h"
}

namespace redoubt::pg {

// For set_rel_pathlist_hook: takes such paths away, and makes others: by a bitmap, or of the whole table.
void replace_unasked_orders(PlannerInfo *root, RelOptInfo *relation, const RangeTblEntry *entry);

}  // namespace redoubt::pg
#endif
