// audit_record.cpp - the JSON writer and the OCSF mapping.
//
// A general JSON library is not used: the shape is fixed, the output must be
// bounded and must not allocate.  The one thing that has to be right is
// append_string.
// Covered by test/unit/audit_record_test.cpp and test/fuzz/audit_fuzz.cpp.
#include "core/audit_record.h"

#include <charconv>
#include <cstring>

namespace redoubt {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;
constexpr std::uint32_t kEllipsis = 0x2026;

// Proof of kAuditBodyMax: 7 words (event and outcome are written twice), 8 names, 2 ids, identity and
// detail, each at six times its limit plus an ellipsis; the rest is fixed text and at most 16
// numbers of 20 digits.
constexpr std::size_t kFixedText = 1280;
constexpr std::size_t kNumbers = 16;
static_assert(6 * (7 * kAuditWordMax + 8 * kAuditNameMax + 2 * kAuditIdMax + kAuditIdentityMax + kAuditDetailMax + 16) +
                  kNumbers * 20 + kFixedText <
              kAuditBodyMax);

struct CodePoint {
  std::uint32_t value;
  std::size_t size;  // bytes consumed, at least 1
};

// Decodes one code point of non-empty `text` as RFC 3629 section 4 defines it: no overlong
// forms, no surrogates, nothing above U+10FFFF.  One invalid byte is one U+FFFD.
CodePoint decode_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};

  std::size_t size = 0;
  std::uint32_t value = 0, least = 0;
  if ((first & 0xE0) == 0xC0) {
    size = 2, value = first & 0x1F, least = 0x80;
  } else if ((first & 0xF0) == 0xE0) {
    size = 3, value = first & 0x0F, least = 0x800;
  } else if ((first & 0xF8) == 0xF0) {
    size = 4, value = first & 0x07, least = 0x10000;
  } else {
    return {kReplacement, 1};
  }
  if (text.size() < size) return {kReplacement, 1};
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {kReplacement, 1};
    value = (value << 6) | (byte(i) & 0x3F);
  }
  if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {kReplacement, 1};
  return {value, size};
}

// How many bytes at the front stand for themselves in a JSON string.
std::size_t plain_run(std::string_view text) noexcept {
  std::size_t size = 0;
  while (size < text.size() && text[size] >= 0x20 && text[size] < 0x7F && text[size] != '"' && text[size] != '\\') {
    ++size;
  }
  return size;
}

// Appends to a span that is known to be large enough (kAuditBodyMax); the check in append is
// a second line of defence, not a path that is expected to run.
class Writer {
 public:
  explicit Writer(std::span<char> out) noexcept : out_(out) {}

  std::size_t size() const noexcept { return size_; }

  void append(std::string_view raw) noexcept {
    if (raw.size() > out_.size() - size_) return;
    std::memcpy(out_.data() + size_, raw.data(), raw.size());
    size_ += raw.size();
  }

  template <typename Integer>
  void append_number(Integer value) noexcept {
    char digits[24];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
    if (error == std::errc()) append({digits, static_cast<std::size_t>(end - digits)});
  }

  void append_hex(std::uint64_t value) noexcept {
    char digits[24];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value, 16);
    if (error == std::errc()) append({digits, static_cast<std::size_t>(end - digits)});
  }

  // RFC 8259 section 7, everything outside printable ASCII escaped.
  void append_string(std::string_view text, std::size_t limit) noexcept {
    append("\"");
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t run = plain_run(text.substr(i, limit - i));  // almost always everything
      append(text.substr(i, run));
      i += run;
      if (i == text.size()) break;
      const CodePoint c = decode_utf8(text.substr(i));
      if (i + c.size > limit) {
        append_escape(kEllipsis);
        break;
      }
      append_code_point(c.value);
      i += c.size;
    }
    append("\"");
  }

  // ,"name":"text", or nothing when the text is empty.
  void member(std::string_view name, std::string_view text, std::size_t limit) noexcept {
    if (text.empty()) return;
    append(",\"");
    append(name);
    append("\":");
    append_string(text, limit);
  }

  template <typename Integer>
  void member_number(std::string_view name, Integer value) noexcept {
    append(",\"");
    append(name);
    append("\":");
    append_number(value);
  }

 private:
  // Of anything plain_run does not take.
  void append_code_point(std::uint32_t value) noexcept {
    if (value == '"') {
      append("\\\"");
    } else if (value == '\\') {
      append("\\\\");
    } else if (value == 0) {
      append_escape(kReplacement);  // PostgreSQL's jsonb refuses \u0000
    } else if (value < 0x10000) {
      append_escape(value);
    } else {  // RFC 8259 section 7: a UTF-16 surrogate pair
      append_escape(0xD800 + ((value - 0x10000) >> 10));
      append_escape(0xDC00 + ((value - 0x10000) & 0x3FF));
    }
  }

  void append_escape(std::uint32_t unit) noexcept {
    static constexpr char kHex[] = "0123456789abcdef";
    const char escape[] = {'\\',           'u', kHex[(unit >> 12) & 15], kHex[(unit >> 8) & 15], kHex[(unit >> 4) & 15],
                           kHex[unit & 15]};
    append({escape, sizeof escape});
  }

  std::span<char> out_;
  std::size_t size_ = 0;
};

