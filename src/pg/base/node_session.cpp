// node_session.cpp - see node_session.h.
//
// Invariant: true only where authentication named an identity of the list, and in no session that has ever set
// application_name.  Backend-local, no locks.
// Covered by test/tap/node_sessions.pl and test/citus.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/delivery.h"
#include "pg/base/node_session.h"
#include "pg/base/settings.h"

extern "C" {
#include "libpq/auth.h"
#include "libpq/hba.h"
#include "utils/varlena.h"
}

namespace redoubt::pg {
namespace {

struct State {
  const char *list;  // that was looked through; a reload brings another one
  bool listed;
  bool left;
};
constinit State state = {};
constinit ClientAuthentication_hook_type prev_authentication = nullptr;

// The next of a list of names that commas part, without the spaces around it.
std::string_view next_name(std::string_view *list) noexcept {
  const std::size_t comma = std::min(list->find(','), list->size());
  std::string_view name = list->substr(0, comma);
  list->remove_prefix(std::min(comma + 1, list->size()));
  while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
  while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
  return name;
}

bool is_listed(std::string_view list) noexcept {
  const char *identity = compat_identity();
  if (identity == nullptr) return false;
  const std::string_view method = hba_authname(compat_identity_method());
  const std::string_view who = identity;
  while (!list.empty()) {
    const std::string_view name = next_name(&list);
    if (name.size() == method.size() + 1 + who.size() && name.substr(0, method.size()) == method &&
        name[method.size()] == ':' && name.substr(method.size() + 1) == who)
      return true;
  }
  return false;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void node_session_authenticated(Port *port, int status) {
  using namespace redoubt::pg;
  if (prev_authentication != nullptr) prev_authentication(port, status);
  if (status == STATUS_OK && port->hba != nullptr) compat_method_noted = port->hba->auth_method;
}
}

namespace redoubt::pg {

void node_session_install() {
  prev_authentication = ClientAuthentication_hook;
  ClientAuthentication_hook = shielded<node_session_authenticated>;
}

bool node_session_listed() noexcept {
  if (state.left) return false;
  if (state.list != setting_node_identities) {
    state.listed = is_listed(setting_node_identities);
    state.list = setting_node_identities;
  }
  return state.listed;
}

bool node_statement() noexcept {
  if (!node_session()) return false;
  const DeliveryFrame *frame = delivery_innermost;
  if (frame != nullptr && frame->parent != nullptr) return false;
  if (frame == nullptr) return node_statement_outside;
  return frame->plan != nullptr && is_node_statement(frame->plan);
}

void node_session_command(const Node *statement) noexcept {
  if (!IsA(statement, VariableSetStmt)) return;
  const char *name = reinterpret_cast<const VariableSetStmt *>(statement)->name;
  state.left = state.left || (name != nullptr && pg_strcasecmp(name, "application_name") == 0);
}

bool node_identities_valid(char *list) {
  std::string_view rest = list;
  while (!rest.empty()) {
    const std::string_view name = next_name(&rest);
    const std::size_t colon = name.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == name.size()) return false;
  }
  return true;
}

}  // namespace redoubt::pg
