// deferred_errors.h - errors that come when a transaction commits.
//
// A deferred constraint is checked by COMMIT, outside of any query, and its message quotes
// the key.  A transaction that changed a protected table with such constraints and fails
// before its commit is through pays for one value of each token type of that table.
#ifndef REDOUBT_PG_METER_DEFERRED_ERRORS_H
#define REDOUBT_PG_METER_DEFERRED_ERRORS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// How many values of a token type the text of an error may quote at most.
struct Quotable {
  Oid token_type;
  std::uint32_t values;
};
bool quotable_is_among(const List *list, Oid token_type) noexcept;
// Adds to a list of Quotable *, in which each token type is once.
void quotable_add(List **list, MemoryContext context, const Quotable &quotable);

// To be called when a plan that changes tables has run, and before COPY FROM.
void deferred_errors_note(const PlannedStmt *plan);
void deferred_errors_note_table(Oid relid);

// What a deferred check may quote now: a List of Quotable *.
const List *deferred_errors_quotable();

// To be called for ROLLBACK, which checks nothing.
void deferred_errors_forget();

// What the module is told by events.h.
void deferred_errors_transaction(XactEvent event);

}  // namespace redoubt::pg
#endif
