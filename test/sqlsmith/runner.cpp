// runner.cpp - runs random statements and holds what they deliver against what they are charged.
//
//   runner MARKERS STATEMENTS SEED WORKER WORKERS REPORT
//
// MARKERS: tab-separated form, token type, operation, value (tests.marker of setup.sql).
// STATEMENTS: statements as sqlsmith --dry-run prints them.  This process runs every WORKERS-th of them as
// role fuzz_WORKER on the server at PGHOST, each in a transaction that is rolled back, in a way of running and
// under planner settings that SEED and the statement's number decide.  All that comes back, rows, notices
// and error fields, is searched for markers: per token type and operation the different values seen must
// not exceed the difference of redoubt.usage.  Findings are that, a lost connection, an error 55000 or XX of
// Redoubt's own, and any other XX that the server at BARE_HOST, without the library, does not give.
// Two controls come first, without which all this shows nothing.
// Findings go to the file REPORT, the last line of standard output is
// "statements S ran R rows N values V charged C findings F".
//
// Not here: making statements (sqlsmith), servers (test/sqlsmith/run).  No locks, no threads.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <unistd.h>

namespace {

using Budget = std::pair<std::string, std::string>;  // token type, operation
using Seen = std::map<Budget, std::set<std::string>>;
using Charges = std::map<Budget, long>;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char &c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

// Finds markers in any text: by their first two bytes, then by each length they have.
class Markers {
 public:
  explicit Markers(const char *file) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      std::istringstream fields(line);
      std::string form, type, operation, value;
      std::getline(fields, form, '\t');
      std::getline(fields, type, '\t');
      std::getline(fields, operation, '\t');
      std::getline(fields, value, '\t');
      form = lower(form);
      lengths_[form.substr(0, 2)].insert(form.size());
      known_[form] = {{type, operation}, value};
    }
  }
  bool empty() const { return known_.empty(); }
  std::string first() const { return known_.begin()->first; }

  void find(std::string_view raw, Seen *seen) const {
    const std::string text = lower(raw);
    for (std::size_t i = 0; i + 2 <= text.size(); ++i) {
      const auto lengths = lengths_.find(text.substr(i, 2));
      if (lengths == lengths_.end()) continue;
      for (const std::size_t length : lengths->second)
        if (const auto found = known_.find(text.substr(i, length)); found != known_.end())
          (*seen)[found->second.first].insert(found->second.second);
    }
  }

 private:
  std::unordered_map<std::string, std::set<std::size_t>> lengths_;
  std::unordered_map<std::string, std::pair<Budget, std::string>> known_;
};

std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// What one statement did.
struct Outcome {
  Seen seen;
  long rows = 0;
  bool lost = false;  // the connection
  bool failed = false;
  std::string sqlstate, message, file;  // of the first error
};

class Session {
 public:
  Session(const char *host, std::string role, const Markers &markers)
      : host_(host), role_(std::move(role)), markers_(markers) {}
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;
  ~Session() { PQfinish(connection_); }

