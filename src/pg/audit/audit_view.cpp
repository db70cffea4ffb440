// audit_view.cpp - reads and verifies the audit trail from SQL.
//
//   redoubt.audit_records()  one row per line, for the view redoubt.audit
//   redoubt.verify_audit()   recomputes the chain, names the first broken record
//
// Who may call them is a matter of GRANT (redoubt_auditor).  Both read the files,
// never a copy; both fix the end of the trail first and read up to it, so that a
// writer who appends meanwhile is neither half seen nor mistaken for damage.
// What it is not: verify_audit cannot know what was removed from the very end
// while the server was down; compare the heads in the server log.
// Locks: none held while reading.  Frames here hold plain data only, so
// PostgreSQL may raise anywhere.
// Covered by test/tap/audit.pl and sql/audit.sql.
#include "pg/base/boundary.h"

extern "C" {
#include "common/jsonapi.h"
#include "utils/jsonb.h"
}

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/compat.h"
#include "pg/audit/kek.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

[[noreturn]] void raise_unreadable(std::uint64_t segment) {
  ereport(ERROR,
          (errcode(ERRCODE_IO_ERROR), errmsg("could not read audit segment \"%s\": %m", audit_file_name(segment).text),
           errhint("Check redoubt.audit_directory and the permissions of its files."), errhidestmt(true)));
  pg_unreachable();
}

AuditRange list_segments(std::uint64_t after = 0) {
  AuditRange range;
  if (const int error = audit_directory_list(range, after); error != 0) {
    errno = error;
    ereport(ERROR, (errcode(ERRCODE_IO_ERROR), errmsg("could not read the audit directory: %m"),
                    errhint("Check redoubt.audit_directory and its permissions."), errhidestmt(true)));
  }
  return range;
}

// The descriptor of a segment, closed by the transaction at the latest; -1 if there is no such file.
int open_segment(std::uint64_t segment) {
  const int fd = OpenTransientFile(audit_path(segment).text, O_RDONLY | O_NONBLOCK);
  if (fd < 0 && errno != ENOENT) raise_unreadable(segment);
  return fd;
}

// Numbers as the encoder writes them: jsonb's numeric could refuse others.
CompatJsonResult check_scalar(void *state, char *token, JsonTokenType type) {
  if (type == JSON_TOKEN_NUMBER && strspn(token, "-0123456789") != strlen(token)) *static_cast<bool *>(state) = false;
  REDOUBT_JSON_DONE;
}

// True if jsonb_in will take `text`, which it has to do without an error: one doctored line must not
// hide the others.
bool valid_json(char *text, std::size_t size) {
  bool plain_numbers = true;
  JsonSemAction actions{};
  actions.semstate = &plain_numbers;
  actions.scalar = check_scalar;
  JsonLexContext *lex = compat_json_lexer(text, static_cast<int>(size));
  return pg_parse_json(lex, &actions) == JSON_SUCCESS && plain_numbers;
}

// A NUL-terminated copy.  Where the database cannot hold every character, the escapes of those
// outside ASCII stay visible as text instead of failing.
char *copy_line(std::string_view line) {
  char *const copy = static_cast<char *>(palloc(2 * line.size() + 1));
  char *to = copy;
  const bool unicode = GetDatabaseEncoding() == PG_UTF8;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && i + 1 < line.size()) {
      const std::string_view escape = line.substr(i, 4);  // \u00 begins those of U+0000 to U+00FF
      const bool ascii = escape == "\\u00" && i + 4 < line.size() && line[i + 4] < '8';
      if (!unicode && escape.starts_with("\\u") && !ascii) *to++ = '\\';
      *to++ = line[i++];
    }
    *to++ = line[i];
  }
  *to = '\0';
  return copy;
}

// The line as jsonb, or null if it is not JSON (which only damage explains).
NullableDatum line_as_jsonb(std::string_view line) {
  // The encoder writes ASCII only; anything else, a NUL included, is damage.
  const bool printable = std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (!printable || line.size() >= kAuditLineMax) return {0, true};
  char *const text = copy_line(line);
  if (!valid_json(text, strlen(text))) return {0, true};
  return {DirectFunctionCall1(jsonb_in, CStringGetDatum(text)), false};
}

// False where there is no such file.
bool put_segment(ReturnSetInfo *result, std::uint64_t segment, std::uint64_t limit, MemoryContext per_line) {
  const int fd = open_segment(segment);
  if (fd < 0) return false;  // removed: verify_audit says so
  AuditLineReader reader(fd, limit);
  std::string_view line;
  AuditLineReader::Kind kind;
  int number = 0;
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line || kind == AuditLineReader::Kind::fragment) {
    CHECK_FOR_INTERRUPTS();
    const MemoryContext caller = MemoryContextSwitchTo(per_line);
    const NullableDatum record = line_as_jsonb(line);
    Datum values[] = {Int64GetDatum(static_cast<int64>(segment)), Int32GetDatum(++number), record.value};
    bool nulls[] = {false, false, record.isnull};
    if (kind == AuditLineReader::Kind::fragment) nulls[2] = true;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(per_line);
  }
  if (kind == AuditLineReader::Kind::error) raise_unreadable(segment);
  CloseTransientFile(fd);
  return true;
}

