// ddl_maintenance.h - commands that evaluate a table's own expressions again, and what
// they and ddl_meter charge.  See ddl_meter.h.
#ifndef REDOUBT_PG_DDL_DDL_MAINTENANCE_H
#define REDOUBT_PG_DDL_DDL_MAINTENANCE_H

#include "pg/limits/limits.h"
#include "pg/protect/protected_columns.h"

namespace redoubt::pg {

enum class Rows { visible, every_version };

// Adds the type to those that an error may quote, once; raises 53400 where it is in debt.
void ddl_touch(List **types, Oid token_type);

// Charges a column of the relation for all its rows.
void ddl_charge_rows(Oid relid, const ProtectedColumn &column, Rows counted);

// ANALYZE, VACUUM FULL, REINDEX, CLUSTER and REFRESH; does nothing for other statements.
void ddl_meter_maintenance(List **types, const Node *statement);

// In an autovacuum worker: a function is about to be called, by maintenance of a table that the current user owns.
// Raises 55000 where it would be given protected values and is not trusted.
void ddl_meter_autovacuum(Oid function);

// A rewrite of the table: indexes, statistics, constraints and generated columns.
void ddl_meter_rewrite(List **types, Oid relid);

}  // namespace redoubt::pg
#endif
