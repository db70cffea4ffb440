// shell_command.cpp - see shell_command.h.
// Covered by test/tap/kek_command.pl and test/tap/audit_anchor.pl.
#include "pg/base/boundary.h"

#include "pg/base/shell_command.h"

extern "C" {
#include <spawn.h>
#include <sys/wait.h>
}

namespace redoubt::pg {
namespace {

int give(posix_spawn_file_actions_t *actions, int fd, int as) noexcept {
  return fd >= 0 ? posix_spawn_file_actions_adddup2(actions, fd, as)
                 : posix_spawn_file_actions_addopen(actions, as, "/dev/null", O_RDWR, 0);
}

}  // namespace

pid_t shell_start(const char *command, int in, int out) noexcept {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  if (posix_spawn_file_actions_init(&actions) != 0) return -1;
  pid_t pid = -1;
  if (posix_spawnattr_init(&attributes) == 0) {
    constexpr int kFlags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    char shell[] = "sh";
    char option[] = "-c";
    char *const arguments[] = {shell, option, const_cast<char *>(command), nullptr};
    const bool ready =
        give(&actions, in, STDIN_FILENO) == 0 && give(&actions, out, STDOUT_FILENO) == 0 &&
        posix_spawnattr_setflags(&attributes, kFlags) == 0 && posix_spawnattr_setpgroup(&attributes, 0) == 0 &&
        posix_spawnattr_setsigmask(&attributes, &none) == 0 && posix_spawnattr_setsigdefault(&attributes, &all) == 0;
    if (!ready || posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, environ) != 0) pid = -1;
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

void shell_kill(pid_t pid) noexcept {
  int status = 0;
  kill(-pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace redoubt::pg
