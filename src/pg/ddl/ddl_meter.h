// ddl_meter.h - DDL that evaluates expressions on rows without a plan.
//
// CREATE INDEX, ADD CHECK, VALIDATE, ALTER ... TYPE and ADD ... GENERATED hand the values
// of a table to the functions in their expressions, ALTER DOMAIN those of every column of
// the domain, ATTACH PARTITION those of the partition key; ANALYZE, REINDEX, CLUSTER,
// VACUUM FULL and REFRESH evaluate the expressions of indexes and statistics again.
//
// A function that is not trusted is charged for what it is given, as `read`, to the
// session that runs the command.  Maintenance runs with the owner's functions: where the
// session is not the owner's, it would pay for what the owner's code sees, and is refused
// instead while enforcing; autovacuum always is.
// A constraint that holds or not costs a `probe` per protected column.
#ifndef REDOUBT_PG_DDL_DDL_METER_H
#define REDOUBT_PG_DDL_DDL_METER_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// ddl_meter charges, before the command runs, what it will disclose.  Raises 53400, and
// 55000 for maintenance that is refused.  Returns the token types (a list of OIDs) whose
// values an error of the command may quote, for ddl_meter_error.
List *ddl_meter(const Node *statement);

// For the error path: the message may carry a protected value.
void ddl_meter_error(const List *token_types) noexcept;

// ddl_tables lists the tables whose rows an ALTER of `relid` reaches: itself, children and
// partitions, and the tables of a composite type.
List *ddl_tables(Oid relid);

}  // namespace redoubt::pg
#endif
