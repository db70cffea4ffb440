// audit_files.h - reading a segment whole, and adding lines to the files beside the segments.
//
// For functions and workers: everything raises, and descriptors are PostgreSQL's transient ones.
// Locks: none; who appends holds one.  Covered by test/tap/audit_archive.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_FILES_H
#define REDOUBT_PG_AUDIT_AUDIT_FILES_H

#include "pg/base/boundary.h"

#include "core/audit_archive.h"

namespace redoubt::pg {

// Makes room for one more of `count` items that are kept in `context`.
template <typename T>
void audit_make_room(T *&items, std::size_t count, std::size_t &room, MemoryContext context = CurrentMemoryContext) {
  if (count < room) return;
  room = std::max<std::size_t>(2 * room, 256);
  const Size size = room * sizeof(T);
  items = static_cast<T *>(items == nullptr ? MemoryContextAllocHuge(context, size) : repalloc_huge(items, size));
}

// Raises 58030 with errno.
[[noreturn]] void audit_file_failed(const char *what, const char *path);

// Opens a file that has to be a regular one, and no link; -1: there is none.
int audit_open_regular(const char *path, int flags, const char *what);

// Appends a whole line, which is on disk when this returns, or none.  Half a line that a crash left is cut off before.
void audit_append_line(int fd, const char *path, std::string_view line);

// Reads all of `from` into `to` (-1: nowhere) and the digest; returns the number of bytes.
std::uint64_t audit_copy(int from, int to, const char *from_path, const char *to_path,
                         std::array<std::uint8_t, 32> &sha256);

// Fills in what the segment in `fd` holds, by itself: whether it fits its neighbours is found when the trail is
// verified.
void audit_examine(int fd, const char *path, AuditArchived &entry);

}  // namespace redoubt::pg
#endif
