// limits/throttled_sessions.h - which sessions are held back by a throttle right now.
//
// One slot per backend in shared memory, written by its owner alone.
//
// Locks: none.  A slot's counter is odd while its owner writes, as PgBackendStatus does it;
// a reader tries again until it has seen the same even number before and after.
//
// Covered by sql/limits_explain.sql and test/isolation/specs/limits_activity.spec.
#ifndef REDOUBT_PG_LIMITS_THROTTLED_SESSIONS_H
#define REDOUBT_PG_LIMITS_THROTTLED_SESSIONS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

struct Sleeper {
  int32 pid;
  Oid database;
  Oid subject;  // the login role
  Oid type;
  uint32 operation;
  int64 rule;
  TimestampTz since;  // of the charge that waits
  TimestampTz until;  // as far as it is known now
};

Size throttled_sessions_shmem_size();
void throttled_sessions_shmem_startup();  // AddinShmemInitLock held by the caller

// The owner's: before it sleeps (pid and database are filled in), and after.
void throttled_session_begin(const Sleeper &sleeper) noexcept;
void throttled_session_end() noexcept;

// throttled_sessions copies the sleepers of this database into an array palloc'd in the current
// context; returns how many there are.
int throttled_sessions(Sleeper **sleepers);

// The wait event of a throttled session: Extension before PostgreSQL 17, RedoubtThrottle since.
uint32 limit_wait_event();

}  // namespace redoubt::pg
#endif
