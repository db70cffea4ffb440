// delivery.h - is a value being delivered to a reader right now?
//
// The output function of a token type may show plaintext only while a query
// produces rows, and never where its text would be written back to disk or into
// a message.  The hooks keep a stack of frames, one per executor or utility
// call in progress; the question is answered from the innermost one.
#ifndef REDOUBT_PG_BASE_DELIVERY_H
#define REDOUBT_PG_BASE_DELIVERY_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// What decides whether a reader gets a value or its token, in what has been done so far of a query.  A row may change
// redoubt.reveal or the role on its way, and back.
class Readers {
 public:
  void note() noexcept;
  // Was anything noted while it was decided by something else than now?
  bool differ() const noexcept;

 private:
  int reveal_ = 0;
  Oid user_ = InvalidOid;  // of the first; none was noted while invalid
  bool mixed_ = false;
};

// A call in progress.  Lives on the hook's C stack.
struct DeliveryFrame {
  DeliveryFrame *parent;
  bool veto;        // nothing at or below this frame is revealed implicitly
  bool evaluates;   // text made by expressions here goes to the reader
  bool delivering;  // a row is being handed to the reader (set around receiveSlot)
  Portal portal;    // that the client runs, whatever cursors functions open below it; null: none, see delivery_portal
  bool hands_on;    // EXECUTE or FETCH: the rows of the query beneath become its own
  const PlannedStmt *plan = nullptr;  // of a query
  bool takes_tokens = false;          // COPY FROM
  bool plans = false;    // EXPLAIN, DECLARE CURSOR or CREATE TABLE AS of the client: its query is planned here
  Readers printed = {};  // whom the output function gave tokens that it did not charge
  Readers left = {};     // for whom meters left tokens to the output function
  int authors = -1;      // how many of `author`, -1 before anybody asked; see reveal/authors.h
  Oid author[8] = {};
};

inline constinit DeliveryFrame *delivery_innermost = nullptr;
inline constinit bool delivery_ending = false;

inline void delivery_push(DeliveryFrame *frame) noexcept { delivery_innermost = frame; }
inline void delivery_pop(const DeliveryFrame *frame) noexcept { delivery_innermost = frame->parent; }
inline bool delivery_outermost() noexcept { return delivery_innermost == nullptr; }  // no frame is pushed

// Between the end of a query's work and its ExecutorEnd no value is delivered,
// whatever frame the query itself was called from: that is when auto_explain
// prints its plan.
inline void delivery_set_ending(bool on) noexcept { delivery_ending = on; }

// The portal of the client's statement.  Null while a statement is parsed or bound, in a function
// that the client calls by the fast path, and in triggers at COMMIT.
inline Portal delivery_portal() noexcept {
  return delivery_innermost != nullptr ? delivery_innermost->portal : ActivePortal;
}

// The kinds of frame; each returns the frame to push.  `shows_tokens` is what is known of the query's plan.
DeliveryFrame delivery_frame_query(const QueryDesc *query, bool shows_tokens);
DeliveryFrame delivery_frame_utility(const Node *statement);  // as written, before any rewriting
inline DeliveryFrame delivery_frame_veto() noexcept {
  return {delivery_innermost, true, false, false, delivery_portal(), false};
}

// pg_stats and its relatives print column values out of pg_statistic: a look at statistics shows tokens.
bool delivery_shows_tokens(const PlannedStmt *plan);

// Definitions hold literals of token types as tokens, and whoever reads one (psql, pg_dump under any name) must see
// them so.  delivery_note_function is told of every function that a query is about to call, and sets the flag for a
// catalog function pg_get_*.
inline constinit bool delivery_calls_definition = false;
void delivery_note_function(Oid function);

// Marks the session as a dump: tokens only, for its rest.
void delivery_mark_dump() noexcept;

// True while text made by an output function goes to a reader.
bool delivery_to_reader() noexcept;

// True where what is read comes from a place that was shown tokens: COPY FROM, a subscription, the script of a dump.
bool delivery_takes_tokens() noexcept;

// Told by the output function of a token that it gives without a charge.  True if a meter may have left it the charge.
bool delivery_note_token() noexcept;

// True while a statement that the client sent is parsed or bound to parameters, called from an input function, whose
// FmgrInfo is the argument, for a literal of the statement or a parameter itself.  What is called for a part of it,
// or by code that runs meanwhile (a CHECK of a domain, a trigger at COMMIT), is not.
bool delivery_given_by_client(const FmgrInfo *input) noexcept;

// True while a statement of the client is planned, not one of a function.
inline bool delivery_plans_for_client() noexcept {
  return delivery_innermost == nullptr || (delivery_innermost->parent == nullptr && delivery_innermost->plans);
}

// True in a COPY FROM of a client that is no such script.
bool delivery_copies_in() noexcept;

// True while a portal hands out rows of RETURNING, EXECUTE, FETCH, CALL or a held
// cursor: they come out of a tuple store, and no executor is running.
bool delivery_from_store() noexcept;

// True if rows that the query of `frame` puts into a tuple store are printed to the client, where
// the output function meets each token.  What a function, a DO block or a commit stores is not.
bool delivery_store_is_printed(const DeliveryFrame *frame) noexcept;

// True while the rows of a held cursor are printed, which were charged for when it was filled.
bool delivery_store_is_paid() noexcept;

// True if rows of `query` go straight to the reader as text made by output
// functions, so that revealing happens (and is charged) there rather than as a read.
bool delivery_makes_text(const QueryDesc *query) noexcept;

}  // namespace redoubt::pg
#endif
