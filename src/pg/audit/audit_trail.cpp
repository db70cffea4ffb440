// audit_trail.cpp - the writer: orders, chains and appends events.
//
// Shared memory holds where the chain ends and how long the current segment file
// is; every line is written by one pwrite at that offset, and a line that does
// not get out whole is cut off again, so a segment never holds part of a line
// except after a crash.  The first writer after a server start recovers the end
// of the chain from the files and opens a new segment.
//
// Invariant: shared->head and shared->offset describe exactly what is on file;
// they move only after a whole line was written.  A segment file that is not as
// long as we left it, that was unlinked, or of which a part could not be flushed, is left: writing
// goes on in a new segment, and verification names one that was touched from outside.
// Locks: every field of Shared is guarded by shared_lock(kAuditLock), except where it says otherwise.  Under it there
// are the pwrite of one line (two where a segment begins), fstat, and ftruncate after a failed write; nothing raises,
// allocates or logs, what is to be said is noted and said afterwards.  The trail is recovered, and a segment created,
// by the one process that has set shared->busy, without the lock; others wait for it interruptibly, before they have
// written anything.  Flushing is audit_flush.
// Covered by test/tap/audit.pl, test/tap/audit_sync.pl and test/tap/audit_damage.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_context.h"
#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_flush.h"
#include "pg/audit/audit_server.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"
#include "pg/base/whole_io.h"

