// audit_refusal.cpp - see audit_refusal.h.
//
// The kinds are rows of a small array; a kind that finds no room is counted in the last row, which names none.
// Covered by test/tap/audit_flood.pl.
#include "pg/base/boundary.h"

extern "C" {
#include "storage/ipc.h"
}

#include "pg/audit/audit_refusal.h"

namespace redoubt::pg {
namespace {

constexpr int kKinds = 32;
constexpr int kOther = kKinds;  // the row of what found no room

struct Kind {
  const char *event;  // static
  Oid token_type;
  Oid session_user, current_user;
  char operation[32];
  char detail[192];
  TimestampTz statement;  // the last that wrote a record of the kind at once
  int64 refusals;         // counted and not written
  int64 values;           // of these
};

struct State {
  Kind kind[kKinds + 1];
  int kinds;
  TimestampTz second;  // when the second began in which `written` records were written
  int written;
  bool exit_registered;
};
constinit State state = {};

const char *text_or_empty(const char *text) noexcept { return text != nullptr ? text : ""; }

bool is_of(const Kind &kind, const Kind &other) noexcept {
  return strcmp(kind.event, other.event) == 0 && kind.token_type == other.token_type &&
         kind.session_user == other.session_user && kind.current_user == other.current_user &&
         strcmp(kind.operation, other.operation) == 0 && strcmp(kind.detail, other.detail) == 0;
}

// A kind nothing of which is counted may leave its row.
Kind *row_of(const Kind &sought) noexcept {
  for (int i = 0; i < state.kinds; ++i)
    if (is_of(state.kind[i], sought)) return &state.kind[i];
  Kind *row = state.kinds < kKinds ? &state.kind[state.kinds++] : nullptr;
  for (int i = 0; row == nullptr && i < kKinds; ++i)
    if (state.kind[i].refusals == 0 && state.kind[i].statement != sought.statement) row = &state.kind[i];
  if (row != nullptr) {
    *row = sought;
    row->statement = 0;
  }
  return row;
}

// Whether one more record may be written in this second.  At the end of the session all may.
bool record_allowed() noexcept {
  if (proc_exit_inprogress) return true;
  const TimestampTz now = GetCurrentTimestamp();
  if (now < state.second || now - state.second >= USECS_PER_SEC) {  // before it: the clock was set back
    state.second = now;
    state.written = 0;
  }
  return state.written < kRefusalRecordsPerSecond;
}

void flush_at_exit(int, Datum) { audit_refusals_flush(false); }

void count(Kind *row, const Kind &refused, int64 values) {
  if (row == nullptr) {
    row = &state.kind[kOther];
    if (row->refusals == 0) {
      *row = refused;
      row->token_type = InvalidOid;
      row->operation[0] = '\0';
      strlcpy(row->detail, "of several kinds", sizeof row->detail);
    }
  }
  ++row->refusals;
  row->values += values;
  if (!state.exit_registered) before_shmem_exit(shielded<flush_at_exit, WARNING>, 0);
  state.exit_registered = true;
  audit_refusals_pending = true;
}

// True where the event is to be written at once.
bool admit(AuditEvent &event, Kind **row) {
  Kind refused = {};
  refused.event = event.event;
  refused.token_type = event.token_type;
  refused.session_user = GetSessionUserId();
  refused.current_user = GetUserId();
  refused.statement = GetCurrentStatementStartTimestamp();
  strlcpy(refused.operation, text_or_empty(event.operation), sizeof refused.operation);
  strlcpy(refused.detail, text_or_empty(event.detail), sizeof refused.detail);
  if (event.count < 0) event.count = 1;
  *row = row_of(refused);
  const bool first = *row == nullptr || (*row)->statement != refused.statement;
  if (first && record_allowed()) {
    if (*row != nullptr) (*row)->statement = refused.statement;
    ++state.written;
    return true;
  }
  count(*row, refused, event.count);
  return false;
}

void write_count(Kind *kind, bool raise) {
  if (kind->refusals == 0 || !record_allowed()) return;
  char detail[sizeof kind->detail + 64];
  snprintf(detail, sizeof detail, "%s%s" INT64_FORMAT " more %s", kind->detail, kind->detail[0] != '\0' ? "; " : "",
           kind->refusals, kind->refusals == 1 ? "refusal" : "refusals");
  const AuditEvent event = {.event = kind->event,
                            .outcome = "denied",
                            .token_type = kind->token_type,
                            .operation = kind->operation,
                            .count = kind->values,
                            .detail = detail,
                            .session_user = kind->session_user,
                            .current_user = kind->current_user};
  if (raise)
    audit_write(event);
  else if (!audit_try_write(event))
    return;
  ++state.written;
  kind->refusals = 0;
  kind->values = 0;
}

}  // namespace

void audit_refused(AuditEvent event) {
  Kind *row = nullptr;
  if (!admit(event, &row)) return;
  const TimestampTz statement = row != nullptr ? row->statement : 0;
  if (row != nullptr) row->statement = 0;  // an error leaves the kind unwritten
  audit_write(event);
  if (row != nullptr) row->statement = statement;
}

void audit_try_refused(AuditEvent event) {
  Kind *row = nullptr;
  if (admit(event, &row)) (void)audit_try_write(event);
}

void audit_refusals_flush(bool raise) {
  bool left = false;
  for (Kind &kind : state.kind) {
    if (kind.refusals == 0) continue;
    write_count(&kind, raise);
    left |= kind.refusals != 0;
  }
  audit_refusals_pending = left;
}

}  // namespace redoubt::pg
