// audit_server.cpp - see audit_server.h.
// Covered by test/tap/audit_server.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_server.h"
#include "pg/base/settings.h"

extern "C" {
#include "access/xlog.h"
#include <sys/file.h>
}

namespace redoubt::pg {
namespace {

constexpr const char *kDataFile = "redoubt_server";
constexpr std::size_t kIdSize = 36;
constexpr std::size_t kFileMax = MAXPGPATH + 256;

// By which a file is told from its copy.
struct Birth {
  unsigned long long inode = 0;
  long long seconds = 0;
  unsigned long nanoseconds = 0;
  bool operator==(const Birth &) const = default;
};

// What such a file says.
struct Identity {
  bool there = false;  // it is one
  bool own = false;    // and was written here, not copied
  char id[kIdSize + 1] = "";
  Birth birth;
  char directory[MAXPGPATH] = "";  // of the trail, once it has begun; in `server` empty
};

struct State {
  char id[kIdSize + 1] = "";
  char copied_from[kIdSize + 1] = "";
  char cluster[24] = "";
  int lock = -1;        // descriptor of `server`, open as long as the postmaster runs
  bool shared = false;  // another server holds the lock
};
constinit State state;

AuditPath lock_path() noexcept { return audit_path_beside("server"); }

bool birth_of(int fd, Birth &birth) noexcept {
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return false;
  birth.inode = st.st_ino;
#ifdef STATX_BTIME
  struct statx more;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &more) == 0 && (more.stx_mask & STATX_BTIME) != 0) {
    birth.seconds = more.stx_btime.tv_sec;
    birth.nanoseconds = more.stx_btime.tv_nsec;
  }
#endif
  return true;
}

int encode(const Identity &identity, char (&text)[kFileMax]) noexcept {
  return snprintf(text, sizeof text, "redoubt server 1 id %s inode %llu born %lld.%09lu\n%s\n", identity.id,
                  identity.birth.inode, identity.birth.seconds, identity.birth.nanoseconds, identity.directory);
}

// What the file holds; anything but what encode() writes is nothing.
Identity read_identity(int fd) noexcept {
  Identity found;
  Birth birth;
  char text[kFileMax], again[kFileMax];
  const ssize_t size = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
  if (size <= 0 || !birth_of(fd, birth)) return {};
  text[size] = '\0';
  int end = 0;
  if (sscanf(text, "redoubt server 1 id %36[0-9a-f-] inode %llu born %lld.%lu%n", found.id, &found.birth.inode,
             &found.birth.seconds, &found.birth.nanoseconds, &end) != 4 ||
      strlen(found.id) != kIdSize || text[end] != '\n')
    return {};
  const char *const line = text + end + 1;
  const std::size_t length = strcspn(line, "\n");
  if (length >= sizeof found.directory) return {};
  std::memcpy(found.directory, line, length);
  const int expected = encode(found, again);
  if (expected != size || std::memcmp(text, again, static_cast<std::size_t>(size)) != 0) return {};
  found.there = true;
  found.own = found.birth == birth;
  return found;
}

// Overwrites the file: another one would have another birth, and no lock.
bool write_identity(int fd, Identity identity) noexcept {
  char text[kFileMax];
  if (!birth_of(fd, identity.birth)) return false;
  const int size = encode(identity, text);
  errno = ENOSPC;
  return size > 0 && static_cast<std::size_t>(size) < sizeof text &&
         pwrite(fd, text, static_cast<std::size_t>(size), 0) == size && ftruncate(fd, size) == 0 && pg_fsync(fd) == 0;
}

int open_file(const char *path, int flags) noexcept {
  const int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR);
  Birth birth;
  if (fd < 0 || birth_of(fd, birth)) return fd;
  close(fd);
  errno = EINVAL;
  return -1;
}

Identity data_identity() noexcept {
  const int fd = open_file(kDataFile, O_RDONLY);
  const Identity identity = read_identity(fd);
  if (fd >= 0) close(fd);
  return identity;
}

// Where the trail of this server began, if it did, and there is nothing of it any more.
bool vanished(const Identity &data) noexcept {
  if (!data.own || strcmp(data.directory, setting_audit_directory) != 0) return false;
  AuditRange range;
  return audit_directory_list(range) == 0 && range.last == 0;
}

