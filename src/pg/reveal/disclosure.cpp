// disclosure.cpp - admission of single values and per-statement summaries.
//
// Backend-local leases, one per (token type, operation) revealed in the current statement, and accumulators, which tell
// the users apart as well.  A statement that is cancelled, or whose connection is lost, leaves its intent record at
// once and its summary at abort.
//
// A lease is given back at once when its subject has changed, or anything that could refuse its values: a value is
// admitted by the rules of the moment, as if it were charged alone.
// Covered by sql/audit.sql, test/tap/audit.pl and test/tap/limits_leases.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"
#include "pg/reveal/disclosure.h"
#include "pg/reveal/gate.h"
#include "pg/audit/kek.h"
#include "pg/base/delivery.h"
#include "pg/base/log_guard.h"
#include "pg/base/shared_memory.h"
#include "pg/limits/lease.h"

namespace redoubt::pg {
namespace {

// Of one user's values: what is revealed in a function with its owner's privilege is told apart.
struct Summary {
  Oid token_type;
  Operation op;
  Oid session_user, current_user;
  int64 count;
};
constexpr int kMaxSummaries = 32;

constexpr int kMaxLeases = 16;

// What the current statement has leased.
struct Leases {
  Lease lease[kMaxLeases];
  int count;
  Oid subject;  // whom all of them are charged to
  uint64 news;  // limits_news when they were made
};

struct LastTokenized {
  Oid token_type;
  TimestampTz statement;
  std::size_t size;  // kMaxRepeated + 1: too long to be remembered
  std::array<std::uint8_t, kMaxRepeated> token;
};

struct State {
  Summary summary[kMaxSummaries];
  int summaries;
  Leases leases;
  LastTokenized tokenized;  // the last value
};
constinit State state = {};

AuditEvent event_of(const Summary &summary, const char *outcome) noexcept {
  return {.event = summary.op == Operation::tokenize ? "tokenize" : "reveal",
          .outcome = outcome,
          .token_type = summary.token_type,
          .operation = operation_name(summary.op),
          .count = summary.count,
          .follows_intent = summary.op != Operation::tokenize,
          .session_user = summary.session_user,
          .current_user = summary.current_user};
}

// Something is to be settled at the end of the statement.
void set_pending() noexcept { disclosure_pending = true; }

// Finds the statement's accumulator, writing the intent record when it is new.
Summary *open_summary(Oid token_type, Operation op) {
  const Summary fresh = {token_type, op, GetSessionUserId(), GetUserId(), 0};
  for (int i = 0; i < state.summaries; ++i) {
    const Summary &known = state.summary[i];
    if (known.token_type == token_type && known.op == op && known.current_user == fresh.current_user &&
        known.session_user == fresh.session_user)
      return &state.summary[i];
  }
  if (state.summaries == kMaxSummaries) disclosure_flush();
  set_pending();
  if (op == Operation::tokenize)
    audit_remember(token_type);  // nothing is revealed: no intent, but the abort callback wants the name
  else
    audit_write({.event = "reveal", .outcome = "intent", .token_type = token_type, .operation = operation_name(op)});
  state.summary[state.summaries] = fresh;
  return &state.summary[state.summaries++];
}

Lease *lease_of(Oid token_type, Operation op) {
  const Oid subject = GetSessionUserId();
  const uint64 news = limits_news();
  if (subject != state.leases.subject || news != state.leases.news) [[unlikely]] {
    disclosure_give_back_all();
    state.leases.subject = subject;
    state.leases.news = news;
  }
  for (int i = 0; i < state.leases.count; ++i)
    if (state.leases.lease[i].token_type == token_type && state.leases.lease[i].operation == op)
      return &state.leases.lease[i];
  if (state.leases.count == kMaxLeases) disclosure_give_back_all();
  set_pending();
  state.leases.lease[state.leases.count] = lease_make(token_type, op);
  return &state.leases.lease[state.leases.count++];
}

// The end of what runs now gives back what it has leased.  It does not while a literal is parsed or a plan made, at
// COMMIT, and while a portal prints what it has stored.
bool end_is_told() noexcept { return !delivery_outermost() && delivery_portal() != nullptr; }

// Charges one value, or returns false where it is to be shown in a lesser form.
bool take_one(Oid token_type, Operation op, bool may_degrade) {
  Lease *const lease = lease_of(token_type, op);
  if (lease->held == 0) [[unlikely]] {
    if (IsInParallelMode() || !end_is_told()) lease->next = 1;
    if (!lease_more(lease, 1, may_degrade)) return false;
  }
  --lease->held;
  return true;
}

// Of an array: all or none.
void take(Oid token_type, Operation op, uint32 values) {
  if (values == 1)
    (void)take_one(token_type, op, false);
  else
    limits_charge(token_type, op, values);
}

// The gone transaction's values were disclosed all the same.
[[gnu::noinline]] void write_aborted() {
  for (int i = 0; i < state.summaries; ++i) (void)audit_try_write(event_of(state.summary[i], "aborted"));
  state.summaries = 0;
  disclosure_pending = false;
  if (audit_refusals_pending) audit_refusals_flush(false);
}

}  // namespace

[[gnu::hot]] void disclosure_transaction(XactEvent event) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PARALLEL_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      return disclosure_flush();
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_ABORT:
      disclosure_give_back_all();
      return write_aborted();
    default:
      return;
  }
}

