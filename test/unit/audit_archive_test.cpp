// audit_archive_test.cpp - lines of archived.jsonl, and a trail that is verified across what was archived and past
// breaks.
#include "core/audit_archive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt {
namespace {

constexpr std::string_view kFingerprint = "0123456789abcdef";

HmacSha256 make_mac(std::uint8_t seed) {
  std::vector<std::uint8_t> key(32, seed);
  auto mac = HmacSha256::make(key);
  EXPECT_TRUE(mac.ok());
  return std::move(*mac);
}

struct Segment {
  std::vector<std::string> lines;
  std::uint64_t fragment = 0;
};

// Segments of a header and four events each; segment 3 accounts for a fragment of segment 2.
struct Trail {
  std::vector<Segment> segments;
  AuditHead head;
  HmacSha256 mac = make_mac(7);

  void seal(const Result<std::size_t> &body, std::string &buffer) {
    ASSERT_TRUE(body.ok());
    const auto length = audit_seal(mac, head, buffer, *body);
    ASSERT_TRUE(length.ok());
    segments.back().lines.push_back(buffer.substr(0, *length - 1));
  }
  Trail() {
    std::string buffer(kAuditLineMax, '?');
    for (std::uint64_t number = 1; number <= 5; ++number) {
      segments.emplace_back();
      ++head.segment;
      seal(audit_header_encode({number, kFingerprint, head.mac, 1790000000000, number == 3 ? 33U : 0U}, buffer),
           buffer);
      for (int i = 0; i < 4; ++i) {
        AuditRecord record;
        record.event = "reveal";
        seal(audit_record_encode(record, buffer), buffer);
      }
      if (number == 2) segments.back().fragment = 33;
    }
  }
};

// What an archive keeps of the segment.
AuditArchived keep(Trail &trail, std::uint64_t number) {
  AuditVerifier verifier(trail.mac, kFingerprint);
  verifier.start_at(number);
  EXPECT_EQ(verifier.begin_segment(number), AuditProblem::none);
  AuditArchived kept;
  const Segment &segment = trail.segments[number - 1];
  for (const std::string &line : segment.lines)
    if (verifier.line(line) != AuditProblem::none && kept.broken_line == 0) kept.broken_line = verifier.line_number();
  kept.segment = number;
  kept.kek_fingerprint = kFingerprint;
  kept.verified = verifier.unverifiable() == 0;
  kept.breaks = verifier.breaks();
  kept.first_sequence = audit_line_parse(segment.lines[0])->sequence;
  kept.last_sequence = verifier.head().sequence;
  kept.previous_mac = audit_header_parse(segment.lines[0])->previous_mac;
  kept.last_mac = verifier.head().mac;
  kept.records = verifier.records();
  kept.torn_before = verifier.torn_before();
  kept.torn_bytes = segment.fragment;
  return kept;
}

struct Verdict {
  std::vector<AuditProblem> problems;
  std::uint64_t records = 0, first_verified = 0, archived = 0;
};

// Verifies with the segments in `archived` left out; a number that is neither there nor archived is missing.
Verdict verify(Trail &trail, const std::vector<AuditArchived> &archived, std::vector<std::uint64_t> missing = {}) {
  Verdict verdict;
  AuditVerifier verifier(trail.mac, kFingerprint);
  const auto note = [&](AuditProblem problem) {
    if (problem != AuditProblem::none) verdict.problems.push_back(problem);
  };
  for (std::uint64_t number = 1; number <= trail.segments.size(); ++number) {
    const auto kept =
        std::find_if(archived.begin(), archived.end(), [&](const auto &a) { return a.segment == number; });
    if (std::find(missing.begin(), missing.end(), number) != missing.end()) continue;
    if (kept != archived.end()) {
      note(verifier.archived(*kept));
      continue;
    }
    note(verifier.begin_segment(number));
    for (const std::string &line : trail.segments[number - 1].lines) note(verifier.line(line));
    note(verifier.fragment(trail.segments[number - 1].fragment));
  }
  note(verifier.finish(&trail.head));
  verdict.records = verifier.records();
  verdict.first_verified = verifier.first_verified();
  verdict.archived = verifier.archived_segments();
  return verdict;
}

using Problems = std::vector<AuditProblem>;

TEST(AuditArchive, ALineIsReadAsItWasWritten) {
  Trail trail;
  AuditArchived kept = keep(trail, 3);
  kept.sha256.fill(0xAB);
  kept.last_time_ms = 5;
  kept.archived_ms = 6;
  kept.bytes = 7;
  std::string buffer(kAuditArchivedMax, '?');
  const auto length = audit_archived_encode(trail.mac, kept, buffer);
  ASSERT_TRUE(length.ok());
  ASSERT_EQ(buffer[*length - 1], '\n');
  const std::string line = buffer.substr(0, *length - 1);
  const auto parsed = audit_archived_parse(line);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->segment, 3u);
  EXPECT_EQ(parsed->kek_fingerprint, kFingerprint);
  EXPECT_TRUE(parsed->verified);
  EXPECT_EQ(parsed->first_sequence, 11u);
  EXPECT_EQ(parsed->last_sequence, 15u);
  EXPECT_EQ(parsed->previous_mac, kept.previous_mac);
  EXPECT_EQ(parsed->last_mac, kept.last_mac);
  EXPECT_EQ(parsed->records, 4u);
  EXPECT_EQ(parsed->torn_before, 33u);
  EXPECT_EQ(parsed->sha256, kept.sha256);
  EXPECT_EQ(parsed->bytes, 7u);
  EXPECT_TRUE(audit_archived_authentic(trail.mac, line));

