// audit_archive.cpp - see audit_archive.h.
// Covered by test/unit/audit_archive_test.cpp.
#include "core/audit_archive.h"

#include "core/audit_text.h"
#include "core/secret.h"

namespace redoubt {
namespace {

constexpr std::string_view kLabel = "redoubt audit archive 1";
constexpr std::string_view kMacMember = ",\"mac\":\"";
constexpr std::string_view kLineEnd = "\"}";

std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

bool compute(HmacSha256 &mac, std::string_view authenticated, AuditMac &out) noexcept {
  const std::span<const std::uint8_t> parts[] = {bytes_of(kLabel), bytes_of(authenticated)};
  return mac.compute(parts, out);
}

// A line's part that the mac covers; empty where there is none.
std::string_view authenticated_part(std::string_view line) noexcept {
  constexpr std::size_t kTail = kMacMember.size() + 2 * kHmacSha256Size + kLineEnd.size();
  return line.size() > kTail && line.size() < kAuditArchivedMax ? line.substr(0, line.size() - kTail)
                                                                : std::string_view();
}

// What both files say of a segment.
void write_segment(AuditAppender &a, const AuditArchived &s) noexcept {
  a.text("\"verified\":").number(s.verified ? 1 : 0).text(",\"breaks\":").number(s.breaks);
  a.text(",\"broken_line\":").number(s.broken_line).text(",\"first_sequence\":").number(s.first_sequence);
  a.text(",\"last_sequence\":").number(s.last_sequence).text(",\"previous_mac\":\"").mac(s.previous_mac);
  a.text("\",\"last_mac\":\"").mac(s.last_mac).text("\",\"records\":").number(s.records);
  a.text(",\"bytes\":").number(s.bytes).text(",\"torn_before\":").number(s.torn_before);
  a.text(",\"torn_bytes\":").number(s.torn_bytes).text(",\"last_time\":").number(s.last_time_ms);
  a.text(",\"sha256\":\"").mac(s.sha256).text("\",\"time\":").number(s.archived_ms);
}

void read_segment(AuditReader &r, AuditArchived &s) noexcept {
  unsigned verified = 0;
  r.take("\"verified\":").take_number(verified);
  r.take(",\"breaks\":").take_number(s.breaks).take(",\"broken_line\":").take_number(s.broken_line);
  r.take(",\"first_sequence\":").take_number(s.first_sequence);
  r.take(",\"last_sequence\":").take_number(s.last_sequence).take(",\"previous_mac\":\"").take_mac(s.previous_mac);
  r.take("\",\"last_mac\":\"").take_mac(s.last_mac).take("\",\"records\":").take_number(s.records);
  r.take(",\"bytes\":").take_number(s.bytes).take(",\"torn_before\":").take_number(s.torn_before);
  r.take(",\"torn_bytes\":").take_number(s.torn_bytes).take(",\"last_time\":").take_number(s.last_time_ms);
  r.take(",\"sha256\":\"").take_mac(s.sha256).take("\",\"time\":").take_number(s.archived_ms);
  if (verified > 1) r.fail();
  s.verified = verified == 1;
}

constexpr std::string_view kSignatureMember = ",\"signature\":\"";

bool plain_id(std::string_view id, std::size_t limit) noexcept {
  return id.size() <= limit && id.find_first_not_of("0123456789abcdef-") == std::string_view::npos;
}

// The part of a line that is signed, and its signature; empty where the line has none.
std::string_view take_signature(std::string_view line, Ed25519Signature &signature) noexcept {
  constexpr std::size_t kTail = kSignatureMember.size() + 2 * kEd25519SignatureSize + kLineEnd.size();
  if (line.size() <= kTail || line.size() >= kAuditSignedMax) return {};
  const std::string_view text = line.substr(0, line.size() - kTail);
  AuditReader tail(line.substr(text.size()));
  return tail.take(kSignatureMember).take_bytes(signature).take(kLineEnd).at_end() ? text : std::string_view();
}

// Ends a line with public key and signature.
Result<std::size_t> sign(Ed25519Key seed, AuditAppender &a, std::span<char> out) noexcept {
  std::array<std::uint8_t, kEd25519KeySize> key;
  Ed25519Signature signature;
  if (!ed25519_public_key(seed, key)) return Status::crypto_failure;
  a.text(",\"public_key\":\"").bytes(key).text("\"");
  if (!ed25519_sign(seed, {out.data(), static_cast<std::size_t>(a.end() - out.data())}, signature))
    return Status::crypto_failure;
  a.text(kSignatureMember).bytes(signature).text(kLineEnd).text("\n");
  return static_cast<std::size_t>(a.end() - out.data());
}

}  // namespace

Result<std::size_t> audit_archived_encode(HmacSha256 &mac, const AuditArchived &s, std::span<char> out) noexcept {
  if (out.size() < kAuditArchivedMax || s.kek_fingerprint.size() != kAuditFingerprintSize ||
      s.kek_fingerprint.find_first_not_of(kAuditHexDigits) != std::string_view::npos) {
    return Status::invalid_argument;
  }
  AuditAppender a(out.data());
  a.text("{\"archived\":").number(s.segment).text(",\"format\":1,\"kek\":\"").text(s.kek_fingerprint);
  write_segment(a.text("\","), s);
  AuditMac computed;
  if (!compute(mac, {out.data(), static_cast<std::size_t>(a.end() - out.data())}, computed))
    return Status::crypto_failure;
  a.text(kMacMember).mac(computed).text(kLineEnd).text("\n");
  return static_cast<std::size_t>(a.end() - out.data());
}

Result<AuditArchived> audit_archived_parse(std::string_view line) noexcept {
  AuditArchived s;
  AuditMac mac;
  AuditReader r(authenticated_part(line));
  r.take("{\"archived\":").take_number(s.segment).take(",\"format\":1,\"kek\":\"");
  r.take_hex(s.kek_fingerprint, kAuditFingerprintSize).take("\",");
  read_segment(r, s);
  if (!r.at_end()) return Status::malformed;
  AuditReader tail(line.substr(authenticated_part(line).size()));
  if (!tail.take(kMacMember).take_mac(mac).take(kLineEnd).at_end()) return Status::malformed;
  return s;
}

bool audit_archived_authentic(HmacSha256 &mac, std::string_view line) noexcept {
  const std::string_view authenticated = authenticated_part(line);
  AuditMac claimed, computed;
  if (authenticated.empty() ||
      !AuditReader(line.substr(authenticated.size())).take(kMacMember).take_mac(claimed).take(kLineEnd).at_end())
    return false;
  return compute(mac, authenticated, computed) && secret_equal(claimed, computed);
}

Result<std::size_t> audit_head_encode(Ed25519Key seed, const AuditSignedHead &head, std::span<char> out) noexcept {
  if (out.size() < kAuditSignedMax || !plain_id(head.server, 36) || !plain_id(head.cluster, 20))
    return Status::invalid_argument;
  AuditAppender a(out.data());
  a.text("{\"head\":").number(head.segment.segment).text(",\"format\":1,\"archived\":").number(head.archived ? 1 : 0);
  a.text(",\"server\":\"").text(head.server).text("\",\"cluster\":\"").text(head.cluster).text("\",");
  write_segment(a, head.segment);
  return sign(seed, a, out);
}

Result<AuditSignedHead> audit_head_parse(std::string_view line) noexcept {
  AuditSignedHead head;
  Ed25519Signature signature;
  unsigned archived = 0;
  AuditReader r(take_signature(line, signature));
  r.take("{\"head\":").take_number(head.segment.segment).take(",\"format\":1,\"archived\":").take_number(archived);
  r.take(",\"server\":\"").take_id(head.server, 36).take("\",\"cluster\":\"").take_id(head.cluster, 20).take("\",");
  read_segment(r, head.segment);
  r.take(",\"public_key\":\"").take_bytes(head.public_key).take("\"");
  if (!r.at_end() || archived > 1) return Status::malformed;
  head.archived = archived == 1;
  return head;
}

Result<std::size_t> audit_anchor_encode(Ed25519Key seed, std::string_view server, std::string_view cluster,
                                        const AuditHead &head, std::int64_t time_ms, std::span<char> out) noexcept {
  if (out.size() < kAuditSignedMax || !plain_id(server, 36) || !plain_id(cluster, 20)) return Status::invalid_argument;
  AuditAppender a(out.data());
  a.text("{\"anchor\":1,\"format\":1,\"server\":\"").text(server).text("\",\"cluster\":\"").text(cluster);
  a.text("\",\"segment\":").number(head.segment).text(",\"sequence\":").number(head.sequence);
  a.text(",\"mac\":\"").mac(head.mac).text("\",\"time\":").number(time_ms);
  return sign(seed, a, out);
}

bool audit_signed_by(Ed25519Key public_key, std::string_view line) noexcept {
  Ed25519Signature signature;
  const std::string_view text = take_signature(line, signature);
  return !text.empty() && ed25519_verify(public_key, text, signature);
}

}  // namespace redoubt
