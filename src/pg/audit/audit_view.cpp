// audit_view.cpp - verifies the audit trail from SQL: redoubt.verify_audit() recomputes the chain and names the first
// broken record.
//
// Who may call it is a matter of GRANT (redoubt_auditor).  It reads the files,
// never a copy or an index; it fixes the end of the trail first and reads up to it, so that a
// writer who appends meanwhile is neither half seen nor mistaken for damage.
// What it is not: verify_audit cannot know what was removed from the very end
// while the server was down; compare the heads in the server log.
// Locks: none held while reading.  Frames here hold plain data only, so
// PostgreSQL may raise anywhere.
// Covered by test/tap/audit.pl and sql/audit.sql.
#include "pg/base/boundary.h"

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

struct Verification {
  AuditProblem problem = AuditProblem::none;
  bool missing = false;  // the file verifier.segment() + 1 is not there
};

Verification verify_segments(AuditVerifier &verifier, std::uint64_t last, const AuditPosition *position) {
  for (std::uint64_t segment = 1; segment <= last; ++segment) {
    const int fd = audit_segment_open(segment);
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
    if (kind == AuditLineReader::Kind::error) audit_segment_unreadable(segment);
    if (kind == AuditLineReader::Kind::fragment) problem = verifier.fragment(reader.fragment_size());
    CloseTransientFile(fd);
    if (problem != AuditProblem::none) return {problem, false};
  }
  return {verifier.finish(position != nullptr ? &position->head : nullptr), false};
}

}  // namespace
}  // namespace redoubt::pg

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
    const std::uint64_t last = not_opened != 0 ? audit_segments().last : position.head.segment;
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
    audit_note_verified(ok);
    values[0] = BoolGetDatum(ok);
    values[1] = Int32GetDatum(static_cast<int32>(verifier.segments()));
    values[2] = Int64GetDatum(static_cast<int64>(verifier.records()));
    return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
  });
}
