// audit_view.cpp - verifies the audit trail from SQL: redoubt.verify_audit() recomputes the chain, names the first
// broken record and says how much is verified; redoubt.verify_audit_segments() says it segment by segment.
//
// Who may call it is a matter of GRANT (redoubt_auditor).  It reads the files,
// never a copy or an index; it fixes the end of the trail first and reads up to it, so that a
// writer who appends meanwhile is neither half seen nor mistaken for damage.
//
// A segment that is not there was archived, if archived.jsonl has an authentic line for it; else it is missing.  Either
// way, and after a damaged line, verification goes on.
// What it is not: verify_audit cannot know what was removed from the very end
// while the server was down; compare the heads in the server log.
// Locks: none held while reading.  Frames here hold plain data only, so
// PostgreSQL may raise anywhere.
// Covered by test/tap/audit.pl, test/tap/audit_archive.pl and sql/audit.sql.
#include "pg/base/boundary.h"

#include "pg/audit/audit_archive.h"
#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

constexpr const char *kMissing = "the segment is missing";

// What is said of one segment, or of some that follow one another.
struct Finding {
  const char *state;  // "verified", "archived", "missing", "broken", "another key"
  std::uint64_t first, last;
  std::uint64_t first_sequence, last_sequence;  // 0: unknown
  std::uint64_t records;
  std::uint64_t line;  // of the first break
  const char *problem;
};

struct Verification {
  AuditVerifier *verifier;
  const AuditPosition *position;  // null: the trail cannot be opened
  AuditArchivedList archived;
  ReturnSetInfo *rows;  // null: only the sum is asked for
  Finding run;          // archived segments that are not told yet; first is 0: none
  Finding broken;       // the first break; problem is null: none
  std::uint64_t more;   // breaks that the verifier does not count
};

void put_row(const Verification *verification, const Finding &finding) {
  if (verification->rows == nullptr) return;
  Datum values[8];
  bool nulls[8] = {};
  const auto number = [&](int column, std::uint64_t value, bool known) {
    values[column] = Int64GetDatum(static_cast<int64>(value));
    nulls[column] = !known;
  };
  number(0, finding.first, true);
  number(1, finding.last, true);
  values[2] = CStringGetTextDatum(finding.state);
  number(3, finding.first_sequence, finding.first_sequence != 0);
  number(4, finding.last_sequence, finding.first_sequence != 0);
  number(5, finding.records, true);
  number(6, finding.line, finding.line != 0);
  values[7] = finding.problem != nullptr ? CStringGetTextDatum(finding.problem) : static_cast<Datum>(0);
  nulls[7] = finding.problem == nullptr;
  tuplestore_putvalues(verification->rows->setResult, verification->rows->setDesc, values, nulls);
}

void end_run(Verification *verification) {
  if (verification->run.first != 0) put_row(verification, verification->run);
  verification->run = {};
}

void tell(Verification *verification, const Finding &finding) {
  if (finding.problem != nullptr && verification->broken.problem == nullptr) verification->broken = finding;
  Finding &run = verification->run;
  const bool archived = strcmp(finding.state, "archived") == 0 && finding.problem == nullptr;
  if (archived && run.first != 0 && run.last + 1 == finding.first) {
    run.last = finding.last;
    run.last_sequence = finding.last_sequence;
    run.records += finding.records;
    return;
  }
  end_run(verification);
  if (archived)
    run = finding;
  else
    put_row(verification, finding);
}