struct Level {
  int id;
  std::string_view name;
};

// severity_id of the OCSF base event.
Level severity(const AuditRecord &r) noexcept {
  if (r.outcome == "denied" || r.outcome == "failure" || r.event == "denial" || r.event == "block")
    return {3, "Medium"};
  if (r.event == "throttle") return {2, "Low"};
  return {1, "Informational"};
}

// status_id of the OCSF base event; 99 keeps the source's own word in "status".
Level status(const AuditRecord &r) noexcept {
  if (r.outcome == "success") return {1, "Success"};
  if (r.outcome == "denied" || r.outcome == "failure") return {2, "Failure"};
  return {99, r.outcome};
}

std::string_view activity_name(int id, std::string_view event) noexcept {
  if (id == 1) return "Read";
  if (id == 9) return "Encrypt";
  return event;
}

}  // namespace

int audit_activity_id(std::string_view operation) noexcept {
  if (operation == "read" || operation == "reveal" || operation == "masked") return 1;
  if (operation == "tokenize") return 9;
  return 99;
}

Result<std::size_t> audit_record_encode(const AuditRecord &r, std::span<char> out) noexcept {
  if (out.size() < kAuditBodyMax) return Status::invalid_argument;
  constexpr int kClass = 6005;
  const int activity = audit_activity_id(r.operation);
  const Level level = severity(r), result = status(r);

  Writer w(out);
  w.append("{\"class_uid\":6005,\"class_name\":\"Datastore Activity\",\"category_uid\":6");
  w.member_number("activity_id", activity);
  w.member("activity_name", activity_name(activity, r.event), kAuditWordMax);
  w.member_number("type_uid", kClass * 100 + activity);
  w.member_number("severity_id", level.id);
  w.member("severity", level.name, kAuditWordMax);
  w.member_number("status_id", result.id);
  w.member("status", result.name, kAuditWordMax);
  w.member_number("time", r.time_ms);

  w.append(",\"actor\":{\"user\":{\"uid\":\"");
  w.append_number(r.session_user_id);
  w.append("\"");
  w.member("name", r.session_user, kAuditNameMax);
  w.append("},\"session\":{\"uid\":\"");
  w.append_hex(static_cast<std::uint64_t>(r.session_start_ms / 1000));
  w.append(".");
  w.append_hex(static_cast<std::uint32_t>(r.pid));
  w.append("\"");
  w.member_number("created_time", r.session_start_ms);
  w.append("}},\"src_endpoint\":{");
  if (r.client_address.empty()) {
    w.append("\"name\":\"local\"");
  } else {
    w.append("\"ip\":");
    w.append_string(r.client_address, kAuditNameMax);
  }
  w.append("}");
  if (!r.server_id.empty()) {
    w.append(",\"device\":{\"type_id\":1");
    w.member("uid", r.server_id, kAuditIdMax);
    w.member("name", r.server_name, kAuditNameMax);
    w.append("}");
  }
  w.append(",\"database\":{\"type_id\":1,\"uid\":\"");
  w.append_number(r.database_id);
  w.append("\"");
  w.member("name", r.database, kAuditNameMax);

  w.append("},\"unmapped\":{\"event\":");
  w.append_string(r.event, kAuditWordMax);
  w.member("outcome", r.outcome, kAuditWordMax);
  w.member("operation", r.operation, kAuditWordMax);
  w.member("token_type", r.token_type, kAuditNameMax);
  if (r.token_type_id != 0) w.member_number("token_type_id", r.token_type_id);
  if (r.count >= 0) w.member_number("count", r.count);
  w.member("current_user", r.current_user, kAuditNameMax);
  w.member_number("current_user_id", r.current_user_id);
  w.member("authenticated_user", r.authenticated_user, kAuditNameMax);
  w.member_number("authenticated_user_id", r.authenticated_user_id);
  w.member("identity", r.identity, kAuditIdentityMax);
  w.member("cluster", r.cluster_id, kAuditIdMax);
  w.member("application_name", r.application_name, kAuditNameMax);
  w.member("backend_type", r.backend_type, kAuditWordMax);
  w.member_number("pid", r.pid);
  if (r.query_id != 0) {  // as text: beyond the integers that every JSON reader keeps exact
    w.append(",\"query_id\":\"");
    w.append_number(r.query_id);
    w.append("\"");
  }
  w.member("detail", r.detail, kAuditDetailMax);

  w.append(
      "},\"metadata\":{\"version\":\"1.2.0\",\"product\":{\"name\":\"Redoubt\",\"vendor_name\":"
      "\"Redoubt\"");
  w.member("version", r.product_version, kAuditWordMax);
  w.append(r.server_id.empty() ? "}" : "},\"profiles\":[\"host\"]");
  w.append(",\"sequence\":");
  return w.size();
}

}  // namespace redoubt
