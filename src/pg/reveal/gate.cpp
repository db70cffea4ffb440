// gate.cpp - see gate.h.
//
// The decision is read from pg_proc.proacl itself, because aclcheck and
// aclmask answer yes to every superuser.  A NULL proacl (PostgreSQL's default:
// PUBLIC may execute) counts as nobody: the functions are created with their
// privileges revoked, so a NULL means they were tampered with.
// Covered by sql/gate.sql.
#include "pg/base/boundary.h"

#include "pg/audit/audit_refusal.h"
#include "pg/base/catalog.h"
#include "pg/base/each.h"
#include "pg/base/delivery.h"
#include "pg/base/roles.h"
#include "pg/reveal/authors.h"
#include "pg/reveal/gate.h"
#include "pg/base/hash_table.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"

namespace redoubt::pg {
namespace {

struct Decision {
  struct Key {
    Oid function;
    Oid role;
  } key;
  std::uint64_t generation;
  bool superuser_access;  // the setting the decision was taken under
  bool allowed;
};

struct State {
  HTAB *decisions = nullptr;
  std::uint64_t generation = 1;
  const Decision *recent[kPrivileges] = {};  // the decision used last, per privilege
};
constinit State state;

constexpr const char *kVerb[kPrivileges] = {"reveal", "reveal masked", "tokenize", "search by values of"};
constexpr const char *kOperation[kPrivileges] = {"reveal", "masked", "tokenize", "search"};
constexpr const char *kFunction[kPrivileges] = {"redoubt.detokenize", "redoubt.mask", nullptr, "redoubt.search"};

}  // namespace

void gate_catalog_changed() { ++state.generation; }

namespace {

void cache_init() {
  if (state.decisions != nullptr) return;
  HTAB *table = hash_table_make<Decision::Key, Decision>("redoubt gate", 64, CacheMemoryContext);
  state.decisions = table;
}

void deny(const TokenType *type, Privilege privilege, Oid role) {
  const int p = static_cast<int>(privilege);
  if (kek_available())
    audit_refused({.event = "denial", .outcome = "denied", .token_type = type->type, .operation = kOperation[p]});
  const char *function = kFunction[p] != nullptr ? kFunction[p] : type->name;
  const char *argument = kFunction[p] != nullptr ? type->name
                         : type->is_bytes        ? "bytea"
                         : type->is_integer      ? "bigint"
                                                 : "text";
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to %s %s", kVerb[p], type->name),
                  errhint("GRANT EXECUTE ON FUNCTION %s(%s) TO %s gives it.", function, argument,
                          quote_identifier(GetUserNameFromId(role, false))),
                  errhidestmt(true)));
}

}  // namespace

bool gate_allows(const TokenType *type, Privilege privilege, Oid role) {
  // The next rows of a cursor may take no lock, and only locks bring the news of a REVOKE.
  AcceptInvalidationMessages();
  const int p = static_cast<int>(privilege);
  const Decision::Key key = {type->gate[p], role};
  const auto fresh = [&key](const Decision *decision) {
    return decision->key.function == key.function && decision->key.role == key.role &&
           decision->generation == state.generation && decision->superuser_access == setting_superuser_access;
  };
  if (state.recent[p] != nullptr && fresh(state.recent[p])) return state.recent[p]->allowed;
  if (state.decisions == nullptr) cache_init();
  bool found = false;
  auto *decision = static_cast<Decision *>(hash_search(state.decisions, &key, HASH_ENTER, &found));
  if (!found) decision->generation = 0;
  if (!fresh(decision)) {
    const std::uint64_t reading = state.generation;
    decision->allowed = role_granted(key.function, role);
    decision->superuser_access = setting_superuser_access;
    decision->generation = reading;
  }
  state.recent[p] = decision;
  return decision->allowed;
}

namespace {

// Who may reveal may search: the role could see all values.
bool may(const TokenType *type, Privilege privilege, Oid role) {
  return gate_allows(type, privilege, role) ||
         (privilege == Privilege::search && gate_allows(type, Privilege::reveal, role));
}

}  // namespace

void gate_require(const TokenType *type, Privilege privilege) {
  const Oid role = GetUserId();
  if (!may(type, privilege, role)) deny(type, privilege, role);
}

namespace {

// Whose privilege counts besides the current user's; InvalidOid if nobody's.
Oid chooser_in_definer() {
  if (!InLocalUserIdChange()) return InvalidOid;
  return setting_reveal_chosen_by == GetUserId() ? InvalidOid : setting_reveal_chosen_by;
}

struct Asked {
  const TokenType *type;
  Privilege privilege;
};

bool author_may(Oid author, const void *context) {
  const auto *asked = static_cast<const Asked *>(context);
  return may(asked->type, asked->privilege, author);
}

// Who of those that have a say in an implicit reveal may not; InvalidOid where all may.  `chosen`: redoubt.reveal asked
// for it.
Oid implicitly_denied(const TokenType *type, Privilege privilege, bool chosen) {
  const Oid user = GetUserId();
  if (!may(type, privilege, user)) return user;
  const Oid chooser = chosen ? chooser_in_definer() : InvalidOid;
  if (OidIsValid(chooser) && !gate_allows(type, privilege, chooser)) return chooser;
  const Asked asked = {type, privilege};
  Oid author = InvalidOid;
  return authors_all(delivery_innermost, author_may, &asked, &author) ? InvalidOid : author;
}

}  // namespace

