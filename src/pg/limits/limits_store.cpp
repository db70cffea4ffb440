// limits_store.cpp - see limits_store.h.
//
// What it is not: protection against who can write the data directory.  The CRC finds
// damage, not forgery, and an older file put back while the server is down is a good file.
// A good CRC says nothing about what the memory held that was saved: every record is checked for range as well.
// A missing file is told from a first start by the audit trail; whoever removes
// both has a new server.
//
// Locks: kLimitsLock, inside limits_copy_out only; no file is touched under it.
// Covered by test/tap/limits_durable.pl.
#include "pg/base/boundary.h"

#include "pg/base/whole_io.h"
#include "pg/audit/audit_directory.h"
#include "pg/limits/limit_clock.h"
#include "pg/limits/limit_rules.h"
#include "pg/limits/limits_shmem.h"
#include "pg/limits/limits_store.h"

extern "C" {
#include "port/pg_crc32c.h"
}

namespace redoubt::pg {
namespace {

constexpr const char *kFile = "redoubt_limits";
constexpr const char *kTemporary = "redoubt_limits.tmp";
constexpr const char *kDamaged = "redoubt_limits.damaged";
constexpr char kMagic[8] = {'R', 'D', 'B', 'T', 'L', 'I', 'M', '\n'};
constexpr uint32 kVersion = 2;
constexpr uint32 kVersionWithoutClock = 1;  // of Redoubt 0.1

// In the byte order of the machine, as everything in a data directory.
struct Header {
  char magic[8];
  uint32 version;
  uint32 crc;  // CRC-32C of the whole file, this field taken as zero
  uint64 lost_at;
  uint64 buckets;
  uint64 usages;
};
static_assert(sizeof(Header) == 40 && std::has_unique_object_representations_v<Header>);

enum class Loaded { fine, mended, absent, damaged };

// What this process wrote last.
struct State {
  bool written;
  uint32 crc;
  int64 ahead;  // by how much the wall was ahead of the limit clock then
};
constinit State state = {};

// A file that says how far apart the clocks are need not say it again.
bool clock_still(const ClockReading &clock) noexcept {
  const int64 moved = clock.wall - clock.limit - state.ahead;
  return moved > -USECS_PER_SEC && moved < USECS_PER_SEC;
}

// `clock` null: of what is counted alone, or of a file of 0.1.
uint32 checksum(Header header, const SavedLimits &limits, const ClockReading *clock) noexcept {
  header.crc = 0;
  pg_crc32c crc;
  INIT_CRC32C(crc);
  COMP_CRC32C(crc, &header, sizeof header);
  COMP_CRC32C(crc, limits.bucket, sizeof(SavedBucket) * limits.buckets);
  COMP_CRC32C(crc, limits.usage, sizeof(SavedUsage) * limits.usages);
  if (clock != nullptr) COMP_CRC32C(crc, clock, sizeof *clock);
  FIN_CRC32C(crc);
  return crc;
}

bool transfer_failed(const char *what, const char *file) {
  const int error = errno;
  ereport(LOG, (errcode_for_file_access(), errmsg("redoubt: could not %s file \"%s\": %s", what, file, strerror(error)),
                errhint("Until it can, a crash loses more than a second of what was charged to limits.")));
  return false;
}

bool write_file(const Header &header, const SavedLimits &limits, const ClockReading &clock) {
  const int fd = OpenTransientFile(kTemporary, O_CREAT | O_WRONLY | O_TRUNC);
  if (fd < 0) return transfer_failed("create", kTemporary);
  const bool whole =
      write_all(fd, &header, sizeof header) && write_all(fd, limits.bucket, sizeof(SavedBucket) * limits.buckets) &&
      write_all(fd, limits.usage, sizeof(SavedUsage) * limits.usages) && write_all(fd, &clock, sizeof clock);
  if (!whole) transfer_failed("write", kTemporary);
  if (CloseTransientFile(fd) != 0) return transfer_failed("close", kTemporary);
  return whole && durable_rename(kTemporary, kFile, LOG) == 0;
}

// Reads what follows a well-formed header; `size` is the file's.
bool read_records(int fd, const Header &header, uint64 size, SavedLimits *limits, ClockReading *clock) {
  const bool clocked = header.version == kVersion;
  if (memcmp(header.magic, kMagic, sizeof kMagic) != 0 || (!clocked && header.version != kVersionWithoutClock))
    return false;
  const uint64 most = size / sizeof(SavedBucket);  // keeps the products below from overflowing
  if (header.buckets > most || header.usages > most) return false;
  const Size bucket_bytes = sizeof(SavedBucket) * header.buckets;
  const Size usage_bytes = sizeof(SavedUsage) * header.usages;
  if (size != sizeof header + bucket_bytes + usage_bytes + (clocked ? sizeof *clock : 0)) return false;
  const int how = MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM;
  *limits = {static_cast<SavedBucket *>(palloc_extended(bucket_bytes + 1, how)),
             static_cast<SavedUsage *>(palloc_extended(usage_bytes + 1, how)), header.buckets, header.usages,
             header.lost_at};
  return limits->bucket != nullptr && limits->usage != nullptr && read_all(fd, limits->bucket, bucket_bytes) &&
         read_all(fd, limits->usage, usage_bytes) && (!clocked || read_all(fd, clock, sizeof *clock)) &&
         checksum(header, *limits, clocked ? clock : nullptr) == header.crc;
}

Loaded read_file(SavedLimits *limits, ClockReading *clock) {
  const int fd = OpenTransientFile(kFile, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT ? Loaded::absent : Loaded::damaged;
  Header header = {};
  struct stat status = {};
  const bool fine = fstat(fd, &status) == 0 && read_all(fd, &header, sizeof header) &&
                    read_records(fd, header, static_cast<uint64>(status.st_size), limits, clock);
  CloseTransientFile(fd);
  return fine ? Loaded::fine : Loaded::damaged;
}

bool served_before() noexcept {
  AuditRange range;
  return audit_directory_list(range) != 0 || range.last != 0;
}

// A good checksum over records that no charge can have made: they were written to memory before they were saved.
void warn_dropped(const UnsoundRecords &unsound) {
  ereport(WARNING,
          (errcode(ERRCODE_DATA_CORRUPTED),
           errmsg("redoubt: file \"redoubt_limits\": " UINT64_FORMAT " records of buckets and " UINT64_FORMAT
                  " of usage counters were out of range and dropped",
                  unsound.buckets, unsound.usages),
           unsound.buckets > 0
               ? errdetail("The other records were kept. Limits that have no record begin with an empty bucket.")
               : errdetail("The other records were kept."),
           errhint("Find out who could change the data directory or the server's memory.")));
}

void warn_lost(const char *what) {
  ereport(WARNING, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("redoubt: %s: what was charged to limits is unknown", what),
                    errdetail("Every limit begins with an empty bucket; suspensions and usage counters are gone."),
                    errhint("Find out who could change the data directory. Buckets refill at their limit's rate.")));
}

}  // namespace

bool limits_store_save(bool wait) {
  SavedLimits limits;
  if (!limits_copy_out(&limits, wait)) return false;
  const TimestampTz now = GetCurrentTimestamp();
  Header header = {{}, kVersion, 0, limits.lost_at, limits.buckets, limits.usages};
  memcpy(header.magic, kMagic, sizeof kMagic);
  const uint32 counted = checksum(header, limits, nullptr);
  const ClockReading clock = limit_clock_read();
  header.crc = checksum(header, limits, &clock);
  const bool same = state.written && counted == state.crc && clock_still(clock);
  const bool saved = same || write_file(header, limits, clock);
  if (saved) {
    state.written = true;
    state.crc = counted;
    if (!same) state.ahead = clock.wall - clock.limit;
    limits_note_saved(now);
  }
  pfree(limits.bucket);
  pfree(limits.usage);
  return saved;
}

}  // namespace redoubt::pg

