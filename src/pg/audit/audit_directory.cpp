// audit_directory.cpp - see audit_directory.h.
//
// Recovery takes the last well-formed line at its word: whoever can write here
// while the server is down can shorten the trail, and only the heads in the
// server log tell.  Under async durability a power failure may also leave a gap
// of zeros before lines that did reach the disk; verification names it.
// Covered by test/tap/audit.pl.
#include "pg/base/boundary.h"

extern "C" {
#include <dirent.h>
}

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_files.h"
#include "pg/audit/audit_packed.h"
#include "pg/base/settings.h"

namespace redoubt::pg {
namespace {

constexpr std::string_view kPrefix = "segment-";
constexpr std::string_view kSuffix = ".jsonl";

// The number in a segment's file name, packed or not; 0 for any other name.
std::uint64_t segment_of(std::string_view name) noexcept {
  if (name.ends_with(kAuditPackedSuffix)) name.remove_suffix(strlen(kAuditPackedSuffix));
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return 0;
  if (name.size() <= kPrefix.size() + kSuffix.size()) return 0;
  const std::string_view digits = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  if (digits.size() > 18) return 0;
  std::uint64_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return name == std::string_view(audit_file_name(number).text) ? number : 0;
}

// Looks for the last well-formed line of one segment.  `after` becomes the bytes that follow it, or
// the whole file if there is none.  Returns 0 or errno.
int scan_segment(std::uint64_t segment, bool &found, AuditHead &head, std::uint64_t &after) noexcept {
  int fd = open(audit_path(segment).text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) fd = audit_unpack(segment);
  if (fd < 0) return errno;
  AuditLineReader reader(fd);
  std::uint64_t good_end = 0;
  std::string_view line;
  AuditLineReader::Kind kind;
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line) {
    const Result<AuditLine> parsed = audit_line_parse(line);
    if (!parsed.ok()) continue;
    found = true;
    head.sequence = parsed->sequence;
    head.mac = parsed->mac;
    good_end = reader.consumed();
  }
  const int error = kind == AuditLineReader::Kind::error ? errno : 0;
  after = reader.consumed() + reader.fragment_size() - good_end;
  close(fd);
  return error;
}

}  // namespace

AuditFileName audit_file_name(std::uint64_t segment) noexcept {
  AuditFileName name;
  snprintf(name.text, sizeof name.text, "segment-%010llu.jsonl", static_cast<unsigned long long>(segment));
  return name;
}

AuditPath audit_path(std::uint64_t segment) noexcept { return audit_path_beside(audit_file_name(segment).text); }

AuditPath audit_path_beside(const char *name) noexcept {
  AuditPath path;
  snprintf(path.text, sizeof path.text, "%s/%s", setting_audit_directory, name);
  return path;
}

int audit_segment_stat(std::uint64_t segment, struct stat &st) noexcept {
  if (stat(audit_path(segment).text, &st) == 0) return 0;
  if (errno != ENOENT) return errno;
  return stat(audit_packed_path(segment).text, &st) == 0 ? 0 : errno;
}

int audit_directory_create() noexcept {
  if (mkdir(setting_audit_directory, S_IRWXU) == 0 || errno == EEXIST) return 0;
  return errno;
}

int audit_directory_list(AuditRange &range, std::uint64_t after, std::uint64_t before) noexcept {
  range = {};
  DIR *const directory = opendir(setting_audit_directory);
  if (directory == nullptr) return errno == ENOENT ? 0 : errno;
  errno = 0;
  while (const dirent *entry = readdir(directory)) {
    const std::uint64_t number = segment_of(entry->d_name);
    if (number <= after || number >= before) continue;
    if (range.first == 0 || number < range.first) range.first = number;
    if (number > range.last) range.last = number;
    errno = 0;
  }
  const int error = errno;
  closedir(directory);
  return error;
}

int audit_segment_create(std::uint64_t segment) noexcept {
  if (segment > kAuditSegmentMax) {
    errno = EOVERFLOW;
    return -1;
  }
  const AuditPath path = audit_path(segment);
  const int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR);
  if (fd < 0) return -1;
  struct stat st;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && st.st_nlink == 1) return fd;
  close(fd);
  errno = EEXIST;
  return -1;
}

