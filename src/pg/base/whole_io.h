// whole_io.h - reading and writing all of something, however often a signal cuts a call short.
#ifndef REDOUBT_PG_BASE_WHOLE_IO_H
#define REDOUBT_PG_BASE_WHOLE_IO_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Calls step(done, left), which reads or writes as read() does, until nothing is left, the file ends or a call fails.
// Returns how many bytes are done; where these are fewer, errno says why, and is `ended` at the end of the file.
template <typename Step>
std::size_t whole_io(std::size_t size, int ended, Step step) noexcept {
  std::size_t done = 0;
  while (done < size) {
    errno = ended;
    const ssize_t n = step(done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

inline bool write_all(int fd, const void *from, std::size_t size) noexcept {
  const auto *bytes = static_cast<const char *>(from);
  return whole_io(size, ENOSPC, [=](std::size_t done, std::size_t left) { return write(fd, bytes + done, left); }) ==
         size;
}

inline bool write_all_at(int fd, const void *from, std::size_t size, std::uint64_t offset) noexcept {
  const auto *bytes = static_cast<const char *>(from);
  return whole_io(size, ENOSPC, [=](std::size_t done, std::size_t left) {
           return pwrite(fd, bytes + done, left, static_cast<off_t>(offset + done));
         }) == size;
}

// From the file's position; errno is 0 where the file had no more.
inline std::size_t read_up_to(int fd, void *to, std::size_t size) noexcept {
  auto *bytes = static_cast<char *>(to);
  return whole_io(size, 0, [=](std::size_t done, std::size_t left) { return read(fd, bytes + done, left); });
}

inline bool read_all(int fd, void *to, std::size_t size) noexcept { return read_up_to(fd, to, size) == size; }

inline bool read_all_at(int fd, void *to, std::size_t size, std::uint64_t offset) noexcept {
  auto *bytes = static_cast<char *>(to);
  return whole_io(size, EINVAL, [=](std::size_t done, std::size_t left) {
           return pread(fd, bytes + done, left, static_cast<off_t>(offset + done));
         }) == size;
}

}  // namespace redoubt::pg
#endif
