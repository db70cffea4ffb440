// function_trust.h - functions that may see protected values without disclosing them.
//
//   SECURITY LABEL FOR redoubt ON FUNCTION f(text) IS 'trusted'
//
// The trust is bound to the function's owner and definition: replaced or given away, it
// is not trusted any more.
#ifndef REDOUBT_PG_PROTECT_FUNCTION_TRUST_H
#define REDOUBT_PG_PROTECT_FUNCTION_TRUST_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// function_is_trusted: built in and not volatile, of this library, leakproof, of one of those extensions of
// PostgreSQL's contrib that only compute, or labelled as trusted and still what it was then.  Built-in volatile
// functions have side effects that carry values away (pg_notify, set_config, lo_from_bytea...), and a few others quote
// what they are given in notices (to_regtype, xpath).  Cached.
bool function_is_trusted(Oid function);

// True for a function in C, which only a superuser can make, and for one that does not exist.
bool function_is_in_c(Oid function);

// True if making a value of the type may call functions, or lets others call them: a domain,
// which may be given a check at any time, a range or enum of one's own, a built-in type whose input function raises
// notices, or an array or row of one.
bool type_runs_code(Oid type);

// True if to_json and its kin call a function that is not trusted for a value of the type: a cast
// from it, or from a part of it, to json.
bool type_casts_to_json(Oid type);

// True for a type whose cast to text is a function that is not trusted.
bool type_casts_to_text(Oid type);

// The first cast that is not trusted by which a function, if it is built in, may print one of its arguments: any by
// that to json (to_json), some by that to text (quote_literal, text || any).  InvalidOid for `function`: an SQL/JSON
// expression.
Oid printing_cast(Oid function, const List *arguments);

// True for to_tsvector and its kin, which raise a notice for a word of more than 2 kB.
bool function_makes_words(Oid function) noexcept;

// True for a function that only looks things up, and leaves a trace of the object which it is given the OID of: a lock,
// a text search dictionary that is loaded with a warning, a notice that quotes it.
bool acts_on_objects(Oid function, const List *arguments);

// True for the SQL functions that this library implements.
bool is_redoubt_function(Oid function);

// Raises unless `label` is one that a function may carry.
void function_trust_check(Oid function, const char *label);

// function_trust_bind adds owner and definition of this moment to the label of a function that was just labelled as
// trusted.
void function_trust_bind(Oid function);

// True if the function is labelled, whether the label still fits or not, or leakproof: it is frozen then.
bool function_is_vouched(Oid function);

// What the module is told by events.h: functions, roles and casts; a change of labels, which is announced as one of
// every relation.
void function_trust_changed();
// Moves on with whatever may change what is trusted.
std::uint64_t function_trust_generation() noexcept;
void function_trust_relabelled(Oid relid);

}  // namespace redoubt::pg
#endif
