// audit_journal.cpp - see audit_journal.h.
//
// An entry begins at a multiple of a page, so a page that holds one is not written again before the next restart, when
// it is not needed any more.
// Covered by test/tap/audit_journal.pl.
#include "pg/base/boundary.h"

extern "C" {
#include "port/pg_crc32c.h"
}

#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_journal.h"
#include "pg/audit/audit_mac.h"
#include "pg/base/whole_io.h"

namespace redoubt::pg {
namespace {

constexpr std::size_t kSize = std::size_t{4} << 20;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kEntryMax = std::size_t{64} << 10;
constexpr char kMagic[8] = {'r', 'd', 'b', 't', 'j', 'r', 'n', '1'};

// Followed by the bytes of the segment.  No padding: all of it is in the checksum, which is last.
struct Header {
  char magic[sizeof kMagic];
  std::uint64_t segment;
  std::uint64_t begin;   // where the journal begins, in the segment
  std::uint64_t offset;  // where these bytes are
  std::uint32_t size;
  pg_crc32c checksum;
};
static_assert(sizeof(Header) == 40);

char buffer[kEntryMax];

AuditPath path() noexcept { return audit_path_beside("journal"); }

std::size_t pages(std::size_t size) noexcept { return (size + kPage - 1) / kPage * kPage; }

// Of an entry: the header up to the checksum, then what follows the header.
pg_crc32c checksum(const char *entry, std::size_t size) noexcept {
  pg_crc32c crc;
  INIT_CRC32C(crc);
  COMP_CRC32C(crc, entry, offsetof(Header, checksum));
  COMP_CRC32C(crc, entry + sizeof(Header), size);
  FIN_CRC32C(crc);
  return crc;
}

// The file, if it is one of this size and no other name for something else; -1 with errno.
int open_journal(int flags, struct stat &st) noexcept {
  const int fd = open(path().text, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return -1;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_size == off_t{kSize}) return fd;
  close(fd);
  errno = EINVAL;
  return -1;
}

void set_aside() noexcept {
  const AuditPath aside = audit_path_beside("journal.aside");
  (void)unlink(aside.text);
  (void)rename(path().text, aside.text);
}

// Zeros, written: what is only allocated is written to as slowly as a file that grows.
int make_file() noexcept {
  const AuditPath made = audit_path_beside("journal.new");
  (void)unlink(made.text);
  const int fd = open(made.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fd < 0) return errno;
  std::memset(buffer, 0, sizeof buffer);
  bool good = true;
  for (std::size_t at = 0; good && at < kSize; at += sizeof buffer) good = write_all_at(fd, buffer, sizeof buffer, at);
  good = good && pg_fsync(fd) == 0 && rename(made.text, path().text) == 0;
  const int error = good ? 0 : errno;
  close(fd);
  if (!good) (void)unlink(made.text);
  return error;
}

// ---- recovery

// Whether a whole entry begins there.
bool entry_at(const char *file, std::size_t at, Header &header) noexcept {
  std::memcpy(&header, file + at, sizeof header);
  return std::memcmp(header.magic, kMagic, sizeof kMagic) == 0 && header.size <= kEntryMax - sizeof header &&
         header.size <= kSize - at - sizeof header && header.checksum == checksum(file + at, header.size);
}

// What the entries hold, moved to the beginning of `file`.
struct Content {
  Header first = {};
  std::size_t size = 0;
  bool damaged = false;
};

Content collect(char *file) noexcept {
  Content content;
  Header header;
  std::size_t at = 0;
  for (; at < kSize && entry_at(file, at, header); at += pages(sizeof header + header.size)) {
    if (at == 0) content.first = header;
    if (header.segment != content.first.segment || header.begin != content.first.begin ||
        header.offset != header.begin + content.size)
      break;
    std::memmove(file + content.size, file + at + sizeof header, header.size);
    content.size += header.size;
  }
  // The last entry may be half written, and those of before the restart follow; but nothing that comes after it.
  content.damaged = at == 0 && file[0] != '\0';
  for (; at < kSize && content.size != 0; at += kPage)
    content.damaged |= entry_at(file, at, header) && header.segment == content.first.segment &&
                       header.begin == content.first.begin && header.offset > header.begin;
  return content;
}

enum class Fit : std::uint8_t { same, less, other, unreadable };

// Whether the segment holds these bytes; less: some are not there, or zeros, as a file system leaves what it had not
// written when it crashed.
Fit compare(int fd, const Content &content, const char *text) noexcept {
  struct stat st;
  if (fstat(fd, &st) != 0) return Fit::unreadable;
  if (content.first.begin > static_cast<std::uint64_t>(st.st_size)) return Fit::other;
  Fit fit = Fit::same;
  char piece[kPage];
  for (std::size_t done = 0; done < content.size;) {
    const ssize_t n =
        pread(fd, piece, std::min(sizeof piece, content.size - done), static_cast<off_t>(content.first.begin + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fit::unreadable;
    if (n == 0) return Fit::less;
    for (ssize_t i = 0; i < n; ++i, ++done) {
      if (piece[i] == text[done]) continue;
      if (piece[i] != '\0') return Fit::other;
      fit = Fit::less;
    }
  }
  return fit;
}

// Whether each of these lines is authentic, and follows the one before, the first the last one before the journal.
bool chains(int fd, const Content &content, std::string_view text) noexcept {
  AuditVerifier verifier(*audit_mac(), kek_fingerprint());
  if (HmacSha256 *const previous = audit_mac(KekRole::previous))
    verifier.accept(*previous, kek_fingerprint(KekRole::previous));
  verifier.start_at(content.first.segment);
  (void)verifier.begin_segment(content.first.segment);
  AuditLineReader reader(fd, content.first.begin);
  std::string_view line;
  AuditLineReader::Kind kind;
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line) (void)verifier.line(line);
  if (kind != AuditLineReader::Kind::end || reader.consumed() != content.first.begin) return false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::uint64_t records = verifier.records();
    if (end == std::string_view::npos || verifier.line(text.substr(0, end)) != AuditProblem::none ||
        verifier.records() != records + 1)
      return false;
    text.remove_prefix(end + 1);
  }
  return true;
}

// The segment may be one that its owner cannot write to any more, as long as it has everything.  Returns 0 or errno.
int write_back(const char *path, char *text, const Content &content) noexcept {
  const int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return errno;
  const int error = write_all_at(fd, text, content.size, content.first.begin) ? 0 : errno;
  close(fd);
  return error;
}

// Returns 0 or errno.
int give_back(char *text, const Content &content, AuditJournalNotes &notes) noexcept {
  notes.segment = content.first.segment;
  const AuditPath path = audit_path(content.first.segment);
  const int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno != ENOENT) return errno;
    // Packed or archived: it was closed, and flushed before.
    AuditRange range;
    if (const int error = audit_directory_list(range); error != 0) return error;
    if (range.last < content.first.segment) notes.problem = "its segment is not there";
    return 0;
  }
  int error = 0;
  const Fit fit = compare(fd, content, text);
  if (fit == Fit::unreadable) {
    error = errno;
  } else if (fit == Fit::other || (fit == Fit::less && !chains(fd, content, {text, content.size}))) {
    notes.problem = "it does not continue its segment";
  } else {
    if (fit == Fit::less) error = write_back(path.text, text, content);
    if (error == 0 && pg_fdatasync(fd) != 0) error = errno;
    if (error == 0 && fit == Fit::less) notes.restored = content.size;
  }
  close(fd);
  return error;
}

}  // namespace

