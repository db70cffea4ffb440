// extension_guard.h - commands around the extension itself that end better with an error of ours.
#ifndef REDOUBT_PG_SERVER_EXTENSION_GUARD_H
#define REDOUBT_PG_SERVER_EXTENSION_GUARD_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// extension_guard raises 2BP01 for a DROP EXTENSION redoubt while columns are of its types, with CASCADE as well, which
// would drop the columns, or while labels name its types; 0A000 where its schema would be renamed, so that nothing of
// it is found any more; and 42501, with what to do, where a role that may not make functions in C restores a token
// type.
void extension_guard(const Node *statement);

}  // namespace redoubt::pg
#endif
