// log_guard.cpp - see log_guard.h.
//
// A mark is remembered in two ways: by the statement's start time, and by a
// hash of the statement's text, because in the extended protocol a literal is
// tokenized at Parse while the error comes at a later Execute of the same text.
// The table of hashes forgets old entries; a collision only hides a statement
// too many.  Messages of the classes that quote values (22 data exception, 23
// integrity violation, P0 raised by a function) are replaced in the log, not
// for the client, whose own data it is.
// Not covered, by design: log_statement, log_min_duration_statement and
// log_parameter_max_length, which log what they are told to
// (docs/threat_model.md).
// Covered by test/tap/log_content.pl.
#include "pg/boundary.h"

#include "pg/log_guard.h"

namespace redoubt::pg {
namespace {

constexpr std::uint32_t kMarks = 256;  // direct-mapped; 0 = empty

constinit emit_log_hook_type prev_emit_log = nullptr;
constinit TimestampTz marked_statement = 0;
constinit std::uint32_t marks[kMarks] = {};
constinit const char *marked_text = nullptr;  // the text hashed last, in that statement; never dereferenced

std::uint32_t statement_hash() noexcept {
  const auto *text = reinterpret_cast<const unsigned char *>(debug_query_string);
  return hash_bytes(text, static_cast<int>(strlen(debug_query_string))) | 1U;
}

bool statement_marked() noexcept {
  if (marked_statement != 0 && marked_statement == GetCurrentStatementStartTimestamp()) return true;
  if (debug_query_string == nullptr) return false;
  const std::uint32_t hash = statement_hash();
  return marks[hash % kMarks] == hash;
}

bool quotes_values(int sqlstate) noexcept {
  const int category = ERRCODE_TO_CATEGORY(sqlstate);
  return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
         category == ERRCODE_PLPGSQL_ERROR || category == ERRCODE_WITH_CHECK_OPTION_VIOLATION;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void redoubt_emit_log(ErrorData *error) {
  using namespace redoubt::pg;
  if (prev_emit_log) prev_emit_log(error);
  if (!error->output_to_server || !statement_marked()) return;
  error->hide_stmt = true;
  error->hide_ctx = true;
  // WARNING and NOTICE of a function may quote a value under any SQLSTATE.
  if (!quotes_values(error->sqlerrcode) && error->elevel >= ERROR) return;
  if (error->elevel == LOG || error->elevel == LOG_SERVER_ONLY) return;
  error->output_to_server = false;
  ereport(LOG_SERVER_ONLY,
          (errmsg("message of SQLSTATE %s withheld from the log: the statement handled protected values",
                  unpack_sql_state(error->sqlerrcode)),
           errhidestmt(true), errhidecontext(true)));
}
}

namespace redoubt::pg {

void log_guard_install() {
  prev_emit_log = emit_log_hook;
  emit_log_hook = redoubt_emit_log;
}

void log_guard_mark() noexcept {
  const TimestampTz now = GetCurrentStatementStartTimestamp();
  if (marked_statement == now && marked_text == debug_query_string) return;
  marked_statement = now;
  marked_text = debug_query_string;
  if (debug_query_string == nullptr) return;
  const std::uint32_t hash = statement_hash();
  marks[hash % kMarks] = hash;
}

}  // namespace redoubt::pg
