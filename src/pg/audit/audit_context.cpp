// audit_context.cpp - see audit_context.h.
//
// Every catalog look-up leaves its answer in a per-process cache of plain
// arrays, so that an abort callback, which must not look at the catalogs, can
// still name what the transaction was about.  The caches are refreshed, not
// trusted, wherever look-ups are allowed: a renamed role shows at once.
// Covered by test/tap/audit.pl and sql/audit.sql.
#include "pg/base/boundary.h"

// Port is needed for what lies before its GSSAPI members, whose place libpq-be.h keeps without
// the GSSAPI headers, which a build machine need not have.
#undef ENABLE_GSS
extern "C" {
#include "common/ip.h"
#include "libpq/libpq-be.h"
}

#include "pg/audit/audit_context.h"
#include "pg/audit/audit_server.h"
#include "pg/base/compat.h"

namespace redoubt::pg {
namespace {

struct Name {
  Oid oid;
  char text[kAuditNameMax + 8];  // long enough for the encoder to see that it has to cut
};

enum RoleSlot : int { kSession, kCurrent, kAuthenticated, kRoleSlots };
constexpr int kTypeSlots = 16;

// Names that this process has seen.
struct State {
  Name roles[kRoleSlots] = {};
  Name types[kTypeSlots] = {};
  int next_type_slot = 0;
  Name database = {};
  char client_address[64] = "";
  bool client_known = false;
};
constinit State state;

void remember(Name &slot, Oid oid, const char *name) {
  slot.oid = oid;
  strlcpy(slot.text, audit_context_utf8(name, true).data(), sizeof slot.text);
}

std::string_view role_name(RoleSlot slot, Oid role, bool catalog) {
  if (catalog) {
    char *name = GetUserNameFromId(role, true);
    remember(state.roles[slot], role, name);
    if (name != nullptr) pfree(name);
    return state.roles[slot].text;
  }
  for (const Name &known : state.roles) {
    if (known.oid == role && known.text[0] != '\0') return known.text;
  }
  // Nothing was looked up yet in this process, but the client said who it logs in as.
  if (role == GetAuthenticatedUserId() && MyProcPort != nullptr && MyProcPort->user_name != nullptr) {
    return MyProcPort->user_name;
  }
  return "";
}

std::string_view type_name(Oid type, bool catalog) {
  if (!OidIsValid(type)) return "";
  Name *slot = std::find_if(std::begin(state.types), std::end(state.types),
                            [&](const Name &known) { return known.oid == type; });
  if (!catalog) return slot != std::end(state.types) ? std::string_view(slot->text) : "";
  if (slot == std::end(state.types)) {
    slot = &state.types[state.next_type_slot];
    state.next_type_slot = (state.next_type_slot + 1) % kTypeSlots;
  }
  char *name = format_type_extended(type, -1, FORMAT_TYPE_INVALID_AS_NULL | FORMAT_TYPE_FORCE_QUALIFY);
  remember(*slot, type, name);
  if (name != nullptr) pfree(name);
  return slot->text;
}

std::string_view database_name(bool catalog) {
  if (catalog && state.database.text[0] == '\0' && OidIsValid(MyDatabaseId)) {  // cannot be renamed while in use
    char *name = get_database_name(MyDatabaseId);
    remember(state.database, MyDatabaseId, name);
    if (name != nullptr) pfree(name);
  }
  if (state.database.text[0] != '\0') return state.database.text;
  if (MyProcPort != nullptr && MyProcPort->database_name != nullptr) return MyProcPort->database_name;
  return "";
}

std::string_view client() {
  if (!state.client_known && MyProcPort != nullptr) {
    const SockAddr &address = MyProcPort->raddr;
    if ((address.addr.ss_family != AF_INET && address.addr.ss_family != AF_INET6) ||
        pg_getnameinfo_all(&address.addr, static_cast<int>(address.salen), state.client_address,
                           sizeof state.client_address, nullptr, 0, NI_NUMERICHOST) != 0) {
      state.client_address[0] = '\0';
    }
    state.client_known = true;
  }
  return state.client_address;
}

// In English whatever lc_messages says, unlike GetBackendTypeDesc.
std::string_view backend_type() {
  if (IsParallelWorker()) return "parallel worker";
  switch (MyBackendType) {
    case B_BACKEND:
      return "client backend";
    case B_BG_WORKER:
      return "background worker";
    case B_WAL_SENDER:
      return "walsender";
    default:
      return IsUnderPostmaster ? "other" : "standalone backend";
  }
}

}  // namespace

std::int64_t audit_context_time_ms(TimestampTz time) noexcept {
  constexpr std::int64_t kEpochDifference = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
  return (time + kEpochDifference) / 1000;
}

std::string_view audit_context_utf8(const char *text, bool catalog) {
  if (text == nullptr) return "";
  if (!catalog || GetDatabaseEncoding() == PG_UTF8) return text;
  return pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8);
}

void audit_context_fill(AuditRecord &record, Oid token_type, bool catalog) {
  record.token_type = type_name(token_type, catalog);
  record.token_type_id = token_type;
  int security_context = 0;
  Oid user = InvalidOid;
  GetUserIdAndSecContext(&user, &security_context);
  if (!OidIsValid(record.current_user_id)) record.current_user_id = user;
  if (OidIsValid(user)) {  // else a process without an identity
    if (!OidIsValid(record.session_user_id)) record.session_user_id = GetSessionUserId();
    record.session_user = role_name(kSession, record.session_user_id, catalog);
    record.current_user = record.current_user_id == record.session_user_id
                              ? record.session_user
                              : role_name(kCurrent, record.current_user_id, catalog);
    record.authenticated_user_id = GetAuthenticatedUserId();
    record.authenticated_user = record.authenticated_user_id == record.session_user_id
                                    ? record.session_user
                                    : role_name(kAuthenticated, record.authenticated_user_id, catalog);
  }
  if (const char *identity = compat_identity()) record.identity = identity;
  record.database = database_name(catalog);
  record.database_id = MyDatabaseId;
  record.client_address = client();
  if (application_name != nullptr) record.application_name = application_name;
  record.backend_type = backend_type();
  record.pid = MyProcPid;
  record.session_start_ms = audit_context_time_ms(MyStartTimestamp);
  record.query_id = static_cast<std::int64_t>(pgstat_get_my_query_id());
  record.time_ms = audit_context_time_ms(GetCurrentTimestamp());
  record.server_id = audit_server_id();
  record.server_name = cluster_name;
  record.cluster_id = audit_server_cluster();
  record.product_version = REDOUBT_VERSION;
}

}  // namespace redoubt::pg