// A segment whose file is open.
void read_segment(Verification *verification, int fd, std::uint64_t segment) {
  AuditVerifier &verifier = *verification->verifier;
  const AuditPosition *const position = verification->position;
  const std::uint64_t records = verifier.records(), unverifiable = verifier.unverifiable();
  Finding finding = {"verified", segment, segment, 0, 0, 0, 0, nullptr};
  const auto note = [&](AuditProblem problem) {
    if (problem == AuditProblem::none || finding.problem != nullptr) return;
    finding.problem = audit_problem_text(problem);
    finding.line = verifier.line_number();
  };
  (void)verifier.begin_segment(segment);  // what is missing before it was told
  const bool current = position != nullptr && segment == position->head.segment;
  AuditLineReader reader(fd, current ? position->offset : UINT64_MAX);
  std::string_view line;
  AuditLineReader::Kind kind;
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line) {
    CHECK_FOR_INTERRUPTS();
    note(verifier.line(line));
    if (finding.first_sequence == 0) finding.first_sequence = verifier.head().sequence;
  }
  if (kind == AuditLineReader::Kind::error) audit_segment_unreadable(segment);
  if (kind == AuditLineReader::Kind::fragment) note(verifier.fragment(reader.fragment_size()));
  CloseTransientFile(fd);
  if (current) {
    const AuditProblem problem = verifier.finish(&position->head);
    // What an altered line leaves behind is no second break.
    if (problem != AuditProblem::none && finding.problem == nullptr) {
      note(problem);
      ++verification->more;
    }
  }
  finding.last_sequence = verifier.head().sequence;
  finding.records = verifier.records() - records;
  if (finding.problem != nullptr)
    finding.state = "broken";
  else if (verifier.unverifiable() != unverifiable)
    finding.state = "another key";
  tell(verification, finding);
}

void skip_archived(Verification *verification, const AuditArchived &entry) {
  const AuditProblem problem = verification->verifier->archived(entry);
  const bool broken = problem != AuditProblem::none && problem != AuditProblem::missing_segment;
  tell(verification,
       {entry.verified || broken ? "archived" : "another key", entry.segment, entry.segment, entry.first_sequence,
        entry.last_sequence, 0, broken ? entry.broken_line : 0, broken ? audit_problem_text(problem) : nullptr});
}

// The segments from `first` on are not there; returns the next one that is, or was archived, or last + 1.
std::uint64_t skip_missing(Verification *verification, std::uint64_t first, std::uint64_t last) {
  std::uint64_t next = last + 1;
  if (const std::uint64_t file = audit_segments(first, next).first; file != 0) next = file;
  const AuditArchived *const entry = audit_archived_after(verification->archived, first);
  if (entry != nullptr) next = std::min(next, entry->segment);
  tell(verification, {"missing", first, next - 1, 0, 0, 0, 0, kMissing});
  if (next > last) ++verification->more;  // else it is counted with the segment after it
  return next;
}

void verify(Verification *verification, std::uint64_t last) {
  verification->archived = audit_archived_list();
  std::uint64_t segment = 1;
  while (segment <= last) {
    CHECK_FOR_INTERRUPTS();
    int fd = audit_segment_open(segment);
    const AuditArchived *entry = audit_archived_find(verification->archived, segment);
    if (fd < 0 && entry == nullptr) {
      verification->archived = audit_archived_list();  // it may be archived at this moment
      entry = audit_archived_find(verification->archived, segment);
      fd = entry == nullptr ? audit_segment_open(segment) : -1;
    }
    if (fd >= 0) {
      read_segment(verification, fd, segment++);
    } else if (entry != nullptr) {
      skip_archived(verification, *entry);
      ++segment;
    } else {
      segment = skip_missing(verification, segment, last);
    }
  }
  end_run(verification);
  if (verification->archived.damaged_line == 0) return;
  ++verification->more;
  if (verification->broken.problem == nullptr)
    verification->broken = {
        "broken", 0, 0, 0, 0, 0, verification->archived.damaged_line, "the line is not authentic, or is none"};
}

// Where the trail ends, and what to verify it with.  The verifier is in the caller's frame.
struct Trail {
  AuditPosition position;
  int not_opened;
  HmacSha256 *mac;
  std::uint64_t last() const { return not_opened != 0 ? audit_segments().last : position.head.segment; }
};

Trail open_trail() {
  require_preloaded();
  require_kek();
  Trail trail = {};
  trail.not_opened = audit_position(trail.position, true);
  trail.mac = audit_mac();
  if (trail.mac == nullptr)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not set up the audit authenticator"),
                    errhint("Check the server's OpenSSL configuration."), errhidestmt(true)));
  return trail;
}

