// limit_statement.cpp - see limit_statement.h.
//
// Which statement is at hand follows from the client's portal (delivery_portal), and where there
// is none, from the start time of the client's message.  Links say which portals and messages
// belong to a statement; each lives in the memory of its portal or transaction and goes with it,
// and a statement goes with its last link.
//
// Invariant: while `loaded` is set, the slot holds its counts and nothing else.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/delivery.h"
#include "pg/limits/limit_statement.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

// Limits per statement that one statement can be charged to.
constexpr int kRules = 32;

struct Slot {
  struct {
    pg_atomic_uint64 rule;  // 0 = free; the used ones come first
    pg_atomic_uint64 taken;
  } count[kRules];
};

struct Statement {
  int links;
  struct {
    uint64 rule;
    uint64 taken;
  } count[kRules];  // while it is not loaded
};

struct Link {
  Link *next;
  Portal portal;      // or null:
  TimestampTz began;  // of the client's message, where there is no portal
  Statement *statement;
  MemoryContextCallback forget;  // of the portal
};

// What `loaded` was found by; valid while it is set.
struct Place {
  Portal portal;
  Portal cursor;  // a function's
  TimestampTz began;
  bool operator==(const Place &) const = default;
};
constexpr Place kNowhere = {nullptr, nullptr, DT_NOBEGIN};

struct State {
  Slot *slots = nullptr;  // one per backend
  Slot *slot = nullptr;   // this backend's; in a parallel worker its leader's
  MemoryContext context = nullptr;
  Link *links = nullptr;
  Statement *loaded = nullptr;
  Place loaded_for = kNowhere;
  uint64 generation = 1;
};
constinit State state;

Slot *find_slot() {
  require_preloaded();
  const PGPROC *owner = IsParallelWorker() ? MyProc->lockGroupLeader : MyProc;
  if (owner == nullptr) elog(ERROR, "a parallel worker has no leader");
  const int number = compat_process_number(owner);
  if (number < 0 || number >= MaxBackends) elog(ERROR, "a process of another kind cannot be charged per statement");
  return &state.slots[number];
}

// ---- counts in and out of the slot

void unload() noexcept {
  if (state.loaded == nullptr) return;
  for (int i = 0; i < kRules; ++i)
    state.loaded->count[i] = {pg_atomic_read_u64(&state.slot->count[i].rule),
                              pg_atomic_read_u64(&state.slot->count[i].taken)};
  state.loaded = nullptr;
}

void load(Statement *statement) noexcept {
  unload();
  for (int i = 0; i < kRules; ++i) {
    pg_atomic_write_u64(&state.slot->count[i].rule, statement->count[i].rule);
    pg_atomic_write_u64(&state.slot->count[i].taken, statement->count[i].taken);
  }
  state.loaded = statement;
  ++state.generation;
}

pg_atomic_uint64 *find_count(int64 rule) noexcept {
  if (state.slot == nullptr) return nullptr;
  for (auto &count : state.slot->count)
    if (pg_atomic_read_u64(&count.rule) == static_cast<uint64>(rule)) return &count.taken;
  return nullptr;
}

[[noreturn]] void raise_no_room() {
  ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("a statement cannot be charged to more than %d limits per statement", kRules),
                  errhint("Set fewer of them, each for more roles or token types."), errhidestmt(true)));
  pg_unreachable();
}

// ---- statements and their links

void release(Statement *statement) noexcept {
  if (--statement->links > 0) return;
  if (state.loaded == statement) state.loaded = nullptr;
  pfree(statement);
}

void remove_link(Link *link) noexcept {
  for (Link **at = &state.links; *at != nullptr; at = &(*at)->next)
    if (*at == link) {
      *at = link->next;
      break;
    }
  limit_statement_messages -= link->portal == nullptr ? 1 : 0;
  state.loaded_for = kNowhere;  // another portal may come to lie at the same address
  release(link->statement);
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void limit_statement_portal_ends(void *link) {
  redoubt::pg::remove_link(static_cast<redoubt::pg::Link *>(link));
}
}

namespace redoubt::pg {

[[gnu::hot]] void limit_statement_transaction(XactEvent event) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
  while (limit_statement_messages > 0) {
    Link *link = state.links;
    while (link->portal != nullptr) link = link->next;
    remove_link(link);
    pfree(link);
  }
}

