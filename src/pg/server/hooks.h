// hooks.h - the server hooks: saved, chained, dispatched.
#ifndef REDOUBT_PG_SERVER_HOOKS_H
#define REDOUBT_PG_SERVER_HOOKS_H

namespace redoubt::pg {

// Installs every hook.  Call from _PG_init while preloading.
void hooks_install();

}  // namespace redoubt::pg
#endif
