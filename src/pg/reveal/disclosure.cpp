// disclosure.cpp - admission of single values and per-statement summaries.
//
// Backend-local accumulators, one per (token type, operation) revealed in the
// current statement.  A statement that is cancelled, or whose connection is
// lost, leaves its intent record at once and its summary at abort.
// Covered by sql/audit.sql and test/tap/audit.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_trail.h"
#include "pg/reveal/disclosure.h"
#include "pg/reveal/gate.h"
#include "pg/audit/kek.h"
#include "pg/base/log_guard.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

struct Summary {
  Oid token_type;
  Operation op;
  int64 count;
};
constexpr int kMaxSummaries = 32;

constinit Summary summaries[kMaxSummaries] = {};

struct LastTokenized {
  Oid token_type;
  TimestampTz statement;
  std::size_t size;  // kMaxRepeated + 1: too long to be remembered
  std::array<std::uint8_t, kMaxRepeated> token;
};
constinit LastTokenized last_tokenized = {};

// What a summary is an event of.
const char *event_name(const Summary &summary) noexcept {
  return summary.op == Operation::tokenize ? "tokenize" : "reveal";
}

// Finds the statement's accumulator, writing the intent record when it is new.
Summary *open_summary(Oid token_type, Operation op) {
  for (int i = 0; i < disclosure_summaries; ++i)
    if (summaries[i].token_type == token_type && summaries[i].op == op) return &summaries[i];
  if (disclosure_summaries == kMaxSummaries) disclosure_flush();
  if (op == Operation::tokenize)
    audit_remember(token_type);  // nothing is revealed: no intent, but the abort callback wants the name
  else
    audit_write({.event = "reveal", .outcome = "intent", .token_type = token_type, .operation = operation_name(op)});
  summaries[disclosure_summaries] = {token_type, op, 0};
  return &summaries[disclosure_summaries++];
}

// The gone transaction's values were disclosed all the same.
[[gnu::noinline]] void write_aborted() {
  for (int i = 0; i < disclosure_summaries; ++i)
    (void)audit_try_write({.event = event_name(summaries[i]),
                           .outcome = "aborted",
                           .token_type = summaries[i].token_type,
                           .operation = operation_name(summaries[i].op),
                           .count = summaries[i].count});
  disclosure_summaries = 0;
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
      return write_aborted();
    default:
      return;
  }
}

namespace {

void check_privilege(const TokenType *policy, Operation op) {
  require_preloaded();
  require_kek();
  gate_require(policy, op == Operation::masked ? Privilege::masked : Privilege::reveal);
}

void record(const TokenType *policy, Operation op, uint32 values) {
  open_summary(policy->type, op)->count += values;
  if (op == Operation::reveal) log_guard_mark();
}

}  // namespace

void disclosure_require(const TokenType *policy, Operation op, uint32 values) {
  check_privilege(policy, op);
  if (values == 0) return;
  limits_charge(policy->type, op, values);
  record(policy, op, values);
}

bool disclosure_charge_or_degrade(const TokenType *policy, Operation op) {
  check_privilege(policy, op);
  if (!limits_charge_or_degrade(policy->type, op)) return false;
  record(policy, op, 1);
  return true;
}

void disclosure_tokenize_allowed(const TokenType *policy) {
  log_guard_mark();  // the statement holds plaintext, whatever comes of it
  require_preloaded();
  require_kek();
  gate_require(policy, Privilege::tokenize);
}

void disclosure_tokenize_charge(const TokenType *policy, std::span<const std::uint8_t> token, uint32 values) {
  const TimestampTz statement = GetCurrentStatementStartTimestamp();
  LastTokenized &last = last_tokenized;
  const bool repeated = last.token_type == policy->type && last.statement == statement && last.size == token.size() &&
                        token.size() <= kMaxRepeated && std::equal(token.begin(), token.end(), last.token.begin());
  if (repeated || values == 0) return;
  limits_charge(policy->type, Operation::tokenize, values);
  last.token_type = policy->type;
  last.statement = statement;
  last.size = std::min(token.size(), kMaxRepeated + 1);
  if (token.size() <= kMaxRepeated) std::copy(token.begin(), token.end(), last.token.begin());
}

void disclosure_count_vaulted(const TokenType *policy) { ++open_summary(policy->type, Operation::tokenize)->count; }

[[gnu::noinline]] void disclosure_write_summaries() {
  // An error in the middle leaves the rest for the abort callback.
  while (disclosure_summaries > 0) {
    const Summary &summary = summaries[disclosure_summaries - 1];
    audit_write({.event = event_name(summary),
                 .token_type = summary.token_type,
                 .operation = operation_name(summary.op),
                 .count = summary.count});
    --disclosure_summaries;
  }
}

}  // namespace redoubt::pg