bool gate_allows_implicit(const TokenType *type, Privilege privilege) {
  return !OidIsValid(implicitly_denied(type, privilege, true));
}

bool gate_allows_authors(const TokenType *type, Privilege privilege) {
  return !OidIsValid(implicitly_denied(type, privilege, false));
}

void gate_require_authors(const TokenType *type, Privilege privilege) {
  const Oid denied = implicitly_denied(type, privilege, false);
  if (OidIsValid(denied)) deny(type, privilege, denied);
}

bool gate_holds_any(Oid role) {
  for (const auto *type : list_of<const TokenType>(token_types()))
    for (int p = 0; p < kPrivileges; ++p)
      if (gate_allows(type, static_cast<Privilege>(p), role)) return true;
  return false;
}

void gate_require_implicit(const TokenType *type, Privilege privilege) {
  const Oid denied = implicitly_denied(type, privilege, true);
  if (OidIsValid(denied)) deny(type, privilege, denied);
}

namespace {

struct Search {
  const char *message;
  const char *plan;  // the refused plan in PostgreSQL's text form; null where none is known
  const TokenType *type;
  int privilege;
  int matches;
};

bool plan_calls(const char *plan, Oid function) { return strstr(plan, psprintf(" :funcid %u ", function)) != nullptr; }

// The message names the function without its arguments, and every type has one of
// that name: which type's it was, the plan knows.
void match_message(const TokenType *type, Search *search) {
  for (int p = 0; p < kPrivileges; ++p) {
    if (!OidIsValid(type->gate[p])) continue;
    const char *name = get_func_name(type->gate[p]);
    if (name == nullptr || strstr(search->message, name) == nullptr) continue;
    if (search->plan != nullptr && !plan_calls(search->plan, type->gate[p])) continue;
    if (gate_allows(type, static_cast<Privilege>(p), GetUserId())) continue;
    search->type = type;
    search->privilege = p;
    ++search->matches;
  }
}

void record_denial(const char *message, const PlannedStmt *plan) {
  Search search = {message, plan != nullptr ? nodeToString(plan) : nullptr, nullptr, 0, 0};
  for (const auto *type : list_of<const TokenType>(token_types())) match_message(type, &search);
  if (search.matches == 0) return;
  const Oid type = search.matches == 1 ? search.type->type : InvalidOid;  // a guess is no record
  audit_remember(type);  // its name cannot be looked up by audit_try_write
  audit_try_refused({.event = "denial",
                     .outcome = "denied",
                     .token_type = type,
                     .operation = kOperation[search.privilege],
                     .detail = "EXECUTE was refused"});
}

}  // namespace

// aclcheck_error() is where PostgreSQL says "permission denied for function"; it holds no locks when it does, so the
// catalogs can be read afterwards.
ErrorData *gate_refusal() {
  if (geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE || !kek_available() || !IsTransactionState()) return nullptr;
  // Goes with the subtransaction that the error ends.
  MemoryContext old = MemoryContextSwitchTo(CurTransactionContext);
  ErrorData *const error = CopyErrorData();
  if (error->funcname != nullptr && strcmp(error->funcname, "aclcheck_error") == 0 && error->message != nullptr) {
    FlushErrorState();
    return error;
  }
  FreeErrorData(error);
  MemoryContextSwitchTo(old);
  return nullptr;
}

void gate_refused(ErrorData *refusal, const PlannedStmt *plan) {
  record_denial(refusal->message, plan);
  ReThrowError(refusal);
}

struct GateSnapshot {
  struct Entry {
    Oid function;
    Oid type;
    const char *acl;
    GateSnapshot *next;
  } entry;
};

namespace {

const char *acl_text(Oid function) {
  Acl *acl = catalog_function_acl(function);
  return acl == nullptr ? "(default)" : OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(acl));
}

}  // namespace

GateSnapshot *gate_snapshot() {
  GateSnapshot *head = nullptr;
  for (const auto *type : list_of<const TokenType>(token_types()))
    for (const Oid function : type->gate) {
      if (!OidIsValid(function)) continue;
      auto *node = static_cast<GateSnapshot *>(palloc(sizeof(GateSnapshot)));
      node->entry = {function, type->type, acl_text(function), head};
      head = node;
    }
  return head;
}

void gate_audit_changes(const GateSnapshot *before, const char *command) {
  CommandCounterIncrement();
  for (const GateSnapshot *node = before; node != nullptr; node = node->entry.next) {
    if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(node->entry.function))) continue;
    const char *now = acl_text(node->entry.function);
    if (strcmp(now, node->entry.acl) == 0) continue;
    const char *detail =
        psprintf("%s: %s was %s", format_procedure_qualified(node->entry.function), now, node->entry.acl);
    if (kek_available())
      audit_write({.event = "grant", .token_type = node->entry.type, .operation = command, .detail = detail});
  }
}

}  // namespace redoubt::pg
