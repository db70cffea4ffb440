// audit_chain.cpp - sealing, parsing and verifying lines of the audit trail.
//
// Parsing is by fixed position from the end of a line and by fixed order in a
// header: what decides over "authentic" must have one reading only.
// Covered by test/unit/audit_chain_test.cpp and test/fuzz/audit_fuzz.cpp.
#include "core/audit_chain.h"

#include "core/audit_text.h"
#include "core/secret.h"

namespace redoubt {
namespace {

constexpr std::string_view kMacMember = ",\"mac\":\"";
constexpr std::string_view kLineEnd = "\"}";
constexpr std::string_view kSequenceMember = "\"sequence\":";
constexpr std::size_t kHexSize = 2 * kHmacSha256Size;
constexpr std::string_view kHexDigits = kAuditHexDigits;

std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

bool compute_mac(HmacSha256 &mac, const AuditMac &previous, std::string_view authenticated, AuditMac &out) noexcept {
  const std::span<const std::uint8_t> parts[] = {previous, bytes_of(authenticated)};
  return mac.compute(parts, out);
}

}  // namespace

std::array<char, kHexSize> audit_mac_hex(const AuditMac &mac) noexcept {
  std::array<char, kHexSize> hex;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    hex[2 * i] = kHexDigits[mac[i] >> 4];
    hex[2 * i + 1] = kHexDigits[mac[i] & 15];
  }
  return hex;
}

Result<std::size_t> audit_header_encode(const AuditSegmentHeader &header, std::span<char> out) noexcept {
  if (out.size() < kAuditBodyMax || header.kek_fingerprint.size() != kAuditFingerprintSize ||
      header.kek_fingerprint.find_first_not_of(kHexDigits) != std::string_view::npos) {
    return Status::invalid_argument;
  }
  AuditAppender a(out.data());
  a.text("{\"segment\":").number(header.segment).text(",\"format\":1,\"kek\":\"").text(header.kek_fingerprint);
  a.text("\",\"previous_mac\":\"").mac(header.previous_mac).text("\",\"time\":").number(header.time_ms);
  a.text(",\"torn_bytes\":").number(header.torn_bytes).text(",\"metadata\":{").text(kSequenceMember);
  return static_cast<std::size_t>(a.end() - out.data());
}

Result<std::size_t> audit_seal(HmacSha256 &mac, AuditHead &head, std::span<char> line, std::size_t body_size) noexcept {
  if (body_size > line.size() || line.size() - body_size < kAuditSealMax) return Status::invalid_argument;

  AuditHead next = head;
  ++next.sequence;
  AuditAppender a(line.data() + body_size);
  a.number(next.sequence).text("}");
  const std::string_view authenticated(line.data(), static_cast<std::size_t>(a.end() - line.data()));
  if (!compute_mac(mac, head.mac, authenticated, next.mac)) return Status::crypto_failure;
  a.text(kMacMember).mac(next.mac).text(kLineEnd).text("\n");
  head = next;
  return static_cast<std::size_t>(a.end() - line.data());
}

Result<AuditLine> audit_line_parse(std::string_view line) noexcept {
  constexpr std::size_t kTail = kMacMember.size() + kHexSize + kLineEnd.size();
  if (line.size() <= kTail || line.size() >= kAuditLineMax) return Status::malformed;

  AuditLine parsed;
  parsed.authenticated = line.substr(0, line.size() - kTail);
  if (!AuditReader(line.substr(parsed.authenticated.size()))
           .take(kMacMember)
           .take_mac(parsed.mac)
           .take(kLineEnd)
           .at_end()) {
    return Status::malformed;
  }
  const std::size_t at = parsed.authenticated.rfind(kSequenceMember);
  if (at == std::string_view::npos || !AuditReader(parsed.authenticated.substr(at))
                                           .take(kSequenceMember)
                                           .take_number(parsed.sequence)
                                           .take("}")
                                           .at_end()) {
    return Status::malformed;
  }
  return parsed;
}

