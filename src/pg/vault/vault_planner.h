// vault_planner.h - plans that tokenize values of vaulted types.
#ifndef REDOUBT_PG_VAULT_VAULT_PLANNER_H
#define REDOUBT_PG_VAULT_VAULT_PLANNER_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// vault_tokenizes tells, before it is planned, that a query calls redoubt.tokenize() for a vaulted type: then it must
// not be planned with workers.
bool vault_tokenizes(Query *query);

}  // namespace redoubt::pg
#endif
