// audit_record.h - one audit event as one line of JSON.
//
// The shape is OCSF 1.2.0 Datastore Activity (class_uid 6005, category_uid 6),
// so that a SIEM reads the trail without a parser of its own.  What OCSF has no
// name for is under "unmapped".  Pure encoding: the sequence number and the mac
// are added by audit_chain, which is why a body ends with `"sequence":`.
//
// Invariant: the body is valid JSON in printable ASCII, on one line, whatever
// bytes the strings hold; it never exceeds kAuditBodyMax.
// Covered by test/unit/audit_record_test.cpp and test/fuzz/audit_fuzz.cpp.
#ifndef REDOUBT_CORE_AUDIT_RECORD_H
#define REDOUBT_CORE_AUDIT_RECORD_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/result.h"

namespace redoubt {

// Bytes of UTF-8 kept of each string.  A longer one is cut before the code point that
// crosses the limit, and ends with U+2026 to say so.
constexpr std::size_t kAuditWordMax = 64;   // event, outcome, operation, backend type, version
constexpr std::size_t kAuditNameMax = 128;  // roles, database, token type, client, application
constexpr std::size_t kAuditIdMax = 36;     // server, cluster
constexpr std::size_t kAuditIdentityMax = 256;
constexpr std::size_t kAuditDetailMax = 640;

// The longest body.  Worst case of the strings: every byte becomes \u00XX (six times as
// long); audit_record.cpp proves that the sum stays below.
constexpr std::size_t kAuditBodyMax = 16384;

// One event.  Strings are UTF-8; invalid bytes and NUL become U+FFFD.  An empty string means
// unknown or not applicable, and its member is left out of the JSON.  No string may hold
// plaintext, a token or a key: the encoder cannot tell.
struct AuditRecord {
  std::string_view event;            // "reveal", "denial", "throttle", "block", "limit", "grant"...
  std::string_view outcome;          // "success", "denied", "failure"; anything else is kept as it is
  std::string_view operation;        // "read", "reveal", "masked", "tokenize", or an administrative command
  std::string_view token_type;       // qualified name
  std::uint32_t token_type_id = 0;   // 0 = not applicable
  std::int64_t count = -1;           // values concerned; negative = not applicable
  std::string_view detail;           // short text for people
  std::string_view product_version;  // of this extension
  std::int64_t time_ms = 0;          // milliseconds since the Unix epoch

  std::string_view session_user;  // the login role after SET SESSION AUTHORIZATION: whose budget is charged
  std::uint32_t session_user_id = 0;
  std::string_view current_user;  // whose privileges apply: SET ROLE, SECURITY DEFINER
  std::uint32_t current_user_id = 0;
  std::string_view authenticated_user;  // the role the connection logged in as
  std::uint32_t authenticated_user_id = 0;
  std::string_view identity;  // what the authentication method established (certificate, Kerberos, LDAP name)

  std::string_view server_id;    // of the server that wrote it, a uuid; empty: unknown
  std::string_view server_name;  // as its administrator calls it
  std::string_view cluster_id;   // of what it replicates: the same on a primary and its standbys

  std::string_view database;
  std::uint32_t database_id = 0;
  std::string_view client_address;  // numeric; empty for a local socket or no client
  std::string_view application_name;
  std::string_view backend_type;
  std::int32_t pid = 0;
  std::int64_t session_start_ms = 0;  // with pid: the session id, as %c in log_line_prefix
  std::int64_t query_id = 0;          // 0 = not computed
};

// audit_record_encode writes the body of `record` to `out` and returns its length.  The body
// lacks its end: audit_chain appends the sequence number, the closing braces and the mac.
// Errors: invalid_argument when `out` is smaller than kAuditBodyMax.
Result<std::size_t> audit_record_encode(const AuditRecord &record, std::span<char> out) noexcept;

// The OCSF activity_id of an operation (dictionary of class 6005): 1 Read for read, reveal and
// masked, 9 Encrypt for tokenize (in the schema since 1.2.0), 99 Other for all else.
int audit_activity_id(std::string_view operation) noexcept;

}  // namespace redoubt
#endif