std::int64_t audit_line_sequence(std::string_view line) noexcept {
  const Result<AuditLine> parsed = audit_line_parse(line);
  return parsed.ok() && parsed->sequence <= INT64_MAX ? static_cast<std::int64_t>(parsed->sequence) : -1;
}

std::int64_t audit_line_time(std::string_view line) noexcept {
  constexpr std::string_view kMember = ",\"time\":";
  const std::size_t at = line.find(kMember);
  if (at == std::string_view::npos) return -1;
  std::int64_t time = 0;
  int digits = 0;
  for (const char c : line.substr(at + kMember.size())) {
    if (c < '0' || c > '9') return digits > 0 && (c == ',' || c == '}') ? time : -1;
    if (++digits > 15) return -1;
    time = time * 10 + (c - '0');
  }
  return -1;
}

Result<AuditSegmentHeader> audit_header_parse(std::string_view line) noexcept {
  const Result<AuditLine> parsed = audit_line_parse(line);
  if (!parsed.ok()) return parsed.status();

  AuditSegmentHeader header;
  std::uint64_t sequence = 0;
  AuditReader r(parsed->authenticated);
  r.take("{\"segment\":").take_number(header.segment).take(",\"format\":1,\"kek\":\"");
  r.take_hex(header.kek_fingerprint, kAuditFingerprintSize)
      .take("\",\"previous_mac\":\"")
      .take_mac(header.previous_mac);
  r.take("\",\"time\":").take_number(header.time_ms).take(",\"torn_bytes\":").take_number(header.torn_bytes);
  r.take(",\"metadata\":{").take(kSequenceMember).take_number(sequence).take("}");
  if (!r.at_end()) return Status::malformed;
  return header;
}

const char *audit_problem_text(AuditProblem problem) noexcept {
  switch (problem) {
    case AuditProblem::none:
      return "no problem";
    case AuditProblem::malformed:
      return "the line is not a line of an audit trail";
    case AuditProblem::no_header:
      return "the segment does not begin with a segment header";
    case AuditProblem::wrong_segment:
      return "the segment header belongs to another segment";
    case AuditProblem::missing_segment:
      return "one or more segments before this one are missing";
    case AuditProblem::sequence_gap:
      return "the sequence number does not follow: lines were removed, repeated or moved";
    case AuditProblem::wrong_previous:
      return "the segment does not continue the one before it";
    case AuditProblem::wrong_mac:
      return "the line was altered";
    case AuditProblem::torn:
      return "there is an incomplete line that no crash recovery accounts for";
    case AuditProblem::truncated:
      return "the trail ends before the last event that was written";
    case AuditProblem::archived_broken:
      return "the segment did not verify when it was archived";
    case AuditProblem::crypto_failure:
      return "the authenticator could not be computed";
  }
  return "unknown problem";
}

AuditProblem AuditVerifier::broken(AuditProblem problem) noexcept {
  ++breaks_;
  return problem;
}

void AuditVerifier::note_unverifiable() noexcept {
  ++unverifiable_;
  if (first_unverifiable_ == 0) first_unverifiable_ = head_.segment;
  last_unverifiable_ = head_.segment;
}

AuditProblem AuditVerifier::begin_segment(std::uint64_t number) noexcept {
  const bool follows = number == head_.segment + 1;
  loose_ = loose_ || skipped_ || lost_ || !follows;
  skipped_ = lost_ = false;
  head_.segment = number;
  line_ = 0;
  torn_before_ = 0;
  segment_mac_ = nullptr;
  ++segments_;
  return follows ? AuditProblem::none : broken(AuditProblem::missing_segment);
}

