// ddl_command.h - what a utility command does to protected columns, as PostgreSQL itself reports it by OID.
//
// PostgreSQL calls the object access hook for each object that a command makes, changes or drops, with its OID and
// under the lock that the command took by itself.  Everything here is decided there: no name is looked up.
//
// - Code that would get a protected column is refused before it runs (protect/standing_code.h).
// - ALTER COLUMN ... TYPE of a protected table, and REFRESH from protected columns, run trusted functions only.
// - A constraint, bound, index predicate or expression that holds or not costs a probe per protected column; CLUSTER by
//   a protected column one per row, because the order of the rows tells of it.
// - So does DETACH PARTITION where the bound reads a protected column.
// - A partition does not change below a statement that may put rows there, of which nobody has counted what that tells.
// - A column that was filled from a protected one, or would be protected no longer, is labelled.
// - An error that may quote values costs a read for each that its text may hold; so does one of maintenance (ANALYZE,
//   REINDEX, …), which evaluates what stands on a table without telling anybody which table.
// - ALTER COLUMN ... TYPE and DROP EXPRESSION put no more than one value into one.
// - A trusted function is frozen: only members of redoubt_admin replace, alter or drop it.
#ifndef REDOUBT_PG_DDL_DDL_COMMAND_H
#define REDOUBT_PG_DDL_DDL_COMMAND_H

#include "pg/plan/analysis.h"

namespace redoubt::pg {

struct ProtectedBefore;

// One utility command that runs; on the hook's C stack, so that commands inside of others make a stack.
struct DdlCommand {
  const Node *statement;
  DdlCommand *outer;
  MemoryContext context;    // of the lists
  List *quotable;           // of Quotable: token types whose values an error may quote
  List *made;               // OIDs of relations that it made
  List *changed;            // OIDs of relations whose protection it may have changed
  List *probed;             // of constraints: columns that were charged, by name
  ProtectedBefore *before;  // protected columns, as they were
  Oid filled;               // the new table or materialised view
  Oid clustered;
  bool only_trusted;  // functions that are not trusted are refused until it ends
  bool maintains;     // quotable are all types in use, where code of a table's owner is run
};

// The command at hand, or null.
extern DdlCommand *ddl_command;

// ddl_command_begin fills in the command; it is at hand once ddl_command = command.
void ddl_command_begin(DdlCommand *command, const Node *statement);
// After that: which values its errors may quote, where that is known before it runs.  Raises while in debt.
void ddl_command_quotes(DdlCommand *command);

// For the error path: charges for values that the message may carry.
void ddl_command_error(DdlCommand *command) noexcept;

// A built-in function that does maintenance in a query is about to be called; `in_query` where the query's executor
// will see its errors, which other places (an expression of PL/pgSQL) are refused for not doing.
bool ddl_is_maintenance(Oid function) noexcept;
void ddl_maintenance_called(bool in_query);
// For the error path of such a query.
void ddl_maintenance_error() noexcept;
void ddl_maintenance_transaction(XactEvent event);

// After the command: labels what it filled or would have freed, and looks at what stands on tables that it changed.
void ddl_command_end(DdlCommand *command);

// From the object access hook.
void ddl_object_access(ObjectAccessType access, Oid class_id, Oid object, int column, void *argument);
// From the same for each function that an expression is about to call, while ddl_command->only_trusted.
void ddl_function_called(Oid function);

// From ExecutorCheckPerms_hook: COPY names its table there by OID.  True where the command copies into the table.
bool ddl_copy_table(Oid relid);

// ddl_command_filled is called when a query has filled a new table.
void ddl_command_filled(const PlanAnalysis *analysis);

}  // namespace redoubt::pg
#endif