void run(const Trail &trail, AuditVerifier &verifier, Verification *verification, ReturnSetInfo *rows) {
  if (HmacSha256 *const previous = audit_mac(KekRole::previous))
    verifier.accept(*previous, kek_fingerprint(KekRole::previous));
  *verification = {};
  verification->verifier = &verifier;
  verification->position = trail.not_opened != 0 ? nullptr : &trail.position;
  verification->rows = rows;
  verify(verification, trail.last());
}

}  // namespace
}  // namespace redoubt::pg

// redoubt.verify_audit(OUT ok boolean, OUT segments integer, OUT records bigint,
//                      OUT broken_segment text, OUT broken_line integer, OUT problem text,
//                      OUT archived integer, OUT verified_from bigint, OUT breaks bigint)
REDOUBT_FUNCTION(redoubt_verify_audit) {
  using namespace redoubt;
  using namespace redoubt::pg;
  return call([&] {
    constexpr int kVerifyColumns = 9;
    TupleDesc descriptor = nullptr;
    // The function of version 0.1 has the first six columns.
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE ||
        descriptor->natts > kVerifyColumns) {
      ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("verify_audit must return a row"), errhidestmt(true)));
    }
    const Trail trail = open_trail();
    AuditVerifier verifier(*trail.mac, kek_fingerprint());
    Verification verification;
    run(trail, verifier, &verification, nullptr);

    Datum values[kVerifyColumns] = {};
    bool nulls[kVerifyColumns] = {false, false, false, true, true, true, false, true, false};
    const auto put = [&](int column, Datum value) {
      values[column] = value;
      nulls[column] = false;
    };
    const auto count = [](std::uint64_t value) { return Int64GetDatum(static_cast<int64>(value)); };
    const Finding &broken = verification.broken;
    bool ok = false;
    if (broken.problem != nullptr) {
      put(3, CStringGetTextDatum(broken.first != 0 ? audit_file_name(broken.first).text : kAuditArchivedFile));
      if (broken.line != 0) put(4, Int32GetDatum(static_cast<int32>(broken.line)));
      put(5, CStringGetTextDatum(broken.problem));
    } else if (verifier.unverifiable() != 0) {
      put(5, CStringGetTextDatum(
                 psprintf("%llu of the segments %llu to %llu cannot be verified: chained under another key than %s",
                          static_cast<unsigned long long>(verifier.unverifiable()),
                          static_cast<unsigned long long>(verifier.first_unverifiable()),
                          static_cast<unsigned long long>(verifier.last_unverifiable()), kek_fingerprint())));
    } else if (trail.not_opened != 0) {
      put(5, CStringGetTextDatum(psprintf("what is there is intact, but the trail cannot be opened for writing: %s",
                                          strerror(trail.not_opened))));
    } else {
      ok = true;
    }
    audit_note_verified(ok);
    values[0] = BoolGetDatum(ok);
    values[1] = Int32GetDatum(static_cast<int32>(verifier.segments()));
    values[2] = count(verifier.records());
    values[6] = Int32GetDatum(static_cast<int32>(verifier.archived_segments()));
    if (verifier.first_verified() != 0) put(7, count(verifier.first_verified()));
    values[8] = count(verifier.breaks() + verification.more);
    return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
  });
}

// redoubt.verify_audit_segments() -> setof (segment bigint, last_segment bigint, state text, first_sequence bigint,
//                                           last_sequence bigint, records bigint, broken_line bigint, problem text)
REDOUBT_FUNCTION(redoubt_verify_audit_segments) {
  using namespace redoubt;
  using namespace redoubt::pg;
  return call([&] {
    InitMaterializedSRF(fcinfo, 0);
    const Trail trail = open_trail();
    AuditVerifier verifier(*trail.mac, kek_fingerprint());
    Verification verification;
    run(trail, verifier, &verification, reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
    return static_cast<Datum>(0);
  });
}
