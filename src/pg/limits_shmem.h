// limits_shmem.h - the shared tables behind limits: buckets and usage counters.
//
// Two fixed-size hash tables.  A bucket is the running state of one rule for one
// login role; a usage entry counts what one login role was charged for one token
// type and operation, limited or not.
//
// Locks: kLimitsLock guards membership of both tables (shared to look up,
// exclusive to add).  Keys never change; every other field is an atomic and needs
// no lock.  Entries neither move nor go away while the server runs, so a pointer,
// once found, may be kept for the life of the backend.
//
// Not durable: the state is lost when the server restarts or recovers from a crash,
// and every bucket is full again.  Whoever can restart the server gets a new burst.
//
// Covered by sql/limits.sql, test/isolation and test/tap.
#ifndef REDOUBT_PG_LIMITS_SHMEM_H
#define REDOUBT_PG_LIMITS_SHMEM_H

#include "pg/boundary.h"

#include "pg/limits.h"

namespace redoubt::pg {

// Whole words only: keys are hashed and compared as bytes.
struct BucketKey {
  Oid database;
  Oid relation;  // of redoubt.limit_rule: rules of a re-created extension start afresh
  Oid subject;   // login role; InvalidOid for a shared rule
  uint32 zero;   // makes the padding explicit
  int64 rule;
};
static_assert(sizeof(BucketKey) == 24 && std::has_unique_object_representations_v<BucketKey>);

struct Bucket {
  BucketKey key;
  pg_atomic_uint64 tat;  // see core/gcra.h; 0 = full
};
static_assert(std::is_trivially_destructible_v<Bucket>);

struct UsageKey {
  Oid database;
  Oid subject;
  Oid type;
  uint32 operation;
};
static_assert(sizeof(UsageKey) == 16 && std::has_unique_object_representations_v<UsageKey>);

struct UsageEntry {
  UsageKey key;
  pg_atomic_uint64 charged;     // values, since the last reset
  pg_atomic_uint64 delayed_us;  // time slept for limits, since the last reset
  pg_atomic_uint64 since;       // TimestampTz of the reset, or of the first charge; 0 = never charged
};
static_assert(std::is_trivially_destructible_v<UsageEntry>);

// The entry for a key, made if absent: a full bucket, counters at zero.  Raise 53400
// where the table is full (never "no limit"), 55000 where the library is not preloaded.
Bucket *bucket_get(const BucketKey &key);
UsageEntry *usage_get(const UsageKey &key);

// The state of a bucket without making it; 0 (full) where there is none yet.
uint64 bucket_peek(const BucketKey &key);

// usage_entries copies pointers to this database's usage entries into an array
// palloc'd in the current context, and returns how many there are.
int usage_entries(UsageEntry ***entries);

// usage_add counts charged values.
void usage_add(UsageEntry *entry, uint32 n) noexcept;

// True of an entry that was made, but never charged.
bool usage_is_empty(UsageEntry *entry) noexcept;

// usage_reset zeroes one entry's counters.
void usage_reset(UsageEntry *entry, TimestampTz now) noexcept;

// usage_give_back lowers the count of charged values, stopping at zero.
void usage_give_back(UsageEntry *entry, uint32 n) noexcept;

}  // namespace redoubt::pg
#endif
