// limits_shmem.h - the shared tables behind limits: buckets and usage counters.
//
// Two fixed-size hash tables.  A bucket is the running state of one rule for one
// login role (of a limit per statement: only whether it suspended the role); a usage entry counts what one login role
// was charged for one token type and operation, limited or not.
//
// Locks: kLimitsLock guards membership of both tables (shared to look up and pin,
// exclusive to add and remove).  Keys never change; every other field is an atomic and
// needs no lock, but what another server has lent, which has a spinlock for itself.  A usage entry neither moves nor
// goes away while the server runs.  A bucket does not while it is pinned, so a pinned pointer may be kept.
//
// The table of buckets is bounded by redoubt.max_subjects, and filling it gains nothing:
// room is made by dropping full buckets only, which hold nothing that a new one would
// not; where there are none, all subjects of a rule without a bucket of their own share one
// overflow bucket, and a bucket of one's own made later begins with that one's debt.
//
// Durable: limits_store.cpp saves and loads both tables.
//
// Covered by sql/limits.sql, test/isolation, test/tap/limits_durable.pl and
// test/tap/limits_overflow.pl.
#ifndef REDOUBT_PG_LIMITS_LIMITS_SHMEM_H
#define REDOUBT_PG_LIMITS_LIMITS_SHMEM_H

#include "pg/base/boundary.h"

#include "pg/limits/limit_clock.h"
#include "pg/limits/limits.h"

extern "C" {
#include "storage/spin.h"
}

