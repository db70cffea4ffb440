// audit_archive.cpp - see audit_archive.h.
// Frames here hold plain data only, so PostgreSQL may raise anywhere; descriptors are PostgreSQL's transient ones.
// Covered by test/tap/audit_archive.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_archive.h"
#include "pg/audit/audit_files.h"
#include "pg/audit/audit_context.h"
#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_index.h"
#include "pg/audit/audit_packed.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"

extern "C" {
#include <sys/file.h>
}

namespace redoubt::pg {
namespace {

struct State {
  pg_atomic_uint64 *ended;  // twice the time of the end of the last attempt, plus 1 where all was well
};
constinit State state = {};

AuditPath archived_path() noexcept { return audit_path_beside(kAuditArchivedFile); }

AuditPath target_path(std::uint64_t segment, const char *suffix) noexcept {
  AuditPath path;
  const int size = snprintf(path.text, sizeof path.text, "%s/%s%s", setting_audit_archive_directory,
                            audit_file_name(segment).text, suffix);
  if (size < 0 || static_cast<std::size_t>(size) >= sizeof path.text) path.text[0] = '\0';  // no such file
  return path;
}

// ---- archived.jsonl

// The key that authenticates a line, or null where this server lacks it.
HmacSha256 *key_of(std::string_view fingerprint, std::string_view &ours) noexcept {
  for (const KekRole role : {KekRole::current, KekRole::previous}) {
    if (!kek_available(role) || fingerprint != kek_fingerprint(role)) continue;
    ours = kek_fingerprint(role);
    return audit_mac(role);
  }
  ours = "";
  return nullptr;
}

// Better ones first, where there are more of a segment.
bool precedes(const AuditArchived &a, const AuditArchived &b) noexcept {
  if (a.segment != b.segment) return a.segment < b.segment;
  if (a.verified != b.verified) return a.verified;
  return a.kek_fingerprint == kek_fingerprint() && b.kek_fingerprint != kek_fingerprint();
}

AuditArchivedList read_list(int fd) {
  AuditArchivedList list;
  std::size_t room = 0;
  std::uint64_t number = 0;
  AuditLineReader reader(fd);
  std::string_view line;
  AuditLineReader::Kind kind;
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line) {
    CHECK_FOR_INTERRUPTS();
    ++number;
    const Result<AuditArchived> parsed = audit_archived_parse(line);
    std::string_view ours;
    HmacSha256 *const mac = parsed.ok() ? key_of(parsed->kek_fingerprint, ours) : nullptr;
    if (!parsed.ok() || (!ours.empty() && (mac == nullptr || !audit_archived_authentic(*mac, line)))) {
      if (list.damaged_line == 0) list.damaged_line = number;
      continue;
    }
    audit_make_room(list.entries, list.count, room);
    AuditArchived &entry = list.entries[list.count++];
    entry = *parsed;
    entry.kek_fingerprint = ours;
    entry.verified = entry.verified && mac != nullptr;
  }
  if (kind == AuditLineReader::Kind::error) audit_file_failed("read", archived_path().text);
  // Half a line at the end is what a crash left before its segment was removed.
  std::sort(list.entries, list.entries + list.count, precedes);
  return list;
}

struct BySegment {
  bool operator()(const AuditArchived &a, std::uint64_t segment) const noexcept { return a.segment < segment; }
};

constexpr long kLockMs = 10;
constexpr int kLockTries = 500;

// Opens archived.jsonl to append to it, and keeps others from doing so.
int open_locked() {
  const AuditPath path = archived_path();
  const int fd = audit_open_regular(path.text, O_RDWR | O_CREAT, "open");
  if (fd < 0) audit_file_failed("open", path.text);
  for (int i = 0; i < kLockTries; ++i) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    CHECK_FOR_INTERRUPTS();
    pg_usleep(kLockMs * 1000);
  }
  ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("another process archives segments of the audit trail"),
                  errhint("Try again when it has ended."), errhidestmt(true)));
  pg_unreachable();
}

void append_entry(int fd, const AuditArchived &entry) {
  char line[kAuditArchivedMax];
  HmacSha256 *const mac = audit_mac();
  const Result<std::size_t> size =
      mac != nullptr ? audit_archived_encode(*mac, entry, line) : Result<std::size_t>(Status::crypto_failure);
  if (!size.ok())
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not authenticate an archived segment"),
                    errhint("Check the server's OpenSSL configuration."), errhidestmt(true)));
  audit_append_line(fd, archived_path().text, {line, *size});
}

