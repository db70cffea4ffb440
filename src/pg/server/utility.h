// utility.h - utility commands that touch tokens, the gate or the settings.
#ifndef REDOUBT_PG_SERVER_UTILITY_H
#define REDOUBT_PG_SERVER_UTILITY_H

#include "pg/base/boundary.h"

#include "pg/ddl/ddl_command.h"
#include "pg/reveal/gate.h"

namespace redoubt::pg {

// What utility_begin prepared and utility_end needs.  Plain data on the
// hook's C stack.
struct UtilityCommand {
  PlannedStmt *statement;    // to run: the given one, or a rewritten copy
  GateSnapshot *privileges;  // of the gate, before a command that may change them; null otherwise
  const char *name;          // the command's name, for the audit trail
  bool copies;               // a database that holds Redoubt
  List *indexes;             // that ALTER TABLE could not rebuild, as commands
  DdlCommand ddl;            // what it does to protected columns
};

// utility_begin rewrites COPY <protected table> TO into COPY (SELECT ...) TO, so
// that the rows are metered; notes the gate's privileges before a command that
// may change them; recognises a dump.  Clears *read_only_tree where it made a
// copy of the statement.
void utility_begin(UtilityCommand *command, PlannedStmt *statement, bool *read_only_tree);

// While COPY runs: the tables that it has opened, a List of RangeTblEntry.  Raises 55000 for one whose rows would leave
// without being metered, because the table was another one when the command was rewritten.
void utility_copy_opens(const List *tables);

// For the error path: charges for the values that the message may carry.
void utility_error(UtilityCommand *command) noexcept;

// utility_end records what the command changed: grants on the gate, redoubt.*
// settings.
void utility_end(UtilityCommand *command);

}  // namespace redoubt::pg
#endif
