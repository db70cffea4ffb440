// limits_shmem.cpp - sizes, makes and looks up the shared tables of limits_shmem.h.
//
// Nothing that can raise runs while kLimitsLock is held: the tables have a fixed
// size and full preallocation, so adding an entry either succeeds or returns null.
// Covered by sql/limits.sql and test/tap/limits_*.pl (a full table, restart, crash).
#include "pg/base/boundary.h"

#include "pg/limits/limit_clock.h"
#include "pg/limits/limit_rules.h"
#include "pg/limits/limits.h"
#include "pg/limits/limits_shmem.h"
#include "pg/limits/limits_store.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

constexpr int kUsagePerSubject = 4;
constexpr int kOverflowBuckets = 1024;  // one per rule that ran out of room

// State of the whole server; atomics, no lock.
struct Control {
  pg_atomic_uint64 lost_at;      // see SavedLimits
  pg_atomic_uint64 saved_at;     // TimestampTz, see limits_saved_at
  pg_atomic_uint64 sweep_after;  // limit clock before which looking for full buckets again is pointless
  pg_atomic_uint64 reported_at;  // TimestampTz of the last report of an overflow
  pg_atomic_uint64 suspensions;  // see suspensions_noted
  LimitClock clock;
};

// Where this process finds it; null without shared memory.
struct State {
  HTAB *buckets;
  HTAB *usages;
  Control *control;
};
constinit State state = {};

// How many buckets there may be once one of this kind is added.  The last one is always there.
long bucket_capacity(BucketKind kind = BucketKind::overflow) {
  return 1 + setting_max_subjects + (kind == BucketKind::own ? 0 : kOverflowBuckets);
}
long usage_capacity() { return static_cast<long>(setting_max_subjects) * kUsagePerSubject; }

