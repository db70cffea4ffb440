// audit_archive.h - what is kept of a segment that was moved to an archive: a line of archived.jsonl.
//
//   {"archived":1,"format":1,"kek":"<16 hex>","verified":1,"breaks":0,"broken_line":0,"first_sequence":1,
//    "last_sequence":70,"previous_mac":"<64 hex>","last_mac":"<64 hex>","records":69,"bytes":65012,"torn_before":0,
//    "torn_bytes":0,"last_time":<ms>,"sha256":"<64 hex>","time":<ms>,"mac":"<64 hex>"}                 (one line)
//
//   mac = HMAC-SHA-256(audit key, "redoubt audit archive 1" || line up to but not including `,"mac":`)
//
// No input of the chain's own macs begins like that (they begin with a mac), so neither is ever taken for the other.
// Invariant: whoever lacks the key can leave such a line out, and make none: a segment without one is missing.
// Covered by test/unit/audit_archive_test.cpp and test/tap/audit_archive.pl.
#ifndef REDOUBT_CORE_AUDIT_ARCHIVE_H
#define REDOUBT_CORE_AUDIT_ARCHIVE_H

#include "core/audit_chain.h"

namespace redoubt {

// The longest line, with its newline.
constexpr std::size_t kAuditArchivedMax = 1024;

// audit_archived_encode writes the whole line, newline included, and returns its length.  Errors: invalid_argument when
// `out` is smaller than kAuditArchivedMax or the fingerprint is not one; crypto_failure.
Result<std::size_t> audit_archived_encode(HmacSha256 &mac, const AuditArchived &segment, std::span<char> out) noexcept;

// audit_archived_parse reads a line, without its newline.  It accepts exactly what audit_archived_encode writes, and
// says nothing of its mac: audit_archived_authentic does.  Errors: malformed.
Result<AuditArchived> audit_archived_parse(std::string_view line) noexcept;
bool audit_archived_authentic(HmacSha256 &mac, std::string_view line) noexcept;

}  // namespace redoubt
#endif
