// settings.cpp - defines every redoubt.* setting; no other file does.
//
// What weakens protection (superuser_access, the audit settings) can be changed
// in the configuration file only; what a user may set (reveal) only selects
// among what that user's privileges allow.  Covered by sql/settings.sql.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/node_session.h"
#include "pg/base/settings.h"

namespace redoubt::pg {

constinit int setting_reveal = static_cast<int>(Reveal::token);
constinit Oid setting_reveal_chosen_by = InvalidOid;
constinit int setting_input = static_cast<int>(Input::automatic);
constinit bool setting_token_order = false;
constinit bool setting_order_matters = false;
constinit int setting_search_terms = 8;
constinit bool setting_superuser_access = false;
constinit char *setting_kek_file = nullptr;
constinit char *setting_kek_command = nullptr;
constinit int setting_kek_command_timeout = 30;
constinit char *setting_previous_kek_file = nullptr;
constinit char *setting_previous_kek_command = nullptr;
constinit char *setting_audit_directory = nullptr;
constinit int setting_audit_durability = static_cast<int>(Durability::async);
constinit int setting_audit_segment_size = 16 * 1024;
constinit char *setting_audit_archive_directory = nullptr;
constinit int setting_audit_retention = 0;
constinit bool setting_audit_compress = false;
constinit char *setting_anchor_command = nullptr;
constinit int setting_anchor_interval = 60;
constinit int setting_anchor_timeout = 10;
constinit int setting_mode = static_cast<int>(Mode::enforce);
constinit double setting_budget_share = 1;
constinit char *setting_budget_server = nullptr;
constinit char *setting_node_identities = nullptr;
constinit int setting_max_subjects = 10000;
constinit int setting_sweep_interval = 600;

namespace {

constexpr config_enum_entry kRevealOptions[] = {
    {"token", static_cast<int>(Reveal::token), false},
    {"masked", static_cast<int>(Reveal::masked), false},
    {"plain", static_cast<int>(Reveal::plain), false},
    {"auto", static_cast<int>(Reveal::automatic), false},
    {nullptr, 0, false},
};

constexpr config_enum_entry kInputOptions[] = {
    {"auto", static_cast<int>(Input::automatic), false},
    {"token", static_cast<int>(Input::token), false},
    {"plain", static_cast<int>(Input::plain), false},
    {nullptr, 0, false},
};

constexpr config_enum_entry kDurabilityOptions[] = {
    {"async", static_cast<int>(Durability::async), false},
    {"sync", static_cast<int>(Durability::sync), false},
    {nullptr, 0, false},
};

constexpr config_enum_entry kModeOptions[] = {
    {"learn", static_cast<int>(Mode::learn), false},
    {"observe", static_cast<int>(Mode::observe), false},
    {"enforce", static_cast<int>(Mode::enforce), false},
    {nullptr, 0, false},
};

// Who chose the value travels with it as its `extra`, through SET LOCAL, functions'
// SET clauses and rollbacks alike.
Oid *chooser(GucSource source) {
  auto *role = static_cast<Oid *>(compat_setting_memory(sizeof(Oid)));
  if (role == nullptr) return nullptr;
  int security_context = 0;
  GetUserIdAndSecContext(role, &security_context);
  if (source <= PGC_S_GLOBAL) *role = InvalidOid;
  return role;
}

// Two built-in defaults of PostgreSQL change with this library; any explicit
// setting, in the configuration file or elsewhere, replaces them as before.
//
// search_path gets redoubt as its last entry, where nobody but the extension's
// owner can create objects: the operators of token types made in that schema
// must be found by an application whose SQL does not name it.
//
// log_min_error_statement becomes panic: the text of a statement that fails
// before any of its literals is tokenized (a misspelt column, a syntax error)
// would put these into the server log, and nothing tells them from others yet.
void settings_default_others() {
  SetConfigOption("search_path", "\"$user\", public, redoubt", PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
  SetConfigOption("log_min_error_statement", "panic", PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool redoubt_check_reveal(int *, void **extra, GucSource source) {
  *extra = redoubt::pg::chooser(source);
  return *extra != nullptr;
}
static void redoubt_assign_reveal(int value, void *extra) {
  using namespace redoubt::pg;
  setting_reveal_chosen_by = extra != nullptr ? *static_cast<Oid *>(extra) : InvalidOid;
  constexpr int kToken = static_cast<int>(Reveal::token);
  if (setting_order_matters && (value == kToken) != (setting_reveal == kToken)) ResetPlanCache();
}
static void redoubt_assign_input(int value, void *) {
  using namespace redoubt::pg;
  if (setting_order_matters && value != setting_input) ResetPlanCache();
}
static bool redoubt_check_node_identities(char **value, void **, GucSource) {
  if (*value == nullptr || redoubt::pg::node_identities_valid(*value)) return true;
  GUC_check_errdetail("It is a list of identities as SYSTEM_USER shows them, such as cert:node-1 or peer:postgres.");
  return false;
}
static void redoubt_assign_token_order(bool value, void *) {
  using namespace redoubt::pg;
  if (setting_order_matters && value != setting_token_order) ResetPlanCache();
}
}

namespace redoubt::pg {

// What decides on what a session sees and writes is reported to the client, so that a pooler can keep it per client
// (docs/poolers.md).
void settings_define() {
  DefineCustomEnumVariable("redoubt.reveal", "What output of a token-typed column shows.",
                           "token, masked, plain, or auto: the most the current role is granted.", &setting_reveal,
                           static_cast<int>(Reveal::token), kRevealOptions, PGC_USERSET, GUC_REPORT,
                           shielded<redoubt_check_reveal>, shielded<redoubt_assign_reveal, WARNING>, nullptr);
  DefineCustomEnumVariable("redoubt.input", "What is written into columns of format-preserving token types.",
                           "token, plain, or auto: what redoubt.reveal shows the current role of them.", &setting_input,
                           static_cast<int>(Input::automatic), kInputOptions, PGC_USERSET, GUC_REPORT, nullptr,
                           shielded<redoubt_assign_input, WARNING>, nullptr);
  DefineCustomBoolVariable("redoubt.token_order", "Sorts and compares by token rather than by value.", nullptr,
                           &setting_token_order, false, PGC_USERSET, GUC_REPORT, nullptr,
                           shielded<redoubt_assign_token_order, WARNING>, nullptr);
  DefineCustomIntVariable("redoubt.search_terms",
                          "How many comparisons of opened values a statement may make, for roles that may not reveal.",
                          nullptr, &setting_search_terms, 8, 1, 1000, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("redoubt.superuser_access", "Lets superusers reveal and tokenize without a grant.", nullptr,
                           &setting_superuser_access, false, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("redoubt.kek_file", "File that holds the key-encryption key (32 bytes or 64 hex digits).",
                             "Outside the data directory, readable by its owner only.", &setting_kek_file, "",
                             PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  DefineCustomStringVariable(
      "redoubt.kek_command",
      "Shell command that prints the key-encryption key at server start, or for redoubt.reload_kek().",
      "64 hex digits; not beside redoubt.kek_file.", &setting_kek_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr,
      nullptr, nullptr);
  DefineCustomIntVariable("redoubt.kek_command_timeout",
                          "How long the command that prints a key-encryption key may take.",
                          "The server starts without that key when it is over.", &setting_kek_command_timeout, 30, 1,
                          3600, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("redoubt.previous_kek_file",
                             "File that holds the key-encryption key before the one in use.",
                             "Opens what redoubt.rewrap_keys() has not wrapped anew yet.", &setting_previous_kek_file,
                             "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("redoubt.previous_kek_command",
                             "Shell command that prints the key-encryption key before the one in use.",
                             "64 hex digits; not beside redoubt.previous_kek_file.", &setting_previous_kek_command, "",
                             PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("redoubt.audit_directory", "Directory of the audit trail's segment files.",
                             "Relative to the data directory unless absolute.", &setting_audit_directory,
                             "redoubt_audit", PGC_POSTMASTER, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  DefineCustomEnumVariable("redoubt.audit_durability", "Whether an audit record is flushed to disk before it counts.",
                           "sync: on disk before the first plaintext of a statement leaves.", &setting_audit_durability,
                           static_cast<int>(Durability::async), kDurabilityOptions, PGC_SIGHUP, 0, nullptr, nullptr,
                           nullptr);
  DefineCustomIntVariable("redoubt.audit_segment_size", "Size at which the audit trail starts a new segment file.",
                          nullptr, &setting_audit_segment_size, 16 * 1024, 64, 1024 * 1024, PGC_SIGHUP, GUC_UNIT_KB,
                          nullptr, nullptr, nullptr);
  DefineCustomStringVariable("redoubt.audit_archive_directory",
                             "Directory that closed segments of the audit trail are moved to.",
                             "An absolute path; written by this server alone.", &setting_audit_archive_directory, "",
                             PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("redoubt.audit_retention",
                          "Age of its last event at which a closed segment of the audit trail is archived.",
                          "0 leaves that to redoubt.archive_audit().", &setting_audit_retention, 0, 0, INT_MAX,
                          PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("redoubt.audit_compress", "Whether closed segments of the audit trail become gzip files.",
                           "Once they are signed, by a background worker. They are read as before.",
                           &setting_audit_compress, false, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("redoubt.anchor_command",
                             "Shell command that takes the signed head of the audit trail on its standard input.",
                             "It keeps it elsewhere. Run by a background worker.", &setting_anchor_command, "",
                             PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("redoubt.anchor_interval", "Time between two runs of redoubt.anchor_command.",
                          "It is run where the trail has moved on.", &setting_anchor_interval, 60, 1, 24 * 60 * 60,
                          PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("redoubt.anchor_timeout", "How long redoubt.anchor_command may take.",
                          "It is killed when that is over.", &setting_anchor_timeout, 10, 1, 3600, PGC_SIGHUP,
                          GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomEnumVariable("redoubt.mode", "What limits do when they are exceeded.",
                           "learn: only count usage; observe: record and let pass; enforce: as each limit says.",
                           &setting_mode, static_cast<int>(Mode::enforce), kModeOptions, PGC_SUSET, 0, nullptr, nullptr,
                           nullptr);
  DefineCustomRealVariable("redoubt.budget_share", "The part of each limit that this server admits.",
                           "For a primary and standbys that reveal: shares that add up to 1 keep the limit.",
                           &setting_budget_share, 1, 0.001, 1, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable(
      "redoubt.budget_server", "Connection string of the server that lends what is charged here.",
      "For standbys and nodes: one budget over all of them. Without its answer charges are refused.",
      &setting_budget_server, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  DefineCustomStringVariable(
      "redoubt.node_identities", "Identities of which a session is a connection of another node of a cluster.",
      "As SYSTEM_USER shows them: such sessions get tokens, and are not charged for reading.", &setting_node_identities,
      "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, shielded<redoubt_check_node_identities>, nullptr, nullptr);
  DefineCustomIntVariable("redoubt.max_subjects", "Number of limit buckets kept in shared memory.",
                          "One per limit and login role; usage counters get four times as many.", &setting_max_subjects,
                          10000, 100, 10000000, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("redoubt.sweep_interval", "Time between two sweeps of expired tokens out of the vault.",
                          "0 turns them off. Expired tokens cannot be detokenized either way.", &setting_sweep_interval,
                          600, 0, 7 * 24 * 60 * 60, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
  MarkGUCPrefixReserved("redoubt");
  // What it logs of each sort, also to the client, tells for which rows a subquery was run.
  if (config_generic *setting = compat_find_setting("trace_sort"); setting != nullptr) setting->context = PGC_SUSET;
  settings_default_others();
}

const char *setting_mode_name() { return kModeOptions[setting_mode].name; }

}  // namespace redoubt::pg
