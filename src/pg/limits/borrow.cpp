// borrow.cpp - see borrow.h.
//
// A session writes what it asks for into its slot, wakes the worker and waits on its latch until its slot has the
// answer. A session that gives up leaves the request: what is lent for it then finds other takers, or becomes void.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/shared_memory.h"
#include "pg/limits/borrow.h"
#include "pg/limits/limit_clock.h"

namespace redoubt::pg {
namespace {

constexpr long kPatienceMs = 10 * 1000;  // of a session
constexpr long kNapMs = 1000;
constexpr int64 kRefusedFor = USECS_PER_SEC;  // so that a limit that is lifted is heard of within a second
constexpr int64 kFailedFor = USECS_PER_SEC / 5;

struct Slot {
  slock_t lock;  // guards the rest
  uint32 asked;  // number of the last request
  uint32 answered;
  Latch *owner;
  BorrowRequest request;
  BorrowAnswer answer;
};

struct Shared {
  slock_t lock;  // guards the rest, but for slots
  Latch *worker;
  int worker_pid;
  TimestampTz failing_since;  // 0: the server lends, as far as it was asked
  char problem[160];
  Slot slot[FLEXIBLE_ARRAY_MEMBER];
};
constinit Shared *shared = nullptr;

// Runs `f` with the lock held.  Nothing in it may raise.
template <typename F>
auto locked(slock_t *lock, F &&f) noexcept {
  SpinLockAcquire(lock);
  if constexpr (std::is_void_v<std::invoke_result_t<F &>>) {
    f();
    SpinLockRelease(lock);
  } else {
    const auto result = f();
    SpinLockRelease(lock);
    return result;
  }
}

uint32 borrow_wait_event() {
  static constinit uint32 event = 0;
  return compat_wait_event(&event, "RedoubtBorrow");
}

constexpr BorrowAnswer kFailed = {Borrowing::failed, OnExcess::block, DT_NOEND, 0};

// Posts a request and waits for its answer.
BorrowAnswer ask(const BorrowRequest &request) {
  const int number_of_slot = compat_process_number(MyProc);
  if (number_of_slot < 0 || number_of_slot >= MaxBackends) return kFailed;
  Slot *const slot = &shared->slot[number_of_slot];
  const uint32 number = locked(&slot->lock, [&] {
    slot->request = request;
    slot->owner = MyLatch;
    return ++slot->asked;
  });
  const TimestampTz began = limit_clock_now();
  while (true) {
    CHECK_FOR_INTERRUPTS();
    BorrowAnswer answer = kFailed;
    const bool answered = locked(&slot->lock, [&] {
      answer = slot->answer;
      return slot->answered == number;
    });
    if (answered) return answer;
    const long left = kPatienceMs - static_cast<long>((limit_clock_now() - began) / 1000);
    if (left <= 0) break;
    // Each time round: the worker may be another one by now.
    if (Latch *const worker = locked(&shared->lock, [] { return shared->worker; })) SetLatch(worker);
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, std::min(left, kNapMs), borrow_wait_event());
    ResetLatch(MyLatch);
  }
  borrow_note("the worker \"redoubt lease\" does not answer");
  return kFailed;
}

BorrowRequest request_of(UsageEntry *entry, uint32 least) {
  BorrowRequest request = {};
  request.entry = entry;
  request.least = least;
  request.database = MyDatabaseId;
  request.encoding = GetDatabaseEncoding();
  if (const char *const name = get_database_name(MyDatabaseId))
    strlcpy(request.database_name, name, sizeof request.database_name);
  if (entry == nullptr) return request;
  strlcpy(request.role, GetUserNameFromId(entry->key.subject, false), sizeof request.role);
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(entry->key.type));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "redoubt: type %u is gone", entry->key.type);
  const auto *type = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
  const char *const schema = get_namespace_name(type->typnamespace);
  strlcpy(request.type, quote_qualified_identifier(schema != nullptr ? schema : "", NameStr(type->typname)),
          sizeof request.type);
  ReleaseSysCache(tuple);
  return request;
}

}  // namespace

Size borrow_shmem_size() {
  return add_size(offsetof(Shared, slot), mul_size(sizeof(Slot), static_cast<Size>(MaxBackends)));
}

void borrow_shmem_startup() {
  bool found = false;
  shared = static_cast<Shared *>(ShmemInitStruct("redoubt borrowing", borrow_shmem_size(), &found));
  if (found) return;
  memset(shared, 0, borrow_shmem_size());
  SpinLockInit(&shared->lock);
  for (Slot &slot : std::span(shared->slot, static_cast<std::size_t>(MaxBackends))) SpinLockInit(&slot.lock);
}

[[gnu::hot]] uint32 borrowed_take(UsageEntry *entry, uint32 least, uint32 want) noexcept {
  const TimestampTz now = limit_clock_now();
  Borrowed &lent = entry->borrowed;
  return locked(&lent.lock, [&]() -> uint32 {
    if (lent.held <= 0 || now >= lent.until) return 0;
    // Less than asked for is what a throttle of the server there admitted: all of it, and the rest later.
    if (lent.held < least && !lent.partial) return 0;
    const auto n = static_cast<uint32>(std::min<int64>(lent.held, want));
    lent.held -= n;
    return n;
  });
}

void borrowed_give_back(UsageEntry *entry, uint32 n, TimestampTz taken_at) noexcept {
  const TimestampTz now = limit_clock_now();
  Borrowed &lent = entry->borrowed;
  locked(&lent.lock, [&] {
    if (taken_at > lent.lent_at && now < lent.until) lent.held += n;
  });
}

