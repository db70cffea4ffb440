// limit_rows.h - rows of redoubt.limit_rule whose role or token type is missing.
//
// A role is the cluster's, a limit the database's: a role may be missing where a dump is restored, and may be dropped
// where the limit is not seen.  limit_rules.cpp reads the rows, limits_sql.cpp writes them.
#ifndef REDOUBT_PG_LIMITS_LIMIT_ROWS_H
#define REDOUBT_PG_LIMITS_LIMIT_ROWS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// limits_forget_gone deletes the limits of roles and token types that no longer exist, records that, and returns how
// many.  It writes as the table's owner: whoever may drop a role may have its limits go.
uint64 limits_forget_gone();

// limit_was_set forgets that a restore left out the limit that is now set: of a role (InvalidOid: every role), a token
// type (likewise), an operation, and a window in nanoseconds (0: one statement).
void limit_was_set(Oid role, Oid type, const char *operation, uint64 per_ns);

// The same of a label: `object` is the identity of what is labelled, such as public.customer.email.
void label_was_set(const char *object);

}  // namespace redoubt::pg
#endif
