// log_guard.cpp - see log_guard.h.
//
// A mark is remembered in two ways: by the statement's start time, and by a
// hash of the statement's text, because in the extended protocol a literal is
// tokenized at Parse while the error comes at a later Execute of the same text.
// The table of hashes forgets old entries; a collision only hides a statement
// too many.  A message is kept only where its SQLSTATE and its origin rule out
// that it quotes a value; any other is replaced in the log, not for the client,
// whose own data it is.
// Not covered, by design: log_statement, log_min_duration_statement,
// log_parameter_max_length and auto_explain, which log what they are told to,
// and the text of a statement that fails before it meets a protected column or
// value (docs/threat_model.md).
// Covered by test/tap/log_content.pl.
#include "pg/base/boundary.h"

#include "pg/base/error_origin.h"
#include "pg/base/log_guard.h"

namespace redoubt::pg {
namespace {

constexpr std::uint32_t kMarks = 256;  // direct-mapped; 0 = empty

constinit emit_log_hook_type prev_emit_log = nullptr;
struct State {
  TimestampTz marked_statement = 0;
  const char *marked_text = nullptr;  // the text hashed last, in that statement; never dereferenced
  std::uint32_t marks[kMarks] = {};
  bool reads_protected = false;  // so far, in this session
};
constinit State state;

std::uint32_t statement_hash() noexcept {
  const auto *text = reinterpret_cast<const unsigned char *>(debug_query_string);
  return hash_bytes(text, static_cast<int>(strlen(debug_query_string))) | 1U;
}

bool statement_marked() noexcept {
  if (state.marked_statement != 0 && state.marked_statement == GetCurrentStatementStartTimestamp()) return true;
  if (debug_query_string == nullptr) return false;
  const std::uint32_t hash = statement_hash();
  return state.marks[hash % kMarks] == hash;
}

// True where no value can be in the message: errors of these classes are about
// the session, its privileges or the server, where PostgreSQL or this library
// raised them.  What a function of a procedural language or of another extension
// raises may quote anything under any SQLSTATE.
bool quotes_nothing(const ErrorData *error) noexcept {
  // What a library in C logs, it was told to log (pgaudit, auto_explain); RAISE LOG has a domain of its own.
  if (error->elevel == LOG || error->elevel == LOG_SERVER_ONLY)
    return error->domain != nullptr && strcmp(error->domain, PG_TEXTDOMAIN("postgres")) == 0;
  if (error->elevel < ERROR) return false;  // the warnings of any code
  const ErrorOrigin origin = error_origin(error);
  if (origin == ErrorOrigin::redoubt) return true;  // which type, and what is wrong: never a value
  if (origin == ErrorOrigin::other) return false;
  switch (ERRCODE_TO_CATEGORY(error->sqlerrcode)) {
    case ERRCODE_INVALID_TRANSACTION_STATE:
    case ERRCODE_TRANSACTION_ROLLBACK:
    case ERRCODE_INSUFFICIENT_RESOURCES:
    case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
    case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
    case ERRCODE_OPERATOR_INTERVENTION:
    case ERRCODE_SYSTEM_ERROR:
    case ERRCODE_INTERNAL_ERROR:
      return true;
    default:
      return error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE;
  }
}

// Other backends' statements, which only those could have marked: in the log's
// own detail of a deadlock, and where the postmaster tells of a backend that died.
void hide_other_statements(ErrorData *error) noexcept {
  if (error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED) error->detail_log = nullptr;
  if (MyProcPid == PostmasterPid && error->elevel == LOG) error->detail = nullptr;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void redoubt_emit_log(ErrorData *error) {
  using namespace redoubt::pg;
  if (prev_emit_log) prev_emit_log(error);
  if (error->elevel == LOG && state.reads_protected) error->output_to_client = false;
  if (!error->output_to_server) return;
  hide_other_statements(error);
  if (!statement_marked()) return;
  error->hide_stmt = true;
  error->hide_ctx = true;
  if (quotes_nothing(error)) return;
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
  emit_log_hook = shielded<redoubt_emit_log, WARNING>;
}

void log_guard_reads_protected() noexcept { state.reads_protected = true; }

void log_guard_mark() noexcept {
  const TimestampTz now = GetCurrentStatementStartTimestamp();
  if (state.marked_statement == now && state.marked_text == debug_query_string) return;
  state.marked_statement = now;
  state.marked_text = debug_query_string;
  if (debug_query_string == nullptr) return;
  const std::uint32_t hash = statement_hash();
  state.marks[hash % kMarks] = hash;
}

}  // namespace redoubt::pg