  // No change of any bit is taken, nor any part of the line, nor another key.
  for (std::size_t at = 0; at < line.size(); ++at) {
    std::string doctored = line;
    doctored[at] = static_cast<char>(doctored[at] ^ 1);
    EXPECT_FALSE(audit_archived_authentic(trail.mac, doctored)) << at;
    EXPECT_FALSE(audit_archived_parse(line.substr(0, at)).ok()) << at;
    EXPECT_FALSE(audit_archived_parse(line.substr(at + 1)).ok()) << at;
  }
  HmacSha256 other = make_mac(8);
  EXPECT_FALSE(audit_archived_authentic(other, line));
  for (const char *text : {"", "{}", "{\"archived\":1}"}) EXPECT_FALSE(audit_archived_parse(text).ok());
}

TEST(AuditArchive, TheLongestLineFits) {
  HmacSha256 mac = make_mac(7), empty;
  AuditArchived s;
  s.kek_fingerprint = kFingerprint;
  s.segment = s.breaks = s.broken_line = s.first_sequence = s.last_sequence = s.records = s.bytes = UINT64_MAX;
  s.torn_before = s.torn_bytes = UINT64_MAX;
  s.last_time_ms = s.archived_ms = INT64_MIN;
  std::string buffer(kAuditArchivedMax, '?');
  const auto length = audit_archived_encode(mac, s, buffer);
  ASSERT_TRUE(length.ok());
  EXPECT_TRUE(audit_archived_parse(std::string_view(buffer).substr(0, *length - 1)).ok());
  EXPECT_EQ(audit_archived_encode(mac, s, std::span(buffer).first(1023)).status(), Status::invalid_argument);
  EXPECT_EQ(audit_archived_encode(empty, s, buffer).status(), Status::crypto_failure);
  s.kek_fingerprint = "0123";
  EXPECT_EQ(audit_archived_encode(mac, s, buffer).status(), Status::invalid_argument);
}

TEST(AuditArchive, AHeadIsSigned) {
  Trail trail;
  std::array<std::uint8_t, 32> seed, key, other;
  seed.fill(5);
  ASSERT_TRUE(ed25519_public_key(seed, key));
  AuditSignedHead head;
  head.segment = keep(trail, 3);
  head.archived = true;
  head.server = "0b5c8d1e-2f3a-4b6c-8d7e-9f0a1b2c3d4e";
  head.cluster = "7412345678901234567";
  std::string buffer(kAuditSignedMax, '?');
  const auto length = audit_head_encode(seed, head, buffer);
  ASSERT_TRUE(length.ok());
  const std::string line = buffer.substr(0, *length - 1);
  const auto parsed = audit_head_parse(line);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->segment.segment, 3u);
  EXPECT_TRUE(parsed->archived);
  EXPECT_EQ(parsed->server, head.server);
  EXPECT_EQ(parsed->cluster, head.cluster);
  EXPECT_EQ(parsed->segment.last_mac, head.segment.last_mac);
  EXPECT_EQ(parsed->public_key, key);
  EXPECT_TRUE(audit_signed_by(key, line));
  for (std::size_t at = 0; at < line.size(); ++at) {
    std::string doctored = line;
    doctored[at] = static_cast<char>(doctored[at] ^ 1);
    EXPECT_FALSE(audit_signed_by(key, doctored)) << at;
    EXPECT_FALSE(audit_head_parse(line.substr(0, at)).ok()) << at;
  }
  other = key;
  other[0] ^= 1;
  EXPECT_FALSE(audit_signed_by(other, line));

  AuditArchived &s = head.segment;
  s.segment = s.breaks = s.broken_line = s.first_sequence = s.last_sequence = s.records = s.bytes = UINT64_MAX;
  s.torn_before = s.torn_bytes = UINT64_MAX;
  s.last_time_ms = s.archived_ms = INT64_MIN;
  const auto longest = audit_head_encode(seed, head, buffer);
  ASSERT_TRUE(longest.ok());
  EXPECT_TRUE(audit_head_parse(std::string_view(buffer).substr(0, *longest - 1)).ok());
  EXPECT_EQ(audit_head_encode(seed, head, std::span(buffer).first(1535)).status(), Status::invalid_argument);
  head.server = "\"";
  EXPECT_EQ(audit_head_encode(seed, head, buffer).status(), Status::invalid_argument);

  const auto anchor = audit_anchor_encode(seed, "", "7", trail.head, 9, buffer);
  ASSERT_TRUE(anchor.ok());
  EXPECT_TRUE(audit_signed_by(key, std::string_view(buffer).substr(0, *anchor - 1)));
  EXPECT_FALSE(audit_head_parse(std::string_view(buffer).substr(0, *anchor - 1)).ok());
}