bool audit_journal_put(AuditJournal &journal, AuditMark from, AuditMark to, int fd) noexcept {
  const std::uint64_t size = to.offset - from.offset;
  if (!journal.ready || from != journal.to || to.segment != from.segment || size > kEntryMax - sizeof(Header))
    return false;
  const std::size_t whole = pages(sizeof(Header) + size);
  if (whole > kSize - journal.at || !read_all_at(fd, buffer + sizeof(Header), size, from.offset)) return false;
  Header header = {{}, from.segment, journal.from.offset, from.offset, static_cast<std::uint32_t>(size), 0};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  std::memcpy(buffer, &header, sizeof header);
  header.checksum = checksum(buffer, size);
  std::memcpy(buffer, &header, sizeof header);
  std::memset(buffer + sizeof header + size, 0, whole - sizeof header - size);

  struct stat st;
  const int out = open_journal(O_WRONLY, st);
  bool good = out >= 0;
  if (good && st.st_ino != journal.inode) {
    good = false;
    errno = EINVAL;
  }
  good = good && write_all_at(out, buffer, whole, journal.at) && pg_fdatasync(out) == 0;
  if (good) {
    journal.to = to;
    journal.at += whole;
  } else {
    journal.ready = false;
    journal.problem = errno;
  }
  if (out >= 0) close(out);
  return good;
}

bool audit_journal_restart(AuditJournal &journal, AuditMark mark, bool make) noexcept {
  journal.ready = false;
  if (journal.kept) return false;
  struct stat st = {};
  int fd = open_journal(O_WRONLY, st);
  int error = fd < 0 ? errno : 0;
  const bool missing = fd < 0 && make;
  if (missing) {
    if (error != ENOENT) set_aside();
    error = make_file();
    if (error == 0 && (fd = open_journal(O_WRONLY, st)) < 0) error = errno;
  }
  if (fd >= 0) close(fd);
  // What hindered the making is told until there is one.
  if (missing || fd >= 0) journal.problem = error;
  journal.ready = fd >= 0;
  journal.inode = st.st_ino;
  journal.from = journal.to = mark;
  journal.at = 0;
  return missing && fd >= 0;
}

int audit_journal_recover(AuditJournalNotes &notes) noexcept {
  struct stat st;
  const int fd = open_journal(O_RDONLY, st);
  if (fd < 0 && errno == ENOENT) return 0;
  // What may pass; of another thing in its place nothing is to be had.
  if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EACCES)) return errno;
  char *const file = fd >= 0 ? static_cast<char *>(malloc(kSize)) : nullptr;
  int error = 0;
  if (fd < 0 || (file != nullptr && !read_all_at(fd, file, kSize, 0))) {
    notes.problem = "it cannot be read";
  } else if (file == nullptr) {
    error = ENOMEM;
  } else {
    const Content content = collect(file);
    if (content.size != 0) error = give_back(file, content, notes);
    if (content.damaged && notes.problem == nullptr) notes.problem = "it is damaged";
  }
  if (error == 0 && notes.problem != nullptr) set_aside();
  free(file);
  if (fd >= 0) close(fd);
  return error;
}

}  // namespace redoubt::pg
