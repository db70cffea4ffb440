// audit_chain_test.cpp - the chain: its bytes, and every way of breaking it.
#include "core/audit_chain.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt {
namespace {

constexpr std::string_view kFingerprint = "0123456789abcdef";
constexpr std::string_view kOtherFingerprint = "fedcba9876543210";

HmacSha256 make_mac(std::uint8_t seed) {
  std::vector<std::uint8_t> key(32, seed);
  auto mac = HmacSha256::make(key);
  EXPECT_TRUE(mac.ok());
  return std::move(*mac);
}

// A writer as the server has one, on strings: one element per segment file.
struct Trail {
  std::vector<std::vector<std::string>> segments;  // lines without newline
  AuditHead head;
  HmacSha256 mac = make_mac(7);
  std::string_view fingerprint = kFingerprint;

  // From the next segment on.
  void use_key(std::uint8_t seed, std::string_view its_fingerprint) {
    mac = make_mac(seed);
    fingerprint = its_fingerprint;
  }
  void seal(std::size_t size, std::string &buffer) {
    const auto length = audit_seal(mac, head, buffer, size);
    ASSERT_TRUE(length.ok());
    ASSERT_EQ(buffer[*length - 1], '\n');
    segments.back().push_back(buffer.substr(0, *length - 1));
  }
  void open(std::uint64_t torn_bytes = 0) {
    std::string buffer(kAuditLineMax, '?');
    ++head.segment;
    segments.emplace_back();
    const auto size = audit_header_encode({head.segment, fingerprint, head.mac, 1790000000000, torn_bytes}, buffer);
    ASSERT_TRUE(size.ok());
    seal(*size, buffer);
  }
  void event(std::string_view detail) {
    std::string buffer(kAuditLineMax, '?');
    AuditRecord record;
    record.event = "reveal";
    record.detail = detail;
    const auto size = audit_record_encode(record, buffer);
    ASSERT_TRUE(size.ok());
    seal(*size, buffer);
  }
};

Trail make_trail() {
  Trail trail;
  for (int segment = 0; segment < 3; ++segment) {
    trail.open();
    for (int i = 0; i < 4; ++i) trail.event("event " + std::to_string(i));
  }
  return trail;
}

struct Verdict {
  AuditProblem problem = AuditProblem::none;
  std::uint64_t segment = 0, line = 0, records = 0, first_unverifiable = 0, last_unverifiable = 0;
};

Verdict verify(const std::vector<std::vector<std::string>> &segments, const AuditHead *head, HmacSha256 &mac,
               std::uint64_t first = 1, std::size_t torn_segment = 0, std::uint64_t torn_bytes = 0) {
  AuditVerifier verifier(mac, kFingerprint);
  const auto run = [&] {
    std::uint64_t number = first;
    for (const auto &segment : segments) {
      if (auto p = verifier.begin_segment(number); p != AuditProblem::none) return p;
      for (const auto &line : segment) {
        if (auto p = verifier.line(line); p != AuditProblem::none) return p;
      }
      if (number == torn_segment) {
        if (auto p = verifier.fragment(torn_bytes); p != AuditProblem::none) return p;
      }
      ++number;
    }
    return verifier.finish(head);
  };
  Verdict v;
  v.problem = run();
  v.segment = verifier.segment();
  v.line = verifier.line_number();
  v.records = verifier.records();
  v.first_unverifiable = verifier.first_unverifiable();
  v.last_unverifiable = verifier.last_unverifiable();
  return v;
}

TEST(AuditChain, AcceptsAnUntouchedTrail) {
  Trail trail = make_trail();
  const Verdict v = verify(trail.segments, &trail.head, trail.mac);
  EXPECT_EQ(v.problem, AuditProblem::none);
  EXPECT_EQ(v.records, 12u);
  EXPECT_EQ(v.segment, 3u);
  EXPECT_EQ(trail.head.sequence, 15u);
  EXPECT_EQ(verify({}, nullptr, trail.mac).problem, AuditProblem::none);
}

TEST(AuditChain, IsHmacOverThePreviousMacAndTheLine) {
  Trail trail = make_trail();
  const auto first = audit_line_parse(trail.segments[0][0]);
  const auto second = audit_line_parse(trail.segments[0][1]);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->sequence, 1u);
  const std::vector<std::uint8_t> key(32, 7);
  std::string message(reinterpret_cast<const char *>(first->mac.data()), first->mac.size());
  const std::string &line = trail.segments[0][1];
  message += line.substr(0, line.rfind(",\"mac\":"));
  const std::span<const std::uint8_t> parts[] = {
      {reinterpret_cast<const std::uint8_t *>(message.data()), message.size()}};
  AuditMac expected;
  ASSERT_TRUE(hmac_sha256(key, parts, expected));
  EXPECT_EQ(second->mac, expected);
  const auto hex = audit_mac_hex(expected);
  EXPECT_TRUE(line.ends_with("\"mac\":\"" + std::string(hex.data(), hex.size()) + "\"}"));
}

