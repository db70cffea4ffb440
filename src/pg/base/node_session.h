// node_session.h - is this session a connection of another node of a cluster?
//
// Where statements are sent on to other servers in the name of the role that gave them, the server that the client is
// connected to opens values and charges for what it delivers.  A connection between nodes carries tokens, and what it
// reads is not charged a second time.
//
// A client can give any application_name, so a node is known by what authentication established (SYSTEM_USER, such as
// cert:node or peer:postgres), listed in redoubt.node_identities.  Nobody is, where that is empty.  A session that sets
// its application_name is not one from then on: so Citus marks connections over which a user's own commands are sent.
//
// Of such a session only a statement that calls nothing but trusted functions goes uncharged: what a function does that
// another node has this one call (a distributed function of Citus) that node knows nothing of.
#ifndef REDOUBT_PG_BASE_NODE_SESSION_H
#define REDOUBT_PG_BASE_NODE_SESSION_H

#include "pg/base/boundary.h"

#include "pg/base/settings.h"

namespace redoubt::pg {

bool node_session_listed() noexcept;  // where there is a list
inline bool node_session() noexcept {
  return setting_node_identities != nullptr && *setting_node_identities != '\0' && node_session_listed();
}

// Call while preloading.
void node_session_install();

// A flag of such a statement's plan, beside the planner's in PlannedStmt.jitFlags; plans are copied with it.
constexpr int kNodeStatement = 1 << 30;

// Is it such a statement that is being started or has just run?  It is in no frame (delivery.h) then.
inline constinit bool node_statement_outside = false;
inline bool is_node_statement(const PlannedStmt *plan) noexcept { return (plan->jitFlags & kNodeStatement) != 0; }

// Is it such a statement that is running right now, and nothing that it calls?
bool node_statement() noexcept;

// Told of a utility command before it is run.
void node_session_command(const Node *statement) noexcept;

// Is the text a list that the setting may be?
bool node_identities_valid(char *list);

}  // namespace redoubt::pg
#endif
