// audit_chain.h - makes audit lines tamper-evident, and finds where they were tampered with.
//
// Every line of the trail ends with `"sequence":N},"mac":"<64 hex digits>"}`.
//
//   mac_i = HMAC-SHA-256(key, mac_{i-1} || line_i up to but not including `,"mac":`)
//
// with mac_0 = 32 zero bytes.  mac_{i-1} is of fixed length, so the concatenation is
// unambiguous.  The sequence number rises by one with every line, segment headers included,
// for ever.  The first line of each segment file is its header:
//
//   {"segment":2,"format":1,"kek":"<16 hex>","previous_mac":"<64 hex>","time":<ms>,
//    "torn_bytes":0,"metadata":{"sequence":17},"mac":"<64 hex>"}        (one line)
//
// `kek` identifies the key, so that a segment chained under another key is reported as not
// verifiable instead of as forged; `previous_mac` ties segments together across such a
// change; `torn_bytes` counts the bytes of an incomplete last line that a crash left in the
// segments before it.
//
// What it is not: it does no I/O and cannot know what was cut off the very end.  For that,
// AuditVerifier::finish takes the head the caller remembers.
// Invariant: whoever lacks the key cannot change, insert, reorder or remove a line that has
// a successor, or a remembered head, without a verdict that names the first such line.
// Covered by test/unit/audit_chain_test.cpp and test/fuzz/audit_fuzz.cpp.
#ifndef REDOUBT_CORE_AUDIT_CHAIN_H
#define REDOUBT_CORE_AUDIT_CHAIN_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/audit_record.h"
#include "core/mac.h"
#include "core/result.h"

namespace redoubt {

using AuditMac = std::array<std::uint8_t, kHmacSha256Size>;

// Sequence (20 digits), `},"mac":"`, 64 digits, `"}` and the newline.
constexpr std::size_t kAuditSealMax = 20 + 9 + 2 * kHmacSha256Size + 2 + 1;
// The longest line, with its newline.
constexpr std::size_t kAuditLineMax = kAuditBodyMax + kAuditSealMax;
constexpr std::size_t kAuditFingerprintSize = 16;

// Where the chain ends.  All zero before the first line.  Plain data: lives in shared memory.
struct AuditHead {
  std::uint64_t segment = 0;
  std::uint64_t sequence = 0;
  AuditMac mac{};
};

// The content of a segment's first line.
struct AuditSegmentHeader {
  std::uint64_t segment = 0;
  std::string_view kek_fingerprint;  // kAuditFingerprintSize lower-case hex digits
  AuditMac previous_mac{};
  std::int64_t time_ms = 0;  // milliseconds since the Unix epoch
  std::uint64_t torn_bytes = 0;
};

// The parts of a complete line.  Views into the line that was parsed.
struct AuditLine {
  std::string_view authenticated;  // what the mac covers
  std::uint64_t sequence = 0;
  AuditMac mac{};
};

// audit_header_encode writes the header's body (up to `"sequence":`) and returns its length.
// Errors: invalid_argument when `out` is smaller than kAuditBodyMax or the fingerprint is not
// kAuditFingerprintSize lower-case hex digits.
Result<std::size_t> audit_header_encode(const AuditSegmentHeader &header, std::span<char> out) noexcept;

// audit_seal completes the line whose body is the first `body_size` bytes of `line`: appends the
// next sequence number, the mac and the newline, moves `head` on, and returns the length of the
// whole line.  `head` is unchanged on failure.
// Errors: invalid_argument when `line` has less than kAuditSealMax bytes left, crypto_failure.
Result<std::size_t> audit_seal(HmacSha256 &mac, AuditHead &head, std::span<char> line, std::size_t body_size) noexcept;

// audit_line_parse takes a line without its newline apart.  It reads the fixed end only; the rest
// may be anything.  Errors: malformed.
Result<AuditLine> audit_line_parse(std::string_view line) noexcept;

// audit_line_sequence is the sequence number of a line, or -1.
std::int64_t audit_line_sequence(std::string_view line) noexcept;

// audit_line_time is the time of a line, in milliseconds since the Unix epoch, or -1.  It looks for the first member of
// that name, which is the encoder's: no text in a line holds a quote that is not escaped.
std::int64_t audit_line_time(std::string_view line) noexcept;

// audit_header_parse reads a header line.  It accepts exactly what audit_header_encode and
// audit_seal write.  Errors: malformed.
Result<AuditSegmentHeader> audit_header_parse(std::string_view line) noexcept;

// Lower-case hex, 64 digits.
std::array<char, 2 * kHmacSha256Size> audit_mac_hex(const AuditMac &mac) noexcept;

// What is wrong with a trail.
enum class AuditProblem : std::uint8_t {
  none,
  malformed,        // not a line of the trail at all
  no_header,        // a segment does not begin with a segment header
  wrong_segment,    // the header is of another segment
  missing_segment,  // one or more segments before this one are gone
  sequence_gap,     // a line was removed, repeated or moved
  wrong_previous,   // the header does not continue the segment before it
  wrong_mac,        // the line was altered
  torn,             // an incomplete line that no crash recovery accounts for
  truncated,        // the trail ends before the remembered head
  archived_broken,  // a segment was archived that did not verify then
  crypto_failure,   // OpenSSL failed; says nothing about the trail
};

// One sentence for people, without a full stop.
const char *audit_problem_text(AuditProblem problem) noexcept;

// What is left of a segment that was moved to an archive, and proves what follows it: audit_archive.h.
struct AuditArchived {
  std::uint64_t segment = 0;
  std::string_view kek_fingerprint;  // of the KEK under whose audit key the line is authenticated
  bool verified = false;             // its lines could be verified: the server had the key that chained them
  std::uint64_t breaks = 0;          // what was wrong with it then, the first of it in line broken_line
  std::uint64_t broken_line = 0;
  std::uint64_t first_sequence = 0;  // last_sequence is one less where it holds no line
  std::uint64_t last_sequence = 0;
  AuditMac previous_mac{}, last_mac{};
  std::uint64_t records = 0;      // verified ones, without the header
  std::uint64_t bytes = 0;        // of the file
  std::uint64_t torn_before = 0;  // what its header says of the segments before
  std::uint64_t torn_bytes = 0;   // after its last line
  std::int64_t last_time_ms = 0;  // of its lines
  std::array<std::uint8_t, 32> sha256{};
  std::int64_t archived_ms = 0;
};

// AuditVerifier is fed a whole trail, in order: for each segment file begin_segment, then line for each complete line,
// then fragment if bytes without a newline follow; archived for a segment of which that is left; finish at the end.
//
// Each answer that is not none is a break, at segment() and line_number().  It may be fed on: what is written after a
// break is verified as far as it does not depend on what is damaged, because a line proves by itself that it follows a
// line of the mac before it, and a header proves the mac and the number that it follows.
// Plain data apart from the references to HmacSha256, which must outlive it, as must the fingerprints.
class AuditVerifier {
 public:
  AuditVerifier(HmacSha256 &mac, std::string_view kek_fingerprint) noexcept
      : mac_(&mac), kek_fingerprint_(kek_fingerprint) {}

