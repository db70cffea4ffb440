// lease_worker.cpp - the background worker that borrows values from the server of redoubt.budget_server.
//
// It takes requests of sessions (borrow.h) one after the other, asks redoubt.lease_budget() of that server, by an
// ordinary connection to the database of the same name, and puts what is lent into the usage entry of the role.  Lots
// begin with kFirstLot values and double while they are used up before they are void; what is void unused goes back, if
// the connection still stands.
//
// Names of roles and types travel, and of times nothing but how long.  What the answer says is checked: no more is lent
// than was asked for.  A connection that fails is made anew with the next request, but not again within kRestMs;
// meanwhile every request is refused at once.  No wait is longer than kAnswerMs, and any ends when the server shuts
// down.
//
// The worker that saves counters starts it while the setting is set (lease_worker_keep); it ends when that is empty.
// Where there are two for a moment, the older one ends.
//
// Locks: those of borrow.h.  Covered by test/tap/borrowed_budget.pl.
#include "pg/base/boundary.h"

#include "pg/base/hash_table.h"
#include "pg/base/settings.h"
#include "pg/base/worker.h"
#include "pg/limits/borrow.h"
#include "pg/limits/lease_worker.h"
#include "pg/limits/limit_clock.h"

#include <libpq-fe.h>

namespace redoubt::pg {
namespace {

constexpr uint32 kFirstLot = 64;
constexpr long kAnswerMs = 5 * 1000;
constexpr long kRestMs = 1000;
constexpr int64 kToldEveryUs = 10 * USECS_PER_SEC;        // a failure is logged
constexpr int kLinks = 8;                                 // databases that are connected to at the same time
constexpr int64 kLongestMs = 36525LL * 24 * 3600 * 1000;  // a hundred years, as limit_rate_problem has it

struct Link {
  Oid database;        // of this server; InvalidOid: unused
  PGconn *connection;  // null: none could be made, at failed_at
  uint32 exchanges;    // over it
  TimestampTz used_at;
  TimestampTz failed_at;
};

// What was lent last for a usage entry.
struct Lot {
  UsageEntry *entry;  // the key
  BorrowRequest request;
  uint32 size;
  TimestampTz until;
};

struct State {
  Link link[kLinks];
  HTAB *lots;
  char *server;       // redoubt.budget_server of the connections
  char problem[160];  // why the last attempt failed
  char told[160];     // what was logged last, while the server does not lend
  TimestampTz told_at;
  BackgroundWorkerHandle *handle;  // of the process that starts it
};
constinit State state = {};

// ---- waiting

// Waits for the socket until `deadline`; false when that is over.
bool await(const PGconn *connection, int what, TimestampTz deadline) {
  const TimestampTz now = limit_clock_now();
  if (now >= deadline) return false;
  const long ms = static_cast<long>((deadline - now) / 1000) + 1;
  const int events = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | what,
                                       PQsocket(connection), ms, PG_WAIT_EXTENSION);
  if ((events & WL_LATCH_SET) != 0) ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  return true;
}

// ---- connections

void fail(const char *problem) noexcept {
  strlcpy(state.problem, problem, sizeof state.problem);
  for (char *c = state.problem; *c != '\0'; ++c) {
    if (*c == '\n') *c = c[1] != '\0' ? ' ' : '\0';
    if (IS_HIGHBIT_SET(*c)) *c = '?';  // of whatever encoding, and perhaps cut
  }
}

void link_close(Link *link) noexcept {
  if (link->connection != nullptr) PQfinish(link->connection);
  *link = {};
}

void link_close_all() noexcept {
  for (Link &link : state.link) link_close(&link);
}

// Connects as redoubt.budget_server says, but to the database of that name; null where it cannot.
PGconn *link_open(const BorrowRequest &request, TimestampTz deadline) {
  char *problem = nullptr;
  PQconninfoOption *const options = PQconninfoParse(setting_budget_server, &problem);
  if (problem != nullptr) PQfreemem(problem);
  if (options == nullptr) {
    fail("redoubt.budget_server is no connection string");
    return nullptr;
  }
  constexpr int kMost = 96;
  const char *keywords[kMost + 4];
  const char *values[kMost + 4];
  int count = 0;
  const auto add = [&](const char *keyword, const char *value) {
    keywords[count] = keyword;
    values[count++] = value;
  };
  add("fallback_application_name", "redoubt budget");
  for (const PQconninfoOption *option = options; option->keyword != nullptr && count < kMost; ++option)
    if (option->val != nullptr && strcmp(option->keyword, "dbname") != 0 &&
        strcmp(option->keyword, "client_encoding") != 0)
      add(option->keyword, option->val);
  add("dbname", request.database_name);
  add("client_encoding", pg_encoding_to_char(request.encoding));
  keywords[count] = nullptr;
  values[count] = nullptr;
  PGconn *const connection = PQconnectStartParams(keywords, values, 0);
  PQconninfoFree(options);
  if (connection == nullptr) {
    fail("out of memory");
    return nullptr;
  }
  PQsetNoticeReceiver(
      connection, [](void *, const PGresult *) {}, nullptr);
  PostgresPollingStatusType poll = PGRES_POLLING_WRITING;
  while (PQstatus(connection) != CONNECTION_BAD && poll != PGRES_POLLING_OK && poll != PGRES_POLLING_FAILED) {
    if (!await(connection, poll == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE, deadline)) {
      fail("no connection within 5 s");
      PQfinish(connection);
      return nullptr;
    }
    poll = PQconnectPoll(connection);
  }
  if (PQstatus(connection) == CONNECTION_OK) return connection;
  fail(PQerrorMessage(connection));
  PQfinish(connection);
  return nullptr;
}

// The connection for a request, made if need be; null where there is none.
Link *link_for(const BorrowRequest &request, TimestampTz deadline) {
  Link *link = nullptr;
  Link *oldest = &state.link[0];
  for (Link &one : state.link) {
    if (one.database == request.database) link = &one;
    if (one.used_at < oldest->used_at) oldest = &one;
  }
  if (link == nullptr) {
    link = oldest;
    link_close(link);
    link->database = request.database;
  }
  if (link->connection != nullptr) return link;
  const TimestampTz now = limit_clock_now();
  link->used_at = now;
  if (link->failed_at != 0 && now < link->failed_at + kRestMs * 1000) return nullptr;
  link->connection = link_open(request, deadline);
  link->failed_at = link->connection != nullptr ? 0 : limit_clock_now();
  return link->connection != nullptr ? link : nullptr;
}

// The last result of a query, or null where there is none in time, or the connection is lost.
PGresult *result_of(PGconn *connection, TimestampTz deadline) {
  PGresult *last = nullptr;
  while (true) {
    while (PQisBusy(connection) != 0) {
      if (!await(connection, WL_SOCKET_READABLE, deadline) || PQconsumeInput(connection) == 0) {
        PQclear(last);
        return nullptr;
      }
    }
    PGresult *const next = PQgetResult(connection);
    if (next == nullptr) return last;
    PQclear(last);
    last = next;
    if (PQresultStatus(last) == PGRES_COPY_IN || PQresultStatus(last) == PGRES_COPY_OUT) return last;
  }
}

// ---- question and answer

// A number of an answer, from 0 to `most`; false where it is none.
bool number(const PGresult *result, int column, int64 most, int64 *value) noexcept {
  const char *const text = PQgetvalue(result, 0, column);
  const int length = PQgetlength(result, 0, column);
  const auto [end, error] = std::from_chars(text, text + length, *value);
  return error == std::errc() && end == text + length && length > 0 && *value >= 0 && *value <= most;
}

struct Said {
  uint32 granted;
  BorrowAnswer answer;
};

// What the result says; false where it is nothing that redoubt.lease_budget() says.
bool read_answer(const PGresult *result, uint32 wanted, Said *said) noexcept {
  enum : int { kGranted, kOnExcess, kRetry, kLongest, kColumns };
  if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 || PQnfields(result) != kColumns)
    return false;
  int64 granted = 0, retry_ms = 0, longest_ms = 0;
  if (!number(result, kGranted, wanted, &granted)) return false;
  said->granted = static_cast<uint32>(granted);
  said->answer = {Borrowing::lent, OnExcess::log, DT_NOEND, 0};
  if (granted > 0 || wanted == 0) return true;
  said->answer.how = Borrowing::refused;
  if (!on_excess_parse(PQgetvalue(result, 0, kOnExcess), &said->answer.on_excess) ||
      said->answer.on_excess == OnExcess::log || !number(result, kLongest, kLongestMs, &longest_ms))
    return false;
  said->answer.longest_ns = static_cast<uint64>(longest_ms) * 1'000'000;
  if (PQgetisnull(result, 0, kRetry) != 0) return true;
  if (!number(result, kRetry, kLongestMs, &retry_ms)) return false;
  said->answer.retry_at = limit_clock_now() + std::max<int64>(retry_ms, 1) * 1000;
  return true;
}

