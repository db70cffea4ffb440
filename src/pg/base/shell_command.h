// shell_command.h - starting a shell command of the configuration.
//
// The command's text is the configuration's alone: what it is told comes on its standard input.
#ifndef REDOUBT_PG_BASE_SHELL_COMMAND_H
#define REDOUBT_PG_BASE_SHELL_COMMAND_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// shell_start starts /bin/sh with the command, in a process group of its own, with these descriptors (-1: /dev/null) as
// its standard input and output; returns its process id, or -1.
pid_t shell_start(const char *command, int in, int out) noexcept;

// shell_kill kills the process group and waits for the shell.
void shell_kill(pid_t pid) noexcept;

}  // namespace redoubt::pg
#endif
