// borrow.h - values that another server lends: one budget over several servers.
//
// Where redoubt.budget_server is set, each value that is charged here is one that the server there has lent to the same
// login role, for the same token type and operation: its limits were charged for it, by redoubt.lease_budget().  Limits
// of this server count beside that.  Values are lent in lots, which the worker of lease_worker.cpp asks for when a
// session finds too few; they are kept in the role's usage entry, and are void kLentFor after they were asked for.
//
// Invariant: what is charged here in any time was charged there before, at most kLentFor and a statement ago.  What is
// lost on the way (a crash, a connection, an answer that came too late) stays charged there.
//
// Not here: what a limit admits (limits.cpp), the connection (lease_worker.cpp), lending (lending.cpp).
//
// Locks: Borrowed.lock in the usage entry, the lock of a slot, that of what all share: spinlocks, one at a time, over
// assignments alone.
// Covered by test/tap/borrowed_budget.pl.
#ifndef REDOUBT_PG_LIMITS_BORROW_H
#define REDOUBT_PG_LIMITS_BORROW_H

#include "pg/base/boundary.h"

#include "pg/base/settings.h"
#include "pg/limits/limit_bindings.h"
#include "pg/limits/limit_rules.h"
#include "pg/limits/limits_shmem.h"

namespace redoubt::pg {

// How long values are good for, from when they were asked for; and how many are asked for at once, at most.
constexpr int64 kLentFor = 5 * USECS_PER_SEC;
constexpr uint32 kLargestLot = 16384;

Size borrow_shmem_size();
void borrow_shmem_startup();  // AddinShmemInitLock held by the caller

// Does a charge of this session need values that are lent?  Where nothing is refused anyway, it does not.
inline bool borrows() noexcept {
  return setting_budget_server[0] != '\0' && setting_mode == static_cast<int>(Mode::enforce);
}

// borrowed_take charges at most `want` of the values that are lent, or none where there are fewer than `least`; returns
// how many.  Of an answer that was less than asked for, it takes what there is.
uint32 borrowed_take(UsageEntry *entry, uint32 least, uint32 want) noexcept;

// Gives back values taken at `taken_at`: lost where others were lent since, or they are void.
void borrowed_give_back(UsageEntry *entry, uint32 n, TimestampTz taken_at) noexcept;

// Charges values that are disclosed already, lent or not.
void borrowed_force(UsageEntry *entry, uint32 n) noexcept;
bool borrowed_in_debt(UsageEntry *entry) noexcept;

// borrow asks for `least` values, or more, and waits for the answer, at most some seconds; a cancel ends it.  `lent`:
// try again to take them.
BorrowAnswer borrow(UsageEntry *entry, uint32 least);

// How long until a value is admitted; kGcraNever where that is not known.
uint64 borrow_wait_ns(const BorrowAnswer &answer) noexcept;

// What a role is told that got none: 53400 or, where the server does not lend, 55000.
[[noreturn]] void borrow_raise(const BindingKey &key, const BorrowAnswer &answer, uint64 wait_ns);

// borrow_try asks the server whether it lends, now.  Null: it does; else why not, in the current context; `since` is
// when that was first so.
const char *borrow_try(TimestampTz *since);

// ---- for the worker

struct BorrowRequest {
  UsageEntry *entry;  // null: whether the server lends is all that is asked
  uint32 least;
  Oid database;
  int encoding;  // of the names
  char database_name[NAMEDATALEN];
  char role[NAMEDATALEN];
  char type[4 * NAMEDATALEN];  // qualified and quoted
};

// The worker that is told of requests is the process that called this last.
void borrow_worker_begin() noexcept;
bool borrow_worker_is_this() noexcept;

// borrow_next finds a request that waits, at or after `*slot`, and copies it; false where there is none.
bool borrow_next(int *slot, uint32 *number, BorrowRequest *request) noexcept;
void borrow_answer(int slot, uint32 number, const BorrowAnswer &answer) noexcept;

// Notes that the server lends (null), or why it does not.
void borrow_note(const char *problem) noexcept;

}  // namespace redoubt::pg
#endif