TEST(AuditChain, FindsEveryFlippedBit) {
  Trail trail = make_trail();
  for (std::size_t line = 0; line < 2; ++line) {  // a header and an event
    for (std::size_t at = 0; at < trail.segments[1][line].size(); ++at) {
      auto doctored = trail.segments;
      doctored[1][line][at] = static_cast<char>(doctored[1][line][at] ^ 1);
      const Verdict v = verify(doctored, &trail.head, trail.mac);
      if (v.problem == AuditProblem::none) {
        // Only a changed fingerprint is no break: then the segment is not vouched for.
        EXPECT_EQ(line, 0u) << at;
        EXPECT_EQ(v.first_unverifiable, 2u) << at;
        EXPECT_EQ(v.records, 8u) << at;
        continue;
      }
      EXPECT_EQ(v.segment, 2u) << at;
      EXPECT_EQ(v.line, line + 1) << at;
    }
  }
}

TEST(AuditChain, NamesTheEditedLine) {
  Trail trail = make_trail();
  trail.segments[1][3].replace(trail.segments[1][3].find("event 2"), 7, "event 9");
  const Verdict v = verify(trail.segments, &trail.head, trail.mac);
  EXPECT_EQ(v.problem, AuditProblem::wrong_mac);
  EXPECT_EQ(v.segment, 2u);
  EXPECT_EQ(v.line, 4u);
}

TEST(AuditChain, FindsRemovedRepeatedAndReorderedLines) {
  Trail trail = make_trail();
  auto removed = trail.segments;
  removed[1].erase(removed[1].begin() + 2);
  Verdict v = verify(removed, &trail.head, trail.mac);
  EXPECT_EQ(v.problem, AuditProblem::sequence_gap);
  EXPECT_EQ(v.line, 3u);

  auto repeated = trail.segments;
  repeated[1].insert(repeated[1].begin() + 2, repeated[1][2]);
  v = verify(repeated, &trail.head, trail.mac);
  EXPECT_EQ(v.problem, AuditProblem::sequence_gap);
  EXPECT_EQ(v.line, 4u);

  auto swapped = trail.segments;
  std::swap(swapped[1][1], swapped[1][2]);
  EXPECT_EQ(verify(swapped, &trail.head, trail.mac).problem, AuditProblem::sequence_gap);
}

TEST(AuditChain, FindsRemovedSegments) {
  Trail trail = make_trail();
  const auto &s = trail.segments;
  EXPECT_EQ(verify({s[1], s[2]}, &trail.head, trail.mac, 2).problem, AuditProblem::missing_segment);
  const Verdict middle = verify({s[0], s[2]}, &trail.head, trail.mac);  // renumbered files
  EXPECT_EQ(middle.problem, AuditProblem::wrong_segment);
  EXPECT_EQ(middle.segment, 2u);
  EXPECT_EQ(verify({s[0], s[1]}, &trail.head, trail.mac).problem, AuditProblem::truncated);
  EXPECT_EQ(verify({}, &trail.head, trail.mac).problem, AuditProblem::truncated);
  EXPECT_EQ(verify({s[0], {}, s[2]}, &trail.head, trail.mac).problem, AuditProblem::wrong_previous);
  EXPECT_EQ(verify({s[0], {s[1].begin() + 1, s[1].end()}, s[2]}, &trail.head, trail.mac).problem,
            AuditProblem::no_header);
}

