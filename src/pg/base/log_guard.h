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

}  // namespace redoubt::pg
#endif