extern "C" {
// All other processes are gone.  One that was killed may have held the lock; then the tables
// are not to be trusted, and the worker's last file stands.
static void redoubt_limits_server_ends(int code, Datum) {
  using namespace redoubt::pg;
  if (code != 0) return;
  (void)limits_store_save(false);
}
}

namespace redoubt::pg {

void limits_store_load() {
  state.written = false;
  SavedLimits limits = {};
  ClockReading clock = {};
  Loaded loaded = read_file(&limits, &clock);
  if (loaded == Loaded::fine && clock.wall != 0) limits_clock_after(clock);
  const TimestampTz now = limit_clock_now();
  if (loaded == Loaded::fine) {
    const UnsoundRecords unsound = limits_copy_in(limits, limit_time_ns(now));
    if (unsound.buckets + unsound.usages > 0) {
      warn_dropped(unsound);
      if (unsound.buckets > 0) limits_mark_lost(limit_time_ns(now));
      loaded = Loaded::mended;
    }
  } else {
    if (loaded == Loaded::damaged) {
      warn_lost("file \"redoubt_limits\" is damaged");
      (void)durable_rename(kFile, kDamaged, LOG);
    } else if (served_before()) {
      warn_lost("file \"redoubt_limits\" is missing");
      loaded = Loaded::damaged;
    }
    if (loaded == Loaded::damaged) limits_mark_lost(limit_time_ns(now));
  }
  if (limits.bucket != nullptr) pfree(limits.bucket);
  if (limits.usage != nullptr) pfree(limits.usage);
  if (loaded != Loaded::fine) (void)limits_store_save(true);
  on_shmem_exit(shielded<redoubt_limits_server_ends, WARNING>, static_cast<Datum>(0));
}

}  // namespace redoubt::pg