TEST(AuditChain, FindsATruncatedTailByTheHeadOnly) {
  Trail trail = make_trail();
  trail.segments[2].pop_back();
  EXPECT_EQ(verify(trail.segments, &trail.head, trail.mac).problem, AuditProblem::truncated);
  EXPECT_EQ(verify(trail.segments, nullptr, trail.mac).problem, AuditProblem::none);
}

TEST(AuditChain, FindsARewriteWithAnotherKey) {
  Trail forged;
  forged.mac = make_mac(8);
  forged.open();
  forged.event("nothing happened");
  HmacSha256 mac = make_mac(7);
  const Verdict v = verify(forged.segments, nullptr, mac);
  EXPECT_EQ(v.problem, AuditProblem::wrong_mac);
  EXPECT_EQ(v.line, 1u);
}

TEST(AuditChain, AccountsForATornLine) {
  Trail trail;
  trail.open();
  trail.event("before the crash");
  trail.open(33);
  trail.event("after");
  EXPECT_EQ(verify(trail.segments, &trail.head, trail.mac, 1, 1, 33).problem, AuditProblem::none);
  EXPECT_EQ(verify(trail.segments, &trail.head, trail.mac, 1, 1, 32).problem, AuditProblem::torn);
  EXPECT_EQ(verify(trail.segments, &trail.head, trail.mac).problem, AuditProblem::torn);
  Trail whole;
  whole.open();
  whole.open();
  whole.event("last");
  const Verdict unaccounted = verify(whole.segments, &whole.head, whole.mac, 1, 2, 5);
  EXPECT_EQ(unaccounted.problem, AuditProblem::torn);
  EXPECT_EQ(unaccounted.segment, 2u);
  EXPECT_EQ(unaccounted.line, 3u);
}

TEST(AuditChain, AccountsForASegmentThatNeverGotItsHeader) {
  Trail trail;
  trail.open();
  trail.event("before the crash");
  ++trail.head.segment;
  trail.segments.emplace_back();
  trail.open(10);
  EXPECT_EQ(trail.head.segment, 3u);
  EXPECT_EQ(verify(trail.segments, &trail.head, trail.mac, 1, 2, 10).problem, AuditProblem::none);
}

TEST(AuditChain, SaysWhichSegmentsItCannotVerify) {
  Trail trail;
  trail.open();
  trail.event("a");
  trail.use_key(9, kOtherFingerprint);
  trail.open();
  trail.event("b");
  trail.open();
  trail.use_key(7, kFingerprint);
  trail.open();
  trail.event("c");
  Verdict v = verify(trail.segments, &trail.head, trail.mac);
  EXPECT_EQ(v.problem, AuditProblem::none);
  EXPECT_EQ(v.first_unverifiable, 2u);
  EXPECT_EQ(v.last_unverifiable, 3u);
  EXPECT_EQ(v.records, 2u);

  trail.segments[2].back()[trail.segments[2].back().size() - 4] ^= 1;  // its last mac
  v = verify(trail.segments, &trail.head, trail.mac);
  EXPECT_NE(v.problem, AuditProblem::none);  // the next header pins it
}

TEST(AuditChain, VerifiesSegmentsOfAnAcceptedKey) {
  Trail trail;
  trail.use_key(9, kOtherFingerprint);
  trail.open();
  trail.event("a");
  trail.use_key(7, kFingerprint);
  trail.open();
  trail.event("b");
  HmacSha256 other = make_mac(9);
  const auto run = [&](HmacSha256 &accepted) {
    AuditVerifier verifier(trail.mac, kFingerprint);
    verifier.accept(accepted, kOtherFingerprint);
    for (std::uint64_t number = 1; number <= 2; ++number) {
      if (auto p = verifier.begin_segment(number); p != AuditProblem::none) return p;
      for (const auto &line : trail.segments[number - 1])
        if (auto p = verifier.line(line); p != AuditProblem::none) return p;
    }
    EXPECT_EQ(verifier.unverifiable(), 0u);
    EXPECT_EQ(verifier.records(), 2u);
    return verifier.finish(&trail.head);
  };
  EXPECT_EQ(run(other), AuditProblem::none);
  EXPECT_EQ(run(trail.mac), AuditProblem::wrong_mac);
  trail.segments[0][1].replace(trail.segments[0][1].find("\"a\""), 3, "\"x\"");
  EXPECT_EQ(run(other), AuditProblem::wrong_mac);
}

