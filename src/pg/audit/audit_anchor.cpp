// audit_anchor.cpp - see audit_anchor.h.
//
// The line goes to the command's standard input; nothing of it is part of the command.  It is flushed to disk before:
// an anchor of what a power failure takes would accuse an honest server. Covered by test/tap/audit_anchor.pl.
#include "pg/base/boundary.h"

#include "core/audit_archive.h"
#include "pg/audit/audit_anchor.h"
#include "pg/audit/audit_context.h"
#include "pg/audit/audit_server.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/base/shell_command.h"

extern "C" {
#include <sys/wait.h>
}

namespace redoubt::pg {
namespace {

constexpr long kPollMs = 20;

struct Shared {
  pg_atomic_uint64 sent_at, failed_at;
};

struct State {
  Shared *shared;
  AuditHead sent;  // what this process sent last
  TimestampTz tried_at;
  char told[128];  // the failure that was logged last; empty: none since one was sent
};
constinit State state = {};

// Waits for the command; returns why it failed, or an empty text.
void await(pid_t pid, char (&problem)[sizeof state.told]) {
  const TimestampTz began = GetCurrentTimestamp();
  problem[0] = '\0';
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) {
      if (WIFSIGNALED(status))
        snprintf(problem, sizeof problem, "it ended by signal %d", WTERMSIG(status));
      else if (WEXITSTATUS(status) != 0)
        snprintf(problem, sizeof problem, "it ended with exit status %d", WEXITSTATUS(status));
      return;
    }
    const bool late = TimestampDifferenceExceeds(began, GetCurrentTimestamp(), setting_anchor_timeout * 1000);
    if (late || ProcDiePending || (ended < 0 && errno != EINTR)) {
      shell_kill(pid);
      snprintf(problem, sizeof problem, late ? "it did not end within %d s and was killed" : "it was killed",
               setting_anchor_timeout);
      return;
    }
    const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH, kPollMs, PG_WAIT_EXTENSION);
    if ((events & WL_POSTMASTER_DEATH) != 0) {
      shell_kill(pid);
      proc_exit(1);
    }
    if ((events & WL_LATCH_SET) != 0) {
      ResetLatch(MyLatch);
      HOLD_INTERRUPTS();  // the command is to be killed before this process ends, but others' barriers are not to wait
      if (ProcSignalBarrierPending) ProcessProcSignalBarrier();
      RESUME_INTERRUPTS();
    }
  }
}

void run(std::string_view line, char (&problem)[sizeof state.told]) {
  int ends[2];
  strlcpy(problem, "it cannot be run", sizeof problem);
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  const pid_t pid = shell_start(setting_anchor_command, ends[0], -1);
  close(ends[0]);
  // A pipe holds more than a line, so this does not wait; a command that reads nothing is its own business.
  if (pid > 0) (void)!write(ends[1], line.data(), line.size());
  close(ends[1]);
  if (pid > 0) await(pid, problem);
}

void log_failure(const char *problem) {
  pg_atomic_write_u64(&state.shared->failed_at, static_cast<uint64>(GetCurrentTimestamp()));
  if (strcmp(state.told, problem) == 0) return;
  strlcpy(state.told, problem, sizeof state.told);
  ereport(LOG, (errmsg("redoubt audit: redoubt.anchor_command failed: %s", problem),
                errdetail("It is run again; further failures like this one are not logged."),
                errhint("Run it by hand as the server's user, with a line on its standard input."), errhidestmt(true)));
}

}  // namespace

void audit_anchor_send(std::uint64_t segment) {
  if (setting_anchor_command[0] == '\0' || !kek_available()) return;
  if (!TimestampDifferenceExceeds(state.tried_at, GetCurrentTimestamp(), setting_anchor_interval * 1000)) return;
  AuditPosition position;
  if (audit_position(position, false) != 0 || segment == 0 || position.head.segment != segment) return;
  if (position.head.segment == state.sent.segment && position.head.sequence == state.sent.sequence) return;
  state.tried_at = GetCurrentTimestamp();
  audit_make_durable();
  char line[kAuditSignedMax], problem[sizeof state.told];
  const Result<std::size_t> size = audit_anchor_encode(kek_signing_seed(), audit_server_id(), audit_server_cluster(),
                                                       position.head, audit_context_time_ms(state.tried_at), line);
  if (!size.ok()) return log_failure("OpenSSL could not sign");
  run({line, *size}, problem);
  if (problem[0] != '\0') return log_failure(problem);
  state.sent = position.head;
  state.told[0] = '\0';
  pg_atomic_write_u64(&state.shared->sent_at, static_cast<uint64>(GetCurrentTimestamp()));
  pg_atomic_write_u64(&state.shared->failed_at, 0);
}

AuditAnchorState audit_anchor_state() noexcept {
  return {static_cast<TimestampTz>(pg_atomic_read_u64(&state.shared->sent_at)),
          static_cast<TimestampTz>(pg_atomic_read_u64(&state.shared->failed_at))};
}

Size audit_anchor_shmem_size() { return MAXALIGN(sizeof(Shared)); }

void audit_anchor_shmem_startup() {
  bool found = false;
  state.shared = static_cast<Shared *>(ShmemInitStruct("redoubt audit anchor", sizeof(Shared), &found));
  if (found) return;
  pg_atomic_init_u64(&state.shared->sent_at, 0);
  pg_atomic_init_u64(&state.shared->failed_at, 0);
}

}  // namespace redoubt::pg