HTAB *make_table(const char *name, long capacity, Size key_size, Size entry_size) {
  HASHCTL how = {};
  how.keysize = key_size;
  how.entrysize = entry_size;
  return ShmemInitHash(name, capacity, capacity, &how, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

template <typename Entry, typename Key>
Entry *find(HTAB *table, const Key &key) noexcept {
  return static_cast<Entry *>(hash_search(table, &key, HASH_FIND, nullptr));
}

BucketKey overflow_key(const BucketKey &key) noexcept {
  return {key.database, key.relation, InvalidOid, BucketKind::overflow, key.rule};
}
constexpr BucketKey kLastKey = {InvalidOid, InvalidOid, InvalidOid, BucketKind::last, 0};

// ---- with kLimitsLock held, exclusively where entries are added or removed

// The TAT of a bucket that is not there: full, unless the rule's state was lost or the subject was charged
// elsewhere for want of room.  Never more than an empty bucket's.
uint64 initial_tat(const BucketKey &key, uint64 full_ns, uint64 made_at, uint64 now) noexcept {
  const uint64 lost_at = pg_atomic_read_u64(&state.control->lost_at);
  uint64 tat = made_at > lost_at || lost_at == 0 ? 0 : lost_at + full_ns;
  if (const Bucket *overflow = find<Bucket>(state.buckets, overflow_key(key)))
    tat = std::max(tat, std::min(pg_atomic_read_u64(const_cast<pg_atomic_uint64 *>(&overflow->tat)), now + full_ns));
  return tat;
}

Bucket *add_bucket(const BucketKey &key, uint64 tat) noexcept {
  if (hash_get_num_entries(state.buckets) >= bucket_capacity(key.kind)) return nullptr;
  auto *bucket = static_cast<Bucket *>(hash_search(state.buckets, &key, HASH_ENTER_NULL, nullptr));
  if (bucket == nullptr) return nullptr;
  pg_atomic_init_u64(&bucket->tat, tat);
  pg_atomic_init_u64(&bucket->full_ns, UINT64_MAX);
  pg_atomic_init_u64(&bucket->suspended, 0);
  pg_atomic_init_u32(&bucket->pins, 0);
  return bucket;
}

// Whether a bucket that is full would be full if it were made anew: after a loss one would begin empty, as of then.
bool as_if_new(const Bucket *bucket, uint64 now) noexcept {
  const uint64 lost_at = pg_atomic_read_u64(&state.control->lost_at);
  const uint64 full_ns = pg_atomic_read_u64(const_cast<pg_atomic_uint64 *>(&bucket->full_ns));
  return lost_at == 0 || (full_ns < UINT64_MAX - lost_at && lost_at + full_ns <= now);
}

// Drops every bucket that is full and in nobody's use.
void sweep(TimestampTz now) noexcept {
  if (static_cast<uint64>(now) < pg_atomic_read_u64(&state.control->sweep_after)) return;
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, state.buckets);
  while (auto *bucket = static_cast<Bucket *>(hash_seq_search(&status))) {
    const bool idle = pg_atomic_read_u32(&bucket->pins) == 0 && pg_atomic_read_u64(&bucket->suspended) == 0 &&
                      pg_atomic_read_u64(&bucket->tat) <= limit_time_ns(now) && as_if_new(bucket, limit_time_ns(now));
    if (idle && bucket->key.kind != BucketKind::last) hash_search(state.buckets, &bucket->key, HASH_REMOVE, nullptr);
  }
  if (hash_get_num_entries(state.buckets) >= bucket_capacity(BucketKind::own))
    pg_atomic_write_u64(&state.control->sweep_after, static_cast<uint64>(now + USECS_PER_SEC));
}

Bucket *find_or_add(const BucketKey &key, uint64 full_ns, uint64 made_at, TimestampTz now) noexcept {
  if (auto *bucket = find<Bucket>(state.buckets, key)) return bucket;
  const uint64 tat = initial_tat(key, full_ns, made_at, limit_time_ns(now));
  if (hash_get_num_entries(state.buckets) >= bucket_capacity(BucketKind::own)) sweep(now);
  if (auto *bucket = add_bucket(key, tat)) return bucket;
  if (auto *bucket = find<Bucket>(state.buckets, overflow_key(key))) return bucket;
  if (auto *bucket = add_bucket(overflow_key(key), tat)) return bucket;
  return find<Bucket>(state.buckets, kLastKey);
}

UsageEntry *find_or_add_usage(const UsageKey &key) noexcept {
  if (auto *entry = find<UsageEntry>(state.usages, key)) return entry;
  const bool of_none = !OidIsValid(key.database);
  UsageEntry *entry = nullptr;
  if (hash_get_num_entries(state.usages) < usage_capacity() + (of_none ? kOperations : 0))
    entry = static_cast<UsageEntry *>(hash_search(state.usages, &key, HASH_ENTER_NULL, nullptr));
  if (entry == nullptr)
    return find<UsageEntry>(state.usages, UsageKey{InvalidOid, InvalidOid, InvalidOid, key.operation});
  pg_atomic_init_u64(&entry->charged, 0);
  pg_atomic_init_u64(&entry->delayed_us, 0);
  pg_atomic_init_u64(&entry->since, 0);
  entry->borrowed = {};
  SpinLockInit(&entry->borrowed.lock);
  return entry;
}

template <typename Concerned>
int lift(Concerned &&concerned) {
  require_preloaded();
  int lifted = 0;
  HASH_SEQ_STATUS status;
  LWLockAcquire(shared_lock(kLimitsLock), LW_SHARED);
  hash_seq_init(&status, state.buckets);
  while (auto *bucket = static_cast<Bucket *>(hash_seq_search(&status))) {
    if (bucket->key.database != MyDatabaseId || !concerned(bucket->key)) continue;
    if (pg_atomic_read_u64(&bucket->suspended) == 0) continue;
    pg_atomic_write_u64(&bucket->tat, 0);
    pg_atomic_write_u64(&bucket->suspended, 0);
    ++lifted;
  }
  LWLockRelease(shared_lock(kLimitsLock));
  return lifted;
}

// ---- what a charge can have written, and nothing else

// No bucket is in debt for longer: limit_rate_problem bounds it at a hundred years, a forced charge at twice that.
constexpr uint64 kLongestDebtNs = 2 * 36525ULL * USECS_PER_DAY * 1000;

bool sound_time(uint64 at) noexcept { return IS_VALID_TIMESTAMP(static_cast<TimestampTz>(at)); }

bool sound(const SavedBucket &bucket, uint64 now) noexcept {
  const BucketKey &key = bucket.key;
  bool known = false;
  switch (key.kind) {
    case BucketKind::own:
      known = OidIsValid(key.database) && OidIsValid(key.relation) && key.rule > 0;
      break;
    case BucketKind::overflow:
      known = OidIsValid(key.database) && OidIsValid(key.relation) && key.rule > 0 && !OidIsValid(key.subject);
      break;
    case BucketKind::last:
      known = key == kLastKey;
      break;
  }
  const bool later = bucket.tat > now && bucket.tat - now > kLongestDebtNs;
  return known && !later && sound_time(bucket.suspended) && (bucket.suspended == 0 || key.kind == BucketKind::own);
}

bool sound(const UsageKey &key) noexcept {
  if (key.operation >= kOperations) return false;
  return OidIsValid(key.database) ? OidIsValid(key.subject) && OidIsValid(key.type)
                                  : !OidIsValid(key.subject) && !OidIsValid(key.type);
}

bool sound(const SavedUsage &usage) noexcept {
  constexpr uint64 kMost = INT64_MAX;
  return sound(usage.key) && usage.charged <= kMost && usage.delayed_us <= kMost && sound_time(usage.since);
}

// ---- copies

template <typename To>
To *copy_space(long entries) {
  return static_cast<To *>(
      palloc_extended(sizeof(To) * static_cast<Size>(entries), MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM));
}

// What is not sound stays where it is: a saved file heals at the next start.
void copy_tables(SavedLimits *saved) noexcept {
  const uint64 now = limit_time_ns(limit_clock_now());
  HASH_SEQ_STATUS status;
  hash_seq_init(&status, state.buckets);
  while (auto *bucket = static_cast<Bucket *>(hash_seq_search(&status))) {
    const SavedBucket copy = {bucket->key, pg_atomic_read_u64(&bucket->tat), pg_atomic_read_u64(&bucket->suspended)};
    if (sound(copy, now)) saved->bucket[saved->buckets++] = copy;
  }
  hash_seq_init(&status, state.usages);
  while (auto *entry = static_cast<UsageEntry *>(hash_seq_search(&status))) {
    const SavedUsage copy = {entry->key, pg_atomic_read_u64(&entry->charged), pg_atomic_read_u64(&entry->delayed_us),
                             pg_atomic_read_u64(&entry->since)};
    if (sound(copy)) saved->usage[saved->usages++] = copy;
  }
  saved->lost_at = pg_atomic_read_u64(&state.control->lost_at);
}

void raise_tat(Bucket *bucket, uint64 tat) noexcept {
  if (bucket != nullptr && pg_atomic_read_u64(&bucket->tat) < tat) pg_atomic_write_u64(&bucket->tat, tat);
}

void load_bucket(const SavedBucket &saved, uint64 now) noexcept {
  const bool full = saved.tat <= now && saved.suspended == 0;
  if (full && pg_atomic_read_u64(&state.control->lost_at) == 0) return;  // as it would be if made anew
  Bucket *bucket = find<Bucket>(state.buckets, saved.key);
  if (bucket == nullptr) bucket = add_bucket(saved.key, 0);
  if (full) return;
  if (bucket == nullptr) bucket = find<Bucket>(state.buckets, overflow_key(saved.key));
  if (bucket == nullptr) bucket = add_bucket(overflow_key(saved.key), 0);
  if (bucket == nullptr) bucket = find<Bucket>(state.buckets, kLastKey);
  raise_tat(bucket, saved.tat);
  if (bucket != nullptr && saved.suspended != 0) pg_atomic_write_u64(&bucket->suspended, saved.suspended);
}

}  // namespace