  // A new connection; waits for a server that is recovering.
  bool connect() {
    PQfinish(connection_);
    const std::string where = "host=" + host_ + " dbname=fuzz application_name=fuzz user=" + role_;
    for (int i = 0; i < 120; ++i) {
      connection_ = PQconnectdb(where.c_str());
      if (PQstatus(connection_) == CONNECTION_OK) {
        PQsetNoticeReceiver(connection_, notice, this);
        return run("SET statement_timeout = '400ms'; SET lock_timeout = '200ms'; SET jit = off", nullptr);
      }
      PQfinish(std::exchange(connection_, nullptr));
      usleep(500'000);
    }
    return false;
  }

  // Runs a text by the simple protocol; what comes back goes to `outcome`.
  bool run(const std::string &text, Outcome *outcome) {
    outcome_ = outcome;
    return PQsendQuery(connection_, text.c_str()) == 1 && collect();
  }

  // The same by the extended protocol.
  bool run_extended(const std::string &text, bool binary, Outcome *outcome) {
    outcome_ = outcome;
    return PQsendQueryParams(connection_, text.c_str(), 0, nullptr, nullptr, nullptr, nullptr, binary ? 1 : 0) == 1 &&
           collect();
  }

  bool lost() const { return PQstatus(connection_) != CONNECTION_OK; }

  Charges usage() {
    Charges charges;
    PGresult *result =
        PQexec(connection_,
               "SELECT regexp_replace(token_type::text, '.*[.]', ''), operation, charged FROM redoubt.usage "
               "WHERE token_type IS NOT NULL");
    if (PQresultStatus(result) != PGRES_TUPLES_OK) std::cerr << "usage: " << PQerrorMessage(connection_);
    for (int i = 0; i < PQntuples(result); ++i)
      charges[{PQgetvalue(result, i, 0), PQgetvalue(result, i, 1)}] = std::atol(PQgetvalue(result, i, 2));
    PQclear(result);
    return charges;
  }

 private:
  static void notice(void *self, const PGresult *result) { static_cast<Session *>(self)->message(result); }

  void message(const PGresult *result) {
    if (outcome_ == nullptr) return;
    for (const int field : {PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_MESSAGE_DETAIL, PG_DIAG_MESSAGE_HINT, PG_DIAG_CONTEXT,
                            PG_DIAG_INTERNAL_QUERY})
      if (const char *text = PQresultErrorField(result, field)) markers_.find(text, &outcome_->seen);
  }

  void error(const PGresult *result) {
    message(result);
    if (outcome_ == nullptr || outcome_->failed) return;
    const auto field = [result](int code) {
      const char *text = PQresultErrorField(result, code);
      return std::string(text != nullptr ? text : "");
    };
    outcome_->failed = true;
    outcome_->sqlstate = field(PG_DIAG_SQLSTATE);
    outcome_->message = field(PG_DIAG_MESSAGE_PRIMARY);
    outcome_->file = field(PG_DIAG_SOURCE_FILE);
  }

  void copied() {
    char *line = nullptr;
    for (int bytes = 0; (bytes = PQgetCopyData(connection_, &line, 0)) > 0; PQfreemem(line)) {
      if (outcome_ == nullptr) continue;
      ++outcome_->rows;
      markers_.find({line, static_cast<std::size_t>(bytes)}, &outcome_->seen);
    }
  }

  bool collect() {
    PQsetSingleRowMode(connection_);  // an error must not take away the rows that came before it
    bool good = true;
    while (PGresult *result = PQgetResult(connection_)) {
      const ExecStatusType status = PQresultStatus(result);
      if (status == PGRES_COPY_OUT) copied();
      if (status == PGRES_FATAL_ERROR) {
        good = false;
        error(result);
      }
      for (int row = 0; outcome_ != nullptr && row < PQntuples(result); ++row, ++outcome_->rows)
        for (int column = 0; column < PQnfields(result); ++column)
          markers_.find({PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column))},
                        &outcome_->seen);
      PQclear(result);
      if (lost()) break;
    }
    if (outcome_ != nullptr) outcome_->lost = lost();
    return good;
  }

  std::string host_, role_;
  const Markers &markers_;
  PGconn *connection_ = nullptr;
  Outcome *outcome_ = nullptr;
};

// ---- ways of running a statement

struct Way {
  const char *name;
  bool reads_only;  // for a SELECT only
  void (*run)(Session *, const std::string &, Outcome *);
};

// Texts one after the other, up to the first error.
void run_each(Session *session, const std::vector<std::string> &texts, Outcome *outcome) {
  for (const std::string &text : texts)
    if (!session->run(text, outcome)) return;
}

