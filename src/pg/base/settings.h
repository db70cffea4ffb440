// settings.h - every redoubt.* setting, as the rest of the glue reads it.
//
// The variables are owned by settings.cpp and written by the GUC machinery
// only.  docs/reference.md has a row for each.
#ifndef REDOUBT_PG_BASE_SETTINGS_H
#define REDOUBT_PG_BASE_SETTINGS_H

namespace redoubt::pg {

enum class Reveal : int { token, masked, plain, automatic };
enum class Input : int { automatic, token, plain };
enum class Durability : int { async, sync };
enum class Mode : int { learn, observe, enforce };

extern Oid setting_reveal_chosen_by;        // the user who set redoubt.reveal; InvalidOid: the server's configuration
extern int setting_reveal;                  // redoubt.reveal, a Reveal; user
extern int setting_input;                   // redoubt.input, an Input; user
extern bool setting_token_order;            // redoubt.token_order; user
extern bool setting_order_matters;          // a plan of this backend is by redoubt.reveal and redoubt.token_order
extern int setting_search_terms;            // redoubt.search_terms; superuser
extern bool setting_superuser_access;       // redoubt.superuser_access; sighup
extern char *setting_kek_file;              // redoubt.kek_file; sighup; "" = unset
extern char *setting_kek_command;           // redoubt.kek_command; sighup; "" = unset
extern int setting_kek_command_timeout;     // redoubt.kek_command_timeout in seconds; sighup
extern char *setting_previous_kek_file;     // redoubt.previous_kek_file; sighup; "" = unset
extern char *setting_previous_kek_command;  // redoubt.previous_kek_command; sighup; "" = unset
extern char *setting_audit_directory;       // redoubt.audit_directory, relative to the data directory; postmaster
extern int setting_audit_durability;        // redoubt.audit_durability, a Durability; sighup
extern int setting_audit_segment_size;      // redoubt.audit_segment_size in kB; sighup
extern char *setting_audit_archive_directory;  // redoubt.audit_archive_directory; sighup; "" = unset
extern int setting_audit_retention;            // redoubt.audit_retention in seconds, 0: for ever; sighup
extern bool setting_audit_compress;            // redoubt.audit_compress; sighup
extern char *setting_anchor_command;           // redoubt.anchor_command; sighup; "" = unset
extern int setting_anchor_interval;            // redoubt.anchor_interval in seconds; sighup
extern int setting_anchor_timeout;             // redoubt.anchor_timeout in seconds; sighup
extern int setting_mode;                       // redoubt.mode, a Mode; superuser
extern double setting_budget_share;            // redoubt.budget_share, the part of each limit; sighup
extern char *setting_budget_server;            // redoubt.budget_server: who lends the budget; sighup; "" = unset
extern char *setting_node_identities;          // redoubt.node_identities: who is another node of a cluster; sighup
extern int setting_max_subjects;    // redoubt.max_subjects: entries of the usage and bucket tables; postmaster
extern int setting_sweep_interval;  // redoubt.sweep_interval in seconds, 0: off; sighup

// settings_define registers them all.  Call from _PG_init while preloading.
void settings_define();

// What redoubt.mode is set to, as it is written.
const char *setting_mode_name();

// What must not be is refused while enforcing, and else warned of.
inline bool enforcing() noexcept { return setting_mode == static_cast<int>(Mode::enforce); }
inline int refusal_level() noexcept { return enforcing() ? ERROR : WARNING; }

}  // namespace redoubt::pg
#endif