// The copy in the archive is there, whole and on disk when this returns.  What is there by the same name has to be the
// same segment.
void put_into_archive(int source, AuditArchived &entry, const AuditArchived *before) {
  const AuditPath from = audit_path(entry.segment), to = target_path(entry.segment, "");
  const AuditPath temporary = target_path(entry.segment, ".new");
  if (temporary.text[0] == '\0') {
    errno = ENAMETOOLONG;
    audit_file_failed("create a file in", setting_audit_archive_directory);
  }
  const int there = audit_open_regular(to.text, O_RDONLY, "open");
  unlink(temporary.text);  // of a crash
  const int fd = audit_open_regular(temporary.text, O_RDWR | O_CREAT | O_EXCL, "create");
  if (fd < 0) audit_file_failed("create", temporary.text);
  entry.bytes = audit_copy(source, fd, from.text, temporary.text, entry.sha256);
  if (pg_fsync(fd) != 0) audit_file_failed("flush", temporary.text);
  audit_examine(fd, temporary.text, entry);
  CloseTransientFile(fd);

  if (before != nullptr && before->sha256 != entry.sha256) {
    unlink(temporary.text);
    ereport(ERROR,
            (errcode(ERRCODE_DATA_CORRUPTED),
             errmsg("segment \"%s\" is not the one that was archived before", audit_file_name(entry.segment).text),
             errhint("Run redoubt.verify_audit()."), errhidestmt(true)));
  }
  if (there >= 0) {
    std::array<std::uint8_t, 32> digest;
    (void)audit_copy(there, -1, to.text, "", digest);
    CloseTransientFile(there);
    unlink(temporary.text);
    if (digest != entry.sha256)
      ereport(ERROR, (errcode(ERRCODE_DUPLICATE_FILE), errmsg("another segment is in the archive as \"%s\"", to.text),
                      errhint("Each server needs an archive directory of its own."), errhidestmt(true)));
    return;
  }
  // Under the lock on the directory; a file that somebody else makes meanwhile is not overwritten where links work.
  if (link(temporary.text, to.text) == 0)
    unlink(temporary.text);
  else if (errno == EEXIST || rename(temporary.text, to.text) != 0)
    audit_file_failed("create", to.text);
  fsync_fname(setting_audit_archive_directory, true);
}

void record(const AuditArchived &entry) {
  const auto sha256 = audit_mac_hex(entry.sha256), mac = audit_mac_hex(entry.last_mac);
  const char *const damage = !entry.verified     ? "not verified: chained under another key; "
                             : entry.breaks != 0 ? psprintf("does not verify from line %llu on; ",
                                                            static_cast<unsigned long long>(entry.broken_line))
                                                 : "";
  audit_write({.event = "trail",
               .outcome = entry.verified && entry.breaks == 0 ? "success" : "failure",
               .operation = "archive_audit",
               .count = static_cast<int64>(entry.records),
               .detail = psprintf(
                   "%s: %ssequence %llu to %llu, %llu bytes, sha256 %.*s, last mac %.*s; to %s",
                   audit_file_name(entry.segment).text, damage, static_cast<unsigned long long>(entry.first_sequence),
                   static_cast<unsigned long long>(entry.last_sequence), static_cast<unsigned long long>(entry.bytes),
                   static_cast<int>(sha256.size()), sha256.data(), static_cast<int>(mac.size()), mac.data(),
                   setting_audit_archive_directory)});
  audit_make_durable();
}

void warn_of_damage(const AuditArchived &entry) {
  if (entry.verified && entry.breaks == 0) return;
  ereport(WARNING, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("segment \"%s\" of the audit trail was archived though it does not verify",
                           audit_file_name(entry.segment).text),
                    errdetail("What is kept of it says so."), errhidestmt(true)));
}

AuditArchived move(int archived, std::uint64_t segment, const AuditArchivedList &list) {
  AuditArchived entry;
  entry.segment = segment;
  entry.kek_fingerprint = kek_fingerprint();
  const AuditPath path = audit_path(segment), packed = audit_packed_path(segment);
  int source = audit_open_regular(path.text, O_RDONLY, "open");
  const bool plain = source >= 0;
  if (!plain) source = audit_unpack_transient(segment);
  if (source < 0) audit_file_failed("open", path.text);
  const AuditArchived *before = audit_archived_find(list, segment);
  put_into_archive(source, entry, before);
  CloseTransientFile(source);
  entry.archived_ms = audit_context_time_ms(GetCurrentTimestamp());
  record(entry);
  if (before == nullptr) append_entry(archived, entry);
  if (access(packed.text, F_OK) == 0) durable_unlink(packed.text, ERROR);
  if (plain) durable_unlink(path.text, ERROR);
  audit_index_remove(segment);
  warn_of_damage(entry);
  return entry;
}

// ---- the archive

// Opens the directory and keeps other servers from writing there meanwhile.
int open_archive() {
  const char *const path = setting_audit_archive_directory;
  if (path[0] == '\0')
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("redoubt.audit_archive_directory is not set"),
             errhint("Name a directory in postgresql.conf, and reload."), errhidestmt(true)));
  const int fd = OpenTransientFile(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat st, audit;
  if (fd < 0 || fstat(fd, &st) != 0) audit_file_failed("open", path);
  if (stat(setting_audit_directory, &audit) != 0) audit_file_failed("open", setting_audit_directory);
  const char *problem = nullptr;
  if (!is_absolute_path(path))
    problem = "is not an absolute path";
  else if (st.st_dev == audit.st_dev && st.st_ino == audit.st_ino)
    problem = "is the directory of the trail itself";
  else if (st.st_uid != geteuid() && st.st_uid != 0)
    problem = "must be owned by the database user or root";
  else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    problem = "may be written by others than its owner";
  if (problem != nullptr)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("redoubt.audit_archive_directory %s", problem), errhidestmt(true)));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("another server archives segments to \"%s\"", path),
                    errhint("Each server needs an archive directory of its own."), errhidestmt(true)));
  return fd;
}

