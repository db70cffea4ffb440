// limit_statement.h - what the statement at hand was charged so far, per limit.
//
// For limits whose window is one statement.  A statement is what the client sent as one:
//   - functions, DO blocks, triggers and cursors inside belong to it, as do its parallel workers;
//   - of a string with several statements each is one of its own;
//   - a cursor belongs to the statement that declared it or ran it first, and so does every FETCH
//     from it, in whatever statement; where that one had counted already, both are one from then on;
//   - in the extended protocol Bind and every Execute of a portal are one; Parse is one of its own.
//
// Counts are in shared memory while the statement runs, so that workers find them, and in the
// backend's own while another does: a slot per backend holds those of the statement loaded.
//
// Not here: what a limit does when it is exceeded (limits.cpp).
//
// Locks: none.  The owner fills its slot while it has no workers; then both change it by
// atomics alone.  Not durable: no statement outlives its backend.
//
// Covered by sql/limits_statement.sql and test/tap/limits_statement.pl.
#ifndef REDOUBT_PG_LIMITS_LIMIT_STATEMENT_H
#define REDOUBT_PG_LIMITS_LIMIT_STATEMENT_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

Size limit_statement_shmem_size();
void limit_statement_shmem_startup();  // AddinShmemInitLock held by the caller

// limit_statement_load makes the counts of the statement at hand those that the functions below see.
// Called before every charge, and before workers can start.  Cheap where nothing changed.  Raises
// 53000 where memory is short.
void limit_statement_load();

// True while a message was charged that has not run a portal since: running one takes the charge over.
inline constinit int limit_statement_messages = 0;
inline bool limit_statement_unbound() noexcept { return limit_statement_messages > 0; }

// limit_statement_join makes a cursor and the statement at hand one, before FETCH and after
// DECLARE.  Nothing happens if there is no such cursor.
void limit_statement_join(const char *cursor);

// Moves on whenever another statement's counts are loaded: what was taken before is not given back.
uint64 limit_statement_generation() noexcept;

// limit_statement_reserve makes room for a limit's count; raises 53400 where the statement is
// charged to more limits of this kind than there is room for.
void limit_statement_reserve(int64 rule);

// What was taken for a limit; 0 where no room was made.
uint64 limit_statement_taken(int64 rule) noexcept;

// limit_statement_take adds `n` to what was taken; false, and nothing added, where that were more than
// `most` or no room was made.
bool limit_statement_take(int64 rule, uint32 n, uint64 most) noexcept;

// limit_statement_give_back subtracts, stopping at zero.
void limit_statement_give_back(int64 rule, uint32 n) noexcept;

// What the module is told by events.h.
void limit_statement_transaction(XactEvent event);

}  // namespace redoubt::pg
#endif
