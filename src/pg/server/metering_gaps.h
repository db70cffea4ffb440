// server/metering_gaps.h - what metering cannot cover, as redoubt.status() lists it.
//
// The same names are in the table of docs/threat_model.md, section "Labelled plaintext
// columns", with what to do about each; `test/run style` compares them.
#ifndef REDOUBT_PG_SERVER_METERING_GAPS_H
#define REDOUBT_PG_SERVER_METERING_GAPS_H

namespace redoubt::pg {

struct Uncovered {
  const char *name;
  const char *what;
};

inline constexpr Uncovered kUncovered[] = {
    {"logical decoding", "roles with REPLICATION read values of labelled columns from the WAL"},
    {"physical copies", "base backups, dumps and files of the server hold values of labelled columns"},
    {"superusers", "can change labels, settings and code"},
    {"trusted functions", "what a trusted function calls may be replaced, or another under another search_path"},
    {"server log", "statements and messages that name values of labelled columns are logged with them"},
    {"size of an answer", "one row told, counted or summed may tell a whole value, or some 64 bits, for one probe"},
    {"side channels", "time, size of relations, locks, estimates of the planner"},
    {"foreign servers", "what a foreign server does by itself is its own to meter"},
    {"other servers", "a standby has budgets of its own"},
};

}  // namespace redoubt::pg
#endif