void note_end(bool ok) noexcept {
  pg_atomic_write_u64(state.ended, static_cast<uint64>(GetCurrentTimestamp()) << 1 | (ok ? 1 : 0));
}

// All of the segment's events are older; one without any lies between others that are.
bool all_older(std::uint64_t segment, TimestampTz before) {
  AuditExtent extent;
  if (!audit_index_extent(segment, extent)) return false;
  if (before == DT_NOEND) return true;
  return before != DT_NOBEGIN && extent.last_time < audit_context_time_ms(before);
}

}  // namespace

AuditArchivedList audit_archived_list() {
  const int fd = audit_open_regular(archived_path().text, O_RDONLY, "open");
  if (fd < 0) return {};
  const AuditArchivedList list = read_list(fd);
  CloseTransientFile(fd);
  return list;
}

const AuditArchived *audit_archived_after(const AuditArchivedList &list, std::uint64_t segment) noexcept {
  const AuditArchived *const end = list.entries + list.count;
  const AuditArchived *const found =
      std::lower_bound<const AuditArchived *>(list.entries, end, segment + 1, BySegment());
  return found != end ? found : nullptr;
}

const AuditArchived *audit_archived_find(const AuditArchivedList &list, std::uint64_t segment) noexcept {
  const AuditArchived *const found = audit_archived_after(list, segment - 1);
  return found != nullptr && found->segment == segment ? found : nullptr;
}

void audit_archive_before(TimestampTz before, void (*moved)(const AuditArchived &, void *), void *argument) {
  require_preloaded();
  require_kek();
  note_end(false);
  AuditPosition position;
  if (const int error = audit_position(position, true); error != 0) {
    errno = error;
    audit_file_failed("open the trail in", setting_audit_directory);
  }
  const int archive = open_archive();
  const int archived = open_locked();
  const AuditArchivedList list = read_list(archived);
  std::uint64_t last = 0;
  while (true) {
    CHECK_FOR_INTERRUPTS();
    const std::uint64_t segment = audit_segments(last, position.head.segment).first;
    if (segment == 0 || !all_older(segment, before)) break;
    const AuditArchived entry = move(archived, segment, list);
    moved(entry, argument);
    last = segment;
  }
  CloseTransientFile(archived);
  CloseTransientFile(archive);
  note_end(true);
}

void audit_archive_reseal() {
  if (!kek_available(KekRole::previous) || audit_archived_list().count == 0) return;
  const int fd = open_locked();
  const AuditArchivedList list = read_list(fd);
  for (std::size_t i = 0; i < list.count; ++i) {
    AuditArchived entry = list.entries[i];
    const bool first = i == 0 || list.entries[i - 1].segment != entry.segment;
    if (!first || entry.kek_fingerprint != kek_fingerprint(KekRole::previous)) continue;
    entry.kek_fingerprint = kek_fingerprint();
    append_entry(fd, entry);
  }
  CloseTransientFile(fd);
}

AuditArchiveState audit_archive_state() noexcept {
  const uint64 ended = pg_atomic_read_u64(state.ended);
  return {static_cast<TimestampTz>(ended >> 1), (ended & 1) != 0};
}

Size audit_archive_shmem_size() { return MAXALIGN(sizeof(pg_atomic_uint64)); }

void audit_archive_shmem_startup() {
  bool found = false;
  state.ended =
      static_cast<pg_atomic_uint64 *>(ShmemInitStruct("redoubt audit archive", sizeof(pg_atomic_uint64), &found));
  if (!found) pg_atomic_init_u64(state.ended, 0);
}

}  // namespace redoubt::pg

// redoubt.archive_audit(before timestamptz) -> setof (segment, first_sequence, last_sequence, bytes, sha256)
REDOUBT_FUNCTION(redoubt_archive_audit) {
  using namespace redoubt;
  using namespace redoubt::pg;
  InitMaterializedSRF(fcinfo, 0);
  const auto put = [](const AuditArchived &entry, void *argument) {
    auto *const result = static_cast<ReturnSetInfo *>(argument);
    const auto sha256 = audit_mac_hex(entry.sha256);
    Datum values[] = {
        Int64GetDatum(static_cast<int64>(entry.segment)), Int64GetDatum(static_cast<int64>(entry.first_sequence)),
        Int64GetDatum(static_cast<int64>(entry.last_sequence)), Int64GetDatum(static_cast<int64>(entry.bytes)),
        PointerGetDatum(cstring_to_text_with_len(sha256.data(), static_cast<int>(sha256.size())))};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  };
  audit_archive_before(PG_GETARG_TIMESTAMPTZ(0), put, fcinfo->resultinfo);
  return static_cast<Datum>(0);
}
