// parser_errors.cpp - see parser_errors.h.
//
// USING takes one of the types that it is given as the type of the result, and fails where the other has no cast to it:
// two token types, or one of base bigint beside integer.  PostgreSQL takes that for an internal error (XX000).
// COALESCE, CASE, UNION and the like choose in the same way, and say so (42846) without a way round: two token types
// have a cast to text each, but text is in question only where one of the values is a text.
// Who catches the error in PL/pgSQL has it as PostgreSQL made it.
// Invariant: changes an error's SQLSTATE, message and hint; never reads the catalog, so a hint says what it is of.
// Covered by sql/as_text.sql.
#include "pg/base/boundary.h"

#include "pg/base/error_origin.h"
#include "pg/base/parser_errors.h"

namespace redoubt::pg {
namespace {

constinit emit_log_hook_type prev_emit_log = nullptr;

constexpr char kFailed[] = "failed to find conversion function from %s to %s";  // untranslated
constexpr char kBegins[] = "failed to find conversion function from ";
constexpr char kNothingCommon[] = "%s could not convert type %s to %s";  // untranslated

char *text_for(ErrorData *error, const char *text) { return MemoryContextStrdup(error->assoc_context, text); }

void mend(ErrorData *error) {
  if (error->elevel != ERROR || error->message_id == nullptr || error->hint != nullptr) return;
  const bool failed = strcmp(error->message_id, kFailed) == 0 && strncmp(error->message, kBegins, strlen(kBegins)) == 0;
  const bool nothing_common =
      strcmp(error->message_id, kNothingCommon) == 0 && error->sqlerrcode == ERRCODE_CANNOT_COERCE;
  if ((!failed && !nothing_common) || error_origin(error) != ErrorOrigin::server) return;
  if (nothing_common) {
    error->hint = text_for(error, "Cast the values of two token types to text.");
    return;
  }
  error->sqlerrcode = ERRCODE_CANNOT_COERCE;
  error->message = text_for(error, psprintf("could not convert type %s", error->message + strlen(kBegins)));
  error->hint = text_for(error, "Join columns of two types, one of them a token type, by ON and =.");
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void redoubt_emit_parser_error(ErrorData *error) {
  if (redoubt::pg::prev_emit_log) redoubt::pg::prev_emit_log(error);
  redoubt::pg::mend(error);
}
}

namespace redoubt::pg {

void parser_errors_install() {
  prev_emit_log = emit_log_hook;
  emit_log_hook = shielded<redoubt_emit_parser_error, WARNING>;
}

}  // namespace redoubt::pg
