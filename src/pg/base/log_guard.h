// log_guard.h - keeps plaintext out of the server log.
//
// A statement that carries plaintext (a literal to be tokenized) or has
// revealed some must not have its text, its context or a message that quotes a
// value written to the log when it fails.
#ifndef REDOUBT_PG_BASE_LOG_GUARD_H
#define REDOUBT_PG_BASE_LOG_GUARD_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Chains emit_log_hook.
void log_guard_install();

// Marks the statement being run as one that handles plaintext.  Cheap.
void log_guard_mark() noexcept;

// Notes that the session reads protected columns: from now on its client is sent no message of level LOG, which
// client_min_messages may ask for.  What PostgreSQL logs on its way (log_temp_files), and auto_explain at the end,
// tells how often parts of a plan were run.
void log_guard_reads_protected() noexcept;

}  // namespace redoubt::pg
#endif
