// limits_shmem.cpp - sizes, makes and looks up the shared tables of limits_shmem.h.
//
// Nothing that can raise runs while kLimitsLock is held: the tables have a fixed
// size and full preallocation, so adding an entry either succeeds or returns null.
// Covered by sql/limits.sql and test/tap (a full table, restart).
#include "pg/boundary.h"

#include "pg/limits.h"
#include "pg/limits_shmem.h"
#include "pg/settings.h"
#include "pg/shared_memory.h"

namespace redoubt::pg {
namespace {

constexpr int kUsagePerSubject = 4;

constinit HTAB *buckets = nullptr;
constinit HTAB *usages = nullptr;

long bucket_capacity() { return setting_max_subjects; }
long usage_capacity() { return static_cast<long>(setting_max_subjects) * kUsagePerSubject; }

HTAB *make_table(const char *name, long capacity, Size key_size, Size entry_size) {
  HASHCTL control = {};
  control.keysize = key_size;
  control.entrysize = entry_size;
  return ShmemInitHash(name, capacity, capacity, &control, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

[[noreturn]] void raise_full(const char *what, long capacity) {
  ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("no room for another %s", what),
                  errdetail("All %ld entries are in use.", capacity),
                  errhint("Raise redoubt.max_subjects and restart the server."), errhidestmt(true)));
  pg_unreachable();
}

// Finds or adds; `initialise` sets a new entry's atomics before anyone can see it.
template <typename Entry, typename Key>
Entry *get(HTAB *table, const Key &key, long capacity, const char *what, void (*initialise)(Entry *)) {
  require_preloaded();
  LWLock *const lock = shared_lock(kLimitsLock);
  LWLockAcquire(lock, LW_SHARED);
  auto *entry = static_cast<Entry *>(hash_search(table, &key, HASH_FIND, nullptr));
  LWLockRelease(lock);
  if (entry != nullptr) return entry;

  bool found = false;
  LWLockAcquire(lock, LW_EXCLUSIVE);
  if (hash_get_num_entries(table) < capacity)
    entry = static_cast<Entry *>(hash_search(table, &key, HASH_ENTER_NULL, &found));
  else
    entry = static_cast<Entry *>(hash_search(table, &key, HASH_FIND, &found));
  if (entry != nullptr && !found) initialise(entry);
  LWLockRelease(lock);
  if (entry == nullptr) raise_full(what, capacity);
  return entry;
}

}  // namespace

Size limits_shmem_size() {
  return add_size(hash_estimate_size(bucket_capacity(), sizeof(Bucket)),
                  hash_estimate_size(usage_capacity(), sizeof(UsageEntry)));
}

void limits_shmem_startup() {
  buckets = make_table("redoubt limit buckets", bucket_capacity(), sizeof(BucketKey), sizeof(Bucket));
  usages = make_table("redoubt usage", usage_capacity(), sizeof(UsageKey), sizeof(UsageEntry));
}

Bucket *bucket_get(const BucketKey &key) {
  return get<Bucket>(buckets, key, bucket_capacity(), "limit bucket",
                     [](Bucket *bucket) { pg_atomic_init_u64(&bucket->tat, 0); });
}

UsageEntry *usage_get(const UsageKey &key) {
  return get<UsageEntry>(usages, key, usage_capacity(), "usage counter", [](UsageEntry *entry) {
    pg_atomic_init_u64(&entry->charged, 0);
    pg_atomic_init_u64(&entry->delayed_us, 0);
    pg_atomic_init_u64(&entry->since, 0);
  });
}

uint64 bucket_peek(const BucketKey &key) {
  require_preloaded();
  LWLockAcquire(shared_lock(kLimitsLock), LW_SHARED);
  auto *bucket = static_cast<Bucket *>(hash_search(buckets, &key, HASH_FIND, nullptr));
  LWLockRelease(shared_lock(kLimitsLock));
  return bucket == nullptr ? 0 : pg_atomic_read_u64(&bucket->tat);
}

int usage_entries(UsageEntry ***entries) {
  require_preloaded();
  // Room is made before the lock is taken; entries added in between are left out.
  const long capacity = hash_get_num_entries(usages);
  *entries = static_cast<UsageEntry **>(
      palloc_extended(sizeof(UsageEntry *) * static_cast<Size>(capacity + 1), MCXT_ALLOC_HUGE));
  int count = 0;
  HASH_SEQ_STATUS status;
  LWLockAcquire(shared_lock(kLimitsLock), LW_SHARED);
  hash_seq_init(&status, usages);
  while (auto *entry = static_cast<UsageEntry *>(hash_seq_search(&status))) {
    if (entry->key.database != MyDatabaseId) continue;
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

}  // namespace redoubt::pg
