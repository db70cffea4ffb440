// statistics_meter.h - values of protected columns in pg_statistic.
//
// ANALYZE puts sampled values of every column into pg_statistic, and pg_stats shows
// them.  Queries that read it have the arrays of values metered, each for the column that
// it describes.
#ifndef REDOUBT_PG_STATISTICS_METER_H
#define REDOUBT_PG_STATISTICS_METER_H

#include "pg/boundary.h"

namespace redoubt::pg {

// statistics_meter puts redoubt.meter_statistics around every reference to a values
// column of pg_statistic in `query`, views and subqueries included; changes it in place.
void statistics_meter(Query *query);

}  // namespace redoubt::pg
#endif