bool make_id(char (&id)[kIdSize + 1]) noexcept {
  std::uint8_t b[16];
  if (!pg_strong_random(b, sizeof b)) return false;
  b[6] = static_cast<std::uint8_t>((b[6] & 0x0F) | 0x40);  // RFC 4122: version 4
  b[8] = static_cast<std::uint8_t>((b[8] & 0x3F) | 0x80);
  snprintf(id, sizeof id, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
           b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
  return true;
}

void warn_not_kept(const char *path) {
  ereport(WARNING,
          (errcode(ERRCODE_IO_ERROR), errmsg("redoubt audit: could not keep the server's id in \"%s\": %m", path),
           errdetail("The server takes another id at its next start.")));
}

// A server that was stopped removes its postmaster.pid, for which a restart waits, before its process is gone.
bool take_lock(int fd) noexcept {
  constexpr int kTries = 100;
  for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK || i == kTries) return false;
    pg_usleep(50'000);
  }
  return true;
}

// Takes the directory's lock and reads whose it is.  Where the directory cannot be used, its writers will say so.
Identity take_directory() {
  const AuditPath path = lock_path();
  if (audit_directory_create() != 0) return {};
  state.lock = open_file(path.text, O_RDWR | O_CREAT);
  if (state.lock < 0) {
    ereport(WARNING, (errcode(ERRCODE_IO_ERROR), errmsg("redoubt audit: could not open \"%s\": %m", path.text),
                      errdetail("A second server that uses the directory is not noticed.")));
    return {};
  }
  if (!take_lock(state.lock)) {
    state.shared = errno == EWOULDBLOCK;
    if (!state.shared)
      ereport(WARNING, (errcode(ERRCODE_IO_ERROR), errmsg("redoubt audit: could not lock \"%s\": %m", path.text),
                        errdetail("A second server that uses the directory is not noticed.")));
  }
  return read_identity(state.lock);
}

void copy_id(char (&to)[kIdSize + 1], const char *from) noexcept { strlcpy(to, from, sizeof to); }

}  // namespace

void audit_server_load() {
  snprintf(state.cluster, sizeof state.cluster, "%llu", static_cast<unsigned long long>(GetSystemIdentifier()));
  const Identity data = data_identity();
  const bool gone = vanished(data);
  const Identity trail = gone ? Identity{} : take_directory();
  if (trail.own && !state.shared)
    copy_id(state.id, trail.id);
  else if (data.own)
    copy_id(state.id, data.id);
  else if (!make_id(state.id))
    ereport(WARNING, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("redoubt audit: could not make an id for the server")));
  if (trail.there && !state.shared && strcmp(trail.id, state.id) != 0) {
    copy_id(state.copied_from, trail.id);
    ereport(LOG, (errmsg("redoubt audit: the trail in \"%s\" is a copy of that of server %s; this server is %s",
                         setting_audit_directory, state.copied_from, state.id)));
  }

  Identity identity;
  copy_id(identity.id, state.id);
  if (state.lock >= 0 && !state.shared && (!trail.own || strcmp(trail.id, state.id) != 0) &&
      !write_identity(state.lock, identity))
    warn_not_kept(lock_path().text);
  if (!data.own || strcmp(data.id, state.id) != 0) {
    if (data.own) strlcpy(identity.directory, data.directory, sizeof identity.directory);
    const int fd = open_file(kDataFile, O_RDWR | O_CREAT);
    if (fd < 0 || !write_identity(fd, identity)) warn_not_kept(kDataFile);
    if (fd >= 0) close(fd);
  }
  if (const AuditRefusal refusal = audit_server_problem(); refusal.problem != nullptr)
    ereport(WARNING, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("redoubt audit: %s", refusal.problem),
                      errdetail("Nothing can be revealed."), errhint("%s", refusal.hint)));
}

const char *audit_server_id() noexcept { return state.id; }
const char *audit_server_cluster() noexcept { return state.cluster; }
const char *audit_server_copied_from() noexcept { return state.copied_from; }

const char *audit_server_refuses() noexcept {
  if (state.shared) {
    errno = EBUSY;
    return "lock the directory of";
  }
  if (!vanished(data_identity())) return nullptr;
  errno = ENOENT;
  return "find the segments of";
}

AuditRefusal audit_server_problem() noexcept {
  if (state.shared)
    return {"another server writes its trail to redoubt.audit_directory",
            "Give each server an audit directory of its own, and restart."};
  if (vanished(data_identity()))
    return {"the trail of this server is gone from redoubt.audit_directory",
            "Mount or restore the directory and restart; to begin a new trail, remove redoubt_server from the data "
            "directory and restart."};
  return {nullptr, nullptr};
}

void audit_server_began() noexcept {
  Identity data = data_identity();
  if (data.own && strcmp(data.directory, setting_audit_directory) == 0) return;
  copy_id(data.id, state.id);
  strlcpy(data.directory, setting_audit_directory, sizeof data.directory);
  const int fd = open_file(kDataFile, O_RDWR | O_CREAT);
  if (fd < 0) return;  // the load has warned of it
  (void)write_identity(fd, data);
  close(fd);
}

}  // namespace redoubt::pg