AuditProblem AuditVerifier::check_header(std::string_view text, std::uint64_t sequence) noexcept {
  const Result<AuditSegmentHeader> header = audit_header_parse(text);
  if (!header.ok()) return AuditProblem::no_header;
  if (header->segment != head_.segment) return AuditProblem::wrong_segment;
  AuditProblem problem = AuditProblem::none;
  if (!loose_) {
    if (!secret_equal(header->previous_mac, head_.mac))
      problem = AuditProblem::wrong_previous;
    else if (header->torn_bytes != pending_fragment_)
      problem = AuditProblem::torn;
    else if (sequence != head_.sequence + 1)
      problem = AuditProblem::sequence_gap;
  }
  loose_ = false;
  pending_fragment_ = 0;
  torn_before_ = header->torn_bytes;
  head_.mac = header->previous_mac;
  head_.sequence = sequence - 1;
  segment_mac_ = header->kek_fingerprint == kek_fingerprint_     ? mac_
                 : header->kek_fingerprint == other_fingerprint_ ? other_mac_
                                                                 : nullptr;
  if (segment_mac_ == nullptr) note_unverifiable();
  return problem;
}

AuditProblem AuditVerifier::line(std::string_view text) noexcept {
  ++line_;
  const Result<AuditLine> parsed = audit_line_parse(text);
  if (!parsed.ok()) {
    lost_ = true;
    skipped_ = skipped_ || line_ == 1;
    return broken(AuditProblem::malformed);
  }
  AuditProblem problem = AuditProblem::none;
  if (line_ == 1) {
    problem = check_header(text, parsed->sequence);
    skipped_ = problem == AuditProblem::no_header || problem == AuditProblem::wrong_segment;
  }
  if (!skipped_ && !lost_) {
    if (parsed->sequence != head_.sequence + 1) {
      problem = problem != AuditProblem::none ? problem : AuditProblem::sequence_gap;
    } else if (segment_mac_ != nullptr) {
      AuditMac expected;
      if (!compute_mac(*segment_mac_, head_.mac, parsed->authenticated, expected))
        return broken(AuditProblem::crypto_failure);
      if (!secret_equal(expected, parsed->mac)) {
        problem = problem != AuditProblem::none ? problem : AuditProblem::wrong_mac;
      } else {
        if (line_ > 1) ++records_;
        if (first_verified_ == 0) first_verified_ = parsed->sequence;
      }
    }
  }
  lost_ = false;
  head_.sequence = parsed->sequence;
  head_.mac = parsed->mac;
  return problem != AuditProblem::none ? broken(problem) : problem;
}

AuditProblem AuditVerifier::archived(const AuditArchived &segment) noexcept {
  const bool follows = segment.segment == head_.segment + 1;
  const bool empty = segment.last_sequence + 1 == segment.first_sequence;  // a crash left it without a header
  const bool loose = loose_ || skipped_ || lost_ || !follows;
  const bool linked =
      loose || empty || (secret_equal(segment.previous_mac, head_.mac) && segment.first_sequence == head_.sequence + 1);
  const bool whole = loose || empty || segment.torn_before == pending_fragment_;
  head_.segment = segment.segment;
  line_ = 0;
  skipped_ = lost_ = false;
  loose_ = loose && empty;
  ++archived_;
  if (!empty) {
    head_ = {segment.segment, segment.last_sequence, segment.last_mac};
    pending_fragment_ = 0;
  }
  pending_fragment_ += segment.torn_bytes;
  if (!segment.verified) note_unverifiable();
  if (!follows) return broken(AuditProblem::missing_segment);
  if (!linked) return broken(AuditProblem::wrong_previous);
  if (!whole) return broken(AuditProblem::torn);
  if (segment.breaks != 0) return broken(AuditProblem::archived_broken);
  return AuditProblem::none;
}

AuditProblem AuditVerifier::fragment(std::uint64_t bytes) noexcept {
  if (bytes == 0) return AuditProblem::none;
  ++line_;
  pending_fragment_ += bytes;
  return AuditProblem::none;
}

AuditProblem AuditVerifier::finish(const AuditHead *expected) const noexcept {
  if (pending_fragment_ != 0) return AuditProblem::torn;
  if (expected == nullptr) return AuditProblem::none;
  if (head_.segment != expected->segment || head_.sequence != expected->sequence ||
      !secret_equal(head_.mac, expected->mac)) {
    return AuditProblem::truncated;
  }
  return AuditProblem::none;
}

}  // namespace redoubt