TEST(AuditChain, ParsesOnlyWhatItWrites) {
  Trail trail = make_trail();
  const std::string header = trail.segments[0][0], event = trail.segments[0][1];
  ASSERT_TRUE(audit_header_parse(header).ok());
  EXPECT_EQ(audit_header_parse(header)->segment, 1u);
  EXPECT_EQ(audit_header_parse(header)->kek_fingerprint, kFingerprint);
  EXPECT_EQ(audit_header_parse(header)->time_ms, 1790000000000);
  EXPECT_EQ(audit_header_parse(event).status(), Status::malformed);
  for (std::string_view text : {std::string_view(), std::string_view("{}"), std::string_view("\"}")}) {
    EXPECT_EQ(audit_line_parse(text).status(), Status::malformed);
  }
  for (std::size_t cut = 1; cut < header.size(); ++cut) {
    EXPECT_FALSE(audit_header_parse(std::string_view(header).substr(cut)).ok()) << cut;
    EXPECT_FALSE(audit_line_parse(std::string_view(header).substr(0, cut)).ok()) << cut;
  }
  const auto replaced = [&](std::string_view from, std::string_view to) {
    std::string text = header;
    text.replace(text.find(from), from.size(), to);
    return audit_header_parse(text).status();
  };
  EXPECT_EQ(replaced("\"segment\":1", "\"segment\":01"), Status::malformed);
  EXPECT_EQ(replaced("\"segment\":1", "\"segment\":-1"), Status::malformed);
  EXPECT_EQ(replaced("\"segment\":1", "\"segment\":99999999999999999999"), Status::malformed);
  EXPECT_EQ(replaced("\"format\":1", "\"format\":2"), Status::malformed);
  EXPECT_EQ(replaced("\"kek\":\"0", "\"kek\":\"G"), Status::malformed);
  EXPECT_EQ(replaced("\"sequence\":1", "\"sequence\":"), Status::malformed);
  EXPECT_EQ(replaced("\"torn_bytes\":0", "\"torn_bytes\":-0"), Status::malformed);
}

TEST(AuditChain, RefusesBadArguments) {
  HmacSha256 mac = make_mac(7), empty;
  AuditHead head;
  std::string buffer(kAuditLineMax, '?');
  EXPECT_EQ(audit_header_encode({1, "0123", {}, 0, 0}, buffer).status(), Status::invalid_argument);
  EXPECT_EQ(audit_header_encode({1, "0123456789ABCDEF", {}, 0, 0}, buffer).status(), Status::invalid_argument);
  EXPECT_EQ(audit_header_encode({1, kFingerprint, {}, 0, 0}, std::span(buffer).first(100)).status(),
            Status::invalid_argument);
  EXPECT_EQ(audit_seal(mac, head, buffer, kAuditLineMax - kAuditSealMax + 1).status(), Status::invalid_argument);
  EXPECT_EQ(audit_seal(mac, head, buffer, kAuditLineMax + 1).status(), Status::invalid_argument);
  EXPECT_EQ(audit_seal(empty, head, buffer, 10).status(), Status::crypto_failure);
  EXPECT_EQ(head.sequence, 0u);  // unchanged
  EXPECT_TRUE(audit_seal(mac, head, buffer, kAuditLineMax - kAuditSealMax).ok());
  EXPECT_EQ(head.sequence, 1u);
}

TEST(AuditChain, ExplainsEveryProblem) {
  for (int i = 0; i <= static_cast<int>(AuditProblem::crypto_failure); ++i) {
    EXPECT_STRNE(audit_problem_text(static_cast<AuditProblem>(i)), "unknown problem") << i;
  }
}

}  // namespace
}  // namespace redoubt