const Way kWays[] = {
    {"simple", false, [](Session *s, const std::string &q, Outcome *o) { s->run(q, o); }},
    {"extended", false, [](Session *s, const std::string &q, Outcome *o) { s->run_extended(q, false, o); }},
    {"binary", false, [](Session *s, const std::string &q, Outcome *o) { s->run_extended(q, true, o); }},
    {"generic plan", false,
     [](Session *s, const std::string &q, Outcome *o) {
       run_each(s, {"SET LOCAL plan_cache_mode = force_generic_plan", "PREPARE q AS " + q, "EXECUTE q", "EXECUTE q"},
                o);
     }},
    {"cursor", true,
     [](Session *s, const std::string &q, Outcome *o) {
       run_each(s,
                {"DECLARE c SCROLL CURSOR FOR " + q, "FETCH 7 FROM c", "FETCH ALL FROM c", "FETCH BACKWARD 5 FROM c",
                 "FETCH FIRST FROM c"},
                o);
     }},
    {"held cursor", true,
     [](Session *s, const std::string &q, Outcome *o) {
       run_each(s, {"DECLARE c CURSOR WITH HOLD FOR " + q, "COMMIT", "FETCH ALL FROM c", "CLOSE c"}, o);
     }},
    {"COPY", false, [](Session *s, const std::string &q, Outcome *o) { s->run("COPY (" + q + ") TO STDOUT", o); }},
    {"CREATE TABLE AS", true,
     [](Session *s, const std::string &q, Outcome *o) {
       run_each(s, {"CREATE TEMP TABLE made AS " + q, "SELECT * FROM made"}, o);
     }},
    {"json", true,
     [](Session *s, const std::string &q, Outcome *o) { s->run("SELECT json_agg(s) FROM (" + q + ") AS s", o); }},
    {"rows", true,
     [](Session *s, const std::string &q, Outcome *o) { s->run("SELECT s FROM (" + q + ") AS s OFFSET 0", o); }},
    {"written", true,
     [](Session *s, const std::string &q, Outcome *o) {
       s->run("INSERT INTO sink (x) SELECT s::text FROM (" + q + ") AS s RETURNING x", o);
     }},
    {"loop", false,
     [](Session *s, const std::string &q, Outcome *o) {
       s->run("DO $do$ DECLARE r record; BEGIN FOR r IN EXECUTE $q$" + q +
                  "$q$ LOOP RAISE NOTICE '%', r; END LOOP; END $do$",
              o);
     }},
    {"explain", false,
     [](Session *s, const std::string &q, Outcome *o) { s->run("EXPLAIN (ANALYZE, VERBOSE) " + q, o); }},
};

const char *const kSettings[] = {
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
    "SET LOCAL enable_nestloop = off",
    "SET LOCAL enable_seqscan = off",
    "SET LOCAL enable_hashagg = off; SET LOCAL enable_material = off",
    "SET LOCAL enable_sort = off; SET LOCAL enable_memoize = off",
    "SET LOCAL enable_partitionwise_join = on; SET LOCAL enable_partitionwise_aggregate = on",
    "SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0",
    "SET LOCAL join_collapse_limit = 1; SET LOCAL work_mem = '64kB'",
};

const char *const kReveal[] = {"auto", "auto", "token", "masked"};

struct Plan {
  const Way *way;
  std::string settings;
};

Plan choose(std::uint64_t random, const std::string &statement) {
  const bool reads = statement.find_first_not_of(" \n") == statement.find("select");
  const Way *way = &kWays[0];
  if (random % 3 != 0) way = &kWays[(random >> 8) % std::size(kWays)];
  if (way->reads_only && !reads) way = &kWays[1];
  std::string settings = std::string("SET LOCAL redoubt.reveal = ") + kReveal[(random >> 16) % std::size(kReveal)];
  for (std::size_t i = 0; i < std::size(kSettings); ++i)
    if ((random >> (24 + 2 * i)) % 4 == 0) settings += std::string("; ") + kSettings[i];
  return {way, settings};
}

Outcome run_statement(Session *session, const Plan &plan, const std::string &statement) {
  Outcome outcome;
  if (session->run("BEGIN; " + plan.settings, nullptr)) plan.way->run(session, statement, &outcome);
  if (!session->lost()) session->run("ROLLBACK; DEALLOCATE ALL", nullptr);
  outcome.lost = outcome.lost || session->lost();
  return outcome;
}

long charged(const Charges &before, const Charges &after, const Budget &budget) {
  const auto value = [&budget](const Charges &charges) {
    const auto found = charges.find(budget);
    return found != charges.end() ? found->second : 0;
  };
  return value(after) - value(before);
}

// sqlsmith ends a statement by a semicolon at the end of a line.
std::vector<std::string> read_statements(const char *file) {
  std::ifstream in(file);
  std::vector<std::string> statements;
  std::string statement;
  for (std::string line; std::getline(in, line);) {
    const std::size_t end = line.find_last_not_of(' ');
    if (end != std::string::npos && line[end] == ';') {
      statements.push_back(statement + line.substr(0, end));
      statement.clear();
    } else {
      statement += line + "\n";
    }
  }
  return statements;
}

bool starts_with(const std::string &text, const char *prefix) { return text.rfind(prefix, 0) == 0; }

// Values seen beyond what was charged for them, per budget.
Charges unpaid(const Outcome &outcome, const Charges &before, const Charges &after) {
  Charges missing;
  for (const auto &[budget, seen] : outcome.seen)
    if (const long charge = charged(before, after, budget); charge < static_cast<long>(seen.size()))
      missing[budget] = static_cast<long>(seen.size()) - charge;
  return missing;
}

