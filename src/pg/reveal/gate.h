// gate.h - who may reveal, reveal masked, tokenize and search.
//
// The privilege is EXECUTE on the type's detokenize, mask, cast and search function,
// held by the current user at the moment of the operation.  Unlike PostgreSQL's
// own check it is not waived for superusers or owners.
#ifndef REDOUBT_PG_REVEAL_GATE_H
#define REDOUBT_PG_REVEAL_GATE_H

#include "pg/base/boundary.h"

#include "pg/types/token_type.h"

namespace redoubt::pg {

// gate_allows tells whether `role` holds the privilege; cached until a GRANT,
// REVOKE, role or membership change.
bool gate_allows(const TokenType *type, Privilege privilege, Oid role);

// gate_require raises 42501, after an audit event, unless the current user
// holds the privilege.  Who may reveal may search.
void gate_require(const TokenType *type, Privilege privilege);

// The same for an implicit reveal, which redoubt.reveal asked for.  In a SECURITY
// DEFINER function the one who set it must hold the privilege as well, else any
// caller could turn a function's tokens into plaintext by a SET before the call;
// a function that sets it itself, or calls detokenize(), speaks for its owner.  So must the owner of a view, rule or
// row security policy whose code runs in the query at hand (authors.h), for an expression's text may be meant for that
// owner.
bool gate_allows_implicit(const TokenType *type, Privilege privilege);
void gate_require_implicit(const TokenType *type, Privilege privilege);

// The same where redoubt.reveal has no say: of values that are opened inside the server.
bool gate_allows_authors(const TokenType *type, Privilege privilege);
void gate_require_authors(const TokenType *type, Privilege privilege);

// gate_holds_any tells whether `role` holds any privilege on any token type.
bool gate_holds_any(Oid role);

// What PostgreSQL refuses itself, EXECUTE on one of the gate's functions, is recorded by the hook that the error
// passes, in two steps, because a catch block is no place to read catalogs in.
// gate_refusal, in the catch block: where the error in flight is a refusal of PostgreSQL's, takes it out of flight and
// returns it; else returns null, and the caller re-throws.
// gate_refused, once the catch block is left: records the denial if the function is the gate's, and raises the refusal
// again, or the error that came in its way.  `plan` is the plan that was refused, null where the refusal came from
// elsewhere (a procedural language's expression): then the record may name no type.
ErrorData *gate_refusal();
[[noreturn]] void gate_refused(ErrorData *refusal, const PlannedStmt *plan);

// A text of every gate function's privileges, to compare before and after a
// command; palloc'd.  gate_audit_changes writes an event per function whose
// privileges changed.
struct GateSnapshot;
GateSnapshot *gate_snapshot();
void gate_audit_changes(const GateSnapshot *before, const char *command);

// What the module is told by events.h: functions, roles and memberships.
void gate_catalog_changed();

}  // namespace redoubt::pg
#endif
