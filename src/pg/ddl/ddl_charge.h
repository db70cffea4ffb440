// ddl_charge.h - what a utility command is charged for protected values.
//
// Called for the command at hand (ddl_command.h), under the lock that it holds itself.  What charges raises 53400 where
// a limit is used up, or in debt.
#ifndef REDOUBT_PG_DDL_DDL_CHARGE_H
#define REDOUBT_PG_DDL_DDL_CHARGE_H

#include "pg/limits/limits.h"

namespace redoubt::pg {

// So many values that nobody knows how many.
constexpr std::uint32_t kAnyNumber = PG_UINT32_MAX;

// The command is going to compute with values of the type, and an error may quote as many of them.
void touch(Oid token_type, std::uint32_t values);
// The same of all protected columns of the table.
void touch_all(Oid relid);

// Columns are sets as StandingCode has them.
bool has_protected(Oid relid, const Bitmapset *columns);

// Errors may quote values of `used`; that the command succeeds tells of `decides`.
void charge_columns(Oid relid, const Bitmapset *used, const Bitmapset *decides);

// A new bound is checked on the rows of the partition, and of the default partition.
void charge_bound(Oid parent, Oid partition);

// One of each column of `columns` for each row.  Tokens are not read; and the partitions of a table come one by one.
void charge_rows(Oid relid, const Bitmapset *columns, Operation operation);

// What is computed from values of `columns` and kept in their place is read, as where a query writes it.
void charge_computed(Oid relid, const Bitmapset *columns);

// Which rows a partition has says of each what its bound does, to whoever reads it when it is a table of its own.
void charge_detached(Oid partition, Oid parent);

}  // namespace redoubt::pg
#endif
