// limits_sql.h - what the SQL functions around limits share: their arguments, and who sees whom.
#ifndef REDOUBT_PG_LIMITS_LIMITS_SQL_H
#define REDOUBT_PG_LIMITS_LIMITS_SQL_H

#include "pg/base/boundary.h"

#include "pg/limits/limits.h"

namespace redoubt::pg {

// Arguments that must not be null and must name an existing role, a token type, an
// operation.  Raise 22004, 42704, 22023.
Oid limits_role_argument(FunctionCallInfo fcinfo, int argument);
Oid limits_token_type_argument(FunctionCallInfo fcinfo, int argument);
Operation limits_operation_argument(FunctionCallInfo fcinfo, int argument);

}  // namespace redoubt::pg
#endif
