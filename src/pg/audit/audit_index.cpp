// audit_index.cpp - see audit_index.h.
// Covered by test/tap/audit_query.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_index.h"
#include "pg/audit/audit_mac.h"

namespace redoubt::pg {
namespace {

constexpr std::size_t kIndexMax = 512;
constexpr time_t kSettled = 2;  // seconds

struct Text {
  char text[kIndexMax];
  std::size_t size;
};

AuditPath index_path(std::uint64_t segment, const char *suffix) noexcept {
  AuditPath path = audit_path(segment);
  strlcat(path.text, suffix, sizeof path.text);
  return path;
}

bool same_file(const struct stat &a, const struct stat &b) noexcept {
  return a.st_size == b.st_size && a.st_ino == b.st_ino && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
         a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

// The part of the line that says of which file it is.
Text identity(std::uint64_t segment, const struct stat &st) noexcept {
  Text line;
  line.size = static_cast<std::size_t>(
      snprintf(line.text, sizeof line.text,
               "redoubt audit index 1 segment %llu size %lld inode %llu modified %lld.%09ld changed %lld.%09ld extent ",
               static_cast<unsigned long long>(segment), static_cast<long long>(st.st_size),
               static_cast<unsigned long long>(st.st_ino), static_cast<long long>(st.st_mtim.tv_sec),
               static_cast<long>(st.st_mtim.tv_nsec), static_cast<long long>(st.st_ctim.tv_sec),
               static_cast<long>(st.st_ctim.tv_nsec)));
  return line;
}

// The authenticator of a line of an index.  No line of the trail begins like one.
bool authenticate(std::string_view line, AuditMac &out) noexcept {
  HmacSha256 *const mac = audit_mac();
  const std::span<const std::uint8_t> parts[] = {{reinterpret_cast<const std::uint8_t *>(line.data()), line.size()}};
  return mac != nullptr && mac->compute(parts, out);
}

// The whole file, or false.
bool read_whole(const AuditPath &path, Text &out) noexcept {
  const int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return false;
  const ssize_t got = pread(fd, out.text, sizeof out.text - 1, 0);
  close(fd);
  if (got <= 0) return false;
  out.size = static_cast<std::size_t>(got);
  out.text[out.size] = '\0';
  return true;
}

}  // namespace

void audit_extent_add(AuditExtent &extent, std::int64_t sequence, std::int64_t time) noexcept {
  if (sequence >= 0) {
    extent.first_sequence = std::min(extent.first_sequence, sequence);
    extent.last_sequence = std::max(extent.last_sequence, sequence);
  }
  if (time >= 0) {
    extent.first_time = std::min(extent.first_time, time);
    extent.last_time = std::max(extent.last_time, time);
  }
}

bool audit_index_read(std::uint64_t segment, AuditExtent &extent) noexcept {
  struct stat st;
  Text file;
  if (audit_segment_stat(segment, st) != 0 || !read_whole(index_path(segment, ".index"), file)) return false;
  const std::string_view text(file.text, file.size);
  const Text expected = identity(segment, st);
  const std::size_t end = text.find('\n');
  AuditMac mac;
  if (end == std::string_view::npos || !text.starts_with({expected.text, expected.size}) ||
      !authenticate(text.substr(0, end), mac))
    return false;
  const auto hex = audit_mac_hex(mac);
  if (text.substr(end + 1) != std::string_view(hex.data(), hex.size())) return false;
  long long value[4];
  char *at = file.text + expected.size;
  for (long long &number : value) number = strtoll(at, &at, 10);
  extent = {value[0], value[1], value[2], value[3]};
  return true;
}

void audit_index_write(std::uint64_t segment, const struct stat &read, const AuditExtent &extent) noexcept {
  struct stat now;
  if (audit_segment_stat(segment, now) != 0 || !same_file(read, now)) return;
  if (time(nullptr) - std::max(now.st_ctim.tv_sec, now.st_mtim.tv_sec) < kSettled) return;
  Text line = identity(segment, read);
  line.size += static_cast<std::size_t>(
      snprintf(line.text + line.size, sizeof line.text - line.size, "%lld %lld %lld %lld",
               static_cast<long long>(extent.first_sequence), static_cast<long long>(extent.last_sequence),
               static_cast<long long>(extent.first_time), static_cast<long long>(extent.last_time)));
  AuditMac mac;
  if (!authenticate({line.text, line.size}, mac)) return;
  const auto hex = audit_mac_hex(mac);
  line.text[line.size++] = '\n';
  std::memcpy(line.text + line.size, hex.data(), hex.size());
  line.size += hex.size();

  char suffix[32];
  snprintf(suffix, sizeof suffix, ".index.%d", MyProcPid);
  const AuditPath temporary = index_path(segment, suffix);
  const int fd =
      open(temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR);
  if (fd < 0) return;
  const bool whole = write(fd, line.text, line.size) == static_cast<ssize_t>(line.size);
  close(fd);
  if (!whole || rename(temporary.text, index_path(segment, ".index").text) != 0) unlink(temporary.text);
}

bool audit_index_extent(std::uint64_t segment, AuditExtent &extent) {
  if (audit_index_read(segment, extent)) return true;
  struct stat read;
  const bool found = audit_segment_stat(segment, read) == 0;
  const int fd = found ? audit_segment_open(segment) : -1;
  if (fd < 0) return false;
  extent = {};
  AuditLineReader reader(fd);
  std::string_view line;
  AuditLineReader::Kind kind;
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line) {
    CHECK_FOR_INTERRUPTS();
    audit_extent_add(extent, audit_line_sequence(line), audit_line_time(line));
  }
  if (kind == AuditLineReader::Kind::error) audit_segment_unreadable(segment);
  CloseTransientFile(fd);
  audit_index_write(segment, read, extent);
  return true;
}

void audit_index_remove(std::uint64_t segment) noexcept { unlink(index_path(segment, ".index").text); }

}  // namespace redoubt::pg
