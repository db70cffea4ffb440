// audit_context.h - who, where and when of an audit event.
//
// Fills the record's session fields: roles, database, client, application, query
// id, process, time.  Names come from the catalogs where that is allowed, and from
// what this process has seen before where it is not.
// Locks: none; all state is per process.
// Covered by test/tap/audit.pl and sql/audit.sql.
#ifndef REDOUBT_PG_AUDIT_AUDIT_CONTEXT_H
#define REDOUBT_PG_AUDIT_AUDIT_CONTEXT_H

#include "pg/base/boundary.h"

#include "core/audit_record.h"

namespace redoubt::pg {

// audit_context_fill sets everything of `record` but event, outcome, operation, count and detail, and users whose ids
// are set already.
// With `catalog` it may raise and allocate in the current context; without, it does neither.  The
// views stay valid until the next call.
void audit_context_fill(AuditRecord &record, Oid token_type, bool catalog);

// `text` in UTF-8: converted (palloc'd) with `catalog`, as it is otherwise.  Null becomes "".
std::string_view audit_context_utf8(const char *text, bool catalog);

// Milliseconds since the Unix epoch.
std::int64_t audit_context_time_ms(TimestampTz time) noexcept;

}  // namespace redoubt::pg
#endif
