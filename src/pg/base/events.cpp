// events.cpp - see events.h.
//
// Backend-local, no locks.  Registered by the postmaster where the library is preloaded, and so in every process.
// Covered by test/tap/neighbours.pl and test/tap/faults.pl.
#include "pg/base/boundary.h"

#include "pg/base/events.h"

namespace redoubt::pg {
namespace {

constinit EventHandlers handlers = {};

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void redoubt_relation_changed(Datum, Oid relid) {
  for (const auto changed : redoubt::pg::handlers.relation) changed(relid);
}

static void redoubt_catalog_changed(Datum, int cache, uint32) {
  for (const auto &handler : redoubt::pg::handlers.catalog)
    if (handler.cache == cache) handler.changed();
}

static void redoubt_subtransaction_ends(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
  using namespace redoubt::pg;
  if (event == SUBXACT_EVENT_ABORT_SUB)
    for (const auto handler : handlers.aborts) contain([handler] { handler(); });
}

[[gnu::hot]] static void redoubt_transaction_ends(XactEvent event, void *) {
  using namespace redoubt::pg;
  for (const auto handler : handlers.transaction) handler(event);
}

// One that fails leaves the others to run.
[[gnu::hot]] static void redoubt_transaction_is_over(XactEvent event, void *) {
  using namespace redoubt::pg;
  std::size_t next = 0;
  while (next < handlers.transaction.size())
    contain([&next, event] {
      while (next < handlers.transaction.size()) handlers.transaction[next++](event);
    });
}

[[gnu::hot]] static void redoubt_transaction(XactEvent event, void *argument) {
  using namespace redoubt::pg;
  return transaction_is_over(event) ? shielded<redoubt_transaction_is_over, WARNING>(event, argument)
                                    : shielded<redoubt_transaction_ends>(event, argument);
}
}

namespace redoubt::pg {

void events_init(const EventHandlers &all) {
  handlers = all;
  CacheRegisterRelcacheCallback(shielded<redoubt_relation_changed, FATAL>, 0);
  std::uint64_t registered[2] = {};
  for (const auto &[cache, changed] : handlers.catalog) {
    std::uint64_t &word = registered[cache / 64];
    const std::uint64_t bit = std::uint64_t{1} << cache % 64;
    if ((word & bit) == 0) CacheRegisterSyscacheCallback(cache, shielded<redoubt_catalog_changed, FATAL>, 0);
    word |= bit;
  }
  RegisterXactCallback(redoubt_transaction, nullptr);
  RegisterSubXactCallback(shielded<redoubt_subtransaction_ends, WARNING>, nullptr);
}

}  // namespace redoubt::pg
