// parser_errors.cpp - see parser_errors.h.
//
// COALESCE, CASE, UNION and USING take one of the types that they are given as the type of the result, and fail where
// the others have no cast to it: two token types, or one of base bigint beside integer.  Types outside of Redoubt come
// there only where they have a category in common and no cast, so the hint is given whatever they are: which are token
// types cannot be looked up while an error is on its way.  Who catches the error in PL/pgSQL has it as PostgreSQL made
// it. Invariant: changes an error's SQLSTATE, message and hint; never reads the catalog. Covered by sql/as_text.sql.
#include "pg/base/boundary.h"

#include "pg/base/error_origin.h"
#include "pg/base/parser_errors.h"

namespace redoubt::pg {
namespace {

constinit emit_log_hook_type prev_emit_log = nullptr;

// PostgreSQL's own words, untranslated.
constexpr char kNoCommonType[] = "%s could not convert type %s to %s";
constexpr char kUsing[] = "failed to find conversion function from %s to %s";
constexpr char kUsingBegins[] = "failed to find conversion function from ";

char *text_for(ErrorData *error, const char *text) { return MemoryContextStrdup(error->assoc_context, text); }

void mend(ErrorData *error) {
  if (error->elevel != ERROR || error->message_id == nullptr || error->hint != nullptr) return;
  const bool of_using = strcmp(error->message_id, kUsing) == 0;
  if ((!of_using && strcmp(error->message_id, kNoCommonType) != 0) || error_origin(error) != ErrorOrigin::server)
    return;
  if (of_using) {
    error->sqlerrcode = ERRCODE_CANNOT_COERCE;
    if (strncmp(error->message, kUsingBegins, strlen(kUsingBegins)) == 0)
      error->message =
          text_for(error, psprintf("JOIN/USING could not convert type %s", error->message + strlen(kUsingBegins)));
  }
  error->hint = text_for(error, of_using ? "Columns of two types, one of them a token type, are joined by ON and =."
                                         : "A token of one type is none of another: cast one to text to have values.");
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
