// audit_directory.h - the files of the audit trail: names, listing, lines, recovery.
//
// Segment files segment-0000000001.jsonl, -0000000002... in redoubt.audit_directory; closed ones may be packed
// (audit_packed.h).  Plain system calls that report errno: most of this runs where nothing may raise.
// What it is not: it neither chains nor verifies (core/audit_chain) nor orders writers
// (audit_trail).
// Locks: none.
// Covered by test/tap/audit.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_DIRECTORY_H
#define REDOUBT_PG_AUDIT_AUDIT_DIRECTORY_H

#include "pg/base/boundary.h"

#include "core/audit_chain.h"

namespace redoubt::pg {

// File names and paths; a path is relative to the data directory, the working directory of every
// server process, unless redoubt.audit_directory is absolute.
struct AuditFileName {
  char text[64];
};
struct AuditPath {
  char text[MAXPGPATH];
};
AuditFileName audit_file_name(std::uint64_t segment) noexcept;
AuditPath audit_path(std::uint64_t segment) noexcept;

// What is added to the name of a segment that is packed.
constexpr const char *kAuditPackedSuffix = ".gz";

// The file of a segment as it is, packed or not.  Returns 0 or errno.
int audit_segment_stat(std::uint64_t segment, struct stat &st) noexcept;

// A file beside the segments.
AuditPath audit_path_beside(const char *name) noexcept;

// The lowest and the highest segment number present; both 0 when there is none.
struct AuditRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

// Creates the directory (0700) unless it exists.  Returns 0 or errno.
int audit_directory_create() noexcept;

// Lists the segments of the directory whose numbers lie between two others; a missing directory is an empty range.
// Returns 0 or errno.
int audit_directory_list(AuditRange &range, std::uint64_t after = 0, std::uint64_t before = UINT64_MAX) noexcept;

// The same for queries: raises where the directory cannot be read.
AuditRange audit_segments(std::uint64_t after = 0, std::uint64_t before = UINT64_MAX);

// All of them before another, in order, in the memory context at hand.  Raises likewise.
std::span<const std::uint64_t> audit_segments_before(std::uint64_t before);

// For queries, the descriptor of a segment's content, closed by the transaction at the latest; -1 if there is no such
// file.  Both raise, the second always: what reading it fails with is in errno.
int audit_segment_open(std::uint64_t segment);
[[noreturn]] void audit_segment_unreadable(std::uint64_t segment);

// The highest number a segment can have: 18 digits.
constexpr std::uint64_t kAuditSegmentMax = 999'999'999'999'999'999;

// Creates the file of a segment (0600); an empty one that is there already will do.  Returns its descriptor, for
// writing, or -1 with errno.
int audit_segment_create(std::uint64_t segment) noexcept;

// Reads a file line by line, up to `limit` bytes.  Does not own the descriptor.  Plain data of about
// 33 kB: a longjmp may skip it.
class AuditLineReader {
 public:
  enum class Kind : std::uint8_t { line, fragment, end, error };  // error: see errno

  explicit AuditLineReader(int fd, std::uint64_t limit = UINT64_MAX) noexcept : fd_(fd), limit_(limit) {}

  // The next line, without its newline, valid until the next call.  A line of kAuditLineMax bytes
  // or more comes cut to that length, which no parser of lines accepts.  What follows the last
  // newline is a fragment.
  Kind next(std::string_view &line) noexcept;

  // Bytes consumed so far, newlines included; after a fragment, bytes of that fragment.
  std::uint64_t consumed() const noexcept { return consumed_; }
  std::uint64_t fragment_size() const noexcept { return fragment_size_; }

 private:
  bool fill() noexcept;  // false on error

  int fd_;
  std::uint64_t limit_;
  std::uint64_t offset_ = 0;  // of the next byte to read from the file
  std::uint64_t consumed_ = 0;
  std::uint64_t fragment_size_ = 0;
  std::size_t begin_ = 0, end_ = 0;  // unread part of the buffer
  bool at_end_ = false;
  char buffer_[2 * kAuditLineMax];
};

// Finds where the trail on disk ends: the last well-formed line, and the bytes after it that a
// crash left.  head.segment is the highest segment present, the next one is to be created.  Does not verify.  Returns 0
// or errno.
int audit_directory_recover(AuditHead &head, std::uint64_t &torn_bytes) noexcept;

}  // namespace redoubt::pg
#endif
