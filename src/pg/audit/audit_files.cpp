// audit_files.cpp - see audit_files.h.
// Covered by test/tap/audit_archive.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_files.h"
#include "pg/audit/audit_mac.h"
#include "pg/base/settings.h"

extern "C" {
#include "common/cryptohash.h"
}

namespace redoubt::pg {
namespace {

constexpr std::size_t kCopyBuffer = 65536;

void digest_failed(pg_cryptohash_ctx *digest) {
  ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                  errmsg("could not digest a segment of the audit trail: %s", pg_cryptohash_error(digest)),
                  errhidestmt(true)));
}

}  // namespace

void audit_file_failed(const char *what, const char *path) {
  ereport(ERROR, (errcode(ERRCODE_IO_ERROR), errmsg("could not %s \"%s\": %m", what, path),
                  errhint("Check redoubt.audit_directory and redoubt.audit_archive_directory, their file systems and "
                          "permissions."),
                  errhidestmt(true)));
  pg_unreachable();
}

int audit_open_regular(const char *path, int flags, const char *what) {
  const int fd = OpenTransientFilePerm(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0 && errno == ENOENT) return -1;
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) audit_file_failed(what, path);
  if (!S_ISREG(st.st_mode)) {
    errno = EINVAL;
    audit_file_failed(what, path);
  }
  return fd;
}

void audit_append_line(int fd, const char *path, std::string_view line) {
  off_t end = lseek(fd, 0, SEEK_END);
  char last = '\n';
  while (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n') --end;
  if (end < 0 || ftruncate(fd, end) != 0) audit_file_failed("cut half a line off", path);
  errno = ENOSPC;
  if (pwrite(fd, line.data(), line.size(), end) != static_cast<ssize_t>(line.size())) {
    const int error = errno;
    (void)!ftruncate(fd, end);
    errno = error;
    audit_file_failed("write", path);
  }
  if (pg_fsync(fd) != 0) audit_file_failed("flush", path);
  fsync_fname(setting_audit_directory, true);
}

std::uint64_t audit_copy(int from, int to, const char *from_path, const char *to_path,
                         std::array<std::uint8_t, 32> &sha256) {
  char *const buffer = static_cast<char *>(palloc(kCopyBuffer));
  pg_cryptohash_ctx *digest = pg_cryptohash_create(PG_SHA256);
  if (pg_cryptohash_init(digest) < 0) digest_failed(digest);
  std::uint64_t done = 0;
  ssize_t got = 0;
  while ((got = pread(from, buffer, kCopyBuffer, static_cast<off_t>(done))) > 0) {
    CHECK_FOR_INTERRUPTS();
    const auto size = static_cast<std::size_t>(got);
    if (pg_cryptohash_update(digest, reinterpret_cast<const std::uint8_t *>(buffer), size) < 0) digest_failed(digest);
    errno = ENOSPC;
    if (to >= 0 && pwrite(to, buffer, size, static_cast<off_t>(done)) != got) audit_file_failed("write", to_path);
    done += size;
  }
  if (got < 0) audit_file_failed("read", from_path);
  if (pg_cryptohash_final(digest, sha256.data(), sha256.size()) < 0) digest_failed(digest);
  pg_cryptohash_free(digest);
  pfree(buffer);
  return done;
}

void audit_examine(int fd, const char *path, AuditArchived &entry) {
  AuditVerifier verifier(*audit_mac(), kek_fingerprint());
  if (HmacSha256 *const previous = audit_mac(KekRole::previous))
    verifier.accept(*previous, kek_fingerprint(KekRole::previous));
  verifier.start_at(entry.segment);
  (void)verifier.begin_segment(entry.segment);
  entry.last_time_ms = -1;
  bool any = false;
  AuditLineReader reader(fd);
  std::string_view line;
  AuditLineReader::Kind kind;
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line) {
    CHECK_FOR_INTERRUPTS();
    const AuditProblem problem = verifier.line(line);
    if (problem != AuditProblem::none && entry.broken_line == 0) entry.broken_line = verifier.line_number();
    entry.last_time_ms = std::max(entry.last_time_ms, audit_line_time(line));
    if (!any) {
      const Result<AuditSegmentHeader> header = audit_header_parse(line);
      entry.first_sequence = verifier.head().sequence;
      entry.previous_mac = header.ok() ? header->previous_mac : AuditMac{};
    }
    any = true;
  }
  if (kind == AuditLineReader::Kind::error) audit_file_failed("read", path);
  entry.verified = verifier.unverifiable() == 0;
  entry.breaks = verifier.breaks();
  entry.last_sequence = verifier.head().sequence;
  entry.last_mac = verifier.head().mac;
  entry.records = verifier.records();
  entry.torn_before = verifier.torn_before();
  entry.torn_bytes = reader.fragment_size();
  if (any) return;
  // A crash left it before its header was written.
  entry.first_sequence = entry.last_sequence + 1;
}

}  // namespace redoubt::pg
