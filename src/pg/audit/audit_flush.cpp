// audit_flush.cpp - see audit_flush.h.
#include "pg/base/boundary.h"

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_flush.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

struct FlushFailure {
  const char *action;
  int error;
};

// A segment that is gone holds nothing to flush; verification names it.
FlushFailure flush_segment(std::uint64_t segment) noexcept {
  const int fd = open(audit_path(segment).text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT ? FlushFailure{nullptr, 0} : FlushFailure{"open a segment to flush of", errno};
  const FlushFailure failure = pg_fdatasync(fd) != 0 ? FlushFailure{"flush", errno} : FlushFailure{nullptr, 0};
  close(fd);
  return failure;
}

FlushFailure flush_directory() noexcept {
  constexpr const char *kAction = "flush the directory of";
  const int fd = open(setting_audit_directory, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {kAction, errno};
  const FlushFailure failure = enableFsync && fsync(fd) != 0 ? FlushFailure{kAction, errno} : FlushFailure{nullptr, 0};
  close(fd);
  return failure;
}

// Flushes what was written from `from` to `to`: through the journal, or else the segments that hold it.
FlushFailure flush_range(AuditJournal &journal, AuditMark from, AuditMark to, std::uint64_t listed, int fd,
                         std::uint64_t fd_segment) noexcept {
  if (fd_segment == to.segment && audit_journal_put(journal, from, to, fd)) return {nullptr, 0};
  for (std::uint64_t segment = std::max<std::uint64_t>(from.segment, 1); segment <= to.segment; ++segment) {
    FlushFailure failure = {nullptr, 0};
    if (segment != fd_segment)
      failure = flush_segment(segment);
    else if (pg_fdatasync(fd) != 0)
      failure = {"flush", errno};
    if (failure.action != nullptr) return failure;
  }
  // What hindered the making of a journal is tried again with the next segment.
  const bool wanted = setting_audit_durability == static_cast<int>(Durability::sync);
  const bool made =
      wanted && audit_journal_restart(journal, to, listed < to.segment || (!journal.ready && journal.problem == 0));
  return listed < to.segment || made ? flush_directory() : FlushFailure{nullptr, 0};
}

// With the mutex held.
bool lost(const AuditFlush *flush, AuditMark mark) noexcept {
  return mark.segment <= flush->lost_through && mark > flush->lost_after;
}

void end_flush(AuditFlush *flush, AuditMark from, AuditMark to, const FlushFailure &failure) noexcept {
  SpinLockAcquire(&flush->mutex);
  if (failure.action == nullptr) {
    flush->durable = std::max(flush->durable, to);
    flush->listed = std::max(flush->listed, to.segment);
  } else {
    // The first loss stands: a writer that still waits for what became durable between two losses gets an error, too.
    if (flush->lost_through == 0) flush->lost_after = from;
    flush->lost_through = std::max(flush->lost_through, to.segment);
    flush->lost_error = failure.error;
    flush->journal.ready = false;
    flush->journal.kept = true;
    flush->journal.problem = failure.error;
    flush->durable = {flush->lost_through + 1, 0};
  }
  SpinLockRelease(&flush->mutex);
}

void log_lost(AuditMark from, const FlushFailure &failure) {
  errno = failure.error;
  ereport(LOG_SERVER_ONLY,
          (errcode(ERRCODE_IO_ERROR), errmsg("redoubt audit: could not %s the audit trail: %m", failure.action),
           errdetail(
               "What was written after byte %llu of segment %llu may not be on disk; writing goes on in a new segment.",
               static_cast<unsigned long long>(from.offset), static_cast<unsigned long long>(from.segment)),
           errhint("Check the disk under redoubt.audit_directory. After a power failure run redoubt.verify_audit()."),
           errhidestmt(true), errhidecontext(true)));
}

// What a writer finds, and what a flush begins with.
struct Found {
  bool durable, lost;
  int error;
  AuditMark from;
  std::uint64_t listed;
};

Found find(AuditFlush *flush, AuditMark mine) noexcept {
  SpinLockAcquire(&flush->mutex);
  const bool gone = lost(flush, mine);
  const Found found = {mine <= flush->durable, gone, gone ? flush->lost_error : 0, flush->durable, flush->listed};
  SpinLockRelease(&flush->mutex);
  return found;
}

}  // namespace

void audit_flush_init(AuditFlush *flush) noexcept {
  *flush = {};
  SpinLockInit(&flush->mutex);
}

void audit_flush_begin(AuditFlush *flush, AuditMark durable) noexcept {
  SpinLockAcquire(&flush->mutex);
  flush->durable = durable;
  flush->listed = durable.segment;
  SpinLockRelease(&flush->mutex);
}

bool audit_flush_left(AuditFlush *flush, std::uint64_t segment) noexcept {
  SpinLockAcquire(&flush->mutex);
  const bool left = segment <= flush->lost_through;
  SpinLockRelease(&flush->mutex);
  return left;
}

const char *audit_flush_to(AuditFlush *flush, AuditMark mine, AuditMark (*written)(), int fd,
                           std::uint64_t fd_segment) noexcept {
  LWLock *const lock = shared_lock(kAuditFlushLock);
  FlushFailure failure = {nullptr, 0};
  HOLD_INTERRUPTS();
  Found found = find(flush, mine);
  while (!found.lost && !found.durable && !LWLockAcquireOrWait(lock, LW_EXCLUSIVE)) found = find(flush, mine);
  if (LWLockHeldByMe(lock)) {
    found = find(flush, mine);  // another flush may have ended just before
    if (!found.lost && !found.durable) {
      const AuditMark to = written();
      pgstat_report_wait_start(PG_WAIT_EXTENSION);
      failure = flush_range(flush->journal, found.from, to, found.listed, fd, fd_segment);
      pgstat_report_wait_end();
      end_flush(flush, found.from, to, failure);
    }
    LWLockRelease(lock);
  }
  if (failure.action != nullptr)
    log_lost(found.from, failure);
  else if (found.lost)
    failure = {"flush", found.error};
  RESUME_INTERRUPTS();
  errno = failure.error;
  return failure.action;
}

}  // namespace redoubt::pg
