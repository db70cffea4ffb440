// authors.h - whose code, besides the reader's, runs inside a query.
//
// A view's definition, a rule and a row security policy are expressions of the table owner's that a reader's query
// evaluates as the reader. Where they turn tokens into text or call functions, the owner decides what becomes of that
// text.
#ifndef REDOUBT_PG_REVEAL_AUTHORS_H
#define REDOUBT_PG_REVEAL_AUTHORS_H

#include "pg/base/boundary.h"

#include "pg/base/delivery.h"

namespace redoubt::pg {

// authors_all tells whether `may` holds of every author in the queries around the expression at hand; *without: who it
// does not hold of.  A frame that hands a row over evaluates no expressions, and has none.
// An author is the owner of a relation with a rule or policy that calls functions which are neither built in nor a part
// of a token type, runs queries, or hands a token to anything that may print it.
bool authors_all(DeliveryFrame *innermost, bool (*may)(Oid author, const void *context), const void *context,
                 Oid *without);

// authors_any tells whether there is an author in the queries from `innermost` outwards.
bool authors_any(DeliveryFrame *innermost);

}  // namespace redoubt::pg
#endif
