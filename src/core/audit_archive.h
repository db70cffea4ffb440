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
#include "core/ed25519.h"

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

// The same, signed for whoever has the public key alone: a line of heads.jsonl, of each closed segment.
//
//   {"head":1,"format":1,"archived":0,"server":"<uuid>","cluster":"<digits>","verified":1,"breaks":0,"broken_line":0,
//    "first_sequence":1,"last_sequence":70,"previous_mac":"<64 hex>","last_mac":"<64 hex>","records":69,"bytes":65012,
//    "torn_before":0,"torn_bytes":0,"last_time":<ms>,"sha256":"<64 hex>","time":<ms>,"public_key":"<64 hex>",
//    "signature":"<128 hex>"}                                                                          (one line)
//
//   signature = Ed25519(private key, line up to but not including `,"signature":`)
//
// `archived` is 1 where the segment was moved to an archive.  Nothing else that the key signs begins like that.
struct AuditSignedHead {
  AuditArchived segment;
  bool archived = false;
  std::string_view server, cluster;  // [0-9a-f-], up to 36 and 20 of them
  std::array<std::uint8_t, kEd25519KeySize> public_key{};
};

// What may be signed, with its newline, at most.
constexpr std::size_t kAuditSignedMax = 1536;

// audit_head_encode writes the whole line, newline included.  Errors: invalid_argument, crypto_failure.
Result<std::size_t> audit_head_encode(Ed25519Key seed, const AuditSignedHead &head, std::span<char> out) noexcept;

// audit_head_parse reads a line without its newline, and says nothing of the signature.  Errors: malformed.
Result<AuditSignedHead> audit_head_parse(std::string_view line) noexcept;

// Where the trail is at some moment, signed: what is sent away as an anchor.
//
//   {"anchor":1,"format":1,"server":"<uuid>","cluster":"<digits>","segment":2,"sequence":81,"mac":"<64
//   hex>","time":<ms>,
//    "public_key":"<64 hex>","signature":"<128 hex>"}                                                  (one line)
Result<std::size_t> audit_anchor_encode(Ed25519Key seed, std::string_view server, std::string_view cluster,
                                        const AuditHead &head, std::int64_t time_ms, std::span<char> out) noexcept;

// True of a line that is signed with the private key of `public_key`.
bool audit_signed_by(Ed25519Key public_key, std::string_view line) noexcept;

}  // namespace redoubt
#endif
