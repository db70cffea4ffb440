// audit_packed.cpp - see audit_packed.h.
// Covered by test/tap/audit_packed.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_files.h"
#include "pg/audit/audit_index.h"
#include "pg/audit/audit_packed.h"
#include "pg/base/settings.h"
#include "pg/base/whole_io.h"

extern "C" {
#include <zlib.h>
}

namespace redoubt::pg {
namespace {

constexpr std::size_t kBuffer = 65536;
// redoubt.audit_segment_size is 1 GB at the most, and the last line may go over it.
constexpr std::uint64_t kContentMax = 2ULL << 30;

// zlib's file on a descriptor of its own, or null with errno.
gzFile zlib_open(int fd, const char *mode) noexcept {
  const int own = dup(fd);
  if (own < 0) return nullptr;
  const gzFile file = gzdopen(own, mode);
  if (file != nullptr) return file;
  close(own);
  errno = ENOMEM;
  return nullptr;
}

// Returns 0 or errno.
int read_gzip(gzFile from, int to) noexcept {
  char buffer[kBuffer];
  std::uint64_t size = 0;
  int got = 0;
  while ((got = gzread(from, buffer, sizeof buffer)) > 0) {
    size += static_cast<std::uint64_t>(got);
    if (size > kContentMax) return EFBIG;
    if (!write_all(to, buffer, static_cast<std::size_t>(got))) return errno;
  }
  // zlib hands on what is no gzip file as it is.
  return got < 0 || gzdirect(from) ? EBADMSG : 0;
}

// A damaged file is as one whose line is damaged there: verification names the place.
int unpack_file(int from, int to) noexcept {
  constexpr std::string_view kDamage = "\nthe gzip file is damaged here\n";
  const gzFile file = zlib_open(from, "rb");
  if (file == nullptr) return errno;
  int error = read_gzip(file, to);
  if (gzclose_r(file) != Z_OK && error == 0) error = EBADMSG;  // it is cut off
  if (error != EBADMSG && error != EFBIG) return error;
  return write_all(to, kDamage.data(), kDamage.size()) ? 0 : errno;
}

// False: errno, or an interrupt is pending.
bool pack_file(int from, int to) noexcept {
  const gzFile file = zlib_open(to, "wb");
  if (file == nullptr) return false;
  char buffer[kBuffer];
  off_t offset = 0;
  ssize_t got = 0;
  bool good = true;
  while (good && (got = pread(from, buffer, sizeof buffer, offset)) > 0) {
    errno = EIO;
    good = !InterruptPending && gzwrite(file, buffer, static_cast<unsigned>(got)) == got;
    offset += got;
  }
  const int error = errno;
  const bool closed = gzclose_w(file) == Z_OK;
  if (!good || got < 0) errno = error;
  return good && got == 0 && closed;
}

struct Plain {
  static int open(const char *path, int flags) noexcept { return ::open(path, flags | O_CLOEXEC, S_IRUSR | S_IWUSR); }
  static void close(int fd) noexcept { ::close(fd); }
};

struct Transient {
  static int open(const char *path, int flags) {
    return OpenTransientFilePerm(path, flags | O_CLOEXEC, S_IRUSR | S_IWUSR);
  }
  static void close(int fd) { CloseTransientFile(fd); }
};

template <typename Files>
int unpack(std::uint64_t segment) {
  const int from = Files::open(audit_packed_path(segment).text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (from < 0) return -1;
  char name[64];
  snprintf(name, sizeof name, "unpacked.%d", MyProcPid);
  const AuditPath path = audit_path_beside(name);
  unlink(path.text);  // of a crash
  const int to = Files::open(path.text, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
  const int error = to < 0 ? errno : (unlink(path.text), unpack_file(from, to));
  Files::close(from);
  if (error == 0) return to;
  if (to >= 0) Files::close(to);
  errno = error;
  return -1;
}

}  // namespace

AuditPath audit_packed_path(std::uint64_t segment) noexcept {
  AuditPath path = audit_path(segment);
  strlcat(path.text, kAuditPackedSuffix, sizeof path.text);
  return path;
}

int audit_unpack(std::uint64_t segment) noexcept { return unpack<Plain>(segment); }
int audit_unpack_transient(std::uint64_t segment) { return unpack<Transient>(segment); }

void audit_pack(std::uint64_t segment, int fd) {
  const AuditPath packed = audit_packed_path(segment);
  AuditPath temporary = packed;
  strlcat(temporary.text, ".new", sizeof temporary.text);
  unlink(temporary.text);  // of a crash
  const int to = audit_open_regular(temporary.text, O_RDWR | O_CREAT | O_EXCL, "create");
  if (to < 0) audit_file_failed("create", temporary.text);

  const bool done = pack_file(fd, to);
  CHECK_FOR_INTERRUPTS();
  if (!done || pg_fsync(to) != 0) audit_file_failed("write", temporary.text);
  CloseTransientFile(to);
  if (rename(temporary.text, packed.text) != 0) audit_file_failed("create", packed.text);
  fsync_fname(setting_audit_directory, true);

  std::array<std::uint8_t, 32> before, digest;
  (void)audit_copy(fd, -1, audit_path(segment).text, "", before);
  const int again = audit_unpack_transient(segment);
  if (again < 0) audit_file_failed("read", packed.text);
  (void)audit_copy(again, -1, packed.text, "", digest);
  CloseTransientFile(again);
  if (digest != before) {
    unlink(packed.text);
    errno = EIO;
    audit_file_failed("read back", packed.text);
  }
  durable_unlink(audit_path(segment).text, ERROR);
  audit_index_remove(segment);
}

}  // namespace redoubt::pg