namespace {

void init() {
  if (state.context != nullptr) return;
  MemoryContext made = AllocSetContextCreate(TopMemoryContext, "redoubt statements", ALLOCSET_DEFAULT_SIZES);
  state.context = made;
}

Link *find_link(Portal portal, TimestampTz began) noexcept {
  for (Link *link = state.links; link != nullptr; link = link->next)
    if (link->portal == portal && (portal != nullptr || link->began == began)) return link;
  return nullptr;
}

void add_link(Portal portal, TimestampTz began, Statement *statement) {
  MemoryContext where = portal != nullptr ? portal->portalContext : state.context;
  auto *link = static_cast<Link *>(MemoryContextAllocZero(where, sizeof(Link)));
  link->portal = portal;
  link->began = began;
  link->statement = statement;
  link->next = state.links;
  state.links = link;
  limit_statement_messages += portal == nullptr ? 1 : 0;
  ++statement->links;
  if (portal == nullptr) return;
  link->forget.func = shielded<limit_statement_portal_ends, WARNING>;
  link->forget.arg = link;
  MemoryContextRegisterResetCallback(where, &link->forget);
}

// What a message was charged before it had made a portal goes to that portal's statement.
Statement *take_over(Portal portal) {
  Link *const message = find_link(nullptr, portal->creation_time);
  if (message == nullptr) return nullptr;
  Statement *const statement = message->statement;
  add_link(portal, 0, statement);
  remove_link(message);
  pfree(message);
  return statement;
}

Statement *find_or_make(Portal portal, TimestampTz began) {
  if (const Link *link = find_link(portal, began)) return link->statement;
  if (portal != nullptr)
    if (Statement *statement = take_over(portal)) return statement;
  init();
  auto *statement = static_cast<Statement *>(MemoryContextAllocZero(state.context, sizeof(Statement)));
  add_link(portal, began, statement);
  return statement;
}

// Makes a cursor part of the statement that is loaded.  If it belonged to another one, that one's counts are
// added and all that belonged to it belongs to this one.  Workers may be running.
void join(Portal cursor) {
  const Link *const link = find_link(cursor, 0);
  if (link == nullptr) return add_link(cursor, 0, state.loaded);
  Statement *const other = link->statement;
  if (other == state.loaded) return;
  for (int i = 0; i < kRules && other->count[i].rule != 0; ++i) {
    const auto rule = static_cast<int64>(other->count[i].rule);
    limit_statement_reserve(rule);
    pg_atomic_fetch_add_u64(find_count(rule), static_cast<int64>(other->count[i].taken));
  }
  for (Link *each = state.links; each != nullptr; each = each->next) {
    if (each->statement != other) continue;
    each->statement = state.loaded;
    ++state.loaded->links;
  }
  pfree(other);
}

}  // namespace

Size limit_statement_shmem_size() { return mul_size(sizeof(Slot), static_cast<Size>(MaxBackends)); }

void limit_statement_shmem_startup() {
  bool found = false;
  state.slots = static_cast<Slot *>(ShmemInitStruct("redoubt statements", limit_statement_shmem_size(), &found));
  if (found) return;
  for (Slot &each : std::span(state.slots, static_cast<std::size_t>(MaxBackends)))
    for (auto &count : each.count) {
      pg_atomic_init_u64(&count.rule, 0);
      pg_atomic_init_u64(&count.taken, 0);
    }
}

void limit_statement_load() {
  if (state.slot == nullptr) state.slot = find_slot();
  if (IsParallelWorker()) return;  // the leader has loaded it
  const Portal portal = delivery_portal();
  const Place place = {portal, delivery_outermost() ? nullptr : ActivePortal,
                       portal == nullptr ? GetCurrentStatementStartTimestamp() : 0};
  if (state.loaded != nullptr && state.loaded_for == place) return;
  Statement *const statement = find_or_make(place.portal, place.began);
  if (state.loaded != statement) load(statement);
  if (place.cursor != nullptr && place.cursor != place.portal) join(place.cursor);
  state.loaded_for = place;
}

void limit_statement_join(const char *cursor) {
  limit_statement_load();
  const Portal portal = GetPortalByName(cursor);
  if (PortalIsValid(portal) && !IsParallelWorker()) join(portal);
}

uint64 limit_statement_generation() noexcept { return state.generation; }

void limit_statement_reserve(int64 rule) {
  for (auto &count : state.slot->count) {
    uint64 owner = pg_atomic_read_u64(&count.rule);
    if (owner == 0 && pg_atomic_compare_exchange_u64(&count.rule, &owner, static_cast<uint64>(rule))) return;
    if (owner == static_cast<uint64>(rule)) return;
  }
  raise_no_room();
}

uint64 limit_statement_taken(int64 rule) noexcept {
  pg_atomic_uint64 *const taken = find_count(rule);
  return taken != nullptr ? pg_atomic_read_u64(taken) : 0;
}

bool limit_statement_take(int64 rule, uint32 n, uint64 most) noexcept {
  pg_atomic_uint64 *const taken = find_count(rule);
  if (taken == nullptr) return false;
  uint64 before = pg_atomic_read_u64(taken);
  do {
    if (before > most || most - before < n) return false;
  } while (!pg_atomic_compare_exchange_u64(taken, &before, before + n));
  return true;
}

void limit_statement_give_back(int64 rule, uint32 n) noexcept {
  pg_atomic_uint64 *const taken = find_count(rule);
  if (taken == nullptr) return;
  uint64 before = pg_atomic_read_u64(taken);
  while (!pg_atomic_compare_exchange_u64(taken, &before, before > n ? before - n : 0)) {
  }
}

}  // namespace redoubt::pg