// A value that nobody charged must be noticed, and one that was read must be found and paid for.
bool controls_pass(Session *session, const std::string &marker) {
  const Plan plan = {&kWays[0], "SET LOCAL redoubt.reveal = token"};
  const Charges start = session->usage();
  const Outcome invented = run_statement(session, plan, "SELECT '" + marker + "'");
  const Charges between = session->usage();
  const Outcome read = run_statement(session, plan, "SELECT email, number FROM client LIMIT 3");
  const Charges end = session->usage();
  return unpaid(invented, start, between).size() == 1 && read.seen.size() == 2 && unpaid(read, between, end).empty();
}

bool of_redoubt(const Outcome &outcome) {
  return outcome.file.size() > 4 && outcome.file.substr(outcome.file.size() - 4) == ".cpp";
}

}  // namespace

int main(int count, char **argument) {
  if (count != 7) return std::cerr << "runner MARKERS STATEMENTS SEED WORKER WORKERS REPORT\n", 2;
  const char *host = std::getenv("PGHOST");
  const char *bare_host = std::getenv("BARE_HOST");
  const Markers markers(argument[1]);
  const std::vector<std::string> statements = read_statements(argument[2]);
  const auto seed = static_cast<std::uint64_t>(std::atol(argument[3]));
  const auto worker = static_cast<std::size_t>(std::atol(argument[4]));
  const auto workers = static_cast<std::size_t>(std::atol(argument[5]));
  std::ofstream report(argument[6], std::ios::app);
  if (host == nullptr || bare_host == nullptr || markers.empty() || !report) return std::cerr << "nothing to do\n", 2;

  const std::string role = "fuzz_" + std::to_string(worker + 1);
  Session session(host, role, markers);
  Session bare(bare_host, role, markers);
  if (!session.connect() || !bare.connect()) return std::cerr << "no server\n", 2;

  long ran = 0, good = 0, rows = 0, values = 0, paid = 0, findings = 0;
  if (!controls_pass(&session, markers.first())) return std::cerr << "the controls fail\n", 1;
  Charges before = session.usage();
  for (std::size_t i = worker; i < statements.size(); i += workers) {
    const Plan plan = choose(mix(seed + i), statements[i]);
    const Outcome outcome = run_statement(&session, plan, statements[i]);
    ++ran;
    good += outcome.failed ? 0 : 1;
    rows += outcome.rows;
    const auto finding = [&](const std::string &what) {
      ++findings;
      report << "### " << what << "\n-- statement " << i << ", " << plan.way->name << "\n-- " << plan.settings << "\n"
             << statements[i] << ";\n"
             << std::flush;
    };
    if (outcome.lost) {
      finding("connection lost: " + outcome.message);
      if (!session.connect()) return std::cerr << "the server does not come back\n", 1;
      before = session.usage();
      continue;
    }
    const Charges after = session.usage();
    for (const auto &[budget, seen] : outcome.seen) {
      values += static_cast<long>(seen.size());
      paid += charged(before, after, budget);
    }
    for (const auto &[budget, missing] : unpaid(outcome, before, after))
      finding(std::to_string(missing) + " of " + std::to_string(outcome.seen.at(budget).size()) + " values of " +
              budget.first + " without a charge to " + budget.second +
              (outcome.failed ? ", error " + outcome.sqlstate + " " + outcome.message : ""));
    before = after;
    const bool internal = starts_with(outcome.sqlstate, "XX");
    if (of_redoubt(outcome) && (internal || (outcome.sqlstate == "55000" && outcome.file != "fpe_input.cpp"))) {
      finding(outcome.file + ": " + outcome.sqlstate + " " + outcome.message);
    } else if (internal) {
      const Outcome other = run_statement(&bare, plan, statements[i]);
      if (!starts_with(other.sqlstate, "XX"))
        finding(outcome.sqlstate + " " + outcome.message + "; without the library: " + other.sqlstate + " " +
                other.message);
      if (other.lost && !bare.connect()) return std::cerr << "the bare server does not come back\n", 1;
    }
    if (ran % 100 == 0 && !session.connect()) return std::cerr << "no server\n", 1;
  }
  std::cout << "statements " << ran << " ran " << good << " rows " << rows << " values " << values << " charged "
            << paid << " findings " << findings << "\n";
  return 0;
}
