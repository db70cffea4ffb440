// deferred_errors.cpp - see deferred_errors.h.
//
// The list lives in the transaction's memory; the callback for its abort runs before that
// goes.  Whatever else makes such a transaction fail costs as much: what the error was
// cannot be told any more.  Backend-local, no locks.
// Covered by sql/ddl_metering.sql.
#include "pg/base/boundary.h"

#include "pg/meter/deferred_errors.h"
#include "pg/limits/limits.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "utils/reltrigger.h"
}

namespace redoubt::pg {
namespace {

constinit List *pending = NIL;

bool defers(Oid relid) {
  bool any = false;
  each_table_part(relid, [&](Relation part) {
    for (int i = 0; part->trigdesc != nullptr && i < part->trigdesc->numtriggers; ++i)
      any |= part->trigdesc->triggers[i].tgdeferrable;
  });
  return any;
}

// A key has so many columns at most; of an array in it, as many elements are supposed as fit into an index.
constexpr std::uint32_t kMostQuoted = 1000;
constexpr std::uint32_t kArray = 500;

Quotable *find(const List *list, Oid token_type) noexcept {
  for (auto *known : list_of<Quotable>(list))
    if (known->token_type == token_type) return known;
  return nullptr;
}

}  // namespace

bool quotable_is_among(const List *list, Oid token_type) noexcept { return find(list, token_type) != nullptr; }

void quotable_add(List **list, MemoryContext context, const Quotable &quotable) {
  if (Quotable *known = find(*list, quotable.token_type); known != nullptr) {
    known->values = std::max(known->values, quotable.values);
    return;
  }
  MemoryContext old = MemoryContextSwitchTo(context);
  auto *copy = static_cast<Quotable *>(palloc(sizeof(Quotable)));
  *copy = quotable;
  *list = lappend(*list, copy);
  MemoryContextSwitchTo(old);
}

[[gnu::hot]] void deferred_errors_transaction(XactEvent event) {
  if (event == XACT_EVENT_ABORT) {
    for (const auto *deferred : list_of<const Quotable>(pending)) {
      limits_force(deferred->token_type, Operation::read, deferred->values);
    }
  }
  pending = NIL;  // at PRE_COMMIT the deferred checks are through
}

void deferred_errors_note_table(Oid relid) {
  if (protected_relation(relid) == nullptr || !defers(relid)) return;
  each_protected_column(relid, [relid](const ProtectedColumn &of) {
    Quotable errors = {of.source.token_type, 0};
    each_protected_column(relid, [&errors](const ProtectedColumn &column) {
      if (column.source.token_type == errors.token_type)
        errors.values = std::min(errors.values + (column.is_array ? kArray : column.count), kMostQuoted);
    });
    quotable_add(&pending, TopTransactionContext, errors);
  });
}

void deferred_errors_note(const PlannedStmt *plan) {
  for (const int rti : ints_of(plan->resultRelations))
    deferred_errors_note_table(rt_fetch(static_cast<Index>(rti), plan->rtable)->relid);
}

const List *deferred_errors_quotable() { return pending; }

void deferred_errors_forget() { pending = NIL; }

}  // namespace redoubt::pg
