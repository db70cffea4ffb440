// counters.h - PostgreSQL's counters of what statements read are for those who watch over the server.
//
// PostgreSQL counts how often a table was scanned and how many rows and blocks were read, keeps the locks by which a
// serializable transaction notes what it read, and shows all of that to everybody.  How often a plan visits a table can
// be made to hang on a protected value; each counter then says about many rows what one probe has paid for.  So in a
// database with this extension only members of pg_read_all_stats read them, as PostgreSQL has it for the statements of
// others.
#ifndef REDOUBT_PG_PROTECT_COUNTERS_H
#define REDOUBT_PG_PROTECT_COUNTERS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// counters_check is told of a function that an expression is about to run.  Raises 42501 where it shows counters that
// the current user may not read.
void counters_check(Oid function);

// counters_check_command does so for a utility command that shows what it comes upon: EXPLAIN (BUFFERS), VACUUM,
// ANALYZE and CLUSTER with VERBOSE.  Returns null, or a copy of the command without what is only a default of
// PostgreSQL.
PlannedStmt *counters_check_command(PlannedStmt *statement);

}  // namespace redoubt::pg
#endif