TEST(AuditArchive, ATrailVerifiesAcrossWhatWasArchived) {
  Trail trail;
  for (std::uint64_t through = 1; through <= 4; ++through) {
    std::vector<AuditArchived> archived;
    for (std::uint64_t number = 1; number <= through; ++number) archived.push_back(keep(trail, number));
    const Verdict verdict = verify(trail, archived);
    EXPECT_EQ(verdict.problems, Problems{}) << through;
    EXPECT_EQ(verdict.records, 4 * (5 - through));
    EXPECT_EQ(verdict.first_verified, 5 * through + 1);
    EXPECT_EQ(verdict.archived, through);
  }
  EXPECT_EQ(verify(trail, {keep(trail, 1), keep(trail, 3)}).problems, Problems{});  // one put back
}

TEST(AuditArchive, WhatIsMissingIsNotWhatWasArchived) {
  Trail trail;
  const std::vector<AuditArchived> archived = {keep(trail, 1), keep(trail, 2)};
  Verdict verdict = verify(trail, archived, {3});
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::missing_segment});
  EXPECT_EQ(verdict.records, 8u);
  verdict = verify(trail, {keep(trail, 2)}, {1});
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::missing_segment});
  EXPECT_EQ(verdict.records, 12u);
  EXPECT_EQ(verify(trail, archived, {5}).problems, Problems{AuditProblem::truncated});
}

TEST(AuditArchive, WhatWasKeptHasToFitItsNeighbours) {
  Trail trail;
  AuditArchived kept = keep(trail, 3);
  kept.previous_mac[0] ^= 1;
  EXPECT_EQ(verify(trail, {kept}).problems, Problems{AuditProblem::wrong_previous});
  kept = keep(trail, 3);
  ++kept.first_sequence;
  EXPECT_EQ(verify(trail, {kept}).problems, Problems{AuditProblem::wrong_previous});
  kept = keep(trail, 3);
  kept.last_mac[0] ^= 1;
  EXPECT_EQ(verify(trail, {kept}).problems, Problems{AuditProblem::wrong_previous});  // found at segment 4
  kept = keep(trail, 3);
  kept.torn_before = 32;
  EXPECT_EQ(verify(trail, {kept}).problems, Problems{AuditProblem::torn});
  kept = keep(trail, 2);
  kept.torn_bytes = 32;
  EXPECT_EQ(verify(trail, {kept}).problems, Problems{AuditProblem::torn});
}

TEST(AuditArchive, ArchivingHidesNoBreak) {
  Trail trail;
  trail.segments[2].lines[3].replace(trail.segments[2].lines[3].find("reveal"), 6, "nought");
  const AuditArchived kept = keep(trail, 3);
  EXPECT_EQ(kept.breaks, 1u);
  EXPECT_EQ(kept.broken_line, 4u);
  EXPECT_EQ(verify(trail, {kept}).problems, Problems{AuditProblem::archived_broken});
}

TEST(AuditArchive, VerifiesPastABreakWhatDoesNotDependOnIt) {
  const auto run = [](auto &&change) {
    Trail trail;
    change(trail.segments);
    return verify(trail, {});
  };
  using Segments = std::vector<Segment>;
  Verdict verdict = run([](Segments &s) { s[1].lines[2].replace(s[1].lines[2].find("reveal"), 6, "nought"); });
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::wrong_mac});
  EXPECT_EQ(verdict.records, 19u);
  verdict = run([](Segments &s) { s[1].lines[2] = "rubbish"; });  // and the one after it cannot be checked
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::malformed});
  EXPECT_EQ(verdict.records, 18u);
  verdict = run([](Segments &s) { s[1].lines.erase(s[1].lines.begin() + 2); });
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::sequence_gap});
  EXPECT_EQ(verdict.records, 18u);
  verdict = run([](Segments &s) { s[1].lines.pop_back(); });
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::wrong_previous});
  EXPECT_EQ(verdict.records, 19u);
  verdict = run([](Segments &s) { s[1] = s[2]; });  // another segment's file
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::wrong_segment});
  EXPECT_EQ(verdict.records, 16u);
  verdict = run([](Segments &s) { s[1].lines.erase(s[1].lines.begin()); });
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::no_header});
  EXPECT_EQ(verdict.records, 16u);
  verdict = run([](Segments &s) { s[1].lines[0] = "rubbish"; });
  EXPECT_EQ(verdict.problems, Problems{AuditProblem::malformed});
  EXPECT_EQ(verdict.records, 16u);
}

}  // namespace
}  // namespace redoubt
