// tsv.h - files of test vectors: tab-separated values with a header row.
//
// What it is: the reader shared by kat and the unit tests, with the hexadecimal they all use.
// What it is not: a general CSV reader; there is no quoting, and a value holds no tab.
// Format: blank lines and lines that begin with "# " are comments.  The first other line names
// the columns, in any order.  A row may be shorter than the header - its last columns are then
// empty, as editors strip trailing tabs - but not longer.  LF or CRLF; a UTF-8 byte order mark
// is skipped.
// Covered by test/unit/tsv_test.cpp.
#ifndef REDOUBT_TEST_KAT_TSV_H
#define REDOUBT_TEST_KAT_TSV_H

#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::test {

class TsvTable;

// TsvRow is one vector; it is valid as long as its table.
class TsvRow {
 public:
  // field is the value in the column of that name; empty if the file has no such column.
  std::string_view field(std::string_view column) const;
  std::size_t line() const { return line_; }  // in the file, from 1

 private:
  friend class TsvTable;
  const TsvTable *table_ = nullptr;
  std::vector<std::string> fields_;
  std::size_t line_ = 0;
};

class TsvTable {
 public:
  TsvTable() = default;
  TsvTable(const TsvTable &) = delete;  // rows point back to their table
  TsvTable &operator=(const TsvTable &) = delete;

  // read fills an empty table; on failure it returns false and `error` says why, with a line.
  bool read(std::istream &in, std::string &error);
  bool read_file(const std::string &path, std::string &error);

  bool has_column(std::string_view name) const { return index_of(name).has_value(); }
  const std::vector<TsvRow> &rows() const { return rows_; }

 private:
  friend class TsvRow;
  std::optional<std::size_t> index_of(std::string_view name) const;

  std::vector<std::string> columns_;
  std::vector<TsvRow> rows_;
};

// hex_bytes reads hexadecimal of either case; nothing if it is not that.
std::optional<std::vector<std::uint8_t>> hex_bytes(std::string_view hex);

// bytes_hex writes lower-case hexadecimal.
std::string bytes_hex(std::span<const std::uint8_t> bytes);

}  // namespace redoubt::test
#endif
