// counters.cpp - see counters.h.
//
// Functions are known by the C function that they call, which only a superuser can name.  Of PostgreSQL's, all that
// read statistics are refused but those that say nothing of reads; so what a later version adds is refused, too.
// Commands show the same: what EXPLAIN finds in buffers, and what VACUUM and its like come upon.
// Holds no state.  Covered by sql/counters.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/each.h"
#include "pg/base/settings.h"
#include "pg/protect/counters.h"

extern "C" {
#include "catalog/pg_authid.h"
#include "commands/defrem.h"
#include "utils/fmgrtab.h"
}

namespace redoubt::pg {
namespace {

constexpr std::string_view kStatistics = "pg_stat_get_";

// Sessions, replication, and what was written or maintained: that is metered where it is done.  Dead rows are not
// among them, which a scan clears away.
constexpr std::string_view kOpen[] = {"activity",          "analyze_count", "autoanalyze_count",
                                      "autovacuum_count",  "backend_",      "db_numback",
                                      "ins_since_vacuum",  "last_",         "live_tuples",
                                      "mod_since_analyze", "progress_info", "replication_",
                                      "snapshot_time",     "subscription",  "total_",
                                      "vacuum_count",      "wal_receiver",  "wal_senders"};
// Those that begin like one of them, and do.
constexpr std::string_view kClosed[] = {"backend_io", "backend_wal"};

template <std::size_t size>
bool begins_with_any(std::string_view name, const std::string_view (&beginnings)[size]) {
  return std::any_of(std::begin(beginnings), std::end(beginnings),
                     [name](std::string_view beginning) { return name.starts_with(beginning); });
}

bool shows_reads(std::string_view symbol) {
  if (symbol == "pg_lock_status" || symbol.starts_with("pg_tablespace_size")) return true;  // also of temporary files
  if (!symbol.starts_with(kStatistics)) return false;
  symbol.remove_prefix(kStatistics.size());
  return !begins_with_any(symbol, kOpen) || begins_with_any(symbol, kClosed);
}

// Of extensions: pg_stat_statements, pg_stat_kcache, pg_stat_monitor, pg_qualstats.
bool shows_reads_of_extension(Oid function) {
  const CatalogFunction facts = catalog_function(function);
  const std::string_view symbol = facts.symbol;
  return symbol.starts_with("pg_stat_") || symbol.starts_with("pg_qualstats");
}

bool is_counter(Oid function) {
  if (function > fmgr_last_builtin_oid) return function >= FirstNormalObjectId && shows_reads_of_extension(function);
  const uint16 index = fmgr_builtin_oid_index[function];
  return index != InvalidOidBuiltinMapping && shows_reads(fmgr_builtins[index].funcName);
}

bool may_count() {
  return !enforcing() || has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
         !OidIsValid(catalog_relation("token_type"));
}

[[noreturn]] void refuse(const char *what) {
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for %s", what),
           errdetail("What PostgreSQL counts of the reads of a statement tells of protected values that it reads."),
           errhint("Who watches over the server is a member of pg_read_all_stats, or of pg_monitor.")));
}

// The option as it is given last; null where it is not.
DefElem *option(const List *options, const char *name) {
  DefElem *last = nullptr;
  for (auto *each : list_of<DefElem>(options))
    if (strcmp(each->defname, name) == 0) last = each;
  return last;
}

bool is_on(const List *options, const char *name) {
  DefElem *given = option(options, name);
  return given != nullptr && defGetBoolean(given);
}

PlannedStmt *check_explain(PlannedStmt *statement) {
  const List *options = reinterpret_cast<const ExplainStmt *>(statement->utilityStmt)->options;
  DefElem *buffers = option(options, "buffers");
  // PostgreSQL 18 shows them unless it is told not to.
  const bool shown =
      buffers != nullptr ? defGetBoolean(buffers) : PG_VERSION_NUM >= 180000 && is_on(options, "analyze");
  if (!shown || may_count()) return nullptr;
  if (buffers != nullptr) refuse("EXPLAIN (BUFFERS)");
  auto *rewritten = static_cast<PlannedStmt *>(copyObjectImpl(statement));
  auto *explain = reinterpret_cast<ExplainStmt *>(rewritten->utilityStmt);
  Node *off = reinterpret_cast<Node *>(makeBoolean(false));
  explain->options = lappend(explain->options, makeDefElem(pstrdup("buffers"), off, -1));
  return rewritten;
}

// What they say if asked, they also say to who debugs.
void check_verbose(const List *options) {
  if ((is_on(options, "verbose") || client_min_messages <= DEBUG1) && !may_count())
    refuse("VERBOSE and debugging messages of VACUUM, ANALYZE and CLUSTER");
}

}  // namespace

void counters_check(Oid function) {
  if (is_counter(function) && !may_count()) refuse(psprintf("function %s", get_func_name(function)));
}

PlannedStmt *counters_check_command(PlannedStmt *statement) {
  const Node *command = statement->utilityStmt;
  if (IsA(command, ExplainStmt)) return check_explain(statement);
  if (IsA(command, VacuumStmt)) check_verbose(reinterpret_cast<const VacuumStmt *>(command)->options);
  if (IsA(command, ClusterStmt)) check_verbose(reinterpret_cast<const ClusterStmt *>(command)->params);
  return nullptr;
}

}  // namespace redoubt::pg
