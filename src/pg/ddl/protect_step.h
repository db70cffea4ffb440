// protect_step.h - one step of redoubt.protect_column(): what it is asked to do, and its parts.
//
// A step is one transaction's work on a column and on those that foreign keys tie to it.  The parts are C++ alone: no
// SQL function calls one of them, so that no code but a step's own has the authority of a step.  What is looked up in
// SQL (sql/redoubt--0.1--0.2.sql) reads, and decides nothing by itself.
//
// Every part runs as the owner of the table, connected to SPI, with the settings of a step (protect_column.cpp), while
// the step has its turn (protect_locks.cpp).  A part returns how to go on: see protect_step() in docs/reference.md.
#ifndef REDOUBT_PG_DDL_PROTECT_STEP_H
#define REDOUBT_PG_DDL_PROTECT_STEP_H

#include "pg/ddl/protection.h"

namespace redoubt::pg {

// A column of the group.
struct StepMember {
  Oid relid;
  AttrNumber source;
};

struct StepCall {
  StepMember column;  // the one that was asked for
  const char *name;   // by this
  const TokenType *type;
  int batch;
  int lock_timeout;  // milliseconds: for how long somebody may have to wait for the step, and the step works locked
  bool build_indexes;
  bool swap;
  int members;  // of the group; tables that refer to others come before those
  StepMember *member;
};

// ---- asking and telling PostgreSQL (protect_column.cpp)

// Runs a query, whose rows are SPI's then, with a search_path that finds nothing of anybody's own.
void step_ask(const char *sql, std::span<Oid> types, Datum *values);

// The first column of the first row of a query, as text; null where it is null or there is none.
const char *step_ask_text(const char *sql, std::span<Oid> types, Datum *values);
void step_run(const char *sql);
const char *step_table_name(Oid relid);  // qualified and quoted
const char *step_column_name(const StepMember &member);
void step_set(const char *setting, const char *value);

// Runs `work` in a subtransaction, in which each lock is waited for as long as a step may; false where one was not got,
// after which nothing of it is left.  With `keeps` what it did is committed.
template <typename Work>
bool step_run_within(const StepCall &step, bool keeps, Work &&work) {
  try {
    Subtransaction subtransaction;
    call([&] {
      step_set("lock_timeout", psprintf("%d", step.lock_timeout));
      work();
    });
    if (keeps) subtransaction.commit();
    return true;
  } catch (const Error &error) {
    const int code = error.edata()->sqlerrcode;
    if (code != ERRCODE_LOCK_NOT_AVAILABLE && code != ERRCODE_T_R_DEADLOCK_DETECTED) throw;
    return false;
  }
}

template <typename Work>
bool step_try(const StepCall &step, Work &&work) {
  return step_run_within(step, true, work);
}
// Looks at something, and rolls back, so that nothing stays locked.  What is palloc'd stays.
template <typename Look>
bool step_look(const StepCall &step, Look &&look) {
  return step_run_within(step, false, look);
}

// ---- locks (protect_locks.cpp)

// Steps that work on one table take turns.  Comes before any lock on a table, and is held to the transaction's end;
// false where another one is at work for longer than a lock is waited for.
bool step_take_turn(const StepCall &step, std::span<const Oid> tables);

// Waits until an autovacuum of the table has given way, as it does to who waits long enough for this lock; false where
// something else does not.
bool step_wait_for_vacuum(const StepCall &step, Oid relid);

// Locks relations in that order, each owned by the current user, their privileges and the names of their schemas;
// raises 55P03 where one is not got before `milliseconds` have passed for all of them.
void step_lock(std::span<const Oid> relations, int milliseconds);

// What the catalog says of relations, and of all that hangs on them, as a number: the same number, the same rows.
std::uint64_t step_stamp(std::span<const Oid> relations);

// ---- the parts

// Begins with a column: the token column beside it, its trigger, its row.  Next, retry.
const char *protect_begin(const StepCall &step, const StepMember &member);

// Fills or verifies some blocks.  Again; next; locked; ready, where all is verified and the table's file is that of
// then.
const char *protect_rows(const StepCall &step, const StepMember &member);

// Older: a snapshot is left that would find no token.  Slow: it would take longer than `lock_timeout`.  Retry, next,
// done.
const char *protect_swap(const StepCall &step);

// 53400 where limits on reading by the column's label would end with it.
void protect_require_limits(const StepMember &member, Oid token_type);

}  // namespace redoubt::pg
#endif