  // Segments chained under this key are verified as well.
  void accept(HmacSha256 &mac, std::string_view kek_fingerprint) noexcept {
    other_mac_ = &mac;
    other_fingerprint_ = kek_fingerprint;
  }

  // Before anything else: `number` is the first segment that is fed, and its header is taken at its word.
  void start_at(std::uint64_t number) noexcept {
    head_.segment = number - 1;
    loose_ = true;
  }

  AuditProblem begin_segment(std::uint64_t number) noexcept;
  AuditProblem line(std::string_view text) noexcept;  // without the newline
  AuditProblem fragment(std::uint64_t bytes) noexcept;

  // In the place of a segment's lines; whether the line it was read from is authentic is the caller's to know.
  AuditProblem archived(const AuditArchived &segment) noexcept;

  // The head the writer remembers, or null when there is none (no event since the server started).
  AuditProblem finish(const AuditHead *expected) const noexcept;

  const AuditHead &head() const noexcept { return head_; }
  std::uint64_t segment() const noexcept { return head_.segment; }  // the one being read
  std::uint64_t line_number() const noexcept { return line_; }      // in that segment, from 1; 0 before the first
  std::uint64_t segments() const noexcept { return segments_; }     // begun so far
  std::uint64_t archived_segments() const noexcept { return archived_; }
  std::uint64_t records() const noexcept { return records_; }  // verified events, headers not counted
  std::uint64_t breaks() const noexcept { return breaks_; }
  std::uint64_t first_verified() const noexcept { return first_verified_; }  // a line's sequence; 0 = none
  std::uint64_t unverifiable() const noexcept { return unverifiable_; }      // segments chained under another KEK
  std::uint64_t first_unverifiable() const noexcept { return first_unverifiable_; }  // 0 = none
  std::uint64_t last_unverifiable() const noexcept { return last_unverifiable_; }
  std::uint64_t torn_before() const noexcept { return torn_before_; }          // what the current segment's header says
  std::uint64_t fragment_bytes() const noexcept { return pending_fragment_; }  // that no header has accounted for yet

 private:
  AuditProblem check_header(std::string_view text, std::uint64_t sequence) noexcept;
  AuditProblem broken(AuditProblem problem) noexcept;
  void note_unverifiable() noexcept;

  HmacSha256 *mac_;
  std::string_view kek_fingerprint_;
  HmacSha256 *other_mac_ = nullptr;
  std::string_view other_fingerprint_;
  HmacSha256 *segment_mac_ = nullptr;  // of the current segment; null: it is chained under a key we lack
  AuditHead head_;
  bool loose_ = false;    // the next header is taken at its word: what it follows is not there, or damaged
  bool skipped_ = false;  // the current segment has no header that tells what it is: its lines prove nothing
  bool lost_ = false;     // the line before could not be read
  std::uint64_t line_ = 0;
  std::uint64_t segments_ = 0;
  std::uint64_t archived_ = 0;
  std::uint64_t records_ = 0;
  std::uint64_t breaks_ = 0;
  std::uint64_t first_verified_ = 0;
  std::uint64_t torn_before_ = 0;
  std::uint64_t pending_fragment_ = 0;  // bytes a later header must account for
  std::uint64_t unverifiable_ = 0;
  std::uint64_t first_unverifiable_ = 0;
  std::uint64_t last_unverifiable_ = 0;
};

}  // namespace redoubt
#endif