bool AuditLineReader::fill() noexcept {
  if (begin_ > 0) {
    std::memmove(buffer_, buffer_ + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const std::uint64_t wanted = std::min<std::uint64_t>(sizeof buffer_ - end_, limit_ - offset_);
  ssize_t got = 0;
  do {
    got = wanted == 0 ? 0 : pread(fd_, buffer_ + end_, wanted, static_cast<off_t>(offset_));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return false;
  if (got == 0) at_end_ = true;
  end_ += static_cast<std::size_t>(got);
  offset_ += static_cast<std::uint64_t>(got);
  return true;
}

AuditLineReader::Kind AuditLineReader::next(std::string_view &line) noexcept {
  std::size_t searched = 0;   // bytes of the unread part known to hold no newline
  std::uint64_t dropped = 0;  // bytes of an overlong line already given up
  for (;;) {
    const std::string_view unread(buffer_ + begin_, end_ - begin_);
    if (const std::size_t at = unread.find('\n', searched); at != std::string_view::npos) {
      // An overlong line has nothing left that could parse; any kAuditLineMax bytes will do.
      line = dropped != 0 ? std::string_view(buffer_, kAuditLineMax) : unread.substr(0, std::min(at, kAuditLineMax));
      begin_ += at + 1;
      consumed_ += dropped + at + 1;
      return Kind::line;
    }
    if (at_end_) {
      fragment_size_ = dropped + unread.size();
      begin_ = end_;
      line = {};
      return fragment_size_ == 0 ? Kind::end : Kind::fragment;
    }
    searched = unread.size();
    if (unread.size() >= kAuditLineMax) {
      dropped += unread.size();
      begin_ = end_;
      searched = 0;
    }
    if (!fill()) return Kind::error;
  }
}

int audit_directory_recover(AuditHead &head, std::uint64_t &torn_bytes) noexcept {
  head = {};
  torn_bytes = 0;
  AuditRange range;
  if (const int error = audit_directory_list(range); error != 0) return error;
  bool found = false;
  const std::uint64_t last = range.last;
  // Numbers may be missing, any many of them: only what is listed is looked at.
  while (range.last > 0 && !found) {
    std::uint64_t after = 0;
    const int error = scan_segment(range.last, found, head, after);
    if (error != 0 && error != ENOENT) return error;
    torn_bytes += after;
    if (found) break;
    if (const int unlisted = audit_directory_list(range, 0, range.last); unlisted != 0) return unlisted;
  }
  // A crash between creating a segment and writing its header leaves an empty file, which becomes the next segment.
  struct stat st;
  const bool empty = last > 0 && stat(audit_path(last).text, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
  head.segment = empty ? last - 1 : last;
  return 0;
}

AuditRange audit_segments(std::uint64_t after, std::uint64_t before) {
  AuditRange range;
  if (const int error = audit_directory_list(range, after, before); error != 0) {
    errno = error;
    ereport(ERROR, (errcode(ERRCODE_IO_ERROR), errmsg("could not read the audit directory: %m"),
                    errhint("Check redoubt.audit_directory and its permissions."), errhidestmt(true)));
  }
  return range;
}

std::span<const std::uint64_t> audit_segments_before(std::uint64_t before) {
  std::uint64_t *segments = nullptr;
  std::size_t count = 0, room = 0;
  DIR *const directory = AllocateDir(setting_audit_directory);
  while (const dirent *entry = ReadDir(directory, setting_audit_directory)) {
    const std::uint64_t number = segment_of(entry->d_name);
    if (number == 0 || number >= before) continue;
    audit_make_room(segments, count, room);
    segments[count++] = number;
  }
  FreeDir(directory);
  std::sort(segments, segments + count);
  return {segments, std::unique(segments, segments + count)};  // both files of one, after a crash
}

int audit_segment_open(std::uint64_t segment) {
  int fd = OpenTransientFile(audit_path(segment).text, O_RDONLY | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) fd = audit_unpack_transient(segment);
  if (fd < 0 && errno != ENOENT) audit_segment_unreadable(segment);
  return fd;
}

void audit_segment_unreadable(std::uint64_t segment) {
  ereport(ERROR,
          (errcode(ERRCODE_IO_ERROR), errmsg("could not read audit segment \"%s\": %m", audit_file_name(segment).text),
           errhint("Check redoubt.audit_directory and the permissions of its files."), errhidestmt(true)));
  pg_unreachable();
}

}  // namespace redoubt::pg