void borrowed_force(UsageEntry *entry, uint32 n) noexcept {
  Borrowed &lent = entry->borrowed;
  const TimestampTz now = limit_clock_now();
  locked(&lent.lock, [&] {
    if (lent.held > 0 && now >= lent.until) lent.held = 0;
    lent.held -= n;
  });
}

bool borrowed_in_debt(UsageEntry *entry) noexcept {
  Borrowed &lent = entry->borrowed;
  return locked(&lent.lock, [&] { return lent.held < 0; });
}

BorrowAnswer borrow(UsageEntry *entry, uint32 least) {
  require_preloaded();
  Borrowed &lent = entry->borrowed;
  // An entry that others share for want of room is nobody's.
  if (!OidIsValid(entry->key.database)) {
    borrow_note("there is no room for another usage entry: raise redoubt.max_subjects");
    return kFailed;
  }
  const TimestampTz now = limit_clock_now();
  BorrowAnswer answer = kFailed;
  const bool known = locked(&lent.lock, [&] {
    answer = lent.refusal;
    return now < lent.refused_until;
  });
  if (known) return answer;
  answer = ask(request_of(entry, least));
  // Who is refused may ask again and again; the server that lends is asked now and then.
  if (answer.how != Borrowing::lent) {
    const int64 stands = answer.how == Borrowing::refused ? kRefusedFor : kFailedFor;
    const TimestampTz until = std::min(answer.retry_at, limit_clock_now() + stands);
    locked(&lent.lock, [&] {
      lent.refusal = answer;
      lent.refused_until = until;
    });
  }
  return answer;
}

uint64 borrow_wait_ns(const BorrowAnswer &answer) noexcept {
  if (answer.retry_at == DT_NOEND) return kGcraNever;
  return static_cast<uint64>(std::max<int64>(answer.retry_at - limit_clock_now(), 0)) * 1000;
}

void borrow_raise(const BindingKey &key, const BorrowAnswer &answer, uint64 wait_ns) {
  const char *const role = GetUserNameFromId(key.subject, true);
  const char *const operation = operation_name(static_cast<Operation>(key.operation));
  const char *const type = format_type_be_qualified(key.type);
  if (answer.how == Borrowing::failed)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("no budget can be borrowed for %s of %s", operation, type),
                    errdetail("The server that redoubt.budget_server names does not lend."),
                    errhint("An administrator finds the reason in redoubt.status() and in the server log."),
                    errdatatype(key.type), errhidestmt(true)));
  const char *const when =
      wait_ns == kGcraNever
          ? ""
          : timestamptz_to_str(limit_clock_wall(limit_timestamp(limit_time_ns(limit_clock_now()) + wait_ns)));
  ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("limit on %s of %s exceeded for role \"%s\"", operation, type, role != nullptr ? role : "?"),
                  errdetail("It is a limit of the server that redoubt.budget_server names, over all servers."),
                  *when != '\0' ? errhint("The next value is allowed at %s.", when)
                  : answer.on_excess == OnExcess::suspend
                      ? errhint("If the role is suspended there, a member of redoubt_admin lifts it there with "
                                "redoubt.lift_suspension().")
                      : errhint("So many values at once are never allowed."),
                  errdatatype(key.type), *when != '\0' ? err_generic_string(PG_DIAG_CONSTRAINT_NAME, when) : 0,
                  errhidestmt(true)));
  pg_unreachable();
}

const char *borrow_try(TimestampTz *since) {
  const BorrowAnswer answer = ask(request_of(nullptr, 0));
  char problem[sizeof shared->problem];
  locked(&shared->lock, [&] {
    *since = shared->failing_since;
    strlcpy(problem, shared->problem, sizeof problem);
  });
  return answer.how == Borrowing::failed ? pstrdup(problem) : nullptr;
}

void borrow_worker_begin() noexcept {
  locked(&shared->lock, [] {
    shared->worker = MyLatch;
    shared->worker_pid = MyProcPid;
  });
}

bool borrow_worker_is_this() noexcept {
  return locked(&shared->lock, [] { return shared->worker_pid == MyProcPid; });
}

bool borrow_next(int *slot, uint32 *number, BorrowRequest *request) noexcept {
  for (; *slot < MaxBackends; ++*slot) {
    Slot &one = shared->slot[*slot];
    const bool waits = locked(&one.lock, [&] {
      if (one.asked == one.answered) return false;
      *number = one.asked;
      *request = one.request;
      return true;
    });
    if (waits) return true;
  }
  return false;
}

void borrow_answer(int slot, uint32 number, const BorrowAnswer &answer) noexcept {
  Slot &one = shared->slot[slot];
  Latch *const owner = locked(&one.lock, [&]() -> Latch * {
    if (one.asked != number) return nullptr;  // it asks anew
    one.answered = number;
    one.answer = answer;
    return one.owner;
  });
  if (owner != nullptr) SetLatch(owner);
}

void borrow_note(const char *problem) noexcept {
  const TimestampTz now = GetCurrentTimestamp();
  locked(&shared->lock, [&] {
    if (problem == nullptr)
      shared->failing_since = 0;
    else if (shared->failing_since == 0)
      shared->failing_since = now;
    strlcpy(shared->problem, problem != nullptr ? problem : "", sizeof shared->problem);
  });
}

}  // namespace redoubt::pg
