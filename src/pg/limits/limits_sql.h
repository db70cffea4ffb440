// limits_sql.h - what the SQL functions around limits share: their arguments, and how a rule stands.
#ifndef REDOUBT_PG_LIMITS_LIMITS_SQL_H
#define REDOUBT_PG_LIMITS_LIMITS_SQL_H

#include "pg/base/boundary.h"

#include "pg/limits/limit_rules.h"
#include "pg/limits/limits.h"

namespace redoubt::pg {

// Arguments that must not be null and must name an existing role, a token type, an
// operation.  Raise 22004, 42704, 22023.
Oid limits_role_argument(FunctionCallInfo fcinfo, int argument);
Oid limits_token_type_argument(FunctionCallInfo fcinfo, int argument);
Operation limits_operation_argument(FunctionCallInfo fcinfo, int argument);

// How a rule stands to one more value, from the mildest; equal to the order of refusals in limits.cpp.
enum class Verdict : int { logs, admits, delays, degrades, blocks, suspends, suspended };

struct LimitStanding {
  const LimitRule *rule;
  Verdict verdict;
  uint64 remaining;
  uint64 wait_ns;  // until the next value is allowed; 0 = now
  TimestampTz suspended;
  bool charged;  // the operation is the rule's own
};
LimitStanding limit_standing(const LimitRule &rule, Oid role, bool charged, uint64 now);

}  // namespace redoubt::pg
#endif
