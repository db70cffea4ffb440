// audit_flush.cpp - see audit_flush.h.
#include "pg/base/boundary.h"

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_flush.h"
#include "pg/base/settings.h"

namespace redoubt::pg {
namespace {

struct Failure {
  const char *action;
  int error;
};

// A segment that is gone holds nothing to flush; verification names it.
Failure flush_segment(std::uint64_t segment) noexcept {
  const int fd = open(audit_path(segment).text, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT ? Failure{nullptr, 0} : Failure{"open a segment to flush of", errno};
  const Failure failure = pg_fdatasync(fd) != 0 ? Failure{"flush", errno} : Failure{nullptr, 0};
  close(fd);
  return failure;
}

Failure flush_directory() noexcept {
  constexpr const char *kAction = "flush the directory of";
  const int fd = open(setting_audit_directory, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {kAction, errno};
  const Failure failure = enableFsync && fsync(fd) != 0 ? Failure{kAction, errno} : Failure{nullptr, 0};
  close(fd);
  return failure;
}

// Flushes the segments that hold what was written from `from` to `to`.
Failure flush_range(AuditMark from, AuditMark to, std::uint64_t listed, int fd, std::uint64_t fd_segment) noexcept {
  for (std::uint64_t segment = std::max<std::uint64_t>(from.segment, 1); segment <= to.segment; ++segment) {
    Failure failure = {nullptr, 0};
    if (segment != fd_segment)
      failure = flush_segment(segment);
    else if (pg_fdatasync(fd) != 0)
      failure = {"flush", errno};
    if (failure.action != nullptr) return failure;
  }
  return listed < to.segment ? flush_directory() : Failure{nullptr, 0};
}

// With the mutex held.
bool lost(const AuditFlush *flush, AuditMark mark) noexcept {
  return mark.segment <= flush->lost_through && mark > flush->lost_after;
}

void end_flush(AuditFlush *flush, AuditMark from, AuditMark to, const Failure &failure) noexcept {
  SpinLockAcquire(&flush->mutex);
  flush->flushing = false;
  if (failure.action == nullptr) {
    flush->durable = std::max(flush->durable, to);
    flush->listed = std::max(flush->listed, to.segment);
  } else {
    // The first loss stands: a writer that still waits for what became durable between two losses gets an error, too.
    if (flush->lost_through == 0) flush->lost_after = from;
    flush->lost_through = std::max(flush->lost_through, to.segment);
    flush->lost_error = failure.error;
    flush->durable = {flush->lost_through + 1, 0};
  }
  SpinLockRelease(&flush->mutex);
  ConditionVariableBroadcast(&flush->ended);
}

void log_lost(AuditMark from, const Failure &failure) {
  errno = failure.error;
  ereport(LOG_SERVER_ONLY,
          (errcode(ERRCODE_IO_ERROR), errmsg("redoubt audit: could not %s the audit trail: %m", failure.action),
           errdetail(
               "What was written after byte %llu of segment %llu may not be on disk; writing goes on in a new segment.",
               static_cast<unsigned long long>(from.offset), static_cast<unsigned long long>(from.segment)),
           errhint("Check the disk under redoubt.audit_directory. After a power failure run redoubt.verify_audit()."),
           errhidestmt(true), errhidecontext(true)));
}

const char *flush_for_all(AuditFlush *flush, AuditMark from, std::uint64_t listed, AuditMark (*written)(), int fd,
                          std::uint64_t fd_segment) noexcept {
  const AuditMark to = written();
  pgstat_report_wait_start(PG_WAIT_EXTENSION);
  const Failure failure = flush_range(from, to, listed, fd, fd_segment);
  pgstat_report_wait_end();
  end_flush(flush, from, to, failure);
  if (failure.action == nullptr) return nullptr;
  log_lost(from, failure);
  errno = failure.error;
  return failure.action;
}

}  // namespace

void audit_flush_init(AuditFlush *flush) noexcept {
  *flush = {};
  SpinLockInit(&flush->mutex);
  ConditionVariableInit(&flush->ended);
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
  HOLD_INTERRUPTS();
  enum class Found { none, durable, lost, turn } found = Found::none;
  AuditMark from;
  std::uint64_t listed = 0;
  int error = 0;
  while (true) {
    SpinLockAcquire(&flush->mutex);
    if (lost(flush, mine)) {
      found = Found::lost;
      error = flush->lost_error;
    } else if (mine <= flush->durable) {
      found = Found::durable;
    } else if (!flush->flushing) {
      found = Found::turn;
      flush->flushing = true;
      from = flush->durable;
      listed = flush->listed;
    }
    SpinLockRelease(&flush->mutex);
    if (found != Found::none) break;
    ConditionVariableSleep(&flush->ended, PG_WAIT_EXTENSION);
  }
  ConditionVariableCancelSleep();
  const char *action = found == Found::lost ? "flush" : nullptr;
  if (found == Found::turn) {
    action = flush_for_all(flush, from, listed, written, fd, fd_segment);
    error = errno;
  }
  RESUME_INTERRUPTS();
  errno = error;
  return action;
}

}  // namespace redoubt::pg
