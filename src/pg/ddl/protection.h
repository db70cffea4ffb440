// protection.h - a column that is being protected online: its row of redoubt.protection, and what holds of it.
//
// redoubt.protect_column() (sql/redoubt--0.1--0.2.sql) adds a token column beside a column, keeps it current by a
// trigger (keep_token.cpp), fills it in batches and verifies it (protect_rows.cpp), and swaps the two.
//
// Invariants:
// - Whoever calls, all work on a table is done as its owner, in a security-restricted operation, as that of REINDEX is.
//   Code of the table, whatever it is, can do no more than its owner could, and cannot change the role.  No part of a
//   step can be called by itself: what SQL may call does a whole one (protect_column.cpp), or only looks.
// - A row of redoubt.protection belongs to one trigger, by OID, and goes with that trigger.  It was made by a step, for
//   columns of one table.  The trigger tokenizes in the name of the table's owner: it can do no more than a
//   SECURITY DEFINER function of the owner's could.  The budget charged is the session's own.
// - Both columns and the trigger hang together by pg_depend: with the column go trigger and token column, with the
//   token column goes the trigger, which nobody can drop or replace by itself.
// - What labels the column labels the token column beside it, from the beginning: reading the tokens costs what reading
//   the values does, until they take their place (labels_copy).
// - Only sealed types, because a value of one is a token or is not one, whatever it looks like.
// - The columns change places when no snapshot is left that is older than the filling: it would find no token.
// - What decides a step is looked at under the lock that the step holds (protection_open), by OID and number.
#ifndef REDOUBT_PG_DDL_PROTECTION_H
#define REDOUBT_PG_DDL_PROTECTION_H

#include "pg/base/boundary.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {

enum class ProtectStep : std::uint8_t { fill, verify, swap };

struct Protection {
  Oid trigger;
  Oid relid;
  AttrNumber source;  // the column that is to be protected
  AttrNumber target;  // the token column beside it
  Oid token_type;
  ProtectStep step;
  BlockNumber next_block;
  BlockNumber blocks;
  int64 rows_done;
  Oid file;               // the table's file that the blocks are of
  TransactionId version;  // of the trigger's catalog row: another one may have been switched off meanwhile
  std::uint64_t horizon;  // the transaction number after the last that filled; 0: not filled
};

// protection_of_trigger reads the row of a trigger; false where there is none.
bool protection_of_trigger(Oid trigger, Protection *found);

// The same of a column; false also where the trigger is gone or another one.
bool protection_of_column(Oid relid, AttrNumber source, Protection *found);

// protection_open locks the table and returns it, with the protection of one of its columns; 42501 where the current
// user does not own it, 55000 where there is none, or where table, columns or trigger are not what they were.
Relation protection_open(Oid relid, AttrNumber source, LOCKMODE mode, Protection *found);

// protection_insert writes the row, and ties columns and trigger together; protection_update writes it again.
void protection_insert(const Protection &protection);
void protection_update(const Protection &protection);

// protection_forget deletes the row of a trigger that is being dropped, and unties the columns.  Told by a hook.
void protection_forget(Oid class_id, Oid object);

// protection_drop_trigger drops a trigger, and with it the row, and lets the columns go each its own way.
void protection_drop_trigger(Oid trigger);

// protection_record tells the audit trail.
void protection_record(const char *operation, const Protection &protection, int64 count);

// protection_add_arbiters lets INSERT ... ON CONFLICT meet a conflict in the index of the tokens, too, where it asks
// for one in the index of the values beside it (second_arbiter.cpp).
void protection_add_arbiters(PlannedStmt *plan);

// protection_require_ordinary raises 55000 unless the table is one whose rows are its own and no rule changes a
// command.
void protection_require_ordinary(Relation relation);

// Is the trigger the one that protect_column() makes, and on?  `version` is that of its catalog row.
bool protection_trigger_is_sound(Oid trigger, Oid relid, TransactionId *version);

// May columns of that type be protected online by the token type?
bool protection_fits(const TokenType *type, Oid source_type);

// The value of a column as the type's tokenizing function takes it.
Datum protection_value(Oid source_type, Datum value);

// Would a text be taken for a token instead of a value?
bool protection_looks_like_token(const TokenType *type, Datum value);

// 55000 unless the columns are of the types that they were.
void protection_require_fit(const Protection &protection, const TokenType *type);
[[noreturn]] void protection_raise_unfit(const Protection &protection);

// protection_require_owner raises 42501 unless the current user owns the table: a step runs as its owner, who may have
// become another one while it waited for its lock.
void protection_require_owner(Oid relid);

}  // namespace redoubt::pg
#endif
