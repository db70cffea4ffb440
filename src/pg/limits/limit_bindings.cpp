// limit_bindings.cpp - see limit_bindings.h.
//
// Invariant: a binding stays whole until the one that replaces it is; nothing raises between
// the first pin and the swap.
#include "pg/base/boundary.h"

#include <algorithm>
#include <iterator>

#include "pg/audit/audit_trail.h"
#include "pg/base/hash_table.h"
#include "pg/limits/limit_bindings.h"
#include "pg/limits/limit_clock.h"
#include "pg/limits/limit_statement.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {
namespace {

struct State {
  MemoryContext context = nullptr;
  HTAB *bindings = nullptr;
  Binding *recent[kOperations] = {};  // the last binding used, per operation
};
constinit State state;

enum class Role : char { none, charged, watched };  // of a rule in a binding

// Appends to `to` the rules whose role is `wanted`, without their buckets; returns how many.
int copy_rules(std::span<const LimitRule> rules, const Role *role, Role wanted, Oid subject, BoundRule *to) noexcept {
  int count = 0;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (role[i] != wanted) continue;
    BoundRule &rule = to[count++];
    rule.rate = rules[i].rate;
    rule.key = limit_bucket_key(rules[i], subject);
    rule.max_delay_ns = rules[i].max_delay_ns;
    rule.made_at = rules[i].made_at;
    rule.id = rules[i].id;
    rule.on_excess = rules[i].on_excess;
  }
  return count;
}

// The rules of `into`, without their buckets; allocated in `context`.
void find_rules(const BindingKey &key, Binding *into) {
  const std::span<const LimitRule> rules = limit_rules();
  auto *role = static_cast<Role *>(palloc0(rules.size() + 1));
  Size count = 0;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const bool counts = key.lent == 0 || !limit_per_statement(rules[i].rate);
    if (counts && limit_rule_applies(rules[i], key.subject, key.type, static_cast<Operation>(key.operation)))
      role[i] = Role::charged;
    else if (limit_rule_suspends(rules[i], key.subject, key.type))
      role[i] = Role::watched;
    count += role[i] == Role::none ? 0 : 1;
  }
  into->rule = static_cast<BoundRule *>(MemoryContextAllocZero(state.context, sizeof(BoundRule) * count + 1));
  into->rules = copy_rules(rules, role, Role::charged, key.subject, into->rule);
  into->watched = copy_rules(rules, role, Role::watched, key.subject, into->rule + into->rules);
  pfree(role);
}

void unpin(const Binding *binding) noexcept {
  for (const BoundRule &rule : limit_binding_all(binding)) bucket_unpin(rule.bucket);
}

// Tells of a bucket that is not the subject's own, because the table is full.
void report_overflow(const Binding *binding) {
  for (const BoundRule &rule : limit_binding_all(binding)) {
    if (rule.bucket->key.kind == BucketKind::own || !bucket_overflow_due(GetCurrentTimestamp())) continue;
    ereport(LOG, (errmsg("redoubt: no room for another limit bucket; roles share one"),
                  errdetail("All %d buckets are in use.", setting_max_subjects),
                  errhint("Raise redoubt.max_subjects and restart the server."), errhidestmt(true)));
    char detail[96];
    snprintf(detail, sizeof detail, "limit " INT64_FORMAT ": all %d buckets are in use", rule.id, setting_max_subjects);
    audit_write({.event = "limit overflow",
                 .token_type = binding->key.type,
                 .operation = operation_name(static_cast<Operation>(binding->key.operation)),
                 .detail = detail});
  }
}

