// function_trust.h - functions that may see protected values without disclosing them.
//
//   SECURITY LABEL FOR redoubt ON FUNCTION f(text) IS 'trusted'
//
// The trust is bound to the function's owner and definition: replaced or given away, it
// is not trusted any more.
#ifndef REDOUBT_PG_FUNCTION_TRUST_H
#define REDOUBT_PG_FUNCTION_TRUST_H

#include "pg/boundary.h"

namespace redoubt::pg {

// function_is_trusted: built in and not volatile, of this library, leakproof, or labelled
// as trusted and still what it was then.  Built-in volatile functions have side effects
// that carry values away (pg_notify, set_config, lo_from_bytea...).  Cached.
bool function_is_trusted(Oid function);

// True if making a value of the type may call functions, or lets others call them: a domain
// with constraints, a range or enum of one's own, or an array or row of one.
bool type_runs_code(Oid type);

// True if to_json and its kin call a function that is not trusted for a value of the type: a cast
// from it, or from a part of it, to json.
bool type_casts_to_json(Oid type);

// True for the SQL functions that this library implements.
bool function_is_own(Oid function);

// Raises unless `label` is one that a function may carry.
void function_trust_check(Oid function, const char *label);

// To be called after a SECURITY LABEL command: where it labelled a function as trusted,
// adds owner and definition of this moment to the label.
void function_trust_bind(const SecLabelStmt *statement);

}  // namespace redoubt::pg
#endif