// Asks for `wanted` values, gives back `unused`.  False: there is no answer, and the problem is noted.
bool exchange(const BorrowRequest &request, uint32 least, uint32 wanted, uint32 unused, Said *said) {
  char numbers[3][12];
  const uint32 value[] = {least, wanted, unused};
  for (int i = 0; i < 3; ++i) snprintf(numbers[i], sizeof numbers[i], "%u", value[i]);
  const bool any = request.entry != nullptr;
  const char *const operation = any ? operation_name(static_cast<Operation>(request.entry->key.operation)) : nullptr;
  const char *const values[] = {
      any ? request.role : nullptr, any ? request.type : nullptr, operation, numbers[0], numbers[1], numbers[2]};
  // A connection that was lost while nobody used it shows that only now.  What is charged twice then is lost.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const TimestampTz deadline = limit_clock_now() + kAnswerMs * 1000;
    Link *const link = link_for(request, deadline);
    if (link == nullptr) return false;
    const bool fresh = link->exchanges++ == 0;
    link->used_at = limit_clock_now();
    PGresult *result = nullptr;
    if (PQsendQueryParams(link->connection,
                          "SELECT granted, pg_catalog.left(on_excess, 20), retry_ms, longest_ms"
                          " FROM redoubt.lease_budget($1, $2, $3, $4, $5, $6) LIMIT 2",
                          lengthof(values), nullptr, values, nullptr, nullptr, 0) != 0)
      result = result_of(link->connection, deadline);
    if (result == nullptr) {
      const bool late = limit_clock_now() >= deadline;
      fail(late ? "no answer within 5 s" : PQerrorMessage(link->connection));
      const Oid database = link->database;
      link_close(link);
      if (!fresh && !late) continue;
      *link = {database, nullptr, 0, limit_clock_now(), limit_clock_now()};
      return false;
    }
    const bool understood = read_answer(result, wanted, said);
    if (!understood) {
      const char *const message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
      fail(message != nullptr ? message : "its answer is none of redoubt.lease_budget()");
      if (message == nullptr) link_close(link);
    }
    PQclear(result);
    return understood;
  }
  return false;
}