namespace redoubt::pg {

// Whose a bucket is: one subject's (or a shared rule's), everyone's for whom there was
// no room, or everyone's of every rule when there was no room for that either.
enum class BucketKind : uint32 { own, overflow, last };

// Whole words only: keys are hashed and compared as bytes.
struct BucketKey {
  Oid database;
  Oid relation;  // of redoubt.limit_rule: rules of a re-created extension start afresh
  Oid subject;   // login role; InvalidOid for a shared rule and for overflow
  BucketKind kind;
  int64 rule;
  bool operator==(const BucketKey &) const = default;
};
static_assert(sizeof(BucketKey) == 24 && std::has_unique_object_representations_v<BucketKey>);

struct Bucket {
  BucketKey key;
  pg_atomic_uint64 tat;        // see core/gcra.h; 0 = full
  pg_atomic_uint64 full_ns;    // the time it takes to drain; UINT64_MAX until it is pinned first
  pg_atomic_uint64 suspended;  // TimestampTz since when the subject is suspended; 0 = it is not
  pg_atomic_uint32 pins;       // bindings that point here; raised under kLimitsLock, lowered without
};
static_assert(std::is_trivially_destructible_v<Bucket>);

struct UsageKey {
  Oid database;
  Oid subject;
  Oid type;
  uint32 operation;
};
static_assert(sizeof(UsageKey) == 16 && std::has_unique_object_representations_v<UsageKey>);

// What another server says when it is asked for values (borrow.h).
enum class Borrowing : uint8 { lent, refused, failed };
struct BorrowAnswer {
  Borrowing how;
  OnExcess on_excess;    // of what was refused: by the limit there that refused it
  TimestampTz retry_at;  // as of which the next value is admitted there, in limit time; DT_NOEND: it is not known
  uint64 longest_ns;     // the longest that a statement may be held back for it
};

// Values that another server has lent to the login role of a usage entry.
struct Borrowed {
  slock_t lock;               // guards all of it
  int64 held;                 // lent, and not charged yet; below zero: charged without having been lent
  bool partial;               // the last lot was less than what was needed at once
  TimestampTz lent_at;        // when the last of them came
  TimestampTz until;          // as of then they are void
  TimestampTz refused_until;  // as long as this the answer that follows stands
  uint32 refused;             // to whom asks for so many or more
  BorrowAnswer refusal;
};

struct UsageEntry {
  UsageKey key;
  pg_atomic_uint64 charged;     // values, since the last reset
  pg_atomic_uint64 delayed_us;  // time slept for limits, since the last reset
  pg_atomic_uint64 since;       // TimestampTz of the reset, or of the first charge; 0 = never charged
  Borrowed borrowed;            // not durable: what a crash loses is charged where it was lent
};
static_assert(std::is_trivially_destructible_v<UsageEntry>);

// bucket_pin returns the bucket for a key, made if absent; `full_ns` is the time the rule's
// bucket takes to drain, `made_at` the limit time at which the rule was made.  Where the table is full it is an
// overflow bucket, which its key.kind says.  Every pin needs an unpin, at the latest when the backend exits. Raises
// 55000 where the library is not preloaded.
Bucket *bucket_pin(const BucketKey &key, uint64 full_ns, uint64 made_at);
void bucket_unpin(Bucket *bucket) noexcept;

// The state of a bucket without making it: what bucket_pin would find now.
struct BucketState {
  uint64 tat;
  TimestampTz suspended;
};
BucketState bucket_peek(const BucketKey &key, uint64 full_ns, uint64 made_at);

// buckets_lift ends the suspensions in buckets of this database with that subject and rule, or of all;
// returns how many there were.  These buckets begin full again, lest the next value suspends anew.
constexpr int64 kEveryRule = 0;
int buckets_lift(Oid subject, int64 rule);
int buckets_lift_all();

// bucket_fill makes a bucket full; false where it was, or where the subject has none of its own.
bool bucket_fill(const BucketKey &key, uint64 full_ns, uint64 made_at);

// suspensions_noted moves on with every suspensions_note, by which a session tells all others that it has suspended a
// role.
void suspensions_note() noexcept;
uint64 suspensions_noted() noexcept;

// bucket_overflow_due tells, once a minute for the whole server, that an overflow is to be reported.
bool bucket_overflow_due(TimestampTz now) noexcept;

// The usage entry for a key, made if absent with counters at zero.  Where the table is full
// it is the operation's one entry of no database, role and type.
UsageEntry *usage_get(const UsageKey &key);

// usage_entries copies pointers to this database's usage entries, and to those of no
// database, into an array palloc'd in the current context; returns how many.
int usage_entries(UsageEntry ***entries);

// usage_add counts charged values.
void usage_add(UsageEntry *entry, uint32 n) noexcept;

// True of an entry that was made, but never charged.
bool usage_is_empty(UsageEntry *entry) noexcept;

// False of an entry whose key no charge can have made: memory that holds one was written to by something else.
bool usage_is_sound(const UsageEntry *entry) noexcept;

// A counter as SQL has it, at most the largest bigint.
int64 usage_count(pg_atomic_uint64 *counter) noexcept;

// usage_reset zeroes one entry's counters.
void usage_reset(UsageEntry *entry, TimestampTz now) noexcept;

// usage_give_back lowers the count of charged values, stopping at zero.
void usage_give_back(UsageEntry *entry, uint32 n) noexcept;

// How full the tables are.  Of buckets, those that roles share because theirs found no room have room of their own.
struct LimitsFill {
  long buckets;
  long bucket_capacity;
  long usages;
  long usage_capacity;
};
LimitsFill limits_fill();

// ---- for limits_store.cpp

struct SavedBucket {
  BucketKey key;
  uint64 tat;
  uint64 suspended;
};
static_assert(sizeof(SavedBucket) == 40 && std::has_unique_object_representations_v<SavedBucket>);

struct SavedUsage {
  UsageKey key;
  uint64 charged;
  uint64 delayed_us;
  uint64 since;
};
static_assert(sizeof(SavedUsage) == 40 && std::has_unique_object_representations_v<SavedUsage>);

struct SavedLimits {
  SavedBucket *bucket;
  SavedUsage *usage;
  uint64 buckets;
  uint64 usages;
  uint64 lost_at;  // limit time as of which state was last lost; 0 = it never was
};

// limits_copy_out copies the sound entries of both tables into arrays palloc'd in the current context.  `wait`:
// for the lock; without, false where somebody holds it.  False also when out of memory.
bool limits_copy_out(SavedLimits *saved, bool wait);

// limits_copy_in fills the tables at server start, before anybody uses them, with the records that are sound, and
// returns how many were not.  A bucket for which there is no room leaves its debt to the rule's overflow bucket.
struct UnsoundRecords {
  uint64 buckets;  // a time of loss that is no time counts as one
  uint64 usages;
};
UnsoundRecords limits_copy_in(const SavedLimits &saved, uint64 now);

// limits_clock_after sets the limit clock by what was saved, at server start.
void limits_clock_after(const ClockReading &saved);

// limits_mark_lost: the state is unknown, so every bucket that is not there yet counts as
// empty as of `lost_at`, except those of rules made later.
void limits_mark_lost(uint64 lost_at) noexcept;

// When the tables were last found equal to what is on file; 0 = never since the start.
void limits_note_saved(TimestampTz at) noexcept;
TimestampTz limits_saved_at() noexcept;

}  // namespace redoubt::pg
#endif