Size limits_shmem_size() {
  Size size = hash_estimate_size(bucket_capacity(), sizeof(Bucket));
  size = add_size(size, hash_estimate_size(usage_capacity() + kOperations, sizeof(UsageEntry)));
  return add_size(size, MAXALIGN(sizeof(Control)));
}

void limits_shmem_startup() {
  bool found = false;
  state.buckets = make_table("redoubt limit buckets", bucket_capacity(), sizeof(BucketKey), sizeof(Bucket));
  state.usages = make_table("redoubt usage", usage_capacity() + kOperations, sizeof(UsageKey), sizeof(UsageEntry));
  state.control = static_cast<Control *>(ShmemInitStruct("redoubt limits", sizeof(Control), &found));
  if (found) return;
  for (pg_atomic_uint64 *field : {&state.control->lost_at, &state.control->saved_at, &state.control->sweep_after,
                                  &state.control->reported_at, &state.control->suspensions})
    pg_atomic_init_u64(field, 0);
  limit_clock_start(&state.control->clock, nullptr);
  (void)add_bucket(kLastKey, 0);
  for (uint32 i = 0; i < kOperations; ++i) (void)find_or_add_usage({InvalidOid, InvalidOid, InvalidOid, i});
  limits_store_load();
}

Bucket *bucket_pin(const BucketKey &key, uint64 full_ns, uint64 made_at) {
  require_preloaded();
  LWLock *const lock = shared_lock(kLimitsLock);
  LWLockAcquire(lock, LW_SHARED);
  auto *bucket = find<Bucket>(state.buckets, key);
  if (bucket != nullptr) pg_atomic_fetch_add_u32(&bucket->pins, 1);
  LWLockRelease(lock);
  if (bucket != nullptr) {
    pg_atomic_write_u64(&bucket->full_ns, full_ns);
    return bucket;
  }

  const TimestampTz now = limit_clock_now();
  LWLockAcquire(lock, LW_EXCLUSIVE);
  bucket = find_or_add(key, full_ns, made_at, now);
  pg_atomic_fetch_add_u32(&bucket->pins, 1);
  pg_atomic_write_u64(&bucket->full_ns, full_ns);
  LWLockRelease(lock);
  return bucket;
}