void note(bool lends) {
  borrow_note(lends ? nullptr : state.problem);
  if (lends) {
    if (state.told[0] != '\0') ereport(LOG, (errmsg("redoubt: the server of redoubt.budget_server lends again")));
    state.told[0] = '\0';
    return;
  }
  const TimestampTz now = limit_clock_now();
  if (strcmp(state.told, state.problem) == 0 || now < state.told_at + kToldEveryUs) return;
  strlcpy(state.told, state.problem, sizeof state.told);
  state.told_at = now;
  ereport(LOG, (errmsg("redoubt: the server of redoubt.budget_server does not lend: %s", state.problem),
                errdetail("Charges to limits are refused meanwhile."),
                errhint("See redoubt.status(), and \"One budget over several servers\" in operations.md.")));
}

// Takes back what is void, under the lock of the entry, and returns how much; makes `enough` true where the rest is.
uint32 take_void(UsageEntry *entry, uint32 least, bool *enough) noexcept {
  const TimestampTz now = limit_clock_now();
  Borrowed &lent = entry->borrowed;
  SpinLockAcquire(&lent.lock);
  const bool is_void = now >= lent.until;
  const uint32 unused = is_void && lent.held > 0 ? static_cast<uint32>(std::min<int64>(lent.held, kLargestLot)) : 0;
  if (unused > 0) lent.held = 0;
  *enough = !is_void && lent.held >= static_cast<int64>(least) && lent.held > 0;
  SpinLockRelease(&lent.lock);
  return unused;
}