namespace {

void check_privilege(const TokenType *type, Operation op) {
  require_preloaded();
  require_kek();
  gate_require(type, op == Operation::masked ? Privilege::masked : Privilege::reveal);
}

void record(const TokenType *type, Operation op, uint32 values) {
  open_summary(type->type, op)->count += values;
  if (op == Operation::reveal) log_guard_mark();
}

}  // namespace

void disclosure_require(const TokenType *type, Operation op, uint32 values) {
  check_privilege(type, op);
  if (values == 0) return;
  take(type->type, op, values);
  record(type, op, values);
}

bool disclosure_charge_or_degrade(const TokenType *type, Operation op) {
  check_privilege(type, op);
  if (!take_one(type->type, op, true)) return false;
  record(type, op, 1);
  return true;
}

void disclosure_tokenize_allowed(const TokenType *type) {
  log_guard_mark();  // the statement holds plaintext, whatever comes of it
  require_preloaded();
  require_kek();
  gate_require(type, Privilege::tokenize);
}

void disclosure_tokenize_charge(const TokenType *type, std::span<const std::uint8_t> token, uint32 values) {
  const TimestampTz statement = GetCurrentStatementStartTimestamp();
  LastTokenized &last = state.tokenized;
  const bool repeated = last.token_type == type->type && last.statement == statement && last.size == token.size() &&
                        token.size() <= kMaxRepeated && std::equal(token.begin(), token.end(), last.token.begin());
  if (repeated || values == 0) return;
  take(type->type, Operation::tokenize, values);
  last.token_type = type->type;
  last.statement = statement;
  last.size = std::min(token.size(), kMaxRepeated + 1);
  if (token.size() <= kMaxRepeated) std::copy(token.begin(), token.end(), last.token.begin());
}

void disclosure_count_vaulted(const TokenType *type) { ++open_summary(type->type, Operation::tokenize)->count; }

void disclosure_give_back_all() noexcept {
  for (int i = 0; i < state.leases.count; ++i) lease_refund(&state.leases.lease[i]);
  state.leases.count = 0;
}

bool disclosure_give_back(Oid token_type, Operation op) noexcept {
  bool any = false;
  for (int i = 0; i < state.leases.count; ++i) any |= lease_give_back(&state.leases.lease[i], token_type, op);
  return any;
}

[[gnu::noinline]] void disclosure_settle() {
  disclosure_give_back_all();
  // An error in the middle leaves the rest for the abort callback.
  while (state.summaries > 0) {
    audit_write(event_of(state.summary[state.summaries - 1], "success"));
    --state.summaries;
  }
  disclosure_pending = false;
  if (audit_refusals_pending) audit_refusals_flush(true);
}

}  // namespace redoubt::pg