void bucket_unpin(Bucket *bucket) noexcept { pg_atomic_fetch_sub_u32(&bucket->pins, 1); }

BucketState bucket_peek(const BucketKey &key, uint64 full_ns, uint64 made_at) {
  require_preloaded();
  const uint64 now = limit_time_ns(limit_clock_now());
  LWLockAcquire(shared_lock(kLimitsLock), LW_SHARED);
  auto *bucket = find<Bucket>(state.buckets, key);
  const BucketState state = bucket == nullptr
                                ? BucketState{initial_tat(key, full_ns, made_at, now), 0}
                                : BucketState{pg_atomic_read_u64(&bucket->tat),
                                              static_cast<TimestampTz>(pg_atomic_read_u64(&bucket->suspended))};
  LWLockRelease(shared_lock(kLimitsLock));
  return state;
}

int buckets_lift(Oid subject, int64 rule) {
  return lift([=](const BucketKey &key) { return key.subject == subject && (rule == kEveryRule || key.rule == rule); });
}

int buckets_lift_all() {
  return lift([](const BucketKey &) { return true; });
}

bool bucket_fill(const BucketKey &key, uint64 full_ns, uint64 made_at) {
  Bucket *const bucket = bucket_pin(key, full_ns, made_at);
  const bool own = bucket->key.kind == BucketKind::own;
  const bool in_debt = own && pg_atomic_exchange_u64(&bucket->tat, 0) > limit_time_ns(limit_clock_now());
  bucket_unpin(bucket);
  return in_debt;
}

void suspensions_note() noexcept { pg_atomic_fetch_add_u64(&state.control->suspensions, 1); }

uint64 suspensions_noted() noexcept { return pg_atomic_read_u64(&state.control->suspensions); }

LimitsFill limits_fill() {
  LWLockAcquire(shared_lock(kLimitsLock), LW_SHARED);
  const long own = std::clamp(hash_get_num_entries(state.buckets) - 1L, 0L, static_cast<long>(setting_max_subjects));
  const LimitsFill fill = {own, setting_max_subjects, hash_get_num_entries(state.usages), usage_capacity()};
  LWLockRelease(shared_lock(kLimitsLock));
  return fill;
}

bool bucket_overflow_due(TimestampTz now) noexcept {
  uint64 last = pg_atomic_read_u64(&state.control->reported_at);
  return static_cast<uint64>(now) >= last + SECS_PER_MINUTE * USECS_PER_SEC &&
         pg_atomic_compare_exchange_u64(&state.control->reported_at, &last, static_cast<uint64>(now));
}

UsageEntry *usage_get(const UsageKey &key) {
  require_preloaded();
  LWLock *const lock = shared_lock(kLimitsLock);
  LWLockAcquire(lock, LW_SHARED);
  auto *entry = find<UsageEntry>(state.usages, key);
  LWLockRelease(lock);
  if (entry != nullptr) return entry;

  LWLockAcquire(lock, LW_EXCLUSIVE);
  entry = find_or_add_usage(key);
  LWLockRelease(lock);
  return entry;
}

int usage_entries(UsageEntry ***entries) {
  require_preloaded();
  // Room is made before the lock is taken; entries added in between are left out.
  const long capacity = hash_get_num_entries(state.usages);
  *entries = static_cast<UsageEntry **>(
      palloc_extended(sizeof(UsageEntry *) * static_cast<Size>(capacity + 1), MCXT_ALLOC_HUGE));
  int count = 0;
  HASH_SEQ_STATUS status;
  LWLockAcquire(shared_lock(kLimitsLock), LW_SHARED);
  hash_seq_init(&status, state.usages);
  while (auto *entry = static_cast<UsageEntry *>(hash_seq_search(&status))) {
    if (entry->key.database != MyDatabaseId && OidIsValid(entry->key.database)) continue;
    if (count == capacity) {
      hash_seq_term(&status);
      break;
    }
    (*entries)[count++] = entry;
  }
  LWLockRelease(shared_lock(kLimitsLock));
  return count;
}