BorrowAnswer answer_to(const BorrowRequest &request) {
  Said said = {0, {Borrowing::failed, OnExcess::block, DT_NOEND, 0}};
  if (request.entry == nullptr) {
    const bool lends = exchange(request, 0, 0, 0, &said);
    note(lends);
    return said.answer;
  }
  bool enough = false;
  const uint32 unused = take_void(request.entry, request.least, &enough);
  if (enough) return {Borrowing::lent, OnExcess::log, DT_NOEND, 0};
  bool found = false;
  auto *lot = static_cast<Lot *>(hash_search(state.lots, &request.entry, HASH_ENTER, &found));
  if (!found) *lot = {request.entry, request, kFirstLot, 0};
  lot->request = request;
  const TimestampTz asked_at = limit_clock_now();
  if (asked_at >= lot->until) lot->size = kFirstLot;
  const uint32 least = std::min(std::max<uint32>(request.least, 1), kLargestLot);
  const uint32 wanted = std::max(least, lot->size);
  const bool answered = exchange(request, least, wanted, unused, &said);
  note(answered);
  if (!answered) said.answer.how = Borrowing::failed;
  if (said.answer.how != Borrowing::lent) return said.answer;
  Borrowed &lent = request.entry->borrowed;
  SpinLockAcquire(&lent.lock);
  lent.held += said.granted;
  lent.partial = said.granted < request.least;
  lent.lent_at = limit_clock_now();
  lent.until = asked_at + kLentFor;
  lent.refused_until = 0;
  SpinLockRelease(&lent.lock);
  lot->until = asked_at + kLentFor;
  if (said.granted == wanted) lot->size = std::min(lot->size * 2, kLargestLot);
  return said.answer;
}

bool serve() {
  static BorrowRequest request;
  bool any = false;
  uint32 number = 0;
  for (int slot = 0; borrow_next(&slot, &number, &request); ++slot) {
    borrow_answer(slot, number, answer_to(request));
    any = true;
  }
  return any;
}

// Gives back what is void, and forgets its lots.
void give_back() {
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, state.lots);
  const TimestampTz now = limit_clock_now();
  while (auto *lot = static_cast<Lot *>(hash_seq_search(&status))) {
    if (now < lot->until) continue;
    bool enough = false;
    Said said = {};
    const uint32 unused = take_void(lot->entry, 0, &enough);
    bool connected = false;
    for (const Link &link : state.link)
      connected |= link.connection != nullptr && link.database == lot->request.database;
    if (unused > 0 && connected) note(exchange(lot->request, 0, 0, unused, &said));
    hash_search(state.lots, &lot->entry, HASH_REMOVE, nullptr);
  }
}

void close_idle() {
  for (Link &link : state.link)
    if (link.connection != nullptr && limit_clock_now() > link.used_at + 60 * USECS_PER_SEC) link_close(&link);
}

}  // namespace
}  // namespace redoubt::pg

REDOUBT_WORKER(redoubt_lease_main) {
  using namespace redoubt::pg;
  pqsignal(SIGTERM, die);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  state.lots = hash_table_make<UsageEntry *, Lot>("redoubt lots", 64, TopMemoryContext);
  state.server = MemoryContextStrdup(TopMemoryContext, setting_budget_server);
  borrow_worker_begin();
  while (setting_budget_server[0] != '\0' && borrow_worker_is_this()) {
    const bool any = serve();  // then others may wait already
    give_back();
    close_idle();
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, any ? 0 : kRestMs, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    if (!ConfigReloadPending) continue;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
    if (strcmp(state.server, setting_budget_server) == 0) continue;
    link_close_all();
    pfree(state.server);
    state.server = MemoryContextStrdup(TopMemoryContext, setting_budget_server);
  }
  link_close_all();
  proc_exit(0);
}

namespace redoubt::pg {

void lease_worker_keep() {
  if (state.handle != nullptr) {
    pid_t pid = 0;
    if (GetBackgroundWorkerPid(state.handle, &pid) != BGWH_STOPPED) return;
    pfree(state.handle);
    state.handle = nullptr;
  }
  if (setting_budget_server[0] == '\0') return;
  BackgroundWorker worker =
      worker_description("redoubt_lease_main", "redoubt lease", BgWorkerStart_ConsistentState, BGW_NEVER_RESTART);
  worker.bgw_notify_pid = MyProcPid;
  const MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
  const bool started = RegisterDynamicBackgroundWorker(&worker, &state.handle);
  MemoryContextSwitchTo(old);
  if (started) return;
  state.handle = nullptr;
  fail("no background worker is left: raise max_worker_processes");
  note(false);
}

}  // namespace redoubt::pg