// Makes a binding, or makes it again.
void bind(Binding *binding) {
  const uint64 generation = limit_rules_generation();  // a change that arrives meanwhile counts as after
  UsageEntry *const usage = usage_get({MyDatabaseId, binding->key.subject, binding->key.type, binding->key.operation});
  Binding fresh = {};
  find_rules(binding->key, &fresh);
  for (const BoundRule &rule : limit_binding_charged(&fresh)) fresh.per_statement |= limit_per_statement(rule.rate);
  for (BoundRule &rule : limit_binding_all(&fresh)) {
    rule.bucket = bucket_pin(rule.key, limit_full_ns(rule.rate), rule.made_at);
    fresh.suspends |= rule.on_excess == OnExcess::suspend;
    // What a statement was told once it is not told again, though rules are read anew while it runs.
    for (const BoundRule &before : limit_binding_all(binding))
      if (before.id == rule.id) std::copy(std::begin(before.noticed), std::end(before.noticed), rule.noticed);
  }

  unpin(binding);
  if (binding->rule != nullptr) pfree(binding->rule);
  binding->rule = fresh.rule;
  binding->rules = fresh.rules;
  binding->watched = fresh.watched;
  binding->suspends = fresh.suspends;
  binding->per_statement = fresh.per_statement;
  binding->usage = usage;
  binding->made_at = limit_clock_now();
  binding->generation = generation;
  report_overflow(binding);
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
// After the transaction's abort, which may still give values back.
static void redoubt_limits_backend_ends(int, Datum) {
  using namespace redoubt::pg;
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, state.bindings);
  while (const auto *binding = static_cast<Binding *>(hash_seq_search(&status))) unpin(binding);
}
}

namespace redoubt::pg {

void limits_backend_init() {
  if (state.bindings != nullptr) return;
  require_preloaded();
  limit_rules_init();
  if (state.context == nullptr)
    state.context = AllocSetContextCreate(TopMemoryContext, "redoubt limit bindings", ALLOCSET_SMALL_SIZES);
  state.bindings = hash_table_make<BindingKey, Binding>("redoubt limit bindings", 32, state.context);
  on_shmem_exit(shielded<redoubt_limits_backend_ends, WARNING>, static_cast<Datum>(0));
}

namespace {

// What is charged stays in shared memory, for everybody to read.
void require_chargeable(const BindingKey &key) {
  if (key.operation >= kOperations) elog(ERROR, "redoubt: operation %u cannot be charged", key.operation);
  if (token_type_find(key.type) == nullptr && !token_type_made(key.type))
    elog(ERROR, "redoubt: type %u is no token type to charge", key.type);
}

Binding *find_or_bind(const BindingKey &key) {
  limits_backend_init();
  require_chargeable(key);
  bool found = false;
  auto *binding = static_cast<Binding *>(hash_search(state.bindings, &key, HASH_ENTER, &found));
  if (!found) {
    *binding = {};
    binding->key = key;
  }
  if (binding->generation != limit_rules_generation()) bind(binding);
  state.recent[key.operation] = binding;
  return binding;
}

}  // namespace

// For a value that is revealed or tokenized the gate has just listened for news.
[[gnu::hot]] Binding *limit_binding(Oid type, Operation operation, Oid subject) {
  if (operation == Operation::read || operation == Operation::probe) AcceptInvalidationMessages();
  return limit_binding_as_known(type, operation, subject);
}

[[gnu::hot, gnu::noinline]] Binding *limit_binding_as_known(Oid type, Operation operation, Oid subject) {
  const BindingKey key = {subject, type, static_cast<uint32>(operation), 0};
  Binding *const binding = key.operation < kOperations ? state.recent[key.operation] : nullptr;
  if (binding != nullptr && binding->key == key && binding->generation == limit_rules_generation()) return binding;
  return find_or_bind(key);
}

Binding *limit_binding_lent(Oid subject, Oid type, Operation operation) {
  AcceptInvalidationMessages();
  return find_or_bind({subject, type, static_cast<uint32>(operation), 1});
}

Binding *limit_binding_cached(Oid subject, Oid type, Operation operation) noexcept {
  if (state.bindings == nullptr) return nullptr;
  const BindingKey key = {subject, type, static_cast<uint32>(operation), 0};
  auto *binding = static_cast<Binding *>(hash_search(state.bindings, &key, HASH_FIND, nullptr));
  return binding != nullptr && binding->generation != 0 ? binding : nullptr;
}

void limit_binding_load(const Binding *binding) {
  if (!binding->per_statement) return;
  limit_statement_load();
  for (const BoundRule &rule : limit_binding_charged(binding))
    if (limit_per_statement(rule.rate)) limit_statement_reserve(rule.id);
}

}  // namespace redoubt::pg
