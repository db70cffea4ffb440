// events.h - what PostgreSQL tells a library of by callback: registered once, passed on to the modules.
//
// A server has 10 slots for relation-cache callbacks and 64 for catalog-cache ones, for all libraries together; who
// finds none left ends the session.  So this library takes one of the first and one of the others per cache.
#ifndef REDOUBT_PG_BASE_EVENTS_H
#define REDOUBT_PG_BASE_EVENTS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// A relation may be another one than before; InvalidOid: any may.  Called at any time that a lock may be taken, so it
// only notes that what a module remembers is out of date.
using RelationChanged = void (*)(Oid relid);

// The same of the rows of a catalog, by the number of a system cache over it.
struct CatalogChanged {
  int cache;
  void (*changed)();
};

// A transaction ends, or is about to.  Before it does, a handler may raise; at COMMIT, PREPARE and ABORT nothing may
// fail, and no catalog be read.
using TransactionEvent = void (*)(XactEvent event);

// At COMMIT, PREPARE and ABORT, in parallel workers too.
constexpr bool transaction_is_over(XactEvent event) noexcept {
  switch (event) {
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_ABORT:
    case XACT_EVENT_PREPARE:
      return true;
    default:
      return false;
  }
}

// A part of a transaction is rolled back.  Nothing may fail.
using SubtransactionAborts = void (*)();

struct EventHandlers {
  std::span<const RelationChanged> relation;
  std::span<const CatalogChanged> catalog;
  std::span<const TransactionEvent> transaction;  // in this order
  std::span<const SubtransactionAborts> aborts;
};

// events_init registers them.  `handlers` is kept.  Call once per load of the library, preloaded or not.
void events_init(const EventHandlers &handlers);

}  // namespace redoubt::pg
#endif
