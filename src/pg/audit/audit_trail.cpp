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
// long as we left it, or that was unlinked, was touched from outside: writing
// goes on in a new segment, and verification names the old one.
// Locks: every field of Shared is guarded by shared_lock(kAuditLock).  Nothing
// between acquire and release raises, allocates or logs; what is to be said is
// noted and said afterwards.  Flushing to disk happens after the release.
// Covered by test/tap/audit.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_context.h"
#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"

namespace redoubt::pg {
namespace {

// What the trail records at server start: the settings that say how strong the protection is.
void settings_describe(char *out, unsigned long size) {
  snprintf(out, size,
           "redoubt %s; key-encryption key %s%s%s; superuser_access %s; audit_durability %s; audit_segment_size %d kB; "
           "max_subjects %d; mode %s",
           REDOUBT_VERSION, kek_fingerprint(), kek_available(KekRole::previous) ? ", previous " : "",
           kek_fingerprint(KekRole::previous), setting_superuser_access ? "on" : "off",
           setting_audit_durability == static_cast<int>(Durability::sync) ? "sync" : "async",
           setting_audit_segment_size, setting_max_subjects, setting_mode_name());
}

struct Shared {                    // every field but the last: kAuditLock
  AuditHead head;                  // the last line written
  std::uint64_t offset;            // length of the current segment file
  bool open;                       // false until the first writer has recovered the trail
  bool overhang;                   // bytes beyond offset could not be cut off; cut before the next line
  pg_atomic_uint32 told_settings;  // settings_word() as last recorded; 0 since the server start
};
static_assert(std::is_trivially_copyable_v<Shared>);

constinit Shared *shared = nullptr;

// This process's descriptor of the current segment.
constinit int segment_fd = -1;
constinit std::uint64_t segment_fd_number = 0;

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
};

bool durable() { return setting_audit_durability == static_cast<int>(Durability::sync); }

void close_segment_fd() noexcept {
  if (segment_fd >= 0) close(segment_fd);
  segment_fd = -1;
}

void adopt_segment_fd(int fd, std::uint64_t number) noexcept {
  static bool reserved = false;  // one descriptor for the life of the process, as fd.h asks
  if (!reserved) ReserveExternalFD();
  reserved = true;
  close_segment_fd();
  segment_fd = fd;
  segment_fd_number = number;
}

// Writes the whole line at `offset`, or none of it.
WriteFailure write_line(int fd, std::string_view line, std::uint64_t offset) noexcept {
  std::size_t done = 0;
  while (done < line.size()) {
    errno = ENOSPC;  // what a short write without errno means
    const ssize_t n = pwrite(fd, line.data() + done, line.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {"write to", errno};
    done += static_cast<std::size_t>(n);
  }
  return {};
}

int flush_directory() noexcept {
  const int fd = open(setting_audit_directory, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = enableFsync && fsync(fd) != 0 ? errno : 0;
  close(fd);
  return error;
}

// Creates the next segment file with its header and makes it the current one.  On failure nothing
// has changed and the file is gone again.
WriteFailure start_segment(HmacSha256 &mac, std::int64_t time_ms, std::uint64_t torn_bytes, Notes &notes) noexcept {
  AuditHead next = shared->head;
  ++next.segment;
  char line[kAuditLineMax];
  const auto body = audit_header_encode({next.segment, kek_fingerprint(), shared->head.mac, time_ms, torn_bytes}, line);
  if (!body.ok()) return {"encode the header of", EINVAL};
  const auto size = audit_seal(mac, next, line, *body);
  if (!size.ok()) return {"authenticate the header of", EIO};

  const AuditPath path = audit_path(next.segment);
  const int fd = open(path.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return {"create a segment of", errno};
  WriteFailure failure = write_line(fd, {line, *size}, 0);
  if (!failure && durable() && pg_fdatasync(fd) != 0) failure = {"flush", errno};
  if (!failure && durable()) {
    if (const int error = flush_directory(); error != 0) failure = {"flush the directory of", error};
  }
  if (failure) {
    unlink(path.text);
    close(fd);
    return failure;
  }

  if (shared->open) {
    notes.closed = true;
    notes.closed_head = shared->head;
  }
  notes.opened = true;
  notes.opened_head = next;
  notes.torn_bytes = torn_bytes;
  adopt_segment_fd(fd, next.segment);
  shared->head = next;
  shared->offset = *size;
  shared->open = true;
  shared->overhang = false;
  return {};
}

WriteFailure open_trail(HmacSha256 &mac, std::int64_t time_ms, Notes &notes) noexcept {
  if (const int error = audit_directory_create(); error != 0) return {"create the directory of", error};
  AuditHead head;
  std::uint64_t torn_bytes = 0;
  if (const int error = audit_directory_recover(head, torn_bytes); error != 0) return {"read the end of", error};
  shared->head = head;
  return start_segment(mac, time_ms, torn_bytes, notes);
}

// Makes segment_fd the current segment, as long as shared memory says it is.
WriteFailure attach_segment(HmacSha256 &mac, std::int64_t time_ms, Notes &notes) noexcept {
  if (segment_fd < 0 || segment_fd_number != shared->head.segment) {
    const int fd = open(audit_path(shared->head.segment).text, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) return {"open the current segment of", errno};
    if (fd >= 0) {
      adopt_segment_fd(fd, shared->head.segment);
    } else {
      close_segment_fd();  // unlinked: the test below fails
    }
  }
  if (shared->overhang) {
    if (segment_fd >= 0 && ftruncate(segment_fd, static_cast<off_t>(shared->offset)) != 0) {
      return {"cut an incomplete line off", errno};
    }
    shared->overhang = false;
  }
  struct stat st;
  if (segment_fd >= 0 && fstat(segment_fd, &st) == 0 && st.st_nlink > 0 &&
      static_cast<std::uint64_t>(st.st_size) == shared->offset) {
    return {};
  }
  notes.altered = true;
  notes.closed_head = shared->head;
  return start_segment(mac, time_ms, 0, notes);
}

// Appends the line whose body is given.  Lock held.
WriteFailure append_locked(HmacSha256 &mac, std::span<char> line, std::size_t body, std::int64_t time_ms,
                           Notes &notes) noexcept {
  WriteFailure failure = shared->open ? attach_segment(mac, time_ms, notes) : open_trail(mac, time_ms, notes);
  if (failure) return failure;
  const std::uint64_t limit = static_cast<std::uint64_t>(setting_audit_segment_size) * 1024;
  if (!notes.opened && shared->offset + body + kAuditSealMax > limit) {
    if ((failure = start_segment(mac, time_ms, 0, notes))) return failure;
  }
  AuditHead next = shared->head;
  const auto size = audit_seal(mac, next, line, body);
  if (!size.ok()) return {"authenticate an event of", EIO};
  if ((failure = write_line(segment_fd, {line.data(), *size}, shared->offset))) {
    shared->overhang = ftruncate(segment_fd, static_cast<off_t>(shared->offset)) != 0;
    return failure;
  }
  shared->head = next;
  shared->offset += *size;
  return {};
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
  if (notes.closed) log_head("closed", notes.closed_head);
  if (notes.opened) log_head("opened", notes.opened_head);
  if (notes.torn_bytes != 0) {
    ereport(LOG_SERVER_ONLY, (errmsg("redoubt audit: an incomplete line of %llu bytes was left by a crash",
                                     static_cast<unsigned long long>(notes.torn_bytes)),
                              errhidestmt(true), errhidecontext(true)));
  }
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
  audit_context_fill(record, event.token_type, catalog);

  HmacSha256 *const mac = audit_mac();
  if (mac == nullptr) return {"authenticate an event of", EIO};
  char line[kAuditLineMax];
  const auto body = audit_record_encode(record, line);
  if (!body.ok()) return {"encode an event of", EINVAL};

  Notes notes;
  LWLockAcquire(shared_lock(kAuditLock), LW_EXCLUSIVE);
  WriteFailure failure = append_locked(*mac, line, *body, record.time_ms, notes);
  LWLockRelease(shared_lock(kAuditLock));

  if (!failure && durable()) {
    pgstat_report_wait_start(PG_WAIT_EXTENSION);
    if (pg_fdatasync(segment_fd) != 0) failure = {"flush", errno};
    pgstat_report_wait_end();
  }
  log_notes(notes);
  return failure;
}

// The settings that a reload can change, in one word; never 0.
std::uint32_t settings_word() noexcept {
  return 1U | static_cast<std::uint32_t>(setting_superuser_access) << 1 |
         static_cast<std::uint32_t>(setting_audit_durability) << 2 |
         static_cast<std::uint32_t>(setting_audit_segment_size) << 3;
}

// Records the settings before the first event of a server start, and again before the first event
// of a process that has read others since.  A process looks only when its own have changed, so two
// that read the file at different moments do not contradict each other for ever.
WriteFailure tell_settings() {
  static std::uint32_t seen = 0;
  const std::uint32_t now = settings_word();
  if (now == seen) return {};
  std::uint32_t told = pg_atomic_read_u32(&shared->told_settings);
  while (told != now) {
    if (!pg_atomic_compare_exchange_u32(&shared->told_settings, &told, now)) continue;
    char detail[512];
    settings_describe(detail, sizeof detail);
    const char *const operation = told == 0 ? "start" : "reload";
    const WriteFailure failure = append_event({.event = "settings", .operation = operation, .detail = detail}, false);
    if (failure) {
      pg_atomic_write_u32(&shared->told_settings, told);
      return failure;
    }
    break;
  }
  seen = now;
  return {};
}

WriteFailure append(const AuditEvent &event, bool catalog) {
  const WriteFailure failure = tell_settings();
  return failure ? failure : append_event(event, catalog);
}

// One LOG line per reason and process: a denied loop must not fill the server log as well.
void log_not_recorded(const AuditEvent &event, const char *action, int error) {
  static const char *last_action = nullptr;
  static int last_error = 0;
  if (last_action == action && last_error == error) return;
  last_action = action;
  last_error = error;
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
  if (code == 0 && shared != nullptr && shared->open) log_head("closed", shared->head);
}

}  // namespace

Size audit_trail_shmem_size() { return MAXALIGN(sizeof(Shared)); }

void audit_trail_shmem_startup() {
  bool found = false;
  shared = static_cast<Shared *>(ShmemInitStruct("redoubt audit trail", sizeof(Shared), &found));
  if (!found) {
    *shared = Shared{};
    pg_atomic_init_u32(&shared->told_settings, 0);
  }
  if (!IsUnderPostmaster) on_shmem_exit(shielded<log_last_head, WARNING>, 0);
}

HmacSha256 *audit_mac(KekRole role) noexcept {
  static constinit HmacSha256 *macs[] = {nullptr, nullptr};  // never freed: no static destructors
  HmacSha256 *&mac = macs[static_cast<std::size_t>(role)];
  if (mac == nullptr && kek_available(role)) {
    Result<HmacSha256> made = HmacSha256::make(kek_audit_key(role));
    if (made.ok()) mac = new (std::nothrow) HmacSha256(std::move(*made));
  }
  return mac;
}

void audit_write(const AuditEvent &event) {
  require_preloaded();
  require_kek();
  const WriteFailure failure = append(event, IsTransactionState());
  if (!failure) return;
  errno = failure.error;
  ereport(ERROR,
          (errcode(ERRCODE_IO_ERROR), errmsg("could not %s the audit trail: %m", failure.action),
           errdetail("Nothing is revealed or changed that cannot be recorded."),
           errhint("Check free space and permissions of redoubt.audit_directory, \"%s\".", setting_audit_directory),
           errhidestmt(true)));
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
  const WriteFailure failure = append(event, false);
  if (failure) log_not_recorded(event, failure.action, failure.error);
  return !failure;
}

void audit_remember(Oid token_type) {
  AuditRecord record;
  audit_context_fill(record, token_type, true);
}

int audit_position(AuditPosition &position, bool open) {
  HmacSha256 *const mac = open ? audit_mac() : nullptr;
  if (open && mac == nullptr) return EIO;
  Notes notes;
  WriteFailure failure;
  const std::int64_t time_ms = audit_context_time_ms(GetCurrentTimestamp());
  LWLockAcquire(shared_lock(kAuditLock), open ? LW_EXCLUSIVE : LW_SHARED);
  if (open && !shared->open) failure = open_trail(*mac, time_ms, notes);
  position = shared->open ? AuditPosition{shared->head, shared->offset} : AuditPosition{};
  LWLockRelease(shared_lock(kAuditLock));
  log_notes(notes);
  return failure.error;
}

}  // namespace redoubt::pg
