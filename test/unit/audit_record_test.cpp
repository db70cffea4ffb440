// audit_record_test.cpp - the JSON of one event: shape, escaping, bounds.
#include "core/audit_record.h"

#include <gtest/gtest.h>

#include <string>

namespace redoubt {
namespace {

// The body closed the way audit_seal closes it, without a mac.
std::string encode(const AuditRecord &record) {
  std::string buffer(kAuditBodyMax, '?');
  const auto size = audit_record_encode(record, buffer);
  EXPECT_TRUE(size.ok());
  return buffer.substr(0, *size) + "1}}";
}

std::string detail_of(std::string_view detail) {
  AuditRecord record;
  record.event = "reveal";
  record.detail = detail;
  const std::string json = encode(record);
  const std::size_t begin = json.find("\"detail\":") + 9;
  return json.substr(begin, json.find("},\"metadata\"") - begin);
}

TEST(AuditRecord, HoldsTheWholeEventInOcsfShape) {
  AuditRecord r;
  r.event = "reveal";
  r.outcome = "success";
  r.operation = "reveal";
  r.token_type = "redoubt.email_token";
  r.token_type_id = 16400;
  r.count = 42;
  r.detail = "at end of statement";
  r.product_version = "0.1";
  r.time_ms = 1790000000123;
  r.session_user = "support_lead";
  r.session_user_id = 16385;
  r.current_user = "owner";
  r.current_user_id = 16386;
  r.authenticated_user = "support_lead";
  r.authenticated_user_id = 16385;
  r.identity = "CN=lead";
  r.server_id = "0b5c8d1e-2f3a-4b6c-8d7e-9f0a1b2c3d4e";
  r.server_name = "north";
  r.cluster_id = "7412345678901234567";
  r.database = "support";
  r.database_id = 5;
  r.client_address = "2001:db8::1";
  r.application_name = "helpdesk";
  r.backend_type = "client backend";
  r.pid = 0x1a2b;
  r.session_start_ms = 0x60000000LL * 1000 + 7;
  r.query_id = -9223372036854775807LL - 1;
  EXPECT_EQ(encode(r),
            "{\"class_uid\":6005,\"class_name\":\"Datastore Activity\",\"category_uid\":6,\"activity_id\":1,"
            "\"activity_name\":\"Read\",\"type_uid\":600501,\"severity_id\":1,\"severity\":\"Informational\","
            "\"status_id\":1,\"status\":\"Success\",\"time\":1790000000123,"
            "\"actor\":{\"user\":{\"uid\":\"16385\",\"name\":\"support_lead\"},"
            "\"session\":{\"uid\":\"60000000.1a2b\",\"created_time\":1610612736007}},"
            "\"src_endpoint\":{\"ip\":\"2001:db8::1\"},"
            "\"device\":{\"type_id\":1,\"uid\":\"0b5c8d1e-2f3a-4b6c-8d7e-9f0a1b2c3d4e\",\"name\":\"north\"},"
            "\"database\":{\"type_id\":1,\"uid\":\"5\",\"name\":\"support\"},"
            "\"unmapped\":{\"event\":\"reveal\",\"outcome\":\"success\",\"operation\":\"reveal\","
            "\"token_type\":\"redoubt.email_token\",\"token_type_id\":16400,\"count\":42,\"current_user\":\"owner\","
            "\"current_user_id\":16386,"
            "\"authenticated_user\":\"support_lead\",\"authenticated_user_id\":16385,\"identity\":\"CN=lead\","
            "\"cluster\":\"7412345678901234567\",\"application_name\":\"helpdesk\",\"backend_type\":\"client "
            "backend\",\"pid\":6699,"
            "\"query_id\":\"-9223372036854775808\",\"detail\":\"at end of statement\"},"
            "\"metadata\":{\"version\":\"1.2.0\",\"product\":{\"name\":\"Redoubt\",\"vendor_name\":\"Redoubt\","
            "\"version\":\"0.1\"},\"profiles\":[\"host\"],\"sequence\":1}}");
}

TEST(AuditRecord, LeavesOutWhatIsUnknown) {
  AuditRecord r;
  r.event = "settings";
  const std::string json = encode(r);
  for (const char *absent : {"device", "profiles", "cluster", "count", "detail", "query_id", "identity", "token_type",
                             "\"ip\"", "application_name"}) {
    EXPECT_EQ(json.find(absent), std::string::npos) << absent;
  }
  EXPECT_NE(json.find("\"src_endpoint\":{\"name\":\"local\"}"), std::string::npos);
}

TEST(AuditRecord, MapsActivitySeverityAndStatus) {
  EXPECT_EQ(audit_activity_id("read"), 1);
  EXPECT_EQ(audit_activity_id("reveal"), 1);
  EXPECT_EQ(audit_activity_id("masked"), 1);
  EXPECT_EQ(audit_activity_id("tokenize"), 9);
  EXPECT_EQ(audit_activity_id("create_key"), 99);
  EXPECT_EQ(audit_activity_id(""), 99);

  AuditRecord r;
  r.event = "denial";
  r.outcome = "denied";
  r.operation = "tokenize";
  std::string json = encode(r);
  EXPECT_NE(json.find("\"activity_id\":9,\"activity_name\":\"Encrypt\",\"type_uid\":600509,\"severity_id\":3"),
            std::string::npos);
  EXPECT_NE(json.find("\"status_id\":2,\"status\":\"Failure\""), std::string::npos);

  r.event = "throttle";
  r.outcome = "intent";
  r.operation = "create_key";
  json = encode(r);
  EXPECT_NE(json.find("\"activity_id\":99,\"activity_name\":\"throttle\",\"type_uid\":600599,\"severity_id\":2"),
            std::string::npos);
  EXPECT_NE(json.find("\"status_id\":99,\"status\":\"intent\""), std::string::npos);
}

TEST(AuditRecord, EscapesEverythingOutsidePrintableAscii) {
  EXPECT_EQ(detail_of("plain ~"), "\"plain ~\"");
  EXPECT_EQ(detail_of("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(detail_of("\n\t\x01\x1f\x7f"), "\"\\u000a\\u0009\\u0001\\u001f\\u007f\"");
  EXPECT_EQ(detail_of(std::string_view("x\0y", 3)), "\"x\\ufffdy\"");
  EXPECT_EQ(detail_of("\xc3\xa9"), "\"\\u00e9\"");
  EXPECT_EQ(detail_of("\xe2\x80\xa2"), "\"\\u2022\"");
  EXPECT_EQ(detail_of("\xf0\x9f\x94\x91"), "\"\\ud83d\\udd11\"");
}

TEST(AuditRecord, ReplacesInvalidUtf8) {
  EXPECT_EQ(detail_of("\x80"), "\"\\ufffd\"");                                   // stray continuation
  EXPECT_EQ(detail_of("\xc0\xaf"), "\"\\ufffd\\ufffd\"");                        // overlong '/'
  EXPECT_EQ(detail_of("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");             // surrogate
  EXPECT_EQ(detail_of("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");  // above U+10FFFF
  EXPECT_EQ(detail_of("\xc3"), "\"\\ufffd\"");                                   // cut short
  EXPECT_EQ(detail_of("\xc3z"), "\"\\ufffdz\"");
}

TEST(AuditRecord, CutsLongStringsAtACodePoint) {
  const std::string fits(kAuditDetailMax, 'a');
  EXPECT_EQ(detail_of(fits), "\"" + fits + "\"");
  EXPECT_EQ(detail_of(fits + "b"), "\"" + fits + "\\u2026\"");
  // The two-byte character would cross the limit: it goes as a whole.
  const std::string almost(kAuditDetailMax - 1, 'a');
  EXPECT_EQ(detail_of(almost + "\xc3\xa9"), "\"" + almost + "\\u2026\"");
}

TEST(AuditRecord, FitsTheBufferInTheWorstCase) {
  const std::string worst(5000, '\x01');
  AuditRecord r;
  r.event = r.outcome = r.operation = r.token_type = r.detail = r.product_version = worst;
  r.session_user = r.current_user = r.authenticated_user = r.identity = worst;
  r.database = r.client_address = r.application_name = r.backend_type = worst;
  r.server_id = r.server_name = r.cluster_id = worst;
  r.count = r.time_ms = r.session_start_ms = r.query_id = INT64_MIN + 1;
  r.count = INT64_MAX;
  r.pid = INT32_MIN;
  r.session_user_id = r.current_user_id = r.authenticated_user_id = r.database_id = r.token_type_id = UINT32_MAX;
  const std::string json = encode(r);
  EXPECT_LT(json.size(), kAuditBodyMax);
  EXPECT_TRUE(json.ends_with("\"sequence\":1}}"));  // nothing was dropped at the end
}

TEST(AuditRecord, RefusesASmallBuffer) {
  std::string buffer(kAuditBodyMax - 1, '?');
  EXPECT_EQ(audit_record_encode(AuditRecord{}, buffer).status(), Status::invalid_argument);
}

}  // namespace
}  // namespace redoubt
