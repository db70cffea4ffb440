// vault_sweep.h - deletes expired rows of the vault, in every database.
#ifndef REDOUBT_PG_VAULT_VAULT_SWEEP_H
#define REDOUBT_PG_VAULT_VAULT_SWEEP_H

namespace redoubt::pg {

// vault_sweep_register registers the launcher.  Call while preloading.
void vault_sweep_register();

}  // namespace redoubt::pg
#endif
