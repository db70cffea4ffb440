// ddl_meter.h - DDL that evaluates an expression on every row without a plan.
//
// CREATE INDEX on an expression, ADD CHECK, ADD COLUMN ... GENERATED and ALTER COLUMN
// TYPE ... USING hand every value of the table to the functions in the expression.
#ifndef REDOUBT_PG_DDL_METER_H
#define REDOUBT_PG_DDL_METER_H

#include "pg/boundary.h"

namespace redoubt::pg {

// ddl_meter charges, before the command runs, every protected value that its expressions
// would hand to a function that is not trusted.  Raises 53400.
void ddl_meter(const Node *statement);

}  // namespace redoubt::pg
#endif
