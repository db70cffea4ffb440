// audit_fuzz.cpp - libFuzzer over the encoder, the line parser and the verifier.
//
// Properties: an encoded body is printable ASCII within its bound; a sealed line
// parses back to its sequence and mac and verifies; arbitrary text is never
// accepted by a verifier, since no input can hold a valid mac.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/audit_archive.h"
#include "core/audit_chain.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace redoubt;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  constexpr std::string_view kFingerprint = "0123456789abcdef";
  const std::array<std::uint8_t, 32> key{1, 2, 3};
  auto mac = HmacSha256::make(key);
  require(mac.ok());

  std::string line(kAuditLineMax, '\0');
  AuditHead head;
  head.segment = 1;
  AuditVerifier verifier(*mac, kFingerprint);
  require(verifier.begin_segment(1) == AuditProblem::none);
  const auto seal = [&](const Result<std::size_t> &body) {
    require(body.ok() && *body <= kAuditBodyMax);
    const auto length = audit_seal(*mac, head, line, *body);
    require(length.ok() && *length <= kAuditLineMax);
    for (std::size_t i = 0; i + 1 < *length; ++i) require(line[i] >= 0x20 && line[i] < 0x7F);
    const std::string_view sealed(line.data(), *length - 1);
    const auto parsed = audit_line_parse(sealed);
    require(parsed.ok() && parsed->sequence == head.sequence && parsed->mac == head.mac);
    require(verifier.line(sealed) == AuditProblem::none);
  };
  seal(audit_header_encode({1, kFingerprint, {}, 0, 0}, line));

  AuditRecord record;
  const std::size_t third = size / 3;
  record.event = text.substr(0, third);
  record.session_user = record.application_name = text.substr(third, third);
  record.detail = text.substr(2 * third);
  record.identity = text;
  seal(audit_record_encode(record, line));
  require(verifier.finish(&head) == AuditProblem::none);

  (void)audit_header_parse(text);
  (void)audit_archived_parse(text);
  (void)audit_head_parse(text);
  require(!audit_archived_authentic(*mac, text));
  require(verifier.line(text) != AuditProblem::none);
  return 0;
}
