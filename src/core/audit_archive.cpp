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

}  // namespace

Result<std::size_t> audit_archived_encode(HmacSha256 &mac, const AuditArchived &s, std::span<char> out) noexcept {
  if (out.size() < kAuditArchivedMax || s.kek_fingerprint.size() != kAuditFingerprintSize ||
      s.kek_fingerprint.find_first_not_of(kAuditHexDigits) != std::string_view::npos) {
    return Status::invalid_argument;
  }
  AuditAppender a(out.data());
  a.text("{\"archived\":").number(s.segment).text(",\"format\":1,\"kek\":\"").text(s.kek_fingerprint);
  a.text("\",\"verified\":").number(s.verified ? 1 : 0).text(",\"breaks\":").number(s.breaks);
  a.text(",\"broken_line\":").number(s.broken_line).text(",\"first_sequence\":").number(s.first_sequence);
  a.text(",\"last_sequence\":").number(s.last_sequence).text(",\"previous_mac\":\"").mac(s.previous_mac);
  a.text("\",\"last_mac\":\"").mac(s.last_mac).text("\",\"records\":").number(s.records);
  a.text(",\"bytes\":").number(s.bytes).text(",\"torn_before\":").number(s.torn_before);
  a.text(",\"torn_bytes\":").number(s.torn_bytes).text(",\"last_time\":").number(s.last_time_ms);
  a.text(",\"sha256\":\"").mac(s.sha256).text("\",\"time\":").number(s.archived_ms);
  AuditMac computed;
  if (!compute(mac, {out.data(), static_cast<std::size_t>(a.end() - out.data())}, computed))
    return Status::crypto_failure;
  a.text(kMacMember).mac(computed).text(kLineEnd).text("\n");
  return static_cast<std::size_t>(a.end() - out.data());
}

Result<AuditArchived> audit_archived_parse(std::string_view line) noexcept {
  AuditArchived s;
  AuditMac mac;
  int verified = 0;
  AuditReader r(authenticated_part(line));
  r.take("{\"archived\":").take_number(s.segment).take(",\"format\":1,\"kek\":\"");
  r.take_hex(s.kek_fingerprint, kAuditFingerprintSize).take("\",\"verified\":").take_number(verified);
  r.take(",\"breaks\":").take_number(s.breaks).take(",\"broken_line\":").take_number(s.broken_line);
  r.take(",\"first_sequence\":").take_number(s.first_sequence);
  r.take(",\"last_sequence\":").take_number(s.last_sequence).take(",\"previous_mac\":\"").take_mac(s.previous_mac);
  r.take("\",\"last_mac\":\"").take_mac(s.last_mac).take("\",\"records\":").take_number(s.records);
  r.take(",\"bytes\":").take_number(s.bytes).take(",\"torn_before\":").take_number(s.torn_before);
  r.take(",\"torn_bytes\":").take_number(s.torn_bytes).take(",\"last_time\":").take_number(s.last_time_ms);
  r.take(",\"sha256\":\"").take_mac(s.sha256).take("\",\"time\":").take_number(s.archived_ms);
  if (!r.at_end() || (verified != 0 && verified != 1)) return Status::malformed;
  AuditReader tail(line.substr(authenticated_part(line).size()));
  if (!tail.take(kMacMember).take_mac(mac).take(kLineEnd).at_end()) return Status::malformed;
  s.verified = verified == 1;
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

}  // namespace redoubt
