// planner_hooks.h - what Redoubt does while a statement is planned.
//
// Puts meters into the finished plan, keeps aggregates over protected columns on this
// server, and keeps statistics of protected columns from functions that might disclose
// them.
#ifndef REDOUBT_PG_PLANNER_HOOKS_H
#define REDOUBT_PG_PLANNER_HOOKS_H

namespace redoubt::pg {

// Installs the hooks.  Call while preloading.
void planner_hooks_install();

}  // namespace redoubt::pg
#endif
