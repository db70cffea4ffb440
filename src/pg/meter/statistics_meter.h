// statistics_meter.h - values of protected columns in the statistics of the planner.
//
// ANALYZE puts sampled values of every column into pg_statistic, and of extended
// statistics into pg_statistic_ext_data; pg_stats, pg_stats_ext and pg_stats_ext_exprs show
// them.  Queries that read these have the values metered, each for the column that it
// describes.
#ifndef REDOUBT_PG_METER_STATISTICS_METER_H
#define REDOUBT_PG_METER_STATISTICS_METER_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// statistics_meter puts redoubt.meter_statistics around every reference to a values
// column of either table in `query`, views and subqueries included; changes it in place.
void statistics_meter(Query *query);

// statistics_guard raises 42501 for a plan that reads the TOAST tables of the two, whose chunks
// do not say what column they are of; superusers excepted.
void statistics_guard(const PlannedStmt *plan);

// True for the two tables.
bool statistics_table(Oid relid) noexcept;

// The attribute numbers of what an extended statistics object is about: its columns, and
// those its expressions use.  Null where the object is gone.
Bitmapset *statistics_columns(Oid statistics);

}  // namespace redoubt::pg
#endif