struct Verification {
  AuditProblem problem = AuditProblem::none;
  bool missing = false;  // the file verifier.segment() + 1 is not there
};

Verification verify_segments(AuditVerifier &verifier, std::uint64_t last, const AuditPosition *position) {
  for (std::uint64_t segment = 1; segment <= last; ++segment) {
    const int fd = open_segment(segment);
    if (fd < 0) return {AuditProblem::missing_segment, true};
    AuditProblem problem = verifier.begin_segment(segment);
    const bool current = position != nullptr && segment == position->head.segment;
    AuditLineReader reader(fd, current ? position->offset : UINT64_MAX);
    std::string_view line;
    AuditLineReader::Kind kind = AuditLineReader::Kind::line;
    while (problem == AuditProblem::none && (kind = reader.next(line)) == AuditLineReader::Kind::line) {
      CHECK_FOR_INTERRUPTS();
      problem = verifier.line(line);
    }
    if (kind == AuditLineReader::Kind::error) raise_unreadable(segment);
    if (kind == AuditLineReader::Kind::fragment) problem = verifier.fragment(reader.fragment_size());
    CloseTransientFile(fd);
    if (problem != AuditProblem::none) return {problem, false};
  }
  return {verifier.finish(position != nullptr ? &position->head : nullptr), false};
}

}  // namespace
}  // namespace redoubt::pg

// redoubt.audit_records(OUT segment bigint, OUT line integer, OUT record jsonb) returns setof record
REDOUBT_FUNCTION(redoubt_audit_records) {
  using namespace redoubt::pg;
  call([&] {
    require_preloaded();
    InitMaterializedSRF(fcinfo, 0);
    ReturnSetInfo *const result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    AuditPosition position;
    (void)audit_position(position, false);  // does not open, so does not fail
    const AuditRange range = list_segments();
    const MemoryContext per_line =
        AllocSetContextCreate(CurrentMemoryContext, "redoubt audit line", ALLOCSET_DEFAULT_SIZES);
    std::uint64_t segment = range.first;
    while (segment <= range.last && segment != 0) {
      CHECK_FOR_INTERRUPTS();
      const bool current = segment == position.head.segment;
      const bool there = put_segment(result, segment, current ? position.offset : UINT64_MAX, per_line);
      if (current) break;
      segment = there ? segment + 1 : list_segments(segment).first;  // a gap may be wide
    }
    MemoryContextDelete(per_line);
  });
  return Datum{0};
}

// redoubt.verify_audit(OUT ok boolean, OUT segments integer, OUT records bigint,
//                      OUT broken_segment text, OUT broken_line integer, OUT problem text)
REDOUBT_FUNCTION(redoubt_verify_audit) {
  using namespace redoubt;
  using namespace redoubt::pg;
  return call([&] {
    require_preloaded();
    require_kek();
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
      ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("verify_audit must return a row"), errhidestmt(true)));
    }
    AuditPosition position;
    const int not_opened = audit_position(position, true);
    HmacSha256 *const mac = audit_mac();
    if (mac == nullptr) {
      ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not set up the audit authenticator"),
                      errhint("Check the server's OpenSSL configuration."), errhidestmt(true)));
    }
    AuditVerifier verifier(*mac, kek_fingerprint());
    if (HmacSha256 *const previous = audit_mac(KekRole::previous))
      verifier.accept(*previous, kek_fingerprint(KekRole::previous));
    const std::uint64_t last = not_opened != 0 ? list_segments().last : position.head.segment;
    const Verification verdict = verify_segments(verifier, last, not_opened != 0 ? nullptr : &position);

    Datum values[6] = {};
    bool nulls[6] = {false, false, false, true, true, true};
    const auto put_text = [&](int column, const char *text) {
      values[column] = CStringGetTextDatum(text);
      nulls[column] = false;
    };
    bool ok = false;
    if (verdict.problem != AuditProblem::none) {
      const std::uint64_t segment = verifier.segment() + (verdict.missing ? 1 : 0);
      put_text(3, audit_file_name(segment).text);
      if (!verdict.missing && verifier.line_number() > 0) {
        values[4] = Int32GetDatum(static_cast<int32>(verifier.line_number()));
        nulls[4] = false;
      }
      put_text(5, verdict.missing ? "the segment is missing" : audit_problem_text(verdict.problem));
    } else if (verifier.unverifiable() != 0) {
      put_text(5, psprintf("%llu of the segments %llu to %llu cannot be verified: chained under another key than %s",
                           static_cast<unsigned long long>(verifier.unverifiable()),
                           static_cast<unsigned long long>(verifier.first_unverifiable()),
                           static_cast<unsigned long long>(verifier.last_unverifiable()), kek_fingerprint()));
    } else if (not_opened != 0) {
      put_text(
          5, psprintf("what is there is intact, but the trail cannot be opened for writing: %s", strerror(not_opened)));
    } else {
      ok = true;
    }
    values[0] = BoolGetDatum(ok);
    values[1] = Int32GetDatum(static_cast<int32>(verifier.segments()));
    values[2] = Int64GetDatum(static_cast<int64>(verifier.records()));
    return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
  });
}