void usage_add(UsageEntry *entry, uint32 n) noexcept {
  if (pg_atomic_read_u64(&entry->since) == 0)
    pg_atomic_write_u64(&entry->since, static_cast<uint64>(GetCurrentTimestamp()));
  pg_atomic_fetch_add_u64(&entry->charged, n);
}

bool usage_is_sound(const UsageEntry *entry) noexcept { return sound(entry->key); }

int64 usage_count(pg_atomic_uint64 *counter) noexcept {
  return static_cast<int64>(std::min<uint64>(pg_atomic_read_u64(counter), INT64_MAX));
}

bool usage_is_empty(UsageEntry *entry) noexcept { return pg_atomic_read_u64(&entry->since) == 0; }

void usage_reset(UsageEntry *entry, TimestampTz now) noexcept {
  if (usage_is_empty(entry)) return;
  pg_atomic_write_u64(&entry->charged, 0);
  pg_atomic_write_u64(&entry->delayed_us, 0);
  pg_atomic_write_u64(&entry->since, static_cast<uint64>(now));
}

void usage_give_back(UsageEntry *entry, uint32 n) noexcept {
  uint64 charged = pg_atomic_read_u64(&entry->charged);
  while (!pg_atomic_compare_exchange_u64(&entry->charged, &charged, charged > n ? charged - n : 0)) {
  }
}

bool limits_copy_out(SavedLimits *saved, bool wait) {
  LWLock *const lock = shared_lock(kLimitsLock);
  while (true) {
    // Room is made before the lock is taken, for a few more than there are.
    const long bucket_room = hash_get_num_entries(state.buckets) + 256;
    const long usage_room = hash_get_num_entries(state.usages) + 256;
    *saved = {copy_space<SavedBucket>(bucket_room), copy_space<SavedUsage>(usage_room), 0, 0, 0};
    if (saved->bucket == nullptr || saved->usage == nullptr) return false;
    if (wait)
      LWLockAcquire(lock, LW_SHARED);
    else if (!LWLockConditionalAcquire(lock, LW_SHARED))
      return false;
    const bool fits =
        hash_get_num_entries(state.buckets) <= bucket_room && hash_get_num_entries(state.usages) <= usage_room;
    if (fits) copy_tables(saved);
    LWLockRelease(lock);
    if (fits) return true;
    pfree(saved->bucket);
    pfree(saved->usage);
  }
}

UnsoundRecords limits_copy_in(const SavedLimits &saved, uint64 now) {
  UnsoundRecords unsound = {};
  if (saved.lost_at <= now)
    limits_mark_lost(saved.lost_at);
  else
    ++unsound.buckets;
  for (const SavedBucket &bucket : std::span(saved.bucket, saved.buckets)) {
    if (sound(bucket, now))
      load_bucket(bucket, now);
    else
      ++unsound.buckets;
  }
  for (const SavedUsage &usage : std::span(saved.usage, saved.usages)) {
    if (!sound(usage)) {
      ++unsound.usages;
      continue;
    }
    if (usage.since == 0) continue;
    UsageEntry *const entry = find_or_add_usage(usage.key);
    if (entry == nullptr) continue;
    pg_atomic_write_u64(&entry->since, usage.since);
    pg_atomic_fetch_add_u64(&entry->charged, static_cast<int64>(usage.charged));
    pg_atomic_fetch_add_u64(&entry->delayed_us, static_cast<int64>(usage.delayed_us));
  }
  return unsound;
}

void limits_clock_after(const ClockReading &saved) { limit_clock_start(&state.control->clock, &saved); }

void limits_mark_lost(uint64 lost_at) noexcept { pg_atomic_write_u64(&state.control->lost_at, lost_at); }

void limits_note_saved(TimestampTz at) noexcept {
  pg_atomic_write_u64(&state.control->saved_at, static_cast<uint64>(at));
}

TimestampTz limits_saved_at() noexcept {
  return static_cast<TimestampTz>(pg_atomic_read_u64(&state.control->saved_at));
}

}  // namespace redoubt::pg
