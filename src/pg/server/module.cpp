// module.cpp - load time: events, settings, key, shared memory, workers, hooks.  Nothing else.
//
// Loaded on demand (not preloaded), the library defines nothing but what it hears of changes, and the provider of
// labels: tokens can be read, written, compared, dumped and restored, and whatever reveals or tokenizes calls
// require_preloaded() and fails.  CREATE EXTENSION loads it, so a session that restores a dump can label.
// Covered by test/tap/not_preloaded.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/server/hooks.h"
#include "pg/audit/kek.h"
#include "pg/base/events.h"
#include "pg/base/plaintext.h"
#include "pg/keys/keys.h"
#include "pg/limits/limit_rules.h"
#include "pg/ddl/ddl_command.h"
#include "pg/meter/deferred_errors.h"
#include "pg/plan/meter_node.h"
#include "pg/protect/function_trust.h"
#include "pg/protect/labels.h"
#include "pg/protect/protected_columns.h"
#include "pg/reveal/disclosure.h"
#include "pg/reveal/gate.h"
#include "pg/types/token_type.h"
#include "pg/vault/vault_store.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"
#include "pg/vault/vault_sweep.h"
#include "pg/audit/audit_anchor.h"
#include "pg/audit/audit_archive.h"
#include "pg/audit/audit_server.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/audit_worker.h"
#include "pg/limits/borrow.h"
#include "pg/limits/limit_statement.h"
#include "pg/limits/limits.h"
#include "pg/limits/limits_worker.h"
#include "pg/limits/throttled_sessions.h"

namespace redoubt::pg {
namespace {
constexpr SharedPart kSharedParts[] = {
    {audit_trail_shmem_size, audit_trail_shmem_startup},
    {audit_archive_shmem_size, audit_archive_shmem_startup},
    {audit_anchor_shmem_size, audit_anchor_shmem_startup},
    {limits_shmem_size, limits_shmem_startup},
    {borrow_shmem_size, borrow_shmem_startup},
    {throttled_sessions_shmem_size, throttled_sessions_shmem_startup},
    {limit_statement_shmem_size, limit_statement_shmem_startup},
};

constexpr RelationChanged kRelationChanged[] = {token_type_relation_changed, protected_relation_changed,
                                                function_trust_relabelled, limit_rules_relation_changed,
                                                keys_relation_changed};
constexpr CatalogChanged kCatalogChanged[] = {
    {TYPEOID, token_type_catalog_changed},
    {PROCOID, catalog_function_changed},
    {PROCOID, token_type_catalog_changed},
    {NAMESPACEOID, token_type_catalog_changed},
    {PROCOID, gate_catalog_changed},
    {AUTHOID, gate_catalog_changed},
    {AUTHMEMROLEMEM, gate_catalog_changed},
    {AUTHMEMMEMROLE, gate_catalog_changed},
    {PROCOID, function_trust_changed},
    {PROCOID, placed_functions_changed},
    {AUTHOID, function_trust_changed},
    {CASTSOURCETARGET, function_trust_changed},
    {AUTHMEMMEMROLE, limit_rules_roles_changed},
    {AUTHOID, limit_rules_roles_changed},
    {RELOID, vault_catalog_changed},
    {NAMESPACEOID, vault_catalog_changed},
};
// The statement's limits go last: what the others still charge counts in them.
constexpr TransactionEvent kTransactionEvents[] = {disclosure_transaction, deferred_errors_transaction,
                                                   ddl_maintenance_transaction, limit_statement_transaction,
                                                   plaintext_transaction};
// An error ended the statement, or a part of it that a function catches.
constexpr SubtransactionAborts kSubtransactionAborts[] = {disclosure_give_back_all};
}  // namespace
}  // namespace redoubt::pg

extern "C" {
REDOUBT_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
static void redoubt_load(void) {
  using namespace redoubt::pg;
  events_init({kRelationChanged, kCatalogChanged, kTransactionEvents, kSubtransactionAborts});
  labels_init();
  if (!process_shared_preload_libraries_in_progress) return;
  settings_define();
  kek_load();
  audit_server_load();
  shared_memory_init(kSharedParts);
  limits_worker_register();
  audit_worker_register();
  vault_sweep_register();
  hooks_install();
}
}

void _PG_init(void) { redoubt::pg::shielded<redoubt_load>(); }