namespace redoubt::pg {
namespace {

// What the trail records at server start: the settings that say how strong the protection is.
void settings_describe(char *out, unsigned long size) {
  snprintf(out, size,
           "redoubt %s; key-encryption key %s%s%s; superuser_access %s; audit_durability %s; audit_segment_size %d kB; "
           "max_subjects %d; mode %s; audit_retention %d s; audit_archive_directory \"%.100s\"; "
           "anchor_command %s%s%s",
           REDOUBT_VERSION, kek_fingerprint(), kek_available(KekRole::previous) ? ", previous " : "",
           kek_fingerprint(KekRole::previous), setting_superuser_access ? "on" : "off",
           setting_audit_durability == static_cast<int>(Durability::sync) ? "sync" : "async",
           setting_audit_segment_size, setting_max_subjects, setting_mode_name(), setting_audit_retention,
           setting_audit_archive_directory, setting_anchor_command[0] != '\0' ? "set" : "not set",
           audit_server_copied_from()[0] != '\0' ? "; the trail was copied from server " : "",
           audit_server_copied_from());
}

struct Shared {                    // up to busy: kAuditLock
  AuditHead head;                  // the last line written
  std::uint64_t offset;            // length of the current segment file
  bool open;                       // false until the first writer has recovered the trail
  bool overhang;                   // bytes beyond offset could not be cut off; cut before the next line
  std::uint32_t kek;               // number of the key-encryption key that chains the current segment
  bool busy;                       // a process recovers the trail or creates a segment
  ConditionVariable idle;          // told when busy ends
  AuditFlush flush;                // has a lock of its own
  pg_atomic_uint32 told_settings;  // settings_word() as last recorded; 0 since the server start
  pg_atomic_uint64 verified;       // twice the time of the last verification, plus 1 where all was well
};
static_assert(std::is_trivially_copyable_v<Shared>);

struct State {
  Shared *shared = nullptr;
  int segment_fd = -1;  // this process's descriptor of the current segment, and the segment's number
  std::uint64_t segment_fd_number = 0;
  bool descriptor_reserved = false;     // one descriptor for the life of the process, as fd.h asks
  std::uint32_t seen_settings = 0;      // settings_word() as this process has last looked at it
  const char *logged_action = nullptr;  // what log_not_recorded said last
  int logged_error = 0;
  std::uint32_t kek = 0;  // number of the KEK that this process chains by
};
constinit State state;

// What failed, in words for a message; nullptr = nothing.
struct WriteFailure {
  const char *action = nullptr;
  int error = 0;
  explicit operator bool() const { return action != nullptr; }
};

// What happened under the lock and is to be logged after it.
struct Notes {
  bool closed = false, opened = false, altered = false;
  AuditHead closed_head, opened_head;
  std::uint64_t torn_bytes = 0;
  AuditJournalNotes journal;
};

// The context of the current KEK's audit key, by which this process chains from now on; null without one.
HmacSha256 *chain_mac() noexcept {
  state.kek = kek_number();
  return audit_mac_of(state.kek);
}

bool durable() { return setting_audit_durability == static_cast<int>(Durability::sync); }

void close_segment_fd() noexcept {
  if (state.segment_fd >= 0) close(state.segment_fd);
  state.segment_fd = -1;
}

void adopt_segment_fd(int fd, std::uint64_t number) noexcept {
  if (!state.descriptor_reserved) ReserveExternalFD();
  state.descriptor_reserved = true;
  close_segment_fd();
  state.segment_fd = fd;
  state.segment_fd_number = number;
}

void log_head(const char *what, const AuditHead &head) {
  const auto hex = audit_mac_hex(head.mac);
  ereport(LOG_SERVER_ONLY,
          (errmsg("redoubt audit: segment %llu %s at sequence %llu, mac %.*s",
                  static_cast<unsigned long long>(head.segment), what, static_cast<unsigned long long>(head.sequence),
                  static_cast<int>(hex.size()), hex.data()),
           errhidestmt(true), errhidecontext(true)));
}

// The heads in the server log are the anchor outside of the trail.
void log_notes(const Notes &notes) {
  if (notes.altered) {
    ereport(LOG_SERVER_ONLY, (errmsg("redoubt audit: segment %llu was altered from outside the server",
                                     static_cast<unsigned long long>(notes.closed_head.segment)),
                              errhint("Run redoubt.verify_audit()."), errhidestmt(true), errhidecontext(true)));
  }
  if (notes.journal.restored != 0) {
    ereport(
        LOG_SERVER_ONLY,
        (errmsg("redoubt audit: segment %llu had lost records in a crash; its last %llu bytes are those of the journal",
                static_cast<unsigned long long>(notes.journal.segment),
                static_cast<unsigned long long>(notes.journal.restored)),
         errhidestmt(true), errhidecontext(true)));
  }
  if (notes.journal.problem != nullptr) {
    ereport(LOG_SERVER_ONLY,
            (errmsg("redoubt audit: the sync journal is set aside, as \"journal.aside\": %s", notes.journal.problem),
             errhint("Run redoubt.verify_audit(). If the operating system crashed, the last records may be lost."),
             errhidestmt(true), errhidecontext(true)));
  }
  if (notes.closed) log_head("closed", notes.closed_head);
  if (notes.opened) log_head("opened", notes.opened_head);
  if (notes.torn_bytes != 0) {
    ereport(LOG_SERVER_ONLY, (errmsg("redoubt audit: an incomplete line of %llu bytes was left by a crash",
                                     static_cast<unsigned long long>(notes.torn_bytes)),
                              errhidestmt(true), errhidecontext(true)));
  }
}

// A process's view of the trail, by which it tells whether another one has moved it on.
struct Seen {
  bool open;
  std::uint64_t segment;
};

Seen look() noexcept {
  LWLockAcquire(shared_lock(kAuditLock), LW_SHARED);
  const Seen seen = {state.shared->open, state.shared->head.segment};
  LWLockRelease(shared_lock(kAuditLock));
  return seen;
}

AuditMark written() noexcept {
  LWLockAcquire(shared_lock(kAuditLock), LW_SHARED);
  const AuditMark mark = {state.shared->head.segment, state.shared->offset};
  LWLockRelease(shared_lock(kAuditLock));
  return mark;
}

// ---- segments

// Writes the header of the segment that follows `last` to its empty file and makes it the current one.  Lock held.  On
// failure nothing has changed.
WriteFailure begin_segment(HmacSha256 &mac, int fd, AuditHead last, std::int64_t time_ms, std::uint64_t torn_bytes,
                           Notes &notes) noexcept {
  AuditHead next = last;
  ++next.segment;
  char line[kAuditLineMax];
  const auto body =
      audit_header_encode({next.segment, kek_fingerprint_of(state.kek), last.mac, time_ms, torn_bytes}, line);
  if (!body.ok()) return {"encode the header of", EINVAL};
  const auto size = audit_seal(mac, next, line, *body);
  if (!size.ok()) return {"authenticate the header of", EIO};
  if (!write_all_at(fd, line, *size, 0)) return {"write to", errno};

  if (state.shared->open) {
    notes.closed = true;
    notes.closed_head = state.shared->head;
  }
  notes.opened = true;
  notes.opened_head = next;
  notes.torn_bytes = torn_bytes;
  state.shared->head = next;
  state.shared->offset = *size;
  state.shared->kek = state.kek;
  state.shared->open = true;
  state.shared->overhang = false;
  return {};
}

// Recovers the trail if it is not open, creates the next segment and makes it the current one.  `busy` is ours.
WriteFailure make_segment(HmacSha256 &mac, const Seen &seen, std::int64_t time_ms, Notes &notes) noexcept {
  AuditHead last;
  std::uint64_t torn_bytes = 0;
  if (!seen.open) {
    if (const char *const action = audit_server_refuses()) return {action, errno};
    if (const int error = audit_directory_create(); error != 0) return {"create the directory of", error};
    if (const int error = audit_journal_recover(notes.journal); error != 0) return {"restore the end of", error};
    if (const int error = audit_directory_recover(last, torn_bytes); error != 0) return {"read the end of", error};
  }
  const std::uint64_t number = (seen.open ? seen.segment : last.segment) + 1;
  const int fd = audit_segment_create(number);
  if (fd < 0) return {"create a segment of", errno};
  audit_server_began();

  if (!seen.open) audit_flush_begin(&state.shared->flush, {last.segment, 0});
  LWLockAcquire(shared_lock(kAuditLock), LW_EXCLUSIVE);
  const WriteFailure failure =
      begin_segment(mac, fd, seen.open ? state.shared->head : last, time_ms, torn_bytes, notes);
  LWLockRelease(shared_lock(kAuditLock));
  if (failure) {
    unlink(audit_path(number).text);
    close(fd);
  } else {
    adopt_segment_fd(fd, number);
  }
  return failure;
}

// Sets shared->busy, or returns false where the trail has moved on meanwhile.
bool become_busy(const Seen &seen) {
  bool same = true;
  bool mine = false;
  while (same && !mine) {
    LWLockAcquire(shared_lock(kAuditLock), LW_EXCLUSIVE);
    same = state.shared->open == seen.open && state.shared->head.segment == seen.segment;
    mine = same && !state.shared->busy;
    if (mine) state.shared->busy = true;
    LWLockRelease(shared_lock(kAuditLock));
    if (same && !mine) ConditionVariableSleep(&state.shared->idle, PG_WAIT_EXTENSION);
  }
  ConditionVariableCancelSleep();
  return mine;
}

// Moves the trail on from what was seen to the next segment, unless another process does.
WriteFailure next_segment(HmacSha256 &mac, const Seen &seen, bool altered, std::int64_t time_ms) {
  if (!become_busy(seen)) return {};
  HOLD_INTERRUPTS();
  Notes notes;
  const WriteFailure failure = make_segment(mac, seen, time_ms, notes);
  LWLockAcquire(shared_lock(kAuditLock), LW_EXCLUSIVE);
  state.shared->busy = false;
  LWLockRelease(shared_lock(kAuditLock));
  ConditionVariableBroadcast(&state.shared->idle);
  RESUME_INTERRUPTS();
  notes.altered = altered && !failure;
  log_notes(notes);
  return failure;
}

// ---- lines

// What has to be done without the lock before a line can be written.
enum class Need : std::uint8_t { nothing, descriptor, segment, segment_for_altered };

struct Attempt {
  Need need = Need::nothing;
  Seen seen = {};
  WriteFailure failure;
  AuditMark end;  // of the line, once it is written
};

// Finds out whether segment_fd is the current segment and takes a line of that length.  Lock held.
Attempt prepare_locked(std::size_t size) noexcept {
  Attempt attempt;
  attempt.seen = {state.shared->open, state.shared->head.segment};
  const auto need = [&attempt](Need what) {
    attempt.need = what;
    return attempt;
  };
  // Under another key-encryption key another segment begins.
  if (!state.shared->open || state.shared->kek != state.kek ||
      audit_flush_left(&state.shared->flush, state.shared->head.segment))
    return need(Need::segment);
  if (state.segment_fd < 0 || state.segment_fd_number != state.shared->head.segment) return need(Need::descriptor);
  if (state.shared->overhang) {
    if (ftruncate(state.segment_fd, static_cast<off_t>(state.shared->offset)) != 0) {
      attempt.failure = {"cut an incomplete line off", errno};
      return attempt;
    }
    state.shared->overhang = false;
  }
  struct stat st;
  if (fstat(state.segment_fd, &st) != 0 || st.st_nlink == 0 ||
      static_cast<std::uint64_t>(st.st_size) != state.shared->offset)
    return need(Need::segment_for_altered);
  const std::uint64_t limit = static_cast<std::uint64_t>(setting_audit_segment_size) * 1024;
  return state.shared->offset + size > limit ? need(Need::segment) : attempt;
}

// Appends the line whose body is given.  Lock held.
Attempt append_locked(HmacSha256 &mac, std::span<char> line, std::size_t body) noexcept {
  Attempt attempt = prepare_locked(body + kAuditSealMax);
  if (attempt.need != Need::nothing || attempt.failure) return attempt;
  AuditHead next = state.shared->head;
  const auto size = audit_seal(mac, next, line, body);
  if (!size.ok()) {
    attempt.failure = {"authenticate an event of", EIO};
    return attempt;
  }
  if (!write_all_at(state.segment_fd, line.data(), *size, state.shared->offset)) {
    attempt.failure = {"write to", errno};
    state.shared->overhang = ftruncate(state.segment_fd, static_cast<off_t>(state.shared->offset)) != 0;
    return attempt;
  }
  state.shared->head = next;
  state.shared->offset += *size;
  attempt.end = {next.segment, state.shared->offset};
  return attempt;
}

// Opens the segment that was seen to be the current one; a segment that is not there was removed from outside.
WriteFailure provide(HmacSha256 &mac, const Attempt &attempt, std::int64_t time_ms) {
  if (attempt.need != Need::descriptor)
    return next_segment(mac, attempt.seen, attempt.need == Need::segment_for_altered, time_ms);
  const int fd = open(audit_path(attempt.seen.segment).text, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) {
    adopt_segment_fd(fd, attempt.seen.segment);
    return {};
  }
  if (errno != ENOENT) return {"open the current segment of", errno};
  return next_segment(mac, attempt.seen, true, time_ms);
}

WriteFailure flush(AuditMark end) noexcept {
  const char *const action =
      audit_flush_to(&state.shared->flush, end, written, state.segment_fd, state.segment_fd_number);
  return action != nullptr ? WriteFailure{action, errno} : WriteFailure{};
}

// The whole way of an event, from the record to the file.  Raises only what `catalog` allows
// audit_context_fill to raise.
WriteFailure append_event(const AuditEvent &event, bool catalog) {
  AuditRecord record;
  record.event = event.event;
  record.outcome = event.outcome;
  record.operation = event.operation != nullptr ? event.operation : "";
  record.count = event.count;
  record.detail = audit_context_utf8(event.detail, catalog);
  record.session_user_id = event.session_user;
  record.current_user_id = event.current_user;
  audit_context_fill(record, event.token_type, catalog);

  char line[kAuditLineMax];
  const auto body = audit_record_encode(record, line);
  if (!body.ok()) return {"encode an event of", EINVAL};

  while (true) {
    HmacSha256 *const mac = chain_mac();
    if (mac == nullptr) return {"authenticate an event of", EIO};
    LWLockAcquire(shared_lock(kAuditLock), LW_EXCLUSIVE);
    const Attempt attempt = append_locked(*mac, line, *body);
    LWLockRelease(shared_lock(kAuditLock));
    if (attempt.failure) return attempt.failure;
    if (attempt.need == Need::nothing) return durable() && !event.follows_intent ? flush(attempt.end) : WriteFailure{};
    if (state.kek != kek_number()) continue;  // it was changed meanwhile: no segment under the old one
    if (const WriteFailure failure = provide(*mac, attempt, record.time_ms)) return failure;
  }
}

// The settings that a reload can change, in one word; never 0.
std::uint32_t settings_word() noexcept {
  const char *const archive = setting_audit_archive_directory;
  std::uint32_t word = hash_bytes(reinterpret_cast<const unsigned char *>(archive), static_cast<int>(strlen(archive)));
  word ^= setting_anchor_command[0] != '\0' ? 2U : 0;
  for (const int setting : {static_cast<int>(setting_superuser_access), setting_audit_durability,
                            setting_audit_segment_size, setting_audit_retention})
    word = hash_combine(word, static_cast<std::uint32_t>(setting));
  return word | 1U;
}

// Records the settings before the first event of a server start, and again before the first event
// of a process that has read others since.  A process looks only when its own have changed, so two
// that read the file at different moments do not contradict each other for ever.
WriteFailure tell_settings() {
  const std::uint32_t now = settings_word();
  if (now == state.seen_settings) return {};
  std::uint32_t told = pg_atomic_read_u32(&state.shared->told_settings);
  while (told != now) {
    if (!pg_atomic_compare_exchange_u32(&state.shared->told_settings, &told, now)) continue;
    char detail[512];
    settings_describe(detail, sizeof detail);
    const char *const operation = told == 0 ? "start" : "reload";
    const WriteFailure failure = append_event({.event = "settings", .operation = operation, .detail = detail}, false);
    if (failure) {
      pg_atomic_write_u32(&state.shared->told_settings, told);
      return failure;
    }
    break;
  }
  state.seen_settings = now;
  return {};
}

WriteFailure append(const AuditEvent &event, bool catalog) {
  const WriteFailure failure = tell_settings();
  return failure ? failure : append_event(event, catalog);
}

// One LOG line per reason and process: a denied loop must not fill the server log as well.
void log_not_recorded(const AuditEvent &event, const char *action, int error) {
  if (state.logged_action == action && state.logged_error == error) return;
  state.logged_action = action;
  state.logged_error = error;
  errno = error;
  if (error != 0) {
    ereport(LOG_SERVER_ONLY,
            (errmsg("redoubt audit: event \"%s\" not recorded: could not %s the audit trail: %m", event.event, action),
             errhidestmt(true), errhidecontext(true)));
  } else {
    ereport(LOG_SERVER_ONLY, (errmsg("redoubt audit: event \"%s\" not recorded: %s", event.event, action),
                              errhidestmt(true), errhidecontext(true)));
  }
}

// Best effort at a clean shutdown; the postmaster is the last one, so no lock.
void log_last_head(int code, Datum) {
  if (code == 0 && state.shared != nullptr && state.shared->open) log_head("closed", state.shared->head);
}

}  // namespace

Size audit_trail_shmem_size() { return MAXALIGN(sizeof(Shared)); }

void audit_trail_shmem_startup() {
  bool found = false;
  state.shared = static_cast<Shared *>(ShmemInitStruct("redoubt audit trail", sizeof(Shared), &found));
  if (!found) {
    *state.shared = Shared{};
    ConditionVariableInit(&state.shared->idle);
    audit_flush_init(&state.shared->flush);
    pg_atomic_init_u32(&state.shared->told_settings, 0);
    pg_atomic_init_u64(&state.shared->verified, 0);
  }
  if (!IsUnderPostmaster) on_shmem_exit(shielded<log_last_head, WARNING>, 0);
}

void audit_note_verified(bool ok) noexcept {
  pg_atomic_write_u64(&state.shared->verified, static_cast<uint64>(GetCurrentTimestamp()) << 1 | (ok ? 1 : 0));
}

AuditVerified audit_last_verified() noexcept {
  const uint64 verified = pg_atomic_read_u64(&state.shared->verified);
  return {static_cast<TimestampTz>(verified >> 1), (verified & 1) != 0};
}

AuditJournalState audit_journal_state() noexcept {
  LWLockAcquire(shared_lock(kAuditFlushLock), LW_SHARED);
  const AuditJournal &journal = state.shared->flush.journal;
  const AuditJournalState found = {journal.ready, journal.problem};
  LWLockRelease(shared_lock(kAuditFlushLock));
  return found;
}

namespace {

void raise(const WriteFailure &failure) {
  const char *const refused = audit_server_refuses();
  const AuditRefusal refusal = failure.action == refused ? audit_server_problem() : AuditRefusal{};
  errno = failure.error;
  ereport(ERROR,
          (errcode(ERRCODE_IO_ERROR), errmsg("could not %s the audit trail: %m", failure.action),
           errdetail("Nothing is revealed or changed that cannot be recorded."),
           refusal.problem != nullptr ? errhint("%s", refusal.hint)
                                      : errhint("Check free space and permissions of redoubt.audit_directory, \"%s\".",
                                                setting_audit_directory),
           errhidestmt(true)));
}

}  // namespace

void audit_write(const AuditEvent &event) {
  require_preloaded();
  require_kek();
  if (const WriteFailure failure = append(event, IsTransactionState())) raise(failure);
}

void audit_pace() {
  constexpr int kRecordsPerSecond = 50;
  static constinit TimestampTz second = 0;
  static constinit int records = 0;
  if (superuser()) return;
  while (true) {
    const int64 since = GetCurrentTimestamp() - second;
    if (since < 0 || since >= USECS_PER_SEC) {  // before it: the clock was set back
      second += since;
      records = 0;
    }
    if (records < kRecordsPerSecond) break;
    const auto rest = static_cast<long>((USECS_PER_SEC - since) / 1000 + 1);
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, rest, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  ++records;
}

void audit_note(const char *event, const char *operation, const char *detail, ...) {
  if (!shared_memory_ready() || !kek_available()) return;
  audit_pace();
  char text[kAuditLineMax / 2];  // more does not fit into a line
  va_list arguments;
  va_start(arguments, detail);
  vsnprintf(text, sizeof text, detail, arguments);
  va_end(arguments);
  const int whole = pg_mbcliplen(text, static_cast<int>(strlen(text)), static_cast<int>(strlen(text)));
  text[whole] = '\0';  // no part of a character
  audit_write({.event = event, .operation = operation, .detail = text});
}

void audit_make_durable() {
  if (const WriteFailure failure = flush(written())) raise(failure);
}

void audit_catch_up() {
  if (durable() && look().open) audit_make_durable();
}

bool audit_try_write(const AuditEvent &event) noexcept {
  if (!shared_memory_ready() || MyProc == nullptr) {
    log_not_recorded(event, "there is no shared memory", 0);
    return false;
  }
  if (!kek_available()) {
    log_not_recorded(event, "there is no key-encryption key", 0);
    return false;
  }
  HOLD_INTERRUPTS();  // whoever waits for another process may not be interrupted here
  const WriteFailure failure = append(event, false);
  RESUME_INTERRUPTS();
  if (failure) log_not_recorded(event, failure.action, failure.error);
  return !failure;
}

void audit_remember(Oid token_type) {
  AuditRecord record;
  audit_context_fill(record, token_type, true);
}

int audit_position(AuditPosition &position, bool open) {
  HmacSha256 *const mac = open ? chain_mac() : nullptr;
  if (open && mac == nullptr) return EIO;
  const std::int64_t time_ms = audit_context_time_ms(GetCurrentTimestamp());
  for (Seen seen = look(); open && !seen.open; seen = look())
    if (const WriteFailure failure = next_segment(*mac, seen, false, time_ms)) return failure.error;
  LWLockAcquire(shared_lock(kAuditLock), LW_SHARED);
  position = state.shared->open ? AuditPosition{state.shared->head, state.shared->offset} : AuditPosition{};
  LWLockRelease(shared_lock(kAuditLock));
  return 0;
}

}  // namespace redoubt::pg
